//! Alerts on the state of things: a forced door, a camera that is away, a disk that fills up.
//!
//! A condition raises one alert when it begins, however often it is reported, and the alert is
//! revised when it ends. Which conditions stand is in the store, so a restart neither repeats nor
//! forgets one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::{info, warn};

use super::pipeline::EntryOptions;
use crate::camera::{CameraEvent, CameraEventKind};
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::id::{AlertId, CameraId, DoorId, LinkageId};
use crate::domain::place::Place;
use crate::domain::swipe::{DoorState, Reject};
use crate::door::DoorEvent;
use crate::footage::DiskReport;
use crate::outbox::{self, Change, Outbox, OutboxEvent};
use crate::store::{Store, StoreError, Txn, tables};
use crate::time::{Clock, WallTime};

/// Unreadable messages kept, at most; the newest stay.
const REJECTS_MAX: u64 = 1_000;
/// What happens within this long (unreadable messages of one door, early deletions) makes one alert.
const COUNTED_PERIOD_S: i64 = 3_600;

/// A door that reports the same again after so long (one that never says that it is shut) raises it
/// anew.
const REPEAT_AFTER: Duration = Duration::from_secs(600);

/// The disk in the name of a condition on its space.
const DISK: &str = "footage";
/// The same on whether it is there.
const DISK_PRESENCE: &str = "footage-away";

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    /// A door.
    Door(DoorId),
    /// A camera.
    Camera(CameraId),
    /// A receiver of alerts.
    Linkage(LinkageId),
    /// The space on the footage disk.
    Disk,
    /// Whether the footage disk is there.
    DiskPresence,
}

/// Raises and ends alerts on conditions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Where they are kept.
    pub store: Store,
    /// Who sends them.
    pub outbox: Outbox,
    /// The time.
    pub clock: Clock,
    /// What is known of the site; replaced when the configuration is read again.
    pub options: Arc<ArcSwap<EntryOptions>>,
}

impl Conditions {
    /// Takes in what a door said besides swipes; acknowledged when it is durable.
    ///
    /// # Errors
    /// [`StoreError`]: the message stays unacknowledged and comes again.
    pub async fn take_door_event(&self, event: DoorEvent) -> Result<(), StoreError> {
        match event {
            // The pipeline keeps swipes to itself.
            DoorEvent::Swipe { .. } => Ok(()),
            DoorEvent::State {
                door,
                state,
                at,
                ack,
            } => {
                self.door_state(door, state, at).await?;
                ack.done();
                Ok(())
            }
            DoorEvent::Status {
                door, online, ack, ..
            } => {
                let subject = Subject::Door(door);
                if online {
                    self.end(AlertKind::DoorOffline, subject).await?;
                } else {
                    self.begin(AlertKind::DoorOffline, subject, String::new())
                        .await?;
                }
                ack.done();
                Ok(())
            }
            DoorEvent::Reject { reject, ack } => {
                self.reject(reject).await?;
                ack.done();
                Ok(())
            }
        }
    }

    /// Takes in that a camera went away, came back or has a wrong clock.
    ///
    /// # Errors
    /// [`StoreError`] of the transaction.
    pub async fn take_camera_event(&self, event: CameraEvent) -> Result<(), StoreError> {
        let subject = Subject::Camera(event.camera);
        match event.kind {
            CameraEventKind::Offline { reason } => {
                self.begin(AlertKind::CameraOffline, subject, reason).await
            }
            CameraEventKind::Online => self.end(AlertKind::CameraOffline, subject).await,
            CameraEventKind::ClockSkew { offset_ms } => {
                self.begin(AlertKind::ClockSkew, subject, format!("{offset_ms} ms"))
                    .await
            }
            CameraEventKind::ClockInStep => self.end(AlertKind::ClockSkew, subject).await,
        }
    }

