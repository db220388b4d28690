//! A cell: one randomly encrypted value, which can be opened by itself.
//!
//! AES-256-GCM (SP 800-38D) breaks wherever a nonce meets a key twice, so nothing here is left to
//! chance or to a counter that a retry could reset: every chunk of every attempt has a key of its
//! own, and within a chunk the row is the nonce. An attempt has an id of 16 random bytes, drawn
//! anew for every try, so that a run that was interrupted and repeated never meets its old keys. A
//! cell carries attempt, split, chunk and row; they are no secret, and with them whoever holds the
//! derived key can open the cell without its neighbours.
//!
//! # Format
//!
//! | bytes | | |
//! |---|---|---|
//! | 0 | version | 1 |
//! | 1..5 | key id | which key: HKDF-SHA256(derived key; no salt; info = LP("fle/key-id/v1")), 4 bytes |
//! | 5..21 | attempt | 16 random bytes |
//! | 21..25 | split | unsigned, big-endian |
//! | 25..29 | chunk | unsigned, big-endian: the chunk within the split |
//! | 29..33 | row | unsigned, big-endian: the row within the chunk, below 2^20 |
//! | 33..n-16 | ciphertext | as long as the padded plaintext |
//! | n-16..n | tag | GCM's, 16 bytes |
//!
//! - key of the chunk (32 bytes) = HKDF-SHA256(derived key; no salt; info = LP("fle/v1") ‖
//!   LP(domain) ‖ LP(field) ‖ LP(attempt) ‖ LP(split) ‖ LP(chunk)), the last three as the cell has
//!   them, LP(part) = 4-byte big-endian length ‖ part; `field` is the field's name in the dataset;
//! - nonce = 4 zero bytes ‖ row as 8 bytes, big-endian;
//! - associated data = bytes 0..33 of the cell. Domain and field need not be in it: they are in the
//!   key, which costs nothing per cell.
//! - padded plaintext = plaintext ‖ 80 (hex) ‖ zero bytes up to a multiple of the treatment's `pad`;
//!   without `pad`, the one byte 80. Taken off without knowing `pad`: zeros from the end, then 80.
//!
//! # Plaintexts
//!
//! | type | plaintext |
//! |---|---|
//! | utf8 | its UTF-8 |
//! | binary | its bytes |
//! | boolean | one byte, 0 or 1 |
//! | int8 … uint64 | as many bytes as the type has, big-endian, two's complement |
//! | decimal(p,s) | 16 bytes, or 32 from 39 digits on, big-endian, two's complement: the value times 10^s |
//! | date | 4 bytes, big-endian, two's complement: days since 1970-01-01 |
//! | timestamp | 8 bytes, big-endian, two's complement: the field's unit since 1970-01-01T00:00Z |
//! | float32, float64 | IEEE 754, big-endian |
//!
//! Every value of a type other than utf8 and binary so has one length, and the cell tells nothing of
//! its size. A null is no cell; an empty value is a cell like others.
//!
//! # Opened in Python, with the package `cryptography`
//!
//! ```python
//! from cryptography.hazmat.primitives.ciphers.aead import AESGCM
//! from cryptography.hazmat.primitives.hashes import SHA256
//! from cryptography.hazmat.primitives.kdf.hkdf import HKDF
//! lp = lambda *parts: b"".join(len(p).to_bytes(4, "big") + p for p in parts)
//! hkdf = lambda key, size, *parts: HKDF(SHA256(), size, None, lp(*parts)).derive(key)
//! key = hkdf(master, 32, b"lockgate/v1", b"encryption", domain, b"grant:" + grant, b"1")
//! assert cell[0] == 1 and cell[1:5] == hkdf(key, 4, b"fle/key-id/v1")
//! chunk_key = hkdf(key, 32, b"fle/v1", domain, field, cell[5:21], cell[21:25], cell[25:29])
//! padded = AESGCM(chunk_key).decrypt(bytes(8) + cell[29:33], cell[33:], cell[:33])
//! value = padded.rstrip(b"\0")[:-1]
//! ```
//!
//! # Security
//! Without the key, a cell tells the length of its value up to `pad`, and the place in the run where
//! it was written: cells of different fields of one row can be matched.

