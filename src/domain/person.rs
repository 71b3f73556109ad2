//! Persons: a name and a mark by which one person in two dwellings is known as one. Neither prints.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::card::CardHasher;
use super::id::CardholderId;
use super::secret::Secret;

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest mark of a person, in characters.
pub const PERSON_MARK_CHARS_MAX: usize = 64;

/// Why a text is not a name or a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    /// Too long, or with a control character.
    #[error("a name has at most 64 characters, none of them a control character")]
    Name,
    /// Empty, too long, or with a control character.
    #[error("a person key is 1 to 64 characters, none of them a control character")]
    Mark,
}

/// A person's name, 0 to 64 characters without blanks around it; empty where nobody said it.
///
/// `Debug` hides it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(Secret);

impl PersonName {
    /// Takes `text` without the blanks around it.
    ///
    /// # Errors
    /// [`PersonError::Name`].
    pub fn new(text: &str) -> Result<PersonName, PersonError> {
        checked(text, NAME_CHARS_MAX)
            .map(|text| PersonName(Secret::new(text)))
            .ok_or(PersonError::Name)
    }

    /// The name: for who may see it, and for sealing; never for a log or an error.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Did nobody say it?
    pub fn is_empty(&self) -> bool {
        self.reveal().is_empty()
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(hidden)")
    }
}

/// What the property manager knows a person by, the same in every dwelling (`person_key` in the API
/// and in spreadsheets): opaque, 1 to 64 characters. Not an identity card's number; it is kept sealed
/// all the same, and compared by its keyed hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonMark(Secret);

impl PersonMark {
    /// Takes `text` without the blanks around it.
    ///
    /// # Errors
    /// [`PersonError::Mark`].
    pub fn new(text: &str) -> Result<PersonMark, PersonError> {
        checked(text, PERSON_MARK_CHARS_MAX)
            .filter(|text| !text.is_empty())
            .map(|text| PersonMark(Secret::new(text)))
            .ok_or(PersonError::Mark)
    }

    /// The mark: for who may see it, and for sealing; never for a log or an error.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for PersonMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonMark(hidden)")
    }
}

fn checked(text: &str, chars_max: usize) -> Option<&str> {
    let text = text.trim();
    let fits = text.chars().count() <= chars_max && !text.chars().any(char::is_control);
    fits.then_some(text)
}

macro_rules! keyed_hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(bytes)
            }

            /// Its 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    };
}

keyed_hash!(
    /// A person, as a keyed hash: the same in every dwelling, and of no use outside this site.
    PersonKey
);
keyed_hash!(
    /// A name, as a keyed hash: finds those of exactly that name.
    NameKey
);

impl CardHasher {
    /// The key of the person with `mark`; without a mark, of the person that only `holder` stands for.
    pub fn person_of(&self, mark: Option<&PersonMark>, holder: &CardholderId) -> PersonKey {
        PersonKey(match mark {
            Some(mark) => self.hash16(b"person\0", mark.reveal().as_bytes()),
            None => self.hash16(b"holder\0", holder.as_str().as_bytes()),
        })
    }

    /// The key under which `name` is found.
    pub fn name_of(&self, name: &PersonName) -> NameKey {
        NameKey(self.hash16(b"name\0", name.reveal().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_marks_lose_blanks_and_never_print() {
        let name = PersonName::new("  Test Person ").unwrap();
        assert_eq!(name.reveal(), "Test Person");
        let mark = PersonMark::new("P-17").unwrap();
        assert_eq!(
            format!("{name:?} {mark:?}"),
            "PersonName(hidden) PersonMark(hidden)"
        );
        assert!(PersonName::new("").unwrap().is_empty());
        for bad in ["a\nb", &"x".repeat(65)] {
            assert_eq!(PersonName::new(bad), Err(PersonError::Name));
            assert_eq!(PersonMark::new(bad), Err(PersonError::Mark));
        }
        assert_eq!(PersonMark::new(" "), Err(PersonError::Mark));
    }

    #[test]
    fn a_mark_is_one_person_in_every_dwelling_and_no_mark_is_another_in_each() {
        let hasher = CardHasher::new(&[1; 32]);
        let (h1, h2) = (
            CardholderId::new("h1").unwrap(),
            CardholderId::new("h2").unwrap(),
        );
        let mark = PersonMark::new("h1").unwrap();
        let marked = hasher.person_of(Some(&mark), &h1);
        assert_eq!(marked, hasher.person_of(Some(&mark), &h2));
        assert_ne!(marked, hasher.person_of(None, &h1));
        assert_ne!(hasher.person_of(None, &h1), hasher.person_of(None, &h2));
    }
}
