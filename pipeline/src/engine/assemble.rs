//! Assembling: row groups of all splits, in source order, into parts.
//!
//! A split with few rows left after filtering gives chunks instead of a row group; chunks of
//! neighbouring splits are joined, so that a narrow grant over a large table does not end in
//! thousands of tiny row groups. Which rows share a row group follows from the splits' row counts,
//! which follow from the source.
//!
//! A sealed Parquet file encodes for itself, since encryption binds each page to its file and to the
//! number of its row group: lanes hand on treated chunks then, and say where row groups begin and end.

use std::thread::JoinHandle;

use arrow::array::ArrayRef;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::publish::StagedFile;
use lockgate_connectors::seal::envelope::{self, EnvelopeWriter};
use rayon::ThreadPool;

use super::chunk::CHUNK_BYTES;
use super::encode::{EncodedGroup, Encoder, GROUP_ROWS_MAX, GroupWriter, PartEnd, PartFile, Sink};
use super::ready::Receiver;
use super::seal::SealKind;
use super::treat::{Chunk, ColumnTreatment, Tally};
use super::void::Staging;
use super::{CHUNK_ROWS, Exchange, Outcome, Rows};
use crate::error::RunError;
use crate::fault;

/// Rows from which a split has a row group of its own: 2 chunks.
const MIN_GROUP_ROWS: usize = 2 * CHUNK_ROWS;

/// Whether so many rows, of so many bytes before treatment, have a row group of their own.
pub(super) fn is_worth_a_group(rows: usize, bytes: u64) -> bool {
    rows >= MIN_GROUP_ROWS || bytes >= CHUNK_BYTES
}

/// Whether all rows of a group are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    NotYet,
}

fn rows_of(chunks: &[Chunk]) -> u64 {
    let rows = chunks.iter().map(|chunk| chunk.rows).sum::<usize>();
    u64::try_from(rows).unwrap_or(u64::MAX)
}

fn bytes_of(chunks: &[Chunk]) -> u64 {
    let bytes = chunks.iter().map(|chunk| chunk.bytes);
    bytes.fold(0, u64::saturating_add)
}

fn out_of_turn() -> RunError {
    RunError::Internal {
        what: "a lane sent a piece of a row group out of turn".to_owned(),
    }
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
    /// The first chunks of a row group that the file encodes itself.
    Begin(Vec<Chunk>),
    /// The next chunk of it.
    More(Chunk),
    /// Its end.
    End,
}

