//! Printing an error with its sources, and the one question a retry loop asks of an error.
//!
//! Not here: the errors themselves. Each module has one enum of its own.

use std::error::Error;
use std::fmt;

/// What a loop does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// May succeed when tried again soon: a time-out, a refused connection, a busy disk.
    Transient,
    /// Will fail again until someone changes something: a wrong password, a refused message.
    Permanent,
    /// We were told to stop; nothing is wrong.
    Cancelled,
}

/// Shows `err` and all its sources on one line, joined by `": "`.
///
/// Logged once, where the error is handled; enums never repeat their source in `Display`.
///
/// ```
/// let err = "x".parse::<u8>().unwrap_err();
/// assert_eq!(stairgate::error::chain(&err).to_string(), "invalid digit found in string");
/// ```
pub fn chain<'a>(err: &'a (dyn Error + 'static)) -> Chain<'a> {
    Chain(err)
}

/// The value [`chain`] returns: displays an error with its sources.
#[derive(Debug)]
pub struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(err) = source {
            write!(f, ": {err}")?;
            source = err.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("open store")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn chain_prints_every_source_once() {
        let err = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(chain(&err).to_string(), "open store: disk on fire");
    }
}
