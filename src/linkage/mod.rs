//! Outside receivers of alerts: one trait, one kind of receiver a file, one envelope for all.
//!
//! A linkage only delivers one message once; when to try, in which order and how often is the
//! outbox's. Not here: durability, order, retries.

pub mod envelope;
pub mod webhook;

mod tls;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use envelope::{AlertEnvelope, Extra, Include, SiteFacts};

use crate::domain::id::LinkageId;
use crate::error::Class;

/// Longest text of a receiver that is kept, in characters: its refusal, its own reference.
pub(crate) const PEER_TEXT_CHARS_MAX: usize = 200;

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
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The receiver did not answer in time.
    #[error("the receiver did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The connection broke, or the answer could not be read to its end.
    #[error("read the receiver's answer")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
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
