//! stairgate: 30 seconds of stairwell video for every door-card swipe, a cardholder limit for every
//! dwelling, and alerts that reach the police.
//!
//! A module may name only modules above it in this list; `tests/it/tidy.rs` reads the list and
//! refuses upward paths. ARCHITECTURE.md has the picture and the rules.

pub mod error;
pub mod file;
pub mod time;
pub mod domain;
pub mod retry;
pub mod telemetry;
pub mod supervise;
pub mod store;
pub mod camera;
pub mod uptime;
pub mod door;
pub mod account;
pub mod audit;
pub mod mux;
pub mod live;
pub mod footage;
pub mod clip;
pub mod linkage;
pub mod outbox;
pub mod roster;
pub mod case;
pub mod entry;
pub mod feed;
pub mod web;
pub mod config;
pub mod gateway;
pub mod sim;
pub mod cli;
