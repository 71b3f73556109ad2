//! The vocabulary of changes: what can be asked of the ledger, and what it answers.
//!
//! A [`Batch`] is applied in order, in one transaction: each step sees those before it. What cannot be
//! done is a [`Refusal`], a value with its reason; it never names a person or a card's number.

use std::fmt;

use crate::domain::access::CardState;
use crate::domain::card::{CardKey, CardNumber};
use crate::domain::dwelling::{Day, Dwelling, Relation};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::person::{PersonMark, PersonName};
use crate::domain::place::Place;
use crate::domain::reckoning::Reckoning;
use crate::domain::role::Actor;
use crate::time::WallTime;

/// Longest reason for a change, in characters.
pub const WHY_CHARS_MAX: usize = 200;
/// Most steps of one batch: the import of a large compound, several times over.
pub const STEPS_MAX: usize = 200_000;

/// One thing that is asked of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new dwelling, or other facts of one. A smaller area is never refused: the dwelling is then
    /// over its limit, and nobody's card is taken.
    PutDwelling(Dwelling),
    /// A person becomes a cardholder. An id whose holder was removed may be used again.
    AddHolder(CardholderId, HolderFacts),
    /// Other facts of a cardholder; another dwelling means that the person moves, cards and all.
    ChangeHolder(CardholderId, HolderFacts),
    /// A person is taken off the list, and every card of theirs is revoked.
    RemoveHolder(CardholderId),
    /// A card is issued. The number must be new, revoked, or expired.
    IssueCard(CardNumber, CardFacts),
    /// A card is revoked, reported lost, or found again.
    SetCardState(CardKey, CardState),
    /// A card gets other dates of validity.
    RedateCard(CardKey, Validity),
}

impl Change {
    /// The word for it in history, logs and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Change::PutDwelling(_) => "put-dwelling",
            Change::AddHolder(..) => "add-holder",
            Change::ChangeHolder(..) => "change-holder",
            Change::RemoveHolder(_) => "remove-holder",
            Change::IssueCard(..) => "issue-card",
            Change::SetCardState(_, CardState::Active) => "reinstate-card",
            Change::SetCardState(_, CardState::Lost) => "lose-card",
            Change::SetCardState(_, CardState::Revoked) => "revoke-card",
            Change::RedateCard(..) => "redate-card",
        }
    }
}

/// A cardholder's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderFacts {
    /// The dwelling.
    pub dwelling: DwellingId,
    /// The person's name; may be empty.
    pub name: PersonName,
    /// What the person is to the dwelling.
    pub relation: Relation,
    /// What the manager knows the person by, so that one person in two dwellings is one; `None`: this
    /// cardholder is nobody else.
    pub person: Option<PersonMark>,
    /// First day of the tenancy; `None`: from the beginning.
    pub from: Option<Day>,
    /// Last day of the tenancy; `None`: open. The person's cards are of no use outside these days.
    pub to: Option<Day>,
}

/// A card's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardFacts {
    /// Who holds it.
    pub holder: CardholderId,
    /// Active; another state for cards that are taken over from elsewhere.
    pub state: CardState,
    /// Its dates.
    pub validity: Validity,
}

/// From when until when a card is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// First moment; `None`: always was.
    pub from: Option<WallTime>,
    /// First moment after it; `None`: no end.
    pub until: Option<WallTime>,
}

/// One step of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is asked.
    pub change: Change,
    /// Refused as [`Refusal::Stale`] unless what it changes has this revision; 0: is new. `None`:
    /// whatever it has.
    pub if_revision: Option<u64>,
}

impl From<Change> for Step {
    fn from(change: Change) -> Step {
        Step {
            change,
            if_revision: None,
        }
    }
}

/// What becomes of a batch some of whose steps are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is kept.
    AllOrNothing,
    /// The others are kept. Applied in several transactions when the batch is large, so that swipes
    /// get their turn in between.
    SkipRefused,
}

/// What becomes of a person beyond a dwelling's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeyondLimit {
    /// Refused. What every clerk meets.
    Refuse,
    /// Taken, and the dwelling is over its limit: for taking over what was so before the ledger.
    Admit,
}

/// Changes that belong together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who asks.
    pub by: Actor,
    /// Why, in their words; at most 200 characters, kept sealed. May be empty for programs.
    pub why: String,
    /// In order; at most [`STEPS_MAX`].
    pub steps: Vec<Step>,
    /// When some are refused.
    pub mode: Mode,
    /// When a dwelling is full.
    pub beyond_limit: BeyondLimit,
    /// Nothing is done, as [`Applied::is_stale`], unless the ledger's newest change is this one: for
    /// who has planned on a snapshot.
    pub if_seq: Option<u64>,
}

