//! Passwords: argon2id, as a PHC string that names its own parameters.
//!
//! Both calls take tens of milliseconds and 19 MiB on purpose; they block.

use argon2::password_hash::SaltString;
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
};

use super::{AccountError, random};

/// Memory of one hash in KiB, passes over it, and lanes: the set that OWASP's Password Storage Cheat Sheet
/// recommends for argon2id (m=19456, t=2, p=1).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Random bytes in a salt (RFC 9106, 3.1 recommends 16).
const SALT_BYTES: usize = 16;
/// Shortest password, in characters: long enough that the limit on attempts is what a guesser meets.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest, in bytes: more only costs time.
pub const PASSWORD_BYTES_MAX: usize = 512;
/// Different characters a password needs; `aaaaaaaaaaaa` is long, too.
const DIFFERENT_MIN: usize = 5;
/// Shortest name that a password must not contain: a word of two letters is in most of them.
const NAME_CHARS_MIN: usize = 3;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    Short,
    /// Too long.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    Long,
    /// The same few characters over and over.
    #[error("a password needs at least {DIFFERENT_MIN} different characters")]
    Plain,
    /// The account's name is in it.
    #[error("a password must not contain the account's name")]
    Name,
}

/// Is `password` one that the account `name` may have?
///
/// # Errors
/// [`PasswordError`], with what is wrong.
pub fn check_password(password: &str, name: &str) -> Result<(), PasswordError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(PasswordError::Short);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::Long);
    }
    let different: std::collections::BTreeSet<char> = password.chars().collect();
    if different.len() < DIFFERENT_MIN {
        return Err(PasswordError::Plain);
    }
    if name.len() >= NAME_CHARS_MIN && password.to_lowercase().contains(name) {
        return Err(PasswordError::Name);
    }
    Ok(())
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.expect("the constants are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The password as it is kept. Blocks.
///
/// # Errors
/// [`AccountError::Random`]: no salt can be drawn.
pub(super) fn hash(password: &str) -> Result<String, AccountError> {
    let salt = SaltString::encode_b64(&random::<SALT_BYTES>()?).or(Err(AccountError::Random))?;
    let hash = hasher().hash_password(password.as_bytes(), &salt);
    Ok(hash.or(Err(AccountError::Random))?.to_string())
}

/// Is this the password that was kept as `kept`? Without one the same work is done for nothing, so that the
/// time it takes does not tell which names there are. Blocks.
pub(super) fn is_right(password: &str, kept: Option<&str>) -> bool {
    match kept {
        Some(kept) => PasswordHash::new(kept)
            .is_ok_and(|kept| hasher().verify_password(password.as_bytes(), &kept).is_ok()),
        None => {
            // The answer is no, whatever came out.
            let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
            let worked =
                hasher().hash_password_into(password.as_bytes(), &[0; SALT_BYTES], &mut out);
            std::hint::black_box((worked.is_ok(), out));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let kept = hash("correct horse battery").unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        assert!(!kept.contains("horse"));
        assert!(is_right("correct horse battery", Some(&kept)));
        assert!(!is_right("correct horse batterY", Some(&kept)));
        assert!(!is_right("correct horse battery", None));
        assert!(!is_right("correct horse battery", Some("nonsense")));
        assert_ne!(
            kept,
            hash("correct horse battery").unwrap(),
            "each has its salt"
        );
    }

    #[test]
    fn a_weak_password_is_refused_with_the_reason() {
        for (password, expected) in [
            ("short", Err(PasswordError::Short)),
            ("aaaaaaaaaaaaaaa", Err(PasswordError::Plain)),
            ("Li.Wei-2026-li.wei", Err(PasswordError::Name)),
            ("雨打芭蕉夜不能寐思故乡啊", Ok(())),
            ("correct horse battery", Ok(())),
        ] {
            assert_eq!(check_password(password, "li.wei"), expected, "{password}");
        }
        let long = "abcdef".repeat(100);
        assert_eq!(check_password(&long, "x"), Err(PasswordError::Long));
    }
}
