//! Administrative divisions (GB/T 2260 and the longer codes built on it) by prefix.
//!
//! A code is 2 to 12 ASCII digits; anything else, null included, is malformed and drops the row. A
//! code of that length always lies within an Arrow view, so views are decided without a look at any
//! data buffer.
#![expect(
    clippy::as_conversions,
    reason = "widening casts and the documented layout of Arrow's views, on the hot path"
)]

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericStringArray, OffsetSizeTrait, RecordBatch, StringViewArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::scalar::ScalarValue;

use super::RowFilterError;
use crate::id::{DIVISION_DIGITS, is_division};
use crate::plan::predicate::BindError;

/// Most digits of a code.
const DIGITS_MAX: usize = *DIVISION_DIGITS.end();
/// Most prefixes that are worth a hint to the source.
const PRUNING_PREFIXES_MAX: usize = 64;
/// The digit `0` in each of the 12 places.
const ZEROES: u128 = 0x3030_3030_3030_3030_3030_3030;
/// Lifts any byte above 9 to its highest bit.
const ABOVE_NINE: u128 = 0x7676_7676_7676_7676_7676_7676;
/// The highest bit of each of the 12 places.
const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080;

/// Passes rows whose division code begins with one of the prefixes.
pub(super) struct DivisionFilter {
    field: String,
    /// Prefix-free and in ascending order, so that one search finds the only candidate.
    prefixes: Vec<Prefix>,
}

struct Prefix {
    digits: String,
    /// The digits as big-endian number, left-aligned in 12 places: their order is text order.
    ordered: u128,
    /// Selects the places of the prefix.
    mask: u128,
}

impl DivisionFilter {
    /// # Errors
    /// The field is not a text field of `fields`, or a prefix is not 2 to 12 digits.
    pub(super) fn new(
        field: &str,
        divisions: &[String],
        fields: &SchemaRef,
    ) -> Result<Self, RowFilterError> {
        let refuse = |what| RowFilterError::Division {
            field: field.to_owned(),
            what,
        };
        match fields.field_with_name(field) {
            Ok(found) if *found.data_type() == DataType::Utf8 => {}
            Ok(_) => return Err(refuse("is not text")),
            Err(_) => return Err(refuse("is not a field of the dataset")),
        }
        let mut sorted = Vec::with_capacity(divisions.len());
        for (index, digits) in divisions.iter().enumerate() {
            if !is_division(digits) {
                return Err(RowFilterError::Prefix { index: index + 1 });
            }
            sorted.push(digits.as_str());
        }
        sorted.sort_unstable();
        let mut prefixes: Vec<Prefix> = Vec::with_capacity(sorted.len());
        for digits in sorted {
            let covered = prefixes
                .last()
                .is_some_and(|last| digits.starts_with(&last.digits));
            if !covered {
                prefixes.push(Prefix::new(digits));
            }
        }
        Ok(Self {
            field: field.to_owned(),
            prefixes,
        })
    }

    pub(super) fn field(&self) -> &str {
        &self.field
    }

