//! What a case is held to: how long each step may take, and who is answerable for which place.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Party, StepKind, Tier};
use crate::domain::alert::AlertKind;
use crate::domain::id::StairwellId;
use crate::domain::place::Place;

/// Alerts of this severity and graver open a case.
pub const CASE_SEVERITY_MAX: u8 = 3;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// How long each regular step may take, counted from the step before it (the first from the alert).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowances {
    /// Until someone takes note.
    pub acknowledge: Duration,
    /// Until it is sent to someone.
    pub dispatch: Duration,
    /// Until that party takes it on.
    pub accept: Duration,
    /// Until it is dealt with.
    pub resolve: Duration,
    /// Until that is verified.
    pub verify: Duration,
    /// Until it is closed.
    pub close: Duration,
}

impl Allowances {
    /// What alerts of `severity` get unless configured: graver ones less. Severity 1 is taken note of
    /// within a minute (issue 5); the rest are what a duty room of three shifts can keep.
    pub const fn of_severity(severity: u8) -> Allowances {
        match severity {
            0 | 1 => Allowances {
                acknowledge: MINUTE,
                dispatch: Duration::from_secs(2 * 60),
                accept: Duration::from_secs(5 * 60),
                resolve: Duration::from_secs(30 * 60),
                verify: Duration::from_secs(2 * 3_600),
                close: DAY,
            },
            2 => Allowances {
                acknowledge: Duration::from_secs(5 * 60),
                dispatch: Duration::from_secs(10 * 60),
                accept: Duration::from_secs(30 * 60),
                resolve: Duration::from_secs(4 * 3_600),
                verify: DAY,
                close: Duration::from_secs(3 * 86_400),
            },
            _ => Allowances {
                acknowledge: Duration::from_secs(30 * 60),
                dispatch: HOUR,
                accept: Duration::from_secs(4 * 3_600),
                resolve: Duration::from_secs(2 * 86_400),
                verify: Duration::from_secs(3 * 86_400),
                close: Duration::from_secs(7 * 86_400),
            },
        }
    }

    /// That of `step`; `None` for steps that are never due.
    pub const fn of(&self, step: StepKind) -> Option<Duration> {
        match step {
            StepKind::Acknowledge => Some(self.acknowledge),
            StepKind::Dispatch => Some(self.dispatch),
            StepKind::Accept => Some(self.accept),
            StepKind::Resolve => Some(self.resolve),
            StepKind::Verify => Some(self.verify),
            StepKind::Close => Some(self.close),
            StepKind::Reopen | StepKind::Cancel => None,
        }
    }

    /// That of `step`, to be set; `None` for steps that are never due.
    pub const fn of_mut(&mut self, step: StepKind) -> Option<&mut Duration> {
        match step {
            StepKind::Acknowledge => Some(&mut self.acknowledge),
            StepKind::Dispatch => Some(&mut self.dispatch),
            StepKind::Accept => Some(&mut self.accept),
            StepKind::Resolve => Some(&mut self.resolve),
            StepKind::Verify => Some(&mut self.verify),
            StepKind::Close => Some(&mut self.close),
            StepKind::Reopen | StepKind::Cancel => None,
        }
    }
}

/// How long each step may take, by kind of alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// For all kinds of a severity; what is missing is [`Allowances::of_severity`].
    pub by_severity: BTreeMap<u8, Allowances>,
    /// For one kind, before that of its severity.
    pub by_kind: BTreeMap<AlertKind, Allowances>,
}

impl Deadlines {
    /// What alerts of `kind` get.
    pub fn of(&self, kind: AlertKind) -> Allowances {
        let severity = kind.severity();
        let found = self.by_kind.get(&kind);
        let found = found.or_else(|| self.by_severity.get(&severity));
        found
            .copied()
            .unwrap_or_else(|| Allowances::of_severity(severity))
    }
}

/// One cell of the grid (网格): who is answerable on each tier for some buildings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Its name for people and statistics, such as `grid-3`.
    pub name: String,
    /// The parties; a tier that is missing is not mapped.
    pub parties: BTreeMap<Tier, Party>,
}

/// Which cell each place belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GridMap {
    /// The cells.
    pub grids: Vec<Grid>,
    /// Index of each mapped stairwell's cell, by way of its building.
    pub of_stairwell: BTreeMap<StairwellId, usize>,
    /// Index of the cell of gates and barriers.
    pub of_compound: Option<usize>,
    /// Index of the cell of all other places.
    pub of_rest: Option<usize>,
}

impl GridMap {
    /// The cell of `place`; `None` when it is not mapped.
    pub fn grid(&self, place: &Place) -> Option<&Grid> {
        let idx = match place {
            Place::Compound => self.of_compound,
            Place::Stairwell(id) => self.of_stairwell.get(id).copied(),
        };
        self.grids.get(idx.or(self.of_rest)?)
    }

    /// Who is answerable for `place` on `tier`; `None` when nobody is mapped.
    pub fn party(&self, place: &Place, tier: Tier) -> Option<&Party> {
        self.grid(place)?.parties.get(&tier)
    }
}

/// The rules of all cases of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseRules {
    /// How long steps may take.
    pub deadlines: Deadlines,
    /// Who is answerable where.
    pub grids: GridMap,
}
