//! Who may call a camera, and when again: no dead camera delays another, and a power cut does not
//! end in a storm.
//!
//! Every dial is two steps. The *knock* is a bare TCP connection: it costs nothing worth rationing,
//! so those that wait for a dark camera wait outside. Only when it is answered does the dial take
//! one of [`DIALS_MAX`] permits, and holds it from DESCRIBE to the first frame. Cameras that take
//! connections but did not speak last time share a few of the permits among themselves.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use url::{Host, Url};

use super::error::SessionError;
use crate::error::Class;
use crate::retry::Backoff;

/// Dials at a time over all cameras. 200 cameras at half a second each take 7 s.
pub const DIALS_MAX: usize = 16;

/// Of these, how many may be with cameras that were mute the last time.
const SLOW_DIALS_MAX: usize = 4;

/// Knocks at a time: half-open connections, three packets each.
const KNOCKS_MAX: usize = 128;

/// How long a knock waits: calls go out at 0, 1 and 3 s.
const KNOCK_WITHIN: Duration = Duration::from_secs(4);

/// Ports of RTSP URLs without one (RFC 2326, 3.2).
const RTSP_PORT: u16 = 554;

#[expect(clippy::panic, reason = "fails to compile, not to run")]
const fn backoff(min_ms: u64, max_s: u64, jitter_percent: u8) -> Backoff {
    let (min, max) = (Duration::from_millis(min_ms), Duration::from_secs(max_s));
    match Backoff::new(min, max, jitter_percent) {
        Ok(backoff) => backoff,
        Err(_) => panic!("the bounds below are in order"),
    }
}

/// After a failure that may pass by itself.
const TRANSIENT: Backoff = backoff(500, 60, 30);

/// While nobody is there: a knock is cheap, and a camera that is back is seen within 14 s.
const DARK: Backoff = backoff(500, 10, 30);

/// After a failure that someone must put right; a camera that is starting up may say 404 too.
const PERMANENT: Backoff = backoff(5_000, 60, 30);

/// After a refused log-in: many cameras lock the door after five to seven of them.
const LOGIN: Backoff = backoff(60_000, 60, 30);

/// Longest delay while somebody looks, so that a camera that is back is on the wall again within 5 s: this,
/// half a second of dialling, and its next key frame. Only a few cameras are looked at.
const WATCHED_MAX: Duration = Duration::from_secs(1);

/// A camera that is there and fails goes on failing: it is asked so often in so many attempts, and then more
/// seldom, since each takes one of its few sessions.
const WATCHED_TRIES: u32 = 30;
/// Longest delay after that.
const WATCHED_LATER_MAX: Duration = Duration::from_secs(10);

/// A session that lasted so long after its first key frame was a success; what ends sooner goes on
/// backing off, so that a camera which dies at every PLAY is not dialled twice a second.
pub(super) const SUCCESS_AFTER: Duration = Duration::from_secs(10);

/// How long until the next dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    /// While nobody looks.
    pub(super) unwatched: Duration,
    /// While somebody does; the same after a refused log-in, which looking does not put right.
    pub(super) watched: Duration,
}

/// When one camera is dialled again. Pure.
#[derive(Debug, Default)]
pub(super) struct Reconnect {
    n_failed: u32,
    was_dark: bool,
    is_slow: bool,
}

impl Reconnect {
    /// The delay before the next dial after `err`; `lasted` is how long key frames had come.
    ///
    /// A camera that was dark and now answers, though not well, begins again at the smallest delay: it is
    /// starting up, and takes connections some seconds before it speaks.
    pub(super) fn after(&mut self, err: &SessionError, lasted: Duration) -> Delay {
        let is_dark = err.is_dark();
        let is_alive_again = std::mem::replace(&mut self.was_dark, is_dark) && !is_dark;
        if lasted >= SUCCESS_AFTER || is_alive_again {
            self.n_failed = 0;
        }
        self.n_failed = self.n_failed.saturating_add(1);
        self.is_slow = matches!(err, SessionError::Mute { .. });
        let backoff = if err.is_login_refused() {
            LOGIN
        } else if is_dark {
            DARK
        } else {
            match err.class() {
                Class::Permanent => PERMANENT,
                Class::Transient | Class::Cancelled => TRANSIENT,
            }
        };
        let unwatched = backoff.jittered(self.n_failed);
        Delay {
            unwatched,
            watched: if err.is_login_refused() {
                unwatched
            } else if is_dark || self.n_failed <= WATCHED_TRIES {
                unwatched.min(WATCHED_MAX)
            } else {
                unwatched.min(WATCHED_LATER_MAX)
            },
        }
    }