    /// Whether each row of the batch passes.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanBuffer, BindError> {
        let column = batch
            .column_by_name(&self.field)
            .ok_or_else(|| BindError::Missing(self.field.clone()))?;
        self.decide(column)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "text has these forms and no others"
    )]
    fn decide(&self, column: &ArrayRef) -> Result<BooleanBuffer, BindError> {
        let passed = match column.data_type() {
            DataType::Utf8View => self.decide_views(column.as_string_view()),
            DataType::Utf8 => self.decide_offsets::<i32>(column.as_string()),
            DataType::LargeUtf8 => self.decide_offsets::<i64>(column.as_string()),
            DataType::Dictionary(..) => {
                let dictionary = column.as_any_dictionary();
                if dictionary.values().is_empty() {
                    return Ok(BooleanBuffer::new_unset(column.len()));
                }
                let values = self.decide(dictionary.values())?;
                let keys = dictionary.normalized_keys();
                BooleanBuffer::collect_bool(column.len(), |row| {
                    keys.get(row)
                        .is_some_and(|key| *key < values.len() && values.value(*key))
                })
            }
            actual => {
                return Err(BindError::Type {
                    name: self.field.clone(),
                    actual: actual.clone(),
                    declared: DataType::Utf8,
                });
            }
        };
        Ok(match column.nulls() {
            Some(nulls) => &passed & nulls.inner(),
            None => passed,
        })
    }

    fn decide_views(&self, column: &StringViewArray) -> BooleanBuffer {
        let views = column.views();
        // A view is the length in 4 bytes, then the bytes themselves where there are at most 12,
        // padded with zeroes.
        let code = |row: usize| {
            let view = views.get(row).copied().unwrap_or_default();
            (view as u32 as usize, view >> 32)
        };
        self.decide_codes(column.len(), code)
    }

    fn decide_offsets<O: OffsetSizeTrait>(&self, column: &GenericStringArray<O>) -> BooleanBuffer {
        let (offsets, bytes) = (column.value_offsets(), column.value_data());
        let code = |row: usize| {
            let from = offsets.get(row).map_or(0, |offset| offset.as_usize());
            let to = offsets.get(row + 1).map_or(0, |offset| offset.as_usize());
            (to.saturating_sub(from), load(bytes, from, to))
        };
        self.decide_codes(column.len(), code)
    }

    /// Decides codes given as length and bytes, the first byte lowest.
    fn decide_codes(&self, rows: usize, code: impl Fn(usize) -> (usize, u128)) -> BooleanBuffer {
        if let [only] = self.prefixes.as_slice() {
            let wanted = (only.ordered.swap_bytes() >> 32) & only.mask;
            return BooleanBuffer::collect_bool(rows, |row| {
                let (length, bytes) = code(row);
                well_formed(length, bytes) & (bytes & only.mask == wanted)
            });
        }
        BooleanBuffer::collect_bool(rows, |row| {
            let (length, bytes) = code(row);
            well_formed(length, bytes) && self.matches(bytes)
        })
    }

    fn matches(&self, bytes: u128) -> bool {
        let ordered = (bytes << 32).swap_bytes();
        let above = self
            .prefixes
            .partition_point(|prefix| prefix.ordered <= ordered);
        above
            .checked_sub(1)
            .and_then(|index| self.prefixes.get(index))
            .is_some_and(|prefix| {
                let mask = (prefix.mask << 32).swap_bytes();
                ordered & mask == prefix.ordered
            })
    }

    /// `code >= '33' AND code < '34'` for each prefix; absent if there are too many.
    pub(super) fn pruning(&self, schema: &SchemaRef) -> Option<Arc<dyn PhysicalExpr>> {
        let (index, field) = schema.column_with_name(&self.field)?;
        if *field.data_type() != DataType::Utf8 || self.prefixes.len() > PRUNING_PREFIXES_MAX {
            return None;
        }
        let bound = |op, text: String| -> Arc<dyn PhysicalExpr> {
            let column = Arc::new(Column::new(&self.field, index));
            let literal = Arc::new(Literal::new(ScalarValue::Utf8(Some(text))));
            Arc::new(BinaryExpr::new(column, op, literal))
        };
        let mut any: Option<Arc<dyn PhysicalExpr>> = None;
        for prefix in &self.prefixes {
            let low = bound(Operator::GtEq, prefix.digits.clone());
            let high = bound(Operator::Lt, prefix.end());
            let range: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(low, Operator::And, high));
            any = Some(match any {
                Some(any) => Arc::new(BinaryExpr::new(any, Operator::Or, range)),
                None => range,
            });
        }
        any
    }
}

impl fmt::Debug for DivisionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DivisionFilter")
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

impl Prefix {
    fn new(digits: &str) -> Self {
        let bytes = load(digits.as_bytes(), 0, digits.len());
        let mask = (1_u128 << (8 * digits.len())) - 1;
        Self {
            digits: digits.to_owned(),
            ordered: (bytes << 32).swap_bytes(),
            mask,
        }
    }

    /// The least text that is above every code of the prefix. `:` follows `9` in ASCII.
    fn end(&self) -> String {
        let mut characters: Vec<char> = self.digits.chars().collect();
        if let Some(last) = characters.last_mut() {
            *last = char::from(u8::try_from(*last).unwrap_or(b'9') + 1);
        }
        characters.into_iter().collect()
    }
}

/// Up to 12 bytes, the first one lowest; 0 where there are more, which are malformed anyway.
#[inline]
fn load(bytes: &[u8], from: usize, to: usize) -> u128 {
    // One load where 16 bytes are there; what lies behind the value is cut off.
    let length = to.saturating_sub(from);
    if length > DIGITS_MAX {
        return 0;
    }
    let keep = (1_u128 << (8 * length)) - 1;
    if let Some(Ok(block)) = bytes.get(from..from + 16).map(<[u8; 16]>::try_from) {
        return u128::from_le_bytes(block) & keep;
    }
    let value = bytes.get(from..to).unwrap_or_default();
    value
        .iter()
        .rev()
        .fold(0, |loaded, byte| (loaded << 8) | u128::from(*byte))
}

/// Whether it is 2 to 12 ASCII digits, padded with zero bytes.
#[inline]
fn well_formed(length: usize, bytes: u128) -> bool {
    if !DIVISION_DIGITS.contains(&length) {
        return false;
    }
    let places = (1_u128 << (8 * length)) - 1;
    let digits = bytes ^ (ZEROES & places);
    // A byte above 9 shows in its highest bit, or the sum carries it there. A carry out of a byte
    // can only come from one that shows already.
    ((digits.wrapping_add(ABOVE_NINE)) | digits) & HIGH_BITS == 0
}
