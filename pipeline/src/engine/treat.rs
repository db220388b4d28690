//! Treating a chunk: every column by its treatment, then the rows that a treatment rejected out, then
//! the marks in.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, FieldRef};
use lockgate_transforms::marks::carrier::Carrier;
use lockgate_transforms::marks::distortion::Distortion;
use lockgate_transforms::{
    Choice, ChunkId, Context, Counts, Treated, Treatment, TreatmentError, condition,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::chunk;
use super::content::{Content, Digester};
use super::mark::Marking;
use crate::error::RunError;
use crate::ledger::ContentDigest;
use crate::plan::predicate::Condition;

/// A delivered column and what is done to it.
#[derive(Debug)]
pub struct ColumnTreatment {
    name: String,
    /// Where its own column stands in the chunk; none if it isn't read, for all becomes null.
    own: Option<usize>,
    treatment: Box<dyn Treatment>,
    /// What rounds its results to the scale at which it is delivered, if anything does.
    rounding: Option<Box<dyn Carrier>>,
    key_versions: BTreeMap<&'static str, u32>,
    reads: Vec<RowRead>,
}

/// What a treatment reads of the original rows beside its own column.
#[derive(Debug)]
pub enum RowRead {
    /// The column of that index in the chunk.
    Column(usize),
    /// What a condition says of each row.
    Condition(Condition),
}

impl RowRead {
    fn of(&self, chunk: &RecordBatch) -> Result<ArrayRef, TreatmentError> {
        match self {
            Self::Column(index) => chunk.columns().get(*index).cloned().ok_or_else(|| {
                TreatmentError::Arrow("a column that a treatment reads is missing".to_owned())
            }),
            Self::Condition(condition) => {
                let answers = condition.evaluate(chunk, None).map_err(|_| {
                    let what = "a column that a condition reads is missing or of another type";
                    TreatmentError::Arrow(what.to_owned())
                })?;
                Ok(condition::input(answers.rows, answers.unanswered.as_ref()))
            }
        }
    }
}

impl ColumnTreatment {
    /// A column called `name`, which stands at `own` in a chunk, treated by `treatment`. One that
    /// isn't read, because every value becomes null, stands nowhere.
    pub fn new(name: String, own: Option<usize>, treatment: Box<dyn Treatment>) -> Self {
        Self {
            name,
            own,
            treatment,
            rounding: None,
            key_versions: BTreeMap::new(),
            reads: Vec::new(),
        }
    }

    /// The same, reading these of the original rows, in the order its treatment declares.
    #[must_use]
    pub fn reading(self, reads: Vec<RowRead>) -> Self {
        Self { reads, ..self }
    }

    /// The same, delivered as this carrier prepares it.
    #[must_use]
    pub fn rounded(self, rounding: Option<Box<dyn Carrier>>) -> Self {
        Self { rounding, ..self }
    }

    /// The same, keyed by those versions of the purposes' keys.
    #[must_use]
    pub fn keyed(self, key_versions: BTreeMap<&'static str, u32>) -> Self {
        Self {
            key_versions,
            ..self
        }
    }

    /// Versions of the keys it uses, by purpose; empty where it needs none.
    pub fn key_versions(&self) -> &BTreeMap<&'static str, u32> {
        &self.key_versions
    }

    /// Name of the field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its column is read.
    pub(super) fn is_read(&self) -> bool {
        self.own.is_some()
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

/// The treatments of a run, in the order of delivery, and its marks.
#[derive(Debug)]
pub struct Treater {
    columns: Vec<ColumnTreatment>,
    marking: Option<Marking>,
    digester: Option<Digester>,
}

/// What is counted while rows are treated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Cases, one entry a delivered field.
    pub(crate) counts: Vec<Counts>,
    /// What marks did, one entry a marked field.
    pub(crate) distortions: Vec<Distortion>,
    /// What was treated, hashed, where a digest was asked for.
    pub(crate) content: Option<Content>,
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
    /// Rows that a treatment left out on purpose.
    pub(super) dropped: usize,
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
        Self {
            columns,
            marking: None,
            digester: None,
        }
    }

    /// The same, marking what was treated.
    #[must_use]
    pub fn marking(self, marking: Option<Marking>) -> Self {
        Self { marking, ..self }
    }

    /// The same, hashing what was treated.
    #[must_use]
    pub fn digesting(self, digester: Option<Digester>) -> Self {
        Self { digester, ..self }
    }

    /// Adds what was counted of a split's rows; to be called in the order of the splits.
    pub(super) fn merge(&self, total: &mut Tally, split: Tally) {
        for (total, counts) in total.counts.iter_mut().zip(split.counts) {
            *total += counts;
        }
        for (total, distortion) in total.distortions.iter_mut().zip(&split.distortions) {
            total.merge(distortion);
        }
        let hashed = self.digester.as_ref().zip(total.content.as_mut());
        if let (Some((digester, total)), Some(split)) = (hashed, split.content) {
            digester.append(total, split);
        }
    }

    /// The digest of all splits that were merged into a tally, where one was asked for.
    ///
    /// # Errors
    /// A key that can't be used.
    pub(super) fn content_digest(&self, tally: &Tally) -> Result<Option<ContentDigest>, RunError> {
        let hashed = self.digester.as_ref().zip(tally.content.as_ref());
        hashed
            .map(|(digester, content)| digester.digest(content))
            .transpose()
    }

    /// Where counting begins.
    pub(crate) fn tally(&self) -> Tally {
        let marked = self.marking.as_ref().map_or(0, Marking::fields);
        Tally {
            counts: vec![Counts::default(); self.columns.len()],
            distortions: vec![Distortion::default(); marked],
            content: self.digester.as_ref().map(Digester::begin),
        }
    }

    /// The columns, in the order of delivery.
    pub fn columns(&self) -> &[ColumnTreatment] {
        &self.columns
    }

    /// Whether a treatment reads more of the original rows than its own column.
    pub(super) fn reads_rows(&self) -> bool {
        self.columns.iter().any(|column| !column.reads.is_empty())
    }

    /// How many of the columns are read: the first of a chunk.
    pub(super) fn columns_read(&self) -> usize {
        self.columns
            .iter()
            .filter(|column| column.is_read())
            .count()
    }

    /// Treats and marks a chunk on the current rayon pool and adds to `tally`. Rows that are left out
    /// carry no marks and count in none.
    ///
    /// # Errors
    /// The first field, in the order of delivery, whose treatment refused.
    pub(super) fn treat(
        &self,
        rows: &chunk::Rows,
        id: ChunkId,
        tally: &mut Tally,
    ) -> Result<Chunk, Untreated> {
        let chunk = &rows.batch;
        let treated: Vec<Result<Option<Treated>, TreatmentError>> = self
            .columns
            .par_iter()
            .with_max_len(1)
            .enumerate()
            .map(|(at, column)| {
                let Some(own) = column.own else {
                    return Ok(None);
                };
                let source = chunk.columns().get(own).ok_or_else(|| {
                    TreatmentError::Arrow("a column of the delivery is missing".to_owned())
                })?;
                let reads = column.reads.iter().map(|read| read.of(chunk));
                let inputs = reads.collect::<Result<Vec<_>, _>>()?;
                let context = Context {
                    inputs: &inputs,
                    chunk: Some(id),
                };
                let mut treated = column.treatment.treat(source, &context)?;
                // Once: what marks a column rounds it by the same rule.
                let prepares = |marking: &Marking| marking.prepares(at);
                let is_prepared_later = self.marking.as_ref().is_some_and(prepares);
                if let Some(rounding) = column.rounding.as_ref().filter(|_| !is_prepared_later) {
                    treated.array = rounding.prepared(&treated.array)?;
                }
                checked(treated, column.treatment.output_type(), source.len()).map(Some)
            })
            .collect();
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut choices = Vec::with_capacity(self.columns.len());
        let (mut rejected, mut dropped) = (None, None);
        for ((treated, column), total) in treated
            .into_iter()
            .zip(&self.columns)
            .zip(&mut tally.counts)
        {
            let treated = treated.map_err(|error| Untreated {
                field: column.name.clone(),
                error,
            })?;
            let Some(treated) = treated else {
                let nulls = new_null_array(column.treatment.output_type(), chunk.num_rows());
                columns.push(nulls);
                choices.push(None);
                continue;
            };
            *total += treated.tally();
            rejected = either(rejected, treated.rejected);
            dropped = either(dropped, treated.dropped);
            columns.push(treated.array);
            choices.push(treated.choice);
        }
        let taken = without((columns, choices), dropped, rejected, rows);
        let (mut chunk, choices) = taken.map_err(|error| Untreated {
            field: String::new(),
            error,
        })?;
        if let Some(marking) = &self.marking {
            marking.mark(&mut chunk.columns, &choices, &mut tally.distortions)?;
        }
        if let (Some(digester), Some(content)) = (&self.digester, &mut tally.content) {
            digester.add(content, &chunk.columns, chunk.rows)?;
        }
        Ok(chunk)
    }
}

