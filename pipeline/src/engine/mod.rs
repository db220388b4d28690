//! The engine: executes a plan's reading, treating, marking and encoding.
//!
//! Reads run on tokio, decode there, drop the rows out of scope and cut the rest into chunks of a
//! fixed size; treatment and encoding run on rayon, column by column; bounded channels join them,
//! so that memory follows the row groups in flight and never the size of the table. A *lane* is a
//! plain thread that takes one split at a time and hands the columns of its chunks to rayon. Lanes
//! never run on rayon's own threads: a lane waits for its source and for its turn to deliver, and a
//! waiting rayon thread could have stolen the very work it waits for.
//!
//! Content depends on the plan, the keys and the source only. Splits follow from the files; chunks
//! are cut by counting the rows of a split and the bytes they hold; row groups and parts are
//! assembled in source order. Threads and batch sizes decide when something happens, never what.

mod assemble;
mod chunk;
mod content;
mod encode;
mod first_rows;
mod lane;
mod mark;
mod origin;
mod over_limit;
mod permit;
mod place;
mod progress;
mod ready;
mod scan;
mod seal;
mod treat;
mod void;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::{Schema, SchemaRef};
use lockgate_connectors::publish::{Attempt, StagedFile};
use lockgate_connectors::source::Source;
use lockgate_transforms::Counts;
use lockgate_transforms::marks::distortion::Distortion;
use tokio_util::sync::CancellationToken;

pub use content::Digester;
pub(crate) use encode::held_type;
pub use encode::{Companion, Compression, Encoder};
pub(crate) use first_rows::first_rows;
pub use mark::Marking;
pub use over_limit::OverLimit;
pub use permit::{Permit, Unpublished};
pub use progress::Progress;
pub use seal::{FileSeal, SealKind};
pub(crate) use treat::Tally;
pub use treat::{ColumnTreatment, RowRead, Treater};

use crate::error::RunError;
use crate::fault;
use crate::ledger::ContentDigest;
use crate::plan::row_filter::RowFilter;
use lane::Lane;
use ready::{Receiver, Sender};
use scan::Scan;
use void::Staging;

/// Rows per chunk: the unit of treatment and encoding. Part of what a delivery's bytes depend on.
pub const CHUNK_ROWS: usize = 16_384;

/// Finished row groups a lane may hold ready before its turn comes.
const READY_ROW_GROUPS: usize = 1;

/// Treated chunks that a lane may hold ready where the assembler encodes them.
const READY_CHUNKS: usize = 3;

/// Everything a run's lanes share.
#[derive(Debug)]
pub struct Exchange {
    /// What is read.
    pub source: Arc<dyn Source>,
    /// Which rows pass.
    pub filter: Arc<RowFilter>,
    /// What is done to each column, in the order of delivery.
    pub treater: Treater,
    /// How the result is written.
    pub encoder: Encoder,
    /// How parts are sealed; absent where they aren't.
    pub seal: Option<FileSeal>,
    /// Random, drawn for this attempt alone: what its cells carry, and their keys are made of.
    pub cell_attempt: [u8; 16],
    /// Counters that a progress bar reads.
    pub progress: Arc<Progress>,
    /// Asked before each split whether the run may go on.
    pub permit: Arc<dyn Permit>,
    /// Stops the run.
    pub cancel: CancellationToken,
}

/// What a run may use of the machine. Never changes what is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Threads that treat and encode.
    pub threads: usize,
    /// Splits in flight at a time: what memory follows.
    pub lanes: usize,
}

/// What the engine did: the rows by fate, the files, the counts by field.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Rows by fate.
    pub rows: Rows,
    /// Files staged, in order.
    pub files: Vec<(StagedFile, u64)>,
    /// Cells that were given an apostrophe, so that no spreadsheet takes them for a formula.
    pub guarded: u64,
    /// Counts by delivered field, in the order of delivery.
    pub counts: Vec<Counts>,
    /// What marks did to each marked field, in the order of the plan's marks.
    pub distortions: Vec<Distortion>,
    /// Whether each delivered field was read, in the order of delivery. What was not has no counts.
    pub read: Vec<bool>,
    /// What a replay is held to; absent where no digest was asked for.
    pub content: Option<ContentDigest>,
    /// Versions of the keys that each delivered field was treated with, by purpose, in the order of
    /// delivery.
    pub key_versions: Vec<BTreeMap<&'static str, u32>>,
}

/// Rows by fate: `read = filtered + rejected + delivered`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rows {
    /// Reached the engine.
    pub read: u64,
    /// Dropped because they are out of the grant's scope.
    pub filtered: u64,
    /// Dropped for their values, or malformed.
    pub rejected: u64,
    /// Delivered.
    pub delivered: u64,
}

impl Rows {
    /// Whether no row was lost or doubled.
    #[must_use]
    pub fn conserved(&self) -> bool {
        self.filtered
            .checked_add(self.rejected)
            .and_then(|sum| sum.checked_add(self.delivered))
            .is_some_and(|sum| sum == self.read)
    }
}

