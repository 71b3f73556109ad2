//! What each role may do, and where: the one table of rights.
//!
//! Pure, so that `web`, `feed`, the documentation and the test of the whole table read the same words.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::case::StepKind;
use super::place::{COMPOUND, Place};
use super::role::Role;

/// Buildings that one account may be limited to, at most.
pub const BUILDINGS_MAX: usize = 200;
/// Longest name of a building in a limit, in characters.
pub const BUILDING_CHARS_MAX: usize = 64;

/// Something that somebody may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// See live pictures.
    SeeLive,
    /// See entries.
    SeeEntries,
    /// See what a clip shows: the video, its thumbnail, its manifest, and the pictures of a case.
    SeeClips,
    /// See alerts and their cases, also as a stream.
    SeeAlerts,
    /// Take one of the steps of a case.
    MoveCase(StepKind),
    /// See figures on alerts and entries, and the hand-over of a shift.
    SeeStatistics,
    /// See how cameras, doors, linkages, disks and clocks are.
    SeeHealth,
    /// Look for the entries of one person.
    SearchPerson,
    /// See dwellings, limits, cardholders and cards, without names.
    SeeRoster,
    /// See the names of cardholders.
    SeeNames,
    /// Change dwellings, cardholders and cards.
    ChangeRoster,
    /// Take a roster in from a file.
    ImportRoster,
    /// Take in persons beyond a dwelling's limit.
    AdmitBeyondLimit,
    /// Take the roster away as a file, with names and card numbers.
    ExportRoster,
    /// Take the report of all dwellings away as a file.
    SeeReports,
    /// Read the next unknown card at a door.
    NextCard,
    /// See the site's configuration.
    SeeSite,
    /// Change it, and probe cameras and linkages.
    ChangeSite,
    /// See deliveries to linkages.
    SeeDeliveries,
    /// Take up deliveries again that were given up.
    RetryDeliveries,
    /// See and export the audit.
    SeeAudit,
    /// See accounts and everybody's sessions.
    SeeAccounts,
    /// Make, change and remove accounts, and end anybody's sessions.
    ManageAccounts,
}

impl Action {
    /// Every action, in the order of its listing.
    pub const ALL: [Action; 30] = [
        Action::SeeLive,
        Action::SeeEntries,
        Action::SeeClips,
        Action::SeeAlerts,
        Action::MoveCase(StepKind::Acknowledge),
        Action::MoveCase(StepKind::Dispatch),
        Action::MoveCase(StepKind::Accept),
        Action::MoveCase(StepKind::Resolve),
        Action::MoveCase(StepKind::Verify),
        Action::MoveCase(StepKind::Close),
        Action::MoveCase(StepKind::Reopen),
        Action::MoveCase(StepKind::Cancel),
        Action::SeeStatistics,
        Action::SeeHealth,
        Action::SearchPerson,
        Action::SeeRoster,
        Action::SeeNames,
        Action::ChangeRoster,
        Action::ImportRoster,
        Action::AdmitBeyondLimit,
        Action::ExportRoster,
        Action::SeeReports,
        Action::NextCard,
        Action::SeeSite,
        Action::ChangeSite,
        Action::SeeDeliveries,
        Action::RetryDeliveries,
        Action::SeeAudit,
        Action::SeeAccounts,
        Action::ManageAccounts,
    ];