    /// Takes in how the footage disk is, and what it has done since `before`. Saying the same again does
    /// nothing, so it is said once at the start too: what an earlier process left standing ends then.
    ///
    /// # Errors
    /// [`StoreError`] of a transaction.
    pub async fn take_disk_report(
        &self,
        before: DiskReport,
        report: DiskReport,
    ) -> Result<(), StoreError> {
        if report.is_away {
            let detail = "footage disk is away".to_owned();
            self.begin(AlertKind::DiskLow, Subject::DiskPresence, detail)
                .await?;
        } else {
            self.end(AlertKind::DiskLow, Subject::DiskPresence).await?;
        }
        match report.is_low {
            Some(true) => {
                let detail = format!("{} MB free", report.free_bytes / 1_000_000);
                self.begin(AlertKind::DiskLow, Subject::Disk, detail)
                    .await?;
            }
            Some(false) => self.end(AlertKind::DiskLow, Subject::Disk).await?,
            None => {}
        }
        let n_files = report.n_early_files.saturating_sub(before.n_early_files);
        let bytes = report.early_bytes.saturating_sub(before.early_bytes);
        if n_files > 0 {
            self.deleted_early(n_files, bytes).await?;
        }
        Ok(())
    }

    /// Takes in that a receiver of alerts went away or came back; tells the others.
    ///
    /// # Errors
    /// [`StoreError`] of the transaction.
    pub async fn take_outbox_event(&self, event: OutboxEvent) -> Result<(), StoreError> {
        match event {
            OutboxEvent::LinkageDown { linkage, reason } => {
                // An alert has no field for it, and the others must know which one they stand in for.
                let detail = format!("{linkage}: {reason}");
                self.begin(AlertKind::LinkageDown, Subject::Linkage(linkage), detail)
                    .await
            }
            OutboxEvent::LinkageUp { linkage } => {
                self.end(AlertKind::LinkageDown, Subject::Linkage(linkage))
                    .await
            }
        }
    }

    /// Ends what stands on doors, cameras and receivers that are no longer configured: nobody will say
    /// that they are well again. At the start, and when the configuration was read again.
    ///
    /// # Errors
    /// [`StoreError`] of a transaction.
    pub async fn forget_unknown(&self) -> Result<(), StoreError> {
        let (options, policy) = (self.options.load_full(), self.outbox.raise_policy());
        let mut gone = Vec::new();
        for row in self.store.scan(tables::CONDITIONS, &()) {
            let (key, _) = row?;
            let Some((kind, subject)) = read_condition_key(&key) else {
                continue;
            };
            let is_known = match &subject {
                Subject::Door(id) => options.doors.contains_key(id),
                Subject::Camera(id) => options.cameras.contains_key(id),
                Subject::Linkage(id) => policy.names(id),
                Subject::Disk | Subject::DiskPresence => true,
            };
            if !is_known {
                gone.push((kind, subject));
            }
        }
        for (kind, subject) in gone {
            self.end(kind, subject).await?;
        }
        Ok(())
    }

    async fn door_state(
        &self,
        door: DoorId,
        state: DoorState,
        _at: WallTime,
    ) -> Result<(), StoreError> {
        let subject = Subject::Door(door);
        // What one message ends is ended in one step, so that messages of a door keep their order.
        match state {
            DoorState::Forced => {
                self.begin(AlertKind::DoorForced, subject, String::new())
                    .await
            }
            DoorState::Held => {
                self.begin(AlertKind::DoorHeld, subject, String::new())
                    .await
            }
            DoorState::Tamper => self.begin(AlertKind::Tamper, subject, String::new()).await,
            DoorState::Closed => {
                let over = [
                    AlertKind::DoorForced,
                    AlertKind::DoorHeld,
                    AlertKind::Tamper,
                ];
                self.end_all(&over, subject).await
            }
            DoorState::Open => self.end(AlertKind::Tamper, subject).await,
        }
    }

