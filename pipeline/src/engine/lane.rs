//! A lane: takes one split after another and turns each into treated, encoded row groups.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::source::{Source, SourceBatch, VALUE_BYTES_MAX};
use lockgate_transforms::{ChunkId, Counts};
use rayon::ThreadPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::assemble::{Message, Piece, SplitTotals, is_worth_a_group};
use super::chunk::{self, CHUNK_BYTES, CutError, Cutter};
use super::encode::GroupWriter;
use super::origin::Origins;
use super::treat::{Chunk, Untreated};
use super::{CHUNK_ROWS, Exchange, Rows, take_next};
use crate::error::RunError;
use crate::fault;
use crate::plan::row_filter::RowFilterError;

/// Batches decoded ahead of treatment, per lane: a chunk is made of several, and decoding goes on
/// while one is treated.
const READ_AHEAD: usize = 8;

/// Kibibytes that batches decoded ahead may hold together. One that holds more goes alone.
const READ_AHEAD_KIB: u32 = 32 << 10;

/// Rows after which a row group is closed within a split: 16 chunks.
const GROUP_ROWS: usize = 16 * CHUNK_ROWS;

/// Bytes of rows, before treatment, after which a row group is closed within a split.
const GROUP_BYTES: u64 = 8 * CHUNK_BYTES;

/// The splits still to be taken, each with the channel its result goes to.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    senders: Mutex<Vec<Option<SyncSender<Message>>>>,
    next: &'a AtomicUsize,
}

impl<'a> Queue<'a> {
    pub(super) fn new(senders: Vec<SyncSender<Message>>, next: &'a AtomicUsize) -> Self {
        Self {
            senders: Mutex::new(senders.into_iter().map(Some).collect()),
            next,
        }
    }

    /// The next split in source order. A lane takes it while it finishes the one before, and waits
    /// only to hand on the earliest split that is open: the one that is awaited never waits itself.
    fn take(&self) -> Option<(usize, SyncSender<Message>)> {
        let split = take_next(self.next);
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.get_mut(split)?.take().map(|sender| (split, sender))
    }
}

/// One lane of an exchange.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) pool: &'a ThreadPool,
    pub(super) runtime: &'a tokio::runtime::Handle,
    pub(super) queue: &'a Queue<'a>,
}

/// A batch decoded ahead.
#[derive(Debug)]
struct Ahead {
    source: SourceBatch,
    /// What its rows hold, in bytes.
    bytes: u64,
    /// Its share of what may be read ahead.
    _room: OwnedSemaphorePermit,
}

/// A split that is being read.
struct Reading {
    split: usize,
    sender: SyncSender<Message>,
    batches: mpsc::Receiver<Ahead>,
    reader: AbortOnDropHandle<Result<(), ConnectorError>>,
}

impl Lane<'_> {
    /// Works until no split is left, one failed, or the run was cancelled.
    pub(super) fn run(self) {
        let mut coming = self.read_next();
        while let Some(reading) = coming.take() {
            let sender = reading.sender.clone();
            let message = match self.run_split(reading, &mut coming) {
                Ok(totals) => Message::Done(totals),
                Err(error) => Message::Failed(error),
            };
            let failed = matches!(message, Message::Failed(_));
            // A receiver that is gone means that the run is already failing.
            if sender.send(message).is_err() || failed {
                return;
            }
        }
    }

    /// Takes the next split, if there is one, and begins to read it.
    fn read_next(&self) -> Option<Reading> {
        let (split, sender) = self.queue.take()?;
        let (sent, batches) = mpsc::channel(READ_AHEAD);
        let reader = AbortOnDropHandle::new(self.runtime.spawn(read(
            Arc::clone(&self.exchange.source),
            split,
            sent,
            self.exchange.cancel.clone(),
        )));
        Some(Reading {
            split,
            sender,
            batches,
            reader,
        })
    }

    /// Treats and encodes a split; once it is read, the next one is read into `coming`, so that its
    /// first rows are there when the last ones of this are encoded.
    fn run_split(
        &self,
        reading: Reading,
        coming: &mut Option<Reading>,
    ) -> Result<SplitTotals, RunError> {
        let Reading {
            split,
            sender,
            mut batches,
            reader,
        } = reading;
        let mut work = SplitWork::new(self, split, &sender);
        while let Some(ahead) = batches.blocking_recv() {
            if self.exchange.cancel.is_cancelled() {
                return Err(RunError::Interrupted);
            }
            work.push(&ahead.source, ahead.bytes)?;
        }
        // The channel also closes when the reader fails or dies: only its word ends a split.
        self.runtime
            .block_on(reader)
            .map_err(|error| fault::of_task("reading a split", error))?
            .map_err(RunError::from)?;
        if self.exchange.cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        *coming = self.read_next();
        work.finish()
    }
}

