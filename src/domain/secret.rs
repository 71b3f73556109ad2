//! A password or key that never prints.

use std::fmt;

/// A secret text: `Debug` hides it, there is no `Display`, and its bytes are wiped when dropped.
///
/// ```
/// let secret = stairgate::domain::secret::Secret::new("open sesame");
/// assert_eq!(format!("{secret:?}"), "Secret(hidden)");
/// assert_eq!(secret.reveal(), "open sesame");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret, as it is.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself: for the peer that asks for it, never for a log, an error or a page.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Not proof against a swap file, but a freed page shows nothing.
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_even_inside_others() {
        let inside = Some(vec![Secret::new("open sesame")]);
        assert_eq!(format!("{inside:?}"), "Some([Secret(hidden)])");
    }
}
