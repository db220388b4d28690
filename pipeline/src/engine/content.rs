//! The digest of a delivery's content: what a replay is compared by.
//!
//! Treated and marked rows are hashed column by column while they are at hand, in the order of their
//! split, then split by split. Per column there are three streams (which rows are null, how long
//! values are, the values that there are), so that the digest depends on the rows of a split alone
//! and not on how they were cut into chunks, nor on what stands in the slots of nulls.
//!
//! SHA-256 of every value would cost a seventh of a run. So each stream is first compressed 64 to 1 by
//! a keyed universal hash, the NH of UMAC (RFC 4418) over words of 64 bits as VMAC has it: two
//! different streams meet with probability 2^-64 for whoever doesn't know the key. What comes of it
//! goes through SHA-256, and all of it through one HMAC-SHA-256. Whoever holds the key could make up
//! content of an equal digest; whoever holds it also writes the digest into the ledger.
//!
//! Fields whose values are other bytes in every attempt, since a nonce is drawn for them, are left
//! out, and named.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::DataType;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lockgate_transforms::{DerivedKey, TreatmentError};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::treat::Untreated;
use crate::digest::hex;
use crate::error::RunError;
use crate::ledger::ContentDigest;
use crate::plan::ExchangePlan;

/// What the digest is of, so that it is never taken for another.
const LABEL: &str = "lockgate-content/v1";

/// Words of a block of the universal hash.
const WORDS: usize = 128;

/// Bytes of a block.
const BLOCK_BYTES: usize = 8 * WORDS;

/// The treatment whose results differ in every attempt.
const RANDOM: &str = "encrypt-rand";

/// Makes the digest of a plan's deliveries.
pub struct Digester {
    keys: Keys,
    key_version: u32,
    /// Name and type of each field, in the order of delivery, and whether it counts.
    fields: Vec<(String, String, bool)>,
}

/// The keys of a digest, from the one that was derived for it.
struct Keys {
    blocks: Zeroizing<Vec<u64>>,
    mac: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn of(key: &DerivedKey) -> Result<Self, RunError> {
        let hkdf = Hkdf::<Sha256>::new(None, key.expose());
        let expand = |what: &str, out: &mut [u8]| {
            let expanded = hkdf.expand_multi_info(&[LABEL.as_bytes(), what.as_bytes()], out);
            expanded.map_err(|error| RunError::internal("keying the digest of the content", &error))
        };
        let mut mac = Zeroizing::new([0; 32]);
        expand("/mac", mac.as_mut())?;
        let mut bytes = Zeroizing::new([0; BLOCK_BYTES]);
        expand("/nh", bytes.as_mut())?;
        let (words, _) = bytes.as_chunks::<8>();
        let blocks = words.iter().map(|word| u64::from_le_bytes(*word));
        let blocks = Zeroizing::new(blocks.collect());
        Ok(Self { blocks, mac })
    }
}

impl Digester {
    /// The digester of a plan's deliveries, under a key of that version.
    ///
    /// # Errors
    /// A treatment that can't be written down.
    pub fn new(plan: &ExchangePlan, key: &DerivedKey, key_version: u32) -> Result<Self, RunError> {
        let fields = plan.fields.iter().map(|field| {
            let treatment = serde_json::to_value(&field.treatment)
                .map_err(|error| RunError::internal("reading a treatment", &error))?;
            let counts = !is_random(&treatment);
            Ok((field.name.clone(), field.data_type.clone(), counts))
        });
        Ok(Self {
            fields: fields.collect::<Result<_, RunError>>()?,
            keys: Keys::of(key)?,
            key_version,
        })
    }

    /// Where hashing a split begins.
    pub(super) fn begin(&self) -> Content {
        let states = self.fields.iter();
        Content {
            columns: states
                .map(|(_, _, counts)| counts.then(Stream::default))
                .collect(),
            splits: Sha256::new(),
            rows: 0,
        }
    }

