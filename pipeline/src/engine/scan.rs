//! Reading a split on tokio: its rows are decoded, dropped where they are out of scope, and cut into
//! chunks, ahead of the lane that treats them. All of this is work of one thread per split; done
//! here, the cores that treat and encode never wait for it while there is room to read ahead.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt;
use lockgate_connectors::source::{Source, SourceBatch};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::chunk::{self, Cutter};
use super::origin::Origins;
use super::place::Place;
use super::{Exchange, Progress, Rows};
use crate::error::RunError;
use crate::fault;
use crate::plan::row_filter::RowFilter;

/// Chunks cut ahead of treatment, per lane.
const READ_AHEAD: usize = 2;

/// Kibibytes that chunks cut ahead may hold together. One that holds more goes alone.
const READ_AHEAD_KIB: u32 = 32 << 10;

/// What reading needs of an exchange.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    source: Arc<dyn Source>,
    filter: Arc<RowFilter>,
    /// The columns that are delivered, where treatments read no others.
    projection: Option<Vec<usize>>,
    progress: Arc<Progress>,
    cancel: CancellationToken,
}

/// A chunk to be treated.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) rows: chunk::Rows,
    pub(super) origins: Origins,
    /// Its share of what may be read ahead.
    room: OwnedSemaphorePermit,
}

impl Scanned {
    /// The chunk, which makes room for another to be read.
    pub(super) fn take(self) -> (chunk::Rows, Origins) {
        drop(self.room);
        (self.rows, self.origins)
    }
}

/// A split that is being read.
#[derive(Debug)]
pub(super) struct Scanning {
    chunks: mpsc::Receiver<Scanned>,
    task: AbortOnDropHandle<Result<Rows, RunError>>,
}

impl Scanning {
    /// The next chunk; none once the split was read or could not be.
    pub(super) fn next(&mut self) -> Option<Scanned> {
        self.chunks.blocking_recv()
    }

    /// Whether no more is read, though there may be chunks to take.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// The rows read, and those of them that were left out; called after the last chunk.
    ///
    /// # Errors
    /// Why the split could not be read to its end: a channel also closes when its sender dies.
    pub(super) fn finish(self, runtime: &Handle) -> Result<Rows, RunError> {
        runtime
            .block_on(self.task)
            .map_err(|error| fault::of_task("reading a split", error))?
    }
}

impl Scan {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let treater = &exchange.treater;
        // They stand before those that only decide.
        let delivered = || (0..treater.columns_read()).collect();
        Self {
            source: Arc::clone(&exchange.source),
            filter: Arc::clone(&exchange.filter),
            projection: (!treater.reads_rows()).then(delivered),
            progress: Arc::clone(&exchange.progress),
            cancel: exchange.cancel.clone(),
        }
    }

    /// Begins to read a split.
    pub(super) fn start(&self, split: usize, runtime: &Handle) -> Scanning {
        let (sender, chunks) = mpsc::channel(READ_AHEAD);
        let scan = self.clone();
        let task = runtime.spawn(async move {
            tokio::select! {
                biased;
                () = scan.cancel.cancelled() => Err(RunError::Interrupted),
                read = scan.read(split, sender) => read,
            }
        });
        Scanning {
            chunks,
            task: AbortOnDropHandle::new(task),
        }
    }

    async fn read(&self, split: usize, chunks: mpsc::Sender<Scanned>) -> Result<Rows, RunError> {
        let mut work = Work {
            scan: self,
            split,
            chunks,
            room: Arc::new(Semaphore::new(usize::try_from(READ_AHEAD_KIB).unwrap_or(1))),
            cutter: Cutter::default(),
            origins: Origins::default(),
            rows: Rows::default(),
            bytes: 0,
        };
        let mut stream = self.source.open(split).await?;
        while let Some(batch) = stream.next().await {
            work.push(&batch?)?;
            work.hand_on().await?;
        }
        let place = work.place(0);
        work.cutter.finish().map_err(|error| place.uncut(error))?;
        work.hand_on().await?;
        let bytes = self.source.splits().get(split).map_or(0, |s| s.bytes);
        work.progress_to(bytes);
        Ok(work.rows)
    }
}

/// The state of a split under way.
struct Work<'a> {
    scan: &'a Scan,
    split: usize,
    chunks: mpsc::Sender<Scanned>,
    room: Arc<Semaphore>,
    cutter: Cutter,
    /// Of the rows not yet handed on.
    origins: Origins,
    rows: Rows,
    /// Bytes of the split reported to the progress so far.
    bytes: u64,
}

impl<'a> Work<'a> {
    fn place(&self, first_row: u64) -> Place<'a> {
        Place {
            source: self.scan.source.as_ref(),
            split: self.split,
            first_row,
        }
    }

    /// Adds the rows of a batch that are in scope.
    fn push(&mut self, source: &SourceBatch) -> Result<(), RunError> {
        let scan = self.scan;
        let place = self.place(source.first_row);
        let rows = count(source.batch.num_rows());
        self.rows.read += rows + source.malformed;
        self.rows.rejected += source.malformed;
        scan.progress.read_rows(rows + source.malformed);
        self.progress_by_rows();
        let mask = scan.filter.evaluate(&source.batch);
        let mask = mask.map_err(|error| place.unfiltered(&error))?;
        let kept = mask.true_count();
        self.rows.filtered += rows - count(kept);
        if kept == 0 {
            return Ok(());
        }
        self.origins.push(source.first_row, &mask);
        let most = chunk::bytes_of(&source.batch);
        let batch = scan.projected(&source.batch)?;
        let cut = self.cutter.push(&batch, &mask, most);
        cut.map_err(|error| place.uncut(error))
    }

    /// Hands on the chunks that are complete.
    async fn hand_on(&mut self) -> Result<(), RunError> {
        while let Some(rows) = self.cutter.next() {
            let share = u32::try_from(rows.bytes / 1024).unwrap_or(READ_AHEAD_KIB);
            let share = share.clamp(1, READ_AHEAD_KIB);
            let room = Arc::clone(&self.room).acquire_many_owned(share).await;
            let scanned = Scanned {
                origins: self.origins.take(rows.batch.num_rows()),
                rows,
                // Nobody closes it.
                room: room.map_err(|error| RunError::internal("reading ahead", &error))?,
            };
            // A lane that is gone gave up, and says why itself.
            let sent = self.chunks.send(scanned).await;
            sent.map_err(|_| RunError::Interrupted)?;
        }
        Ok(())
    }

    /// Reports the share of the split's bytes that its rows read so far stand for.
    fn progress_by_rows(&mut self) {
        if let Some(split) = self.scan.source.splits().get(self.split)
            && let Some(rows) = split.rows.filter(|rows| *rows > 0)
        {
            let read = self.rows.read.min(rows);
            let share = u128::from(split.bytes) * u128::from(read) / u128::from(rows);
            self.progress_to(u64::try_from(share).unwrap_or(split.bytes));
        }
    }

    fn progress_to(&mut self, bytes: u64) {
        let progress = &self.scan.progress;
        progress.read_bytes(bytes.saturating_sub(self.bytes));
        self.bytes = bytes;
    }
}

impl Scan {
    /// The columns of a batch that treatments read.
    fn projected(&self, batch: &RecordBatch) -> Result<RecordBatch, RunError> {
        match &self.projection {
            None => Ok(batch.clone()),
            Some(delivered) => batch
                .project(delivered)
                .map_err(|error| RunError::internal("cutting chunks", &error)),
        }
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
