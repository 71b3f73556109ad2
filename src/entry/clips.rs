//! Has clips made and takes in their outcomes; finishes those a crash or an overload left pending.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::commit::{Settlement, settle_clip};
use crate::clip::ClipShelf;
use crate::domain::clip::{ClipLength, ClipOutcome, ClipRecord, ClipState, ClipWindow};
use crate::domain::id::{CameraId, EntryId};
use crate::error::chain;
use crate::footage::{ClipRequest, ClipSettled, Footage, RequestError};
use crate::outbox::Outbox;
use crate::store::{Store, StoreError, tables};
use crate::supervise::crash_point;
use crate::time::Clock;

/// Outcomes worked on at once; each reads its clip once to take its sum.
const SETTLING_MAX: usize = 4;
/// Outcomes that wait for the footage disk to come back; beyond that clips are settled anew from the files.
const WAITING_MAX: usize = 4_096;
/// How often pending clips are looked through for those nobody works on.
const RECONCILE_PERIOD: Duration = Duration::from_secs(15);

/// Has clips made. Cheap to clone; clones share what is in hand.
#[derive(Clone, Debug)]
pub struct ClipDesk {
    /// Where entries are kept.
    pub store: Store,
    /// Who keeps footage.
    pub footage: Footage,
    /// Who exports clips and takes their sums.
    pub shelf: Arc<ClipShelf>,
    /// Who sends the alerts that waited for a clip.
    pub outbox: Outbox,
    /// The time.
    pub clock: Clock,
    /// How much is kept around a swipe.
    pub length: ClipLength,
    in_hand: Arc<Mutex<HashSet<(EntryId, CameraId)>>>,
    /// Outcomes whose footage is on a disk that is away.
    waiting: Arc<Mutex<Vec<(EntryId, CameraId, ClipOutcome)>>>,
    /// Sums taken at once; the others wait, they are not refused.
    summing: Arc<Semaphore>,
}

/// The clips of one entry.
#[derive(Clone, Debug)]
pub(super) struct ClipOrder {
    pub(super) entry: EntryId,
    pub(super) cameras: Vec<CameraId>,
    pub(super) window: ClipWindow,
    /// When the swipe happened, if just now; `None`: the window lies in the past.
    pub(super) happened: Option<Instant>,
}

/// The sum of a clip's file.
enum Sum {
    /// 64 hexadecimal digits.
    Is(String),
    /// There is no such file, or it cannot be made.
    None,
    /// The footage is on a disk that is away.
    DiskAway,
}

impl ClipDesk {
    /// A desk with nothing in hand.
    pub fn new(
        store: Store,
        footage: Footage,
        shelf: Arc<ClipShelf>,
        outbox: Outbox,
        clock: Clock,
        length: ClipLength,
    ) -> ClipDesk {
        ClipDesk {
            store,
            footage,
            shelf,
            outbox,
            clock,
            length,
            in_hand: Arc::default(),
            waiting: Arc::default(),
            summing: Arc::new(Semaphore::new(SETTLING_MAX)),
        }
    }

    /// Asks for the clips of an entry that is durable.
    pub(super) async fn order(&self, order: ClipOrder) -> Result<(), StoreError> {
        for camera in &order.cameras {
            match order.happened {
                Some(happened) => self.request(&order, camera, happened).await?,
                None => self.settle_past(order.entry, camera, order.window).await?,
            }
        }
        Ok(())
    }

