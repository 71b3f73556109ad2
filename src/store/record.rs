//! Values as bytes: a version byte, then MessagePack with field names, so that a field can be added
//! with a default, and everything else is a new version with its own migration.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is not even a version byte.
    #[error("the record is empty")]
    Empty,
    /// The version is none we know.
    #[error("the record has version {found}, this program knows {known}")]
    Version {
        /// As stored.
        found: u8,
        /// Ours.
        known: u8,
    },
    /// The body is not what its version has.
    #[error("the record's body is malformed")]
    Body(#[source] rmp_serde::decode::Error),
    /// The value cannot be encoded.
    #[error("the record cannot be encoded")]
    Encode(#[source] rmp_serde::encode::Error),
}

/// A value that a table holds.
pub trait Record: Serialize + DeserializeOwned {
    /// Version of the stored shape; counts up when a change is more than an added field with a
    /// default.
    const VERSION: u8;
}

pub(super) fn encode<V: Record>(value: &V) -> Result<Vec<u8>, RecordError> {
    let mut bytes = vec![V::VERSION];
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    value
        .serialize(&mut serializer)
        .map_err(RecordError::Encode)?;
    Ok(bytes)
}

pub(super) fn decode<V: Record>(bytes: &[u8]) -> Result<V, RecordError> {
    let (version, body) = bytes.split_first().ok_or(RecordError::Empty)?;
    if *version != V::VERSION {
        return Err(RecordError::Version {
            found: *version,
            known: V::VERSION,
        });
    }
    rmp_serde::from_slice(body).map_err(RecordError::Body)
}

macro_rules! record {
    ($($name:ty = $version:literal),* $(,)?) => {$(
        impl Record for $name {
            const VERSION: u8 = $version;
        }
    )*};
}
pub(super) use record;
