//! Cutting a split's rows into chunks: so many rows or so many bytes, whichever comes first.
//!
//! Memory follows the chunks in flight, and a chunk of long values would be as large as its values
//! are. What is counted is what the rows hold, not how the source laid them out (one long value may
//! stand behind every row of a dictionary), so that chunks are the same whatever the batches were.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use lockgate_connectors::source::VALUE_BYTES_MAX;

use super::CHUNK_ROWS;

/// A chunk ends before a row that would make it larger; a single row may be larger. Part of what a
/// delivery's bytes depend on.
pub(super) const CHUNK_BYTES: u64 = 32 << 20;

/// Bytes that the pieces of a chunk may hold on to beside their own. Never changes what is
/// delivered.
const PINNED_BYTES: u64 = 32 << 20;

/// Rows of a chunk.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) batch: RecordBatch,
    /// What its rows hold, in bytes.
    pub(super) bytes: u64,
}

/// Why rows could not be cut.
#[derive(Debug)]
pub(super) enum CutError {
    /// A value of more than [`VALUE_BYTES_MAX`].
    TooLong {
        /// Name of its column.
        column: String,
        /// Its row in the batch.
        row: usize,
    },
    /// Arrow failed.
    Arrow(ArrowError),
}

impl From<ArrowError> for CutError {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

/// Where chunks end, and what they may hold on to until then.
#[derive(Debug, Clone, Copy)]
struct Limits {
    rows: usize,
    bytes: u64,
    pinned: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: CHUNK_ROWS,
            bytes: CHUNK_BYTES,
            pinned: PINNED_BYTES,
        }
    }
}

/// Collects batches and cuts them into chunks.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    limits: Limits,
    /// Kept rows of the chunk under way.
    pieces: Vec<RecordBatch>,
    /// How many of them, from the first, hold on to nothing but their own bytes.
    compacted: usize,
    /// The buffers that the others hold on to, by address, and their bytes.
    pinned: HashSet<usize>,
    pinned_bytes: u64,
    /// Rows and bytes of the chunk under way, up to the row last looked at.
    rows: usize,
    bytes: u64,
    complete: VecDeque<Rows>,
    /// Bytes by row of the batch at hand.
    widths: Vec<u64>,
}

impl Cutter {
    /// Adds the rows of `batch` that `mask` keeps; all rows hold not more than `most` bytes.
    ///
    /// # Errors
    /// A kept value that is too long.
    pub(super) fn push(
        &mut self,
        batch: &RecordBatch,
        mask: &BooleanArray,
        most: u64,
    ) -> Result<(), CutError> {
        if most > VALUE_BYTES_MAX || self.bytes.saturating_add(most) > self.limits.bytes {
            return self.push_wide(batch, mask);
        }
        // Whatever is kept, no chunk ends for its bytes: only rows need counting.
        let mut start = 0;
        loop {
            let rest = mask.values().slice(start, batch.num_rows() - start);
            let missing = self.limits.rows.saturating_sub(self.rows);
            let last = match rest.count_set_bits() < missing {
                true => None,
                false => rest.set_indices().nth(missing.saturating_sub(1)),
            };
            let rows = batch.num_rows();
            let end = last.map_or(rows, |last| start + last + 1);
            if let Some(piece) = kept(batch, mask, start, end)? {
                self.rows += piece.num_rows();
                self.bytes = self.bytes.saturating_add(bytes_of(&piece));
                self.add(piece)?;
            }
            if last.is_none() {
                return Ok(());
            }
            self.complete()?;
            start = end;
        }
    }

