//! Where `web` asks and the gateway answers.

use std::net::IpAddr;

use tokio::sync::{mpsc, oneshot};

use super::lists::{SiteChange, SiteView};
use super::report::{SiteProblem, SiteReport};
use crate::domain::role::Actor;

/// Questions that may wait; installers are few, and each waits for an answer.
pub const ASKS_MAX: usize = 16;

/// Why a question got no answer, or a change was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// Someone has broken the file by hand; nothing can be changed on top of it.
    #[error("the configuration file cannot be read; correct it by hand first")]
    Unreadable(Vec<SiteProblem>),
    /// The file is not the one that the change was made from.
    #[error("the configuration was changed meanwhile; look at it again and repeat the change")]
    ChangedMeanwhile {
        /// Of the file as it is now.
        version: String,
    },
    /// The file or its folder cannot be written.
    #[error("the configuration file cannot be written: {0}")]
    NotWritable(String),
    /// The gateway could not take the change in; the old configuration runs on.
    #[error("the change could not be applied, and the old configuration runs on: {0}")]
    NotApplied(String),
    /// [`ASKS_MAX`] questions wait already.
    #[error("other changes of the site are being worked on; try again in a moment")]
    Busy,
    /// The gateway ends.
    #[error("the gateway is stopping")]
    Stopping,
}

/// One question.
#[derive(Debug)]
pub enum SiteAsk {
    /// What is there?
    Read(oneshot::Sender<Result<SiteView, SiteError>>),
    /// What would this change do?
    Check(
        Box<SiteChange>,
        oneshot::Sender<Result<SiteReport, SiteError>>,
    ),
    /// Do it.
    Put(
        Box<SiteChange>,
        SiteEditor,
        oneshot::Sender<Result<SiteReport, SiteError>>,
    ),
}

/// Who changes the site, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteEditor {
    /// The account.
    pub actor: Actor,
    /// From where, when that is known.
    pub from: Option<IpAddr>,
}

/// Where the site is read and changed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SiteDesk {
    asks: mpsc::Sender<SiteAsk>,
}

impl SiteDesk {
    /// The desk, and the questions for who answers them.
    pub fn new() -> (SiteDesk, mpsc::Receiver<SiteAsk>) {
        let (asks, receiver) = mpsc::channel(ASKS_MAX);
        (SiteDesk { asks }, receiver)
    }

    /// What there is now.
    ///
    /// # Errors
    /// [`SiteError`].
    pub async fn read(&self) -> Result<SiteView, SiteError> {
        self.ask(SiteAsk::Read).await
    }

    /// What `change` would do; writes nothing.
    ///
    /// # Errors
    /// [`SiteError`]; what is wrong with the change is in the report.
    pub async fn check(&self, change: SiteChange) -> Result<SiteReport, SiteError> {
        self.ask(|answer| SiteAsk::Check(Box::new(change), answer))
            .await
    }

    /// Takes `change` in, without a restart, and keeps it in the file. With problems in the report
    /// nothing was done.
    ///
    /// # Errors
    /// [`SiteError`]: nothing was done, or what was done was undone.
    ///
    /// # Cancel safety
    /// When dropped, the change goes on and is whole or not at all.
    pub async fn put(&self, change: SiteChange, by: SiteEditor) -> Result<SiteReport, SiteError> {
        self.ask(|answer| SiteAsk::Put(Box::new(change), by, answer))
            .await
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, SiteError>>) -> SiteAsk,
    ) -> Result<T, SiteError> {
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(ask(answer)).map_err(|err| match err {
            mpsc::error::TrySendError::Full(_) => SiteError::Busy,
            mpsc::error::TrySendError::Closed(_) => SiteError::Stopping,
        })?;
        answered.await.unwrap_or(Err(SiteError::Stopping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_desk_says_so_and_a_closed_one_too() {
        let (desk, asks) = SiteDesk::new();
        let waiting: Vec<_> = (0..ASKS_MAX)
            .map(|_| {
                let desk = desk.clone();
                let (answer, _) = oneshot::channel();
                desk.asks.try_send(SiteAsk::Read(answer))
            })
            .collect();
        assert!(waiting.iter().all(Result::is_ok));
        assert_eq!(desk.read().await, Err(SiteError::Busy));
        drop(asks);
        assert_eq!(desk.read().await, Err(SiteError::Stopping));
    }
}