impl Treater {
    /// Treats and marks rows for a preview. Rejected rows are left out; where there are any, the mask
    /// says which rows are left.
    ///
    /// # Errors
    /// A treatment that refuses.
    pub(crate) fn preview(
        &self,
        rows: &RecordBatch,
        tally: &mut Tally,
    ) -> Result<(Vec<ArrayRef>, Option<BooleanArray>), RunError> {
        let rows = chunk::Rows {
            batch: rows.clone(),
            bytes: 0,
        };
        // Nothing that is encrypted here is kept, so any chunk will do.
        let id = ChunkId {
            attempt: crate::engine::random_attempt()?,
            split: 0,
            chunk: 0,
        };
        self.treat(&rows, id, tally)
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
    let flagged =
        |flags: &Option<BooleanBuffer>| flags.as_ref().is_none_or(|flags| flags.len() == rows);
    let mut reasons = treated.reasons.iter();
    let is_choice = treated.choice.as_ref().is_none_or(|choice| {
        choice.other.data_type() == declared
            && choice.other.len() == rows
            && choice.shows.len() == rows
    });
    if !is_choice {
        return Err(TreatmentError::Arrow(
            "a treatment left the mark a choice of another type or length".to_owned(),
        ));
    }
    if treated.array.len() != rows
        || !flagged(&treated.rejected)
        || !flagged(&treated.dropped)
        || !reasons.all(|reason| reason.rows.len() == rows)
    {
        return Err(TreatmentError::Arrow(
            "a treatment changed the number of rows".to_owned(),
        ));
    }
    Ok(treated)
}

/// Rows flagged by one or the other.
fn either(left: Option<BooleanBuffer>, right: Option<BooleanBuffer>) -> Option<BooleanBuffer> {
    match (left, right) {
        (Some(left), Some(right)) => Some(&left | &right),
        (left, right) => left.or(right),
    }
}

/// Takes flagged rows out, of columns and what they leave to the mark. A row that is left out on purpose
/// is not counted as rejected.
fn without(
    (columns, choices): (Vec<ArrayRef>, Vec<Option<Choice>>),
    dropped: Option<BooleanBuffer>,
    rejected: Option<BooleanBuffer>,
    source: &chunk::Rows,
) -> Result<(Chunk, Vec<Option<Choice>>), TreatmentError> {
    let (rows, bytes) = (source.batch.num_rows(), source.bytes);
    let set =
        |flags: &Option<BooleanBuffer>| flags.as_ref().map_or(0, BooleanBuffer::count_set_bits);
    let dropped_rows = set(&dropped);
    let flagged = either(dropped, rejected);
    let gone = set(&flagged);
    let Some(flagged) = flagged.filter(|_| gone > 0) else {
        let chunk = Chunk {
            columns,
            rows,
            bytes,
            dropped: 0,
            rejected: 0,
            kept: None,
        };
        return Ok((chunk, choices));
    };
    let keep = BooleanArray::new(!&flagged, None);
    let kept = |column: &dyn Array| {
        filter(column, &keep).map_err(|_| TreatmentError::Arrow("taking rows out".to_owned()))
    };
    let of_choice = |choice: Choice| {
        Ok(Choice {
            other: kept(&choice.other)?,
            shows: kept(&choice.shows)?.as_boolean().clone(),
        })
    };
    let columns = columns.iter().map(|column| kept(column));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let choices = choices.into_iter();
    let choices = choices.map(|choice| choice.map(of_choice).transpose());
    let choices = choices.collect::<Result<Vec<_>, _>>()?;
    let chunk = Chunk {
        columns,
        rows: rows - gone,
        bytes,
        dropped: dropped_rows,
        rejected: gone - dropped_rows,
        kept: Some(keep),
    };
    Ok((chunk, choices))
}
