//! Seals personal fields with XChaCha20-Poly1305: a random 192-bit nonce for each, so that no counter has
//! to be kept, and the record it belongs to as associated data, so that a sealed text cannot be put
//! into another record or another revision.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rustls::crypto::SecureRandom;
use sha2::{Digest as _, Sha256};

use super::key_file::LedgerKeys;
use crate::domain::card::{CardKey, CardNumber};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::ledger::{CardRecord, CardholderRecord, Sealed};
use crate::domain::person::{PersonMark, PersonName};

const NONCE_BYTES: usize = 24;
/// Between a name and a mark; neither can hold it.
const SEPARATOR: char = '\0';

/// Why a text cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The system gives no randomness.
    #[error("draw a random nonce")]
    Random,
    /// Sealing failed; only a text of many gigabytes does that.
    #[error("seal a text")]
    Seal,
    /// It was sealed with a key that is not there.
    #[error("a record is sealed with the key {key_id:016x}, which is not there")]
    KeyGone {
        /// The key's id.
        key_id: u64,
    },
    /// It was changed, or belongs to another record.
    #[error("a sealed text does not belong to its record")]
    Broken,
    /// What it holds is not what we write.
    #[error("a sealed text has no readable content")]
    Content,
}

/// What a sealed text belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// A cardholder's personal fields, at that revision.
    Holder(&'a CardholderId, u64),
    /// A card's number, at that revision.
    Card(&'a CardKey, u64),
    /// The reason in the history of a dwelling under that number.
    Why(&'a DwellingId, u64),
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        let (word, id, revision) = match self {
            Place::Holder(id, revision) => ("holder", id.as_str().as_bytes(), revision),
            Place::Card(key, revision) => ("card", key.as_bytes().as_slice(), revision),
            Place::Why(id, seq) => ("why", id.as_str().as_bytes(), seq),
        };
        let mut bytes = word.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend_from_slice(&revision.to_be_bytes());
        bytes.extend_from_slice(id);
        bytes
    }
}

struct Key {
    id: u64,
    cipher: XChaCha20Poly1305,
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Key {
        Key {
            id: id_of(bytes),
            cipher: XChaCha20Poly1305::new(bytes.into()),
        }
    }
}

/// Names a key without telling anything of it.
fn id_of(key: &[u8; 32]) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(b"stairgate ledger key id\0");
    hasher.update(key);
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// Seals and opens.
pub(in crate::roster) struct Vault {
    current: Key,
    old: Option<Key>,
    random: &'static dyn SecureRandom,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(hidden)")
    }
}

impl Vault {
    pub(super) fn new(keys: &LedgerKeys) -> Vault {
        Vault {
            current: Key::new(&keys.current),
            old: keys.old.as_ref().map(Key::new),
            random: rustls::crypto::ring::default_provider().secure_random,
        }
    }

    /// The id of the key that is sealed with.
    pub(super) fn key_id(&self) -> u64 {
        self.current.id
    }

    /// Can texts sealed with `key_id` be opened?
    pub(super) fn has_key(&self, key_id: u64) -> bool {
        self.key(key_id).is_some()
    }

    fn key(&self, key_id: u64) -> Option<&Key> {
        let keys = [Some(&self.current), self.old.as_ref()];
        keys.into_iter().flatten().find(|key| key.id == key_id)
    }