    /// Adds the rows of a chunk, columns in parallel.
    ///
    /// # Errors
    /// A column of a form that deliveries don't have.
    pub(super) fn add(
        &self,
        content: &mut Content,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<(), Untreated> {
        let key = self.keys.blocks.as_slice();
        content
            .columns
            .par_iter_mut()
            .zip(columns)
            .with_max_len(1)
            .try_for_each(|(stream, column)| match stream {
                Some(stream) => stream.add(key, column),
                None => Ok(()),
            })
            .map_err(|error| Untreated {
                field: String::new(),
                error,
            })?;
        content.rows = content
            .rows
            .saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Puts a split after those before it.
    pub(super) fn append(&self, content: &mut Content, split: Content) {
        let key = self.keys.blocks.as_slice();
        content.rows = content.rows.saturating_add(split.rows);
        content.splits.update(split.rows.to_be_bytes());
        for stream in split.columns.into_iter().flatten() {
            content.splits.update(stream.finish(key));
        }
    }

    /// The digest of everything that was appended, in the order of its splits.
    ///
    /// # Errors
    /// A key that can't be used.
    pub(super) fn digest(&self, content: &Content) -> Result<ContentDigest, RunError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.keys.mac.as_slice())
            .map_err(|error| RunError::internal("keying the digest of the content", &error))?;
        let mut put = |bytes: &[u8]| {
            mac.update(&length(bytes.len()));
            mac.update(bytes);
        };
        put(LABEL.as_bytes());
        for (name, data_type, counts) in &self.fields {
            put(name.as_bytes());
            put(data_type.as_bytes());
            put(&[u8::from(*counts)]);
        }
        put(&content.rows.to_be_bytes());
        put(&content.splits.clone().finalize());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let excluded = self.fields.iter().filter(|(_, _, counts)| !counts);
        Ok(ContentDigest {
            digest: hex(&digest),
            key_version: self.key_version,
            excluded: excluded.map(|(name, _, _)| name.clone()).collect(),
        })
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digester(v{}, ..)", self.key_version)
    }
}

/// Whether a treatment, or one within it, gives other bytes in every attempt.
fn is_random(treatment: &Value) -> bool {
    match treatment {
        Value::Object(members) => {
            members.get("kind").and_then(Value::as_str) == Some(RANDOM)
                || members.values().any(is_random)
        }
        Value::Array(items) => items.iter().any(is_random),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What was hashed so far: of the split under way, by column, and of the splits before it.
#[derive(Clone)]
pub(crate) struct Content {
    columns: Vec<Option<Stream>>,
    splits: Sha256,
    rows: u64,
}

/// Shows nothing: it is made of values.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} rows, ..)", self.rows)
    }
}

/// The streams of a column, or of what is within its lists, structs and maps.
#[derive(Clone, Default)]
struct Stream {
    rows: u64,
    nulls: Hashed,
    lengths: Hashed,
    values: Hashed,
    within: Vec<Self>,
}

impl Stream {
    fn add(&mut self, key: &[u64], column: &ArrayRef) -> Result<(), TreatmentError> {
        let before = self.rows;
        self.rows = before.saturating_add(u64::try_from(column.len()).unwrap_or(u64::MAX));
        if column.null_count() == 0 {
            return self.add_valid(key, column);
        }
        let valid = is_not_null(column).map_err(|_| unhashable())?;
        self.add_nulls(key, before, &valid);
        let dense = filter(column, &valid).map_err(|_| unhashable())?;
        self.add_valid(key, &dense)
    }

    /// Which rows are null: by their place in the split.
    fn add_nulls(&mut self, key: &[u64], before: u64, valid: &BooleanArray) {
        let mut places = Vec::new();
        for (place, is_valid) in (before..).zip(valid.values().iter()) {
            if !is_valid {
                places.extend_from_slice(&place.to_be_bytes());
            }
        }
        self.nulls.update(key, &places);
    }

