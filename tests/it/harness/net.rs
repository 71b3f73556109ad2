//! Ports and clocks of this machine.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port of 127.0.0.1 on which nobody listens, for TCP and UDP.
///
/// Taken from below the range the system gives to outgoing connections, so that only another test
/// could take it in between; for what can bind to port 0 itself, prefer that.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(20_000..32_000);
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        if tcp.is_ok() && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The system's `CLOCK_MONOTONIC`, in ns: the same for every process of this machine.
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// The tokio instant of a `CLOCK_MONOTONIC` reading of another process, exact to some microseconds.
pub(crate) fn instant_of_monotonic_ns(at_ns: u64) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    let now_ns = monotonic_ns();
    if at_ns <= now_ns {
        now - std::time::Duration::from_nanos(now_ns - at_ns)
    } else {
        now + std::time::Duration::from_nanos(at_ns - now_ns)
    }
}
