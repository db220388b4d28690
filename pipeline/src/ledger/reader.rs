//! Reading the ledger: the state is the checkpoint's, and whatever is read is checked against it.

use std::path::Path;

use ed25519_dalek::VerifyingKey;

use super::event::{self, Entry};
use super::history::History;
use super::note::{self, Checkpoint, NoteError};
use super::proof::{self, ConsistencyProof, EntryProof, InclusionProof};
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
        if let Some((note, checkpoint)) = &head
            && is_set_back(&files, note, checkpoint.size)?
        {
            return Err(LedgerError::damaged(CHECKPOINT, SET_BACK));
        }
        Ok(Self { files, head })
    }

    /// The checkpoint's file as it stands, unread: what to look at to see whether anything was
    /// recorded since.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn look(directory: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
        Files::new(directory).read(CHECKPOINT, note::BYTES_MAX)
    }

    /// The ledger's origin, its name; absent if nothing was ever recorded.
    ///
    /// # Errors
    /// A file that cannot be read, or holds none.
    pub fn origin(directory: &Path) -> Result<Option<String>, LedgerError> {
        read_origin(&Files::new(directory))
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

    /// The entries from position `from` on, each proved to stand under the checkpoint. Reads no more of
    /// the ledger than that.
    ///
    /// # Errors
    /// Entries that are missing, malformed, or not those the checkpoint covers.
    pub fn entries_from(&self, from: u64) -> Result<Vec<Entry>, LedgerError> {
        let Some((note, checkpoint)) = &self.head else {
            return Ok(Vec::new());
        };
        let mut nodes = Nodes::new(&self.files, checkpoint.size);
        let mut entries = Vec::new();
        let tiles = Tile::all(Kind::Entries, checkpoint.size);
        for tile in tiles.filter(|tile| (tile.number + 1) * WIDTH > from) {
            for (index, bytes) in (tile.number * WIDTH..).zip(self.files.read_entries(tile)?) {
                if index < from {
                    continue;
                }
                proof::make(&mut nodes, checkpoint, note, index, &bytes)?;
                let entry = event::decode(index, &bytes).map_err(|what| {
                    LedgerError::damaged(&tile.path(), &format!("entry {index} {what}"))
                })?;
                entries.push(entry);
            }
        }
        Ok(entries)
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
        let entry = self.entry(checkpoint.size, index)?;
        let mut nodes = Nodes::new(&self.files, checkpoint.size);
        proof::make(&mut nodes, checkpoint, note, index, &entry).map(Some)
    }

    /// Proof that entry `index` stood in the ledger when it had `size` entries, and that the ledger as
    /// of the checkpoint continues that one; absent if it holds no such entry, or never was as large.
    ///
    /// # Errors
    /// Files that are missing or do not agree with the checkpoint.
    pub fn prove_at(&self, index: u64, size: u64) -> Result<Option<EntryProof>, LedgerError> {
        let Some((note, checkpoint)) = &self.head else {
            return Ok(None);
        };
        if index >= size || size > checkpoint.size {
            return Ok(None);
        }
        let entry = self.entry(checkpoint.size, index)?;
        let mut nodes = Nodes::new(&self.files, checkpoint.size);
        EntryProof::make(&mut nodes, checkpoint, note, (index, size), &entry).map(Some)
    }

    /// Proof that the ledger of `new` entries continues that of `old`, and that the ledger as of the
    /// checkpoint continues both; absent if it never was as large, or `old` is the larger.
    ///
    /// # Errors
    /// Files that are missing or do not agree with the checkpoint.
    pub fn prove_consistency(
        &self,
        old: u64,
        new: u64,
    ) -> Result<Option<ConsistencyProof>, LedgerError> {
        let Some((note, checkpoint)) = &self.head else {
            return Ok(None);
        };
        if old > new || new > checkpoint.size {
            return Ok(None);
        }
        let mut nodes = Nodes::new(&self.files, checkpoint.size);
        ConsistencyProof::make(&mut nodes, checkpoint, note, old, new).map(Some)
    }

    /// The bytes of an entry of the ledger of `size` entries.
    fn entry(&self, size: u64, index: u64) -> Result<Vec<u8>, LedgerError> {
        let number = index / WIDTH;
        let width = usize::try_from((size - number * WIDTH).min(WIDTH)).unwrap_or(1);
        let tile = Tile {
            kind: Kind::Entries,
            number,
            width,
        };
        let position = usize::try_from(index % WIDTH).unwrap_or(0);
        let mut entries = self.files.read_entries(tile)?;
        if position >= entries.len() {
            return Err(LedgerError::damaged(&tile.path(), "is too short"));
        }
        Ok(entries.swap_remove(position))
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

/// What is wrong with a checkpoint that was put back alone.
pub(super) const SET_BACK: &str = "is older than the entries beside it: it was set back, or it was copied \
                                   while it was appended to (copy it under `flock state/ledger/lock`)";

/// Whether a checkpoint is an earlier one that was put back, the later entries still lying there.
/// Where the size is a multiple of 256 this can't be told from what a killed append leaves.
pub(super) fn is_set_back(files: &Files, note: &str, size: u64) -> Result<bool, LedgerError> {
    if files.has_own_bundle(size) {
        return Ok(false);
    }
    // An append beside this may have removed it just now; then the checkpoint is another one already.
    let now = files.read(CHECKPOINT, note::BYTES_MAX)?;
    Ok(now.as_deref() == Some(note.as_bytes()))
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