impl Batch {
    /// One change that is refused when the dwelling is full.
    pub fn one(by: Actor, why: impl Into<String>, step: impl Into<Step>) -> Batch {
        Batch {
            by,
            why: why.into(),
            steps: vec![step.into()],
            mode: Mode::AllOrNothing,
            beyond_limit: BeyondLimit::Refuse,
            if_seq: None,
        }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// One for each step, in order; empty when `is_stale`. With `is_kept` false, what would have been.
    pub outcomes: Vec<Outcome>,
    /// Is what was not refused in the ledger, durably?
    pub is_kept: bool,
    /// The ledger had changed since the snapshot; nothing was looked at.
    pub is_stale: bool,
    /// The ledger's newest change now.
    pub seq: u64,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; the number of the change, which is the new revision of what was changed.
    Done {
        /// See [`crate::domain::ledger::NumberedChange::seq`].
        revision: u64,
    },
    /// It was so already; nothing is written.
    Unchanged,
    /// Not done.
    Refused(Refusal),
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The dwelling would have more persons than may be.
    LimitReached {
        /// Which.
        dwelling: DwellingId,
        /// The day from which it would.
        day: Day,
        /// How it stands on that day without the change: area, rule, who counts and who does not.
        reckoning: Box<Reckoning>,
    },
    /// There is no such dwelling.
    NoDwelling(DwellingId),
    /// There is no such cardholder, or the person was removed.
    NoHolder(CardholderId),
    /// There is no such card.
    NoCard,
    /// The configuration has no such stairwell.
    NoPlace(Place),
    /// A cardholder of that id is there already.
    HolderThere(CardholderId),
    /// The card is in someone's hands.
    CardTaken {
        /// Whose.
        holder: CardholderId,
        /// Active or lost.
        state: CardState,
    },
    /// The end lies before the beginning.
    DatesBackwards,
    /// A dormitory has 0 to 1000 beds, and only a dormitory has beds.
    Beds,
    /// The number of a dwelling is 1 to 32 characters.
    Number,
    /// A dwelling has 10,000 cardholders or cards at most, removed and revoked ones included.
    Crowded,
    /// It was changed by someone else in the meantime.
    Stale {
        /// Its revision now; 0: it is not there.
        found: u64,
    },
}

impl Refusal {
    /// The word for it in JSON and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Refusal::LimitReached { .. } => "cardholder-limit-reached",
            Refusal::NoDwelling(_) => "no-dwelling",
            Refusal::NoHolder(_) => "no-holder",
            Refusal::NoCard => "no-card",
            Refusal::NoPlace(_) => "no-place",
            Refusal::HolderThere(_) => "holder-exists",
            Refusal::CardTaken { .. } => "card-taken",
            Refusal::DatesBackwards => "dates-backwards",
            Refusal::Beds => "beds",
            Refusal::Number => "number",
            Refusal::Crowded => "crowded",
            Refusal::Stale { .. } => "stale",
        }
    }
}

/// What is wrong and what to do, for people; no name and no card number.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::LimitReached {
                dwelling,
                day,
                reckoning,
            } => write!(
                f,
                "dwelling {dwelling} has {} of {} cardholders on {day}: {} m² at {} m² a person \
                 (rule {})",
                reckoning.n_holders(),
                reckoning.limit.unwrap_or_default(),
                reckoning.area,
                reckoning.per_person,
                reckoning.rule_version,
            ),
            Refusal::NoDwelling(id) => write!(f, "there is no dwelling {id}"),
            Refusal::NoHolder(id) => write!(f, "there is no cardholder {id}"),
            Refusal::NoCard => f.write_str("there is no such card"),
            Refusal::NoPlace(place) => {
                write!(f, "there is no stairwell {place} in the configuration")
            }
            Refusal::HolderThere(id) => write!(f, "there is a cardholder {id} already"),
            Refusal::CardTaken { holder, state } => {
                let state = match state {
                    CardState::Active => "in use",
                    CardState::Lost => "reported lost",
                    CardState::Revoked => "revoked",
                };
                write!(
                    f,
                    "the card is {state}, its holder is {holder} (revoke it first)"
                )
            }
            Refusal::DatesBackwards => f.write_str("the end lies before the beginning"),
            Refusal::Beds => f.write_str(
                "a dormitory needs its registered beds, 0 to 1000, and nothing else has any",
            ),
            Refusal::Number => f.write_str("a dwelling's number is 1 to 32 characters"),
            Refusal::Crowded => f.write_str(
                "the dwelling has 10000 cardholders or cards already, removed ones included",
            ),
            Refusal::Stale { found } => write!(
                f,
                "it was changed in the meantime, its revision is {found} (read it again)"
            ),
        }
    }
}
