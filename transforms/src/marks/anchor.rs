//! Anchors: how a cell of a leaked copy finds its position in the code again.
//!
//! An anchor is a pseudo-random number made of what identifies a row, taken from the values as they
//! are *released*, so that a trace needs nothing but the leak:
//!
//! `anchor = CMAC(anchor key, family ‖ LP(part) ‖ …)`,
//! `position = CMAC(position key, family ‖ LP(field) ‖ zeros to whole blocks ‖ anchor)`
//!
//! where CMAC is over the block cipher of the key's suite, the family is one byte, LP a 4-byte big-endian
//! length followed by the bytes, and a part the UTF-8 of a value's canonical form (`canonical.rs`). Where
//! rows are found by what marks leave of a carrier's values, a part is its block, 16 bytes, big-endian. A
//! row without one of the values has no anchor, and carries no marks of that family.
//!
//! A leak that has lost its key columns is found by content, and one that is down to a single
//! column by the values of that column themselves, so not all fields should depend on one family.

use std::fmt;
use std::fmt::Write as _;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, PrimitiveArray, StringArray, StringBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, TimeUnit};
use zeroize::Zeroizing;

use super::canonical;
use super::cmac::{Cmac, LANES, Messages};
use super::code::Position;
use super::key::{MarkKey, SubKey};
use crate::calendar::{Civil, DAY_SECONDS, ForTime, per_second, with_time};
use crate::cases::{failed, to_text};
use crate::error::TreatmentError;

/// What a row, or a cell, is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// The dataset's key, released in clear or under a pseudonym that all grants share.
    Key,
    /// Other columns that marks leave alone, or what marks leave of the values of some.
    Content,
    /// The cell's own value, but for what a mark changes of it.
    Own,
}

impl Family {
    fn byte(self) -> u8 {
        match self {
            Self::Key => 1,
            Self::Content => 2,
            Self::Own => 3,
        }
    }
}

/// Makes anchors and positions under one key.
pub struct Anchors {
    anchor: Cmac,
    position: Cmac,
    /// The states after the first block of a cell found by its own value, for numbers from 0 and
    /// below.
    own: Zeroizing<[u128; 2]>,
}

/// What all positions of a field in one family begin with.
#[derive(Clone, Copy)]
pub struct Place(u128);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(..)")
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anchors(..)")
    }
}

impl Anchors {
    /// Anchors under that key.
    pub fn new(key: &MarkKey) -> Self {
        let anchor = Cmac::new(key.suite(), &key.sub_key(SubKey::Anchor));
        let mut own = Zeroizing::new([own_first(0), own_first(-1)]);
        anchor.encrypt(&mut *own);
        Self {
            anchor,
            position: Cmac::new(key.suite(), &key.sub_key(SubKey::Position)),
            own,
        }
    }

    /// The anchor of every row, from the columns that identify it; none where one of them is null
    /// or empty.
    ///
    /// # Errors
    /// A type that has no canonical form, or columns of different lengths.
    pub fn of_rows(
        &self,
        family: Family,
        columns: &[&ArrayRef],
    ) -> Result<Anchored, TreatmentError> {
        let parts = columns
            .iter()
            .map(|column| Part::of(column))
            .collect::<Result<Vec<_>, _>>()?;
        self.by_parts(family, &parts)
    }

    /// The same from columns that were read as what rows are found by.
    pub(super) fn by_parts(
        &self,
        family: Family,
        parts: &[Part],
    ) -> Result<Anchored, TreatmentError> {
        let rows = parts.first().map_or(0, Part::len);
        if parts.iter().any(|part| part.len() != rows) {
            return Err(failed("anchoring columns of different lengths"));
        }
        let mut messages = Messages::default();
        let mut codes = Vec::with_capacity(rows);
        let mut is_anchored = Vec::with_capacity(rows);
        let mut form = String::new();
        for row in 0..rows {
            is_anchored.push(messages.push_whole(|bytes| {
                bytes.push(family.byte());
                parts
                    .iter()
                    .all(|part| part.push_prefixed(row, bytes, &mut form))
            }));
            if messages.len() == LANES {
                self.anchor.push_codes(&messages, &mut codes);
                messages.clear();
            }
        }
        self.anchor.push_codes(&messages, &mut codes);
        Ok(Anchored::spread(codes, is_anchored))
    }

