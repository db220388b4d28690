//! Where in the source rows stand, for errors that say where.

use lockgate_connectors::source::{Source, VALUE_BYTES_MAX};

use super::chunk::CutError;
use crate::error::RunError;
use crate::plan::row_filter::RowFilterError;

/// Where a batch stands in its source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) split: usize,
    /// Its first row within the file, from 0.
    pub(super) first_row: u64,
}

impl Place<'_> {
    /// Says where a value stands that is too long.
    pub(super) fn uncut(&self, error: CutError) -> RunError {
        match error {
            CutError::TooLong { column, row } => RunError::TooLong {
                field: column,
                file: file(self.source, self.split),
                row: self.row(row),
                limit: VALUE_BYTES_MAX,
            },
            CutError::Arrow(error) => RunError::internal("cutting chunks", &error),
        }
    }

    /// Says where a row stands for which the row scope has no answer.
    pub(super) fn unfiltered(&self, error: &RowFilterError) -> RunError {
        let row = if let RowFilterError::NoValue { row } = error {
            Some(self.row(*row))
        } else {
            None
        };
        RunError::Predicate {
            what: error.to_string(),
            file: file(self.source, self.split),
            row,
        }
    }

    /// The data row in the file, as people count, of a row of the batch.
    fn row(&self, row: usize) -> u64 {
        let row = u64::try_from(row).unwrap_or(u64::MAX);
        from_one(self.first_row.saturating_add(row))
    }
}

/// The file that a split is of.
pub(super) fn file(source: &dyn Source, split: usize) -> String {
    let split = source.splits().get(split);
    let file = split.and_then(|split| source.snapshot().files.get(split.file));
    file.map_or_else(String::new, |file| file.path.clone())
}

/// People count a file's rows from 1.
pub(super) fn from_one(row: u64) -> u64 {
    row.saturating_add(1)
}
