//! How packets leave for one client: into its RTSP connection, or as datagrams.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// Where packets go.
pub(super) enum Output<'a> {
    /// Into the RTSP connection (RFC 2326, 10.12).
    Interleaved {
        /// Bytes to be written.
        out: &'a mut Vec<u8>,
        /// Channel of RTP.
        rtp: u8,
        /// Channel of RTCP.
        rtcp: u8,
    },
    /// As datagrams, each handed to the system at once or lost.
    Udp {
        /// The server's RTP socket and the client's address.
        rtp: (&'a UdpSocket, SocketAddr),
        /// The server's RTCP socket and the client's address.
        rtcp: (&'a UdpSocket, SocketAddr),
        /// Room for one packet.
        scratch: &'a mut Vec<u8>,
    },
}

impl Output<'_> {
    pub(super) fn rtp(&mut self, n_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Output::Interleaved { out, rtp, .. } => interleaved(out, *rtp, n_bytes, write),
            Output::Udp { rtp, scratch, .. } => datagram(*rtp, scratch, write),
        }
    }

    pub(super) fn rtcp(&mut self, n_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Output::Interleaved { out, rtcp, .. } => interleaved(out, *rtcp, n_bytes, write),
            Output::Udp { rtcp, scratch, .. } => datagram(*rtcp, scratch, write),
        }
    }
}

fn interleaved(out: &mut Vec<u8>, channel: u8, n_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
    // RTP packets are made for a network's MTU, so the length always fits.
    let [high, low] = u16::try_from(n_bytes).unwrap_or(u16::MAX).to_be_bytes();
    out.extend_from_slice(&[b'$', channel, high, low]);
    write(out);
}

fn datagram(
    (socket, to): (&UdpSocket, SocketAddr),
    scratch: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) {
    scratch.clear();
    write(scratch);
    // A full socket buffer or a client that is gone: the datagram is lost, as on a network.
    if let Err(error) = socket.try_send_to(scratch, to) {
        tracing::trace!(%error, "simulated datagram lost");
    }
}
