//! Values that need more than their type: addresses, secrets, sizes.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use url::Url;

use super::section::{At, Section};
use super::{FreeSpaceFloor, Login};
use crate::domain::secret::Secret;

/// Longest secret taken from a file: more is a wrong file.
const SECRET_BYTES_MAX: u64 = 4096;

/// The names of the three keys a secret may stand under.
pub(super) struct SecretKeys {
    /// Refused: a secret is never in the file itself.
    inline: &'static str,
    file: &'static str,
    env: &'static str,
}

pub(super) const PASSWORD: SecretKeys = SecretKeys {
    inline: "password",
    file: "password_file",
    env: "password_env",
};

pub(super) const SIGNING_SECRET: SecretKeys = SecretKeys {
    inline: "secret",
    file: "secret_file",
    env: "secret_env",
};

pub(super) const TOKEN: SecretKeys = SecretKeys {
    inline: "token",
    file: "token_file",
    env: "token_env",
};

impl SecretKeys {
    /// The secret, from a file or the environment; `None` when there is none or it cannot be had.
    pub(super) fn read(&self, section: &mut Section<'_>) -> Option<Secret> {
        self.refuse_inline(section);
        let file = section.path(self.file);
        let variable = section.text(self.env);
        match (file, variable) {
            (Some(file), Some(_)) => {
                let text = format!("stands beside {} (keep one of the two)", self.env);
                section.report.problem(&file.spot, text);
                None
            }
            (Some(file), None) => read_secret_file(section, &file),
            (None, Some(variable)) => self.read_variable(section, &variable),
            (None, None) => None,
        }
    }

    /// Is one of the keys there, usable or not?
    pub(super) fn is_given(&self, section: &Section<'_>) -> bool {
        [self.inline, self.file, self.env]
            .iter()
            .any(|key| section.has(key))
    }

    fn refuse_inline(&self, section: &mut Section<'_>) {
        if section.forbidden(self.inline) {
            section.report.problem(
                &section.spot(self.inline),
                format!(
                    "a secret does not belong in this file (write it to a file of mode 0600 and \
                     name it: {} = \"secrets/…\")",
                    self.file
                ),
            );
        }
    }

    fn read_variable(&self, section: &Section<'_>, variable: &At<String>) -> Option<Secret> {
        match (section.report.environment)(&variable.value) {
            Some(value) if !value.is_empty() => Some(Secret::new(value)),
            Some(_) | None => {
                section.report.problem(
                    &variable.spot,
                    format!(
                        "the environment has no {} (set it, or use {})",
                        variable.value, self.file
                    ),
                );
                None
            }
        }
    }
}

fn read_secret_file(section: &Section<'_>, file: &At<PathBuf>) -> Option<Secret> {
    let path = &file.value;
    if let Some(secret) = section.report.secret_to_come(path) {
        if secret.reveal().len() as u64 > SECRET_BYTES_MAX
            || secret.reveal().contains(char::is_control)
        {
            let text = "a secret is one line of 4096 bytes at most, without control characters";
            section.report.problem(&file.spot, text);
        }
        return Some(secret);
    }
    let shown = path.display();
    let problem = |text: String| section.report.problem(&file.spot, text);
    match read_short_file(path) {
        Ok(text) => {
            let secret = text.trim_end_matches(['\r', '\n']);
            if secret.is_empty() {
                problem(format!("{shown} is empty (write the secret to it)"));
                return None;
            }
            warn_of_readers(section, file);
            Some(Secret::new(secret))
        }
        Err(err) if err.kind() == ErrorKind::NotFound => {
            problem(format!("{shown} does not exist (write the secret to it)"));
            None
        }
        Err(err) => {
            problem(format!(
                "cannot read {shown}: {err} (a secret is one line of UTF-8 text that the user of \
                 this service may read)"
            ));
            None
        }
    }
}

fn read_short_file(path: &Path) -> std::io::Result<String> {
    let file = File::open(path)?;
    let mut text = String::new();
    let n_read = file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if n_read as u64 > SECRET_BYTES_MAX {
        return Err(std::io::Error::new(
            ErrorKind::InvalidData,
            "over 4096 bytes",
        ));
    }
    Ok(text)
}

fn warn_of_readers(section: &Section<'_>, file: &At<PathBuf>) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&file.value).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o007 != 0) {
        let shown = file.value.display();
        section.report.warning(
            &file.spot,
            format!("{shown} can be read by every user (chmod 600 it)"),
        );
    }
}

