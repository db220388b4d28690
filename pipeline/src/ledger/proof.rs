//! Proofs as manifests and auditors carry them: enough to check, without the ledger, that an entry
//! stands in it, and that it continues what it was.

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::LedgerError;
use super::event::{self, Entry};
use super::note::{Checkpoint, NoteError, decode_hash, encode_hash};
use super::tiles::Nodes;
use super::tree::{self, Hash};

/// Most hashes a proof in a tree of 64-bit size can hold.
const HASHES_MAX: usize = 64;

/// Proof that `entry` is number `index` of the ledger that `checkpoint` states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// The signed checkpoint, as the ledger wrote it.
    pub checkpoint: String,
    /// The entry: canonical JSON. Without it nobody could tell what is proved.
    pub entry: String,
    /// Hashes from the leaf upwards, base64.
    pub hashes: Vec<String>,
    /// Position of the entry, from 0.
    pub index: u64,
    /// Number of entries in the tree, as the checkpoint says.
    pub size: u64,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The checkpoint is not acceptable.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
    /// The proof is not of the form that is written.
    #[error("inclusion proof is malformed: {0}")]
    Malformed(&'static str),
    /// The hashes do not lead from the entry to the checkpoint's root.
    #[error("inclusion proof does not lead from the entry to the checkpoint's root")]
    NotIncluded,
    /// The hashes do not lead from the earlier ledger to the later one.
    #[error("consistency proof does not lead from the earlier ledger to the later one")]
    NotConsistent,
}

impl InclusionProof {
    /// Checks the proof; returns the entry it proves. Without `keys`, who signed the checkpoint is
    /// not checked.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(&self, keys: Option<&[VerifyingKey]>) -> Result<Entry, ProofError> {
        let checkpoint = open(&self.checkpoint, keys)?;
        if self.size != checkpoint.size {
            return Err(ProofError::Malformed("its size is not the checkpoint's"));
        }
        let hashes = read_hashes(&self.hashes)?;
        let leaf = tree::leaf_hash(self.entry.as_bytes());
        if !tree::verify_inclusion(&leaf, self.index, self.size, &hashes, &checkpoint.root) {
            return Err(ProofError::NotIncluded);
        }
        event::decode(self.index, self.entry.as_bytes())
            .map_err(|_| ProofError::Malformed("its entry is not one of a ledger"))
    }
}

/// Proof that `entry` stood at `index` when the ledger had `size` entries with Merkle root `root`, and
/// that the ledger of `checkpoint` continues that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryProof {
    /// The entry: canonical JSON.
    pub entry: String,
    /// Position of the entry, from 0.
    pub index: u64,
    /// Entries of the ledger in which it is proved.
    pub size: u64,
    /// Root of that ledger, base64.
    pub root: String,
    /// Hashes from the leaf to that root, base64.
    pub hashes: Vec<String>,
    /// Hashes that prove that the checkpoint's ledger continues that one; empty where it is that one.
    pub consistency: Vec<String>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl EntryProof {
    /// Checks the proof; returns the entry it proves. Without `keys`, who signed the checkpoint is
    /// not checked.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(&self, keys: Option<&[VerifyingKey]>) -> Result<Entry, ProofError> {
        let now = open(&self.checkpoint, keys)?;
        let root = decode_hash(&self.root).ok_or(ProofError::Malformed("its root is no hash"))?;
        let leads = tree::verify_consistency(
            self.size,
            &root,
            now.size,
            &now.root,
            &read_hashes(&self.consistency)?,
        );
        if !leads {
            return Err(ProofError::NotConsistent);
        }
        let leaf = tree::leaf_hash(self.entry.as_bytes());
        let hashes = read_hashes(&self.hashes)?;
        if !tree::verify_inclusion(&leaf, self.index, self.size, &hashes, &root) {
            return Err(ProofError::NotIncluded);
        }
        event::decode(self.index, self.entry.as_bytes())
            .map_err(|_| ProofError::Malformed("its entry is not one of a ledger"))
    }

    /// Makes the proof of the entry at an index in the ledger of a size, and checks it.
    pub(super) fn make(
        nodes: &mut Nodes<'_>,
        checkpoint: &Checkpoint,
        note: &str,
        (index, size): (u64, u64),
        entry: &[u8],
    ) -> Result<Self, LedgerError> {
        let mut node = |level, index| nodes.node(level, index);
        let root = tree::root(size, &mut node)?;
        let hashes = tree::inclusion_proof(index, size, &mut node)?;
        let consistency = tree::consistency_proof(size, checkpoint.size, &mut node)?;
        let (Some(hashes), Some(consistency)) = (hashes, consistency) else {
            return Err(LedgerError::damaged(
                "checkpoint",
                "does not cover the entry",
            ));
        };
        let proof = Self {
            entry: String::from_utf8_lossy(entry).into_owned(),
            index,
            size,
            root: encode_hash(&root),
            hashes: hashes.iter().map(encode_hash).collect(),
            consistency: consistency.iter().map(encode_hash).collect(),
            checkpoint: note.to_owned(),
        };
        match proof.verify(None) {
            Ok(_) => Ok(proof),
            Err(_) => Err(misled()),
        }
    }
}

