//! Reading the leak: a sample to find columns by, and the whole of it for the votes.
//!
//! Both are bounded, however large the leak is: the sample by its rows, the votes by
//! [`POSITIONS_MAX`].

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use lockgate_connectors::format::found::FoundTable;
use lockgate_transforms::TreatmentError;
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::score::{Ballots, Votes};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::columns::Matched;
use crate::error::RunError;

/// Rows of a sample, at least, of a leak that has them; at most twice as many.
const SAMPLE_ROWS: usize = 4_096;

/// Most positions of the code that are kept of a leak, some ten times what a coalition of five with
/// half of their cells altered needs. Which ones doesn't depend on what they show.
const POSITIONS_MAX: usize = 1 << 18;

/// A hypothesis and where its fields stand: what the whole leak is read by.
#[derive(Debug)]
pub(super) struct Way<'a> {
    /// Reads the symbols; its columns are those of `matched`, in that order.
    pub(super) marker: Marker,
    /// Columns of the leak.
    pub(super) matched: &'a [Matched],
}

/// What a leak shows.
#[derive(Debug)]
pub(super) struct Polled {
    /// The votes by each way.
    pub(super) votes: Vec<Votes>,
    /// Rows.
    pub(super) rows: u64,
    /// Rows of another form than the others.
    pub(super) irregular: u64,
}

/// Every n-th row of the leak, for the n that gives [`SAMPLE_ROWS`]: what was put together from
/// several files is sampled from all of them.
///
/// # Errors
/// A leak that can't be read, or has no rows.
pub(super) fn sample(table: &FoundTable) -> Result<RecordBatch, RunError> {
    let mut kept: Vec<RecordBatch> = Vec::new();
    let (mut stride, mut row, mut held) = (1_usize, 0_usize, 0_usize);
    for batch in table.batches()? {
        let batch = batch?;
        let first = (stride - row % stride) % stride;
        row = row.saturating_add(batch.num_rows());
        let part = every(&batch, first, stride)?;
        held += part.num_rows();
        kept.push(part);
        while held > 2 * SAMPLE_ROWS {
            let all = joined(&kept)?;
            kept = vec![every(&all, 0, 2)?];
            held = held.div_ceil(2);
            stride *= 2;
        }
    }
    if held == 0 {
        return Err(RunError::Invalid {
            what: "the file has no rows".to_owned(),
            at: "the leak".to_owned(),
            remedy: "name a file with rows; of a workbook, choose the table by --sheet".to_owned(),
        });
    }
    joined(&kept)
}

/// Every `stride`-th row, from `first` on.
pub(super) fn every(
    batch: &RecordBatch,
    first: usize,
    stride: usize,
) -> Result<RecordBatch, RunError> {
    let rows = (first..batch.num_rows()).step_by(stride.max(1));
    let rows = UInt64Array::from_iter_values(rows.map(|row| u64::try_from(row).unwrap_or(0)));
    take_record_batch(batch, &rows).map_err(|error| RunError::internal("sampling", &error))
}

fn joined(parts: &[RecordBatch]) -> Result<RecordBatch, RunError> {
    let schema = parts.first().map(RecordBatch::schema);
    let schema = schema.ok_or_else(|| RunError::Internal {
        what: "a sample of no rows".to_owned(),
    })?;
    concat_batches(&schema, parts).map_err(|error| RunError::internal("sampling", &error))
}

/// Reads the whole leak by every way, on the current rayon pool: as many batches at a time as keep
/// its threads busy.
///
/// # Errors
/// A leak that can't be read.
pub(super) fn poll(table: &FoundTable, ways: &[Way<'_>]) -> Result<Polled, RunError> {
    let mut ballots: Vec<Ballots> = ways.iter().map(|_| empty()).collect();
    let (mut rows, mut batches) = (0, table.batches()?);
    let wave = 2 * rayon::current_num_threads();
    loop {
        let read: Vec<RecordBatch> = batches.by_ref().take(wave).collect::<Result<_, _>>()?;
        if read.is_empty() {
            break;
        }
        rows += read.iter().map(RecordBatch::num_rows).sum::<usize>();
        let seen: Vec<Vec<Ballots>> = read
            .par_iter()
            .map(|batch| ways.iter().map(|way| observed(way, batch)).collect())
            .collect::<Result<_, RunError>>()?;
        for part in seen {
            for (all, part) in ballots.iter_mut().zip(part) {
                all.merge(part);
            }
        }
    }
    Ok(Polled {
        votes: ballots.into_iter().map(Ballots::close).collect(),
        rows: u64::try_from(rows).unwrap_or(u64::MAX),
        irregular: batches.irregular(),
    })
}

fn empty() -> Ballots {
    Ballots::with_limit(POSITIONS_MAX)
}

/// What one batch shows by one way.
fn observed(way: &Way<'_>, batch: &RecordBatch) -> Result<Ballots, RunError> {
    let columns = way.matched.iter().map(|of| {
        let column = text(batch, of.column)?;
        of.reading.read(column).map(Some)
    });
    let columns = columns.collect::<Result<Vec<Option<ArrayRef>>, RunError>>()?;
    let mut ballots = empty();
    ballots.add(way.marker.observe(&columns).map_err(reading)?);
    ballots.add_tags(way.marker.observe_tags(&columns).map_err(reading)?);
    Ok(ballots)
}

/// A column of a leak, as it was found: text.
pub(super) fn text(batch: &RecordBatch, column: usize) -> Result<&StringArray, RunError> {
    let column = batch.columns().get(column);
    let text = column.and_then(|column| column.as_string_opt::<i32>());
    text.ok_or_else(|| RunError::Internal {
        what: "a column of the leak is not there as text".to_owned(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
pub(super) fn reading(error: TreatmentError) -> RunError {
    RunError::internal("reading marks", &error)
}