/// Reads one split into the channel.
async fn read(
    source: Arc<dyn Source>,
    split: usize,
    batches: mpsc::Sender<Ahead>,
    cancel: CancellationToken,
) -> Result<(), ConnectorError> {
    let room = Arc::new(Semaphore::new(usize::try_from(READ_AHEAD_KIB).unwrap_or(1)));
    let work = async {
        let mut stream = source.open(split).await?;
        while let Some(batch) = stream.next().await {
            let source = batch?;
            let bytes = chunk::bytes_of(&source.batch);
            let share = u32::try_from(bytes / 1024).unwrap_or(READ_AHEAD_KIB);
            let share = share.clamp(1, READ_AHEAD_KIB);
            let Ok(room) = Arc::clone(&room).acquire_many_owned(share).await else {
                break; // nobody closes it
            };
            let ahead = Ahead {
                source,
                bytes,
                _room: room,
            };
            if batches.send(ahead).await.is_err() {
                break; // the lane gave up, and says why itself
            }
        }
        Ok(())
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(()), // the lane sees the same token
        result = work => result,
    }
}

/// The state of a split under way.
struct SplitWork<'a> {
    lane: &'a Lane<'a>,
    split: usize,
    sender: &'a SyncSender<Message>,
    cutter: Cutter,
    origins: Origins,
    group: Option<GroupWriter>,
    /// Chunks of the first row group, kept until the split has proven large enough for a row
    /// group of its own; `None` once it has.
    held: Option<Vec<Chunk>>,
    totals: SplitTotals,
    /// Chunks treated so far.
    chunks: u64,
    /// Bytes of the split reported to the progress so far.
    bytes: u64,
}

impl<'a> SplitWork<'a> {
    fn new(lane: &'a Lane<'a>, split: usize, sender: &'a SyncSender<Message>) -> Self {
        let fields = lane.exchange.treater.columns().len();
        Self {
            lane,
            split,
            sender,
            cutter: Cutter::default(),
            origins: Origins::default(),
            group: None,
            held: Some(Vec::new()),
            totals: SplitTotals {
                rows: Rows::default(),
                counts: vec![Counts::default(); fields],
            },
            chunks: 0,
            bytes: 0,
        }
    }

    /// Adds a batch, whose rows hold not more than `bytes`.
    fn push(&mut self, source: &SourceBatch, bytes: u64) -> Result<(), RunError> {
        let exchange = self.lane.exchange;
        let rows = count(source.batch.num_rows());
        self.totals.rows.read += rows + source.malformed;
        self.totals.rows.rejected += source.malformed;
        exchange.progress.read_rows(rows + source.malformed);
        self.progress_bytes();
        let mask = exchange
            .filter
            .evaluate(&source.batch)
            .map_err(|error| self.unfiltered(&error, source.first_row))?;
        let kept = mask.true_count();
        self.totals.rows.filtered += rows - count(kept);
        if kept == 0 {
            return Ok(());
        }
        self.origins.push(source.first_row, &mask);
        let batch = if exchange.treater.reads_rows() {
            source.batch.clone()
        } else {
            let delivered: Vec<usize> = (0..exchange.treater.columns().len()).collect();
            source.batch.project(&delivered).map_err(arrow_failed)?
        };
        self.cutter
            .push(&batch, &mask, bytes)
            .map_err(|error| self.uncut(error, source.first_row))?;
        self.treat_completed()
    }

    /// Reports the share of the split's bytes that its rows read so far stand for.
    fn progress_bytes(&mut self) {
        if let Some(split) = self.lane.exchange.source.splits().get(self.split)
            && let Some(rows) = split.rows.filter(|rows| *rows > 0)
        {
            let read = self.totals.rows.read.min(rows);
            let share = u128::from(split.bytes) * u128::from(read) / u128::from(rows);
            let bytes = u64::try_from(share).unwrap_or(split.bytes);
            self.lane
                .exchange
                .progress
                .read_bytes(bytes.saturating_sub(self.bytes));
            self.bytes = bytes;
        }
    }

    fn treat_completed(&mut self) -> Result<(), RunError> {
        while let Some(rows) = self.cutter.next() {
            self.treat(&rows)?;
        }
        Ok(())
    }

