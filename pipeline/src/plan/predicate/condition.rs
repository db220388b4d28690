//! A predicate over batches: what it says of every row, whatever rows happen to share a batch.
//!
//! Both the row scope of a grant and the conditions of treatments are evaluated here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::{BindError, Predicate, PredicateError};

/// A condition over the rows of a dataset. `Debug` shows the fields it reads, never its text.
pub struct Condition {
    predicate: Predicate,
    /// The predicate over the schema of the first batch, which is nearly always that of all.
    bound: OnceLock<(SchemaRef, Arc<dyn PhysicalExpr>)>,
}

/// What a condition says of the rows of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// True, false or null for each row; null as well for those without an answer. What stands for
    /// rows that were not asked for means nothing.
    pub rows: BooleanArray,
    /// Rows for which the condition has no value: division by zero, overflow, a CAST that does not
    /// fit. Absent if there are none.
    pub unanswered: Option<BooleanBuffer>,
}

impl Answers {
    /// The rows for which the condition is true.
    pub fn passed(&self) -> BooleanBuffer {
        match self.rows.nulls() {
            Some(nulls) => self.rows.values() & nulls.inner(),
            None => self.rows.values().clone(),
        }
    }
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

    /// Names of the fields it reads.
    pub fn fields(&self) -> BTreeSet<String> {
        self.predicate.fields()
    }

    /// As [`Predicate::pruning`].
    ///
    /// # Errors
    /// As [`Predicate::pruning`].
    pub fn pruning(&self, schema: &SchemaRef) -> Result<Option<Arc<dyn PhysicalExpr>>, BindError> {
        self.predicate.pruning(schema)
    }

    /// What the condition says of each row of `batch`, which holds at least the fields it reads.
    /// With `among`, only the rows set there need an answer. What it says of a row does not depend
    /// on the rows beside it.
    ///
    /// # Errors
    /// A column that is missing or of another type. Never holds a value.
    pub fn evaluate(
        &self,
        batch: &RecordBatch,
        among: Option<&BooleanBuffer>,
    ) -> Result<Answers, BindError> {
        let expression = self.bound(batch)?;
        match evaluate(&expression, batch) {
            Ok(rows) => Ok(Answers {
                rows,
                unanswered: None,
            }),
            Err(Failed) => row_by_row(&expression, batch, among),
        }
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
            .field("fields", &self.fields())
            .finish_non_exhaustive()
    }
}

/// The kernels failed for some row. Their text is dropped here, because it may quote values.
struct Failed;

fn evaluate(
    expression: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
) -> Result<BooleanArray, Failed> {
    let rows = batch.num_rows();
    let result = expression.evaluate(batch).map_err(|_| Failed)?;
    let array = result.into_array(rows).map_err(|_| Failed)?;
    let answers = array.as_boolean_opt().filter(|found| found.len() == rows);
    answers.cloned().ok_or(Failed)
}

/// Answers rows one by one where a batch as a whole fails: kernels look at every row, also at those
/// that `AND`, `OR` or a division exclude, and those must not fail a run. Halves of the batch are
/// tried before single rows, so that the cost follows the number of rows that fail.
fn row_by_row(
    expression: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
    among: Option<&BooleanBuffer>,
) -> Result<Answers, BindError> {
    let asked: Vec<usize> = match among {
        Some(among) => among.set_indices().collect(),
        None => (0..batch.num_rows()).collect(),
    };
    let narrowed = match among {
        Some(among) => {
            let mask = BooleanArray::new(among.clone(), None);
            filter_record_batch(batch, &mask).map_err(|_| BindError::Kernel)?
        }
        None => batch.clone(),
    };
    let mut answers = vec![None; batch.num_rows()];
    let mut unanswered: Vec<usize> = Vec::new();
    let mut open = vec![(0, asked.len())];
    while let Some((from, length)) = open.pop() {
        let rows = asked.get(from..from + length).unwrap_or_default();
        match evaluate(expression, &narrowed.slice(from, length)) {
            Ok(part) => {
                for (row, answer) in rows.iter().zip(&part) {
                    if let Some(slot) = answers.get_mut(*row) {
                        *slot = answer;
                    }
                }
            }
            Err(Failed) if length > 1 => {
                let half = length / 2;
                open.push((from + half, length - half));
                open.push((from, half));
            }
            Err(Failed) => unanswered.extend(rows),
        }
    }
    Ok(Answers {
        rows: answers.into(),
        unanswered: flags(batch.num_rows(), &unanswered),
    })
}

