//! Inclusion proofs as manifests carry them: enough to check, without the ledger, that an entry
//! stands in it.

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
}

impl InclusionProof {
    /// Checks the proof; returns the entry it proves. Without `keys`, who signed the checkpoint is
    /// not checked.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(&self, keys: Option<&[VerifyingKey]>) -> Result<Entry, ProofError> {
        let checkpoint = match keys {
            Some(keys) => Checkpoint::open(&self.checkpoint, keys)?,
            None => Checkpoint::open_unverified(&self.checkpoint)?,
        };
        if self.size != checkpoint.size {
            return Err(ProofError::Malformed("its size is not the checkpoint's"));
        }
        if self.hashes.len() > HASHES_MAX {
            return Err(ProofError::Malformed("it holds too many hashes"));
        }
        let hashes: Vec<Hash> = self
            .hashes
            .iter()
            .map(|hash| decode_hash(hash))
            .collect::<Option<_>>()
            .ok_or(ProofError::Malformed("a hash is not base64 of 32 bytes"))?;
        let leaf = tree::leaf_hash(self.entry.as_bytes());
        if !tree::verify_inclusion(&leaf, self.index, self.size, &hashes, &checkpoint.root) {
            return Err(ProofError::NotIncluded);
        }
        event::decode(self.index, self.entry.as_bytes())
            .map_err(|_| ProofError::Malformed("its entry is not one of a ledger"))
    }
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
        return Err(LedgerError::damaged(
            "tile",
            "hashes do not lead to the checkpoint's root",
        ));
    }
    Ok(InclusionProof {
        checkpoint: note.to_owned(),
        entry: String::from_utf8_lossy(entry).into_owned(),
        hashes: hashes.iter().map(encode_hash).collect(),
        index,
        size: checkpoint.size,
    })
}
