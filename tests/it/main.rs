//! The gateway among real neighbours: mosquitto, gst-rtsp-server, Chromium, real files.
//!
//! One binary, one module for each area. Every test runs in a process of its own (nextest), starts
//! what it needs through `harness`, and waits for levels with a bound.
#![cfg(test)]

mod chromium;
mod deploy;
mod frame_number;
mod harness;
mod numbered;

mod case;
mod cli;
mod conditions;
mod clip;
mod export;
mod demo;
mod end_to_end;
mod exact;
mod feed;
mod footage;
mod door;
mod account;
mod camera;
mod harness_works;
mod ledger;
mod linkage;
mod live;
mod metrics;
mod outbox;
mod roster_files;
mod sim;
mod tidy;
mod video;
