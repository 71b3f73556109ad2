//! A clip is its window to the frame, bytes are shared, and clocks may do what they like: real
//! encoders, muxers, files and decoders around a clock that only the test moves.
//!
//! The judge is the `ffmpeg` program, which honours edit lists, and the number in each picture.

mod camera;
mod clocks;
mod endless;
mod film;
mod house;
mod live;
mod matrix;
mod partial;
mod shared;
mod site;
mod time;