impl std::ops::AddAssign for Rows {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.filtered += other.filtered;
        self.rejected += other.rejected;
        self.delivered += other.delivered;
    }
}

impl Exchange {
    /// Runs the exchange into an attempt: blocks until every part is closed, synced, re-read and
    /// hashed.
    ///
    /// # Errors
    /// Whatever the source, a treatment, the encoder or the destination refuses; a row lost or
    /// doubled; [`RunError::Interrupted`] when cancelled. Nothing is published either way.
    pub fn run(
        &self,
        attempt: &Attempt,
        runtime: &tokio::runtime::Handle,
        budget: Budget,
    ) -> Result<Outcome, RunError> {
        self.execute(Staging::Attempt(attempt), runtime, budget)
    }

    /// Runs the exchange as [`run`](Self::run) does, and keeps nothing of what it writes: what would
    /// be delivered is known by its counts and its digest alone.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_into_void(
        &self,
        runtime: &tokio::runtime::Handle,
        budget: Budget,
    ) -> Result<Outcome, RunError> {
        self.execute(Staging::Void, runtime, budget)
    }

    fn execute(
        &self,
        attempt: Staging<'_>,
        runtime: &tokio::runtime::Handle,
        budget: Budget,
    ) -> Result<Outcome, RunError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(budget.threads.max(1))
            .thread_name(|index| format!("treat-{index}"))
            .build()
            .map_err(|error| RunError::internal("starting worker threads", &error))?;
        let splits = self.source.splits().len();
        let (senders, receivers): (Vec<Sender<_>>, Vec<Receiver<_>>) =
            (0..splits).map(|_| ready::channel(self.ready())).unzip();
        let next = AtomicUsize::new(0);
        let queue = lane::Queue::new(senders, &next);
        let scan = Scan::of(self);

        std::thread::scope(|scope| {
            for index in 0..budget.lanes.max(1).min(splits) {
                let lane = Lane {
                    exchange: self,
                    pool: &pool,
                    runtime,
                    queue: &queue,
                    scan: &scan,
                };
                std::thread::Builder::new()
                    .name(format!("lane-{index}"))
                    .spawn_scoped(scope, move || fault::contain(|| lane.run()))
                    .map_err(|error| RunError::internal("starting a lane", &error))?;
            }
            let outcome = assemble::assemble(self, attempt, &pool, receivers);
            if outcome.is_err() {
                // Lanes see it at their next batch; their sends fail as the receivers are gone.
                self.cancel.cancel();
            }
            outcome
        })
        .and_then(|outcome| self.accounted(outcome))
    }

    /// Whether a file encrypts what it encodes, so that lanes can't encode for it.
    fn encodes_in_files(&self) -> bool {
        let kind = self.seal.as_ref().map(FileSeal::kind);
        matches!(kind, Some(SealKind::Parquet { .. }))
    }

    /// How much a lane may hold ready before its turn comes.
    fn ready(&self) -> usize {
        match self.encodes_in_files() {
            true => READY_CHUNKS,
            false => READY_ROW_GROUPS,
        }
    }

    /// Refuses an outcome in which a row was lost or doubled.
    fn accounted(&self, outcome: Outcome) -> Result<Outcome, RunError> {
        let rows = outcome.rows;
        if !rows.conserved() {
            return Err(RunError::RowsNotConserved {
                what: format!(
                    "read {} but filtered {}, rejected {}, delivered {}",
                    rows.read, rows.filtered, rows.rejected, rows.delivered
                ),
            });
        }
        let written: u64 = outcome.files.iter().map(|(_, rows)| rows).sum();
        if written != rows.delivered {
            return Err(RunError::RowsNotConserved {
                what: format!("delivered {} but wrote {written}", rows.delivered),
            });
        }
        if let (Some(total), Some(pruned)) = (self.source.rows_total(), self.source.rows_pruned())
            && total != rows.read.saturating_add(pruned)
        {
            return Err(RunError::RowsNotConserved {
                what: format!(
                    "the source holds {total}, read {} and skipped {pruned}",
                    rows.read
                ),
            });
        }
        Ok(outcome)
    }
}

/// The schema of what is delivered: plain types, every field nullable, in the grant's order.
#[must_use]
pub fn delivered_schema(columns: &[ColumnTreatment]) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(ColumnTreatment::field).collect();
    Arc::new(Schema::new(fields))
}

/// Draws the random name of an attempt, under which no value was ever encrypted.
///
/// # Errors
/// The operating system has no randomness to give.
pub fn random_attempt() -> Result<[u8; 16], RunError> {
    let mut attempt = [0; 16];
    getrandom::fill(&mut attempt)
        .map_err(|error| RunError::internal("drawing randomness", &error))?;
    Ok(attempt)
}

/// Takes the next split's number.
fn take_next(next: &AtomicUsize) -> usize {
    next.fetch_add(1, Ordering::Relaxed)
}
