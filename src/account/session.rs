//! Sessions of the console: who has logged in, for how long it holds, and how it is taken away.
//!
//! A session is 256 random bits in a cookie; here is its SHA-256 only. They lie in a file beside the
//! accounts, so that a restart logs nobody out, and end by themselves: when nothing was asked for
//! [`SESSION_IDLE_MAX`], after [`SESSION_LIFE_MAX`], when the account goes or gets another password.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::manage::RANDOM_BYTES;
use super::{AccountError, Accounts, Holder, digest, random};
use crate::domain::role::ActorName;
use crate::domain::secret::Secret;
use crate::error::chain;
use crate::file::replace_private;
use crate::supervise::{BlockingError, blocking};
use crate::time::{Clock, WallTime};

/// A session that asks nothing for so long ends; an open stream or live picture asks all the time.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// A session ends after so long whatever it does: a shift and its hand-over.
pub const SESSION_LIFE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Sessions of one account at once; at one more the one that was idle longest ends.
const SESSIONS_OF_ONE_MAX: usize = 16;
/// Sessions at once.
const SESSIONS_MAX: usize = 2_000;
/// How often it is written down which sessions were used.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// Characters of a session's id, which names it in lists.
const ID_CHARS: usize = 16;

/// What tells a session from another while it is watched; lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// Of the token in a cookie.
    pub fn of(token: &str) -> SessionKey {
        SessionKey(digest(token))
    }

    /// A word that only pages of this session know: of the session, but not the session.
    pub fn csrf(&self) -> String {
        let mut text = b"stairgate csrf ".to_vec();
        text.extend_from_slice(&self.0);
        hex::encode(Sha256::digest(text))
    }

    /// Its id in lists.
    pub fn id(&self) -> String {
        let mut id = hex::encode(self.0);
        id.truncate(ID_CHARS);
        id
    }
}

/// A session whose account may still log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The account, as it is now.
    pub holder: Holder,
    /// When it ends, if it asks nothing more.
    pub expires_at: WallTime,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Names it.
    pub id: String,
    /// Whose it is.
    pub name: ActorName,
    /// When it began.
    pub made_at: WallTime,
    /// When it last asked.
    pub seen_at: WallTime,
    /// When it ends.
    pub expires_at: WallTime,
    /// From where it began.
    pub from: Option<IpAddr>,
}

/// The sessions. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    accounts: Accounts,
    clock: Clock,
    state: Mutex<State>,
    /// Held while the file is written, so that an older state never follows a newer one.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionKey, Line>,
    last_log_ins: BTreeMap<ActorName, WallTime>,
    is_unwritten: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    name: ActorName,
    made_at: WallTime,
    /// When its owner last proved to know the password; an older session than the password is void.
    proved_at: WallTime,
    seen_at: WallTime,
    #[serde(default)]
    from: Option<IpAddr>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    sessions: BTreeMap<String, Line>,
    #[serde(default)]
    last_log_ins: BTreeMap<ActorName, WallTime>,
}

impl Line {
    fn expires_at(&self) -> WallTime {
        let idle = self.seen_at.plus(SESSION_IDLE_MAX);
        idle.min(self.made_at.plus(SESSION_LIFE_MAX))
    }
}

impl Sessions {
    /// The sessions kept beside `accounts`. What cannot be read is as if everybody had logged out.
    pub fn open(accounts: Accounts, clock: Clock) -> Sessions {
        let path = accounts.path().with_file_name("sessions.json");
        let state = read(&path);
        Sessions(Arc::new(Inner {
            path,
            accounts,
            clock,
            state: Mutex::new(state),
            writing: Mutex::new(()),
        }))
    }

    /// Begins a session of `name`, who has just proved to know the password; durable when this returns.
    /// Returns the token for the cookie.
    ///
    /// # Errors
    /// [`AccountError::Random`], and [`AccountError::Io`] of the file.
    pub async fn begin(
        &self,
        name: &ActorName,
        from: Option<IpAddr>,
    ) -> Result<Secret, AccountError> {
        let token = Secret::new(hex::encode(random::<RANDOM_BYTES>()?));
        let now = self.0.clock.now();
        let line = Line {
            name: name.clone(),
            made_at: now,
            proved_at: now,
            seen_at: now,
            from,
        };
        {
            let mut state = self.0.state.lock();
            state.sessions.retain(|_, line| line.expires_at() > now);
            let own: Vec<_> = state.keys_where(|line| line.name == *name);
            if own.len() >= SESSIONS_OF_ONE_MAX {
                state.end_idlest(&own);
            } else if state.sessions.len() >= SESSIONS_MAX {
                let all = state.keys_where(|_| true);
                state.end_idlest(&all);
            }
            let key = SessionKey::of(token.reveal());
            state.sessions.insert(key, line);
            state.last_log_ins.insert(name.clone(), now);
        }
        self.write().await?;
        Ok(token)
    }

