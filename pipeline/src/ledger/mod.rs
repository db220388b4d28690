//! The ledger: the append-only, Merkle-hashed, signed log of everything that mattered.
//!
//! A tree of RFC 6962 over canonical JSON entries, stored as C2SP tlog-tiles, its head signed as a
//! C2SP checkpoint; any client of that format can read it. An entry is there once a checkpoint
//! covers it: entries are written and synced first, then hashes, then the checkpoint by an atomic
//! rename, under a lock that holds across processes. What a killed append left beyond the
//! checkpoint is overwritten by the next one.
//!
//! A checkpoint that was put back alone is told by the entries after it. What it cannot stop is the
//! holder of the signing key rewriting all of it, or an older copy of all of it: therefore every
//! manifest carries a checkpoint, and [`verify_remembering`] compares the ledger with such copies.

mod check;
mod event;
mod history;
mod note;
mod proof;
mod reader;
mod terms;
mod tiles;
pub mod tree;

use std::fs::TryLockError;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, VerifyingKey};
use thiserror::Error;

pub use check::{LedgerProblem, LedgerReport, ProblemKind, Remembered, verify, verify_remembering};
pub use event::{ContentDigest, ENTRY_BYTES_MAX, Entry, Event, KeptVault};
pub(crate) use event::{parse_time, time_text};
pub use history::History;
pub use note::{Checkpoint, NoteError};
pub use proof::{ConsistencyProof, EntryProof, InclusionProof, ProofError};
pub use reader::LedgerReader;
pub use terms::{About, GrantState, HaltScope};

use crate::digest::hex;
use tiles::{Edge, Files, Nodes};

/// Name of the checkpoint's file.
const CHECKPOINT: &str = "checkpoint";
/// Name of the file that keeps the origin.
const ORIGIN: &str = "origin";
/// Name of the file whose lock an append holds.
const LOCK: &str = "lock";

/// How long an append waits for others, each of which takes milliseconds: a process that was stopped
/// while it held the lock must not keep a halt waiting without a word.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(2);

/// Why the ledger could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file of the ledger could not be read or written.
    #[error("ledger file `{path}`")]
    Io {
        /// The file, relative to the ledger.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file of the ledger is not what it must be: stop and investigate.
    #[error("ledger file `{path}` {what}; run `lockgate ledger verify` and restore it from a copy")]
    Damaged {
        /// The file, relative to the ledger.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The checkpoint is not acceptable: stop and investigate.
    #[error("ledger file `checkpoint`: {0}")]
    Checkpoint(#[from] NoteError),
    /// The ledger is not a continuation of what was seen before: stop and investigate.
    #[error(
        "ledger does not continue the {remembered} entries seen before (it holds {found}): it was set back or rewritten"
    )]
    NotContinued {
        /// Entries remembered.
        remembered: u64,
        /// Entries found.
        found: u64,
    },
    /// An entry is too long to be recorded.
    #[error("ledger entry of {0} bytes; at most {ENTRY_BYTES_MAX} can be recorded")]
    EntryTooLarge(usize),
    /// An event has no canonical form.
    #[error("ledger entry cannot be written as canonical JSON")]
    Unwritable,
    /// Another process holds the ledger's lock and doesn't let go.
    #[error(
        "another process holds state/ledger/lock for more than {} seconds; `fuser state/ledger/lock` \
         names it: let it go on, or end it",
        LOCK_PATIENCE.as_secs()
    )]
    Held,
    /// The operating system gives no randomness.
    #[error("the operating system gives no random bytes")]
    Randomness,
}

impl LedgerError {
    fn io(path: &str, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    fn damaged(path: &str, what: &str) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            what: what.to_owned(),
        }
    }

    /// Whether the ledger itself is at fault, rather than the disk or the caller.
    pub fn is_integrity(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Checkpoint(_) | Self::NotContinued { .. } => true,
            Self::Io { .. }
            | Self::EntryTooLarge(_)
            | Self::Unwritable
            | Self::Held
            | Self::Randomness => false,
        }
    }
}

/// A recorded event: where it stands, and the proof that it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Position, from 0.
    pub index: u64,
    /// Proof under the checkpoint that the append made.
    pub proof: InclusionProof,
}

