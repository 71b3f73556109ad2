//! Makes Rust of the `.proto` files beside it, and the descriptor set that their tests read; and has a
//! release built again when the console that it holds was.
//!
//! `protoc` comes from Debian's protobuf-compiler (`deploy/setup.sh`): one small package, where a
//! compiler written in Rust would be a dozen crates to build for the same bytes.

use std::path::PathBuf;
use std::{env, fs, io};

/// Every file, relative to `proto`.
const PROTOS: [&str; 3] = [
    "stairgate/linkage/v1/alert.proto",
    "stairgate/linkage/v1/feed.proto",
    "stairgate/linkage/v1/sink.proto",
];

/// Where `make console` leaves the console; rust-embed in `web::assets` reads it.
const CONSOLE: &str = "target/console";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=proto");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        // Made empty when it is not there: what is missing counts as changed, each time anew. A folder
        // that cannot be made is one that `make console` cannot fill.
        if fs::create_dir_all(CONSOLE).is_ok() {
            println!("cargo::rerun-if-changed={CONSOLE}");
        }
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let paths = PROTOS.map(|name| format!("proto/{name}"));
    tonic_prost_build::configure()
        // Clips are shared bytes, also on their way into a message.
        .bytes(".stairgate.linkage.v1.Chunk")
        .file_descriptor_set_path(PathBuf::from(out).join("stairgate.linkage.v1.bin"))
        .compile_protos(&paths, &["proto".to_owned()])
}