    /// The session of that key, if it holds; it has just asked.
    pub fn find(&self, key: SessionKey) -> Option<Session> {
        let now = self.0.clock.now();
        let mut state = self.0.state.lock();
        let line = state.sessions.get_mut(&key)?;
        let known = self.0.accounts.with_password(&line.name);
        let is_good = line.expires_at() > now;
        let known = known.filter(|(_, set_at)| is_good && line.proved_at >= *set_at);
        let Some((holder, _)) = known else {
            state.sessions.remove(&key);
            state.is_unwritten = true;
            return None;
        };
        // A clock that was set back makes nobody younger.
        line.seen_at = line.seen_at.max(now);
        let expires_at = line.expires_at();
        state.is_unwritten = true;
        Some(Session { holder, expires_at })
    }

    /// Its owner has proved to know the password again: the session outlives a change of it; durable when this
    /// returns.
    ///
    /// # Errors
    /// [`AccountError::Io`] of the file; it holds in memory even so.
    pub async fn prove(&self, key: SessionKey) -> Result<(), AccountError> {
        let now = self.0.clock.now();
        if let Some(line) = self.0.state.lock().sessions.get_mut(&key) {
            line.proved_at = now;
        }
        self.write().await
    }

    /// Ends a session; durable when this returns.
    ///
    /// # Errors
    /// [`AccountError::Io`] of the file; it is ended in memory even so.
    pub async fn end(&self, key: SessionKey) -> Result<(), AccountError> {
        self.0.state.lock().sessions.remove(&key);
        self.write().await
    }

    /// Ends the session with that id, if it is one of `of`, or of anybody. Whose it was.
    ///
    /// # Errors
    /// [`AccountError::Io`] of the file; it is ended in memory even so.
    pub async fn end_by_id(
        &self,
        id: &str,
        of: Option<&ActorName>,
    ) -> Result<Option<ActorName>, AccountError> {
        let ended = {
            let mut state = self.0.state.lock();
            let key = state
                .sessions
                .iter()
                .find(|(key, line)| key.id() == id && of.is_none_or(|name| line.name == *name));
            let key = key.map(|(key, _)| *key);
            key.and_then(|key| state.sessions.remove(&key))
        };
        self.write().await?;
        Ok(ended.map(|line| line.name))
    }

    /// The sessions of one account, or of all, newest first.
    pub fn list(&self, of: Option<&ActorName>) -> Vec<SessionView> {
        let now = self.0.clock.now();
        let state = self.0.state.lock();
        let lines = state.sessions.iter();
        let mut found: Vec<SessionView> = lines
            .filter(|(_, line)| line.expires_at() > now)
            .filter(|(_, line)| of.is_none_or(|name| line.name == *name))
            .map(|(key, line)| SessionView {
                id: key.id(),
                name: line.name.clone(),
                made_at: line.made_at,
                seen_at: line.seen_at,
                expires_at: line.expires_at(),
                from: line.from,
            })
            .collect();
        found.sort_by(|one, other| (other.made_at, &other.id).cmp(&(one.made_at, &one.id)));
        found
    }

    /// When that account last logged in.
    pub fn last_log_in(&self, name: &ActorName) -> Option<WallTime> {
        self.0.state.lock().last_log_ins.get(name).copied()
    }

    /// Writes down now and then which sessions were used, until `stop`.
    ///
    /// # Errors
    /// None: what cannot be written is logged, and tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(WRITE_EVERY) => {}
            }
            self.write_if_changed().await;
        }
        self.write_if_changed().await;
        Ok(())
    }

    async fn write_if_changed(&self) {
        if !self.0.state.lock().is_unwritten {
            return;
        }
        if let Err(err) = self.write().await {
            error!(error = %chain(&err), "sessions cannot be written");
        }
    }

    async fn write(&self) -> Result<(), AccountError> {
        let inner = Arc::clone(&self.0);
        let written = blocking("write sessions", move || inner.write()).await;
        written.unwrap_or_else(|err: BlockingError| {
            Err(AccountError::Io {
                path: self.0.path.clone(),
                source: std::io::Error::other(err),
            })
        })
    }
}