    /// The anchor of every cell, from its block: what a mark leaves of its value.
    pub(super) fn of_blocks(&self, blocks: &[Option<i128>]) -> Anchored {
        let whole: Vec<i128> = blocks
            .iter()
            .map(|block| block.unwrap_or_default())
            .collect();
        let mut codes = vec![0; whole.len()];
        for (blocks, codes) in whole.chunks(LANES).zip(codes.chunks_mut(LANES)) {
            self.put_own(blocks, codes);
        }
        let is_anchored = blocks.iter().map(Option::is_some);
        Anchored::of(codes, is_anchored.collect())
    }

    /// Puts the anchors of cells that are found by their own value into `codes`.
    ///
    /// A message has two blocks of the cipher, of which the first is nearly always one of two: it
    /// holds the family, the length, and those bytes of the number that only say its sign.
    pub(super) fn put_own(&self, blocks: &[i128], codes: &mut [u128]) {
        let is_short = |block: &i128| matches!(block >> OWN_LAST_BITS, 0 | -1);
        let is_short = blocks.iter().fold(true, |all, block| all & is_short(block));
        let mixed = self.anchor.partial();
        if is_short {
            let [positive, negative] = *self.own;
            for (block, code) in blocks.iter().zip(codes.iter_mut()) {
                let state = if *block < 0 { negative } else { positive };
                *code = state ^ own_last(*block) ^ mixed;
            }
        } else {
            for (block, code) in blocks.iter().zip(codes.iter_mut()) {
                *code = own_first(*block);
            }
            self.anchor.encrypt(codes);
            for (block, code) in blocks.iter().zip(codes.iter_mut()) {
                *code ^= own_last(*block) ^ mixed;
            }
        }
        self.anchor.encrypt(codes);
    }

    /// The anchors of what stands before tags.
    pub(super) fn of_parts<'a>(&self, parts: impl Iterator<Item = &'a str>) -> Vec<u128> {
        let mut messages = Messages::default();
        for part in parts {
            messages.push(|bytes| {
                bytes.push(Family::Own.byte());
                push_prefixed(bytes, part.as_bytes());
            });
        }
        self.anchor.codes(&messages)
    }

    /// Where the positions of a field begin. `field` is the dataset's name for it, not that of a
    /// column in a leak.
    pub fn place(&self, family: Family, field: &str) -> Place {
        let mut prefix = vec![family.byte()];
        push_prefixed(&mut prefix, field.as_bytes());
        Place(self.position.prefix(&prefix))
    }

    /// The positions of a field's cells, by the anchors of their rows.
    pub fn positions(&self, place: Place, anchors: &[u128]) -> Vec<Position> {
        let mut images = anchors.to_vec();
        self.put_positions(place, &mut images);
        let images = images.into_iter();
        images
            .map(|image| Position::new(image.swap_bytes()))
            .collect()
    }

    /// Puts the images of the positions in the place of anchors.
    pub(super) fn put_positions(&self, place: Place, anchors: &mut [u128]) {
        self.position.finish(place.0, anchors);
    }
}

/// Bits of a block of numbers that stand in the second block of the cipher: the first has room for 11
/// of 16 bytes, after the family and the length.
const OWN_LAST_BITS: u32 = 40;

/// The image of the first block of the message of a cell that is found by its own value.
#[expect(clippy::as_conversions, reason = "kernel: the bits of a number")]
fn own_first(block: i128) -> u128 {
    const BEGINS: u128 = 0x03_0000_0010 << 88;
    (BEGINS | (block >> OWN_LAST_BITS) as u128 & ((1 << 88) - 1)).swap_bytes()
}

/// That of the second, and what fills it up.
#[expect(clippy::as_conversions, reason = "kernel: the bits of a number")]
fn own_last(block: i128) -> u128 {
    const PADDING: u128 = 0x80 << 80;
    ((block as u128) << (u128::BITS - OWN_LAST_BITS) | PADDING).swap_bytes()
}

/// The anchors of rows or cells, in their order: codes as images (`cmac.rs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    /// Zero for a row without one.
    codes: Vec<u128>,
    /// The rows without one; absent if all have one.
    nulls: Option<NullBuffer>,
}

