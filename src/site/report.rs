//! What a check says of a change: problems, warnings, what changes, and the file's difference.

use super::problem_words::problem_in_chinese;
use serde::Serialize;
use serde_json::Value;

/// Something that is wrong, or looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteProblem {
    /// Which value, such as `camera.b03-u2-in.url`.
    #[serde(rename = "where")]
    pub at: String,
    /// What is wrong and what to do.
    pub what: String,
    /// The same in Chinese.
    pub zh: String,
}

impl SiteProblem {
    /// At the value `at`, in English; the Chinese goes with it.
    pub fn new(at: impl Into<String>, what: impl Into<String>) -> SiteProblem {
        let what = what.into();
        SiteProblem {
            at: at.into(),
            zh: problem_in_chinese(&what),
            what,
        }
    }
}

/// What a change would do, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SiteReport {
    /// Of the file as it is now.
    pub version: String,
    /// While there are any, nothing is applied.
    pub problems: Vec<SiteProblem>,
    /// What looks wrong and keeps nothing back.
    pub warnings: Vec<SiteProblem>,
    /// Each thing that changes.
    pub changes: Vec<ItemChange>,
    /// The unified difference of the file; never holds a secret.
    pub diff: String,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemChange {
    /// `compound`, `stairwell`, `camera`, `door` or `linkage`.
    pub what: &'static str,
    /// Its id.
    pub id: String,
    /// `added`, `removed` or `changed`.
    pub action: &'static str,
    /// Each value that differs.
    pub fields: Vec<FieldChange>,
}

/// One value that differs. Of a secret it is only said that it is new or gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name, as in the lists.
    pub name: String,
    /// What it was; null: it was not there.
    pub before: Value,
    /// What it will be.
    pub after: Value,
}