/// The ledger, open for appending.
///
/// May be shared between threads; other processes may append to the same directory at the same
/// time. All calls block on the disk.
#[derive(Debug)]
pub struct Ledger {
    directory: PathBuf,
    files: Files,
    key: SigningKey,
    accepted: Vec<VerifyingKey>,
    seen: Mutex<Option<Checkpoint>>,
}

impl Ledger {
    /// Opens the ledger in `directory`, whose checkpoints `key` signs. Nothing is created before
    /// the first append.
    ///
    /// # Errors
    /// A checkpoint that `key` did not sign, or that the files do not agree with.
    pub fn open(directory: &Path, key: SigningKey) -> Result<Self, LedgerError> {
        Self::open_accepting(directory, key, &[])
    }

    /// As [`open`](Self::open), for a ledger whose latest checkpoint one of the `earlier` keys may
    /// have signed: after the ledger's key was replaced.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_accepting(
        directory: &Path,
        key: SigningKey,
        earlier: &[VerifyingKey],
    ) -> Result<Self, LedgerError> {
        let mut accepted = vec![key.verifying_key()];
        accepted.extend_from_slice(earlier);
        let reader = LedgerReader::open(directory, Some(&accepted))?;
        Ok(Self {
            directory: directory.to_owned(),
            files: Files::new(directory),
            key,
            accepted,
            seen: Mutex::new(reader.checkpoint().cloned()),
        })
    }

    /// Opens the ledger in `directory` for reading, without any key: what it holds is checked for
    /// agreement with its checkpoint, but not who signed that.
    ///
    /// # Errors
    /// Files that do not agree with the checkpoint.
    pub fn reader(directory: &Path) -> Result<LedgerReader, LedgerError> {
        LedgerReader::open(directory, None)
    }

    /// The ledger as it is now, for reading, its checkpoint verified.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn snapshot(&self) -> Result<LedgerReader, LedgerError> {
        LedgerReader::open(&self.directory, Some(&self.accepted))
    }

    /// All entries as of now, checked against the checkpoint. Reads the whole ledger.
    ///
    /// # Errors
    /// As [`open`](Self::open), and entries that are not those the checkpoint covers.
    pub fn entries(&self) -> Result<History, LedgerError> {
        self.snapshot()?.entries()
    }

    /// Records one event. When this returns, the event is on disk under a signed checkpoint.
    ///
    /// # Errors
    /// A ledger that is damaged or was set back since it was opened; an entry that is too long; a
    /// disk that fails. The event is then not recorded, unless only its proof could not be made.
    pub fn append(&self, event: &Event, at: DateTime<Utc>) -> Result<Appended, LedgerError> {
        let entries = encoded(std::slice::from_ref(event), at)?;
        self.appended(&self.extend(self.hold()?, entries)?)
    }

    /// Records one event if the ledger has `size` entries, so that what was concluded from them still
    /// holds. Absent, with nothing recorded, if others have been added.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_if(
        &self,
        size: u64,
        event: &Event,
        at: DateTime<Utc>,
    ) -> Result<Option<Appended>, LedgerError> {
        let entries = encoded(std::slice::from_ref(event), at)?;
        let held = self.hold()?;
        if held.current.size != size {
            return Ok(None);
        }
        self.appended(&self.extend(held, entries)?).map(Some)
    }

    /// Records several events under one checkpoint, all or none; returns their positions.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_all(
        &self,
        events: &[Event],
        at: DateTime<Utc>,
    ) -> Result<Range<u64>, LedgerError> {
        let entries = encoded(events, at)?;
        let written = self.extend(self.hold()?, entries)?;
        Ok(written.first..written.checkpoint.size)
    }

    /// The one entry that was written, with its proof.
    fn appended(&self, written: &Written) -> Result<Appended, LedgerError> {
        let entry = written.entries.first().ok_or(LedgerError::Unwritable)?;
        let mut nodes = Nodes::new(&self.files, written.checkpoint.size);
        let proof = proof::make(
            &mut nodes,
            &written.checkpoint,
            &written.note,
            written.first,
            entry,
        )?;
        Ok(Appended {
            index: written.first,
            proof,
        })
    }

    /// Holds the ledger as it stands against every other append.
    fn hold(&self) -> Result<Held<'_>, LedgerError> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = self.lock()?;
        let current = self.current(seen.as_ref())?;
        Ok(Held {
            current,
            lock,
            seen,
        })
    }

    /// Writes entries after those that there are.
    fn extend(&self, held: Held<'_>, entries: Vec<Vec<u8>>) -> Result<Written, LedgerError> {
        let Held {
            current,
            lock,
            mut seen,
        } = held;
        let mut edge = Edge::load(&self.files, current.size)?;
        if edge.root() != current.root {
            return Err(LedgerError::damaged(
                CHECKPOINT,
                "has another root than the tiles",
            ));
        }
        for entry in &entries {
            edge.push(entry.clone());
        }
        let checkpoint = Checkpoint {
            origin: current.origin,
            size: edge.size(),
            root: edge.root(),
        };
        let note = checkpoint.sign(&self.key);
        let tiles = edge.into_tiles();
        for (tile, bytes) in &tiles {
            self.files.write(&tile.path(), bytes)?;
        }
        self.files.write(CHECKPOINT, note.as_bytes())?;
        for (tile, _) in &tiles {
            self.files.remove_narrower(*tile);
        }
        *seen = Some(checkpoint.clone());
        drop(lock);
        Ok(Written {
            first: current.size,
            checkpoint,
            note,
            entries,
        })
    }

    /// Holds the lock across processes for as long as the file is open.
    fn lock(&self) -> Result<std::fs::File, LedgerError> {
        let failed = |source| LedgerError::io(LOCK, source);
        // Never replaced or removed: two files of this name would be two locks.
        let file = self.files.open_for_lock(LOCK).map_err(failed)?;
        let asked = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => return Err(LedgerError::Held),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// The checkpoint to append after, under the lock: the one on disk if it continues what was
    /// seen, a new one of an empty ledger if there is none.
    fn current(&self, seen: Option<&Checkpoint>) -> Result<Checkpoint, LedgerError> {
        let found = reader::read_checkpoint(&self.files, Some(&self.accepted))?;
        let Some((note, found)) = found else {
            if let Some(seen) = seen {
                return Err(LedgerError::NotContinued {
                    remembered: seen.size,
                    found: 0,
                });
            }
            return self.begin();
        };
        if let Some(seen) = seen {
            reader::check_continues(&self.files, seen, &found)?;
        }
        if reader::is_set_back(&self.files, &note, found.size)? {
            return Err(LedgerError::damaged(CHECKPOINT, reader::SET_BACK));
        }
        Ok(found)
    }

    /// Begins the ledger: origin, then a checkpoint without entries, so that from the first entry
    /// on a missing checkpoint is damage.
    fn begin(&self) -> Result<Checkpoint, LedgerError> {
        let origin = match reader::read_origin(&self.files)? {
            Some(origin) => origin,
            None => {
                let origin = format!("lockgate.local/{}", hex(&random::<8>()?));
                self.files.write(ORIGIN, format!("{origin}\n").as_bytes())?;
                origin
            }
        };
        let checkpoint = Checkpoint {
            origin,
            size: 0,
            root: tree::empty_root(),
        };
        self.files
            .write(CHECKPOINT, checkpoint.sign(&self.key).as_bytes())?;
        Ok(checkpoint)
    }
}

/// The ledger while nobody else can append to it.
struct Held<'a> {
    current: Checkpoint,
    lock: std::fs::File,
    seen: MutexGuard<'a, Option<Checkpoint>>,
}

/// What an append wrote.
struct Written {
    first: u64,
    checkpoint: Checkpoint,
    note: String,
    entries: Vec<Vec<u8>>,
}

/// The bytes of entries, each with a salt of its own.
fn encoded(events: &[Event], at: DateTime<Utc>) -> Result<Vec<Vec<u8>>, LedgerError> {
    events
        .iter()
        .map(|event| event::encode(event, at, random()?))
        .collect()
}

/// Random bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], LedgerError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| LedgerError::Randomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