impl Anchored {
    /// Of a code for every row, of which those count that have an anchor.
    fn of(codes: Vec<u128>, is_anchored: Vec<bool>) -> Self {
        let nulls = NullBuffer::from(is_anchored);
        Self {
            codes,
            nulls: (nulls.null_count() > 0).then_some(nulls),
        }
    }

    /// Of a code for every row that has an anchor.
    fn spread(codes: Vec<u128>, is_anchored: Vec<bool>) -> Self {
        if codes.len() == is_anchored.len() {
            return Self { codes, nulls: None };
        }
        let mut codes = codes.into_iter();
        let spread = is_anchored
            .iter()
            .map(|is_anchored| is_anchored.then(|| codes.next()).flatten());
        let spread = spread.map(Option::unwrap_or_default).collect();
        Self::of(spread, is_anchored)
    }

    /// How many rows there are, with an anchor and without.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The anchor of every row.
    pub fn iter(&self) -> impl Iterator<Item = Option<u128>> {
        let nulls = self.nulls.as_ref();
        let rows = self.codes.iter().enumerate();
        rows.map(move |(row, code)| {
            nulls
                .is_none_or(|nulls| nulls.is_valid(row))
                .then_some(*code)
        })
    }

    /// A code for every row, zero where it has no anchor.
    pub(super) fn codes(&self) -> &[u128] {
        &self.codes
    }

    /// The rows without an anchor; absent if all have one.
    pub(super) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }
}

/// A column that a row is found by.
pub(super) enum Part {
    /// Texts, to be brought to their form.
    Texts(StringArray),
    /// Texts that are in it.
    Forms(StringArray),
    /// Whole numbers, whose digits are their form.
    Numbers(Int64Array),
    /// What marks leave of a carrier's values.
    Blocks(Vec<Option<i128>>),
}

impl Part {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of Arrow's many types, those that are not named are written as text"
    )]
    pub(super) fn of(column: &ArrayRef) -> Result<Self, TreatmentError> {
        Ok(match column.data_type() {
            DataType::Date32 | DataType::Timestamp(_, _) => Self::Forms(texts(column)?),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => {
                let numbers =
                    cast(column, &DataType::Int64).map_err(|_| failed("reading numbers"))?;
                let numbers = numbers.as_primitive_opt().cloned();
                Self::Numbers(numbers.ok_or_else(|| failed("reading numbers"))?)
            }
            _ => Self::Texts(texts(column)?),
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) | Self::Forms(texts) => texts.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Blocks(blocks) => blocks.len(),
        }
    }

    /// Appends the form of a row's value, after its length; tells whether there is one.
    #[inline]
    fn push_prefixed(&self, row: usize, message: &mut Vec<u8>, scratch: &mut String) -> bool {
        match self {
            Self::Texts(texts) if texts.is_valid(row) => {
                let form = canonical::form(texts.value(row), scratch);
                push_prefixed(message, form.as_bytes());
                !form.is_empty()
            }
            Self::Forms(texts) if texts.is_valid(row) => {
                push_prefixed(message, texts.value(row).as_bytes());
                true
            }
            Self::Numbers(numbers) if numbers.is_valid(row) => {
                push_prefixed(message, Digits::of(numbers.value(row)).bytes());
                true
            }
            Self::Blocks(blocks) => {
                let block = blocks.get(row).copied().flatten();
                if let Some(block) = block {
                    push_prefixed(message, &block.to_be_bytes());
                }
                block.is_some()
            }
            Self::Texts(_) | Self::Forms(_) | Self::Numbers(_) => false,
        }
    }
}

/// The digits of a whole number, after its sign.
struct Digits {
    /// At their end.
    bytes: [u8; Self::MOST],
    count: usize,
}

impl Digits {
    /// Of `i64::MIN`.
    const MOST: usize = 20;

