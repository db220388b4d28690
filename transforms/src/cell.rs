//! A cell: one randomly encrypted value, which can be opened by itself.
//!
//! GCM (SP 800-38D), over AES-256 or SM4, breaks wherever a nonce meets a key twice, so nothing here
//! is left to chance or to a counter that a retry could reset: every chunk of every attempt has a key of its
//! own, and within a chunk the row is the nonce. An attempt has an id of 16 random bytes, drawn
//! anew for every try, so that a run that was interrupted and repeated never meets its old keys. A
//! cell carries its attempt and, encrypted, its place (split, chunk and row); with them whoever
//! holds the derived key can open the cell without its neighbours.
//!
//! The place is encrypted because it would join what nothing else joins: cells of two fields of one
//! row, and the rows that two deliveries of other grants have in common.
//!
//! A place is where a cell was written, and nothing in it says where it stands now: a cell that is copied
//! whole opens wherever it is put. One that is *bound* opens only beside the values that some fields of its
//! row had.
//!
//! # Format
//!
//! | bytes | | |
//! |---|---|---|
//! | 0 | version | 1: the ciphers are AES-256; 2: they are SM4; 3 and 4: the same of a bound cell (see below) |
//! | 1..5 | key id | which key: HKDF-SHA256(derived key; no salt; info = LP("fle/key-id/v1")), 4 bytes |
//! | 5..21 | attempt | 16 random bytes |
//! | 21..37 | place | one block of the cipher (AES-256: FIPS 197) under the key of places |
//! | 37..n-16 | ciphertext | as long as the padded plaintext |
//! | n-16..n | tag | GCM's, 16 bytes |
//!
//! - the block of the place = split ‖ chunk ‖ row ‖ 4 zero bytes, the three as 4 bytes each, unsigned,
//!   big-endian: the split of the source, the chunk within it, the row within that, below 2^20. A
//!   block that decrypts to other than zeros at its end is no cell's;
//! - key of places (32 bytes) = HKDF-SHA256(derived key; no salt; info = LP("fle/place/v1") ‖
//!   LP(domain) ‖ LP(field) ‖ LP(attempt)). No two blocks under one key are of one place, so that
//!   a block tells nothing; and places of two fields, grants or attempts have different keys;
//! - key of the chunk (32 bytes) = HKDF-SHA256(derived key; no salt; info = LP("fle/v1") ‖
//!   LP(domain) ‖ LP(field) ‖ LP(attempt) ‖ LP(split) ‖ LP(chunk)), the last two as the block of the
//!   place has them, LP(part) = 4-byte big-endian length ‖ part; `field` is the field's name in the dataset;
//! - nonce = 4 zero bytes ‖ row as 8 bytes, big-endian;
//! - associated data = bytes 0..37 of the cell, and of a bound cell its row after them. Domain and field
//!   need not be in it: they are in the key, which costs nothing per cell.
//! - padded plaintext = plaintext ‖ 80 (hex) ‖ zero bytes up to a multiple of the treatment's `pad`;
//!   without `pad`, the one byte 80. Taken off without knowing `pad`: zeros from the end, then 80.
//!
//! # SM4
//!
//! With version 2 both ciphers are SM4 (GB/T 32907), GCM as RFC 8998 has it. Their keys are 16 bytes
//! and their own: the labels are LP("fle/sm4/v1") for the chunk's and LP("fle/sm4/place/v1") for
//! that of places. All else is as with version 1. An opener takes cells of both.
//!
//! # Bound to a row
//!
//! A cell of version 3 is one of version 1, and a cell of version 4 one of version 2, but for the associated
//! data: bytes 0..37 of the cell ‖ for each field that it is bound to, in the order of their names as bytes of
//! UTF-8, whatever the order in which the treatment's `beside` lists them:
//!
//! - LP(name of the field), then
//! - the byte 0 for a null, or the byte 1 ‖ LP(text of the value).
//!
//! The text of a value is its UTF-8 of utf8, its decimal digits (a `-` before them) of a whole number,
//! `true` or `false` of a boolean, `2026-01-31` of a date, and of one before the year 0 or after 9999 the same
//! with a sign before the year. Each part says where it ends, so that no two rows have one form. The version
//! is authenticated too, so that no cell of a row passes for one that is bound to none, or the reverse; an
//! opener that is told a row takes bound cells alone, and one that isn't takes none of them.
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
//! from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
//! from cryptography.hazmat.primitives.ciphers.aead import AESGCM
//! from cryptography.hazmat.primitives.hashes import SHA256
//! from cryptography.hazmat.primitives.kdf.hkdf import HKDF
//! lp = lambda *parts: b"".join(len(p).to_bytes(4, "big") + p for p in parts)
//! hkdf = lambda key, size, *parts: HKDF(SHA256(), size, None, lp(*parts)).derive(key)
//! key = hkdf(master, 32, b"lockgate/v1", b"encryption", domain, b"grant:" + grant, b"1")
//! assert cell[0] == 1 and cell[1:5] == hkdf(key, 4, b"fle/key-id/v1")
//! place_key = hkdf(key, 32, b"fle/place/v1", domain, field, cell[5:21])
//! place = Cipher(algorithms.AES(place_key), modes.ECB()).decryptor().update(cell[21:37])
//! split, chunk, row = place[0:4], place[4:8], place[8:12]
//! assert place[12:16] == bytes(4)
//! chunk_key = hkdf(key, 32, b"fle/v1", domain, field, cell[5:21], split, chunk)
//! padded = AESGCM(chunk_key).decrypt(bytes(8) + row, cell[37:], cell[:37])
//! value = padded.rstrip(b"\0")[:-1]
//! ```
//!
//! A cell of SM4 differs in these lines:
//!
//! ```python
//! assert cell[0] == 2
//! place_key = hkdf(key, 16, b"fle/sm4/place/v1", domain, field, cell[5:21])
//! place = Cipher(algorithms.SM4(place_key), modes.ECB()).decryptor().update(cell[21:37])
//! chunk_key = hkdf(key, 16, b"fle/sm4/v1", domain, field, cell[5:21], split, chunk)
//! gcm = Cipher(algorithms.SM4(chunk_key), modes.GCM(bytes(8) + row, cell[-16:])).decryptor()
//! gcm.authenticate_additional_data(cell[:37])
//! padded = gcm.update(cell[37:-16]) + gcm.finalize()
//! ```
//!
//! A bound cell has the version 3, or 4 of SM4, and `cell[:37] + row` for `cell[:37]` in the last lines,
//! where `beside` is a list of names and texts, both as UTF-8 bytes, `None` for a null:
//!
//! ```python
//! row = b"".join(lp(name) + (b"\0" if text is None else b"\1" + lp(text)) for name, text in sorted(beside))
//! ```
//!
//! # Security
//! Without the key, a cell tells the length of its value up to `pad`, and the attempt that wrote it
//! (for a treatment made of several, which of them: they have [ids of their own](ChunkId::part)). Of the
//! row that it is bound to it tells nothing: whoever doesn't have the key can't try values either.

