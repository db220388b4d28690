//! A predicate as a treatment's condition: its answer for every row, null where it has none.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::{BindError, Predicate, PredicateError};

/// A condition over the rows of a dataset. `Debug` shows the fields it reads, never its text.
pub struct Condition {
    predicate: Predicate,
    /// The predicate over the schema of the first batch, which is nearly always that of all.
    bound: OnceLock<(SchemaRef, Arc<dyn PhysicalExpr>)>,
}

impl Condition {
    /// A condition over `fields`, the catalogue's fields with plain types.
    ///
    /// # Errors
    /// What the language of predicates does not allow, or a field that does not exist.
    pub fn parse(text: &str, fields: &SchemaRef) -> Result<Self, PredicateError> {
        Ok(Self {
            predicate: Predicate::parse(text, fields)?,
            bound: OnceLock::new(),
        })
    }

    /// True, false or null for each row of `batch`, which holds at least the fields it reads.
    ///
    /// # Errors
    /// A column that is missing or of another type, or a row for which the condition cannot be
    /// computed: division by zero, overflow, a CAST that does not fit. Never holds a value.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray, BindError> {
        let expression = self.bound(batch)?;
        let rows = batch.num_rows();
        let answers = expression
            .evaluate(batch)
            .and_then(|answers| answers.into_array(rows))
            .map_err(|_| BindError::Kernel)?;
        let answers = answers.as_boolean_opt().filter(|found| found.len() == rows);
        answers.cloned().ok_or(BindError::Kernel)
    }

    fn bound(&self, batch: &RecordBatch) -> Result<Arc<dyn PhysicalExpr>, BindError> {
        let schema = batch.schema_ref();
        if let Some((bound, expression)) = self.bound.get()
            && (Arc::ptr_eq(bound, schema) || bound == schema)
        {
            return Ok(Arc::clone(expression));
        }
        let expression = self.predicate.physical(schema)?;
        // Losing the race to another thread costs nothing but this one binding.
        drop(
            self.bound
                .set((Arc::clone(schema), Arc::clone(&expression))),
        );
        Ok(expression)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("fields", &self.predicate.fields())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn answers(text: &str) -> Result<BooleanArray, BindError> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(0)]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        Condition::parse(text, &schema).unwrap().evaluate(&batch)
    }

    #[test]
    fn a_row_without_an_answer_is_null_and_not_false() {
        let expected = BooleanArray::from(vec![Some(true), None, Some(false)]);
        assert_eq!(answers("n = 1").unwrap(), expected);
    }

    #[test]
    fn a_condition_that_cannot_be_computed_is_an_error() {
        assert!(answers("1 / n = 1").is_err());
    }
}
