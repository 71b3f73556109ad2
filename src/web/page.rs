//! Lists in pages: an opaque cursor and a clamped size.

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::store::{Key, KeyReader};

/// Rows of a page when the client does not say.
const LIMIT_DEFAULT: usize = 50;
/// Rows of a page, at most (contract, section 4).
pub(super) const LIMIT_MAX: usize = 500;
/// Rows looked at for one page when a filter passes over most of them; the page then ends early with
/// a cursor, so that no request runs for long.
pub(super) const SCAN_MAX: usize = 20_000;

/// One page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` after the last.
    pub next_cursor: Option<String>,
}

/// What a client asks of a list.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Paging {
    /// From the page before.
    pub cursor: Option<String>,
    /// Rows wanted; clamped to 1 to 500.
    pub limit: Option<usize>,
}

impl Paging {
    /// The page's size, 1 to 500.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }

    /// The key at which the page before ended.
    ///
    /// # Errors
    /// 400 when the cursor is none of ours.
    pub(super) fn after<K: Key>(&self) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bad = || Problem::bad_request("cursor: use next_cursor of the page before, unchanged");
        let bytes = hex::decode(cursor).or(Err(bad()))?;
        let mut reader = KeyReader::new(&bytes);
        let key = K::decode(&mut reader).or(Err(bad()))?;
        reader.finish().or(Err(bad()))?;
        Ok(Some(key))
    }
}

/// A key as a cursor.
pub(super) fn cursor_of<K: Key>(key: &K) -> String {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    hex::encode(bytes)
}

/// Gathers a page from rows in listing order: those that `pick` turns into an item, until the page is
/// full or [`SCAN_MAX`] rows were looked at.
///
/// # Errors
/// The first error of `rows` or of `pick`.
pub(super) fn gather<K, R, T>(
    rows: impl Iterator<Item = Result<(K, R), Problem>>,
    limit: usize,
    mut pick: impl FnMut(&K, R) -> Result<Option<T>, Problem>,
) -> Result<Page<T>, Problem>
where
    K: Key,
{
    let mut items = Vec::with_capacity(limit);
    let mut last: Option<K> = None;
    for (n_seen, row) in rows.enumerate() {
        if items.len() == limit || n_seen == SCAN_MAX {
            return Ok(Page {
                items,
                next_cursor: last.as_ref().map(cursor_of),
            });
        }
        let (key, value) = row?;
        items.extend(pick(&key, value)?);
        last = Some(key);
    }
    Ok(Page {
        items,
        next_cursor: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: u64) -> impl Iterator<Item = Result<(u64, ()), Problem>> {
        (0..n).map(|key| Ok((key, ())))
    }

    #[test]
    fn pages_join_without_loss_or_repeat() {
        let page = gather(rows(5), 2, |key, ()| Ok(Some(*key))).unwrap();
        assert_eq!(page.items, [0, 1]);
        let paging = Paging {
            cursor: page.next_cursor,
            limit: None,
        };
        assert_eq!(paging.after::<u64>().unwrap(), Some(1));
        let page = gather(rows(5), 5, |key, ()| Ok(Some(*key))).unwrap();
        assert_eq!(page.next_cursor, None);
    }

    #[test]
    fn a_filter_that_passes_over_everything_ends_the_page_with_a_cursor() {
        let n = SCAN_MAX as u64 + 1;
        let page = gather(rows(n), 2, |_, ()| Ok(None::<u64>)).unwrap();
        assert!(page.items.is_empty());
        assert!(page.next_cursor.is_some());
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        for cursor in ["zz", "00", "000000000000000000"] {
            let paging = Paging {
                cursor: Some(cursor.to_owned()),
                limit: Some(9_999),
            };
            assert!(paging.after::<u64>().is_err(), "{cursor}");
            assert_eq!(paging.limit(), LIMIT_MAX);
        }
    }
}
