//! Who may see a simulated camera: Basic (RFC 7617) or Digest with MD5 (RFC 2617), as cameras do it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde::Deserialize;

/// The realm in our challenges.
const REALM: &str = "simulated camera";

/// How the password is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthScheme {
    /// In clear.
    Basic,
    /// As a digest over a nonce, which is what most cameras ask for.
    #[default]
    Digest,
}

/// The user that simulated cameras let in.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraLogin {
    /// How the password is asked for.
    #[serde(default)]
    pub scheme: AuthScheme,
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for CameraLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} for {:?}", self.scheme, self.username)
    }
}

/// The value of `WWW-Authenticate`.
pub(super) fn challenge(scheme: AuthScheme, nonce: &str) -> String {
    match scheme {
        AuthScheme::Basic => format!("Basic realm=\"{REALM}\""),
        AuthScheme::Digest => {
            format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=MD5")
        }
    }
}

/// Does the value of `Authorization` show that the client knows the password?
pub(super) fn is_allowed(login: &CameraLogin, nonce: &str, method: &str, value: &str) -> bool {
    let Some((scheme, rest)) = value.trim().split_once(' ') else {
        return false;
    };
    match login.scheme {
        AuthScheme::Basic => {
            let expected = STANDARD.encode(format!("{}:{}", login.username, login.password));
            scheme.eq_ignore_ascii_case("basic") && rest.trim() == expected
        }
        AuthScheme::Digest => {
            scheme.eq_ignore_ascii_case("digest") && is_digest_right(login, nonce, method, rest)
        }
    }
}

fn is_digest_right(login: &CameraLogin, nonce: &str, method: &str, fields: &str) -> bool {
    let field = |name: &str| field(fields, name);
    let (Some(uri), Some(response)) = (field("uri"), field("response")) else {
        return false;
    };
    if field("nonce") != Some(nonce) || field("username") != Some(login.username.as_str()) {
        return false;
    }
    let ha1 = md5_hex(&format!("{}:{REALM}:{}", login.username, login.password));
    let ha2 = md5_hex(&format!("{method}:{uri}"));
    let expected = match (field("qop"), field("nc"), field("cnonce")) {
        (Some(qop), Some(nc), Some(cnonce)) => {
            md5_hex(&format!("{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}"))
        }
        _ => md5_hex(&format!("{ha1}:{nonce}:{ha2}")),
    };
    response.eq_ignore_ascii_case(&expected)
}

/// The value of `name` among `name="value", name=value`; values hold no commas here but in quotes.
fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = fields;
    loop {
        let (key, tail) = rest.split_once('=')?;
        let (value, tail) = match tail.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => tail.split_once(',').unwrap_or((tail, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = tail.trim_start().trim_start_matches(',');
    }
}

fn md5_hex(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(scheme: AuthScheme) -> CameraLogin {
        CameraLogin {
            scheme,
            username: "admin".to_owned(),
            password: "se:cret".to_owned(),
        }
    }

    #[test]
    fn basic_wants_the_very_password() {
        let login = login(AuthScheme::Basic);
        assert!(is_allowed(
            &login,
            "n",
            "DESCRIBE",
            "Basic YWRtaW46c2U6Y3JldA=="
        ));
        assert!(!is_allowed(
            &login,
            "n",
            "DESCRIBE",
            "Basic YWRtaW46c2VjcmV0"
        ));
        assert!(!is_allowed(&login, "n", "DESCRIBE", "Basic"));
    }

    #[test]
    fn digest_wants_the_nonce_the_method_and_the_password() {
        let login = login(AuthScheme::Digest);
        let ha1 = md5_hex("admin:simulated camera:se:cret");
        let ha2 = md5_hex("SETUP:rtsp://h/cam/0001");
        let right = md5_hex(&format!("{ha1}:abc:{ha2}"));
        let value = format!(
            "Digest username=\"admin\", realm=\"simulated camera\", nonce=\"abc\", \
             uri=\"rtsp://h/cam/0001\", response=\"{right}\", algorithm=MD5"
        );
        assert!(is_allowed(&login, "abc", "SETUP", &value));
        assert!(!is_allowed(&login, "abc", "PLAY", &value));
        assert!(!is_allowed(&login, "other", "SETUP", &value));
        assert!(!is_allowed(
            &login,
            "abc",
            "SETUP",
            "Digest username=\"admin\""
        ));
        // RFC 2617, 3.5 (there for HTTP): with qop.
        let right = md5_hex(&format!("{ha1}:abc:00000001:0a4f113b:auth:{ha2}"));
        let value = format!(
            "Digest username=\"admin\",nonce=\"abc\",uri=\"rtsp://h/cam/0001\",qop=auth,\
             nc=00000001,cnonce=\"0a4f113b\",response=\"{right}\""
        );
        assert!(is_allowed(&login, "abc", "SETUP", &value));
    }
}
