//! Setting up a site through the API: what can be changed, what is wrong with a change, what is
//! still missing, how every part is.
//!
//! `web` shows it and `gateway` does it; the two meet here, at the [`SiteDesk`], because `web` may name
//! neither the configuration nor the gateway. Not here: the configuration file (`config`), and taking a
//! change in (`gateway`).

mod desk;
mod health;
mod lists;
mod missing;
mod problem_words;
mod report;
mod sheet;
mod words;

pub use desk::{ASKS_MAX, SiteAsk, SiteDesk, SiteEditor, SiteError};
pub use health::{HealthFacts, HealthItem, Level, health_items};
pub use lists::{
    CameraEntry, CompoundEntry, DoorEntry, LinkageEntry, MatchEntry, SiteChange, SiteView,
    StairwellEntry,
};
pub use missing::{MissingFacts, MissingItem, Need, missing_items};
pub use report::{FieldChange, ItemChange, SiteProblem, SiteReport};
pub use sheet::{SheetProblem, SheetReport, read_sheet, template};
pub(crate) use words::in_chinese;