use std::borrow::Cow;
use std::fmt;

use aes::cipher::consts::U12;
use aes_gcm::{Nonce, Tag};

use crate::error::{TreatmentError, Unopenable};
use crate::key::DerivedKey;
use crate::treatment::ChunkId;

mod suite;

pub use suite::Suite;
use suite::{Cipher, Places};

/// Bytes before the ciphertext.
pub const HEADER_BYTES: usize = PREFIX_BYTES + PLACE_BYTES;

/// Bytes of the tag.
pub const TAG_BYTES: usize = 16;

/// Bytes that a cell has beside its padded plaintext.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// The most rows one chunk may have, far below what GCM allows a key.
pub const MAX_ROWS: u32 = 1 << 20;

/// What of its row a cell is bound to, in the form of associated data: empty for a cell that is bound to
/// none. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Beside(Vec<u8>);

impl Beside {
    /// Adds a field: its name, and the text of its value, absent for a null. The format has fields in the
    /// order of their names, for whoever adds them to keep: another order is another row.
    pub fn push(&mut self, field: &str, value: Option<&str>) {
        self.part(field);
        match value {
            None => self.0.push(0),
            Some(text) => {
                self.0.push(1);
                self.part(text);
            }
        }
    }

    /// Whether it holds no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes every field out, and keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn part(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// The associated data of a cell with that header. Only a bound cell costs an allocation.
    fn associated<'a>(&self, header: &'a [u8]) -> Cow<'a, [u8]> {
        match self.is_empty() {
            true => Cow::Borrowed(header),
            false => Cow::Owned([header, self.0.as_slice()].concat()),
        }
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside(..)")
    }
}

