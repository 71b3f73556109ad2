//! What the configuration says of the broker and the doors.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::domain::id::{CompoundId, DoorId};
use crate::domain::secret::Secret;
use crate::time::TimeZone;

/// Where esp-rfid controllers publish unless told otherwise: their `TOPIC` `esp-rfid`, and `/send`.
pub const ESP_RFID_TOPIC: &str = "esp-rfid/send";
/// Where uhppoted-mqtt publishes events unless told otherwise.
pub const UHPPOTED_TOPIC: &str = "uhppoted/gateway/events";

/// The doors of a compound and the broker between them and us.
#[derive(Clone, Debug)]
pub struct DoorsOptions {
    /// The compound; the second level of every topic.
    pub compound: CompoundId,
    /// First levels of every topic, such as `stairgate`; no wildcard, not empty.
    pub topic_prefix: String,
    /// For controllers that tell their local time without a zone (uhppoted).
    pub time_zone: TimeZone,
    /// Who carries the messages.
    pub broker: Broker,
    /// The doors; each id once.
    pub doors: Vec<DoorOptions>,
}

/// Who carries the messages between doors and gateway.
#[derive(Clone, Debug)]
pub enum Broker {
    /// A broker of the site's, such as mosquitto.
    External(ExternalBroker),
    /// An endpoint inside this process; no broker is needed.
    Embedded(EmbeddedBroker),
}

/// A broker of the site's (`mqtt.url = "mqtt://…"` or `"mqtts://…"`).
#[derive(Clone, Debug)]
pub struct ExternalBroker {
    /// Host name or address, without brackets.
    pub host: String,
    /// 1883, or 8883 with TLS.
    pub port: u16,
    /// `None`: plain TCP (`mqtt://`).
    pub tls: Option<TlsOptions>,
    /// Names our session at the broker; must be unique there and must not change.
    pub client_id: String,
    /// `None`: no log-in.
    pub username: Option<String>,
    /// `None`: an empty password when there is a user name.
    pub password: Option<Secret>,
}

/// How a broker proves itself (`mqtts://`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file with the authorities to trust; `None`: those of this machine.
    pub ca_file: Option<PathBuf>,
}

/// An endpoint inside this process (`mqtt.url = "embedded"`).
#[derive(Clone, Debug)]
pub struct EmbeddedBroker {
    /// Where to listen. Anything but loopback needs `credentials`.
    pub listen: SocketAddr,
    /// Who may connect. Empty: anyone on this machine.
    pub credentials: Vec<DoorCredential>,
}

/// A log-in at the embedded endpoint, good for the topics of its doors and for no others.
#[derive(Clone, Debug)]
pub struct DoorCredential {
    /// The user name; each once.
    pub username: String,
    /// The password; not empty.
    pub password: Secret,
    /// The doors it may speak for; one for most controllers.
    pub doors: Vec<DoorId>,
}

/// One door as the messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorOptions {
    /// Which door.
    pub id: DoorId,
    /// What its controller speaks.
    pub controller: Dialect,
}

/// What a controller speaks, and how its messages name the door (`[door.match]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The contract's own messages, on topics that name the door.
    Native,
    /// JSON of the esp-rfid firmware, on one topic for all its controllers.
    EspRfid {
        /// Where it publishes; [`ESP_RFID_TOPIC`] unless configured.
        topic: String,
        /// The controller's `hostname`.
        hostname: String,
    },
    /// Events of uhppoted-mqtt, on one topic for all its controllers.
    Uhppoted {
        /// Where it publishes; [`UHPPOTED_TOPIC`] unless configured.
        topic: String,
        /// The controller's serial number.
        device_id: u32,
        /// Which of the controller's doors, 1 to 4; `None`: all of them.
        door: Option<u8>,
    },
}

impl Dialect {
    /// The word used in the configuration.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Dialect::Native => "native",
            Dialect::EspRfid { .. } => "esp-rfid",
            Dialect::Uhppoted { .. } => "uhppoted",
        }
    }
}