    fn of(number: i64) -> Self {
        let mut bytes = [b'0'; Self::MOST];
        let (mut rest, mut count) = (number.unsigned_abs(), 0);
        let (_, pairs) = bytes.as_rchunks_mut();
        for [tens, ones] in pairs.iter_mut().rev() {
            let pair = u8::try_from(rest % 100).unwrap_or_default();
            (*tens, *ones) = (b'0' + pair / 10, b'0' + pair % 10);
            rest /= 100;
            count += if pair < 10 && rest == 0 { 1 } else { 2 };
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            count += 1;
            if let Some(sign) = bytes.iter_mut().rev().nth(count - 1) {
                *sign = b'-';
            }
        }
        Self { bytes, count }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes
            .get(Self::MOST - self.count..)
            .unwrap_or_default()
    }
}

fn push_prefixed(message: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(part);
}

/// Values as text that `canonical.rs` brings to their form.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named have no form"
)]
fn texts(column: &ArrayRef) -> Result<StringArray, TreatmentError> {
    match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
            let text = cast(column, &DataType::Utf8).map_err(|_| failed("reading text"))?;
            text.as_string_opt()
                .cloned()
                .ok_or_else(|| failed("reading text"))
        }
        DataType::Float32 => Ok(floats::<Float32Type>(column)),
        DataType::Float64 => Ok(floats::<Float64Type>(column)),
        DataType::Timestamp(unit, zone) => {
            let write = Times {
                column,
                unit: *unit,
                zone: if zone.is_some() { "Z" } else { "" },
            };
            with_time(column.data_type(), write).ok_or_else(|| failed("reading times"))
        }
        DataType::Boolean
        | DataType::Date32
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => to_text(column),
        integer if integer.is_integer() => to_text(column),
        other => Err(TreatmentError::UnexpectedType {
            expected: DataType::Utf8,
            actual: other.clone(),
        }),
    }
}

/// The shortest decimal that is the float; null for what is no number.
fn floats<T>(column: &ArrayRef) -> StringArray
where
    T: ArrowPrimitiveType,
    T::Native: fmt::Display + Into<f64>,
{
    let mut texts = StringBuilder::new();
    let floats = column.as_primitive_opt::<T>();
    for float in floats.into_iter().flatten() {
        let finite = float.filter(|float| {
            let float: f64 = (*float).into();
            float.is_finite()
        });
        texts.append_option(finite.map(|float| float.to_string()));
    }
    texts.finish()
}

/// Writes timestamps as ISO 8601 has them, in UTC. Years before 0 and after 9999 have no form.
struct Times<'a> {
    column: &'a ArrayRef,
    unit: TimeUnit,
    zone: &'static str,
}

impl ForTime for Times<'_> {
    type Output = StringArray;

    fn call<T>(self) -> StringArray
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let mut texts = StringBuilder::new();
        let times: Option<&PrimitiveArray<T>> = self.column.as_primitive_opt();
        for time in times.into_iter().flatten() {
            texts.append_option(time.and_then(|time| self.text(time.into())));
        }
        texts.finish()
    }
}