impl Piece {
    /// What its rows held before treatment, in bytes, where they aren't encoded yet.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Group(_) | Self::End => 0,
            Self::Chunks(chunks) | Self::Begin(chunks) => bytes_of(chunks),
            Self::More(chunk) => chunk.bytes,
        }
    }
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
    attempt: Staging<'_>,
    pool: &ThreadPool,
    receivers: Vec<Receiver<Message>>,
) -> Result<Outcome, RunError> {
    let mut parts = Parts::new(exchange, attempt, pool);
    let mut rows = Rows::default();
    let mut tally = exchange.treater.tally();
    for receiver in receivers {
        let mut next = None;
        loop {
            match next.take().map_or_else(|| receiver.recv(), Ok) {
                Ok(Message::Piece(Piece::Group(group))) => {
                    parts.flush()?;
                    parts.append(group)?;
                }
                Ok(Message::Piece(Piece::Chunks(chunks))) => parts.hold(chunks)?,
                Ok(Message::Piece(Piece::Begin(chunks))) => parts.begin(chunks)?,
                Ok(Message::Piece(Piece::More(chunk))) => {
                    let chunks;
                    (chunks, next) = together(chunk, &receiver);
                    parts.more(chunks)?;
                }
                Ok(Message::Piece(Piece::End)) => parts.end()?,
                Ok(Message::Done(totals)) => {
                    rows += totals.rows;
                    exchange.treater.merge(&mut tally, totals.tally);
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

/// A chunk and those behind it that are ready, and what is ready behind them: columns wait for each
/// other less often when there is more to do for each.
fn together(first: Chunk, receiver: &Receiver<Message>) -> (Vec<Chunk>, Option<Message>) {
    let mut chunks = vec![first];
    while chunks.len() < CHUNKS_TOGETHER && bytes_of(&chunks) < CHUNK_BYTES {
        match receiver.try_recv() {
            Ok(Message::Piece(Piece::More(chunk))) => chunks.push(chunk),
            Ok(other) => return (chunks, Some(other)),
            // Nothing there yet, or nothing to come, which the next look tells.
            Err(_) => break,
        }
    }
    (chunks, None)
}

/// Chunks that are encoded at a time in a file that encodes itself.
const CHUNKS_TOGETHER: usize = 4;

/// A row group that its file encodes itself.
#[derive(Default)]
struct Streamed {
    /// Chunks that wait until it is known which file they go into.
    waiting: Vec<Chunk>,
    rows: u64,
    writer: Option<GroupWriter>,
}

/// The parts of a delivery under way.
struct Parts<'a> {
    exchange: &'a Exchange,
    attempt: Staging<'a>,
    pool: &'a ThreadPool,
    /// Treated chunks that wait for a row group.
    pending: Vec<Chunk>,
    pending_rows: usize,
    pending_bytes: u64,
    open: Option<PartFile>,
    /// The row group that a lane is sending, where files encode themselves.
    streamed: Option<Streamed>,
    /// Parts being synced, re-read and hashed, in order, with their rows.
    closing: Vec<(JoinHandle<Result<StagedFile, ConnectorError>>, u64)>,
    /// Cells of closed parts that were given an apostrophe.
    guarded: u64,
}

impl<'a> Parts<'a> {
    fn new(exchange: &'a Exchange, attempt: Staging<'a>, pool: &'a ThreadPool) -> Self {
        Self {
            exchange,
            attempt,
            pool,
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            open: None,
            streamed: None,
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
        if self.exchange.encodes_in_files() {
            self.streamed = Some(Streamed {
                rows: rows_of(&pending),
                waiting: pending,
                writer: None,
            });
            return self.end();
        }
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
        if self.exchange.encodes_in_files() {
            // What a lane encoded would stand in a sealed file in plain text.
            return Err(out_of_turn());
        }
        let rows = group.rows();
        let mut rest = Some(group);
        while let Some(group) = rest {
            let open = self.open.as_ref();
            if open.is_some_and(|open| open.is_full_for(&group)) {
                self.close_part()?;
            }
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open_part(&[])?,
            };
            rest = open.append(group, self.pool)?;
            self.open = Some(open);
        }
        self.exchange.progress.deliver_rows(rows);
        Ok(())
    }

    /// Begins a row group that its file encodes.
    fn begin(&mut self, chunks: Vec<Chunk>) -> Result<(), RunError> {
        self.flush()?;
        self.streamed = Some(Streamed::default());
        self.more(chunks)
    }

    /// Goes on with it.
    fn more(&mut self, chunks: Vec<Chunk>) -> Result<(), RunError> {
        let mut group = self.streamed.take().ok_or_else(out_of_turn)?;
        group.rows = group.rows.saturating_add(rows_of(&chunks));
        group.waiting.extend(chunks);
        self.encode(&mut group, Whole::NotYet)?;
        self.streamed = Some(group);
        Ok(())
    }

    /// Ends it.
    fn end(&mut self) -> Result<(), RunError> {
        let mut group = self.streamed.take().ok_or_else(out_of_turn)?;
        self.encode(&mut group, Whole::Yes)?;
        let writer = group.writer.take().ok_or_else(out_of_turn)?;
        let encoded = self.pool.install(|| writer.close())?;
        let mut open = self.open.take().ok_or_else(out_of_turn)?;
        open.append(encoded, self.pool)?;
        self.open = Some(open);
        self.exchange.progress.deliver_rows(group.rows);
        Ok(())
    }

    /// Encodes what waits of a row group, once it is known which file it goes into.
    fn encode(&mut self, group: &mut Streamed, whole: Whole) -> Result<(), RunError> {
        let encoder = self.encoder();
        let writer = match group.writer.take() {
            Some(writer) => writer,
            None => {
                let first = group.waiting.first().ok_or_else(out_of_turn)?;
                if !self.open_for(&first.columns, group.rows, whole)? {
                    return Ok(());
                }
                let open = self.open.as_ref().ok_or_else(out_of_turn)?;
                GroupWriter::begin_in(encoder, open)?
            }
        };
        let chunks = std::mem::take(&mut group.waiting);
        let written = (self.pool).install(|| writer.write_in(encoder, &chunks))?;
        group.writer = Some(written);
        Ok(())
    }

    /// Opens the file that a row group of so many rows goes into, and says whether it could: a group
    /// that may still grow may turn out too large for the open one.
    fn open_for(&mut self, first: &[ArrayRef], rows: u64, whole: Whole) -> Result<bool, RunError> {
        if let Some(open) = &self.open {
            if open.is_full_for_rows(rows) {
                self.close_part()?;
            } else {
                let most = u64::try_from(GROUP_ROWS_MAX).unwrap_or(u64::MAX);
                return Ok(whole == Whole::Yes || !open.is_full_for_rows(most));
            }
        }
        self.open = Some(self.open_part(first)?);
        Ok(true)
    }

    fn open_part(&self, first: &[ArrayRef]) -> Result<PartFile, RunError> {
        let index = u32::try_from(self.closing.len())
            .map_err(|error| RunError::internal("numbering parts", &error))?;
        let encoder = self.encoder();
        let Some(seal) = &self.exchange.seal else {
            let part = self.attempt.part(index, encoder.extension())?;
            return encoder.open(Sink::Plain(Box::new(part)));
        };
        match seal.kind() {
            SealKind::Parquet { keyed_fields } => {
                let part = self.attempt.part(index, encoder.extension())?;
                let name = part.name().to_owned();
                let sink = Sink::Plain(Box::new(part));
                encoder.open_sealed(sink, (seal.context(), keyed_fields), &name, first)
            }
            SealKind::Envelope => {
                let extension = format!("{}{}", encoder.extension(), envelope::EXTENSION);
                let part = self.attempt.part(index, &extension)?;
                let name = part.name().to_owned();
                let envelope = EnvelopeWriter::new(part, seal.context(), &name)?;
                encoder.open(Sink::Sealed(Box::new(envelope)))
            }
        }
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
            self.open = Some(self.open_part(&[])?);
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
