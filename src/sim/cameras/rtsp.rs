//! The conversation with one client: requests in, responses and actions out. No I/O.
//!
//! RTSP 1.0 (RFC 2326) as network cameras speak it: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER and
//! SET_PARAMETER as keep-alive, TEARDOWN.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rtsp_types::headers::{
    AUTHORIZATION, CONTENT_BASE, CONTENT_TYPE, CSEQ, PUBLIC, RANGE, RTP_INFO, RtpLowerTransport,
    RtpTransport, SESSION, TRANSPORT, Transport, Transports, WWW_AUTHENTICATE,
};
use rtsp_types::{Method, Request, Response, ResponseBuilder, StatusCode, Version};
use tokio::time::Instant;

use super::Camera;
use super::auth::{self, AuthScheme, CameraLogin};
use super::fault::Sdp;
use super::player::{Entry, Player, Settings};

/// What the server is to all its clients.
pub(super) struct House {
    pub(super) cameras: Vec<Arc<Camera>>,
    pub(super) login: Option<CameraLogin>,
    pub(super) burst_at_connect: bool,
    pub(super) session_timeout_s: u32,
    /// Ports of RTP and RTCP over UDP.
    pub(super) udp_ports: (u16, u16),
}

/// How packets reach the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Interleaved { rtp: u8, rtcp: u8 },
    Udp { rtp: SocketAddr, rtcp: SocketAddr },
}

/// What one client has set up.
pub(super) struct Session {
    id: String,
    ssrc: u32,
    pub(super) link: Link,
    pub(super) player: Option<Player>,
}

/// What to do with a request.
pub(super) enum Verdict {
    /// Answer it.
    Answer(Response<Vec<u8>>),
    /// Say nothing, as a camera that hangs.
    Silence,
    /// Cut the connection, as a camera that is booting.
    Reset,
}

/// One client's conversation.
pub(super) struct Conversation {
    house: Arc<House>,
    client: IpAddr,
    nonce: String,
    /// The camera of the last request.
    pub(super) camera: Option<Arc<Camera>>,
    pub(super) session: Option<Session>,
}

impl Conversation {
    pub(super) fn new(house: Arc<House>, client: IpAddr) -> Conversation {
        Conversation {
            house,
            client,
            nonce: format!("{:032x}", fastrand::u128(..)),
            camera: None,
            session: None,
        }
    }

    /// Decides about `request` at `now`.
    pub(super) fn hear(&mut self, request: &Request<Vec<u8>>, now: Instant) -> Verdict {
        let Some(url) = request.request_uri() else {
            // "OPTIONS *" asks the server, not a camera.
            return Verdict::Answer(self.without_camera(request));
        };
        let Some(camera) = self.house.camera(url.path()) else {
            return Verdict::Answer(answer(request, StatusCode::NotFound).build(Vec::new()));
        };
        if self.session.is_some() && !self.is_at(&camera) {
            let status = StatusCode::AggregateOperationNotAllowed;
            return Verdict::Answer(answer(request, status).build(Vec::new()));
        }
        let settings = *camera.settings.borrow();
        self.camera = Some(camera);
        if settings.down_until.is_some_and(|until| now < until) {
            return Verdict::Reset;
        }
        if settings.faults.black_hole {
            return Verdict::Silence;
        }
        if let Some(status) = settings.faults.refuse {
            return Verdict::Answer(self.refuse(request, StatusCode::from(status)));
        }
        if !self.is_allowed(request) {
            return Verdict::Answer(self.refuse(request, StatusCode::Unauthorized));
        }
        Verdict::Answer(self.serve(request, &settings, now))
    }

    fn serve(
        &mut self,
        request: &Request<Vec<u8>>,
        settings: &Settings,
        now: Instant,
    ) -> Response<Vec<u8>> {
        match request.method() {
            Method::Options => self.without_camera(request),
            Method::Describe => self.describe(request, settings),
            Method::Setup => self.setup(request),
            Method::Play => self.play(request, settings, now),
            Method::GetParameter | Method::SetParameter => self.keep_alive(request),
            Method::Teardown => self.teardown(request),
            Method::Pause
            | Method::PlayNotify
            | Method::Redirect
            | Method::Announce
            | Method::Record
            | Method::Extension(_) => {
                answer(request, StatusCode::MethodNotAllowed).build(Vec::new())
            }
        }
    }