    async fn begin(
        &self,
        kind: AlertKind,
        subject: Subject,
        detail: String,
    ) -> Result<(), StoreError> {
        let key = condition_key(kind, &subject);
        let repeats = matches!(
            kind,
            AlertKind::DoorForced | AlertKind::DoorHeld | AlertKind::Tamper
        );
        let alert = self.alert(kind, Some(&subject), detail);
        let standing = self.outbox.raise_policy();
        let policy = match &subject {
            // A receiver that is down is not told of it; the others are.
            Subject::Linkage(linkage) => Arc::new(standing.without(linkage)),
            Subject::Door(_) | Subject::Camera(_) | Subject::Disk | Subject::DiskPresence => {
                standing
            }
        };
        let begun = self
            .store
            .write(move |txn| {
                if let Some(standing) = txn.get(tables::CONDITIONS, &key)? {
                    let told = txn.get(tables::ALERTS, &standing)?;
                    let told_at = told.map_or(alert.raised_at, |told| told.raised_at);
                    if !repeats || alert.raised_at.since(told_at) < REPEAT_AFTER {
                        return Ok(false);
                    }
                }
                txn.put(tables::CONDITIONS, &key, &alert.id)?;
                outbox::raise(txn, &alert, &policy, false, alert.raised_at)?;
                Ok(true)
            })
            .await?;
        if begun {
            info!(kind = kind.as_str(), ?subject, "condition began");
            self.outbox.wake();
        }
        Ok(())
    }

    async fn end(&self, kind: AlertKind, subject: Subject) -> Result<(), StoreError> {
        self.end_all(&[kind], subject).await
    }

    /// Ends those of `kinds` that stand on `subject`. Whether one stands is decided in the transaction:
    /// its beginning may be in the same group commit. Nothing to end is nothing to write.
    async fn end_all(&self, kinds: &[AlertKind], subject: Subject) -> Result<(), StoreError> {
        let keys: Vec<String> = kinds
            .iter()
            .map(|kind| condition_key(*kind, &subject))
            .collect();
        let now = self.clock.now();
        let n_ended = self
            .store
            .write(move |txn| {
                let mut n_ended = 0;
                for key in &keys {
                    if let Some(alert) = txn.get(tables::CONDITIONS, key)? {
                        txn.delete(tables::CONDITIONS, key);
                        outbox::revise(txn, alert, Change::Ended { at: now }, now)?;
                        n_ended += 1;
                    }
                }
                Ok(n_ended)
            })
            .await?;
        if n_ended > 0 {
            info!(?subject, n_ended, "conditions ended");
            self.outbox.wake();
        }
        Ok(())
    }

    fn alert(&self, kind: AlertKind, subject: Option<&Subject>, detail: String) -> Alert {
        let now = self.clock.now();
        let options = self.options.load();
        let (door, camera, place) = match subject {
            Some(Subject::Door(id)) => (
                Some(id.clone()),
                None,
                options.doors.get(id).map(|door| door.place.clone()),
            ),
            Some(Subject::Camera(id)) => (None, Some(id.clone()), options.cameras.get(id).cloned()),
            Some(Subject::Linkage(_) | Subject::Disk | Subject::DiskPresence) | None => {
                (None, None, None)
            }
        };
        let key = subject
            .map(|subject| condition_key(kind, subject))
            .unwrap_or_default();
        Alert {
            id: AlertId::derive(&[key.as_bytes(), &now.unix_ns().to_be_bytes()]),
            revision: 1,
            kind,
            raised_at: now,
            place: place.unwrap_or(Place::Compound),
            door,
            camera,
            entry: None,
            count: 1,
            detail,
            ended_at: None,
            dwelling: None,
        }
    }

    /// Counts footage that was deleted before its time in one alert an hour.
    async fn deleted_early(&self, n_files: u64, bytes: u64) -> Result<(), StoreError> {
        let now = self.clock.now();
        let hour = now.unix_s().div_euclid(COUNTED_PERIOD_S);
        let mb = bytes / 1_000_000;
        let detail = format!("{n_files} files ({mb} MB) deleted before their time");
        let count = u32::try_from(n_files).unwrap_or(u32::MAX);
        let alert = Alert {
            id: AlertId::derive(&[b"early-deletion", &hour.to_be_bytes()]),
            count,
            ..self.alert(AlertKind::DiskLow, Some(&Subject::Disk), detail)
        };
        self.raise_counted(alert, |_| Ok(())).await
    }