    /// The word used in JSON and in the documentation; part of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::SeeLive => "see-live",
            Action::SeeEntries => "see-entries",
            Action::SeeClips => "see-clips",
            Action::SeeAlerts => "see-alerts",
            Action::MoveCase(StepKind::Acknowledge) => "case-acknowledge",
            Action::MoveCase(StepKind::Dispatch) => "case-dispatch",
            Action::MoveCase(StepKind::Accept) => "case-accept",
            Action::MoveCase(StepKind::Resolve) => "case-resolve",
            Action::MoveCase(StepKind::Verify) => "case-verify",
            Action::MoveCase(StepKind::Close) => "case-close",
            Action::MoveCase(StepKind::Reopen) => "case-reopen",
            Action::MoveCase(StepKind::Cancel) => "case-cancel",
            Action::SeeStatistics => "see-statistics",
            Action::SeeHealth => "see-health",
            Action::SearchPerson => "search-person",
            Action::SeeRoster => "see-roster",
            Action::SeeNames => "see-names",
            Action::ChangeRoster => "change-roster",
            Action::ImportRoster => "import-roster",
            Action::AdmitBeyondLimit => "admit-beyond-limit",
            Action::ExportRoster => "export-roster",
            Action::SeeReports => "see-reports",
            Action::NextCard => "next-card",
            Action::SeeSite => "see-site",
            Action::ChangeSite => "change-site",
            Action::SeeDeliveries => "see-deliveries",
            Action::RetryDeliveries => "retry-deliveries",
            Action::SeeAudit => "see-audit",
            Action::SeeAccounts => "see-accounts",
            Action::ManageAccounts => "manage-accounts",
        }
    }

    /// Who may, besides an admin, who may everything.
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Auditor, DutyOfficer, Installer, PropertyManager};
        match self {
            Action::SeeLive => &[DutyOfficer, Installer],
            Action::SeeEntries | Action::SeeClips => &[DutyOfficer, PropertyManager, Auditor],
            Action::SeeAlerts | Action::SeeHealth => {
                &[DutyOfficer, PropertyManager, Installer, Auditor]
            }
            Action::MoveCase(step) => step.roles(),
            Action::SeeStatistics | Action::SearchPerson => &[DutyOfficer, Auditor],
            Action::SeeRoster | Action::SeeNames | Action::SeeReports => {
                &[PropertyManager, Auditor]
            }
            Action::ChangeRoster
            | Action::ImportRoster
            | Action::ExportRoster
            | Action::NextCard => &[PropertyManager],
            Action::SeeSite | Action::ChangeSite => &[Installer],
            Action::SeeDeliveries => &[DutyOfficer, Installer, Auditor],
            Action::RetryDeliveries => &[DutyOfficer, Installer],
            Action::SeeAudit | Action::SeeAccounts => &[Auditor],
            Action::AdmitBeyondLimit | Action::ManageAccounts => &[],
        }
    }

    /// Is it about the compound as one thing? Then an account that is limited to some buildings may not.
    /// All other actions are done at a place, or to rows that each have one.
    pub const fn is_of_whole_compound(self) -> bool {
        match self {
            Action::ImportRoster
            | Action::AdmitBeyondLimit
            | Action::ExportRoster
            | Action::SeeReports
            | Action::SeeSite
            | Action::ChangeSite
            | Action::SeeDeliveries
            | Action::RetryDeliveries
            | Action::SeeAudit
            | Action::SeeAccounts
            | Action::ManageAccounts => true,
            Action::SeeLive
            | Action::SeeEntries
            | Action::SeeClips
            | Action::SeeAlerts
            | Action::MoveCase(_)
            | Action::SeeStatistics
            | Action::SeeHealth
            | Action::SearchPerson
            | Action::SeeRoster
            | Action::SeeNames
            | Action::ChangeRoster
            | Action::NextCard => false,
        }
    }
}

impl Role {
    /// May this role, somewhere?
    pub fn may(self, action: Action) -> bool {
        self == Role::Admin || action.roles().contains(&self)
    }
}

/// Text that cannot limit an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No building at all: such an account could see nothing.
    #[error("name at least one building, or none to let the account see everything")]
    Empty,
    /// More than an account may have.
    #[error("an account is limited to {BUILDINGS_MAX} buildings at most")]
    TooMany,
    /// No name of a building.
    #[error("a building's name has 1 to {BUILDING_CHARS_MAX} characters: {0:?}")]
    Name(String),
}