/// Ends the plaintext, before the zeros that pad it.
const END: u8 = 0x80;

/// The label of the key id; those of keys belong to their [suite](Suite).
const KEY_ID_LABEL: &[u8] = b"fle/key-id/v1";

/// The bytes of the header before the place, which are the same for a whole chunk: version, key id
/// and attempt.
const PREFIX_BYTES: usize = 1 + 4 + 16;

/// The bytes of the encrypted place: one block of the cipher.
const PLACE_BYTES: usize = 16;

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
    pub(crate) fn chunk(&self, suite: Suite, id: ChunkId) -> Result<ChunkCipher, TreatmentError> {
        let narrow = |what, number| {
            let limit = u32::MAX;
            u32::try_from(number).map_err(|_| TreatmentError::ChunkTooLarge { what, limit })
        };
        let chunk = Chunk {
            attempt: id.attempt,
            split: narrow("split", id.split)?.to_be_bytes(),
            chunk: narrow("chunk", id.chunk)?.to_be_bytes(),
        };
        let mut prefix = [0; PREFIX_BYTES];
        let parts: [&[u8]; 3] = [&[suite.version(false)], &self.key_id, &chunk.attempt];
        for (byte, value) in prefix.iter_mut().zip(parts.concat()) {
            *byte = value;
        }
        Ok(ChunkCipher {
            suite,
            cipher: self.cipher(suite, &chunk),
            places: self.places(suite, &chunk.attempt),
            prefix,
            chunk,
        })
    }

    fn cipher(&self, suite: Suite, chunk: &Chunk) -> Cipher {
        let (domain, field) = (self.domain.as_bytes(), self.field.as_bytes());
        let parts = [domain, field, &chunk.attempt, &chunk.split, &chunk.chunk];
        suite.cipher(&self.key, parts)
    }

    /// What encrypts the places of an attempt.
    fn places(&self, suite: Suite, attempt: &[u8; 16]) -> Places {
        let (domain, field) = (self.domain.as_bytes(), self.field.as_bytes());
        suite.places(&self.key, [domain, field, attempt])
    }

    /// What opens cells of this field.
    pub fn opener(self) -> CellOpener {
        CellOpener {
            key: self,
            attempt: None,
            places: None,
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
struct Chunk {
    attempt: [u8; 16],
    split: [u8; 4],
    chunk: [u8; 4],
}

impl Chunk {
    /// The block of a place, before it is encrypted.
    fn place(&self, row: u32) -> [u8; PLACE_BYTES] {
        let mut block = [0; PLACE_BYTES];
        let (words, _) = block.as_chunks_mut::<4>();
        let parts = [self.split, self.chunk, row.to_be_bytes()];
        for (word, part) in words.iter_mut().zip(parts) {
            *word = part;
        }
        block
    }

    /// The chunk and the row of a decrypted block; absent where it is no place's.
    fn of_place(attempt: [u8; 16], block: [u8; PLACE_BYTES]) -> Option<(Self, u32)> {
        let (words, _) = block.as_chunks::<4>();
        let words: [[u8; 4]; 4] = words.try_into().ok()?;
        let [split, chunk, row, [0, 0, 0, 0]] = words else {
            return None;
        };
        let chunk = Self {
            attempt,
            split,
            chunk,
        };
        Some((chunk, u32::from_be_bytes(row))).filter(|(_, row)| *row < MAX_ROWS)
    }
}

/// Encrypts the cells of one chunk.
pub(crate) struct ChunkCipher {
    suite: Suite,
    cipher: Cipher,
    places: Places,
    prefix: [u8; PREFIX_BYTES],
    chunk: Chunk,
}

impl fmt::Debug for ChunkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkCipher(..)")
    }
}

