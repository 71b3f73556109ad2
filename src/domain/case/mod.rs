//! The closed loop over an alert (闭环): someone is answerable for it until it is closed.
//!
//! ```text
//!  raised ─acknowledge─► acknowledged ─dispatch─► dispatched ─accept─► accepted ─resolve─► resolved
//!                          ▲       ▲                 ▲  │ ▲              │                  │   │
//!                          │       │                 └──┘ └─── dispatch ─┘                  │ verify
//!                          │       └────────────────────────── reopen ──────────────────────┘   ▼
//!                          └─ reopen ─ closed, cancelled, verified      closed ◄─close─ verified
//!
//!  cancel (a false alarm): from raised, acknowledged, dispatched, accepted ─► cancelled
//! ```
//!
//! Pure: a move takes the case, the rules and the time, and gives the case after it, or the reason
//! why not. Every move is recorded with who, when and what they said. A deadline that passes is a move
//! too: the next tier becomes answerable. Nothing but a person ends a case.

mod picture;
mod rules;
mod words;

use serde::{Deserialize, Serialize};

pub use picture::{Picture, PictureFormat, PictureWhen};
pub use rules::{Allowances, CASE_SEVERITY_MAX, CaseRules, Deadlines, Grid, GridMap};
pub use words::{
    CaseState, NOTE_CHARS_MAX, Note, PARTY_CHARS_MAX, Party, StepKind, TextError, Tier,
};

use super::alert::{Alert, AlertKind};
use super::id::AlertId;
use super::place::Place;
use super::role::{Actor, Role};
use crate::time::WallTime;

/// From so many moves on a case is neither dispatched again nor reopened: what keeps coming back is
/// raised anew. Keeps the record of a case small, since the other moves of a life are few.
pub const MOVES_MAX: usize = 80;

/// What happened to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// Opened with its alert.
    Opened,
    /// Someone took note.
    Acknowledge,
    /// Sent to a party.
    Dispatch,
    /// Taken on.
    Accept,
    /// Dealt with.
    Resolve,
    /// Seen to be so.
    Verify,
    /// Ended.
    Close,
    /// Taken up again.
    Reopen,
    /// Ended as a false alarm.
    Cancel,
    /// A deadline passed: the next tier is answerable.
    Escalated,
    /// A deadline passed on the highest tier.
    Overdue,
    /// The condition behind the alert ended by itself (a camera is back). The case goes on.
    ConditionEnded,
}

impl MoveKind {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            MoveKind::Opened => "opened",
            MoveKind::Escalated => "escalated",
            MoveKind::Overdue => "overdue",
            MoveKind::ConditionEnded => "condition-ended",
            MoveKind::Acknowledge => StepKind::Acknowledge.as_str(),
            MoveKind::Dispatch => StepKind::Dispatch.as_str(),
            MoveKind::Accept => StepKind::Accept.as_str(),
            MoveKind::Resolve => StepKind::Resolve.as_str(),
            MoveKind::Verify => StepKind::Verify.as_str(),
            MoveKind::Close => StepKind::Close.as_str(),
            MoveKind::Reopen => StepKind::Reopen.as_str(),
            MoveKind::Cancel => StepKind::Cancel.as_str(),
        }
    }

    /// The step it was; `None` when nobody took one.
    pub const fn step(self) -> Option<StepKind> {
        match self {
            MoveKind::Acknowledge => Some(StepKind::Acknowledge),
            MoveKind::Dispatch => Some(StepKind::Dispatch),
            MoveKind::Accept => Some(StepKind::Accept),
            MoveKind::Resolve => Some(StepKind::Resolve),
            MoveKind::Verify => Some(StepKind::Verify),
            MoveKind::Close => Some(StepKind::Close),
            MoveKind::Reopen => Some(StepKind::Reopen),
            MoveKind::Cancel => Some(StepKind::Cancel),
            MoveKind::Opened
            | MoveKind::Escalated
            | MoveKind::Overdue
            | MoveKind::ConditionEnded => None,
        }
    }
}