    fn without_camera(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        let methods = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN";
        if *request.method() == Method::Options {
            answer(request, StatusCode::Ok)
                .header(PUBLIC, methods)
                .build(Vec::new())
        } else {
            answer(request, StatusCode::BadRequest).build(Vec::new())
        }
    }

    fn describe(&self, request: &Request<Vec<u8>>, settings: &Settings) -> Response<Vec<u8>> {
        let body = match (&self.camera, settings.faults.sdp) {
            (Some(camera), Sdp::Good) => camera.description(settings.film_idx),
            (_, Sdp::Garbage) => "v=0\r\nm=\u{1}\u{2}garbage\r\na=rtpmap:\r\n=\r\n".to_owned(),
            (_, Sdp::OtherCodec) => format!(
                "{}m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\na=control:track1\r\n",
                sdp_head()
            ),
            (_, Sdp::NoVideo) | (None, Sdp::Good) => format!(
                "{}m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:track2\r\n",
                sdp_head()
            ),
        };
        let base = request.request_uri().map(|url| format!("{url}/"));
        answer(request, StatusCode::Ok)
            .header(CONTENT_BASE, base.unwrap_or_default())
            .header(CONTENT_TYPE, "application/sdp")
            .build(body.into_bytes())
    }

    fn setup(&mut self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        if let Some(session) = &self.session
            && (session.player.is_some() || !session.is_named_in(request))
        {
            let status = StatusCode::MethodNotValidInThisState;
            return answer(request, status).build(Vec::new());
        }
        let transports = match request.typed_header::<Transports>() {
            Ok(Some(transports)) => transports,
            Ok(None) | Err(_) => {
                return answer(request, StatusCode::BadRequest).build(Vec::new());
            }
        };
        let link = transports.iter().find_map(|transport| match transport {
            Transport::Rtp(rtp) => self.link(rtp),
            Transport::Other(_) => None,
        });
        let Some(link) = link else {
            return answer(request, StatusCode::UnsupportedTransport).build(Vec::new());
        };
        let transport = match link {
            Link::Interleaved { rtp, rtcp } => {
                format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}")
            }
            Link::Udp { rtp, rtcp } => {
                let (server_rtp, server_rtcp) = self.house.udp_ports;
                format!(
                    "RTP/AVP;unicast;client_port={}-{};server_port={server_rtp}-{server_rtcp}",
                    rtp.port(),
                    rtcp.port()
                )
            }
        };
        let ssrc = fastrand::u32(..);
        let transport = format!("{transport};ssrc={ssrc:08X}");
        let id = format!("{:016x}", fastrand::u64(..));
        let session = format!("{id};timeout={}", self.house.session_timeout_s);
        self.session = Some(Session {
            id,
            ssrc,
            link,
            player: None,
        });
        answer(request, StatusCode::Ok)
            .header(SESSION, session)
            .header(TRANSPORT, transport)
            .build(Vec::new())
    }

    fn link(&self, transport: &RtpTransport) -> Option<Link> {
        let params = &transport.params;
        if params.multicast {
            return None;
        }
        match (&transport.lower_transport, params.client_port) {
            (Some(RtpLowerTransport::Tcp), _) => {
                let (rtp, rtcp) = params.interleaved.unwrap_or((0, Some(1)));
                let rtcp = rtcp.unwrap_or(rtp.wrapping_add(1));
                Some(Link::Interleaved { rtp, rtcp })
            }
            (Some(RtpLowerTransport::Udp) | None, Some((rtp, rtcp))) => Some(Link::Udp {
                rtp: SocketAddr::new(self.client, rtp),
                rtcp: SocketAddr::new(self.client, rtcp.unwrap_or(rtp.wrapping_add(1))),
            }),
            (Some(RtpLowerTransport::Udp | RtpLowerTransport::Other(_)) | None, _) => None,
        }
    }

    fn play(
        &mut self,
        request: &Request<Vec<u8>>,
        settings: &Settings,
        now: Instant,
    ) -> Response<Vec<u8>> {
        let (Some(camera), Some(session)) = (&self.camera, &mut self.session) else {
            return answer(request, StatusCode::SessionNotFound).build(Vec::new());
        };
        if !session.is_named_in(request) {
            return answer(request, StatusCode::SessionNotFound).build(Vec::new());
        }
        // A burst of datagrams as large as a group of pictures would be lost for the most part.
        let is_tcp = matches!(session.link, Link::Interleaved { .. });
        let entry = Entry {
            ssrc: session.ssrc,
            burst: self.house.burst_at_connect && is_tcp,
        };
        let player = session
            .player
            .get_or_insert_with(|| Player::begin(Arc::clone(&camera.films), *settings, now, entry));
        let (seq, rtp_time) = player.rtp_info();
        let base = request.request_uri().map(ToString::to_string);
        let base = base.unwrap_or_default();
        let base = base.trim_end_matches('/').trim_end_matches("/track1");
        answer(request, StatusCode::Ok)
            .header(SESSION, session.id.as_str())
            .header(RANGE, "npt=0.000-")
            .header(
                RTP_INFO,
                format!("url={base}/track1;seq={seq};rtptime={rtp_time}"),
            )
            .build(Vec::new())
    }

    fn keep_alive(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        match &self.session {
            Some(session) if session.is_named_in(request) => answer(request, StatusCode::Ok)
                .header(SESSION, session.id.as_str())
                .build(Vec::new()),
            _ => answer(request, StatusCode::SessionNotFound).build(Vec::new()),
        }
    }

    fn teardown(&mut self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        match self.session.take_if(|session| session.is_named_in(request)) {
            Some(_) => answer(request, StatusCode::Ok).build(Vec::new()),
            None => answer(request, StatusCode::SessionNotFound).build(Vec::new()),
        }
    }

    fn is_at(&self, camera: &Arc<Camera>) -> bool {
        matches!(&self.camera, Some(own) if Arc::ptr_eq(own, camera))
    }

    fn is_allowed(&self, request: &Request<Vec<u8>>) -> bool {
        let Some(login) = &self.house.login else {
            return true;
        };
        if *request.method() == Method::Options {
            return true;
        }
        let method: &str = request.method().into();
        let value = request.header(&AUTHORIZATION);
        value.is_some_and(|value| auth::is_allowed(login, &self.nonce, method, value.as_str()))
    }

    fn refuse(&self, request: &Request<Vec<u8>>, status: StatusCode) -> Response<Vec<u8>> {
        let reply = answer(request, status);
        if status == StatusCode::Unauthorized {
            let scheme = self.house.login.as_ref().map(|login| login.scheme);
            let scheme = scheme.unwrap_or(AuthScheme::Digest);
            reply
                .header(WWW_AUTHENTICATE, auth::challenge(scheme, &self.nonce))
                .build(Vec::new())
        } else {
            reply.build(Vec::new())
        }
    }
}

