//! A lane: takes one split after another and turns each into treated, encoded row groups.

use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use lockgate_transforms::ChunkId;
use rayon::ThreadPool;
use tokio::runtime::Handle;

use super::assemble::{Message, Piece, SplitTotals, is_worth_a_group};
use super::chunk;
use super::encode::{EncodedGroup, Encoder, GroupWriter, is_full_group};
use super::origin::Origins;
use super::place::{self, from_one};
use super::ready::Sender;
use super::scan::{Scan, Scanning};
use super::treat::{Chunk, Untreated};
use super::{Exchange, Rows, take_next};
use crate::error::RunError;

/// The splits still to be taken, each with the channel its result goes to.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    senders: Mutex<Vec<Option<Sender<Message>>>>,
    next: &'a AtomicUsize,
}

impl<'a> Queue<'a> {
    pub(super) fn new(senders: Vec<Sender<Message>>, next: &'a AtomicUsize) -> Self {
        Self {
            senders: Mutex::new(senders.into_iter().map(Some).collect()),
            next,
        }
    }

    /// The next split in source order. A lane takes it while it finishes the one before, and waits
    /// only to hand on the earliest split that is open: the one that is awaited never waits itself.
    fn take(&self) -> Option<(usize, Sender<Message>)> {
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
    pub(super) runtime: &'a Handle,
    pub(super) scan: &'a Scan,
    pub(super) queue: &'a Queue<'a>,
}

/// A split that is being read.
struct Reading {
    split: usize,
    sender: Sender<Message>,
    scanning: Scanning,
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
            if sender.send(message, 0).is_err() || failed {
                return;
            }
        }
    }

    /// Takes the next split, if there is one, and begins to read it.
    fn read_next(&self) -> Option<Reading> {
        let (split, sender) = self.queue.take()?;
        Some(Reading {
            split,
            sender,
            scanning: self.scan.start(split, self.runtime),
        })
    }

    /// Treats and encodes a split; once it is read, the next one is read into `coming`, so that its
    /// first rows are there when the last ones of this are treated.
    fn run_split(
        &self,
        reading: Reading,
        coming: &mut Option<Reading>,
    ) -> Result<SplitTotals, RunError> {
        let Reading {
            split,
            sender,
            mut scanning,
        } = reading;
        self.exchange.permit.check()?;
        let mut work = SplitWork::new(self, split, &sender);
        while let Some(scanned) = scanning.next() {
            if self.exchange.cancel.is_cancelled() {
                return Err(RunError::Interrupted);
            }
            let (rows, origins) = scanned.take();
            if coming.is_none() && scanning.is_over() {
                *coming = self.read_next();
            }
            work.push(&rows, &origins)?;
        }
        work.totals.rows += scanning.finish(self.runtime)?;
        if self.exchange.cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        if coming.is_none() {
            *coming = self.read_next();
        }
        work.finish()
    }
}

/// A row group under way.
enum Group {
    Open(GroupWriter),
    Full(EncodedGroup),
}

/// The state of a split under way.
struct SplitWork<'a> {
    lane: &'a Lane<'a>,
    split: usize,
    sender: &'a Sender<Message>,
    /// The last chunk treated, encoded while the next is treated: a column that takes long would
    /// else keep the pool waiting twice a chunk.
    treated: Option<Chunk>,
    group: Option<GroupWriter>,
    /// Chunks of the first row group, kept until the split has proven large enough for a row
    /// group of its own; `None` once it has.
    held: Option<Vec<Chunk>>,
    /// Rows of the group under way, and their bytes, where the assembler encodes it.
    streamed: (usize, u64),
    totals: SplitTotals,
    /// Chunks treated so far.
    chunks: u64,
}

impl<'a> SplitWork<'a> {
    fn new(lane: &'a Lane<'a>, split: usize, sender: &'a Sender<Message>) -> Self {
        Self {
            lane,
            split,
            sender,
            treated: None,
            group: None,
            held: Some(Vec::new()),
            streamed: (0, 0),
            totals: SplitTotals {
                rows: Rows::default(),
                tally: lane.exchange.treater.tally(),
            },
            chunks: 0,
        }
    }