    /// The same for rows of which each has to be looked at.
    fn push_wide(&mut self, batch: &RecordBatch, mask: &BooleanArray) -> Result<(), CutError> {
        self.measure(batch, mask)?;
        let mut start = 0;
        for row in mask.values().set_indices() {
            let width = self.widths.get(row).copied().unwrap_or_default();
            if self.rows > 0 && self.bytes.saturating_add(width) > self.limits.bytes {
                self.add_kept(batch, mask, start, row)?;
                self.complete()?;
                start = row;
            }
            self.bytes = self.bytes.saturating_add(width);
            self.rows += 1;
            if self.rows == self.limits.rows {
                self.add_kept(batch, mask, start, row + 1)?;
                self.complete()?;
                start = row + 1;
            }
        }
        self.add_kept(batch, mask, start, batch.num_rows())
    }

    fn add_kept(
        &mut self,
        batch: &RecordBatch,
        mask: &BooleanArray,
        start: usize,
        end: usize,
    ) -> Result<(), CutError> {
        kept(batch, mask, start, end)?.map_or(Ok(()), |piece| self.add(piece))
    }

    /// Adds kept rows to the chunk under way. Views point into the pages they were decoded from, and
    /// keep these in memory whole: their texts stay where they are until that becomes too much,
    /// since copying all of them costs a tenth of what treating them does.
    fn add(&mut self, piece: RecordBatch) -> Result<(), CutError> {
        for column in piece.columns() {
            for buffer in buffers_of(column) {
                if self.pinned.insert(buffer.as_ptr().addr()) {
                    let bytes = u64::try_from(buffer.capacity()).unwrap_or(u64::MAX);
                    self.pinned_bytes = self.pinned_bytes.saturating_add(bytes);
                }
            }
        }
        self.pieces.push(piece);
        if self.pinned_bytes > self.limits.pinned {
            for piece in self.pieces.iter_mut().skip(self.compacted) {
                *piece = compact(piece)?;
            }
            self.compacted = self.pieces.len();
            self.unpin();
        }
        Ok(())
    }

    fn unpin(&mut self) {
        self.pinned.clear();
        self.pinned_bytes = 0;
    }

    /// Completes the chunk under way.
    ///
    /// # Errors
    /// Arrow failed.
    pub(super) fn finish(&mut self) -> Result<(), CutError> {
        if self.rows > 0 {
            self.complete()?;
        }
        Ok(())
    }

    /// The next complete chunk.
    pub(super) fn next(&mut self) -> Option<Rows> {
        self.complete.pop_front()
    }

    fn complete(&mut self) -> Result<(), CutError> {
        let pieces = std::mem::take(&mut self.pieces);
        let bytes = std::mem::take(&mut self.bytes);
        (self.rows, self.compacted) = (0, 0);
        self.unpin();
        let batch = match pieces.as_slice() {
            [] => return Ok(()),
            [piece] => piece.clone(),
            [first, ..] => concat_batches(first.schema_ref(), &pieces)?,
        };
        self.complete.push_back(Rows { batch, bytes });
        Ok(())
    }

    /// Fills `widths`.
    fn measure(&mut self, batch: &RecordBatch, mask: &BooleanArray) -> Result<(), CutError> {
        let columns = batch.columns().iter();
        let fixed = columns.map(|column| fixed_width(column.data_type())).sum();
        self.widths.clear();
        self.widths.resize(batch.num_rows(), fixed);
        for (index, column) in batch.columns().iter().enumerate() {
            let longest = add_lengths(column, &mut self.widths);
            if longest > VALUE_BYTES_MAX
                && let Some(row) = mask
                    .values()
                    .set_indices()
                    .find(|row| length(column, *row) > VALUE_BYTES_MAX)
            {
                let schema = batch.schema_ref();
                let name = schema.fields().get(index).map(|field| field.name().clone());
                return Err(CutError::TooLong {
                    column: name.unwrap_or_default(),
                    row,
                });
            }
        }
        Ok(())
    }
}

/// The rows from `start` to `end` that the mask keeps; `None` if it keeps none.
fn kept(
    batch: &RecordBatch,
    mask: &BooleanArray,
    start: usize,
    end: usize,
) -> Result<Option<RecordBatch>, ArrowError> {
    let rows = end.saturating_sub(start);
    let (batch, mask) = (batch.slice(start, rows), mask.slice(start, rows));
    Ok(match mask.true_count() {
        0 => None,
        kept if kept == rows => Some(batch),
        _ => Some(filter_record_batch(&batch, &mask)?),
    })
}

