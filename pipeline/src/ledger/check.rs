//! The auditor's check: everything recomputed from the entries and compared with tiles and
//! checkpoint.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use serde::Serialize;

use super::event;
use super::note::{Checkpoint, encode_hash};
use super::reader::{SET_BACK, is_set_back, read_checkpoint, read_origin};
use super::tiles::{Files, Kind, Tile, WIDTH};
use super::tree::{self, Hash};
use super::{CHECKPOINT, LedgerError};

/// Most problems that are listed; a rewritten ledger has as many as entries.
const PROBLEMS_MAX: usize = 100;

/// What kind of problem was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The checkpoint is missing, malformed, or signed by another key.
    Checkpoint,
    /// An entry or bundle of entries is missing or malformed.
    Entry,
    /// A tile of hashes is missing or differs from the entries.
    Tile,
    /// The checkpoint's root is not that of the entries.
    Root,
    /// The ledger does not continue a remembered checkpoint.
    NotContinued,
    /// A proof proves nothing.
    Proof,
    /// A file could not be read.
    Unreadable,
}

/// One problem of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerProblem {
    /// Of what kind.
    pub kind: ProblemKind,
    /// The file, relative to the ledger; of a copy or proof that is kept elsewhere, where it is from.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

/// What the check of a ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerReport {
    /// Whether no problem was found.
    pub valid: bool,
    /// Entries, as the checkpoint says.
    pub size: u64,
    /// The ledger's origin; absent if it never began.
    pub origin: Option<String>,
    /// Root of the checkpoint, base64; absent if the ledger never began.
    pub root: Option<String>,
    /// What is wrong, at most 100 of them.
    pub problems: Vec<LedgerProblem>,
    /// What should be known and is not wrong in itself.
    pub notes: Vec<String>,
}

/// Checks the whole ledger in `directory`. Without `keys`, who signed the checkpoint is not
/// checked, and a note says so.
///
/// Finds entries deleted, altered, reordered or inserted, altered tiles, foreign checkpoints, and an
/// earlier checkpoint put back alone. A ledger set back as a whole, or rewritten by the holder of the
/// key, is consistent in itself: see [`verify_remembering`].
pub fn verify(directory: &Path, keys: Option<&[VerifyingKey]>) -> LedgerReport {
    verify_remembering(directory, keys, &[])
}

/// A checkpoint that is kept elsewhere: in a manifest, with a second agency.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// Where it is from, for whoever reads the report.
    pub path: String,
    /// The signed note.
    pub note: String,
}

