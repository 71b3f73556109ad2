//! What is recorded of a look at something that shows people or names them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::id::{CameraId, CardholderId, EntryId};
use super::role::Actor;
use crate::time::WallTime;

/// Who did what, when, from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: WallTime,
    /// Who.
    pub by: Actor,
    /// From where, when that is known.
    #[serde(default)]
    pub from: Option<SocketAddr>,
    /// What.
    pub act: AuditAct,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditAct {
    /// The clip of an entry was taken away as a file.
    ClipTaken {
        /// Of which entry.
        entry: EntryId,
        /// Of which camera.
        #[serde(default)]
        camera: Option<CameraId>,
        /// SHA-256 of the file, 64 hexadecimal digits.
        sha256: String,
    },
    /// A camera was watched live; one record for each viewer, camera and hour.
    LiveSeen {
        /// Which camera.
        camera: CameraId,
        /// The case (an alert's id) that was named as the reason.
        #[serde(default)]
        case: Option<String>,
    },
    /// The newest picture of a camera was seen.
    PictureSeen {
        /// Which camera.
        camera: CameraId,
    },
    /// The entries of one person were searched for.
    PersonSearched {
        /// Of whom.
        holder: CardholderId,
        /// Why, in words.
        #[serde(default)]
        reason: Option<String>,
        /// On account of which case (an alert's id).
        #[serde(default)]
        case: Option<String>,
    },
    /// The roster was taken away as a file, with names and card numbers.
    RosterTaken {
        /// Dwellings in it.
        n_dwellings: usize,
        /// Cards in it.
        n_cards: usize,
    },
    /// The report of all dwellings was taken away as a file.
    ReportTaken {
        /// Dwellings in it.
        n_dwellings: usize,
    },
}
