//! Card numbers, and how they may be shown and stored: never whole.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Digits of a card number shown to people, at most (contract: `card_ref`).
const TAIL_DIGITS_MAX: usize = 4;

/// Why a text is not a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card number is 4 to 32 hexadecimal digits")]
pub struct CardNumberError;

/// A credential's number: 4 to 32 upper-case hexadecimal digits.
///
/// `Debug` and `Display` hide it; [`CardNumber::reveal`] is for the door's card list only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardNumber(Box<str>);

impl CardNumber {
    /// Reads hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`CardNumberError`] unless 4 to 32 hexadecimal digits.
    pub fn new(text: &str) -> Result<CardNumber, CardNumberError> {
        if !(4..=32).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(CardNumberError);
        }
        Ok(CardNumber(text.to_ascii_uppercase().into_boxed_str()))
    }

    /// The whole number. For the card list of a door and for hashing, nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What people may see: `…` and the last four digits; of a number so short that four digits
    /// would give most of it away, the last two.
    pub fn tail(&self) -> String {
        let n_shown = if self.0.len() >= 2 * TAIL_DIGITS_MAX {
            TAIL_DIGITS_MAX
        } else {
            2
        };
        let tail: String = self.0.chars().skip(self.0.len() - n_shown).collect();
        format!("\u{2026}{tail}")
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardNumber(hidden)")
    }
}

impl FromStr for CardNumber {
    type Err = CardNumberError;

    fn from_str(text: &str) -> Result<CardNumber, CardNumberError> {
        CardNumber::new(text)
    }
}

/// The site's secret for [`CardKey`]s: without it a stored key cannot be turned back by trying all
/// card numbers.
#[derive(Clone)]
pub struct CardHasher(Hmac<Sha256>);

impl CardHasher {
    /// From the site's secret, 32 random bytes.
    pub fn new(secret: &[u8; 32]) -> CardHasher {
        CardHasher(
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC-SHA-256 takes a key of any length"),
        )
    }

    /// The key under which `card` is stored and looked up.
    pub fn key_of(&self, card: &CardNumber) -> CardKey {
        CardKey(self.hash16(b"card\0", card.reveal().as_bytes()))
    }

    /// The first 128 bits of the keyed hash of `bytes`; `kind` ends with a zero byte, so that kinds
    /// cannot run into each other.
    pub(super) fn hash16(&self, kind: &[u8], bytes: &[u8]) -> [u8; 16] {
        let mut mac = self.0.clone();
        mac.update(kind);
        mac.update(bytes);
        let digest = mac.finalize().into_bytes();
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        key
    }
}

impl fmt::Debug for CardHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardHasher(hidden)")
    }
}

/// A card number's keyed hash (HMAC-SHA-256, first 128 bits): what the store holds instead of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardKey([u8; 16]);

impl CardKey {
    /// From its 16 bytes, as stored.
    pub const fn from_bytes(bytes: [u8; 16]) -> CardKey {
        CardKey(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// 32 lower-case hexadecimal digits: the card's id in the API. Without the site's secret it says
    /// nothing about the number.
    pub fn card_id(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads what [`CardKey::card_id`] writes.
    pub fn from_card_id(text: &str) -> Option<CardKey> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(CardKey(bytes))
    }
}

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKey(hidden)")
    }
}

/// A card as an entry remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRef {
    /// Keyed hash of the number.
    pub key: CardKey,
    /// What people may see of it, such as `…C3D4`.
    pub tail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_upper_case_and_never_print() {
        let card = CardNumber::new("04a1b2c3d4").unwrap();
        assert_eq!(card, CardNumber::new("04A1B2C3D4").unwrap());
        assert_eq!(card.tail(), "\u{2026}C3D4");
        assert_eq!(CardNumber::new("04A1").unwrap().tail(), "\u{2026}A1");
        assert!(!format!("{card:?}").contains("C3D4"));
        for bad in ["", "123", "12g4", &"0".repeat(33)] {
            assert_eq!(CardNumber::new(bad), Err(CardNumberError));
        }
    }

    #[test]
    fn keys_depend_on_the_secret() {
        let card = CardNumber::new("04A1B2C3D4").unwrap();
        let key = CardHasher::new(&[1; 32]).key_of(&card);
        assert_eq!(key, CardHasher::new(&[1; 32]).key_of(&card));
        assert_ne!(key, CardHasher::new(&[2; 32]).key_of(&card));
    }
}