    /// Was the camera mute the last time?
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow
    }
}

/// The dial budget of all cameras.
#[derive(Debug)]
pub(super) struct DialBudget {
    knocks: Semaphore,
    dials: Semaphore,
    slow: Semaphore,
}

/// Leave to dial; dropped when the first frame is there.
#[derive(Debug)]
pub(super) struct DialPermit<'a> {
    _slow: Option<SemaphorePermit<'a>>,
    _dial: SemaphorePermit<'a>,
}

impl Default for DialBudget {
    fn default() -> DialBudget {
        DialBudget {
            knocks: Semaphore::new(KNOCKS_MAX),
            dials: Semaphore::new(DIALS_MAX),
            slow: Semaphore::new(SLOW_DIALS_MAX),
        }
    }
}

impl DialBudget {
    /// Knocks, and when someone answers waits for leave to dial.
    ///
    /// # Errors
    /// [`SessionError::Url`], [`SessionError::Lookup`], [`SessionError::Connect`] or
    /// [`SessionError::NoAnswer`] when nobody answers.
    ///
    /// # Cancel safety
    /// Safe: dropping it gives up the place in the queue.
    pub(super) async fn dial(
        &self,
        url: &Url,
        is_slow: bool,
    ) -> Result<DialPermit<'_>, SessionError> {
        {
            let _knock = acquire(&self.knocks).await;
            knock(url).await?;
        }
        let slow = match is_slow {
            true => Some(acquire(&self.slow).await),
            false => None,
        };
        Ok(DialPermit {
            _slow: slow,
            _dial: acquire(&self.dials).await,
        })
    }
}

/// Connects and hangs up: is anybody there?
pub(super) async fn knock(url: &Url) -> Result<(), SessionError> {
    let host = url.host().ok_or(SessionError::Url)?;
    let port = url.port().unwrap_or(RTSP_PORT);
    let peer = peer_name(url);
    let no_answer = || SessionError::NoAnswer {
        peer: peer.clone(),
        within: KNOCK_WITHIN,
    };
    let calling = async {
        let stream = match host {
            Host::Ipv4(address) => TcpStream::connect((address, port)).await,
            Host::Ipv6(address) => TcpStream::connect((address, port)).await,
            Host::Domain(name) => {
                let found = tokio::net::lookup_host((name, port)).await;
                let addresses: Vec<_> = found
                    .map_err(|source| SessionError::Lookup {
                        host: name.to_owned(),
                        source,
                    })?
                    .collect();
                TcpStream::connect(&*addresses).await
            }
        };
        stream.map(drop).map_err(|source| match source.kind() {
            std::io::ErrorKind::TimedOut => no_answer(),
            _ => SessionError::Connect {
                peer: peer.clone(),
                source,
            },
        })
    };
    match timeout(KNOCK_WITHIN, calling).await {
        Ok(result) => result,
        Err(_) => Err(no_answer()),
    }
}

/// Host and port, for people.
pub(super) fn peer_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    format!("{host}:{}", url.port().unwrap_or(RTSP_PORT))
}

async fn acquire(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    semaphore
        .acquire()
        .await
        .expect("the budget's semaphores are never closed")
}

#[cfg(test)]
mod tests {
    use super::super::error::{RtspError, Stage};
    use super::*;
    use std::sync::Arc;
    use tokio::net::TcpListener;

    fn status(status: u16) -> SessionError {
        SessionError::Rtsp {
            stage: Stage::Describe,
            source: RtspError::new("no", Some(status)),
        }
    }

    fn dark() -> SessionError {
        SessionError::NoAnswer {
            peer: "192.0.2.1:554".to_owned(),
            within: KNOCK_WITHIN,
        }
    }

