//! Which rows leave: the predicate and the administrative divisions, evaluated in the engine.
//!
//! What the source skips by itself is only a hint; every row that arrives is decided here again. A
//! row passes only if its division code is well formed and begins with a granted prefix, and the
//! predicate is true for it: null drops the row.

mod division;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use thiserror::Error;

use super::RowScope;
use super::predicate::{BindError, Condition, PredicateError};
use crate::id::DIVISION_RULE;
use division::DivisionFilter;

/// Decides row by row what the grant covers.
///
/// `Debug` shows the fields it reads, never the predicate.
pub struct RowFilter {
    predicate: Option<Condition>,
    divisions: Option<DivisionFilter>,
}

/// A row scope that cannot be evaluated. Never holds a constant of the predicate or a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RowFilterError {
    /// The predicate is not allowed.
    #[error(transparent)]
    Predicate(#[from] PredicateError),
    /// The field of the division code is not there or is not text.
    #[error("division field `{field}` {what}; declare it in the catalogue as a utf8 field")]
    Division {
        /// Name of the field.
        field: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A prefix that no division code begins with.
    #[error("division {index} of the grant is not a code; write {rule}", rule = DIVISION_RULE)]
    Prefix {
        /// Its place in the list, from 1.
        index: usize,
    },
    /// The columns read do not hold what the filter needs.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A row for which the predicate has no value: division by zero, overflow, a CAST that fails.
    #[error(
        "row {row} of the batch: the grant's predicate has no value (division by zero, overflow or \
         a CAST that does not fit); guard it with a condition before it, such as `x <> 0 AND …`"
    )]
    NoValue {
        /// Row within the batch, from 0.
        row: usize,
    },
}

impl RowFilter {
    /// A filter for `scope` over `fields`, the catalogue's fields with plain types.
    ///
    /// # Errors
    /// A predicate that is not allowed, a division field that is not a text field of the dataset,
    /// or a division that is not digits.
    pub fn new(scope: &RowScope, fields: &SchemaRef) -> Result<Self, RowFilterError> {
        let predicate = match &scope.predicate {
            Some(text) => Some(Condition::parse(text, fields)?),
            None => None,
        };
        let divisions = match &scope.division_field {
            Some(field) if !scope.divisions.is_empty() => {
                Some(DivisionFilter::new(field, &scope.divisions, fields)?)
            }
            _ => None,
        };
        Ok(Self {
            predicate,
            divisions,
        })
    }

    /// Whether every row passes, so that there is nothing to evaluate.
    pub fn passes_all(&self) -> bool {
        self.predicate.is_none() && self.divisions.is_none()
    }

    /// Names of the fields it reads.
    pub fn columns(&self) -> BTreeSet<String> {
        let mut columns = self
            .predicate
            .as_ref()
            .map(Condition::fields)
            .unwrap_or_default();
        columns.extend(
            self.divisions
                .as_ref()
                .map(|filter| filter.field().to_owned()),
        );
        columns
    }

    /// True for the rows of `batch` that the grant covers; never null. The batch holds at least
    /// [`columns`](Self::columns), in any order and any physical form of text.
    ///
    /// # Errors
    /// A column is missing or of another type, or the predicate has no value for a row that its
    /// divisions let through. Which rows fail does not depend on how rows are cut into batches.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray, RowFilterError> {
        let divisions = match &self.divisions {
            Some(filter) => Some(filter.evaluate(batch)?),
            None => None,
        };
        let Some(predicate) = &self.predicate else {
            let all = || BooleanBuffer::new_set(batch.num_rows());
            return Ok(BooleanArray::new(divisions.unwrap_or_else(all), None));
        };
        let answers = predicate.evaluate(batch, divisions.as_ref())?;
        let unanswered = answers.unanswered.as_ref();
        if let Some(row) = unanswered.and_then(|rows| rows.set_indices().next()) {
            return Err(RowFilterError::NoValue { row });
        }
        let passed = answers.passed();
        let passed = match divisions {
            Some(divisions) => &passed & &divisions,
            None => passed,
        };
        Ok(BooleanArray::new(passed, None))
    }

    /// What row-group statistics may decide, over `schema`: rows it excludes are excluded by
    /// [`evaluate`](Self::evaluate) too. Absent if there is nothing to go by.
    pub fn pruning(&self, schema: &SchemaRef) -> Option<Arc<dyn PhysicalExpr>> {
        let predicate = self
            .predicate
            .as_ref()
            .and_then(|found| found.pruning(schema).ok()?);
        let divisions = self
            .divisions
            .as_ref()
            .and_then(|filter| filter.pruning(schema));
        datafusion::physical_expr::conjunction_opt(predicate.into_iter().chain(divisions))
    }
}

impl fmt::Debug for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFilter")
            .field("columns", &self.columns())
            .finish_non_exhaustive()
    }
}
