//! Cosignatures: a recipient's signature over the checkpoint it saw, as C2SP `tlog-cosignature`
//! (`cosignature/v1`, Ed25519) writes them, so that any witness tool can check one.
//!
//! A ledger's operator can rewrite a ledger of which nobody keeps a copy. A checkpoint that a
//! recipient signed, and the recipient's own copy of the receipt, is a copy that the operator can't
//! take back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The signature type of timestamped Ed25519 cosignatures in signed notes.
const COSIGNATURE: u8 = 4;

/// Bytes of a cosignature as encoded: key id, time, signature.
const LENGTH: usize = 4 + 8 + 64;

/// The name under which a recipient cosigns.
pub fn cosigner(recipient: &str) -> String {
    format!("lockgate.recipient/{recipient}")
}

/// Cosigns a checkpoint's note at a time (seconds since 1970); gives the signature line, without its
/// line feed. Absent if the note isn't one.
pub fn cosign(note: &str, name: &str, seconds: u64, key: &SigningKey) -> Option<String> {
    let signature = key.sign(message(body(note)?, seconds).as_bytes());
    let mut raw = Vec::with_capacity(LENGTH);
    raw.extend_from_slice(&key_id(name, &key.verifying_key()));
    raw.extend_from_slice(&seconds.to_be_bytes());
    raw.extend_from_slice(&signature.to_bytes());
    Some(format!("\u{2014} {name} {}", STANDARD.encode(raw)))
}

/// Checks a signature line over a note; gives the time that was signed.
pub fn verify(note: &str, line: &str, name: &str, key: &VerifyingKey) -> Option<u64> {
    let encoded = line
        .strip_prefix("\u{2014} ")?
        .strip_prefix(name)?
        .strip_prefix(' ')?;
    let raw: [u8; LENGTH] = STANDARD.decode(encoded).ok()?.try_into().ok()?;
    let (id, rest) = raw.split_first_chunk::<4>()?;
    let (seconds, signature) = rest.split_first_chunk::<8>()?;
    let seconds = u64::from_be_bytes(*seconds);
    if *id != key_id(name, key) {
        return None;
    }
    let signature = Signature::from_slice(signature).ok()?;
    key.verify_strict(message(body(note)?, seconds).as_bytes(), &signature)
        .ok()?;
    Some(seconds)
}

/// The text of a note, with its last line feed and without the signatures.
fn body(note: &str) -> Option<&str> {
    let end = note.find("\n\n")?;
    note.get(..end.checked_add(1)?)
}

fn message(body: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{body}")
}

/// First four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key).
fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', COSIGNATURE])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Checkpoint;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn note(size: u64) -> String {
        let checkpoint = Checkpoint {
            origin: "lockgate.local/0011223344556677".to_owned(),
            size,
            root: [9; 32],
        };
        checkpoint.sign(&key(1))
    }

    #[test]
    fn what_is_signed_is_what_c2sp_says() {
        let text = message(body(&note(7)).unwrap(), 1_679_315_147);
        let root = STANDARD.encode([9; 32]);
        assert_eq!(
            text,
            format!(
                "cosignature/v1\ntime 1679315147\nlockgate.local/0011223344556677\n7\n{root}\n"
            )
        );
    }

    #[test]
    fn a_cosignature_holds_for_its_note_name_and_key_only() {
        let name = cosigner("civil-affairs");
        let line = cosign(&note(7), &name, 1_800_000_000, &key(2)).unwrap();
        let public = key(2).verifying_key();
        assert_eq!(verify(&note(7), &line, &name, &public), Some(1_800_000_000));
        assert_eq!(verify(&note(8), &line, &name, &public), None);
        assert_eq!(verify(&note(7), &line, &cosigner("other"), &public), None);
        assert_eq!(
            verify(&note(7), &line, &name, &key(3).verifying_key()),
            None
        );
        assert_eq!(verify("no note", &line, &name, &public), None);
        for position in 0..line.len() {
            let mut altered = line.clone().into_bytes();
            altered[position] ^= 1;
            if let Ok(altered) = String::from_utf8(altered) {
                assert_eq!(
                    verify(&note(7), &altered, &name, &public),
                    None,
                    "{position}"
                );
            }
        }
    }
}