impl From<StepKind> for MoveKind {
    fn from(step: StepKind) -> MoveKind {
        match step {
            StepKind::Acknowledge => MoveKind::Acknowledge,
            StepKind::Dispatch => MoveKind::Dispatch,
            StepKind::Accept => MoveKind::Accept,
            StepKind::Resolve => MoveKind::Resolve,
            StepKind::Verify => MoveKind::Verify,
            StepKind::Close => MoveKind::Close,
            StepKind::Reopen => MoveKind::Reopen,
            StepKind::Cancel => MoveKind::Cancel,
        }
    }
}

/// One move of a case, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// What.
    pub kind: MoveKind,
    /// When.
    pub at: WallTime,
    /// Who; `None` when nobody did it.
    #[serde(default)]
    pub by: Option<Actor>,
    /// What they said.
    #[serde(default)]
    pub note: Option<Note>,
    /// The state after it.
    pub state: CaseState,
    /// The tier after it.
    pub tier: Tier,
    /// Who is answerable after it.
    #[serde(default)]
    pub party: Option<Party>,
    /// A step that came after its deadline.
    #[serde(default)]
    pub late: bool,
}

/// The handling of one alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Of which alert; one alert has at most one case.
    pub alert: AlertId,
    /// The alert's kind.
    pub kind: AlertKind,
    /// The alert's place.
    pub place: Place,
    /// When the alert was raised.
    pub raised_at: WallTime,
    /// Where it stands.
    pub state: CaseState,
    /// The tier that is answerable.
    pub tier: Tier,
    /// Who is answerable: proposed by the grid map, then whom it was dispatched to, then whom it was
    /// escalated to.
    #[serde(default)]
    pub party: Option<Party>,
    /// When the next deadline passes; `None` when none will.
    #[serde(default)]
    pub due_at: Option<WallTime>,
    /// Since when the step that is due now is overdue.
    #[serde(default)]
    pub overdue_since: Option<WallTime>,
    /// Everything that happened, oldest first; never empty, the first is `Opened`.
    pub moves: Vec<Move>,
}

/// What lists of cases need of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseListing {
    /// Where it stands.
    pub state: CaseState,
    /// The step that is due now is overdue, and that is recorded.
    pub overdue: bool,
}

/// The word under which open cases are listed.
pub const LISTED_OPEN: &str = "open";
/// The word under which closed and cancelled cases are listed.
pub const LISTED_DONE: &str = "done";

/// What someone wants to do about a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub action: Action,
    /// What they say about it.
    pub note: Option<Note>,
}

/// A step with what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes note.
    Acknowledge,
    /// Sends it to a party, or to another one.
    Dispatch {
        /// To whom; `None`: whom the grid map has for the place and tier.
        party: Option<Party>,
        /// On which tier; `None`: as it is.
        tier: Option<Tier>,
    },
    /// Takes it on.
    Accept,
    /// Has dealt with it.
    Resolve,
    /// Has seen that it is dealt with.
    Verify,
    /// Ends it.
    Close,
    /// Takes it up again.
    Reopen,
    /// It was a false alarm.
    Cancel,
}

impl Action {
    /// Which step it is.
    pub const fn kind(&self) -> StepKind {
        match self {
            Action::Acknowledge => StepKind::Acknowledge,
            Action::Dispatch { .. } => StepKind::Dispatch,
            Action::Accept => StepKind::Accept,
            Action::Resolve => StepKind::Resolve,
            Action::Verify => StepKind::Verify,
            Action::Close => StepKind::Close,
            Action::Reopen => StepKind::Reopen,
            Action::Cancel => StepKind::Cancel,
        }
    }
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was taken: the case after it.
    Moved(Box<Case>),
    /// The same actor has just taken the same step with the same words (an answer was lost on its way):
    /// nothing changes.
    Repeated,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The actor's role may not.
    Role {
        /// Who may.
        allowed: &'static [Role],
    },
    /// Not from where the case stands.
    Illegal {
        /// Where it stands.
        state: CaseState,
        /// What may be done from there, by whoever may.
        legal: Vec<StepKind>,
    },
    /// A note must say what or why.
    NoteMissing,
    /// The grid map has nobody for the place and tier, and the step names nobody.
    NoParty {
        /// Which tier.
        tier: Tier,
    },
    /// The case has come back too often ([`MOVES_MAX`]).
    TooManyMoves,
}

