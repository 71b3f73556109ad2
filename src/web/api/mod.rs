//! The resources of `/api/v1`, one a file.

pub(super) mod alerts;
pub(super) mod cameras;
pub(super) mod cardholders;
pub(super) mod cards;
pub(super) mod cases;
pub(super) mod clips;
pub(super) mod deliveries;
pub(super) mod doors;
pub(super) mod dwellings;
pub(super) mod entries;
pub(super) mod figures;
mod ledger_views;
pub(super) mod live;
pub(super) mod next_card;
pub(super) mod openapi;
pub(super) mod pictures;
pub(super) mod roster_files;
pub(super) mod service;
pub(super) mod statistics;
pub(super) mod stream;
pub(super) mod trail;
