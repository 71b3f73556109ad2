//! Pictures of a case, before and after: what is known of one. Its bytes are a file (module `case`).

use serde::{Deserialize, Serialize};

use crate::domain::role::Actor;
use crate::time::WallTime;

/// What a picture of a case shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PictureWhen {
    /// How it was found.
    Before,
    /// How it was left.
    After,
}

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PictureFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
}

impl PictureFormat {
    /// By the first bytes of the file (ITU-T T.81, B.1.1.3: SOI and a marker; PNG, 5.2: signature).
    pub fn of_bytes(bytes: &[u8]) -> Option<PictureFormat> {
        if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            Some(PictureFormat::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(PictureFormat::Png)
        } else {
            None
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            PictureFormat::Jpeg => "image/jpeg",
            PictureFormat::Png => "image/png",
        }
    }
}

/// A picture that belongs to a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// SHA-256 of its bytes, 64 hexadecimal digits: its name.
    pub sha256: String,
    /// How it is encoded.
    pub format: PictureFormat,
    /// Its size.
    pub bytes: u64,
    /// What it shows.
    pub when: PictureWhen,
    /// When it was added.
    pub added_at: WallTime,
    /// Who added it.
    pub added_by: Actor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        let of = PictureFormat::of_bytes;
        assert_eq!(of(b"\xFF\xD8\xFF\xE0rest"), Some(PictureFormat::Jpeg));
        assert_eq!(of(b"\x89PNG\r\n\x1a\nrest"), Some(PictureFormat::Png));
        for other in [
            &b""[..],
            b"\xFF\xD8",
            b"GIF89a",
            b"<svg onload=alert(1)>",
            b"%PDF-1.7",
        ] {
            assert_eq!(of(other), None);
        }
    }
}
