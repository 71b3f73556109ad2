//! Keys as bytes whose order is the order of the values: big-endian numbers, text with an end mark.

use crate::domain::card::CardKey;
use crate::domain::clip::FootageName;
use crate::domain::id::{
    AlertId, CameraId, CardholderId, DoorId, DwellingId, EntryId, LinkageId, StairwellId,
};
use crate::time::WallTime;

/// Why bytes are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// They end too soon.
    #[error("the key is too short")]
    Short,
    /// Bytes are left over.
    #[error("the key is too long")]
    Long,
    /// Text in it is not what its type allows.
    #[error("text in the key is malformed")]
    Text,
}

/// A value that is, or is part of, a key.
pub trait Key: Sized {
    /// Appends the bytes; their order is the order of the values.
    fn encode(&self, bytes: &mut Vec<u8>);
    /// Reads them back.
    ///
    /// # Errors
    /// [`KeyError`] when they are not what [`Key::encode`] writes.
    fn decode(reader: &mut KeyReader<'_>) -> Result<Self, KeyError>;
}

/// Reads a key from its front.
#[derive(Debug)]
pub struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    /// Reads `bytes`.
    pub fn new(bytes: &'a [u8]) -> KeyReader<'a> {
        KeyReader(bytes)
    }

    /// Takes `N` bytes.
    ///
    /// # Errors
    /// [`KeyError::Short`] when fewer are left.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let (front, rest) = self.0.split_first_chunk::<N>().ok_or(KeyError::Short)?;
        self.0 = rest;
        Ok(*front)
    }

    /// Takes the text up to its end mark (a zero byte).
    ///
    /// # Errors
    /// [`KeyError::Short`] without an end mark, [`KeyError::Text`] when not UTF-8.
    pub fn take_text(&mut self) -> Result<&'a str, KeyError> {
        let end = self.0.iter().position(|b| *b == 0).ok_or(KeyError::Short)?;
        let (front, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        std::str::from_utf8(front).or(Err(KeyError::Text))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`KeyError::Long`] when something is.
    pub fn finish(self) -> Result<(), KeyError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(KeyError::Long)
        }
    }
}

impl Key for () {
    fn encode(&self, _bytes: &mut Vec<u8>) {}
    fn decode(_reader: &mut KeyReader<'_>) -> Result<(), KeyError> {
        Ok(())
    }
}

impl Key for u64 {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
    fn decode(reader: &mut KeyReader<'_>) -> Result<u64, KeyError> {
        reader.take().map(u64::from_be_bytes)
    }
}

impl Key for WallTime {
    fn encode(&self, bytes: &mut Vec<u8>) {
        // Flipping the sign bit puts times before 1970 in front of the others.
        let ordered = self.unix_ns().cast_unsigned() ^ (1 << 63);
        bytes.extend_from_slice(&ordered.to_be_bytes());
    }
    fn decode(reader: &mut KeyReader<'_>) -> Result<WallTime, KeyError> {
        let ordered = reader.take().map(u64::from_be_bytes)?;
        Ok(WallTime::from_unix_ns((ordered ^ (1 << 63)).cast_signed()))
    }
}

macro_rules! digest_key {
    ($($name:ident)*) => {$(
        impl Key for $name {
            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.as_bytes());
            }
            fn decode(reader: &mut KeyReader<'_>) -> Result<$name, KeyError> {
                reader.take().map($name::from_bytes)
            }
        }
    )*};
}
digest_key!(EntryId AlertId CardKey);

macro_rules! text_key {
    ($($name:ident)*) => {$(
        impl Key for $name {
            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.as_str().as_bytes());
                bytes.push(0);
            }
            fn decode(reader: &mut KeyReader<'_>) -> Result<$name, KeyError> {
                reader.take_text()?.parse().or(Err(KeyError::Text))
            }
        }
    )*};
}
text_key!(CameraId CardholderId DoorId DwellingId FootageName LinkageId StairwellId String);

impl<A: Key, B: Key> Key for (A, B) {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.0.encode(bytes);
        self.1.encode(bytes);
    }
    fn decode(reader: &mut KeyReader<'_>) -> Result<(A, B), KeyError> {
        Ok((A::decode(reader)?, B::decode(reader)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.0.encode(bytes);
        self.1.encode(bytes);
        self.2.encode(bytes);
    }
    fn decode(reader: &mut KeyReader<'_>) -> Result<(A, B, C), KeyError> {
        Ok((A::decode(reader)?, B::decode(reader)?, C::decode(reader)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of<K: Key>(key: &K) -> Vec<u8> {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        bytes
    }

    fn round_trip<K: Key>(key: &K) -> K {
        let bytes = bytes_of(key);
        let mut reader = KeyReader::new(&bytes);
        let back = K::decode(&mut reader).unwrap();
        reader.finish().unwrap();
        back
    }

    proptest! {
        #[test]
        fn order_of_bytes_is_order_of_values(
            a in any::<i64>(), b in any::<i64>(), x in "[a-z0-9_-]{1,8}", y in "[a-z0-9_-]{1,8}",
        ) {
            let (a, b) = (WallTime::from_unix_ns(a), WallTime::from_unix_ns(b));
            prop_assert_eq!(bytes_of(&a).cmp(&bytes_of(&b)), a.cmp(&b));
            let (x, y) = (DoorId::new(&x).unwrap(), DoorId::new(&y).unwrap());
            let (left, right) = ((x, a), (y, b));
            prop_assert_eq!(bytes_of(&left).cmp(&bytes_of(&right)), left.cmp(&right));
            prop_assert_eq!(round_trip(&left), left);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = KeyReader::new(&bytes);
            if let Ok(key) = <(DoorId, WallTime, EntryId)>::decode(&mut reader)
                && reader.finish().is_ok()
            {
                prop_assert_eq!(bytes_of(&key), bytes);
            }
        }
    }
}