/// A buffer of `length` in which `rows` are set; absent if there are none.
fn flags(length: usize, rows: &[usize]) -> Option<BooleanBuffer> {
    if rows.is_empty() {
        return None;
    }
    let mut flags = BooleanBufferBuilder::new(length);
    flags.append_n(length, false);
    for row in rows.iter().filter(|row| **row < length) {
        flags.set_bit(*row, true);
    }
    Some(flags.finish())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    /// What a condition says of rows of two numbers, each with a null for `None`.
    fn answers(text: &str, rows: &[(Option<i64>, Option<i64>)]) -> Answers {
        let fields = ["a", "b"].map(|name| Field::new(name, DataType::Int64, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|(a, _)| *a).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|(_, b)| *b).collect::<Int64Array>()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let condition = Condition::parse(text, &schema).unwrap();
        condition.evaluate(&batch, None).unwrap()
    }

    fn unanswered(answers: &Answers) -> Vec<usize> {
        let flags = answers.unanswered.as_ref();
        flags.map_or_else(Vec::new, |flags| flags.set_indices().collect())
    }

    #[test]
    fn a_row_without_an_answer_is_null_and_not_false() {
        let rows = [(Some(1), None), (None, None), (Some(0), None)];
        let found = answers("a = 1", &rows);
        assert_eq!(
            found.rows,
            BooleanArray::from(vec![Some(true), None, Some(false)])
        );
        assert_eq!(found.unanswered, None);
    }

    #[test]
    fn a_row_that_cannot_be_computed_is_told_apart_and_hurts_no_other() {
        let rows = [
            (Some(1), None),
            (Some(0), None),
            (None, None),
            (Some(4), None),
        ];
        let found = answers("4 / a = 1", &rows);
        assert_eq!(unanswered(&found), [1]);
        assert_eq!(
            found.rows,
            BooleanArray::from(vec![Some(false), None, None, Some(true)])
        );
    }

    #[test]
    fn a_guard_keeps_a_row_from_failing_whatever_the_batch() {
        let guarded = "b <> 0 AND a / b > 1";
        // Few rows are true, so that DataFusion looks at those alone; and most are, so that it looks
        // at every row.
        for share in [1, 9] {
            let rows: Vec<_> = (0..30)
                .map(|row| (Some(row), Some(i64::from(row % 10 < share))))
                .collect();
            let found = answers(guarded, &rows);
            assert!(unanswered(&found).is_empty(), "{share}");
            let expected = (0..30).map(|row| Some(row % 10 < share && row > 1));
            assert_eq!(found.rows, expected.collect::<BooleanArray>(), "{share}");
        }
        let behind = answers(
            "a / b > 1 AND b <> 0",
            &[(Some(1), Some(0)), (Some(2), Some(1))],
        );
        assert_eq!(unanswered(&behind), [0]);
    }

    #[test]
    fn rows_that_nobody_asks_for_are_not_computed() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 0]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![numbers]).unwrap();
        let among = BooleanBuffer::from_iter([false, true, true]);
        let condition = Condition::parse("1 / a = 1", &schema).unwrap();
        let found = condition.evaluate(&batch, Some(&among)).unwrap();
        assert_eq!(unanswered(&found), [2]);
        assert_eq!(found.rows, BooleanArray::from(vec![None, Some(true), None]));
    }

    proptest! {
        #[test]
        fn answers_do_not_depend_on_how_rows_are_cut(
            rows in prop::collection::vec(
                (prop::option::weighted(0.8, -3_i64..4), prop::option::weighted(0.8, -1_i64..3)),
                1..30,
            ),
            cut in 0_usize..30,
        ) {
            for text in ["b > 0 AND a / b >= 1 OR b = 0 AND a > 2", "a / b > 1 OR b = 0", "a > 1 AND a / b = 1"] {
                let whole = answers(text, &rows);
                let cut = cut.min(rows.len());
                let (first, rest) = rows.split_at(cut);
                let (first, rest) = (answers(text, first), answers(text, rest));
                let joined: BooleanArray = first.rows.iter().chain(rest.rows.iter()).collect();
                let mut failed = unanswered(&first);
                failed.extend(unanswered(&rest).into_iter().map(|row| row + cut));
                prop_assert_eq!(&whole.rows, &joined);
                prop_assert_eq!(unanswered(&whole), failed);
            }
        }
    }
}
