//! Files made of the ledger: the export and the report.

use super::export::rows_of;
use super::import::read_options;
use super::report::{ReportLine, report};
use super::write::{FileFormat, Language, WriteError, WriteOptions, write};
use crate::roster::{LedgerError, Roster};

/// Why a file cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger cannot be read.
    #[error("read the ledger")]
    Ledger(#[source] LedgerError),
    /// The file cannot be written.
    #[error("make the file")]
    Write(#[source] WriteError),
}

/// A file and how much is in it.
#[derive(Debug)]
pub struct MadeFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Dwellings in it.
    pub n_dwellings: usize,
    /// Cards in it.
    pub n_cards: usize,
}

impl Roster {
    /// Everything that an import takes, with names and card numbers: for who may see them. Blocks.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn export(&self, format: FileFormat, language: Language) -> Result<MadeFile, ExportError> {
        let snapshot = self.snapshot().map_err(ExportError::Ledger)?;
        let rows = rows_of(&snapshot);
        let options = WriteOptions {
            time_zone: self.time_zone().clone(),
            language,
        };
        let bytes = write(&rows, format, &options).map_err(ExportError::Write)?;
        Ok(MadeFile {
            bytes,
            n_dwellings: snapshot.dwellings.len(),
            n_cards: rows.iter().filter(|row| row.card.is_some()).count(),
        })
    }

    /// The report of all dwellings as XLSX, without names and card numbers. Blocks.
    ///
    /// # Errors
    /// [`ExportError::Write`].
    pub fn report(&self) -> Result<MadeFile, ExportError> {
        let (book, now) = (self.book(), self.moment());
        let lines = book.households(None).map(|household| ReportLine {
            dwelling: household.dwelling.clone(),
            reckoning: household.reckon(book.policy(), now),
        });
        let places = read_options(self).places;
        let bytes = report(lines.collect(), &places, now.day).map_err(ExportError::Write)?;
        Ok(MadeFile {
            bytes,
            n_dwellings: book.n_dwellings(),
            n_cards: 0,
        })
    }
}