    /// Raises `alert`, or adds its count to the alert of the same id. `with` is done in the same
    /// transaction.
    async fn raise_counted(
        &self,
        alert: Alert,
        with: impl FnOnce(&mut Txn<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let policy = self.outbox.raise_policy();
        self.store
            .write(move |txn| {
                with(txn)?;
                let now = alert.raised_at;
                if outbox::count_more(txn, alert.id, alert.count, &policy, now)? {
                    return Ok(());
                }
                outbox::raise(txn, &alert, &policy, false, now).map(|_| ())
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// Keeps the reject and counts it in one alert a door and hour.
    async fn reject(&self, reject: Reject) -> Result<(), StoreError> {
        let now = self.clock.now();
        warn!(
            door = reject.door.as_ref().map(DoorId::as_str),
            reason = reject.reason,
            "unreadable message"
        );
        let subject = reject.door.as_ref().map_or("unknown", DoorId::as_str);
        let hour = now.unix_s().div_euclid(COUNTED_PERIOD_S);
        let id = AlertId::derive(&[b"swipe-rejects", subject.as_bytes(), &hour.to_be_bytes()]);
        let known = reject.door.clone().map(Subject::Door);
        let alert = Alert {
            id,
            ..self.alert(
                AlertKind::SwipeRejects,
                known.as_ref(),
                reject.reason.clone(),
            )
        };
        self.raise_counted(alert, move |txn| put_reject(txn, &reject, now))
            .await
    }
}

fn put_reject(txn: &mut Txn<'_>, reject: &Reject, now: WallTime) -> Result<(), StoreError> {
    let counter = "rejects".to_owned();
    let n_kept = txn.get(tables::META, &counter)?.unwrap_or(0);
    let mut n_now = n_kept + 1;
    // A number of its own, so that two of one instant both stay.
    txn.put(tables::REJECTS, &(now, fastrand::u64(..)), reject)?;
    if n_now > REJECTS_MAX
        && let Some((oldest, _)) = txn.scan(tables::REJECTS, &(), 1)?.into_iter().next()
    {
        txn.delete(tables::REJECTS, &oldest);
        n_now -= 1;
    }
    txn.put(tables::META, &counter, &n_now)
}

fn condition_key(kind: AlertKind, subject: &Subject) -> String {
    let subject = match subject {
        Subject::Door(id) => id.as_str(),
        Subject::Camera(id) => id.as_str(),
        Subject::Linkage(id) => id.as_str(),
        Subject::Disk => DISK,
        Subject::DiskPresence => DISK_PRESENCE,
    };
    format!("{}/{subject}", kind.as_str())
}

/// What [`condition_key`] wrote; `None` for what no kind of condition is about.
fn read_condition_key(key: &str) -> Option<(AlertKind, Subject)> {
    let (kind, subject) = key.split_once('/')?;
    let kind = AlertKind::from_word(kind)?;
    let subject = match kind {
        AlertKind::LinkageDown => Subject::Linkage(subject.parse().ok()?),
        AlertKind::CameraOffline | AlertKind::ClockSkew => Subject::Camera(subject.parse().ok()?),
        AlertKind::DoorOffline
        | AlertKind::DoorForced
        | AlertKind::DoorHeld
        | AlertKind::Tamper => Subject::Door(subject.parse().ok()?),
        AlertKind::DiskLow if subject == DISK => Subject::Disk,
        AlertKind::DiskLow if subject == DISK_PRESENCE => Subject::DiskPresence,
        AlertKind::DiskLow
        | AlertKind::Duress
        | AlertKind::UnknownCard
        | AlertKind::RevokedCard
        | AlertKind::ExpiredCard
        | AlertKind::WrongPlace
        | AlertKind::CardShared
        | AlertKind::LimitReached
        | AlertKind::OverLimit
        | AlertKind::SwipeRejects => return None,
    };
    Some((kind, subject))
}
