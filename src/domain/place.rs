//! Where things are: the compound itself (gates, barriers) or one of its stairwells.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::id::{CameraId, DoorId, IdError, StairwellId};

/// The word for the compound as a place; no stairwell may have it as its id.
pub const COMPOUND: &str = "compound";

/// A place that has doors and cameras.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The compound: gates and barriers, which every cardholder passes.
    Compound,
    /// One stairwell of a building.
    Stairwell(StairwellId),
}

impl Place {
    /// Reads `"compound"` or a stairwell id.
    ///
    /// # Errors
    /// [`IdError::Slug`] when it is neither.
    pub fn new(text: &str) -> Result<Place, IdError> {
        if text == COMPOUND {
            Ok(Place::Compound)
        } else {
            StairwellId::new(text).map(Place::Stairwell)
        }
    }

    /// `"compound"` or the stairwell's id.
    pub fn as_str(&self) -> &str {
        match self {
            Place::Compound => COMPOUND,
            Place::Stairwell(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Place, D::Error> {
        Place::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A stairwell with the names people know it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stairwell {
    /// Its id.
    pub id: StairwellId,
    /// The building's number or name, as on its wall.
    pub building: String,
    /// The entrance's number, as on its door.
    pub unit: String,
}

/// An access point with a card reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Its id.
    pub id: DoorId,
    /// Where it is.
    pub place: Place,
    /// The cameras that see it; the first is the one whose clip stands for the entry.
    pub cameras: Vec<CameraId>,
}