/// `username` and its password: both or neither.
pub(super) fn login(section: &mut Section<'_>) -> Option<Login> {
    let is_password_given = PASSWORD.is_given(section);
    let password = PASSWORD.read(section);
    let username = section.text("username").filter(|username| {
        let is_empty = username.value.is_empty();
        if is_empty {
            section.report.problem(&username.spot, "is empty");
        }
        !is_empty
    });
    match (username, password) {
        (Some(username), Some(password)) => Some(Login {
            username: username.value,
            password,
        }),
        (Some(username), None) if !is_password_given => {
            section.report.problem(
                &username.spot,
                "has no password (add password_file or password_env)",
            );
            None
        }
        (None, Some(_)) if !section.has("username") => {
            section.report.problem(
                &section.spot("username"),
                "is missing (a password needs its username)",
            );
            None
        }
        (Some(_), None) | (None, Some(_) | None) => None,
    }
}

/// What a URL may be.
pub(super) struct UrlRule {
    /// Allowed schemes.
    pub(super) schemes: &'static [&'static str],
    /// Shown in errors.
    pub(super) example: &'static str,
}

/// A URL that keeps `rule`, with a host and without a log-in in it.
pub(super) fn read_url(section: &Section<'_>, text: &At<String>, rule: &UrlRule) -> Option<Url> {
    // The text is never quoted: there may be a password in it.
    let problem = |what: String| section.report.problem(&text.spot, what);
    let url = match Url::parse(&text.value) {
        Ok(url) => url,
        Err(err) => {
            problem(format!("is no URL: {err} (write {})", rule.example));
            return None;
        }
    };
    if !rule.schemes.contains(&url.scheme()) {
        problem(format!(
            "{}: is not supported here (write {})",
            url.scheme(),
            rule.example
        ));
        return None;
    }
    if url.host_str().is_none_or(str::is_empty) {
        problem(format!("has no host (write {})", rule.example));
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        problem(
            "has a log-in in it (take it out; write username = \"…\" and password_file = \"…\")"
                .to_owned(),
        );
        return None;
    }
    if url.port() == Some(0) {
        problem(format!("port 0 cannot be dialled (write {})", rule.example));
        return None;
    }
    Some(url)
}

/// Is this host this machine?
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // Of schemes that the URL standard does not know, an IPv4 address is a name.
        Some(url::Host::Domain(name)) => {
            let address = name.parse::<std::net::Ipv4Addr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A file that must be there, such as a certificate.
pub(super) fn existing_file(section: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
    let file = section.path(key)?;
    match std::fs::metadata(&file.value) {
        Ok(metadata) if metadata.is_file() => Some(file.value),
        Ok(_) => {
            let shown = file.value.display();
            let report = section.report;
            report.problem(&file.spot, format!("{shown} is not a file"));
            None
        }
        Err(err) => {
            let shown = file.value.display();
            let report = section.report;
            report.problem(&file.spot, format!("cannot read {shown}: {err}"));
            None
        }
    }
}

/// Reads `"5%"` or a size such as `"10GB"`.
pub(super) fn free_space_floor(text: &str) -> Option<FreeSpaceFloor> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent: u8 = percent.trim_end().parse().ok()?;
        return (1..=50)
            .contains(&percent)
            .then_some(FreeSpaceFloor::Percent(percent));
    }
    byte_size(text).map(FreeSpaceFloor::Bytes)
}

/// Reads a size: a whole number and `KB`, `MB`, `GB` or `TB` (powers of 1000; with `i`, of 1024).
pub(super) fn byte_size(text: &str) -> Option<u64> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(digits_end)?;
    let number: u64 = digits.parse().ok()?;
    let scale: u64 = match unit.trim_start() {
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(byte_size("10GB"), Some(10_000_000_000));
        assert_eq!(byte_size("64 MiB"), Some(64 << 20));
        for bad in [
            "",
            "10",
            "GB",
            "1.5GB",
            "-1GB",
            "10gb",
            "10 apples",
            "99999999999TB",
        ] {
            assert_eq!(byte_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_machine_is_known_under_every_scheme() {
        for scheme in ["http", "mqtt", "rtsp"] {
            for (host, is_here) in [
                ("localhost", true),
                ("127.0.0.1", true),
                ("[::1]", true),
                ("192.0.2.1", false),
                ("example.org", false),
            ] {
                let url = Url::parse(&format!("{scheme}://{host}:1")).unwrap();
                assert_eq!(is_loopback(&url), is_here, "{url}");
            }
        }
    }

    #[test]
    fn a_floor_is_a_share_or_a_size() {
        assert_eq!(free_space_floor("5%"), Some(FreeSpaceFloor::Percent(5)));
        let bytes = FreeSpaceFloor::Bytes(10_000_000_000);
        assert_eq!(free_space_floor("10GB"), Some(bytes));
        for bad in ["0%", "51%", "%", "5", "five%", "5.5%"] {
            assert_eq!(free_space_floor(bad), None, "{bad}");
        }
    }
}