    /// Treats a chunk and encodes the one before.
    fn push(&mut self, rows: &chunk::Rows, origins: &Origins) -> Result<(), RunError> {
        let exchange = self.lane.exchange;
        let id = ChunkId {
            attempt: exchange.cell_attempt,
            split: count(self.split),
            chunk: self.chunks,
        };
        self.chunks += 1;
        if exchange.encodes_in_files() {
            let tally = &mut self.totals.tally;
            let treated = (self.lane.pool).install(|| exchange.treater.treat(rows, id, tally));
            let chunk = treated.map_err(|untreated| self.located(untreated, origins))?;
            self.count(&chunk);
            return self.stream(chunk);
        }
        let (before, group) = (self.treated.take(), self.group.take());
        let tally = &mut self.totals.tally;
        let (encoded, treated) = self.lane.pool.install(|| {
            rayon::join(
                || encode(&exchange.encoder, group, before.as_ref()),
                || exchange.treater.treat(rows, id, tally),
            )
        });
        self.encoded(encoded?, before)?;
        let chunk = treated.map_err(|untreated| self.located(untreated, origins))?;
        self.count(&chunk);
        self.treated = (chunk.rows > 0).then_some(chunk);
        Ok(())
    }

    /// Counts the rows of a treated chunk.
    fn count(&mut self, chunk: &Chunk) {
        self.totals.rows.filtered += count(chunk.dropped);
        self.totals.rows.rejected += count(chunk.rejected);
        self.totals.rows.delivered += count(chunk.rows);
    }

    /// Hands a treated chunk on to the assembler, which encodes it for the file that it goes into,
    /// and says where row groups begin and end: where they would if they were encoded here.
    fn stream(&mut self, chunk: Chunk) -> Result<(), RunError> {
        if chunk.rows == 0 {
            return Ok(());
        }
        let (rows, bytes) = &mut self.streamed;
        *rows += chunk.rows;
        *bytes = bytes.saturating_add(chunk.bytes);
        let (rows, bytes) = self.streamed;
        match &mut self.held {
            Some(held) => {
                held.push(chunk);
                if is_worth_a_group(rows, bytes) {
                    let chunks = self.held.take().unwrap_or_default();
                    self.send(Piece::Begin(chunks))?;
                }
            }
            None => self.send(Piece::More(chunk))?,
        }
        if self.held.is_none() && is_full_group(rows, bytes) {
            self.send(Piece::End)?;
            // What follows in this split may be few rows again.
            self.held = Some(Vec::new());
            self.streamed = (0, 0);
        }
        Ok(())
    }

    /// Takes note of what became of the row group under way when `chunk` was encoded.
    fn encoded(&mut self, group: Option<Group>, chunk: Option<Chunk>) -> Result<(), RunError> {
        match group {
            None => {}
            Some(Group::Open(group)) => {
                if let (Some(held), Some(chunk)) = (&mut self.held, chunk) {
                    held.push(chunk);
                    if is_worth_a_group(group.rows(), group.bytes()) {
                        self.held = None;
                    }
                }
                self.group = Some(group);
            }
            Some(Group::Full(group)) => {
                self.send(Piece::Group(group))?;
                // What follows in this split may be few rows again.
                self.held = Some(Vec::new());
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<SplitTotals, RunError> {
        let exchange = self.lane.exchange;
        let (last, group) = (self.treated.take(), self.group.take());
        let encoded = (self.lane.pool).install(|| encode(&exchange.encoder, group, last.as_ref()));
        self.encoded(encoded?, last)?;
        match (self.held.take(), self.group.take()) {
            (Some(held), _) if !held.is_empty() => self.send(Piece::Chunks(held))?,
            (None, Some(group)) => {
                let group = self.lane.pool.install(|| group.close())?;
                self.send(Piece::Group(group))?;
            }
            (None, None) => self.send(Piece::End)?,
            _ => {}
        }
        tracing::debug!(
            split = self.split,
            read = self.totals.rows.read,
            delivered = self.totals.rows.delivered,
            "Split finished."
        );
        Ok(self.totals)
    }

    fn send(&self, piece: Piece) -> Result<(), RunError> {
        let bytes = piece.bytes();
        self.sender
            .send(Message::Piece(piece), bytes)
            .map_err(|_| RunError::Interrupted)
    }

    /// Says where in the source a value stands that a treatment refused.
    fn located(&self, untreated: Untreated, origins: &Origins) -> RunError {
        let row = untreated.error.row();
        let row = row.and_then(|row| origins.locate(row)).map(from_one);
        RunError::Treatment {
            field: untreated.field,
            file: place::file(self.lane.exchange.source.as_ref(), self.split),
            row,
            source: untreated.error,
        }
    }
}

/// Adds a chunk, if there is one, to the row group under way, and closes it once it is full.
fn encode(
    encoder: &Encoder,
    group: Option<GroupWriter>,
    chunk: Option<&Chunk>,
) -> Result<Option<Group>, RunError> {
    let Some(chunk) = chunk else {
        return Ok(group.map(Group::Open));
    };
    let group = match group {
        Some(group) => group,
        None => GroupWriter::begin(encoder, &chunk.columns)?,
    };
    let group = group.write(encoder, chunk)?;
    if group.is_full() {
        group.close().map(|group| Some(Group::Full(group)))
    } else {
        Ok(Some(Group::Open(group)))
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