/// The buffers in which a column's views stand.
fn buffers_of(column: &dyn Array) -> &[Buffer] {
    let texts = column
        .as_string_view_opt()
        .map(|array| array.data_buffers());
    let buffers = texts.or_else(|| {
        column
            .as_binary_view_opt()
            .map(|array| array.data_buffers())
    });
    buffers.unwrap_or_default()
}

/// The same rows, holding on to no more than their own bytes.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "filtering copied the values of other types"
)]
fn compact(piece: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = piece.columns().iter().map(|column| {
        let own: ArrayRef = match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => Arc::clone(column),
        };
        own
    });
    RecordBatch::try_new(piece.schema(), columns.collect())
}

/// Bytes of a value of that type, its text or bytes aside.
fn fixed_width(data_type: &DataType) -> u64 {
    let width = data_type.primitive_width().unwrap_or(4);
    u64::try_from(width).unwrap_or(u64::MAX)
}

/// What all rows of a batch hold, in bytes.
pub(super) fn bytes_of(batch: &RecordBatch) -> u64 {
    let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
    let columns = batch.columns().iter().map(|column| {
        let fixed = fixed_width(column.data_type()).saturating_mul(rows);
        fixed.saturating_add(lengths(column))
    });
    columns.fold(0, u64::saturating_add)
}

/// The length that a view states.
#[inline]
fn view_length(view: &u128) -> u64 {
    // Its lower four bytes.
    let bytes = view.to_le_bytes();
    let length = bytes.first_chunk();
    u64::from(length.map_or(0, |length| u32::from_le_bytes(*length)))
}

/// The views of texts or bytes, where a column has such.
fn views_of(column: &dyn Array) -> Option<&[u128]> {
    let texts = column.as_string_view_opt().map(|array| array.views());
    let views = texts.or_else(|| column.as_binary_view_opt().map(|array| array.views()));
    views.map(|views| &**views)
}

/// The lengths of a column's texts or bytes, together.
fn lengths(column: &dyn Array) -> u64 {
    match (views_of(column), column.nulls()) {
        (Some(views), None) => views.iter().map(view_length).fold(0, u64::saturating_add),
        (Some(views), Some(nulls)) => {
            let valid = views.iter().zip(nulls.iter());
            let lengths = valid.map(|(view, valid)| view_length(view) * u64::from(valid));
            lengths.fold(0, u64::saturating_add)
        }
        (None, _) if column.data_type().is_primitive() => 0,
        (None, _) => (0..column.len())
            .map(|row| length(column, row))
            .fold(0, u64::saturating_add),
    }
}

/// Adds the lengths of a column's texts or bytes to the rows' widths, and gives the longest.
fn add_lengths(column: &dyn Array, widths: &mut [u64]) -> u64 {
    let mut longest = 0;
    let mut add = |width: &mut u64, length: u64| {
        *width = width.saturating_add(length);
        longest = longest.max(length);
    };
    if let Some(views) = views_of(column) {
        // That of a null is of no value.
        let rows = widths.iter_mut().zip(views.iter());
        match column.nulls() {
            None => rows.for_each(|(width, view)| add(width, view_length(view))),
            Some(nulls) => rows.zip(nulls.iter()).for_each(|((width, view), valid)| {
                add(width, view_length(view) * u64::from(valid));
            }),
        }
        return longest;
    }
    if matches!(
        column.data_type(),
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::List(_)
            | DataType::Struct(_)
            | DataType::Map(..)
    ) {
        for (row, width) in widths.iter_mut().enumerate() {
            add(width, length(column, row));
        }
    }
    longest
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "values of other types have a fixed width"
)]
/// Bytes of a text, of bytes, or of all that a nested value holds; 0 for other values.
fn length(column: &dyn Array, row: usize) -> u64 {
    if column.is_null(row) {
        return 0;
    }
    let length = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).len(),
        DataType::Utf8View => column.as_string_view().value(row).len(),
        DataType::Binary => column.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => column.as_binary::<i64>().value(row).len(),
        DataType::BinaryView => column.as_binary_view().value(row).len(),
        DataType::List(_) => return held(column.as_list::<i32>().value(row).as_ref()),
        DataType::Map(..) => return held(&column.as_map().value(row)),
        DataType::Struct(_) => {
            let members = column.as_struct().columns().iter();
            return members
                .map(|member| held_at(member, row))
                .fold(0, u64::saturating_add);
        }
        _ => 0,
    };
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Bytes of one value of any type.
fn held_at(column: &dyn Array, row: usize) -> u64 {
    fixed_width(column.data_type()).saturating_add(length(column, row))
}

