//! Text as people leave it in spreadsheets, made plain: full-width letters and digits, spaces that do
//! not break or do not show, apostrophes that once said "this is text".

/// `text` as its writer meant it: full-width ASCII made ASCII, every run of white space and invisible
/// characters one space, none at the ends; without one leading apostrophe and without the `="…"` by
/// which CSV files force text.
pub(crate) fn clean(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut is_gap = false;
    for c in text.chars() {
        let c = narrow(c);
        if c == ' ' {
            is_gap = true;
            continue;
        }
        if is_gap && !plain.is_empty() {
            plain.push(' ');
        }
        is_gap = false;
        plain.push(c);
    }
    let inner = plain
        .strip_prefix("=\"")
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inner| !inner.contains('"'));
    if let Some(inner) = inner {
        return inner.trim().to_owned();
    }
    match plain.strip_prefix(['\'', '\u{2018}', '\u{2019}']) {
        Some(rest) => rest.trim_start().to_owned(),
        None => plain,
    }
}

/// The half-width twin of a full-width character; a space for anything that looks like none.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => {
            let twin = u32::from(c).saturating_sub(0xfee0);
            char::from_u32(twin).unwrap_or(c)
        }
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => ' ',
        c if c.is_whitespace() || c.is_control() => ' ',
        c => c,
    }
}

/// `clean` without any spaces: for numbers, words and ids, in which a space is always a slip.
pub(crate) fn squeeze(text: &str) -> String {
    let mut plain = clean(text);
    plain.retain(|c| c != ' ');
    plain
}

/// Longest piece of a cell that a message quotes, in characters.
const QUOTE_CHARS_MAX: usize = 24;

/// `text` cut for a message. Never for names and card numbers.
pub(crate) fn quote(text: &str) -> String {
    let mut chars = text.chars();
    let mut quoted: String = chars.by_ref().take(QUOTE_CHARS_MAX).collect();
    if chars.next().is_some() {
        quoted.push('\u{2026}');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_leave_in_cells_is_made_plain() {
        for (written, plain) in [
            ("  301\u{3000}", "301"),
            ("３０１", "301"),
            ("\u{feff}\u{a0}04A1B2C3D4\u{200b}", "04A1B2C3D4"),
            ("'04A1", "04A1"),
            ("''04A1", "'04A1"),
            ("\u{2019}04A1", "04A1"),
            ("=\"0412\"", "0412"),
            ("张　 三\r\n", "张 三"),
            ("ＲＥＮＴＥＤ", "RENTED"),
            ("\t\u{b}", ""),
            ("'", ""),
        ] {
            assert_eq!(clean(written), plain, "{written:?}");
        }
        assert_eq!(squeeze("04 A1\u{a0}B2"), "04A1B2");
        assert_eq!(quote(&"x".repeat(30)).chars().count(), 25);
    }

    proptest::proptest! {
        #[test]
        fn clean_text_without_an_apostrophe_stays_as_it_is(text in "\\PC{0,20}") {
            let once = clean(&text);
            let is_marked = once.starts_with(['\'', '\u{2018}', '\u{2019}', '=']);
            proptest::prop_assume!(!is_marked);
            proptest::prop_assert_eq!(clean(&once), once);
        }
    }
}
