//! What can go wrong with the store.

use std::path::PathBuf;

use super::key::KeyError;
use super::record::RecordError;
use crate::error::{Class, chain};

/// An operation on the store that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be opened as a store: missing rights, a full disk, another process.
    #[error("open store at {path} (is another stairgate running, is the disk writable?)")]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<sled::Error>,
    },
    /// The folder, its key or its data file cannot be used.
    #[error("use {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store was written by a newer version.
    #[error(
        "store at {path} has format {found}, this version knows up to {known}; \
         install the newer stairgate again, or export there and import here"
    )]
    TooNew {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Our newest.
        known: u32,
    },
    /// A read failed.
    #[error("read table {table}")]
    Read {
        /// Which table.
        table: &'static str,
        /// Why.
        #[source]
        source: Box<sled::Error>,
    },
    /// A key of ours cannot be read back.
    #[error("decode a key of table {table}")]
    Key {
        /// Which table.
        table: &'static str,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A record of ours cannot be written or read back.
    #[error("decode a record of table {table}")]
    Record {
        /// Which table.
        table: &'static str,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// The commit failed; none of it is durable and the writer has stopped.
    #[error("commit to the store: {0}")]
    Commit(String),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Does another process have the store open?
    pub fn is_in_use(&self) -> bool {
        match self {
            // sled has no variant of its own for this.
            StoreError::Open { source, .. } => match source.as_ref() {
                sled::Error::Io(err) => err.to_string().contains("could not acquire lock"),
                _ => false,
            },
            _ => false,
        }
    }

    /// What a loop does about it: nothing helps but a restart, except at start-up.
    pub fn class(&self) -> Class {
        match self {
            StoreError::Closed => Class::Cancelled,
            StoreError::Open { .. } | StoreError::File { .. } | StoreError::Commit(_) => {
                Class::Transient
            }
            StoreError::TooNew { .. }
            | StoreError::Read { .. }
            | StoreError::Key { .. }
            | StoreError::Record { .. } => Class::Permanent,
        }
    }
}

/// Why sled refused, for people.
pub(super) fn words(err: &sled::Error) -> String {
    match err {
        sled::Error::Io(source) => source.to_string(),
        other => chain(other).to_string(),
    }
}