    /// Takes in outcomes until `closed` is cancelled and none is left, and looks through pending clips
    /// until `stop` is. `closed` says that the footage has closed.
    ///
    /// # Errors
    /// [`StoreError`] when an outcome cannot be recorded.
    pub async fn run(
        self,
        mut settled: mpsc::Receiver<ClipSettled>,
        stop: CancellationToken,
        closed: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut timer = tokio::time::interval(RECONCILE_PERIOD);
        let mut in_work = FuturesUnordered::new();
        // One at a time, polled beside the outcomes: both take turns at the sums, so that neither may stand
        // still while the other waits.
        let mut rounds = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(done) = in_work.next(), if !in_work.is_empty() => done?,
                Some(done) = rounds.next(), if !rounds.is_empty() => done?,
                outcome = settled.recv(), if in_work.len() < SETTLING_MAX => match outcome {
                    Some(outcome) => in_work.push(self.take(outcome)),
                    // The footage has closed: nothing more will come.
                    None => break,
                },
                () = closed.cancelled(), if !settled.is_closed() => settled.close(),
                _ = timer.tick(), if rounds.is_empty() && !stop.is_cancelled() => {
                    rounds.push(self.reconcile());
                }
            }
        }
        // What it had in hand is taken up again at the next start.
        drop(rounds);
        while let Some(done) = in_work.next().await {
            done?;
        }
        Ok(())
    }

    async fn request(
        &self,
        order: &ClipOrder,
        camera: &CameraId,
        happened: Instant,
    ) -> Result<(), StoreError> {
        let request = ClipRequest {
            entry: order.entry,
            camera: camera.clone(),
            from: happened
                .checked_sub(self.length.pre_roll)
                .unwrap_or(happened),
            to: happened + self.length.post_roll,
            window: order.window,
        };
        self.in_hand.lock().insert((order.entry, camera.clone()));
        match self.footage.request(request) {
            Ok(()) => Ok(()),
            Err(RequestError::Overload) => {
                // Its seconds are kept for the windows that overlap it; it is settled from the files.
                warn!(entry = %order.entry, %camera, "too many clips at once");
                self.in_hand.lock().remove(&(order.entry, camera.clone()));
                Ok(())
            }
            Err(err @ RequestError::UnknownCamera) => {
                let outcome = ClipOutcome::Missed(err.reason());
                self.record(order.entry, camera, outcome).await
            }
        }
    }

    async fn settle_past(
        &self,
        entry: EntryId,
        camera: &CameraId,
        window: ClipWindow,
    ) -> Result<(), StoreError> {
        let hand = (entry, camera.clone());
        self.in_hand.lock().insert(hand.clone());
        let Some(outcome) = self.footage.settle_past(camera, window).await else {
            // The disk is away; the entry stays pending until it is back.
            self.in_hand.lock().remove(&hand);
            return Ok(());
        };
        self.record(entry, camera, outcome).await
    }

    async fn take(&self, settled: ClipSettled) -> Result<(), StoreError> {
        self.record(settled.entry, &settled.camera, settled.outcome)
            .await
    }

    /// Records an outcome with the sum of the file that the API will give.
    async fn record(
        &self,
        entry: EntryId,
        camera: &CameraId,
        outcome: ClipOutcome,
    ) -> Result<(), StoreError> {
        let at = self.clock.now();
        let sha256 = match self.sum(entry, camera, &outcome, at).await? {
            Sum::Is(sha256) => Some(sha256),
            Sum::None => None,
            Sum::DiskAway => {
                self.wait_for_disk(entry, camera, outcome);
                return Ok(());
            }
        };
        let settlement = Settlement {
            outcome,
            sha256,
            at,
        };
        crash_point("after_settle_before_commit");
        let named = camera.clone();
        let work =
            move |txn: &mut crate::store::Txn<'_>| settle_clip(txn, entry, &named, &settlement);
        let waited = self.store.write(work).await?;
        self.in_hand.lock().remove(&(entry, camera.clone()));
        if waited {
            self.outbox.wake();
        }
        Ok(())
    }

    /// Keeps an outcome until its footage can be read; the entry stays pending.
    fn wait_for_disk(&self, entry: EntryId, camera: &CameraId, outcome: ClipOutcome) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING_MAX {
            waiting.push((entry, camera.clone(), outcome));
        } else {
            self.in_hand.lock().remove(&(entry, camera.clone()));
        }
    }

    async fn sum(
        &self,
        id: EntryId,
        camera: &CameraId,
        outcome: &ClipOutcome,
        at: crate::time::WallTime,
    ) -> Result<Sum, StoreError> {
        if matches!(outcome, ClipOutcome::Missed(_)) {
            return Ok(Sum::None);
        }
        let Some(entry) = self.store.entry(&id)? else {
            return Ok(Sum::None);
        };
        let of_camera = |clip: &&ClipRecord| clip.camera.as_ref() == Some(camera);
        let Some(clip) = entry.clips.iter().find(of_camera) else {
            return Ok(Sum::None);
        };
        let mut clip = clip.clone();
        clip.settle(outcome.clone(), at);
        let _turn = self.summing.acquire().await;
        match self.shelf.get(&id, &clip).await {
            Ok(exported) => Ok(Sum::Is(exported.sha256.clone())),
            Err(_) if !self.footage.is_there_now().await => Ok(Sum::DiskAway),
            Err(err) => {
                warn!(entry = %id, %camera, error = %chain(&err), "clip cannot be summed");
                Ok(Sum::None)
            }
        }
    }

    /// Looks through pending clips: those whose window is still open are asked for again, those
    /// whose window is over are settled from the files.
    async fn reconcile(&self) -> Result<(), StoreError> {
        if self.footage.is_there() {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            for (entry, camera, outcome) in waiting {
                self.record(entry, &camera, outcome).await?;
            }
        }
        let now = self.clock.now();
        for row in self.store.scan(tables::PENDING_CLIPS, &()) {
            let (id, ()) = row?;
            let Some(entry) = self.store.entry(&id)? else {
                continue;
            };
            for clip in entry
                .clips
                .iter()
                .filter(|clip| clip.state == ClipState::Pending)
            {
                let Some(camera) = &clip.camera else { continue };
                if self.in_hand.lock().contains(&(id, camera.clone())) {
                    continue;
                }
                let swiped = clip.window.from.plus(self.length.pre_roll);
                // A swipe that is still to come was before our clock was set back: its window is over.
                if swiped <= now && now < clip.window.to {
                    let happened = self.clock.instant_of(swiped);
                    let order = ClipOrder {
                        entry: id,
                        cameras: vec![camera.clone()],
                        window: clip.window,
                        happened: Some(happened),
                    };
                    self.request(&order, camera, happened).await?;
                } else if self.footage.is_there() {
                    self.settle_past(id, camera, clip.window).await?;
                } else {
                    continue;
                }
                info!(entry = %id, %camera, "pending clip taken up again");
            }
        }
        Ok(())
    }
}
