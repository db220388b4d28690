//! Reading the leak: a sample to find columns by, and the whole of it for the votes.
//!
//! Both are bounded, however large the leak is: the sample by its rows and bytes, the votes by
//! [`POSITIONS_MAX`].

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use lockgate_connectors::format::found::FoundTable;
use lockgate_transforms::TreatmentError;
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::score::{Ballots, Votes};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use sha2::{Digest, Sha256};

use super::columns::Matched;
use crate::error::RunError;

/// Rows of a sample, at least, of a leak that has as many different ones, unless they are long; at most
/// twice as many.
const SAMPLE_ROWS: usize = 4_096;

/// Bytes of a sample from which it is thinned: a row may have 16 MiB.
const SAMPLE_BYTES: usize = 256 << 20;

/// Parts of a sample before they are joined: of a table of thousands of columns each takes megabytes.
const PARTS_MAX: usize = 64;

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

/// Rows of the leak by which columns are found: those whose content has the smallest hashes, each once.
///
/// So what was put together from several files is sampled from all of them, and rows that come a thousand
/// times over crowd out no others. Every n-th row would do neither: of 60 rows written again and again,
/// every eighth is one of 15.
///
/// # Errors
/// A leak that can't be read, or has no rows.
pub(super) fn sample(table: &FoundTable) -> Result<RecordBatch, RunError> {
    sample_within(table, SAMPLE_BYTES)
}

fn sample_within(table: &FoundTable, bytes_max: usize) -> Result<RecordBatch, RunError> {
    let mut sample = Sample::new(bytes_max);
    for batch in table.batches()? {
        sample.add(&batch?)?;
    }
    if sample.parts.is_empty() {
        return Err(RunError::Invalid {
            what: "the file has no rows".to_owned(),
            at: "the leak".to_owned(),
            remedy: "name a file with rows; of a workbook, choose the table by --sheet".to_owned(),
        });
    }
    joined(&sample.parts)
}

/// Different rows with the smallest hashes of all that were seen.
struct Sample {
    parts: Vec<RecordBatch>,
    /// Of each row of the parts, in their order.
    hashes: Vec<u128>,
    known: HashSet<u128>,
    /// No larger hash is among them.
    largest: u128,
    /// Of the parts.
    bytes: usize,
    /// From which they are thinned.
    bytes_max: usize,
}