use std::fmt;

use aes::cipher::consts::U12;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};

use crate::error::{TreatmentError, Unopenable};
use crate::key::DerivedKey;
use crate::treatment::ChunkId;

/// The version of the format, the first byte of every cell.
pub const VERSION: u8 = 1;

/// Bytes before the ciphertext.
pub const HEADER_BYTES: usize = 33;

/// Bytes of the tag.
pub const TAG_BYTES: usize = 16;

/// Bytes that a cell has beside its padded plaintext.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// The most rows one chunk may have, far below what GCM allows a key.
pub const MAX_ROWS: u32 = 1 << 20;

/// Ends the plaintext, before the zeros that pad it.
const END: u8 = 0x80;

/// The label of the chunks' keys, and that of the key id.
const LABEL: &[u8] = b"fle/v1";
const KEY_ID_LABEL: &[u8] = b"fle/key-id/v1";

/// The bytes of the header before the row, which are the same for a whole chunk.
const PREFIX_BYTES: usize = HEADER_BYTES - 4;

/// The key of a field: what the keys of its chunks are derived from.
pub struct CellKey {
    key: DerivedKey,
    key_id: [u8; 4],
    domain: String,
    field: String,
}

impl CellKey {
    /// The key of a field, from the key derived for the domain.
    pub fn new(key: &DerivedKey, domain: &str, field: &str) -> Self {
        Self {
            key: key.copy(),
            key_id: *key.expand(&[KEY_ID_LABEL]),
            domain: domain.to_owned(),
            field: field.to_owned(),
        }
    }

    /// The cipher of one chunk, which may be asked for only once: two calls with one id use its
    /// nonces twice.
    ///
    /// # Errors
    /// A split or chunk whose number has more than 4 bytes.
    pub(crate) fn chunk(&self, id: ChunkId) -> Result<ChunkCipher, TreatmentError> {
        let narrow = |what, number| {
            let limit = u32::MAX;
            u32::try_from(number).map_err(|_| TreatmentError::ChunkTooLarge { what, limit })
        };
        let place = Place {
            attempt: id.attempt,
            split: narrow("split", id.split)?.to_be_bytes(),
            chunk: narrow("chunk", id.chunk)?.to_be_bytes(),
        };
        let mut prefix = [0; PREFIX_BYTES];
        let parts: [&[u8]; 5] = [
            &[VERSION],
            &self.key_id,
            &place.attempt,
            &place.split,
            &place.chunk,
        ];
        for (byte, value) in prefix.iter_mut().zip(parts.concat()) {
            *byte = value;
        }
        Ok(ChunkCipher {
            cipher: self.cipher(&place),
            prefix,
        })
    }

    fn cipher(&self, place: &Place) -> Aes256Gcm {
        let (domain, field) = (self.domain.as_bytes(), self.field.as_bytes());
        let parts = [
            LABEL,
            domain,
            field,
            &place.attempt,
            &place.split,
            &place.chunk,
        ];
        let key = self.key.expand::<32>(&parts);
        Aes256Gcm::new((&*key).into())
    }

    /// What opens cells of this field.
    pub fn opener(self) -> CellOpener {
        CellOpener {
            key: self,
            last: None,
        }
    }
}

impl fmt::Debug for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CellKey(..)")
    }
}

/// Which chunk, as a cell writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    attempt: [u8; 16],
    split: [u8; 4],
    chunk: [u8; 4],
}

/// Encrypts the cells of one chunk.
pub(crate) struct ChunkCipher {
    cipher: Aes256Gcm,
    prefix: [u8; PREFIX_BYTES],
}

impl fmt::Debug for ChunkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkCipher(..)")
    }
}

