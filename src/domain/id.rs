//! Identifiers: slugs that people write in the configuration, and 128-bit ids that we derive.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// Longest slug, in bytes. MQTT topics, file names and metric labels are made of slugs.
pub const SLUG_BYTES_MAX: usize = 32;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, over 32 characters, or with a character that topics and file names cannot hold.
    #[error("an id is 1 to 32 of the characters a-z, A-Z, 0-9, '-' and '_'")]
    Slug,
    /// Not 32 hexadecimal digits.
    #[error("an id is 32 hexadecimal digits")]
    Digest,
}

fn check_slug(text: &str) -> Result<(), IdError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > SLUG_BYTES_MAX || !text.chars().all(allowed) {
        return Err(IdError::Slug);
    }
    Ok(())
}

macro_rules! slug_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 32 of `a-z A-Z 0-9 - _`; cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// [`IdError::Slug`] unless 1 to 32 of the allowed characters.
            pub fn new(text: &str) -> Result<$name, IdError> {
                check_slug(text)?;
                Ok($name(Arc::from(text)))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<$name, IdError> {
                $name::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                $name::new(&text).map_err(de::Error::custom)
            }
        }
    };
}

slug_id!(
    /// One site.
    CompoundId
);
slug_id!(
    /// One entrance shaft of a building.
    StairwellId
);
slug_id!(
    /// An access point with a card reader.
    DoorId
);
slug_id!(
    /// An RTSP source.
    CameraId
);
slug_id!(
    /// A configured outside receiver of alerts.
    LinkageId
);
slug_id!(
    /// One cell of the grid map: some buildings for which the same parties are answerable.
    GridId
);
slug_id!(
    /// A flat with a floor area.
    DwellingId
);
slug_id!(
    /// A person in a dwelling.
    CardholderId
);

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// The first 128 bits of a SHA-256 over the parts that make it unique, so the same facts
        /// always give the same id. Shown as 32 lower-case hexadecimal digits.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Derives the id from `parts`; each part is hashed with its length, so parts cannot run
            /// into each other.
            pub fn derive(parts: &[&[u8]]) -> $name {
                $name(digest16(stringify!($name), parts))
            }

            /// From its 16 bytes, as stored.
            pub const fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(bytes)
            }

            /// Its 16 bytes, as stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<$name, IdError> {
                let mut bytes = [0; 16];
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) => Ok($name(bytes)),
                    Err(_) => Err(IdError::Digest),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
                } else {
                    let bytes = bytes::Bytes::deserialize(deserializer)?;
                    let bytes: [u8; 16] =
                        bytes.as_ref().try_into().map_err(de::Error::custom)?;
                    Ok($name(bytes))
                }
            }
        }
    };
}

digest_id!(
    /// Our record of one swipe; derived from door, controller boot and sequence.
    EntryId
);
digest_id!(
    /// Something the duty room must see; derived from its cause.
    AlertId
);

fn digest16(kind: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_hold_only_what_topics_and_files_can() {
        assert!(DoorId::new("b03-u2-door").is_ok());
        for bad in [
            "",
            "a/b",
            "a.b",
            "a b",
            "+",
            "#",
            "\u{697c}",
            &"x".repeat(33),
        ] {
            assert_eq!(DoorId::new(bad), Err(IdError::Slug), "{bad}");
        }
    }

    #[test]
    fn derived_ids_differ_by_how_parts_are_cut() {
        let ab_c = EntryId::derive(&[b"ab", b"c"]);
        let a_bc = EntryId::derive(&[b"a", b"bc"]);
        assert_ne!(ab_c, a_bc);
        assert_eq!(ab_c.to_string().parse::<EntryId>().unwrap(), ab_c);
        assert_eq!("zz".parse::<EntryId>(), Err(IdError::Digest));
    }

    #[test]
    fn derived_ids_survive_both_encodings() {
        let id = EntryId::derive(&[b"door", b"boot", b"1"]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<EntryId>(&json).unwrap(), id);
        let packed = rmp_serde::to_vec_named(&id).unwrap();
        assert_eq!(rmp_serde::from_slice::<EntryId>(&packed).unwrap(), id);
    }
}