    /// Adds values of which none is null.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other type has values of one width"
    )]
    fn add_valid(&mut self, key: &[u64], column: &ArrayRef) -> Result<(), TreatmentError> {
        match column.data_type() {
            DataType::Null => Ok(()),
            DataType::Boolean => {
                let bytes: Vec<u8> = column.as_boolean().values().iter().map(u8::from).collect();
                self.values.update(key, &bytes);
                Ok(())
            }
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                self.add_bytes(key, texts.offsets(), texts.values())
            }
            DataType::Binary => {
                let binary = column.as_binary::<i32>();
                self.add_bytes(key, binary.offsets(), binary.values())
            }
            DataType::List(_) => {
                let lists = column.as_list::<i32>();
                let (from, length) = self.add_lengths(key, lists.offsets())?;
                self.add_within(key, 0, &lists.values().slice(from, length))
            }
            DataType::Map(_, _) => {
                let maps = column.as_map();
                let (from, length) = self.add_lengths(key, maps.offsets())?;
                let entries = maps.entries().slice(from, length);
                self.add_members(key, entries.columns())
            }
            DataType::Struct(_) => self.add_members(key, column.as_struct().columns()),
            other => {
                let width = other.primitive_width().ok_or_else(unhashable)?;
                self.add_of_width(key, column, width)
            }
        }
    }

    fn add_of_width(
        &mut self,
        key: &[u64],
        column: &ArrayRef,
        width: usize,
    ) -> Result<(), TreatmentError> {
        let data = column.to_data();
        let bytes = data.buffers().first().ok_or_else(unhashable)?.as_slice();
        let from = data.offset().checked_mul(width);
        let length = data.len().checked_mul(width);
        let range = from.zip(length).and_then(|(from, length)| {
            let to = from.checked_add(length)?;
            bytes.get(from..to)
        });
        self.values.update(key, range.ok_or_else(unhashable)?);
        Ok(())
    }

    fn add_bytes(
        &mut self,
        key: &[u64],
        offsets: &OffsetBuffer<i32>,
        values: &[u8],
    ) -> Result<(), TreatmentError> {
        let (from, length) = self.add_lengths(key, offsets)?;
        let values = values.get(from..from.saturating_add(length));
        self.values.update(key, values.ok_or_else(unhashable)?);
        Ok(())
    }

    /// Adds how long each value is; gives where the values begin and how long all of them are.
    fn add_lengths(
        &mut self,
        key: &[u64],
        offsets: &OffsetBuffer<i32>,
    ) -> Result<(usize, usize), TreatmentError> {
        let mut lengths = Vec::with_capacity(offsets.len().saturating_mul(4));
        for (from, to) in offsets.iter().zip(offsets.iter().skip(1)) {
            lengths.extend_from_slice(&to.wrapping_sub(*from).to_be_bytes());
        }
        self.lengths.update(key, &lengths);
        let ends = offsets.first().zip(offsets.last());
        let (first, last) = ends.ok_or_else(unhashable)?;
        let first = usize::try_from(*first).map_err(|_| unhashable())?;
        let last = usize::try_from(*last).map_err(|_| unhashable())?;
        Ok((first, last.saturating_sub(first)))
    }

    fn add_members(&mut self, key: &[u64], members: &[ArrayRef]) -> Result<(), TreatmentError> {
        let mut members = members.iter().enumerate();
        members.try_for_each(|(place, member)| self.add_within(key, place, member))
    }

    fn add_within(
        &mut self,
        key: &[u64],
        place: usize,
        column: &ArrayRef,
    ) -> Result<(), TreatmentError> {
        while self.within.len() <= place {
            self.within.push(Self::default());
        }
        match self.within.get_mut(place) {
            Some(within) => within.add(key, column),
            None => Err(unhashable()),
        }
    }

    fn finish(self, key: &[u64]) -> [u8; 32] {
        let mut hash = Sha256::new()
            .chain_update(self.rows.to_be_bytes())
            .chain_update(self.nulls.finish(key))
            .chain_update(self.lengths.finish(key))
            .chain_update(self.values.finish(key));
        for within in self.within {
            hash.update(within.finish(key));
        }
        hash.finalize().into()
    }
}

/// Bytes hashed block by block, however they come.
#[derive(Clone, Default)]
struct Hashed {
    hash: Sha256,
    /// The beginning of a block that isn't full yet.
    begun: Vec<u8>,
    bytes: u64,
}