impl Inner {
    fn write(&self) -> Result<(), AccountError> {
        let _alone = self.writing.lock();
        let kept = {
            let mut state = self.state.lock();
            state.is_unwritten = false;
            let sessions = state.sessions.iter();
            Kept {
                sessions: sessions
                    .map(|(key, line)| (hex::encode(key.0), line.clone()))
                    .collect(),
                last_log_ins: state.last_log_ins.clone(),
            }
        };
        let bytes = serde_json::to_vec_pretty(&kept).map_err(|source| AccountError::Malformed {
            path: self.path.clone(),
            source,
        })?;
        replace_private(&self.path, &bytes).map_err(|source| AccountError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

impl State {
    fn keys_where(&self, fits: impl Fn(&Line) -> bool) -> Vec<SessionKey> {
        let lines = self.sessions.iter().filter(|(_, line)| fits(line));
        lines.map(|(key, _)| *key).collect()
    }

    fn end_idlest(&mut self, among: &[SessionKey]) {
        let seen_at = |key: &&SessionKey| self.sessions.get(*key).map(|line| line.seen_at);
        if let Some(key) = among.iter().min_by_key(seen_at).copied() {
            self.sessions.remove(&key);
        }
    }
}

fn read(path: &Path) -> State {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return State::default(),
        Err(err) => {
            error!(path = %path.display(), error = %err, "sessions cannot be read: all are ended");
            return State::default();
        }
    };
    let kept: Kept = serde_json::from_slice(&bytes).unwrap_or_else(|err| {
        error!(path = %path.display(), error = %err, "sessions cannot be read: all are ended");
        Kept::default()
    });
    let mut state = State {
        last_log_ins: kept.last_log_ins,
        ..State::default()
    };
    for (key, line) in kept.sessions {
        let mut sha256 = [0; 32];
        if hex::decode_to_slice(&key, &mut sha256).is_ok() {
            state.sessions.insert(SessionKey(sha256), line);
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{add, remove, set_password};
    use crate::domain::role::Role;

    const PASSWORD: &str = "correct horse battery";

    struct Bed {
        _folder: tempfile::TempDir,
        path: PathBuf,
        clock: Clock,
        sessions: Sessions,
        li: ActorName,
    }

    impl Bed {
        fn start() -> Bed {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("accounts.json");
            let clock = Clock::simulated(WallTime::from_unix_ms(1_800_000_000_000));
            let li = ActorName::new("li").unwrap();
            add(&path, &li, Role::DutyOfficer, None).unwrap();
            set_password(&path, &li, PASSWORD, clock.now()).unwrap();
            Bed {
                sessions: Sessions::open(Accounts::at(&path), clock.clone()),
                _folder: folder,
                path,
                clock,
                li,
            }
        }

        fn later(&self, by: Duration) {
            self.clock.step(i64::try_from(by.as_nanos()).unwrap());
        }

        async fn begin(&self) -> SessionKey {
            let token = self.sessions.begin(&self.li, None).await.unwrap();
            SessionKey::of(token.reveal())
        }
    }

    #[tokio::test]
    async fn a_session_ends_when_idle_and_after_a_shift() {
        let bed = Bed::start();
        let key = bed.begin().await;
        let most = SESSION_IDLE_MAX - Duration::from_secs(1);
        let mut n_asked = 0;
        while bed.sessions.find(key).is_some() {
            bed.later(most);
            n_asked += 1;
        }
        assert_eq!(n_asked, 25, "12 h in steps of just under 30 min");
        let idle = bed.begin().await;
        bed.later(SESSION_IDLE_MAX);
        assert_eq!(bed.sessions.find(idle), None);
    }

    #[tokio::test]
    async fn a_restart_logs_nobody_out_and_the_file_lets_nobody_in() {
        let bed = Bed::start();
        let token = bed.sessions.begin(&bed.li, None).await.unwrap();
        let again = Sessions::open(Accounts::at(&bed.path), bed.clock.clone());
        let session = again.find(SessionKey::of(token.reveal())).unwrap();
        assert_eq!(session.holder.actor.name, bed.li);
        let kept = std::fs::read_to_string(bed.path.with_file_name("sessions.json")).unwrap();
        assert!(!kept.contains(token.reveal()));
        // The file has milliseconds, as every text of a time.
        let text = |sessions: &Sessions| sessions.last_log_in(&bed.li).map(|at| at.to_string());
        assert_eq!(text(&again), text(&bed.sessions));
        assert!(text(&again).is_some());
    }

    #[tokio::test]
    async fn another_password_or_no_account_ends_what_was_open() {
        let bed = Bed::start();
        let (own, other) = (bed.begin().await, bed.begin().await);
        bed.later(Duration::from_secs(5));
        set_password(&bed.path, &bed.li, "another long password", bed.clock.now()).unwrap();
        bed.sessions.prove(own).await.unwrap();
        bed.sessions.0.accounts.look_now();
        assert!(bed.sessions.find(own).is_some() && bed.sessions.find(other).is_none());
        remove(&bed.path, &bed.li).unwrap();
        bed.sessions.0.accounts.look_now();
        assert!(bed.sessions.find(own).is_none());
    }

    #[tokio::test]
    async fn sessions_are_listed_bounded_and_ended_by_their_owner() {
        let bed = Bed::start();
        let first = bed.begin().await;
        for _ in 0..SESSIONS_OF_ONE_MAX {
            bed.later(Duration::from_secs(1));
            bed.begin().await;
        }
        assert_eq!(bed.sessions.find(first), None, "the one idle longest ended");
        let listed = bed.sessions.list(Some(&bed.li));
        assert_eq!(listed.len(), SESSIONS_OF_ONE_MAX);
        let id = &listed[0].id;
        let eve = ActorName::new("eve").unwrap();
        let ended = bed.sessions.end_by_id(id, Some(&eve)).await.unwrap();
        assert_eq!(ended, None, "not hers");
        let ended = bed.sessions.end_by_id(id, Some(&bed.li)).await.unwrap();
        assert_eq!(ended.as_ref(), Some(&bed.li));
        assert_eq!(bed.sessions.list(None).len(), SESSIONS_OF_ONE_MAX - 1);
    }
}
