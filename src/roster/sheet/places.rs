//! Which stairwell people mean: by its id, or by building and unit as they are written on the wall.

use std::collections::HashMap;

use super::text::squeeze;
use crate::domain::id::StairwellId;
use crate::domain::place::Place;

/// The stairwells of a compound, found by what people write.
#[derive(Clone, Debug, Default)]
pub struct PlaceBook {
    ids: HashMap<String, StairwellId>,
    /// `None`: two stairwells have the same building and unit.
    by_wall: HashMap<(String, String), Option<StairwellId>>,
    walls: HashMap<StairwellId, (String, String)>,
}

impl PlaceBook {
    /// From id, building and unit of each stairwell.
    pub fn new<'s>(
        stairwells: impl IntoIterator<Item = (&'s StairwellId, &'s str, &'s str)>,
    ) -> PlaceBook {
        let mut book = PlaceBook::default();
        for (id, building, unit) in stairwells {
            book.ids
                .insert(id.as_str().to_ascii_lowercase(), id.clone());
            let wall = (label(building), label(unit));
            book.by_wall
                .entry(wall)
                .and_modify(|known| *known = None)
                .or_insert_with(|| Some(id.clone()));
            let shown = (building.to_owned(), unit.to_owned());
            book.walls.insert(id.clone(), shown);
        }
        book
    }

    /// By id, `compound`, or building and unit in one text such as `3幢2单元` or `3-2`.
    pub(super) fn find(&self, text: &str) -> Option<Place> {
        let plain = squeeze(text);
        if ["compound", "小区"].contains(&plain.to_lowercase().as_str()) {
            return Some(Place::Compound);
        }
        if let Some(id) = self.ids.get(&plain.to_ascii_lowercase()) {
            return Some(Place::Stairwell(id.clone()));
        }
        let parts = address(&plain);
        let [building, unit] = parts.as_slice() else {
            return None;
        };
        self.by_wall(building, unit)
    }

    /// By building and unit, each as people write it: `3`, `03`, `3幢`, `三单元`.
    pub(super) fn by_wall(&self, building: &str, unit: &str) -> Option<Place> {
        let found = self.by_wall.get(&(label(building), label(unit)))?;
        found.clone().map(Place::Stairwell)
    }

    /// Building, unit and number out of a full address such as `3-2-301` or `3幢2单元301室`.
    pub(super) fn split_address(&self, text: &str) -> Option<(Place, String)> {
        let parts = address(&squeeze(text));
        let [building, unit, number] = parts.as_slice() else {
            return None;
        };
        Some((self.by_wall(building, unit)?, number.clone()))
    }

    /// Building and unit of a stairwell, as the configuration writes them.
    pub fn wall_of(&self, place: &Place) -> Option<(&str, &str)> {
        let Place::Stairwell(id) = place else {
            return None;
        };
        let (building, unit) = self.walls.get(id)?;
        Some((building, unit))
    }
}

/// What follows the label of a building, a unit or a dwelling.
const SUFFIXES: [&str; 12] = [
    "号楼", "单元", "楼道", "幢", "栋", "座", "楼", "室", "号", "房", "户", "梯",
];

/// The label without its suffix, leading zeros and Chinese numerals.
fn label(text: &str) -> String {
    let mut plain = squeeze(text).to_lowercase();
    while let Some(rest) = SUFFIXES.iter().find_map(|s| plain.strip_suffix(s)) {
        plain = rest.to_owned();
    }
    if let Some(number) = numeral(&plain) {
        return number.to_string();
    }
    let trimmed = plain.trim_start_matches('0');
    let is_number = plain.bytes().all(|b| b.is_ascii_digit());
    match (trimmed.is_empty(), is_number) {
        (true, true) if !plain.is_empty() => "0".to_owned(),
        (false, true) => trimmed.to_owned(),
        (_, _) => plain,
    }
}

/// A dwelling's number without `室` and its like: `301室` and `301` are one dwelling.
pub(super) fn number_label(text: &str) -> String {
    let mut plain = squeeze(text);
    while let Some(rest) = ["室", "号", "房", "户"]
        .iter()
        .find_map(|s| plain.strip_suffix(s))
    {
        plain = rest.to_owned();
    }
    plain
}

/// The Chinese numerals from 一 to 九十九.
fn numeral(text: &str) -> Option<u32> {
    let digit = |c: char| {
        let digits = "一二三四五六七八九";
        let at = digits.chars().position(|d| d == c)?;
        u32::try_from(at + 1).ok()
    };
    let chars: Vec<char> = text.chars().collect();
    match chars.as_slice() {
        ['十'] => Some(10),
        ['十', ones] => Some(10 + digit(*ones)?),
        [tens, '十'] => Some(digit(*tens)? * 10),
        [tens, '十', ones] => Some(digit(*tens)? * 10 + digit(*ones)?),
        [ones] => digit(*ones),
        _ => None,
    }
}

/// The parts of an address: cut at marks and at the suffixes of building and unit.
fn address(plain: &str) -> Vec<String> {
    let mut text = plain.to_owned();
    for suffix in ["号楼", "单元", "楼道", "幢", "栋", "座"] {
        text = text.replace(suffix, "-");
    }
    let parts = text.split(['-', '#', '/', '\u{2013}', '\u{2014}', '_', '.']);
    parts
        .map(number_label)
        .filter(|part| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> PlaceBook {
        let ids = ["b03-u2", "b12-u1"].map(|id| StairwellId::new(id).unwrap());
        PlaceBook::new([(&ids[0], "3", "2"), (&ids[1], "12幢", "1单元")])
    }

    #[test]
    fn stairwells_are_found_by_what_people_write() {
        let book = book();
        let first = Some(Place::new("b03-u2").unwrap());
        for text in [
            "b03-u2",
            "B03-U2",
            "3幢2单元",
            "3-2",
            "３－２",
            "03#2",
            "三幢二单元",
            "3号楼2单元",
            "3栋 2单元",
        ] {
            assert_eq!(book.find(text), first, "{text}");
        }
        for (building, unit) in [("3", "2"), ("3幢", "02"), ("三号楼", "二单元")] {
            assert_eq!(book.by_wall(building, unit), first, "{building} {unit}");
        }
        assert_eq!(
            book.by_wall("十二", "一"),
            Some(Place::new("b12-u1").unwrap())
        );
        assert_eq!(book.find("小区"), Some(Place::Compound));
        for text in ["", "4-1", "3", "3-2-301", "b03"] {
            assert_eq!(book.find(text), None, "{text}");
        }
    }

    #[test]
    fn a_full_address_is_taken_apart() {
        let book = book();
        let place = Place::new("b03-u2").unwrap();
        for text in ["3-2-301", "3幢2单元301室", "3栋二单元301"] {
            let found = book.split_address(text);
            assert_eq!(found, Some((place.clone(), "301".to_owned())), "{text}");
        }
        assert_eq!(book.split_address("301"), None);
        assert_eq!(number_label(" 301 室"), "301");
    }

    #[test]
    fn a_wall_that_means_two_stairwells_means_none() {
        let ids = ["a", "b"].map(|id| StairwellId::new(id).unwrap());
        let book = PlaceBook::new([(&ids[0], "3", "2"), (&ids[1], "3幢", "2")]);
        assert_eq!(book.find("3-2"), None);
    }
}
