//! The site as an installer sees it: stairwells, cameras, doors and linkages as JSON, in both
//! directions.
//!
//! Texts are taken as they come; what is wrong with them is said by the check, all at once and with
//! its place. A secret goes in and never comes out: outwards there is only `has_…`.

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::secret::Secret;

/// What there is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteView {
    /// SHA-256 of the configuration file, 64 hexadecimal digits.
    pub version: String,
    /// Can the file be replaced?
    pub writable: bool,
    /// The compound.
    pub compound: CompoundEntry,
    /// Every stairwell, in the file's order.
    pub stairwells: Vec<StairwellEntry>,
    /// Every camera.
    pub cameras: Vec<CameraEntry>,
    /// Every door.
    pub doors: Vec<DoorEntry>,
    /// Every receiver of alerts.
    pub linkages: Vec<LinkageEntry>,
}

/// A change of the site. A list that is left out stays as it is; one that is there replaces the old.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteChange {
    /// Of the file that the change was made from.
    pub version: String,
    /// Taken and ignored, so that a view can be sent back as it came.
    #[serde(default)]
    pub writable: Option<bool>,
    /// The compound.
    #[serde(default)]
    pub compound: Option<CompoundEntry>,
    /// Every stairwell there shall be.
    #[serde(default)]
    pub stairwells: Option<Vec<StairwellEntry>>,
    /// Every camera.
    #[serde(default)]
    pub cameras: Option<Vec<CameraEntry>>,
    /// Every door.
    #[serde(default)]
    pub doors: Option<Vec<DoorEntry>>,
    /// Every receiver of alerts.
    #[serde(default)]
    pub linkages: Option<Vec<LinkageEntry>>,
}

/// The compound. Only its name can be changed while the gateway runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompoundEntry {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// In which dates are meant.
    pub time_zone: String,
}

/// A stairwell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StairwellEntry {
    /// Its id.
    pub id: String,
    /// The id it had, when it is given another.
    #[serde(default, skip_serializing)]
    pub was: Option<String>,
    /// As on the wall.
    pub building: String,
    /// As on the entrance.
    pub unit: String,
}

/// A camera.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraEntry {
    /// Its id.
    pub id: String,
    /// The id it had, when it is given another.
    #[serde(default, skip_serializing)]
    pub was: Option<String>,
    /// A stairwell's id, or `compound`.
    pub place: String,
    /// Its main stream, without a log-in in it.
    pub url: String,
    /// A smaller stream.
    #[serde(default)]
    pub sub_url: Option<String>,
    /// `tcp` or `udp`; left out: `tcp`.
    #[serde(default = "tcp")]
    pub transport: String,
    /// The user name.
    #[serde(default)]
    pub username: Option<String>,
    /// A new password; left out: the old one stays.
    #[serde(default, skip_serializing, deserialize_with = "secret")]
    pub password: Option<Secret>,
    /// Is there a password? Only outwards.
    #[serde(default)]
    pub has_password: bool,
}

/// A door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorEntry {
    /// Its id.
    pub id: String,
    /// The id it had, when it is given another.
    #[serde(default, skip_serializing)]
    pub was: Option<String>,
    /// A stairwell's id, or `compound`.
    pub place: String,
    /// The cameras that see it; the first one's clip stands for an entry.
    #[serde(default)]
    pub cameras: Vec<String>,
    /// What its controller speaks; left out: `native`.
    #[serde(default = "native")]
    pub controller: String,
    /// `record` or `online`; left out: `record`.
    #[serde(default = "record")]
    pub decision: String,
    /// How the messages of a controller that is not native name the door.
    #[serde(default, rename = "match")]
    pub matcher: Option<MatchEntry>,
    /// Its log-in at the endpoint inside.
    #[serde(default)]
    pub username: Option<String>,
    /// A new password; left out: the old one stays.
    #[serde(default, skip_serializing, deserialize_with = "secret")]
    pub password: Option<Secret>,
    /// Is there a password? Only outwards.
    #[serde(default)]
    pub has_password: bool,
}

/// How messages name a door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchEntry {
    /// Where they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// esp-rfid: the controller's hostname.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// uhppoted: the controller's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<u32>,
    /// uhppoted: which of its doors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<u8>,
}

/// A receiver of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkageEntry {
    /// Its id.
    pub id: String,
    /// The id it had, when it is given another.
    #[serde(default, skip_serializing)]
    pub was: Option<String>,
    /// `webhook`, `grpc` or `mqtt`.
    pub kind: String,
    /// Where it is.
    pub url: String,
    /// mqtt: where alerts are published.
    #[serde(default)]
    pub topic: Option<String>,
    /// mqtt: our name at the broker.
    #[serde(default)]
    pub client_id: Option<String>,
    /// mqtt: our log-in at the broker.
    #[serde(default)]
    pub username: Option<String>,
    /// Which alerts it gets; left out: all.
    #[serde(default = "all_kinds")]
    pub kinds: Vec<String>,
    /// Personal data besides.
    #[serde(default)]
    pub include: Vec<String>,
    /// Is it told of each step of a case?
    #[serde(default)]
    pub case_changes: bool,
    /// Seconds for one attempt; left out: 10.
    #[serde(default)]
    pub timeout_s: Option<u32>,
    /// Whom to trust. A file of the gateway's machine: shown, and changed only there.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// grpc: our certificate. Likewise.
    #[serde(default)]
    pub cert_file: Option<String>,
    /// grpc: its key. Likewise.
    #[serde(default)]
    pub key_file: Option<String>,
    /// A new secret (webhook: signing key, grpc: token, mqtt: password); left out: the old one stays.
    #[serde(default, skip_serializing, deserialize_with = "secret")]
    pub secret: Option<Secret>,
    /// Is there a secret? Only outwards.
    #[serde(default)]
    pub has_secret: bool,
}

fn tcp() -> String {
    "tcp".to_owned()
}

fn native() -> String {
    "native".to_owned()
}

fn record() -> String {
    "record".to_owned()
}

fn all_kinds() -> Vec<String> {
    vec!["*".to_owned()]
}

/// An empty text is no secret: a form sends it when nothing was typed.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_in_and_never_out() {
        let text =
            r#"{"id":"c","place":"compound","url":"rtsp://h/","username":"u","password":"hush"}"#;
        let camera: CameraEntry = serde_json::from_str(text).unwrap();
        assert_eq!(camera.password.as_ref().unwrap().reveal(), "hush");
        let shown = serde_json::to_string(&camera).unwrap();
        assert!(
            !shown.contains("hush") && !shown.contains("\"password\""),
            "{shown}"
        );
        assert!(!format!("{camera:?}").contains("hush"));
    }

    #[test]
    fn a_view_can_be_sent_back_as_it_came() {
        let view = SiteView {
            version: "00".to_owned(),
            writable: true,
            compound: CompoundEntry::default(),
            stairwells: vec![StairwellEntry::default()],
            cameras: vec![CameraEntry {
                has_password: true,
                ..CameraEntry::default()
            }],
            doors: vec![DoorEntry::default()],
            linkages: vec![LinkageEntry::default()],
        };
        let text = serde_json::to_string(&view).unwrap();
        let change: SiteChange = serde_json::from_str(&text).unwrap();
        assert_eq!(change.cameras, Some(view.cameras));
        assert_eq!(change.linkages, Some(view.linkages));
        let wrong = r#"{"version":"0","camera":[]}"#;
        assert!(serde_json::from_str::<SiteChange>(wrong).is_err());
    }
}
