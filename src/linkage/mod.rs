//! Outside receivers of alerts: one trait, one kind of receiver a file, one envelope for all.
//!
//! A linkage only delivers one message once; when to try, in which order and how often is the
//! outbox's. Not here: durability, order, retries.

pub mod envelope;
pub mod grpc;
pub mod mqtt;
pub mod webhook;

mod dial;
mod tls;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use envelope::{AlertEnvelope, Extra, Include, SiteFacts};

use crate::domain::id::LinkageId;
use crate::error::Class;

/// Longest text of a receiver that is kept, in characters: its refusal, its own reference.
pub(crate) const PEER_TEXT_CHARS_MAX: usize = 200;

/// Longest wait for a connection, TLS included: two lost packets on a slow line.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole exchange, unless configured.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait that a receiver may ask for (contract: retries are at most 60 s apart).
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// A configured outside receiver.
///
/// Implementations bound every wait on the peer themselves. Calls may run at the same time.
pub trait Linkage: Send + Sync + std::fmt::Debug {
    /// Its id in the configuration.
    fn id(&self) -> &LinkageId;

    /// The word of its kind in the configuration, such as `webhook`.
    fn kind(&self) -> &'static str;

    /// Asks whether the receiver can be reached, without giving it anything.
    ///
    /// # Errors
    /// As [`Linkage::deliver`].
    ///
    /// # Cancel safety
    /// Safe: nothing is delivered.
    fn probe(&self) -> BoxFuture<'_, Result<(), DeliveryError>>;

    /// Delivers `envelope`; `Ok` when the receiver has said that it took it.
    ///
    /// # Errors
    /// [`DeliveryError`], whose class says whether trying again is of use. After any error the
    /// receiver may have taken the message all the same: it recognises a repeat by its key.
    ///
    /// # Cancel safety
    /// When dropped, the receiver may or may not have taken it.
    fn deliver<'a>(
        &'a self,
        envelope: &'a AlertEnvelope,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>>;
}

/// Proof that a receiver took a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What it said: its status, and its own reference when it gave one; at most 200 characters.
    pub text: String,
}

/// A delivery or a probe that failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// No connection: refused, no route, no such host, TLS that does not hold.
    #[error("connect to the receiver")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// The receiver did not answer in time.
    #[error("the receiver did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The connection broke, or the answer could not be read to its end.
    #[error("read the receiver's answer")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The receiver cannot take it now and says so.
    #[error("the receiver is not ready: {text}")]
    Busy {
        /// What it said.
        text: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The receiver will not take this message.
    #[error("the receiver refused: {0}")]
    Refused(String),
}

impl DeliveryError {
    /// What the outbox does about it.
    pub fn class(&self) -> Class {
        match self {
            DeliveryError::Connect(_)
            | DeliveryError::TimedOut(_)
            | DeliveryError::Broken(_)
            | DeliveryError::Busy { .. } => Class::Transient,
            DeliveryError::Refused(_) => Class::Permanent,
        }
    }

    /// How long the receiver asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            DeliveryError::Busy { retry_after, .. } => *retry_after,
            DeliveryError::Connect(_)
            | DeliveryError::TimedOut(_)
            | DeliveryError::Broken(_)
            | DeliveryError::Refused(_) => None,
        }
    }

    /// Is nobody there at all? Then there is no use in trying the next message at once.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, DeliveryError::Connect(_))
    }
}

/// A linkage that cannot be set up as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL is of another kind.
    #[error("linkage {id}: the url must begin with {expected}")]
    Scheme {
        /// Which linkage.
        id: LinkageId,
        /// How it may begin.
        expected: &'static str,
    },
    /// A file of certificates or keys cannot be read.
    #[error("linkage {id}: read {key} {}", path.display())]
    File {
        /// Which linkage.
        id: LinkageId,
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The authorities' file holds no certificate.
    #[error("linkage {id}: ca_file {} holds no PEM certificate", path.display())]
    CaEmpty {
        /// Which linkage.
        id: LinkageId,
        /// The file.
        path: PathBuf,
    },
    /// This machine has no authorities, and no file names any.
    #[error(
        "linkage {id}: no certificate authorities on this machine (Debian package ca-certificates)"
    )]
    NoAuthorities {
        /// Which linkage.
        id: LinkageId,
    },
    /// A secret has characters that a header or a metadata field cannot carry.
    #[error("linkage {id}: the token has characters other than visible ASCII")]
    Token {
        /// Which linkage.
        id: LinkageId,
    },
    /// The client cannot be built.
    #[error("linkage {id}: set up its client")]
    Client {
        /// Which linkage.
        id: LinkageId,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