    #[test]
    fn delays_grow_within_the_bounds_of_the_kind_of_failure() {
        let cases = [
            (SessionError::Closed, 350, 60_000),
            (dark(), 350, 10_000),
            (status(404), 3_500, 60_000),
            (status(401), 42_000, 60_000),
        ];
        for (err, first_ms_min, last_ms_max) in cases {
            let mut reconnect = Reconnect::default();
            let first = reconnect.after(&err, Duration::ZERO).unwatched;
            assert!(first >= Duration::from_millis(first_ms_min));
            let mut last = first;
            for _ in 0..20 {
                last = reconnect.after(&err, Duration::ZERO).unwatched;
            }
            assert!(last <= Duration::from_millis(last_ms_max));
            assert!(last >= Duration::from_millis(last_ms_max) * 70 / 100);
        }
    }

    #[test]
    fn only_a_session_that_lasted_is_a_success() {
        let mut reconnect = Reconnect::default();
        for _ in 0..8 {
            reconnect.after(&SessionError::Closed, Duration::from_secs(1));
        }
        let flapping = reconnect.after(&SessionError::Closed, Duration::from_secs(1));
        assert!(flapping.unwatched > Duration::from_secs(30));
        let lasted = reconnect.after(&SessionError::Closed, SUCCESS_AFTER);
        assert!(lasted.unwatched <= Duration::from_millis(500));
    }

    #[test]
    fn a_camera_that_starts_up_is_asked_again_soon() {
        let mut reconnect = Reconnect::default();
        for _ in 0..8 {
            reconnect.after(&dark(), Duration::ZERO);
        }
        let starting = reconnect.after(&SessionError::Closed, Duration::ZERO);
        assert!(
            starting.unwatched <= Duration::from_millis(650),
            "{starting:?}"
        );
        let still = reconnect.after(&SessionError::Closed, Duration::ZERO);
        assert!(
            still.unwatched > starting.unwatched,
            "once, not for as long as it answers badly"
        );
    }

    #[test]
    fn who_looks_does_not_wait_long_but_locks_no_camera() {
        for (err, soon, later) in [
            (dark(), WATCHED_MAX, WATCHED_MAX),
            (status(404), WATCHED_MAX, WATCHED_LATER_MAX),
        ] {
            let mut reconnect = Reconnect::default();
            for n in 1..=2 * WATCHED_TRIES {
                let delay = reconnect.after(&err, Duration::ZERO).watched;
                let longest = if n <= WATCHED_TRIES { soon } else { later };
                assert!(delay <= longest, "{err} {n}: {delay:?}");
            }
        }
        let refused = Reconnect::default().after(&status(401), Duration::ZERO);
        assert_eq!(refused.watched, refused.unwatched);
    }

    fn url_of(listener: &TcpListener) -> Url {
        let address = listener.local_addr().unwrap();
        Url::parse(&format!("rtsp://{address}/cam")).unwrap()
    }

    #[tokio::test]
    async fn those_that_were_mute_cannot_take_every_permit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url_of(&listener);
        let budget = Arc::new(DialBudget::default());
        let mut mute = Vec::new();
        for _ in 0..SLOW_DIALS_MAX {
            mute.push(budget.dial(&url, true).await.unwrap());
        }
        let next_mute = budget.dial(&url, true);
        assert!(timeout(Duration::from_millis(50), next_mute).await.is_err());
        let mut others = Vec::new();
        for _ in SLOW_DIALS_MAX..DIALS_MAX {
            let dial = timeout(Duration::from_secs(5), budget.dial(&url, false));
            others.push(dial.await.unwrap().unwrap());
        }
        let one_more = budget.dial(&url, false);
        assert!(timeout(Duration::from_millis(50), one_more).await.is_err());
        drop(others.pop());
        assert!(budget.dial(&url, false).await.is_ok());
    }

    #[tokio::test]
    async fn a_refused_knock_and_a_wrong_name_say_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url_of(&listener);
        drop(listener);
        let err = knock(&url).await.unwrap_err();
        assert!(err.is_dark(), "{err}");
        let url = Url::parse("rtsp://no-such-camera.invalid/cam").unwrap();
        let err = knock(&url).await.unwrap_err();
        assert!(matches!(err, SessionError::Lookup { .. }), "{err}");
        let url = Url::parse("rtsp:///cam").unwrap();
        assert!(matches!(knock(&url).await, Err(SessionError::Url)));
    }
}
