//! Treating a chunk: every column by its treatment, then the rows that a treatment rejected out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, FieldRef};
use lockgate_transforms::{Counts, Treated, Treatment, TreatmentError};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::chunk;
use crate::error::RunError;

/// A delivered column and what is done to it.
#[derive(Debug)]
pub struct ColumnTreatment {
    name: String,
    treatment: Box<dyn Treatment>,
    key_version: Option<u32>,
}

impl ColumnTreatment {
    /// A column called `name`, treated by `treatment`.
    pub fn new(name: String, treatment: Box<dyn Treatment>) -> Self {
        Self {
            name,
            treatment,
            key_version: None,
        }
    }

    /// The same, keyed by that version of its purpose's key.
    #[must_use]
    pub fn keyed(self, key_version: Option<u32>) -> Self {
        Self {
            key_version,
            ..self
        }
    }

    /// Version of the key it uses; absent where it needs none.
    pub fn key_version(&self) -> Option<u32> {
        self.key_version
    }

    /// Name of the field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field as delivered.
    pub(super) fn field(&self) -> FieldRef {
        Arc::new(Field::new(
            &self.name,
            self.treatment.output_type().clone(),
            true,
        ))
    }
}

/// The treatments of a run, in the order of delivery.
#[derive(Debug)]
pub struct Treater {
    columns: Vec<ColumnTreatment>,
}

/// A treated chunk: columns of one length, rejected rows already gone.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Columns in the order of delivery.
    pub(super) columns: Vec<ArrayRef>,
    /// Rows left.
    pub(super) rows: usize,
    /// What the rows held before treatment, in bytes.
    pub(super) bytes: u64,
    /// Rows dropped because a treatment rejected them.
    pub(super) rejected: usize,
    /// Which rows are left; absent if all are.
    pub(super) kept: Option<BooleanArray>,
}

/// A chunk that could not be treated: which field, and why.
#[derive(Debug)]
pub(super) struct Untreated {
    pub(super) field: String,
    pub(super) error: TreatmentError,
}

impl Treater {
    /// Treatments for the columns of a run, in the order of delivery.
    pub fn new(columns: Vec<ColumnTreatment>) -> Self {
        Self { columns }
    }

    /// The columns, in the order of delivery.
    pub fn columns(&self) -> &[ColumnTreatment] {
        &self.columns
    }

    /// Treats a chunk, whose columns are those of the delivery in the same order, on the current rayon pool and adds to `counts`, one per column.
    ///
    /// # Errors
    /// The first field, in the order of delivery, whose treatment refused.
    pub(super) fn treat(
        &self,
        rows: &chunk::Rows,
        counts: &mut [Counts],
    ) -> Result<Chunk, Untreated> {
        let chunk = &rows.batch;
        let treated: Vec<Result<Treated, TreatmentError>> = self
            .columns
            .par_iter()
            .zip(chunk.columns())
            .with_max_len(1)
            .map(|(column, source)| {
                let treated = column.treatment.apply(source)?;
                checked(treated, column.treatment.output_type(), source.len())
            })
            .collect();
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut rejected: Option<BooleanBuffer> = None;
        for ((treated, column), total) in treated.into_iter().zip(&self.columns).zip(counts) {
            let treated = treated.map_err(|error| Untreated {
                field: column.name.clone(),
                error,
            })?;
            *total += treated.counts;
            rejected = match (rejected, treated.rejected) {
                (Some(left), Some(right)) => Some(&left | &right),
                (left, right) => left.or(right),
            };
            columns.push(treated.array);
        }
        without_rejected(columns, rejected, rows).map_err(|error| Untreated {
            field: String::new(),
            error,
        })
    }
}

impl Treater {
    /// Treats rows for a preview. Rejected rows are left out; where there are any, the mask says
    /// which rows are left.
    ///
    /// # Errors
    /// A treatment that refuses.
    pub fn preview(
        &self,
        rows: &RecordBatch,
        counts: &mut [Counts],
    ) -> Result<(Vec<ArrayRef>, Option<BooleanArray>), RunError> {
        let rows = chunk::Rows {
            batch: rows.clone(),
            bytes: 0,
        };
        self.treat(&rows, counts)
            .map(|chunk| (chunk.columns, chunk.kept))
            .map_err(|untreated| RunError::Treatment {
                field: untreated.field,
                file: "the previewed rows".to_owned(),
                row: None,
                source: untreated.error,
            })
    }
}

/// Holds a treatment to its word: length and type as declared.
fn checked(treated: Treated, declared: &DataType, rows: usize) -> Result<Treated, TreatmentError> {
    if treated.array.data_type() != declared {
        return Err(TreatmentError::UnexpectedType {
            expected: declared.clone(),
            actual: treated.array.data_type().clone(),
        });
    }
    let flags = treated.rejected.as_ref().map_or(rows, BooleanBuffer::len);
    if treated.array.len() != rows || flags != rows {
        return Err(TreatmentError::Arrow(
            "a treatment changed the number of rows".to_owned(),
        ));
    }
    Ok(treated)
}

fn without_rejected(
    columns: Vec<ArrayRef>,
    rejected: Option<BooleanBuffer>,
    source: &chunk::Rows,
) -> Result<Chunk, TreatmentError> {
    let (rows, bytes) = (source.batch.num_rows(), source.bytes);
    let Some(rejected) = rejected.filter(|flags| flags.count_set_bits() > 0) else {
        return Ok(Chunk {
            columns,
            rows,
            bytes,
            rejected: 0,
            kept: None,
        });
    };
    let keep = BooleanArray::new(!&rejected, None);
    let columns = columns
        .iter()
        .map(|column| {
            filter(column, &keep)
                .map_err(|_| TreatmentError::Arrow("dropping rejected rows".to_owned()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let rejected = rejected.count_set_bits();
    Ok(Chunk {
        columns,
        rows: rows - rejected,
        bytes,
        rejected,
        kept: Some(keep),
    })
}
