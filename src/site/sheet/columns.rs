//! The columns of the site's spreadsheet, and how people head them.

use crate::spreadsheet::text::squeeze;

/// Longer texts are no headings but notes.
const HEADING_CHARS_MAX: usize = 40;

/// What a column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Stairwell,
    Building,
    Unit,
    Camera,
    Url,
    SubUrl,
    Transport,
    Username,
    Password,
    Door,
    Controller,
    Decision,
    Hostname,
    DeviceId,
    DeviceDoor,
    DoorUsername,
    DoorPassword,
}

/// One column: its headings, and what to write in it.
pub(super) struct About {
    pub(super) column: Column,
    pub(super) en: &'static str,
    pub(super) zh: &'static str,
    /// Other headings, without spaces, marks and case.
    synonyms: &'static [&'static str],
    pub(super) help_zh: &'static str,
    pub(super) help_en: &'static str,
    pub(super) example: &'static str,
}

const fn about(
    column: Column,
    (en, zh): (&'static str, &'static str),
    synonyms: &'static [&'static str],
    (help_zh, help_en): (&'static str, &'static str),
    example: &'static str,
) -> About {
    About {
        column,
        en,
        zh,
        synonyms,
        help_zh,
        help_en,
        example,
    }
}

/// All columns, in the order of the template.
pub(super) const COLUMNS: [About; 17] = [
    about(
        Column::Stairwell,
        ("stairwell", "楼道编号"),
        &["楼道", "楼道号", "place", "位置", "stairwellid"],
        (
            "1–32 个字母、数字、“-”、“_”；可不填，按幢号和单元生成；大门、道闸写“小区”",
            "1 to 32 letters, digits, '-' and '_'; may be empty: made of building and unit; for gates write compound",
        ),
        "b03-u2",
    ),
    about(
        Column::Building,
        ("building", "幢号"),
        &["楼幢", "幢", "楼号", "栋号", "楼栋", "栋", "楼"],
        ("楼幢，如墙上所写", "The building, as on its wall"),
        "3",
    ),
    about(
        Column::Unit,
        ("unit", "单元"),
        &["单元号", "梯", "楼梯"],
        ("单元，如门上所写", "The unit, as on its entrance"),
        "2",
    ),
    about(
        Column::Camera,
        ("camera", "摄像机编号"),
        &["摄像机", "摄像头", "相机", "cameraid", "摄像头编号"],
        (
            "可不填：按楼道编号生成，如 b03-u2-in",
            "May be empty: made of the stairwell's id, such as b03-u2-in",
        ),
        "b03-u2-in",
    ),
    about(
        Column::Url,
        ("url", "主码流地址"),
        &[
            "地址",
            "rtsp",
            "rtsp地址",
            "主码流",
            "rtspurl",
            "cameraurl",
            "取流地址",
        ],
        (
            "RTSP 地址，不含用户名和密码",
            "The RTSP address, without user name and password",
        ),
        "rtsp://192.0.2.10:554/Streaming/Channels/101",
    ),
    about(
        Column::SubUrl,
        ("sub_url", "子码流地址"),
        &["子码流", "suburl", "substream"],
        (
            "较小的码流，供电视墙使用；可不填",
            "A smaller stream, for the wall; may be empty",
        ),
        "rtsp://192.0.2.10:554/Streaming/Channels/102",
    ),
    about(
        Column::Transport,
        ("transport", "传输方式"),
        &["传输", "协议"],
        ("tcp 或 udp；不填为 tcp", "tcp or udp; empty is tcp"),
        "tcp",
    ),
    about(
        Column::Username,
        ("username", "摄像机用户名"),
        &["用户名", "账号", "user", "camerausername"],
        ("摄像机的登录名", "The camera's log-in"),
        "admin",
    ),
    about(
        Column::Password,
        ("password", "摄像机密码"),
        &["密码", "口令", "camerapassword"],
        (
            "写入网关本机的保密文件，之后不再显示；不填则保留原来的",
            "Written to a private file of the gateway and never shown again; empty: the old one stays",
        ),
        "",
    ),
    about(
        Column::Door,
        ("door", "门编号"),
        &["门", "门禁", "门禁编号", "doorid"],
        (
            "可不填：按楼道编号生成，如 b03-u2-door",
            "May be empty: made of the stairwell's id, such as b03-u2-door",
        ),
        "b03-u2-door",
    ),
    about(
        Column::Controller,
        ("controller", "控制器"),
        &["控制器类型", "门禁类型"],
        (
            "native、esp-rfid 或 uhppoted；填写后该行就有一个门",
            "native, esp-rfid or uhppoted; with it the row has a door",
        ),
        "native",
    ),
    about(
        Column::Decision,
        ("decision", "开门方式"),
        &["判定", "决定", "判定方式"],
        (
            "record：控制器自行开门；online：每次询问网关。不填为 record",
            "record: the controller opens by itself; online: it asks. Empty is record",
        ),
        "online",
    ),
    about(
        Column::Hostname,
        ("hostname", "控制器主机名"),
        &["主机名", "host"],
        ("仅 esp-rfid", "esp-rfid only"),
        "",
    ),
    about(
        Column::DeviceId,
        ("device_id", "控制器序列号"),
        &["序列号", "设备序列号", "serial", "serialnumber", "deviceid"],
        ("仅 uhppoted", "uhppoted only"),
        "",
    ),
    about(
        Column::DeviceDoor,
        ("device_door", "控制器门号"),
        &["门号", "devicedoor", "第几个门"],
        (
            "仅 uhppoted：1 到 4；不填表示全部",
            "uhppoted only: 1 to 4; empty is all of them",
        ),
        "",
    ),
    about(
        Column::DoorUsername,
        ("door_username", "门禁用户名"),
        &["控制器用户名", "doorusername"],
        (
            "控制器登录网关 MQTT 时的用户名",
            "The controller's log-in at the gateway's MQTT",
        ),
        "b03-u2-door",
    ),
    about(
        Column::DoorPassword,
        ("door_password", "门禁密码"),
        &["控制器密码", "doorpassword"],
        (
            "写入保密文件，之后不再显示",
            "Written to a private file and never shown again",
        ),
        "",
    ),
];

