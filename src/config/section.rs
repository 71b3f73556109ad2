//! Reads one table of the file key by key, so that one mistake does not hide the next.
//!
//! `serde` stops at the first mistake; a person who sets up thirty cameras wants them all.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Report, Spot};

/// Where the file's lines begin, for line numbers.
#[derive(Clone, Copy)]
pub(super) struct Lines<'s>(&'s [usize]);

impl<'s> Lines<'s> {
    /// Where each line but the first begins: counted once, since every key asks for its line.
    pub(super) fn starts(text: &str) -> Vec<usize> {
        text.match_indices('\n').map(|(idx, _)| idx + 1).collect()
    }

    pub(super) fn new(starts: &'s [usize]) -> Lines<'s> {
        Lines(starts)
    }

    pub(super) fn line_of(self, span: &Range<usize>) -> usize {
        1 + self.0.partition_point(|start| *start <= span.start)
    }
}

/// A value with where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: change(self.value),
            spot: self.spot,
        }
    }
}

/// One table of the file, or the absence of one.
pub(super) struct Section<'a> {
    pub(super) report: &'a Report<'a>,
    lines: Lines<'a>,
    table: Option<&'a DeTable<'a>>,
    /// Such as `camera.b03-u2-in`; empty at the top.
    path: String,
    /// The same without ids: `camera`.
    pattern: String,
    line: usize,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn top(report: &'a Report<'a>, lines: Lines<'a>, table: &'a DeTable<'a>) -> Self {
        Section {
            report,
            lines,
            table: Some(table),
            path: String::new(),
            pattern: String::new(),
            line: 0,
            asked: Vec::new(),
        }
    }

    /// Is the table there at all?
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Is `key` written?
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Is `key`, which is known but never allowed, written? The reference does not list it.
    pub(super) fn forbidden(&mut self, key: &'static str) -> bool {
        self.asked.push(key);
        self.has(key)
    }

    /// Where `key` stands, or would.
    pub(super) fn spot(&self, key: &str) -> Spot {
        let line = match self.find(key) {
            Some((span, _)) => self.lines.line_of(&span),
            None => self.line,
        };
        Spot {
            line,
            key: join(&self.path, key),
        }
    }

    /// Where the table itself stands.
    pub(super) fn own_spot(&self) -> Spot {
        Spot {
            line: self.line,
            key: self.path.clone(),
        }
    }

    /// From here on problems name the table by `id`: `camera.b03-u2-in` instead of `camera[2]`.
    pub(super) fn name_by(&mut self, id: &str) {
        self.path = join(&self.pattern, id);
    }

    /// A text; `None` when it is absent or, after a problem is noted, no text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let (value, spot) = self.ask(key)?;
        match value {
            DeValue::String(text) => Some(At {
                value: text.clone().into_owned(),
                spot,
            }),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(&spot, value, "a text in quotes");
                None
            }
        }
    }

    /// A text that must be there; `hint` says what to write.
    pub(super) fn required(&mut self, key: &'static str, hint: &str) -> Option<At<String>> {
        if !self.has(key) {
            self.report.asked(join(&self.pattern, key));
            self.asked.push(key);
            self.report
                .problem(&self.spot(key), format!("is missing ({hint})"));
            return None;
        }
        self.text(key)
    }

    /// A text that must be there, read by `T::from_str`, whose error says what is expected.
    pub(super) fn required_parsed<T>(&mut self, key: &'static str, hint: &str) -> Option<At<T>>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.required(key, hint)?;
        self.parse(text)
    }

    /// Reads a text already found by `T::from_str`.
    pub(super) fn parse<T>(&self, text: At<String>) -> Option<At<T>>
    where
        T: FromStr<Err: Display>,
    {
        match text.value.parse() {
            Ok(value) => Some(At {
                value,
                spot: text.spot,
            }),
            Err(err) => {
                let shown = shorten(&text.value);
                self.report
                    .problem(&text.spot, format!("{shown:?} is not usable: {err}"));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let list: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let shown = shorten(&text.value);
            self.report.problem(
                &text.spot,
                format!("{shown:?} is not known (write {})", list.join(" or ")),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// A whole number within `range`, else `default` (with a problem when it is written wrongly).
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some((value, spot)) = self.ask(key) else {
            return default;
        };
        let bounds = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = value else {
            self.wrong_type(&spot, value, &bounds);
            return default;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => number,
            Ok(_) | Err(_) => {
                self.report
                    .problem(&spot, format!("{integer} is out of range (write {bounds})"));
                default
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some((value, spot)) = self.ask(key) else {
            return default;
        };
        let DeValue::Boolean(flag) = value else {
            self.wrong_type(&spot, value, "true or false");
            return default;
        };
        *flag
    }

    /// A decimal number, written with or without quotes, as its text.
    pub(super) fn decimal(&mut self, key: &'static str) -> Option<At<String>> {
        let (value, spot) = self.ask(key)?;
        let text = match value {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::Float(float) => float.to_string(),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong_type(&spot, value, "a number");
                return None;
            }
        };
        Some(At { value: text, spot })
    }

    /// A list of texts; empty when absent. Elements that are no texts are noted and left out.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let Some((value, spot)) = self.ask(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value else {
            self.wrong_type(&spot, value, "a list of texts, such as [\"a\", \"b\"]");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in array.iter() {
            let spot = Spot {
                line: self.lines.line_of(&element.span()),
                key: spot.key.clone(),
            };
            match element.get_ref().as_str() {
                Some(text) => texts.push(At {
                    value: text.to_owned(),
                    spot,
                }),
                None => self.wrong_type(&spot, element.get_ref(), "a text in quotes"),
            }
        }
        texts
    }

    /// A path; a relative one starts at the configuration file's folder.
    pub(super) fn path(&mut self, key: &'static str) -> Option<At<PathBuf>> {
        let text = self.text(key)?;
        if text.value.is_empty() {
            self.report.problem(&text.spot, "is empty (write a path)");
            return None;
        }
        Some(text.map(|text| self.report.base.join(text)))
    }

    /// The table `[key]` in this one.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        let mut section = Section {
            report: self.report,
            lines: self.lines,
            table: None,
            path: join(&self.path, key),
            pattern: join(&self.pattern, key),
            line: self.line,
            asked: Vec::new(),
        };
        self.asked.push(key);
        if let Some((span, value)) = self.find(key) {
            section.line = self.lines.line_of(&span);
            match value.as_table() {
                Some(table) => section.table = Some(table),
                None => {
                    let spot = self.spot(key);
                    self.wrong_type(&spot, value, &format!("a table [{}]", section.pattern));
                }
            }
        }
        section
    }

    /// The tables `[[key]]` in this one; named `key[1]`, `key[2]` until [`Section::name_by`].
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        self.asked.push(key);
        let Some((_, value)) = self.find(key) else {
            return Vec::new();
        };
        let pattern = join(&self.pattern, key);
        let expected = format!("a list of tables, each under [[{pattern}]]");
        let Some(array) = value.as_array() else {
            self.wrong_type(&self.spot(key), value, &expected);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (idx, element) in array.iter().enumerate() {
            let line = self.lines.line_of(&element.span());
            let path = format!("{}[{}]", join(&self.path, key), idx + 1);
            let Some(table) = element.get_ref().as_table() else {
                let spot = Spot { line, key: path };
                self.wrong_type(&spot, element.get_ref(), &expected);
                continue;
            };
            sections.push(Section {
                report: self.report,
                lines: self.lines,
                table: Some(table),
                path,
                pattern: pattern.clone(),
                line,
                asked: Vec::new(),
            });
        }
        sections
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        let Some(table) = self.table else { return };
        let mut known = self.asked.clone();
        known.sort_unstable();
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let spot = Spot {
                line: self.lines.line_of(&key.span()),
                key: join(&self.path, name),
            };
            let text = match nearest(name, &self.asked) {
                Some(known) => format!("unknown key (did you mean {known}?)"),
                None if self.asked.is_empty() => "unknown key (remove it)".to_owned(),
                None => format!("unknown key (known here: {})", known.join(", ")),
            };
            self.report.problem(&spot, text);
        }
    }

    fn ask(&mut self, key: &'static str) -> Option<(&'a DeValue<'a>, Spot)> {
        self.asked.push(key);
        self.report.asked(join(&self.pattern, key));
        let (_, value) = self.find(key)?;
        Some((value, self.spot(key)))
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &'a DeValue<'a>)> {
        let (name, value): (&Spanned<_>, &Spanned<DeValue<'a>>) = self
            .table?
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)?;
        Some((name.span(), value.get_ref()))
    }

    fn wrong_type(&self, spot: &Spot, value: &DeValue<'_>, expected: &str) {
        let found = match value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report
            .problem(spot, format!("is {found} (write {expected})"));
    }
}

