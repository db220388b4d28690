//! Reading the ledger: the state is the checkpoint's, and whatever is read is checked against it.

use std::path::Path;

use ed25519_dalek::VerifyingKey;

use super::event::{self, History};
use super::note::{self, Checkpoint, NoteError};
use super::proof::{self, InclusionProof};
use super::tiles::{Edge, Files, Kind, Nodes, Tile, WIDTH};
use super::tree::{self, Hash};
use super::{CHECKPOINT, LedgerError, ORIGIN};

/// The ledger as of one checkpoint. Others may append meanwhile; it keeps reading its state.
#[derive(Debug)]
pub struct LedgerReader {
    files: Files,
    head: Option<(String, Checkpoint)>,
}

impl LedgerReader {
    /// Opens the ledger in `directory` at its latest checkpoint, which one of `keys` must have
    /// signed; without `keys` who signed it is not checked. Reads O(log n) of it.
    ///
    /// # Errors
    /// A checkpoint that is malformed, foreign or does not agree with the files.
    pub fn open(directory: &Path, keys: Option<&[VerifyingKey]>) -> Result<Self, LedgerError> {
        let files = Files::new(directory);
        let head = read_checkpoint(&files, keys)?;
        if let Some((_, checkpoint)) = &head
            && Edge::load(&files, checkpoint.size)?.root() != checkpoint.root
        {
            return Err(LedgerError::damaged(
                CHECKPOINT,
                "has another root than the tiles",
            ));
        }
        Ok(Self { files, head })
    }

    /// The checkpoint; absent if nothing was ever recorded.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.head.as_ref().map(|(_, checkpoint)| checkpoint)
    }

    /// The checkpoint as a signed note: what to keep elsewhere, to find out later whether the
    /// ledger was set back or rewritten.
    pub fn checkpoint_note(&self) -> Option<&str> {
        self.head.as_ref().map(|(note, _)| note.as_str())
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.checkpoint().map_or(0, |checkpoint| checkpoint.size)
    }

    /// All entries, checked against the checkpoint's root. Reads the whole ledger.
    ///
    /// # Errors
    /// Entries that are missing, malformed, or not those the checkpoint covers.
    pub fn entries(&self) -> Result<History, LedgerError> {
        let Some(checkpoint) = self.checkpoint() else {
            return Ok(History::default());
        };
        let mut entries = Vec::new();
        let mut leaves: Vec<Hash> = Vec::new();
        for tile in Tile::all(Kind::Entries, checkpoint.size) {
            for (index, bytes) in (tile.number * WIDTH..).zip(self.files.read_entries(tile)?) {
                leaves.push(tree::leaf_hash(&bytes));
                let entry = event::decode(index, &bytes).map_err(|what| {
                    LedgerError::damaged(&tile.path(), &format!("entry {index} {what}"))
                })?;
                entries.push(entry);
            }
        }
        if tree::root_of(&leaves) != checkpoint.root {
            return Err(LedgerError::damaged(
                CHECKPOINT,
                "has another root than the entries",
            ));
        }
        Ok(entries.into_iter().collect())
    }

    /// Proof that entry `index` is in the ledger as of the checkpoint; absent if it holds no such
    /// entry.
    ///
    /// # Errors
    /// Files that are missing or do not agree with the checkpoint.
    pub fn prove(&self, index: u64) -> Result<Option<InclusionProof>, LedgerError> {
        let Some((note, checkpoint)) = &self.head else {
            return Ok(None);
        };
        if index >= checkpoint.size {
            return Ok(None);
        }
        let number = index / WIDTH;
        let width = usize::try_from((checkpoint.size - number * WIDTH).min(WIDTH)).unwrap_or(1);
        let tile = Tile {
            kind: Kind::Entries,
            number,
            width,
        };
        let position = usize::try_from(index % WIDTH).unwrap_or(0);
        let entries = self.files.read_entries(tile)?;
        let entry = entries
            .get(position)
            .ok_or_else(|| LedgerError::damaged(&tile.path(), "is too short"))?;
        let mut nodes = Nodes::new(&self.files, checkpoint.size);
        proof::make(&mut nodes, checkpoint, note, index, entry).map(Some)
    }

    /// Proof, for whoever keeps a checkpoint of `old` entries, that the ledger continues it; to be
    /// checked with [`tree::verify_consistency`]. Absent if the ledger holds fewer entries.
    ///
    /// # Errors
    /// Files that are missing or malformed.
    pub fn prove_continuation(&self, old: u64) -> Result<Option<Vec<Hash>>, LedgerError> {
        let mut nodes = Nodes::new(&self.files, self.size());
        tree::consistency_proof(old, self.size(), &mut |level, index| {
            nodes.node(level, index)
        })
    }

    /// Checks that the ledger continues an earlier checkpoint of it.
    ///
    /// # Errors
    /// [`LedgerError::NotContinued`] if it was set back, rewritten or is another ledger.
    pub fn check_continues(&self, earlier: &Checkpoint) -> Result<(), LedgerError> {
        match self.checkpoint() {
            Some(checkpoint) => check_continues(&self.files, earlier, checkpoint),
            None => Err(LedgerError::NotContinued {
                remembered: earlier.size,
                found: 0,
            }),
        }
    }
}

/// Reads the checkpoint and the origin, which must agree; absent if nothing was ever recorded.
pub(super) fn read_checkpoint(
    files: &Files,
    keys: Option<&[VerifyingKey]>,
) -> Result<Option<(String, Checkpoint)>, LedgerError> {
    let Some(bytes) = files.read(CHECKPOINT, note::BYTES_MAX)? else {
        if files.path("tile").exists() {
            return Err(LedgerError::damaged(
                CHECKPOINT,
                "is missing although there are entries",
            ));
        }
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
    let checkpoint = match keys {
        Some(keys) => Checkpoint::open(&text, keys)?,
        None => Checkpoint::open_unverified(&text)?,
    };
    if read_origin(files)?.as_ref() != Some(&checkpoint.origin) {
        return Err(LedgerError::damaged(
            ORIGIN,
            "is not the checkpoint's origin",
        ));
    }
    Ok(Some((text, checkpoint)))
}

/// Reads the origin: one line.
pub(super) fn read_origin(files: &Files) -> Result<Option<String>, LedgerError> {
    let Some(bytes) = files.read(ORIGIN, note::BYTES_MAX)? else {
        return Ok(None);
    };
    String::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n').map(str::to_owned))
        .filter(|origin| note::is_origin(origin))
        .map(Some)
        .ok_or_else(|| LedgerError::damaged(ORIGIN, "does not hold one line with the origin"))
}

/// Checks, from the tiles, that `now` continues `earlier`.
pub(super) fn check_continues(
    files: &Files,
    earlier: &Checkpoint,
    now: &Checkpoint,
) -> Result<(), LedgerError> {
    let mut nodes = Nodes::new(files, now.size);
    let mut node = |level, index| nodes.node(level, index);
    let continued = earlier.origin == now.origin
        && earlier.size <= now.size
        && tree::consistency_proof(earlier.size, now.size, &mut node)?.is_some_and(|hashes| {
            tree::verify_consistency(earlier.size, &earlier.root, now.size, &now.root, &hashes)
        });
    if continued {
        Ok(())
    } else {
        Err(LedgerError::NotContinued {
            remembered: earlier.size,
            found: now.size,
        })
    }
}