/// As [`verify`], and checks that the ledger continues each checkpoint in `remembered`.
pub fn verify_remembering(
    directory: &Path,
    keys: Option<&[VerifyingKey]>,
    remembered: &[Remembered],
) -> LedgerReport {
    let mut check = Check {
        files: Files::new(directory),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    if keys.is_none() {
        check
            .notes
            .push("no ledger key given: who signed the checkpoint was not checked".into());
    }
    let (note, checkpoint) = match read_checkpoint(&check.files, keys) {
        Ok(found) => found.unzip(),
        Err(error) => {
            check.failed(ProblemKind::Checkpoint, CHECKPOINT, &error);
            return check.report(None);
        }
    };
    let mut leaves = Vec::new();
    if let Some(checkpoint) = &checkpoint {
        if let Some(hashes) = check.entries(checkpoint.size) {
            leaves = hashes;
            check.tiles(&leaves);
            if tree::root_of(&leaves) != checkpoint.root {
                check.problem(
                    ProblemKind::Root,
                    CHECKPOINT,
                    "entries do not have the root that the checkpoint states",
                );
            }
        }
        check.beyond(&note.unwrap_or_default(), checkpoint.size);
    } else {
        check.unbegun();
    }
    for copy in remembered {
        check.remembered(copy, keys, checkpoint.as_ref(), &leaves);
    }
    check.report(checkpoint)
}

struct Check {
    files: Files,
    problems: Vec<LedgerProblem>,
    notes: Vec<String>,
}

impl Check {
    fn problem(&mut self, kind: ProblemKind, path: &str, what: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(LedgerProblem {
                kind,
                path: path.to_owned(),
                what: what.into(),
            });
        }
    }

    fn failed(&mut self, kind: ProblemKind, path: &str, error: &LedgerError) {
        match error {
            LedgerError::Damaged { path, what } => self.problem(kind, path, what),
            LedgerError::Io { path, source } => {
                self.problem(ProblemKind::Unreadable, path, source.to_string());
            }
            LedgerError::Checkpoint(_)
            | LedgerError::NotContinued { .. }
            | LedgerError::EntryTooLarge(_)
            | LedgerError::Unwritable
            | LedgerError::Held
            | LedgerError::Randomness => self.problem(kind, path, error.to_string()),
        }
    }

    /// Reads every entry; gives the leaf hashes if all are there.
    fn entries(&mut self, size: u64) -> Option<Vec<Hash>> {
        let mut leaves = Vec::new();
        for tile in Tile::all(Kind::Entries, size) {
            let entries = match self.files.read_entries(tile) {
                Ok(entries) => entries,
                Err(error) => {
                    self.failed(ProblemKind::Entry, &tile.path(), &error);
                    return None;
                }
            };
            for (index, bytes) in (tile.number * WIDTH..).zip(entries) {
                if let Err(what) = event::decode(index, &bytes) {
                    self.problem(
                        ProblemKind::Entry,
                        &tile.path(),
                        format!("entry {index} {what}"),
                    );
                }
                leaves.push(tree::leaf_hash(&bytes));
            }
        }
        Some(leaves)
    }

    /// Compares every tile of hashes with what the leaves give.
    fn tiles(&mut self, leaves: &[Hash]) {
        let size = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let mut hashes = leaves.to_vec();
        for level in 0..8 {
            if hashes.is_empty() {
                break;
            }
            let width = usize::try_from(WIDTH).unwrap_or(usize::MAX);
            for (tile, expected) in Tile::all(Kind::Hashes(level), size).zip(hashes.chunks(width)) {
                match self.files.read_hashes(tile) {
                    Ok(found) if found == expected => {}
                    Ok(_) => self.problem(
                        ProblemKind::Tile,
                        &tile.path(),
                        "hashes are not those of the entries",
                    ),
                    Err(error) => self.failed(ProblemKind::Tile, &tile.path(), &error),
                }
            }
            hashes = hashes.chunks_exact(width).map(tree::root_of).collect();
        }
    }

    fn beyond(&mut self, note: &str, size: u64) {
        match is_set_back(&self.files, note, size) {
            Ok(true) => return self.problem(ProblemKind::NotContinued, CHECKPOINT, SET_BACK),
            Ok(false) => {}
            Err(error) => return self.failed(ProblemKind::Checkpoint, CHECKPOINT, &error),
        }
        match self.files.has_entries_beyond(size) {
            Ok(false) => {}
            Ok(true) => self.notes.push(
                "there are entries beyond the checkpoint: an append was interrupted, or is under way, \
                 or the checkpoint was set back"
                    .into(),
            ),
            Err(error) => self.failed(ProblemKind::Unreadable, "tile/entries", &error),
        }
    }

    fn unbegun(&mut self) {
        match read_origin(&self.files) {
            Ok(_) => self.notes.push("the ledger holds no entry yet".into()),
            Err(error) => self.failed(ProblemKind::Checkpoint, "origin", &error),
        }
    }

    fn remembered(
        &mut self,
        Remembered { path, note }: &Remembered,
        keys: Option<&[VerifyingKey]>,
        now: Option<&Checkpoint>,
        leaves: &[Hash],
    ) {
        let opened = match keys {
            Some(keys) => Checkpoint::open(note, keys),
            None => Checkpoint::open_unverified(note),
        };
        let earlier = match opened {
            Ok(earlier) => earlier,
            Err(error) => {
                let what = format!("the remembered checkpoint cannot be used: {error}");
                self.problem(ProblemKind::Checkpoint, path, what);
                return;
            }
        };
        let continued = now.is_some_and(|now| now.origin == earlier.origin)
            && usize::try_from(earlier.size)
                .ok()
                .and_then(|size| leaves.get(..size))
                .is_some_and(|leaves| tree::root_of(leaves) == earlier.root);
        if !continued {
            let of = earlier.size;
            let is_one_ledger = now.is_some_and(|now| now.origin == earlier.origin);
            let what = match now {
                Some(now) if is_one_ledger && now.size == of => format!(
                    "is a fork of the remembered checkpoint: both are of {of} entries, and not of the same"
                ),
                Some(now) if is_one_ledger && now.size < of => format!(
                    "does not continue the remembered checkpoint of {of} entries: the ledger was set back to {}",
                    now.size
                ),
                Some(_) | None => format!(
                    "does not continue the remembered checkpoint of {of} entries: the ledger was rewritten, or is another one"
                ),
            };
            self.problem(ProblemKind::NotContinued, CHECKPOINT, what);
        }
    }

    fn report(self, checkpoint: Option<Checkpoint>) -> LedgerReport {
        let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
        let root = checkpoint
            .as_ref()
            .map(|checkpoint| encode_hash(&checkpoint.root));
        LedgerReport {
            valid: self.problems.is_empty(),
            size,
            origin: checkpoint.map(|checkpoint| checkpoint.origin),
            root,
            problems: self.problems,
            notes: self.notes,
        }
    }
}