/// Where an account may do what its role may: everywhere, or in some buildings. The gates of the
/// compound are named `compound` among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Option<Arc<BTreeSet<String>>>);

impl Scope {
    /// Everywhere.
    pub const EVERYWHERE: Scope = Scope(None);

    /// In these buildings only; `None`: everywhere.
    ///
    /// # Errors
    /// [`ScopeError`]: no building, too many, or one without a name.
    pub fn of(buildings: Option<BTreeSet<String>>) -> Result<Scope, ScopeError> {
        let Some(buildings) = buildings else {
            return Ok(Scope::EVERYWHERE);
        };
        if buildings.is_empty() {
            return Err(ScopeError::Empty);
        }
        if buildings.len() > BUILDINGS_MAX {
            return Err(ScopeError::TooMany);
        }
        for name in &buildings {
            let is_name = !name.trim().is_empty() && name.chars().count() <= BUILDING_CHARS_MAX;
            if !is_name || name.chars().any(char::is_control) {
                return Err(ScopeError::Name(name.clone()));
            }
        }
        Ok(Scope(Some(Arc::new(buildings))))
    }

    /// Is there no limit?
    pub fn is_everywhere(&self) -> bool {
        self.0.is_none()
    }

    /// The buildings it is limited to; `None`: there is no limit.
    pub fn buildings(&self) -> Option<&BTreeSet<String>> {
        self.0.as_deref()
    }

    /// Is that building within?
    pub fn has_building(&self, building: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|buildings| buildings.contains(building))
    }

    /// Are the gates of the compound within?
    pub fn has_compound(&self) -> bool {
        self.has_building(COMPOUND)
    }
}

/// The places that somebody may see of what is asked; rows of other places are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(Option<Arc<BTreeSet<Place>>>);

impl Places {
    /// Every place, also those that are no longer configured.
    pub const ALL: Places = Places(None);

    /// These alone.
    pub fn only(places: BTreeSet<Place>) -> Places {
        Places(Some(Arc::new(places)))
    }

    /// Is that place among them?
    pub fn has(&self, place: &Place) -> bool {
        self.0.as_ref().is_none_or(|places| places.contains(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_listed_once_and_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(words.len(), Action::ALL.len());
    }

    #[test]
    fn an_admin_may_everything_and_an_auditor_changes_nothing() {
        for action in Action::ALL {
            assert!(Role::Admin.may(action), "{action:?}");
            let word = action.as_str();
            let reads = word.starts_with("see-") && !["see-live", "see-site"].contains(&word);
            let expected = reads || word == "search-person";
            assert_eq!(Role::Auditor.may(action), expected, "{action:?}");
        }
    }

    #[test]
    fn an_installer_sees_no_clip_and_a_duty_officer_no_name() {
        for action in [Action::SeeClips, Action::SeeEntries, Action::SeeRoster] {
            assert!(!Role::Installer.may(action), "{action:?}");
        }
        for action in [Action::SeeNames, Action::SeeRoster, Action::ChangeSite] {
            assert!(!Role::DutyOfficer.may(action), "{action:?}");
        }
        assert!(!Role::PropertyManager.may(Action::SearchPerson));
    }

    #[test]
    fn a_scope_has_its_buildings_and_the_gates_only_by_name() {
        let of = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Scope::of(Some(names))
        };
        let some = of(&["3", "5"]).unwrap();
        assert!(some.has_building("3") && !some.has_building("4") && !some.has_compound());
        assert!(of(&["compound"]).unwrap().has_compound());
        assert!(Scope::EVERYWHERE.has_building("4") && Scope::EVERYWHERE.has_compound());
        assert_eq!(of(&[]), Err(ScopeError::Empty));
        assert_eq!(of(&[" "]), Err(ScopeError::Name(" ".to_owned())));
        let many: BTreeSet<String> = (0..=BUILDINGS_MAX).map(|n| n.to_string()).collect();
        assert_eq!(Scope::of(Some(many)), Err(ScopeError::TooMany));
    }
}