/// Proof that the ledger of `new` entries continues that of `old`, and that the ledger of
/// `checkpoint` continues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    /// Entries of the earlier ledger.
    pub old: u64,
    /// Root of the earlier ledger, base64.
    pub old_root: String,
    /// Entries of the later ledger.
    pub new: u64,
    /// Root of the later ledger, base64.
    pub new_root: String,
    /// Hashes that lead from the earlier to the later, base64.
    pub hashes: Vec<String>,
    /// Hashes that prove that the checkpoint's ledger continues the later; empty where it is that one.
    pub consistency: Vec<String>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl ConsistencyProof {
    /// Checks the proof. Without `keys`, who signed the checkpoint is not checked.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(&self, keys: Option<&[VerifyingKey]>) -> Result<(), ProofError> {
        let now = open(&self.checkpoint, keys)?;
        let malformed = ProofError::Malformed("a root is no hash");
        let old = decode_hash(&self.old_root).ok_or_else(|| malformed.clone())?;
        let new = decode_hash(&self.new_root).ok_or(malformed)?;
        let (hashes, onwards) = (read_hashes(&self.hashes)?, read_hashes(&self.consistency)?);
        let leads = tree::verify_consistency(self.old, &old, self.new, &new, &hashes)
            && tree::verify_consistency(self.new, &new, now.size, &now.root, &onwards);
        if leads {
            Ok(())
        } else {
            Err(ProofError::NotConsistent)
        }
    }

    /// Makes the proof, and checks it.
    pub(super) fn make(
        nodes: &mut Nodes<'_>,
        checkpoint: &Checkpoint,
        note: &str,
        old: u64,
        new: u64,
    ) -> Result<Self, LedgerError> {
        let mut node = |level, index| nodes.node(level, index);
        let old_root = tree::root(old, &mut node)?;
        let new_root = tree::root(new, &mut node)?;
        let hashes = tree::consistency_proof(old, new, &mut node)?.ok_or_else(misled)?;
        let consistency = tree::consistency_proof(new, checkpoint.size, &mut node)?;
        let consistency = consistency.ok_or_else(misled)?;
        let proof = Self {
            old,
            old_root: encode_hash(&old_root),
            new,
            new_root: encode_hash(&new_root),
            hashes: hashes.iter().map(encode_hash).collect(),
            consistency: consistency.iter().map(encode_hash).collect(),
            checkpoint: note.to_owned(),
        };
        match proof.verify(None) {
            Ok(()) => Ok(proof),
            Err(_) => Err(misled()),
        }
    }
}

fn misled() -> LedgerError {
    LedgerError::damaged("tile", "hashes do not lead to the checkpoint's root")
}

/// Reads the checkpoint of a proof.
fn open(note: &str, keys: Option<&[VerifyingKey]>) -> Result<Checkpoint, NoteError> {
    match keys {
        Some(keys) => Checkpoint::open(note, keys),
        None => Checkpoint::open_unverified(note),
    }
}

fn read_hashes(texts: &[String]) -> Result<Vec<Hash>, ProofError> {
    if texts.len() > HASHES_MAX {
        return Err(ProofError::Malformed("it holds too many hashes"));
    }
    let hashes = texts.iter().map(|hash| decode_hash(hash));
    hashes
        .collect::<Option<_>>()
        .ok_or(ProofError::Malformed("a hash is not base64 of 32 bytes"))
}

/// Makes the proof of `entry`, and checks it, so that damaged tiles never prove anything.
pub(super) fn make(
    nodes: &mut Nodes<'_>,
    checkpoint: &Checkpoint,
    note: &str,
    index: u64,
    entry: &[u8],
) -> Result<InclusionProof, LedgerError> {
    let hashes = tree::inclusion_proof(index, checkpoint.size, &mut |level, index| {
        nodes.node(level, index)
    })?
    .ok_or_else(|| LedgerError::damaged("checkpoint", "does not cover the entry"))?;
    let leaf = tree::leaf_hash(entry);
    if !tree::verify_inclusion(&leaf, index, checkpoint.size, &hashes, &checkpoint.root) {
        return Err(misled());
    }
    Ok(InclusionProof {
        checkpoint: note.to_owned(),
        entry: String::from_utf8_lossy(entry).into_owned(),
        hashes: hashes.iter().map(encode_hash).collect(),
        index,
        size: checkpoint.size,
    })
}
