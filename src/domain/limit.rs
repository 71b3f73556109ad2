//! The housing rule: at least so many square metres a person, so `floor(area / m²)` cardholders.
//!
//! The figure of 12 m² is the client's; its legal basis is a local order on rented housing. Integer
//! arithmetic only: areas are whole 0.01 m².

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Largest area taken, 1,000,000 m²: what is larger is a typing error.
const AREA_HUNDREDTHS_M2_MAX: u32 = 100_000_000;

/// Why a text is not an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an area is a decimal number of m² from 0 to 1000000 with two places at most, such as 94.30"
)]
pub struct FloorAreaError;

/// A floor area in whole 0.01 m², 0 to 1,000,000 m². Shown with two places: `94.30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FloorArea(u32);

impl FloorArea {
    /// From hundredths of a square metre.
    ///
    /// # Errors
    /// [`FloorAreaError`] above 1,000,000 m².
    pub const fn from_hundredths_m2(hundredths: u32) -> Result<FloorArea, FloorAreaError> {
        if hundredths > AREA_HUNDREDTHS_M2_MAX {
            Err(FloorAreaError)
        } else {
            Ok(FloorArea(hundredths))
        }
    }

    /// In hundredths of a square metre.
    pub const fn hundredths_m2(self) -> u32 {
        self.0
    }
}

impl FromStr for FloorArea {
    type Err = FloorAreaError;

    fn from_str(text: &str) -> Result<FloorArea, FloorAreaError> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let well_formed = !whole.is_empty() && whole.len() <= 7 && digits(whole);
        if !well_formed || places.len() > 2 || !digits(places) || text.ends_with('.') {
            return Err(FloorAreaError);
        }
        let whole: u32 = whole.parse().or(Err(FloorAreaError))?;
        let hundredths: u32 = format!("{places:0<2}").parse().or(Err(FloorAreaError))?;
        FloorArea::from_hundredths_m2(whole * 100 + hundredths)
    }
}

impl fmt::Display for FloorArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for FloorArea {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FloorArea {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FloorArea, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// How many persons may hold cards for a dwelling of `area` when each needs `per_person`: the floor
/// of the quotient; zero when `per_person` is zero, so a broken rule lets nobody in by accident.
///
/// ```
/// use stairgate::domain::limit::cardholder_limit;
/// let limit = |area: &str| cardholder_limit(area.parse().unwrap(), "12".parse().unwrap());
/// assert_eq!(limit("11.99"), 0);
/// assert_eq!(limit("94.30"), 7);
/// ```
pub const fn cardholder_limit(area: FloorArea, per_person: FloorArea) -> u32 {
    match area.0.checked_div(per_person.0) {
        Some(limit) => limit,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_the_floor() {
        let per_person = "12".parse().unwrap();
        for (area, limit) in [
            ("0", 0),
            ("11.99", 0),
            ("12.00", 1),
            ("23.99", 1),
            ("94.30", 7),
            ("119.99", 9),
            ("120.00", 10),
        ] {
            assert_eq!(
                cardholder_limit(area.parse().unwrap(), per_person),
                limit,
                "{area}"
            );
        }
    }

    #[test]
    fn areas_are_read_exactly_or_refused() {
        assert_eq!("94.3".parse::<FloorArea>().unwrap().to_string(), "94.30");
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1.234",
            "1,5",
            "1e3",
            "1000000.01",
            " 1",
        ] {
            assert_eq!(bad.parse::<FloorArea>(), Err(FloorAreaError), "{bad}");
        }
    }
}