    /// Treats one chunk and encodes it.
    fn treat(&mut self, rows: &chunk::Rows) -> Result<(), RunError> {
        let batch = &rows.batch;
        let exchange = self.lane.exchange;
        let id = ChunkId {
            attempt: exchange.nonces,
            split: count(self.split),
            chunk: self.chunks,
        };
        self.chunks += 1;
        let counts = &mut self.totals.counts;
        let chunk = self
            .lane
            .pool
            .install(|| exchange.treater.treat(rows, id, counts))
            .map_err(|untreated| self.located(untreated))?;
        self.origins.consume(batch.num_rows());
        self.totals.rows.filtered += count(chunk.dropped);
        self.totals.rows.rejected += count(chunk.rejected);
        self.totals.rows.delivered += count(chunk.rows);
        if chunk.rows == 0 {
            return Ok(());
        }
        let group = match self.group.take() {
            Some(group) => group,
            None => GroupWriter::begin(&exchange.encoder, &chunk.columns)?,
        };
        let group = self
            .lane
            .pool
            .install(|| group.write(&exchange.encoder, &chunk))?;
        let (rows, bytes) = (group.rows(), group.bytes());
        self.group = Some(group);
        if let Some(held) = &mut self.held {
            held.push(chunk);
            if is_worth_a_group(rows, bytes) {
                self.held = None;
            }
        }
        if rows >= GROUP_ROWS || bytes >= GROUP_BYTES {
            self.close_group()
        } else {
            Ok(())
        }
    }

    fn close_group(&mut self) -> Result<(), RunError> {
        if let Some(group) = self.group.take() {
            let group = self.lane.pool.install(|| group.close())?;
            self.send(Piece::Group(group))?;
            // What follows in this split may be few rows again.
            self.held = Some(Vec::new());
        }
        Ok(())
    }

    fn finish(mut self) -> Result<SplitTotals, RunError> {
        self.cutter.finish().map_err(|error| self.uncut(error, 0))?;
        self.treat_completed()?;
        match self.held.take() {
            Some(held) if !held.is_empty() => self.send(Piece::Chunks(held))?,
            Some(_) => {}
            None => self.close_group()?,
        }
        let bytes = self
            .lane
            .exchange
            .source
            .splits()
            .get(self.split)
            .map_or(0, |s| s.bytes);
        self.lane
            .exchange
            .progress
            .read_bytes(bytes.saturating_sub(self.bytes));
        tracing::debug!(
            split = self.split,
            read = self.totals.rows.read,
            delivered = self.totals.rows.delivered,
            "Split finished."
        );
        Ok(self.totals)
    }

    fn send(&self, piece: Piece) -> Result<(), RunError> {
        self.sender
            .send(Message::Piece(piece))
            .map_err(|_| RunError::Interrupted)
    }

    /// The source's file that the split is of.
    fn file(&self) -> String {
        let source = &self.lane.exchange.source;
        source
            .splits()
            .get(self.split)
            .and_then(|split| source.snapshot().files.get(split.file))
            .map_or_else(String::new, |file| file.path.clone())
    }

    /// Says where in the source a value stands that a treatment refused.
    fn located(&self, untreated: Untreated) -> RunError {
        let row = untreated.error.row();
        let row = row.and_then(|row| self.origins.locate(row)).map(from_one);
        RunError::Treatment {
            field: untreated.field,
            file: self.file(),
            row,
            source: untreated.error,
        }
    }

    /// Says where in the source a value stands that is too long.
    fn uncut(&self, error: CutError, first_row: u64) -> RunError {
        match error {
            CutError::TooLong { column, row } => RunError::TooLong {
                field: column,
                file: self.file(),
                row: from_one(first_row + count(row)),
                limit: VALUE_BYTES_MAX,
            },
            CutError::Arrow(error) => arrow_failed(error),
        }
    }

    /// Says where in the source a row stands for which the row scope has no answer.
    fn unfiltered(&self, error: &RowFilterError, first_row: u64) -> RunError {
        let row = if let RowFilterError::NoValue { row } = error {
            Some(from_one(first_row + count(*row)))
        } else {
            None
        };
        RunError::Predicate {
            what: error.to_string(),
            file: self.file(),
            row,
        }
    }
}

/// People count a file's rows from 1.
fn from_one(row: u64) -> u64 {
    row.saturating_add(1)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn arrow_failed(error: arrow::error::ArrowError) -> RunError {
    RunError::internal("cutting chunks", &error)
}