impl Times<'_> {
    fn text(&self, time: i64) -> Option<String> {
        let parts = per_second(self.unit);
        let (second, part) = (time.div_euclid(parts), time.rem_euclid(parts));
        let date = Civil::of_days(second.div_euclid(DAY_SECONDS));
        if !(0..=9_999).contains(&date.year) {
            return None;
        }
        let mut text = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
        let clock = u32::try_from(second.rem_euclid(DAY_SECONDS)).ok()?;
        let mut fraction = String::new();
        write!(fraction, "{:09}", part * (1_000_000_000 / parts)).ok()?;
        let clock = [clock / 3_600, clock / 60 % 60, clock % 60];
        canonical::push_time(&mut text, clock, &fraction, self.zone);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
        Int64Array, TimestampMicrosecondArray,
    };

    use super::*;
    use crate::marks::key::PrfSuite;

    fn anchors() -> Anchors {
        Anchors::new(&MarkKey::derive(&[7; 32], "residents", 1, 1))
    }

    fn text(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn of(columns: &[&ArrayRef]) -> Vec<Option<u128>> {
        let anchored = anchors().of_rows(Family::Key, columns).unwrap();
        anchored.iter().collect()
    }

    #[test]
    fn an_anchor_is_the_code_of_family_and_parts() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1);
        let mut message = Messages::default();
        message.push(|bytes| bytes.extend_from_slice(b"\x02\0\0\0\x011\0\0\0\x03\xE5\xBC\xA0"));
        let cmac = Cmac::new(PrfSuite::Aes, &key.sub_key(SubKey::Anchor));
        let expected = cmac.codes(&message);
        let columns = [&text(&["01"]), &text(&[" 张"])];
        let own = anchors().of_rows(Family::Content, &columns).unwrap();
        assert!(own.iter().eq([Some(expected[0])]));
    }

    #[test]
    fn blocks_are_parts() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1);
        let mut message = Messages::default();
        message.push(|bytes| {
            bytes.extend_from_slice(b"\x02\0\0\0\x03\xE5\xBC\xA0\0\0\0\x10");
            bytes.extend_from_slice(&(-7_i128).to_be_bytes());
        });
        let expected = Cmac::new(PrfSuite::Aes, &key.sub_key(SubKey::Anchor)).codes(&message);
        let parts = |blocks: &[Option<i128>]| {
            let names = Part::of(&text(&["张", "王"])).unwrap();
            anchors().by_parts(Family::Content, &[names, Part::Blocks(blocks.to_vec())])
        };
        let own = parts(&[Some(-7), None]).unwrap();
        assert!(own.iter().eq([Some(expected[0]), None]));
        assert_ne!(parts(&[Some(7), None]).unwrap(), own);
        assert!(parts(&[Some(-7)]).is_err());
    }

    #[test]
    fn a_cell_found_by_its_own_value_is_the_code_of_its_block() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1);
        let cmac = Cmac::new(PrfSuite::Aes, &key.sub_key(SubKey::Anchor));
        let far = 1 << OWN_LAST_BITS;
        let small = [0, 1, -1, 4_711, -4_711, far - 1, -far];
        let large = [far, -far - 1, i128::MAX, i128::MIN, 5];
        for blocks in [&small[..], &large, &[small, [7; 7]].concat().repeat(20)] {
            let mut messages = Messages::default();
            for block in blocks {
                messages.push(|bytes| {
                    bytes.extend_from_slice(b"\x03\0\0\0\x10");
                    bytes.extend_from_slice(&block.to_be_bytes());
                });
            }
            let blocks: Vec<Option<i128>> = blocks.iter().copied().map(Some).collect();
            let anchored = anchors().of_blocks(&blocks);
            let expected = cmac.codes(&messages).into_iter();
            assert!(anchored.iter().eq(expected.map(Some)));
        }
        let anchored = anchors().of_blocks(&[None, Some(3)]);
        let found: Vec<bool> = anchored.iter().map(|anchor| anchor.is_some()).collect();
        assert_eq!(found, [false, true]);
    }

    #[test]
    fn numbers_and_times_are_in_their_form() {
        let mut scratch = String::new();
        let mut numbers = vec![0, 9, 10, 99, 100, 12_345, i64::MAX, i64::MIN];
        numbers.extend((0..63).flat_map(|bit| [1 << bit, (1 << bit) - 1]));
        for number in numbers {
            for number in [number, number.wrapping_neg()] {
                let text = number.to_string();
                let digits = Digits::of(number);
                assert_eq!(digits.bytes(), text.as_bytes());
                canonical::write(&text, &mut scratch);
                assert_eq!(scratch, text);
            }
        }
        let seconds = (-200..200).map(|step| step * 987_654_321 + 86_400 * (step % 3));
        let moments: PrimitiveArray<arrow::datatypes::TimestampMillisecondType> =
            seconds.map(|second| Some(second * 500)).collect();
        let days: Date32Array = (-400..400).map(|step| Some(step * 1_787)).collect();
        let columns: [ArrayRef; 2] = [Arc::new(moments), Arc::new(days)];
        for column in columns {
            for text in texts(&column).unwrap().iter().flatten() {
                canonical::write(text, &mut scratch);
                assert_eq!(scratch, text);
            }
        }
    }

    #[test]
    fn a_position_is_the_code_of_family_field_and_anchor() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1);
        let mut message = Messages::default();
        message.push(|bytes| {
            bytes.extend_from_slice(b"\x01\0\0\0\x06income\0\0\0\0\0");
            bytes.extend_from_slice(&99_u128.to_be_bytes());
        });
        let cmac = Cmac::new(PrfSuite::Aes, &key.sub_key(SubKey::Position));
        let expected = [Position::new(cmac.codes(&message)[0].swap_bytes())];
        let anchors = anchors();
        let anchor = [99_u128.swap_bytes()];
        let place = anchors.place(Family::Key, "income");
        assert_eq!(anchors.positions(place, &anchor), expected);
        for other in [(Family::Content, "income"), (Family::Key, "area")] {
            let place = anchors.place(other.0, other.1);
            assert_ne!(anchors.positions(place, &anchor), expected);
        }
    }

    #[test]
    fn each_suite_has_anchors_and_positions_of_its_own() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1).of_suite(PrfSuite::Sm4);
        let sm4 = Anchors::new(&key);
        let mut message = Messages::default();
        message.push(|bytes| bytes.extend_from_slice(b"\x01\0\0\0\x017"));
        let expected = Cmac::new(PrfSuite::Sm4, &key.sub_key(SubKey::Anchor)).codes(&message)[0];
        let column = text(&["7"]);
        let own = sm4.of_rows(Family::Key, &[&column]).unwrap();
        assert!(own.iter().eq([Some(expected)]));
        assert_ne!(of(&[&column]), [Some(expected)]);
        let place = |anchors: &Anchors| anchors.positions(anchors.place(Family::Key, "a"), &[7]);
        assert_ne!(place(&sm4), place(&anchors()));
    }

    #[test]
    fn a_value_has_one_anchor_whatever_type_it_comes_as() {
        let seven = of(&[&text(&["7"])]);
        let decimal = Decimal128Array::from(vec![700])
            .with_precision_and_scale(9, 2)
            .unwrap();
        let dictionary = cast(
            &text(&["7"]),
            &DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        );
        let columns: [ArrayRef; 6] = [
            Arc::new(Int32Array::from(vec![7])),
            Arc::new(decimal),
            Arc::new(Float64Array::from(vec![7.0])),
            Arc::new(Float32Array::from(vec![7.0])),
            cast(&text(&["7"]), &DataType::Utf8View).unwrap(),
            dictionary.unwrap(),
        ];
        for column in columns {
            assert_eq!(of(&[&column]), seven, "{}", column.data_type());
        }
        let moments =
            TimestampMicrosecondArray::from(vec![1_769_848_200_250_000, 1_769_817_600_000_000]);
        let moments: ArrayRef = Arc::new(moments);
        assert_eq!(
            of(&[&moments]),
            of(&[&text(&["2026/1/31 8:30:00.25", "2026-01-31"])])
        );
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![20_484]));
        assert_eq!(of(&[&dates]), of(&[&text(&["2026年1月31日"])]));
        let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        assert_eq!(of(&[&truths]), of(&[&text(&["true"])]));
    }

    #[test]
    fn a_row_without_a_value_has_no_anchor() {
        let one: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let other: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a"),
            Some("b"),
            Some(" "),
            None,
        ]));
        let found: Vec<bool> = of(&[&one, &other]).iter().map(Option::is_some).collect();
        assert_eq!(found, [true, false, false, false]);
        let nan: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN]));
        assert_eq!(of(&[&nan]), [None]);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = of(&[&text(&["ab"]), &text(&["c"])]);
        assert_ne!(one, of(&[&text(&["a"]), &text(&["bc"])]));
        let other = anchors().of_rows(Family::Content, &[&text(&["ab"]), &text(&["c"])]);
        assert!(!other.unwrap().iter().eq(one));
    }

    #[test]
    fn rows_do_not_depend_on_each_other() {
        let values: Vec<String> = (0..1_000)
            .map(|row| "x".repeat(row % 70 + 1) + &row.to_string())
            .collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let together = of(&[&text(&values)]);
        let apart: Vec<Option<u128>> = values
            .chunks(7)
            .flat_map(|part| of(&[&text(part)]))
            .collect();
        assert_eq!(together, apart);
        let sliced = text(&values).slice(100, 50);
        assert_eq!(of(&[&sliced]), together[100..150]);
    }

    #[test]
    fn a_type_without_a_form_is_refused() {
        let binary: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![&b"a"[..]]));
        assert!(anchors().of_rows(Family::Key, &[&binary]).is_err());
        let short = anchors().of_rows(Family::Key, &[&text(&["a"]), &text(&["a", "b"])]);
        assert!(short.is_err());
    }
}