fn join(path: &str, key: &str) -> String {
    match (path.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (false, true) => path.to_owned(),
        (false, false) => format!("{path}.{key}"),
    }
}

/// A value as an error quotes it: a long one (perhaps a password in the wrong place) only in part.
fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 48;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(CHARS_MAX).collect();
    format!("{start}\u{2026}")
}

/// The known key that `name` is a slip of: at most two letters off, or only `-` for `_`.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance_max = if name.len() <= 3 { 1 } else { 2 };
    known
        .iter()
        .map(|key| (edit_distance(name, key), *key))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, key)| key)
}

/// Letters to insert, delete or replace to make one text of the other (Levenshtein, 1965).
fn edit_distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (from_idx, from_char) in from.chars().enumerate() {
        let mut left = from_idx + 1;
        let mut diagonal = from_idx;
        for (cell, to_char) in row.iter_mut().skip(1).zip(to.chars()) {
            let replaced = diagonal + usize::from(from_char != to_char);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = from_idx + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_two_letters_is_recognised() {
        let known = ["password_file", "password_env", "url", "id"];
        assert_eq!(nearest("pasword_file", &known), Some("password_file"));
        assert_eq!(nearest("password-file", &known), Some("password_file"));
        assert_eq!(nearest("urls", &known), Some("url"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
    }
}
