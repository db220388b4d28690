//! The first rows in scope of a source, for a preview: cut into chunks as a run cuts them, under the
//! same limit of a value, and no more of them than fit a few chunks.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use futures::StreamExt;
use lockgate_connectors::source::Source;

use super::chunk::{CHUNK_BYTES, Cutter, bytes_of};
use super::place::Place;
use crate::error::RunError;
use crate::plan::row_filter::RowFilter;

/// Bytes of rows after which no more are read, however few they are: what memory follows.
const BYTES_MAX: u64 = CHUNK_BYTES;

/// Hands the first rows in scope, in source order and with the columns that treatments read, to
/// `each`, chunk by chunk: `rows` of them, or as many as together hold about 32 MiB.
///
/// # Errors
/// A source that can't be read; a row for which the row scope has no answer; a value that is too
/// long for a run; whatever `each` returns.
pub(crate) async fn first_rows(
    source: &dyn Source,
    filter: &RowFilter,
    rows: usize,
    mut each: impl FnMut(&RecordBatch) -> Result<(), RunError> + Send,
) -> Result<(), RunError> {
    let mut missing = rows;
    let mut room = BYTES_MAX;
    for split in 0..source.splits().len() {
        let mut cutter = Cutter::default();
        let mut stream = source.open(split).await?;
        while missing > 0
            && room > 0
            && let Some(batch) = stream.next().await
        {
            let batch = batch?;
            let place = Place {
                source,
                split,
                first_row: batch.first_row,
            };
            let mask = filter.evaluate(&batch.batch);
            let mask = first(&mask.map_err(|error| place.unfiltered(&error))?, missing);
            missing -= mask.true_count();
            let cut = cutter.push(&batch.batch, &mask, bytes_of(&batch.batch));
            cut.map_err(|error| place.uncut(error))?;
            hand_over(&mut cutter, &mut room, &mut each)?;
        }
        let cut = cutter.finish();
        cut.map_err(|_| RunError::Internal {
            what: "cutting chunks".to_owned(),
        })?;
        hand_over(&mut cutter, &mut room, &mut each)?;
        if missing == 0 || room == 0 {
            break;
        }
    }
    Ok(())
}

/// Hands over the chunks that are complete, as long as there is room for their bytes.
fn hand_over(
    cutter: &mut Cutter,
    room: &mut u64,
    each: &mut impl FnMut(&RecordBatch) -> Result<(), RunError>,
) -> Result<(), RunError> {
    while *room > 0
        && let Some(chunk) = cutter.next()
    {
        *room = room.saturating_sub(chunk.bytes);
        each(&chunk.batch)?;
    }
    Ok(())
}

/// A mask of the first `rows` rows of a mask.
fn first(mask: &BooleanArray, rows: usize) -> BooleanArray {
    if mask.true_count() <= rows {
        return mask.clone();
    }
    let kept: Vec<usize> = mask.values().set_indices().take(rows).collect();
    let end = kept.last().map_or(0, |last| last + 1);
    let within = BooleanBuffer::collect_bool(mask.len(), |row| row < end);
    BooleanArray::new(mask.values() & &within, None)
}