/// Where `step` leads from `state`; `None` when it is not legal there.
pub const fn next_state(state: CaseState, step: StepKind) -> Option<CaseState> {
    use CaseState as S;
    match (state, step) {
        (S::Raised, StepKind::Acknowledge) => Some(S::Acknowledged),
        (S::Acknowledged | S::Dispatched | S::Accepted, StepKind::Dispatch) => Some(S::Dispatched),
        (S::Dispatched, StepKind::Accept) => Some(S::Accepted),
        (S::Accepted, StepKind::Resolve) => Some(S::Resolved),
        (S::Resolved, StepKind::Verify) => Some(S::Verified),
        (S::Verified, StepKind::Close) => Some(S::Closed),
        (S::Resolved | S::Verified | S::Closed | S::Cancelled, StepKind::Reopen) => {
            Some(S::Acknowledged)
        }
        (S::Raised | S::Acknowledged | S::Dispatched | S::Accepted, StepKind::Cancel) => {
            Some(S::Cancelled)
        }
        _ => None,
    }
}

/// The steps that are legal from `state`.
pub fn legal_steps(state: CaseState) -> Vec<StepKind> {
    let steps = StepKind::ALL.into_iter();
    steps
        .filter(|step| next_state(state, *step).is_some())
        .collect()
}

impl Case {
    /// The case that `alert` opens at `now`; `None` for one that is only for the record.
    pub fn open(alert: &Alert, rules: &CaseRules, now: WallTime) -> Option<Case> {
        if alert.kind.severity() > CASE_SEVERITY_MAX {
            return None;
        }
        let tier = Tier::Community;
        let mut case = Case {
            alert: alert.id,
            kind: alert.kind,
            place: alert.place.clone(),
            raised_at: alert.raised_at,
            state: CaseState::Raised,
            tier,
            party: rules.grids.party(&alert.place, tier).cloned(),
            due_at: None,
            overdue_since: None,
            moves: Vec::new(),
        };
        case.set_due(rules, now);
        case.record(MoveKind::Opened, now);
        Some(case)
    }

    /// As lists show it.
    pub const fn listing(&self) -> CaseListing {
        CaseListing {
            state: self.state,
            overdue: self.overdue_since.is_some(),
        }
    }

    /// When it was opened.
    pub fn opened_at(&self) -> WallTime {
        self.moves
            .first()
            .map_or(self.raised_at, |opened| opened.at)
    }

    /// Takes `step` in the name of `actor`.
    ///
    /// # Errors
    /// [`Refusal`], in this order: the role, the state, the note, the party, too many moves. A repeat of
    /// the newest step by the same actor is none, whatever the state.
    pub fn take(
        &self,
        step: &Step,
        actor: &Actor,
        rules: &CaseRules,
        now: WallTime,
    ) -> Result<Taken, Refusal> {
        let kind = step.action.kind();
        let allowed = kind.roles();
        if !allowed.contains(&actor.role) {
            return Err(Refusal::Role { allowed });
        }
        if self.repeats(step, actor, rules) {
            return Ok(Taken::Repeated);
        }
        let Some(state) = next_state(self.state, kind) else {
            return Err(Refusal::Illegal {
                state: self.state,
                legal: legal_steps(self.state),
            });
        };
        if kind.needs_note() && step.note.is_none() {
            return Err(Refusal::NoteMissing);
        }
        let mut case = self.clone();
        if let Action::Dispatch { party, tier } = &step.action {
            let (tier, party) = self.target(party.as_ref(), *tier, rules);
            case.tier = tier;
            case.party = Some(party.ok_or(Refusal::NoParty { tier })?);
        }
        let comes_back = matches!(kind, StepKind::Dispatch | StepKind::Reopen);
        if comes_back && self.moves.len() >= MOVES_MAX {
            return Err(Refusal::TooManyMoves);
        }
        let is_due_step = self.state.due_step() == Some(kind);
        let late = is_due_step && self.is_overdue(now);
        case.state = state;
        case.overdue_since = None;
        case.set_due(rules, now);
        let recorded = case.record(kind.into(), now);
        recorded.by = Some(actor.clone());
        recorded.note.clone_from(&step.note);
        recorded.late = late;
        Ok(Taken::Moved(Box::new(case)))
    }