impl Hashed {
    fn update(&mut self, key: &[u64], mut bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        if !self.begun.is_empty() {
            let missing = BLOCK_BYTES.saturating_sub(self.begun.len());
            let (head, rest) = bytes.split_at(missing.min(bytes.len()));
            self.begun.extend_from_slice(head);
            bytes = rest;
            if let Some(block) = self.begun.first_chunk::<BLOCK_BYTES>() {
                self.hash.update(universal(key, block).to_le_bytes());
                self.begun.clear();
            }
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        for block in blocks {
            self.hash.update(universal(key, block).to_le_bytes());
        }
        self.begun.extend_from_slice(rest);
    }

    fn finish(mut self, key: &[u64]) -> [u8; 32] {
        if !self.begun.is_empty() {
            self.begun.resize(BLOCK_BYTES, 0);
            if let Some(block) = self.begun.first_chunk::<BLOCK_BYTES>() {
                self.hash.update(universal(key, block).to_le_bytes());
            }
        }
        // Zeros that were filled in are told from those that were there.
        self.hash.update(self.bytes.to_be_bytes());
        self.hash.finalize().into()
    }
}

/// NH over words of 64 bits: the sum of (m₁+k₁)·(m₂+k₂) over pairs of words, the sums within modulo
/// 2^64, that of the products modulo 2^128.
fn universal(key: &[u64], block: &[u8; BLOCK_BYTES]) -> u128 {
    let (words, _) = block.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    let (keys, _) = key.as_chunks::<2>();
    let mut sum = 0_u128;
    for ([one, other], [key_one, key_other]) in pairs.iter().zip(keys) {
        let one = u64::from_le_bytes(*one).wrapping_add(*key_one);
        let other = u64::from_le_bytes(*other).wrapping_add(*key_other);
        sum = sum.wrapping_add(u128::from(one) * u128::from(other));
    }
    sum
}

fn unhashable() -> TreatmentError {
    TreatmentError::Arrow("a column can't be hashed: its form is not one of deliveries".to_owned())
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{Field, Int32Type};
    use serde_json::json;

    use super::*;

    fn key(seed: u8) -> DerivedKey {
        DerivedKey::derive(&[seed; 32], "encryption", "content-digest", "content:G", 1)
    }

    fn digester(fields: &[(&str, &str, bool)]) -> Digester {
        let fields = fields.iter();
        Digester {
            keys: Keys::of(&key(7)).unwrap(),
            key_version: 1,
            fields: fields
                .map(|(name, kind, counts)| ((*name).to_owned(), (*kind).to_owned(), *counts))
                .collect(),
        }
    }

    /// The digest of one split, cut into chunks of so many rows.
    fn digest(digester: &Digester, columns: &[ArrayRef], chunk: usize) -> String {
        let rows = columns[0].len();
        let mut split = digester.begin();
        let mut from = 0;
        while from < rows {
            let length = chunk.min(rows - from);
            let cut: Vec<ArrayRef> = columns
                .iter()
                .map(|column| column.slice(from, length))
                .collect();
            digester.add(&mut split, &cut, length).unwrap();
            from += length;
        }
        let mut all = digester.begin();
        digester.append(&mut all, split);
        digester.digest(&all).unwrap().digest
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn numbers(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn columns() -> Vec<ArrayRef> {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            Some(vec![Some(2), Some(3)]),
            Some(vec![None]),
        ]);
        let members = StructArray::from(vec![(
            Arc::new(Field::new("a", DataType::Utf8, true)),
            texts(&[Some("甲"), None, Some(""), Some("乙丙"), Some("x")]),
        )]);
        vec![
            texts(&[Some("ab"), None, Some(""), Some("c"), Some("𠮷")]),
            numbers(&[Some(1), Some(-1), None, None, Some(i64::MAX)]),
            Arc::new(BooleanArray::from(vec![
                Some(true),
                None,
                Some(false),
                Some(true),
                None,
            ])),
            Arc::new(lists),
            Arc::new(members),
        ]
    }

    fn of_all() -> Digester {
        digester(&[
            ("text", "utf8", true),
            ("number", "int64", true),
            ("flag", "boolean", true),
            ("list", "list", true),
            ("struct", "struct", true),
        ])
    }

    #[test]
    fn how_rows_are_cut_into_chunks_changes_nothing() {
        let (digester, columns) = (of_all(), columns());
        let whole = digest(&digester, &columns, 5);
        for chunk in 1..5 {
            assert_eq!(digest(&digester, &columns, chunk), whole, "{chunk}");
        }
    }

    #[test]
    fn every_change_of_a_value_shows() {
        let digester = digester(&[("text", "utf8", true), ("number", "int64", true)]);
        let of = |text: &[Option<&str>], number: &[Option<i64>]| {
            digest(&digester, &[texts(text), numbers(number)], 2)
        };
        let all = [
            of(&[Some("ab"), Some("c")], &[Some(0), None]),
            of(&[Some("a"), Some("bc")], &[Some(0), None]),
            of(&[Some("ab"), None], &[Some(0), None]),
            of(&[Some("ab"), Some("")], &[Some(0), None]),
            of(&[None, Some("ab")], &[Some(0), None]),
            of(&[Some("ab"), Some("c")], &[None, Some(0)]),
            of(&[Some("ab"), Some("c")], &[Some(0), Some(0)]),
            of(&[Some("c"), Some("ab")], &[Some(0), None]),
        ];
        for (place, digest) in all.iter().enumerate() {
            assert!(!all[..place].contains(digest), "{place}");
        }
    }

    #[test]
    fn what_stands_in_the_slot_of_a_null_does_not_count() {
        let digester = digester(&[("number", "int64", true)]);
        let valid = arrow::buffer::NullBuffer::from(vec![true, false]);
        let one: ArrayRef = Arc::new(Int64Array::new(vec![5, 99].into(), Some(valid.clone())));
        let other: ArrayRef = Arc::new(Int64Array::new(vec![5, 0].into(), Some(valid)));
        assert_eq!(digest(&digester, &[one], 2), digest(&digester, &[other], 2));
    }

    #[test]
    fn the_order_of_splits_and_the_key_count() {
        let fields = [("number", "int64", true)];
        let of = |digester: &Digester, splits: [i64; 2]| {
            let mut all = digester.begin();
            for value in splits {
                let mut split = digester.begin();
                let column = numbers(&[Some(value)]);
                digester.add(&mut split, &[column], 1).unwrap();
                digester.append(&mut all, split);
            }
            digester.digest(&all).unwrap().digest
        };
        let one = digester(&fields);
        assert_eq!(of(&one, [1, 2]), of(&digester(&fields), [1, 2]));
        assert_ne!(of(&one, [1, 2]), of(&one, [2, 1]));
        let mut other = digester(&fields);
        other.keys = Keys::of(&key(8)).unwrap();
        assert_ne!(of(&one, [1, 2]), of(&other, [1, 2]));
    }

    #[test]
    fn a_field_left_out_is_named_and_its_values_do_not_count() {
        let digester = digester(&[("text", "utf8", false), ("number", "int64", true)]);
        let number = numbers(&[Some(1)]);
        assert_eq!(
            digest(&digester, &[texts(&[Some("a")]), Arc::clone(&number)], 1),
            digest(&digester, &[texts(&[Some("b")]), number], 1),
        );
        let named = digester.digest(&digester.begin()).unwrap().excluded;
        assert_eq!(named, ["text"]);
    }

    #[test]
    fn blocks_are_the_same_however_bytes_come() {
        let keys = Keys::of(&key(7)).unwrap();
        let bytes: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
        let hashed = |piece: usize| {
            let mut hashed = Hashed::default();
            for part in bytes.chunks(piece) {
                hashed.update(&keys.blocks, part);
            }
            hashed.finish(&keys.blocks)
        };
        let whole = hashed(bytes.len());
        for piece in [1, 7, 1023, 1024, 1025, 3000] {
            assert_eq!(hashed(piece), whole, "{piece}");
        }
    }

    #[test]
    fn zeros_that_fill_a_block_are_not_content() {
        let keys = Keys::of(&key(7)).unwrap();
        let of = |bytes: &[u8]| {
            let mut hashed = Hashed::default();
            hashed.update(&keys.blocks, bytes);
            hashed.finish(&keys.blocks)
        };
        assert_ne!(of(&[1]), of(&[1, 0]));
        assert_ne!(of(&[]), of(&[0]));
    }

    /// The first words of NH by its definition, so that it stays what is written.
    #[test]
    fn the_universal_hash_is_nh() {
        let mut block = [0; BLOCK_BYTES];
        block[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        block[8..16].copy_from_slice(&3_u64.to_le_bytes());
        let mut key = vec![0; WORDS];
        key[0] = 2;
        key[1] = 5;
        key[2] = 7;
        key[3] = 11;
        // (2^64-1+2 mod 2^64) · (3+5) + (0+7) · (0+11)
        assert_eq!(universal(&key, &block), 8 + 77);
    }

    #[test]
    fn a_treatment_that_draws_nonces_is_found_however_deep() {
        assert!(is_random(&json!({"kind": "encrypt-rand", "domain": "d"})));
        assert!(is_random(&json!({
            "kind": "when", "then": {"kind": "clear"}, "else": {"kind": "encrypt-rand"}
        })));
        assert!(!is_random(
            &json!({"kind": "constant", "value": "encrypt-rand"})
        ));
    }
}
