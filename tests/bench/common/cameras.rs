//! Simulated cameras of 2 Mbit/s as a process of their own, so that what they cost is counted apart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Program, free_addr};

/// Frames of every stream, a second.
pub(crate) const FRAMES_PER_S: u64 = 25;

/// A running simulator.
pub(crate) struct Cameras {
    /// Its process.
    pub(crate) program: Program,
    /// A stream for each camera.
    pub(crate) urls: Vec<String>,
}

impl Cameras {
    /// Starts `n` cameras that show the film in `folder` (drawn when it is not there yet).
    pub(crate) fn start(n: usize, folder: &Path) -> Cameras {
        let film = film(folder);
        let listen = free_addr();
        let (listen_arg, n_arg) = (listen.to_string(), n.to_string());
        let film = film.to_str().expect("a path of ours is text").to_owned();
        let args = [
            "simulate",
            "cameras",
            "--listen",
            &listen_arg,
            "--cameras",
            &n_arg,
            "--film",
            &film,
        ];
        let program = Program::stairgate(&args, &folder.join("cameras.log"));
        wait_for(listen);
        Cameras {
            program,
            urls: (1..=n)
                .map(|idx| format!("rtsp://{listen}/cam/{idx:04}"))
                .collect(),
        }
    }
}

/// 20 s of moving test pattern: 1280x720, 25 frames a second, a key frame every 2 s, 2 Mbit/s.
fn film(folder: &Path) -> PathBuf {
    let path = folder.join("film.mp4");
    if !path.exists() {
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i"])
            .arg("testsrc2=size=1280x720:rate=25,noise=alls=12:allf=t")
            .args([
                "-t",
                "20",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-bf",
                "0",
            ])
            .args(["-g", "50", "-keyint_min", "50", "-sc_threshold", "0"])
            .args([
                "-b:v", "2M", "-minrate", "2M", "-maxrate", "2M", "-bufsize", "1M",
            ])
            .args(["-pix_fmt", "yuv420p", "-an"])
            .arg(&path)
            .status()
            .expect("ffmpeg is installed (deploy/setup.sh test)");
        assert!(status.success(), "ffmpeg draws the film");
    }
    path
}

fn wait_for(addr: SocketAddr) {
    let begun = tokio::time::Instant::now();
    while std::net::TcpStream::connect(addr).is_err() {
        assert!(
            begun.elapsed().as_secs() < 60,
            "the cameras listen within 60 s"
        );
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}