impl Session {
    fn is_named_in(&self, request: &Request<Vec<u8>>) -> bool {
        let named = request.header(&SESSION);
        let id = named.map(|value| value.as_str().split(';').next().unwrap_or_default());
        id.is_some_and(|id| id.trim() == self.id)
    }
}

impl House {
    /// The camera of `/cam/0001` or `/cam/0001/track1`.
    fn camera(&self, path: &str) -> Option<Arc<Camera>> {
        let rest = path.strip_prefix("/cam/")?;
        let (number, track) = match rest.split_once('/') {
            Some((number, track)) => (number, track.trim_end_matches('/')),
            None => (rest, ""),
        };
        if !matches!(track, "" | "track1") {
            return None;
        }
        let idx = number.parse::<usize>().ok()?.checked_sub(1)?;
        self.cameras.get(idx).map(Arc::clone)
    }
}

impl Camera {
    fn description(&self, film_idx: usize) -> String {
        let Some(film) = self.films.get(film_idx).or(self.films.first()) else {
            return sdp_head();
        };
        let media = film.media();
        format!(
            "{}m=video 0 RTP/AVP {}\r\na=rtpmap:{}\r\na=fmtp:{}\r\na=control:track1\r\n",
            sdp_head(),
            media.payload_type,
            media.rtpmap,
            media.fmtp
        )
    }
}

fn sdp_head() -> String {
    "v=0\r\n\
     o=- 1 1 IN IP4 127.0.0.1\r\n\
     s=simulated camera\r\n\
     c=IN IP4 0.0.0.0\r\n\
     t=0 0\r\n\
     a=control:*\r\n\
     a=range:npt=now-\r\n"
        .to_owned()
}

fn answer(request: &Request<Vec<u8>>, status: StatusCode) -> ResponseBuilder {
    let reply = Response::builder(Version::V1_0, status);
    match request.header(&CSEQ) {
        Some(cseq) => reply.header(CSEQ, cseq.clone()),
        None => reply,
    }
}