/// Bytes of all values of an array.
fn held(values: &dyn Array) -> u64 {
    (0..values.len())
        .map(|row| held_at(values, row))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray, StringViewArray};
    use proptest::prelude::*;

    use super::*;

    fn batch(texts: &[usize]) -> RecordBatch {
        let values = texts.iter().map(|length| "x".repeat(*length));
        let texts = StringViewArray::from_iter_values(values);
        let numbers = Int64Array::from_iter_values(0..i64::try_from(texts.len()).unwrap());
        let columns: [(&str, ArrayRef); 2] =
            [("text", Arc::new(texts)), ("number", Arc::new(numbers))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn all(rows: usize) -> BooleanArray {
        BooleanArray::from(vec![true; rows])
    }

    fn drain(cutter: &mut Cutter) -> Vec<(usize, u64)> {
        std::iter::from_fn(|| cutter.next())
            .map(|rows| (rows.batch.num_rows(), rows.bytes))
            .collect()
    }

    #[test]
    fn long_values_end_a_chunk_before_it_grows_too_large() {
        let mebibytes = 10 << 20;
        let mut cutter = Cutter::default();
        let whole = batch(&[mebibytes; 7]);
        cutter.push(&whole, &all(7), bytes_of(&whole)).unwrap();
        cutter.finish().unwrap();
        let chunks = drain(&mut cutter);
        assert_eq!(
            chunks.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(),
            [3, 3, 1]
        );
        assert!(chunks.iter().all(|(_, bytes)| *bytes <= CHUNK_BYTES));
    }

    #[test]
    fn one_long_value_behind_many_rows_counts_for_each() {
        let long = "x".repeat(1 << 20);
        let mut builder = arrow::array::StringViewBuilder::new();
        let block = builder.append_block(long.as_bytes().into());
        for _ in 0..100 {
            builder.try_append_view(block, 0, 1 << 20).unwrap();
        }
        let texts: ArrayRef = Arc::new(builder.finish());
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let mut cutter = Cutter::default();
        cutter.push(&batch, &all(100), bytes_of(&batch)).unwrap();
        cutter.finish().unwrap();
        let rows: Vec<usize> = drain(&mut cutter)
            .into_iter()
            .map(|(rows, _)| rows)
            .collect();
        assert_eq!(rows, [31, 31, 31, 7]);
    }

    #[test]
    fn a_value_longer_than_the_limit_is_refused_unless_its_row_is_out_of_scope() {
        let limit = usize::try_from(VALUE_BYTES_MAX).unwrap();
        let batch = batch(&[1, limit, limit + 1]);
        let most = bytes_of(&batch);
        let refused = Cutter::default().push(&batch, &all(3), most).unwrap_err();
        let CutError::TooLong { column, row } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            (column.as_str(), row),
            (batch.schema_ref().field(0).name().as_str(), 2)
        );
        let mask = BooleanArray::from(vec![true, true, false]);
        Cutter::default().push(&batch, &mask, most).unwrap();
    }

    #[test]
    fn plain_text_is_measured_as_views_are() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some("")]));
        let mut widths = vec![0; 3];
        assert_eq!(add_lengths(&texts, &mut widths), 3);
        assert_eq!(widths, [3, 0, 0]);
    }

    /// A text column with nulls, whose values say their row.
    fn texts(lengths: &[Option<usize>]) -> RecordBatch {
        let values = lengths.iter().enumerate().map(|(row, length)| {
            let length = (*length)?;
            Some(format!("{row:0>length$}"))
        });
        let texts: ArrayRef = Arc::new(values.collect::<StringViewArray>());
        RecordBatch::try_from_iter([("text", texts)]).unwrap()
    }

    /// What the cutter makes of the batch, read in pieces of `step` rows.
    fn cut(limits: Limits, whole: &RecordBatch, mask: &BooleanArray, step: usize) -> Vec<Rows> {
        let mut cutter = Cutter {
            limits,
            ..Cutter::default()
        };
        for start in (0..whole.num_rows()).step_by(step) {
            let rows = step.min(whole.num_rows() - start);
            let batch = whole.slice(start, rows);
            let most = bytes_of(&batch);
            cutter.push(&batch, &mask.slice(start, rows), most).unwrap();
        }
        cutter.finish().unwrap();
        std::iter::from_fn(|| cutter.next()).collect()
    }

    #[test]
    fn rows_that_are_dropped_are_not_held_in_memory() {
        let lengths: Vec<_> = (0..1_000).map(|row| Some([40, 4_000][row % 2])).collect();
        let whole = texts(&lengths);
        let mask: BooleanArray = (0..1_000).map(|row| Some(row % 2 == 0)).collect();
        let limits = Limits {
            pinned: 100_000,
            ..Limits::default()
        };
        let chunks = cut(limits, &whole, &mask, 10);
        let [chunk] = chunks.as_slice() else {
            panic!("{} chunks", chunks.len());
        };
        let held: usize = buffers_of(chunk.batch.column(0))
            .iter()
            .map(|buffer| buffer.capacity())
            .sum();
        assert_eq!(chunk.batch.num_rows(), 500);
        assert!(held < 200_000, "{held} bytes are held for 20,000");
    }

    proptest! {
        #[test]
        fn chunks_are_the_same_rows_whatever_the_batches(
            rows in prop::collection::vec(
                (prop::option::weighted(0.9, prop_oneof![0_usize..50, Just(400)]), any::<bool>()),
                1..200,
            ),
            step in 1_usize..60,
            pinned in prop_oneof![Just(0_u64), Just(300), Just(u64::MAX)],
        ) {
            let limits = Limits { rows: 16, bytes: 700, pinned };
            let lengths: Vec<_> = rows.iter().map(|(length, _)| *length).collect();
            let whole = texts(&lengths);
            let mask: BooleanArray = rows.iter().map(|(_, kept)| Some(*kept)).collect();
            let chunks = cut(limits, &whole, &mask, step);
            let batches: Vec<_> = chunks.iter().map(|chunk| chunk.batch.clone()).collect();
            let expected = filter_record_batch(&whole, &mask).unwrap();
            let schema = whole.schema();
            prop_assert_eq!(concat_batches(&schema, &batches).unwrap(), expected);
            // A chunk ends before the row that would make it too large, and at no other.
            for (chunk, next) in chunks.iter().zip(chunks.iter().skip(1)) {
                let first = bytes_of(&next.batch.slice(0, 1));
                let full = chunk.batch.num_rows() == limits.rows;
                prop_assert!(full || chunk.bytes + first > limits.bytes);
            }
            for chunk in &chunks {
                prop_assert_eq!(chunk.bytes, bytes_of(&chunk.batch));
                prop_assert!(chunk.batch.num_rows() <= limits.rows);
                prop_assert!(chunk.batch.num_rows() == 1 || chunk.bytes <= limits.bytes);
            }
        }
    }
}
