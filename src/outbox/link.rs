//! Is the receiver there? One judgement for all deliveries of a linkage, without I/O.
//!
//! While it is down, one message at a time is tried at the pace of the backoff, and a new urgent one
//! at once; so ten thousand waiting alerts knock no more often than one. Only a delivery that is
//! taken brings it up, or a probe when nothing waits: a receiver that answers probes but takes
//! nothing is down.

use std::time::Duration;

use tokio::time::Instant;

use crate::retry::Backoff;

/// Failures in a row, at different messages, after which the receiver counts as down. One alone may
/// be the message's own.
const FAILURES_DOWN: u32 = 3;

/// What the outbox knows of a receiver.
#[derive(Debug)]
pub(super) struct Link {
    backoff: Backoff,
    probe_period: Duration,
    state: State,
    /// Failures since it last took something.
    n_failed: u32,
    /// While down: when it is tried again. Else: when it is probed.
    next_at: Instant,
}

#[derive(Debug)]
enum State {
    /// Nothing is known yet; deliveries are tried as if it were up.
    Unknown,
    Up,
    Down {
        since: Instant,
        reason: String,
    },
}

/// A change that others should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It went down.
    Down,
    /// It came up.
    Up,
}

impl Link {
    pub(super) fn new(backoff: Backoff, probe_period: Duration, now: Instant) -> Link {
        Link {
            backoff,
            probe_period,
            state: State::Unknown,
            n_failed: 0,
            next_at: now,
        }
    }

    /// It took something, or refused it for good: it is there.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Turn> {
        self.n_failed = 0;
        self.next_at = now + self.probe_period;
        let was_up = matches!(self.state, State::Up);
        self.state = State::Up;
        (!was_up).then_some(Turn::Up)
    }

    /// A delivery or a probe failed in a way that may be the receiver's.
    pub(super) fn failed(
        &mut self,
        reason: &str,
        unreachable: bool,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> Option<Turn> {
        let is_down = matches!(self.state, State::Down { .. });
        if is_down && now < self.next_at {
            // One of those that were on their way when it went down, or a new urgent one.
            return None;
        }
        self.n_failed = self.n_failed.saturating_add(1);
        if !is_down && !unreachable && self.n_failed < FAILURES_DOWN {
            return None;
        }
        let n_waits = if is_down { self.n_failed } else { 1 };
        let delay = self.backoff.jittered(n_waits);
        self.next_at = now + delay.max(retry_after.unwrap_or_default());
        let since = match &self.state {
            State::Down { since, .. } => *since,
            State::Unknown | State::Up => {
                self.n_failed = 1;
                now
            }
        };
        self.state = State::Down {
            since,
            reason: reason.to_owned(),
        };
        (!is_down).then_some(Turn::Down)
    }

    /// A probe found it there while something waits: what waits may be tried at once.
    pub(super) fn invite(&mut self, now: Instant) {
        if self.is_down() {
            self.next_at = now;
        }
    }

    /// May a message be sent? `fresh_urgent`: the next one is urgent and was never tried.
    pub(super) fn may_send(&self, n_in_flight: usize, fresh_urgent: bool, now: Instant) -> bool {
        match self.state {
            State::Unknown | State::Up => true,
            State::Down { .. } => n_in_flight == 0 && (now >= self.next_at || fresh_urgent),
        }
    }

    /// Is it time to ask whether it is there?
    pub(super) fn probe_due(&self, now: Instant) -> bool {
        now >= self.next_at
    }

    /// When it is tried or probed next.
    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    /// A probe is on its way: the next comes a period later at the earliest, if nothing else is heard.
    pub(super) fn probing(&mut self, now: Instant) {
        if !self.is_down() {
            self.next_at = now + self.probe_period;
        }
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(self.state, State::Down { .. })
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    /// Since when it is down and why; `None` when it is not.
    pub(super) fn down(&self) -> Option<(Instant, &str)> {
        match &self.state {
            State::Down { since, reason } => Some((*since, reason)),
            State::Unknown | State::Up => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn link(now: Instant) -> Link {
        let backoff = Backoff::new(SECOND, SECOND * 60, 0).unwrap();
        Link::new(backoff, SECOND * 30, now)
    }

    #[tokio::test]
    async fn three_failures_in_a_row_or_one_refused_connection_bring_it_down() {
        let now = Instant::now();
        let mut link = link(now);
        assert!(link.probe_due(now));
        assert_eq!(link.failed("500", false, None, now), None);
        assert_eq!(link.failed("500", false, None, now), None);
        assert_eq!(link.answered(now), Some(Turn::Up));
        assert_eq!(link.failed("500", false, None, now), None);
        assert_eq!(link.failed("500", false, None, now), None);
        assert_eq!(link.failed("500", false, None, now), Some(Turn::Down));
        assert_eq!(link.answered(now), Some(Turn::Up));
        assert_eq!(link.failed("refused", true, None, now), Some(Turn::Down));
        assert_eq!(link.down(), Some((now, "refused")));
    }

    #[tokio::test]
    async fn while_down_one_at_a_time_at_the_pace_of_the_backoff_but_urgent_at_once() {
        let start = Instant::now();
        let mut link = link(start);
        link.failed("refused", true, None, start);
        assert!(!link.may_send(0, false, start));
        assert!(link.may_send(0, true, start));
        assert!(!link.may_send(1, true, start));
        let mut now = start;
        for wait_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(link.next_at() - now, SECOND * wait_s);
            // Stragglers change nothing.
            link.failed("refused", true, None, now);
            now = link.next_at();
            assert!(link.may_send(0, false, now));
            assert_eq!(link.failed("refused", true, None, now), None);
        }
        link.failed("busy", false, Some(SECOND * 45), now);
        link.invite(now);
        assert!(link.may_send(0, false, now));
        assert!(link.is_down());
        assert_eq!(link.answered(now), Some(Turn::Up));
        assert!(link.may_send(7, false, now) && link.is_up());
        assert!(!link.probe_due(now + SECOND * 29));
        assert!(link.probe_due(now + SECOND * 30));
    }
}
