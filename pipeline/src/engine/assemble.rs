//! Assembling: row groups of all splits, in source order, into parts.
//!
//! A split with few rows left after filtering gives chunks instead of a row group; chunks of
//! neighbouring splits are joined, so that a narrow grant over a large table does not end in
//! thousands of tiny row groups. Which rows share a row group follows from the splits' row counts,
//! which follow from the source.

use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use lockgate_connectors::ConnectorError;
use lockgate_connectors::publish::{Attempt, StagedFile};
use rayon::ThreadPool;

use super::chunk::CHUNK_BYTES;
use super::encode::{EncodedGroup, Encoder, GroupWriter, PartEnd, PartFile, Sink};
use super::treat::{Chunk, ColumnTreatment, Tally};
use super::{CHUNK_ROWS, Exchange, Outcome, Rows};
use crate::error::RunError;
use crate::fault;

/// Rows from which a split has a row group of its own: 2 chunks.
const MIN_GROUP_ROWS: usize = 2 * CHUNK_ROWS;

/// Whether so many rows, of so many bytes before treatment, have a row group of their own.
pub(super) fn is_worth_a_group(rows: usize, bytes: u64) -> bool {
    rows >= MIN_GROUP_ROWS || bytes >= CHUNK_BYTES
}

/// What a lane says about a split.
#[derive(Debug)]
pub(super) enum Message {
    /// The next piece of the split.
    Piece(Piece),
    /// The split is complete.
    Done(SplitTotals),
    /// The split failed, and with it the run.
    Failed(RunError),
}

/// A piece of a split, in order.
#[derive(Debug)]
pub(super) enum Piece {
    /// A row group, encoded.
    Group(EncodedGroup),
    /// Few rows, treated but not encoded.
    Chunks(Vec<Chunk>),
}

/// Rows and counts of a split.
#[derive(Debug)]
pub(super) struct SplitTotals {
    pub(super) rows: Rows,
    pub(super) tally: Tally,
}

/// Writes everything the lanes deliver, split after split, into parts of the attempt.
pub(super) fn assemble(
    exchange: &Exchange,
    attempt: &Attempt,
    pool: &ThreadPool,
    receivers: Vec<Receiver<Message>>,
) -> Result<Outcome, RunError> {
    let mut parts = Parts::new(exchange, attempt, pool);
    let mut rows = Rows::default();
    let mut tally = exchange.treater.tally();
    for receiver in receivers {
        loop {
            match receiver.recv() {
                Ok(Message::Piece(Piece::Group(group))) => {
                    parts.flush()?;
                    parts.append(group)?;
                }
                Ok(Message::Piece(Piece::Chunks(chunks))) => parts.hold(chunks)?,
                Ok(Message::Done(totals)) => {
                    rows += totals.rows;
                    tally.merge(totals.tally);
                    break;
                }
                Ok(Message::Failed(error)) => return Err(error),
                // A lane that ends without a word was cancelled or died.
                Err(_) if exchange.cancel.is_cancelled() => return Err(RunError::Interrupted),
                Err(_) => return Err(fault::of_thread("treating and encoding")),
            }
        }
        if exchange.cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
    }
    let (files, guarded) = parts.finish()?;
    let content = exchange.treater.content_digest(&tally)?;
    Ok(Outcome {
        rows,
        files,
        guarded,
        counts: tally.counts,
        distortions: tally.distortions,
        content,
        read: exchange
            .treater
            .columns()
            .iter()
            .map(ColumnTreatment::is_read)
            .collect(),
        key_versions: exchange
            .treater
            .columns()
            .iter()
            .map(|column| column.key_versions().clone())
            .collect(),
    })
}

/// The parts of a delivery under way.
struct Parts<'a> {
    exchange: &'a Exchange,
    attempt: &'a Attempt,
    pool: &'a ThreadPool,
    /// Treated chunks that wait for a row group.
    pending: Vec<Chunk>,
    pending_rows: usize,
    pending_bytes: u64,
    open: Option<PartFile>,
    /// Parts being synced, re-read and hashed, in order, with their rows.
    closing: Vec<(JoinHandle<Result<StagedFile, ConnectorError>>, u64)>,
    /// Cells of closed parts that were given an apostrophe.
    guarded: u64,
}

impl<'a> Parts<'a> {
    fn new(exchange: &'a Exchange, attempt: &'a Attempt, pool: &'a ThreadPool) -> Self {
        Self {
            exchange,
            attempt,
            pool,
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            open: None,
            closing: Vec::new(),
            guarded: 0,
        }
    }

    fn encoder(&self) -> &'a Encoder {
        &self.exchange.encoder
    }

    /// Keeps chunks until there are enough for a row group.
    fn hold(&mut self, chunks: Vec<Chunk>) -> Result<(), RunError> {
        for chunk in chunks {
            self.pending_rows += chunk.rows;
            self.pending_bytes = self.pending_bytes.saturating_add(chunk.bytes);
            self.pending.push(chunk);
            if is_worth_a_group(self.pending_rows, self.pending_bytes) {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Encodes what is held as a row group.
    fn flush(&mut self) -> Result<(), RunError> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        self.pending_bytes = 0;
        let Some(first) = pending.first() else {
            return Ok(());
        };
        let encoder = self.encoder();
        let mut group = GroupWriter::begin(encoder, &first.columns)?;
        let encoded = self.pool.install(|| {
            for chunk in &pending {
                group = group.write(encoder, chunk)?;
            }
            group.close()
        })?;
        self.append(encoded)
    }

    fn append(&mut self, group: EncodedGroup) -> Result<(), RunError> {
        let rows = group.rows();
        let mut rest = Some(group);
        while let Some(group) = rest {
            let open = self.open.as_ref();
            if open.is_some_and(|open| open.is_full_for(&group)) {
                self.close_part()?;
            }
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open_part()?,
            };
            rest = open.append(group, self.pool)?;
            self.open = Some(open);
        }
        self.exchange.progress.deliver_rows(rows);
        Ok(())
    }

    fn open_part(&self) -> Result<PartFile, RunError> {
        let index = u32::try_from(self.closing.len())
            .map_err(|error| RunError::internal("numbering parts", &error))?;
        let encoder = self.encoder();
        let part = self.attempt.part(index, encoder.extension())?;
        encoder.open(Sink::Plain(part))
    }

    /// Writes the part's end and leaves syncing and re-reading to a thread of its own.
    fn close_part(&mut self) -> Result<(), RunError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let rows = open.rows();
        let PartEnd { sink, guarded } = open.close()?;
        self.guarded = self.guarded.saturating_add(guarded);
        let closing = std::thread::Builder::new()
            .name("close-part".to_owned())
            .spawn(move || sink.finish())
            .map_err(|error| RunError::internal("closing a part", &error))?;
        self.closing.push((closing, rows));
        Ok(())
    }

    /// Closes everything; returns the files with their rows, and how many cells were guarded. A
    /// delivery without rows still has one part, which holds the schema.
    fn finish(mut self) -> Result<(Vec<(StagedFile, u64)>, u64), RunError> {
        self.flush()?;
        if self.open.is_none() && self.closing.is_empty() {
            self.open = Some(self.open_part()?);
        }
        self.close_part()?;
        let files = self.closing.into_iter().map(|(closing, rows)| {
            let file = closing
                .join()
                .map_err(|_| fault::of_thread("closing a part"))??;
            Ok((file, rows))
        });
        Ok((files.collect::<Result<_, RunError>>()?, self.guarded))
    }
}
