//! The vocabulary: plain data and pure rules, used alike by code, API, logs and docs.
//!
//! No I/O here, and no clock but what is passed in. The words are those of ARCHITECTURE.md.

pub mod access;
pub mod alert;
pub mod audit;
pub mod card;
pub mod case;
pub mod clip;
pub mod dwelling;
pub mod entry;
pub mod footage;
pub mod id;
pub mod ledger;
pub mod limit;
pub mod person;
pub mod place;
pub mod reckoning;
pub mod right;
pub mod role;
pub mod secret;
pub mod swipe;
pub mod uptime;