    /// Is the step that is due now overdue at `now`, whether or not that is recorded yet?
    pub fn is_overdue(&self, now: WallTime) -> bool {
        self.overdue_since.is_some() || self.due_at.is_some_and(|due| due <= now)
    }

    /// Has any of its deadlines passed so far, as recorded or as of `now`?
    pub fn was_late(&self, now: WallTime) -> bool {
        let missed =
            |made: &Move| made.late || matches!(made.kind, MoveKind::Escalated | MoveKind::Overdue);
        self.is_overdue(now) || self.moves.iter().any(missed)
    }

    /// What becomes of it when a deadline passes: the next tier is answerable and has the same time
    /// again; on the highest tier it is only noted. `None` while none has passed.
    ///
    /// One call is one escalation, counted from `now`: after a long outage the tiers still follow each
    /// other at their distance, and are not all skipped at once.
    pub fn expire(&self, rules: &CaseRules, now: WallTime) -> Option<Case> {
        let due_at = self.due_at.filter(|due| *due <= now)?;
        let mut case = self.clone();
        case.overdue_since = Some(self.overdue_since.unwrap_or(due_at));
        let Some(tier) = self.tier.above() else {
            case.due_at = None;
            case.record(MoveKind::Overdue, now);
            return Some(case);
        };
        case.tier = tier;
        if let Some(party) = rules.grids.party(&self.place, tier) {
            case.party = Some(party.clone());
        }
        case.set_due(rules, now);
        case.record(MoveKind::Escalated, now);
        Some(case)
    }

    /// Notes that the condition behind the alert has ended by itself. Nothing else changes: that a
    /// camera is back does not say why it was away, so a person still ends the case (in one step, by
    /// cancelling it with that reason, if that is all there is to say). `None` when it is not open.
    pub fn condition_ended(&self, now: WallTime) -> Option<Case> {
        if !self.state.is_open() {
            return None;
        }
        let mut case = self.clone();
        case.record(MoveKind::ConditionEnded, now);
        Some(case)
    }

    /// Where a dispatch sends it: what it names, else the tier as it is and whom the grid map has.
    fn target(
        &self,
        party: Option<&Party>,
        tier: Option<Tier>,
        rules: &CaseRules,
    ) -> (Tier, Option<Party>) {
        let tier = tier.unwrap_or(self.tier);
        let mapped = rules.grids.party(&self.place, tier);
        (tier, party.or(mapped).cloned())
    }

    /// Is `step` by `actor` the newest step once more, so that taking it would change nothing?
    fn repeats(&self, step: &Step, actor: &Actor, rules: &CaseRules) -> bool {
        let is_step = |made: &&Move| made.kind.step().is_some();
        let Some(newest) = self.moves.iter().rev().find(is_step) else {
            return false;
        };
        let same_target = match &step.action {
            Action::Dispatch { party, tier } => {
                self.target(party.as_ref(), *tier, rules) == (self.tier, self.party.clone())
            }
            Action::Acknowledge
            | Action::Accept
            | Action::Resolve
            | Action::Verify
            | Action::Close
            | Action::Reopen
            | Action::Cancel => true,
        };
        newest.kind.step() == Some(step.action.kind())
            && newest.by.as_ref() == Some(actor)
            && newest.note == step.note
            && same_target
    }

    fn set_due(&mut self, rules: &CaseRules, now: WallTime) {
        let allowances = rules.deadlines.of(self.kind);
        let allowed = self.state.due_step().and_then(|step| allowances.of(step));
        self.due_at = allowed.map(|allowed| now.plus(allowed));
    }

    fn record(&mut self, kind: MoveKind, at: WallTime) -> &mut Move {
        self.moves.push(Move {
            kind,
            at,
            by: None,
            note: None,
            state: self.state,
            tier: self.tier,
            party: self.party.clone(),
            late: false,
        });
        self.moves.last_mut().expect("one was just pushed")
    }
}

#[cfg(test)]
#[path = "case_tests.rs"]
mod tests;