impl ChunkCipher {
    /// Appends the cell of a row, bound to what of it is `beside`, whose plaintext `write` appends, padded
    /// to a multiple of `pad` bytes. Each row may be encrypted once, bound or not.
    ///
    /// # Errors
    /// A value beyond GCM's 64 GiB.
    pub(crate) fn seal(
        &self,
        row: u32,
        beside: &Beside,
        pad: usize,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), TreatmentError> {
        let header = self.header(row, !beside.is_empty());
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
            .encrypt(&nonce(row), &beside.associated(&header), text)
            .map_err(|_| TreatmentError::TooLarge)?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    fn header(&self, row: u32, is_bound: bool) -> [u8; HEADER_BYTES] {
        let place = self.places.encrypt(self.chunk.place(row));
        let mut header = [0; HEADER_BYTES];
        if let Some((prefix, last)) = header.split_first_chunk_mut() {
            *prefix = self.prefix;
            last.copy_from_slice(&place);
        }
        if let Some(version) = header.first_mut() {
            *version = self.suite.version(is_bound);
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

/// Opens cells of one field, and remembers the keys of the attempt and the chunk it met last.
pub struct CellOpener {
    key: CellKey,
    /// The only attempt whose cells are opened; absent where those of each are.
    attempt: Option<[u8; 16]>,
    places: Option<(Suite, [u8; 16], Places)>,
    last: Option<(Suite, Chunk, Cipher)>,
}

impl fmt::Debug for CellOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CellOpener(..)")
    }
}

impl CellOpener {
    /// The same for cells of one attempt alone: those of any other don't open.
    #[must_use]
    pub fn of_attempt(self, attempt: [u8; 16]) -> Self {
        Self {
            attempt: Some(attempt),
            ..self
        }
    }

    /// Writes the plaintext of a cell into `plaintext`, whose content is replaced; nothing is left
    /// in it where the cell isn't authentic. `beside` is what the cell's row holds, as it was bound; empty
    /// for a cell that is bound to nothing.
    ///
    /// # Errors
    /// No cell, one of another key or attempt, one that is bound where no row is given or the reverse, or
    /// one that is not authentic, which one beside another row isn't.
    pub fn open(
        &mut self,
        cell: &[u8],
        beside: &Beside,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), Unopenable> {
        plaintext.clear();
        let parts = Parts::of(cell).ok_or(Unopenable::Malformed)?;
        if parts.key_id != self.key.key_id {
            return Err(Unopenable::OtherKey);
        }
        if self.attempt.is_some_and(|only| only != parts.attempt) {
            return Err(Unopenable::OtherAttempt);
        }
        match (parts.is_bound, beside.is_empty()) {
            (true, true) => return Err(Unopenable::Bound),
            (false, false) => return Err(Unopenable::Unbound),
            (true, false) | (false, true) => {}
        }
        let (chunk, row) = self.place(&parts).ok_or(Unopenable::NotAuthentic)?;
        let suite = parts.suite;
        let cipher = match &mut self.last {
            Some((same, last, cipher)) if (*same, *last) == (suite, chunk) => cipher,
            last => {
                let cipher = self.key.cipher(suite, &chunk);
                &mut last.insert((suite, chunk, cipher)).2
            }
        };
        plaintext.extend_from_slice(parts.ciphertext);
        let tag = Tag::from(parts.tag);
        let associated = beside.associated(parts.header);
        let opened = cipher.decrypt(&nonce(row), &associated, plaintext, &tag);
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

    /// Where a cell was written; absent where it was written under another key of places.
    fn place(&mut self, parts: &Parts<'_>) -> Option<(Chunk, u32)> {
        let places = match &mut self.places {
            Some((suite, attempt, places))
                if (*suite, *attempt) == (parts.suite, parts.attempt) =>
            {
                places
            }
            last => {
                let places = self.key.places(parts.suite, &parts.attempt);
                &mut last.insert((parts.suite, parts.attempt, places)).2
            }
        };
        Chunk::of_place(parts.attempt, places.decrypt(parts.place))
    }
}

/// A cell taken apart.
struct Parts<'a> {
    suite: Suite,
    is_bound: bool,
    header: &'a [u8],
    key_id: [u8; 4],
    attempt: [u8; 16],
    place: [u8; PLACE_BYTES],
    ciphertext: &'a [u8],
    tag: [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    fn of(cell: &'a [u8]) -> Option<Self> {
        let (header, body) = cell.split_at_checked(HEADER_BYTES)?;
        let (ciphertext, tag) = body.split_last_chunk()?;
        let (version, rest) = header.split_first()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let (attempt, place) = rest.split_first_chunk()?;
        if ciphertext.is_empty() {
            return None;
        }
        let (suite, is_bound) = Suite::of_version(*version)?;
        Some(Self {
            suite,
            is_bound,
            header,
            key_id: *key_id,
            attempt: *attempt,
            place: place.try_into().ok()?,
            ciphertext,
            tag: *tag,
        })
    }
}

#[cfg(test)]
mod tests;
