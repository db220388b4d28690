//! Anchors: how a cell of a leaked copy finds its position in the code again.
//!
//! An anchor is a pseudo-random number made of what identifies a row, taken from the values as they
//! are *released*, so that a trace needs nothing but the leak:
//!
//! `anchor = AES-CMAC(anchor key, family ‖ LP(part) ‖ …)`,
//! `position = AES-CMAC(position key, family ‖ LP(field) ‖ zeros to whole blocks ‖ anchor)`
//!
//! where the family is one byte, LP a 4-byte big-endian length followed by the bytes, and a part
//! the UTF-8 of a value's canonical form (`canonical.rs`). A row without one of the values has no
//! anchor, and carries no marks of that family.
//!
//! A leak that has lost its key columns is found by content, and one that is down to a single
//! column by the values of that column themselves, so not all fields should depend on one family.

use std::fmt;
use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, TimeUnit};

use super::canonical;
use super::cmac::{Cmac, Messages};
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
    /// Other columns that marks leave alone.
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
#[derive(Debug)]
pub struct Anchors {
    anchor: Cmac,
    position: Cmac,
}

/// What all positions of a field in one family begin with.
#[derive(Clone, Copy)]
pub struct Place(u128);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(..)")
    }
}

impl Anchors {
    /// Anchors under that key.
    pub fn new(key: &MarkKey) -> Self {
        Self {
            anchor: Cmac::new(&key.sub_key(SubKey::Anchor)),
            position: Cmac::new(&key.sub_key(SubKey::Position)),
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
    ) -> Result<Vec<Option<u128>>, TreatmentError> {
        let texts = columns
            .iter()
            .map(|column| texts(column))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = texts.first().map_or(0, Array::len);
        if texts.iter().any(|texts| texts.len() != rows) {
            return Err(failed("anchoring columns of different lengths"));
        }
        let mut messages = Messages::default();
        let mut is_anchored = Vec::with_capacity(rows);
        let mut form = String::new();
        for row in 0..rows {
            is_anchored.push(messages.push_whole(|bytes| {
                bytes.push(family.byte());
                texts.iter().all(|texts| {
                    if texts.is_null(row) {
                        return false;
                    }
                    canonical::write(texts.value(row), &mut form);
                    push_prefixed(bytes, form.as_bytes());
                    !form.is_empty()
                })
            }));
        }
        Ok(self.spread(&messages, is_anchored))
    }

    /// The anchor of every cell, from its block: what a mark leaves of its value.
    pub(super) fn of_blocks(&self, blocks: &[Option<i128>]) -> Vec<Option<u128>> {
        self.of_own(blocks.iter().map(|block| block.map(i128::to_be_bytes)))
    }

    /// The anchor of every cell, from what a mark leaves of it.
    pub(super) fn of_own<T: AsRef<[u8]>>(
        &self,
        lefts: impl Iterator<Item = Option<T>>,
    ) -> Vec<Option<u128>> {
        let mut messages = Messages::default();
        let mut is_anchored = Vec::with_capacity(lefts.size_hint().0);
        for left in lefts {
            is_anchored.push(left.is_some());
            if let Some(left) = left {
                messages.push(|bytes| {
                    bytes.push(Family::Own.byte());
                    push_prefixed(bytes, left.as_ref());
                });
            }
        }
        self.spread(&messages, is_anchored)
    }

    fn spread(
        &self,
        messages: &Messages,
        is_anchored: impl IntoIterator<Item = bool>,
    ) -> Vec<Option<u128>> {
        let mut codes = self.anchor.codes(messages).into_iter();
        let anchors = is_anchored.into_iter();
        anchors
            .map(|is_anchored| if is_anchored { codes.next() } else { None })
            .collect()
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
        let mut numbers = anchors.to_vec();
        self.position.finish(place.0, &mut numbers);
        numbers.into_iter().map(Position::new).collect()
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

    fn anchors() -> Anchors {
        Anchors::new(&MarkKey::derive(&[7; 32], "residents", 1, 1))
    }

    fn text(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn of(columns: &[&ArrayRef]) -> Vec<Option<u128>> {
        anchors().of_rows(Family::Key, columns).unwrap()
    }

    #[test]
    fn an_anchor_is_the_code_of_family_and_parts() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1);
        let mut message = Messages::default();
        message.push(|bytes| bytes.extend_from_slice(b"\x02\0\0\0\x011\0\0\0\x03\xE5\xBC\xA0"));
        let expected = Cmac::new(&key.sub_key(SubKey::Anchor)).codes(&message);
        let columns = [&text(&["01"]), &text(&[" 张"])];
        let own = anchors().of_rows(Family::Content, &columns).unwrap();
        assert_eq!(own, [Some(expected[0])]);
    }

    #[test]
    fn a_position_is_the_code_of_family_field_and_anchor() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1);
        let mut message = Messages::default();
        message.push(|bytes| {
            bytes.extend_from_slice(b"\x01\0\0\0\x06income\0\0\0\0\0");
            bytes.extend_from_slice(&99_u128.to_be_bytes());
        });
        let expected = Cmac::new(&key.sub_key(SubKey::Position)).codes(&message);
        let anchors = anchors();
        let place = anchors.place(Family::Key, "income");
        assert_eq!(
            anchors.positions(place, &[99]),
            [Position::new(expected[0])]
        );
        for other in [(Family::Content, "income"), (Family::Key, "area")] {
            let place = anchors.place(other.0, other.1);
            assert_ne!(
                anchors.positions(place, &[99]),
                [Position::new(expected[0])]
            );
        }
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
        assert_ne!(
            one,
            anchors()
                .of_rows(Family::Content, &[&text(&["ab"]), &text(&["c"])])
                .unwrap()
        );
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