    pub(super) fn seal(&self, place: Place<'_>, text: &str) -> Result<Sealed, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce).or(Err(VaultError::Random))?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &place.bytes(),
        };
        let sealed = self
            .current
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .or(Err(VaultError::Seal))?;
        Ok(Sealed {
            key_id: self.current.id,
            bytes: [nonce.as_slice(), &sealed].concat().into(),
        })
    }

    pub(super) fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<String, VaultError> {
        let key = self.key(sealed.key_id).ok_or(VaultError::KeyGone {
            key_id: sealed.key_id,
        })?;
        let (nonce, rest) = sealed
            .bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(VaultError::Broken)?;
        let payload = Payload {
            msg: rest,
            aad: &place.bytes(),
        };
        let bytes = key
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .or(Err(VaultError::Broken))?;
        String::from_utf8(bytes).or(Err(VaultError::Content))
    }

    /// `sealed`, opened and sealed anew with the current key; `None` when it is.
    pub(super) fn reseal(
        &self,
        place: Place<'_>,
        sealed: &Sealed,
    ) -> Result<Option<Sealed>, VaultError> {
        if sealed.key_id == self.current.id {
            return Ok(None);
        }
        let text = self.open(place, sealed)?;
        self.seal(place, &text).map(Some)
    }

    pub(super) fn seal_person(
        &self,
        (id, revision): (&CardholderId, u64),
        name: &PersonName,
        mark: Option<&PersonMark>,
    ) -> Result<Sealed, VaultError> {
        let text = match mark {
            Some(mark) => format!("{}{SEPARATOR}{}", name.reveal(), mark.reveal()),
            None => name.reveal().to_owned(),
        };
        self.seal(Place::Holder(id, revision), &text)
    }

    pub(in crate::roster) fn person_of(
        &self,
        record: &CardholderRecord,
    ) -> Result<(PersonName, Option<PersonMark>), VaultError> {
        let place = Place::Holder(&record.id, record.revision);
        let text = self.open(place, &record.personal)?;
        let (name, mark) = match text.split_once(SEPARATOR) {
            Some((name, mark)) => (name, Some(mark)),
            None => (text.as_str(), None),
        };
        let name = PersonName::new(name).or(Err(VaultError::Content))?;
        let mark = mark.map(PersonMark::new).transpose();
        Ok((name, mark.or(Err(VaultError::Content))?))
    }

    pub(super) fn seal_number(
        &self,
        (key, revision): (&CardKey, u64),
        number: &CardNumber,
    ) -> Result<Sealed, VaultError> {
        self.seal(Place::Card(key, revision), number.reveal())
    }

    pub(in crate::roster) fn number_of(
        &self,
        key: &CardKey,
        record: &CardRecord,
    ) -> Result<CardNumber, VaultError> {
        let text = self.open(Place::Card(key, record.revision), &record.number)?;
        CardNumber::new(&text).or(Err(VaultError::Content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(id: &str) -> CardholderId {
        CardholderId::new(id).unwrap()
    }

    #[test]
    fn a_sealed_text_opens_in_its_own_record_and_revision_only() {
        let vault = Vault::new(&LedgerKeys::of([1; 32]));
        let (h1, h2) = (holder("h1"), holder("h2"));
        let sealed = vault.seal(Place::Holder(&h1, 3), "Test Person").unwrap();
        assert_eq!(
            vault.open(Place::Holder(&h1, 3), &sealed).unwrap(),
            "Test Person"
        );
        for place in [Place::Holder(&h2, 3), Place::Holder(&h1, 4)] {
            assert_eq!(vault.open(place, &sealed), Err(VaultError::Broken));
        }
        let home = DwellingId::new("h1").unwrap();
        assert_eq!(
            vault.open(Place::Why(&home, 3), &sealed),
            Err(VaultError::Broken)
        );
        let again = vault.seal(Place::Holder(&h1, 3), "Test Person").unwrap();
        assert_ne!(sealed, again, "each has a nonce of its own");
        let mut torn = sealed.clone();
        torn.bytes = sealed.bytes.slice(..10);
        assert_eq!(
            vault.open(Place::Holder(&h1, 3), &torn),
            Err(VaultError::Broken)
        );
    }

    #[test]
    fn another_key_opens_nothing_unless_it_is_the_old_one() {
        let before = Vault::new(&LedgerKeys::of([1; 32]));
        let h1 = holder("h1");
        let place = Place::Holder(&h1, 1);
        let sealed = before.seal(place, "x").unwrap();
        let other = Vault::new(&LedgerKeys::of([2; 32]));
        let gone = VaultError::KeyGone {
            key_id: before.key_id(),
        };
        assert_eq!(other.open(place, &sealed), Err(gone));
        let rotated = Vault::new(&LedgerKeys {
            current: [2; 32],
            old: Some([1; 32]),
        });
        assert_eq!(rotated.open(place, &sealed).unwrap(), "x");
        let anew = rotated.reseal(place, &sealed).unwrap().unwrap();
        assert_eq!(other.open(place, &anew).unwrap(), "x");
        assert_eq!(rotated.reseal(place, &anew).unwrap(), None);
    }
}
