//! A gateway's configuration for a bench: so many cameras, each with a door in a stairwell of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where everything is.
pub(crate) struct Site {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// The gateway's HTTP address.
    pub(crate) web: SocketAddr,
    /// Its MQTT endpoint.
    pub(crate) mqtt: SocketAddr,
}

impl Site {
    /// Writes the configuration into `folder`: `n` stairwells with a door each, and a camera for each
    /// of `cameras` in the first of them. `more` is appended.
    pub(crate) fn write(folder: &Path, n: usize, cameras: &[String], more: &str) -> Site {
        let (web, mqtt) = (super::process::free_addr(), super::process::free_addr());
        let mut text = format!(
            "[compound]\nid = \"bench\"\nname = \"bench\"\ntime_zone = \"Asia/Shanghai\"\n\
             [store]\npath = \"store\"\n[footage]\npath = \"footage\"\n\
             [mqtt]\nurl = \"embedded\"\nlisten = \"{mqtt}\"\n[web]\nlisten = \"{web}\"\n"
        );
        for idx in 0..n {
            let listed = if cameras.get(idx).is_some() {
                format!("[\"c{idx}\"]")
            } else {
                "[]".to_owned()
            };
            let written = write!(
                text,
                "[[stairwell]]\nid = \"s{idx}\"\nbuilding = \"{idx}\"\nunit = \"1\"\n\
                 [[door]]\nid = \"d{idx}\"\nplace = \"s{idx}\"\ncameras = {listed}\n"
            );
            written.expect("a string takes everything");
        }
        for (idx, url) in cameras.iter().enumerate() {
            let written = write!(
                text,
                "[[camera]]\nid = \"c{idx}\"\nplace = \"s{idx}\"\nurl = \"{url}\"\n"
            );
            written.expect("a string takes everything");
        }
        text.push_str(more);
        let config = folder.join("gateway.toml");
        std::fs::write(&config, text).expect("the configuration can be written");
        Site { config, web, mqtt }
    }

    /// The arguments that run it.
    pub(crate) fn run_args(&self) -> [&str; 3] {
        let config = self.config.to_str().expect("a path of ours is text");
        ["run", "--config", config]
    }
}
