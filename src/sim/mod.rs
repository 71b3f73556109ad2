//! The neighbours of the gateway, simulated with their faults: cameras (a real RTSP server), doors,
//! the police's receiver. Used by `stairgate demo`, `stairgate simulate`, tests and benches.
//!
//! Not here: anything the gateway itself needs to run. Among real neighbours it is tested with
//! gst-rtsp-server and mosquitto; these parts are for faults, for load and for the demo.

pub mod cameras;
pub mod demo_site;
pub mod doors;
pub mod media;
pub mod police;
