//! Checkpoints: the signed statement of how many entries the ledger holds and which.
//!
//! A checkpoint is a C2SP `tlog-checkpoint` (origin, size, root) in a C2SP `signed-note` with one
//! Ed25519 signature whose key name is the origin. Only the one byte form that [`Checkpoint::sign`]
//! writes is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::tree::Hash;

/// Largest checkpoint that is read, in bytes.
pub(super) const BYTES_MAX: u64 = 4096;

/// Longest origin, in bytes.
const ORIGIN_MAX: usize = 255;

/// The signature type of Ed25519 in signed notes.
const ED25519: u8 = 1;

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Not a checkpoint in the one form that is written.
    #[error("not a checkpoint: expected origin, size, root and one signature")]
    Malformed,
    /// Signed by a key that is not among those to trust.
    #[error("checkpoint is signed by a key that is not among those trusted for the ledger")]
    UnknownKey,
    /// The signature does not verify.
    #[error("signature of the checkpoint does not match: it was altered or forged")]
    BadSignature,
}

/// A statement of the ledger's content: `size` entries with Merkle root `root`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the ledger, and of the key that signs its checkpoints.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Signs the checkpoint; returns the note.
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.text();
        let mut signature = key_id(&self.origin, &key.verifying_key()).to_vec();
        signature.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        format!(
            "{text}\n\u{2014} {} {}\n",
            self.origin,
            STANDARD.encode(signature)
        )
    }

    /// Reads a checkpoint and checks its signature with the one of `keys` that made it.
    ///
    /// # Errors
    /// Another form, an unknown key, a signature that does not verify.
    pub fn open(note: &str, keys: &[VerifyingKey]) -> Result<Self, NoteError> {
        let (checkpoint, claimed, signature) = Self::split(note)?;
        let key = keys
            .iter()
            .find(|key| key_id(&checkpoint.origin, key) == claimed)
            .ok_or(NoteError::UnknownKey)?;
        key.verify_strict(checkpoint.text().as_bytes(), &signature)
            .map_err(|_| NoteError::BadSignature)?;
        Ok(checkpoint)
    }

    /// Reads a checkpoint whose signature the caller has no key for: its form is checked, who
    /// signed it is not.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn open_unverified(note: &str) -> Result<Self, NoteError> {
        Self::split(note).map(|(checkpoint, _, _)| checkpoint)
    }

    fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root)
        )
    }

    fn split(note: &str) -> Result<(Self, [u8; 4], Signature), NoteError> {
        let mut lines = note.split('\n');
        let mut next = || lines.next().ok_or(NoteError::Malformed);
        let (origin, size, root, blank, signature_line, end) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        if !blank.is_empty() || !end.is_empty() || lines.next().is_some() || !is_origin(origin) {
            return Err(NoteError::Malformed);
        }
        let number: u64 = size.parse().map_err(|_| NoteError::Malformed)?;
        let root: Hash = decode_hash(root).ok_or(NoteError::Malformed)?;
        let raw = signature_line
            .strip_prefix("\u{2014} ")
            .and_then(|rest| rest.strip_prefix(origin))
            .and_then(|rest| rest.strip_prefix(' '))
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .ok_or(NoteError::Malformed)?;
        let (id, signature) = raw.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
        let signature = Signature::from_slice(signature).map_err(|_| NoteError::Malformed)?;
        if number.to_string() != size {
            return Err(NoteError::Malformed);
        }
        Ok((
            Self {
                origin: origin.to_owned(),
                size: number,
                root,
            },
            *id,
            signature,
        ))
    }
}

/// A hash as checkpoints and proofs write it.
pub(super) fn encode_hash(hash: &Hash) -> String {
    STANDARD.encode(hash)
}

/// Reads what [`encode_hash`] writes, and nothing else.
pub(super) fn decode_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Whether `name` may name a signed note's key: no white space, no plus, no control characters.
pub(super) fn is_origin(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= ORIGIN_MAX
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// First four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key).
fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use signed_note::{Note, StandardVerifier, VerifierList};

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "lockgate.local/0011223344556677".to_owned(),
            size: 4711,
            root: [9; 32],
        }
    }

    #[test]
    fn other_implementations_open_our_checkpoints() {
        let note = checkpoint().sign(&key(1));
        let public = key(1).verifying_key();
        let mut typed = vec![ED25519];
        typed.extend_from_slice(public.as_bytes());
        let text_key = format!(
            "{}+{:08x}+{}",
            checkpoint().origin,
            u32::from_be_bytes(key_id(&checkpoint().origin, &public)),
            STANDARD.encode(typed)
        );
        let verifier = StandardVerifier::new(&text_key).unwrap();
        let theirs = Note::from_bytes(note.as_bytes()).unwrap();
        let (verified, unverified) = theirs
            .verify(&VerifierList::new(vec![Box::new(verifier)]))
            .unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0));
        let parsed = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        assert_eq!(parsed.origin(), checkpoint().origin);
        assert_eq!(parsed.size(), 4711);
        assert_eq!(parsed.hash().0, [9; 32]);
    }

    #[test]
    fn a_checkpoint_opens_with_its_key_only() {
        let note = checkpoint().sign(&key(1));
        let keys = [key(2).verifying_key(), key(1).verifying_key()];
        assert_eq!(Checkpoint::open(&note, &keys), Ok(checkpoint()));
        assert_eq!(
            Checkpoint::open(&note, &keys[..1]),
            Err(NoteError::UnknownKey)
        );
        assert_eq!(Checkpoint::open(&note, &[]), Err(NoteError::UnknownKey));
        assert_eq!(Checkpoint::open_unverified(&note), Ok(checkpoint()));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let note = checkpoint().sign(&key(1));
        for position in 0..note.len() {
            for bit in [0, 5] {
                let mut altered = note.clone().into_bytes();
                altered[position] ^= 1 << bit;
                let Ok(altered) = String::from_utf8(altered) else {
                    continue;
                };
                assert!(
                    Checkpoint::open(&altered, &[key(1).verifying_key()]).is_err(),
                    "byte {position}, bit {bit}"
                );
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let note = checkpoint().sign(&key(1));
        for altered in [
            note.replacen("4711", "04711", 1),
            note.replacen("4711", "+4711", 1),
            note.replacen("4711", "-1", 1),
            format!("{note}\n"),
            format!(
                "{note}{}",
                note.rsplit_once('\u{2014}')
                    .map(|(_, line)| format!("\u{2014}{line}"))
                    .unwrap()
            ),
            note.trim_end().to_owned(),
            note.replace('\n', "\r\n"),
            String::new(),
        ] {
            assert_eq!(
                Checkpoint::open_unverified(&altered),
                Err(NoteError::Malformed)
            );
        }
        assert!(!is_origin("a b") && !is_origin("a+b") && !is_origin("") && !is_origin("a\u{a0}b"));
    }
}
