//! `POST /site/probe` and `POST /linkages/{id}/probe`: a look at one camera or one receiver, now.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use crate::camera::{self, CameraOptions, Codec, KeyFrame, Probe, SessionError, Transport};
use crate::domain::audit::AuditAct;
use crate::domain::id::{CameraId, LinkageId};
use crate::domain::secret::Secret;
use crate::error::chain;
use crate::mux::key_frame_jpeg;
use crate::site::in_chinese;
use crate::supervise::blocking;
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::extract::{Asked, Body, Id, Nothing};
use crate::web::looks::{self, Grounds, Look};
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// How long a camera is looked at: a few key frames, and most cameras' word on their clock.
const LOOK_FOR: Duration = Duration::from_secs(8);
/// Looks at cameras at the same time.
pub const PROBES_MAX: usize = 4;
/// Widest picture sent back.
const PICTURE_WIDTH_MAX: u32 = 960;

/// Which camera is looked at: one that is configured, or any address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeQuestion {
    /// A configured camera, for what is not said here; its password goes to its own host only.
    camera: Option<CameraId>,
    url: Option<String>,
    transport: Option<Transport>,
    username: Option<String>,
    password: Option<String>,
}

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct ProbeAnswer {
    verdict: Verdict,
    codec: Option<Codec>,
    width: Option<u32>,
    height: Option<u32>,
    fps: Option<f64>,
    keyframe_interval_ms: Option<i64>,
    bitrate_bps: Option<i64>,
    clock_offset_ms: Option<i64>,
    first_frame_ms: Option<u64>,
    lost_packets: Option<u64>,
    findings: Vec<Finding>,
    /// A JPEG in base64.
    picture: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Good,
    Usable,
    Bad,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Severity {
    Bad,
    Warning,
    Note,
}

#[derive(Debug, Serialize)]
struct Finding {
    severity: Severity,
    text_zh: String,
    text_en: String,
}

impl Finding {
    fn new(severity: Severity, text_en: String) -> Finding {
        Finding {
            severity,
            text_zh: in_chinese(&text_en),
            text_en,
        }
    }
}

/// Where to look, and how to log in.
struct Target {
    url: Url,
    transport: Transport,
    login: Option<(String, Secret)>,
}

pub(crate) async fn camera(
    State(api): State<Api>,
    principal: Principal,
    Body(question): Body<ProbeQuestion>,
) -> Result<Json<ProbeAnswer>, Problem> {
    authorise(&principal, Action::ChangeSite, None)?;
    let about = question.camera.clone();
    let target = target(&api, question)?;
    let _permit = api.probes.try_acquire().map_err(|_full| {
        let detail = "other cameras are being looked at; try again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    })?;
    // It shows a live picture, so it is a look like any other.
    let host = target.url.host_str().unwrap_or_default();
    let look = Look {
        act: AuditAct::Picture,
        target: about.as_ref().map_or(host.to_owned(), CameraId::to_string),
        place: about.as_ref().and_then(|id| api.place_of_camera(id)),
        detail: format!("probe of {host}"),
    };
    looks::look(&api, &principal, look, Grounds::default()).await?;
    let has_login = target.login.is_some();
    let looked = camera::probe_picture(
        &target.url,
        target.login,
        target.transport,
        LOOK_FOR,
        &api.clock,
    );
    match Box::pin(looked).await {
        Ok((probe, key_frame)) => Ok(Json(seen(probe, key_frame).await?)),
        Err(err) => Ok(Json(unseen(&err, has_login))),
    }
}

fn target(api: &Api, question: ProbeQuestion) -> Result<Target, Problem> {
    let known = match &question.camera {
        None => None,
        Some(id) => {
            let known = api.cameras.options(id);
            Some(known.ok_or_else(|| Problem::not_found("no such camera"))?)
        }
    };
    let own_url = known.as_ref().map(|known| known.url.clone());
    // The text is not quoted: there may be a password in it.
    let url = match question.url {
        Some(text) => Url::parse(&text).map_err(|err| {
            Problem::bad_request(format!("url: {err} (write rtsp://192.0.2.10:554/path)"))
        })?,
        None => own_url.ok_or_else(|| {
            Problem::bad_request(
                "url is missing: write rtsp://192.0.2.10:554/path, or name a camera",
            )
        })?,
    };
    if url.scheme() != "rtsp" || url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Err(Problem::bad_request(
            "url is no rtsp:// address (write rtsp://192.0.2.10:554/path)",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::bad_request(
            "url has a log-in in it (take it out; send username and password)",
        ));
    }
    let transport = question
        .transport
        .or(known.as_ref().map(|known| known.transport));
    Ok(Target {
        login: login(known, question.username, question.password, &url)?,
        transport: transport.unwrap_or_default(),
        url,
    })
}

/// The log-in that was sent, or the one that is kept; that goes to no other host than the camera's own.
fn login(
    known: Option<CameraOptions>,
    username: Option<String>,
    password: Option<String>,
    url: &Url,
) -> Result<Option<(String, Secret)>, Problem> {
    let sent = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (username, password) = (sent(username), sent(password));
    match (username, password) {
        (Some(username), Some(password)) => return Ok(Some((username, Secret::new(password)))),
        (None, Some(_)) if known.as_ref().is_none_or(|c| c.username.is_none()) => {
            return Err(Problem::bad_request("a password needs its username"));
        }
        (Some(_), None) if known.is_none() => {
            return Err(Problem::bad_request("a username needs its password"));
        }
        (None, Some(password)) => {
            let username = known.and_then(|known| known.username);
            return Ok(username.map(|username| (username, Secret::new(password))));
        }
        (Some(_), None) | (None, None) => {}
    }
    let Some(known) = known else {
        return Ok(None);
    };
    let kept = known.username.zip(known.password);
    if kept.is_some() && known.url.host_str() != url.host_str() {
        return Err(Problem::bad_request(
            "this is another host than the camera's: type its password, the one that is kept does not go there",
        ));
    }
    Ok(kept)
}

async fn seen(probe: Probe, key_frame: Option<KeyFrame>) -> Result<ProbeAnswer, Problem> {
    let drawn = match key_frame {
        None => None,
        Some(KeyFrame { params, data }) => {
            let draw = move || key_frame_jpeg(&params, &data, PICTURE_WIDTH_MAX);
            Some(blocking("draw a probe's picture", draw).await?)
        }
    };
    let severity = |text: &str| {
        if text.starts_with("H.265") {
            Severity::Note
        } else {
            Severity::Warning
        }
    };
    let mut findings: Vec<Finding> = Vec::new();
    for text in probe.warnings {
        findings.push(Finding::new(severity(&text), text));
    }
    let picture = match drawn {
        Some(Ok(jpeg)) => Some(STANDARD.encode(jpeg)),
        Some(Err(err)) => {
            findings.push(Finding {
                severity: Severity::Bad,
                text_zh: "画面无法解码：请检查摄像机的编码设置".to_owned(),
                text_en: format!(
                    "its picture cannot be decoded: check the camera's encoder ({})",
                    chain(&err)
                ),
            });
            None
        }
        None => None,
    };
    let verdict = verdict(&findings);
    Ok(ProbeAnswer {
        verdict,
        codec: Some(probe.codec),
        width: Some(probe.width),
        height: Some(probe.height),
        fps: probe.fps,
        keyframe_interval_ms: probe.key_frame_interval_s.map(thousandths),
        bitrate_bps: probe.bits_per_s.map(|bits| thousandths(bits / 1_000.0)),
        clock_offset_ms: probe.clock_offset_s.map(thousandths),
        first_frame_ms: Some(probe.first_frame_ms),
        lost_packets: Some(probe.lost_packets),
        findings,
        picture,
    })
}

fn verdict(findings: &[Finding]) -> Verdict {
    let has = |severity| findings.iter().any(|finding| finding.severity == severity);
    if has(Severity::Bad) {
        Verdict::Bad
    } else if has(Severity::Warning) {
        Verdict::Usable
    } else {
        Verdict::Good
    }
}

/// Thousandths of `value`, to the nearest.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a saturating cast of a number that was measured"
)]
fn thousandths(value: f64) -> i64 {
    (value * 1_000.0).round() as i64
}

fn unseen(err: &SessionError, has_login: bool) -> ProbeAnswer {
    let advice = err.advice("this camera", has_login);
    ProbeAnswer {
        verdict: Verdict::Bad,
        codec: None,
        width: None,
        height: None,
        fps: None,
        keyframe_interval_ms: None,
        bitrate_bps: None,
        clock_offset_ms: None,
        first_frame_ms: None,
        lost_packets: None,
        findings: vec![Finding::new(Severity::Bad, advice)],
        picture: None,
    }
}

/// How a receiver answered.
#[derive(Debug, Serialize)]
pub(crate) struct LinkageProbe {
    is_up: bool,
    detail: String,
    took_ms: u64,
}

pub(crate) async fn linkage(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<LinkageProbe>, Problem> {
    authorise(&principal, Action::ChangeSite, None)?;
    let unknown = || Problem::not_found("no such linkage");
    let id: LinkageId = id.parse().or(Err(unknown()))?;
    let began = Instant::now();
    let probed = api.outbox.probe(&id).await.ok_or_else(unknown)?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (is_up, detail) = match probed {
        Ok(()) => (true, "the receiver answers".to_owned()),
        Err(err) => (false, chain(&err).to_string()),
    };
    Ok(Json(LinkageProbe {
        is_up,
        detail,
        took_ms,
    }))
}