impl Column {
    fn about(self) -> Option<&'static About> {
        COLUMNS.iter().find(|about| about.column == self)
    }

    /// Its Chinese heading.
    pub(super) fn heading_zh(self) -> &'static str {
        self.about().map_or("", |about| about.zh)
    }

    /// Its English heading.
    pub(super) fn heading_en(self) -> &'static str {
        self.about().map_or("", |about| about.en)
    }

    /// Is a space in it always a slip?
    pub(super) fn is_word(self) -> bool {
        !matches!(
            self,
            Column::Building
                | Column::Unit
                | Column::Username
                | Column::Password
                | Column::DoorUsername
                | Column::DoorPassword
        )
    }

    /// Is every character of it meant?
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Column::Password | Column::DoorPassword)
    }

    /// The column that people mean by `heading`, which may say it in two languages.
    pub(super) fn of_heading(heading: &str) -> Option<Column> {
        if heading.chars().count() > HEADING_CHARS_MAX {
            return None;
        }
        let whole = Column::of_plain(&plain(heading));
        whole.or_else(|| {
            let parts = heading.split(['\n', '\r', '/', '(', '（', '|', ' ']);
            let first = parts.map(plain).find(|part| !part.is_empty())?;
            Column::of_plain(&first)
        })
    }

    fn of_plain(plain_heading: &str) -> Option<Column> {
        let is_it = |about: &&About| {
            plain(about.en) == plain_heading
                || about.zh == plain_heading
                || about.synonyms.contains(&plain_heading)
        };
        let found = COLUMNS
            .iter()
            .find(is_it)
            .filter(|_| !plain_heading.is_empty());
        found.map(|about| about.column)
    }
}

/// A heading without spaces, marks and case.
fn plain(heading: &str) -> String {
    let mut plain = squeeze(heading).to_lowercase();
    plain.retain(|c| {
        !matches!(
            c,
            '_' | '-' | ':' | '.' | '*' | '\u{ff1a}' | '"' | '(' | ')'
        )
    });
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_columns_share_a_heading() {
        for about in &COLUMNS {
            for heading in [about.en, about.zh].iter().chain(about.synonyms) {
                assert_eq!(Column::of_heading(heading), Some(about.column), "{heading}");
            }
            let both = format!("{}\n{}", about.zh, about.en);
            assert_eq!(Column::of_heading(&both), Some(about.column));
        }
        assert_eq!(Column::of_heading("The building, as on its wall"), None);
        assert_eq!(Column::of_heading("备注"), None);
        assert_eq!(Column::of_heading(""), None);
    }
}