impl Sample {
    fn new(bytes_max: usize) -> Self {
        Self {
            parts: Vec::new(),
            hashes: Vec::new(),
            known: HashSet::new(),
            largest: u128::MAX,
            bytes: 0,
            bytes_max,
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunError> {
        let (mut rows, before) = (Vec::new(), self.hashes.len());
        for (row, hash) in (0_u64..).zip(hashes(batch)?) {
            if hash <= self.largest && self.known.insert(hash) {
                rows.push(row);
                self.hashes.push(hash);
            }
        }
        if self.hashes.len() > before {
            let part = taken(batch, rows)?;
            self.bytes = self.bytes.saturating_add(part.get_array_memory_size());
            self.parts.push(part);
        }
        if self.hashes.len() > 2 * SAMPLE_ROWS {
            self.thin(SAMPLE_ROWS)?;
        }
        while self.bytes > self.bytes_max && self.hashes.len() > 1 {
            self.thin(self.hashes.len() / 2)?;
        }
        if self.parts.len() > PARTS_MAX {
            self.parts = vec![joined(&self.parts)?];
        }
        Ok(())
    }

    /// Leaves so many of them, which is one at least and no more than there are.
    fn thin(&mut self, left: usize) -> Result<(), RunError> {
        let mut hashes = self.hashes.clone();
        let (_, largest, _) = hashes.select_nth_unstable(left.saturating_sub(1));
        self.largest = *largest;
        let rows = (0_u64..).zip(&self.hashes);
        let kept = rows.filter(|(_, hash)| **hash <= self.largest);
        let rows: Vec<u64> = kept.map(|(row, _)| row).collect();
        let part = taken(&joined(&self.parts)?, rows)?;
        self.bytes = part.get_array_memory_size();
        self.parts = vec![part];
        self.hashes.retain(|hash| *hash <= self.largest);
        self.known.retain(|hash| *hash <= self.largest);
        Ok(())
    }
}

/// The hash of each row's content: half of a SHA-256, so that nobody makes two rows of one.
fn hashes(batch: &RecordBatch) -> Result<Vec<u128>, RunError> {
    let columns = (0..batch.num_columns()).map(|column| text(batch, column));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let hash_of = |row: usize| {
        let mut hasher = Sha256::new();
        for column in &columns {
            // Lengths keep cells apart, and an empty one from none.
            let cell = column.is_valid(row).then(|| column.value(row));
            let length = cell.map_or(u64::MAX, |cell| u64::try_from(cell.len()).unwrap_or(0));
            hasher.update(length.to_le_bytes());
            hasher.update(cell.unwrap_or_default());
        }
        let hash: [u8; 32] = hasher.finalize().into();
        let half = hash.first_chunk().copied().unwrap_or_default();
        u128::from_le_bytes(half)
    };
    Ok((0..batch.num_rows()).map(hash_of).collect())
}

/// Every `stride`-th row, from `first` on.
pub(super) fn every(
    batch: &RecordBatch,
    first: usize,
    stride: usize,
) -> Result<RecordBatch, RunError> {
    let rows = (first..batch.num_rows()).step_by(stride.max(1));
    let rows = rows.map(|row| u64::try_from(row).unwrap_or(0));
    taken(batch, rows.collect())
}

/// The rows of those numbers.
fn taken(batch: &RecordBatch, rows: Vec<u64>) -> Result<RecordBatch, RunError> {
    let taken = take_record_batch(batch, &UInt64Array::from(rows));
    taken.map_err(|error| RunError::internal("sampling", &error))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use lockgate_connectors::format::found::FoundOptions;

    use super::*;

    fn sampled(lines: impl Iterator<Item = String>) -> Vec<String> {
        sampled_within(SAMPLE_BYTES, lines)
    }

    fn sampled_within(bytes_max: usize, lines: impl Iterator<Item = String>) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leak.csv");
        let lines: Vec<String> = lines.collect();
        fs::write(&path, format!("name,number\n{}\n", lines.join("\n"))).unwrap();
        let table = FoundTable::open(&path, &FoundOptions::default()).unwrap();
        let sample = sample_within(&table, bytes_max).unwrap();
        let [names, numbers] = [0, 1].map(|column| text(&sample, column).unwrap());
        let rows = names.iter().zip(numbers);
        rows.map(|(name, number)| format!("{},{}", name.unwrap(), number.unwrap()))
            .collect()
    }

    #[test]
    fn rows_that_are_repeated_are_sampled_once_and_crowd_out_no_others() {
        let once: Vec<String> = (0..60).map(|row| format!("a{row},{}", row % 7)).collect();
        let often = (0..60_000).map(|row| once[row % 60].clone());
        assert_eq!(sampled(often), once);
        let padded = vec!["a0,0".to_owned(); 20_000];
        assert_eq!(sampled(padded.into_iter().chain(once.clone())), once);
    }

    #[test]
    fn a_sample_of_long_rows_is_bounded_by_its_bytes() {
        // 40 MB of different rows, of which a sample by rows alone would hold all; a batch has some 16.
        let (most, long) = (4 << 20, "x".repeat(20_000));
        let rows = sampled_within(most, (0..2_000).map(|row| format!("{row}{long},{row}")));
        let bytes: usize = rows.iter().map(String::len).sum();
        assert!((1..=most).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_sample_of_many_rows_is_bounded_comes_from_all_of_them_and_not_from_their_order() {
        let row = |row: u32| format!("a{row},{}", row % 7);
        let one = sampled((0..100_000).map(row));
        assert!((SAMPLE_ROWS..=2 * SAMPLE_ROWS).contains(&one.len()));
        let late = one.iter().filter(|of| of.as_str() > "a5");
        assert!(late.count() > one.len() / 3);
        let smallest = |mut rows: Vec<String>| {
            rows.sort();
            rows
        };
        let other = smallest(sampled((0..100_000).rev().map(row)));
        let both = smallest(one).into_iter().filter(|row| other.contains(row));
        assert!(both.count() >= SAMPLE_ROWS);
    }
}