impl ChunkCipher {
    /// Appends the cell of a row, whose plaintext `write` appends, padded to a multiple of `pad`
    /// bytes. Each row may be encrypted once.
    ///
    /// # Errors
    /// A value beyond GCM's 64 GiB.
    pub(crate) fn seal(
        &self,
        row: u32,
        pad: usize,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), TreatmentError> {
        let header = self.header(row);
        out.extend_from_slice(&header);
        let start = out.len();
        write(out);
        out.push(END);
        if pad > 1 {
            let padded = (out.len() - start).checked_next_multiple_of(pad);
            out.resize(start + padded.ok_or(TreatmentError::TooLarge)?, 0);
        }
        let text = out.get_mut(start..).unwrap_or_default();
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce(row), &header, text.into())
            .map_err(|_| TreatmentError::TooLarge)?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    fn header(&self, row: u32) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        if let Some((prefix, last)) = header.split_first_chunk_mut() {
            *prefix = self.prefix;
            last.copy_from_slice(&row.to_be_bytes());
        }
        header
    }
}

/// 4 zero bytes, then the row as 8.
fn nonce(row: u32) -> Nonce<U12> {
    let mut nonce = [0; 12];
    if let Some(last) = nonce.last_chunk_mut() {
        *last = row.to_be_bytes();
    }
    nonce.into()
}

/// Opens cells of one field, and remembers the key of the chunk it met last.
pub struct CellOpener {
    key: CellKey,
    last: Option<(Place, Aes256Gcm)>,
}

impl fmt::Debug for CellOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CellOpener(..)")
    }
}

impl CellOpener {
    /// Writes the plaintext of a cell into `plaintext`, whose content is replaced; nothing is left
    /// in it where the cell isn't authentic.
    ///
    /// # Errors
    /// No cell, one of another key, or one that is not authentic.
    pub fn open(&mut self, cell: &[u8], plaintext: &mut Vec<u8>) -> Result<(), Unopenable> {
        plaintext.clear();
        let parts = Parts::of(cell).ok_or(Unopenable::Malformed)?;
        if parts.key_id != self.key.key_id {
            return Err(Unopenable::OtherKey);
        }
        let cipher = match &mut self.last {
            Some((place, cipher)) if *place == parts.place => cipher,
            last => &mut last.insert((parts.place, self.key.cipher(&parts.place))).1,
        };
        plaintext.extend_from_slice(parts.ciphertext);
        let opened = cipher.decrypt_inout_detached(
            &nonce(parts.row),
            parts.header,
            plaintext.as_mut_slice().into(),
            &Tag::from(parts.tag),
        );
        // A failed decryption leaves the ciphertext in place.
        let end = plaintext.iter().rposition(|byte| *byte != 0);
        match (opened, end) {
            (Ok(()), Some(end)) if plaintext.get(end) == Some(&END) => {
                plaintext.truncate(end);
                Ok(())
            }
            _ => {
                plaintext.clear();
                Err(Unopenable::NotAuthentic)
            }
        }
    }
}

/// A cell taken apart.
struct Parts<'a> {
    header: &'a [u8],
    key_id: [u8; 4],
    place: Place,
    row: u32,
    ciphertext: &'a [u8],
    tag: [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    fn of(cell: &'a [u8]) -> Option<Self> {
        let (header, body) = cell.split_at_checked(HEADER_BYTES)?;
        let (ciphertext, tag) = body.split_last_chunk()?;
        let rest = header.strip_prefix(&[VERSION])?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let (attempt, rest) = rest.split_first_chunk()?;
        let (split, rest) = rest.split_first_chunk()?;
        let (chunk, row) = rest.split_first_chunk()?;
        let row = u32::from_be_bytes(row.try_into().ok()?);
        if ciphertext.is_empty() || row >= MAX_ROWS {
            return None;
        }
        let place = Place {
            attempt: *attempt,
            split: *split,
            chunk: *chunk,
        };
        Some(Self {
            header,
            key_id: *key_id,
            place,
            row,
            ciphertext,
            tag: *tag,
        })
    }
}

#[cfg(test)]
mod tests;
