//! What people write for buildings, units and controllers, and the ids that are made of it.

use crate::domain::id::SLUG_BYTES_MAX;
use crate::spreadsheet::text::squeeze;

/// What is on the wall, without what follows it: `3幢` and `03` are `3`.
pub(super) fn label(text: &str) -> String {
    let mut plain = squeeze(text);
    while let Some(rest) = ["号楼", "单元", "楼道", "幢", "栋", "座", "梯"]
        .iter()
        .find_map(|suffix| plain.strip_suffix(suffix))
        .filter(|rest| !rest.is_empty())
    {
        plain = rest.to_owned();
    }
    let is_number = plain.bytes().all(|b| b.is_ascii_digit());
    match plain.trim_start_matches('0') {
        "" => plain,
        number if is_number => number.to_owned(),
        _ => plain,
    }
}

/// `b03-u2` of building 3 and unit 2.
pub(super) fn made_id(building: &str, unit: &str) -> Option<String> {
    let part = |text: &str, n_digits: usize| {
        let is_slug = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_usable = !text.is_empty() && text.chars().all(is_slug);
        is_usable.then(|| match text.parse::<u32>() {
            Ok(number) => format!("{number:0n_digits$}"),
            Err(_) => text.to_lowercase(),
        })
    };
    let id = format!("b{}-u{}", part(building, 2)?, part(unit, 1)?);
    // What is made of it has a tail.
    (id.len() + "-door-99".len() <= SLUG_BYTES_MAX).then_some(id)
}

/// `wanted`, or with a number after it.
pub(super) fn free_id(wanted: &str, is_free: impl Fn(&str) -> bool) -> String {
    if is_free(wanted) {
        return wanted.to_owned();
    }
    let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
    let mut free = numbered.filter(|id| is_free(id));
    free.next().unwrap_or_else(|| wanted.to_owned())
}

pub(super) fn controller_word(text: &str) -> String {
    let word = text.to_lowercase();
    match word.as_str() {
        "原生" | "本地" | "mqtt" => "native".to_owned(),
        "esprfid" | "esp_rfid" => "esp-rfid".to_owned(),
        "uhppote" | "微耕" => "uhppoted".to_owned(),
        _ => word,
    }
}

pub(super) fn decision_word(text: &str) -> String {
    let word = text.to_lowercase();
    match word.as_str() {
        "在线" | "联网" | "网关" => "online".to_owned(),
        "记录" | "本机" | "控制器" => "record".to_owned(),
        _ => word,
    }
}
