//! The driver of treatments of text: reads every physical form of text, asks the kernel for each
//! value, follows the options, and writes plain `Utf8` into fresh buffers.
//!
//! A dictionary is treated once per distinct value, then laid out by its keys.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AnyDictionaryArray, Array, ArrayRef, AsArray, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::cases::{Cases, Outcome, Rules, failed, to_text};
use crate::clusters;
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Context, Treated, Treatment};

/// What a kernel made of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Text, appended to the output.
    Text,
    /// The same, of which a wider part was kept than asked for.
    Widened,
    /// A null.
    Null,
}

/// What a treatment does to one value of text.
pub(crate) trait TextKernel: fmt::Debug + Send + Sync {
    /// Appends the treated value to `out`, or says why it can't, having appended nothing.
    /// The value isn't null, empty or a sentinel. `scratch` is reused from value to value.
    fn treat(
        &self,
        value: &str,
        out: &mut Vec<u8>,
        scratch: &mut Vec<usize>,
    ) -> Result<Written, Case>;

    /// The same for the value of a row, for kernels that read other fields of that row. They are
    /// never handed a dictionary, which is treated value by value.
    fn treat_row(
        &self,
        _row: usize,
        value: &str,
        out: &mut Vec<u8>,
        scratch: &mut Vec<usize>,
    ) -> Result<Written, Case> {
        self.treat(value, out, scratch)
    }

    /// Appends what covers a whole value of that many characters (`mask-all`).
    fn cover(&self, characters: usize, out: &mut Vec<u8>);

    /// Whether `mask-all` is a null here.
    fn covers_with_null(&self) -> bool {
        false
    }

    /// Whether `keep` keeps an empty value.
    fn keeps_empty(&self) -> bool {
        true
    }

    /// The bytes to reserve for `rows` values of together `bytes` bytes.
    fn output_bytes(&self, _rows: usize, bytes: usize) -> usize {
        bytes
    }

    /// The value that the null of a row counts as, where it gets a result like others; absent where
    /// it is decided about. Asked of kernels that treat value by value, never of a dictionary's.
    fn stand_in(&self, _row: usize) -> Option<&'static str> {
        None
    }

    /// How to treat many values together, where that is cheaper than one by one.
    fn together(&self) -> Option<&dyn TreatTogether> {
        None
    }
}

/// A kernel that treats many values together, with the results it would have one by one.
pub(crate) trait TreatTogether {
    /// Appends the treated values to `out`, in order, and to `ends` where each ends in `out`, or
    /// why there is none. The values are as for [`TextKernel::treat`].
    ///
    /// # Errors
    /// What keeps all of them from being treated.
    fn treat_together(
        &self,
        values: &[&str],
        out: &mut Vec<u8>,
        ends: &mut Vec<Result<usize, Case>>,
    ) -> Result<(), TreatmentError>;

    /// Treats one value as [`TextKernel::treat`] does.
    fn treat_alone(&self, value: &str, out: &mut Vec<u8>) -> Result<Written, Case> {
        let mut ends = Vec::with_capacity(1);
        self.treat_together(&[value], out, &mut ends)
            .map_err(|_| Case::Invalid)?;
        ends.pop()
            .unwrap_or(Err(Case::Invalid))
            .map(|_| Written::Text)
    }
}

/// Refuses a field that isn't text.
///
/// # Errors
/// The field is of another type.
pub(crate) fn only(kind: &str, column: Column<'_>) -> Result<(), Misfit> {
    if *column.data_type == DataType::Utf8 {
        return Ok(());
    }
    Err(Misfit::of_type(kind, column.data_type, "utf8"))
}

/// A kernel and the options it is used with.
#[derive(Debug)]
pub(crate) struct TextTreatment<K> {
    kernel: K,
    rules: Rules,
}

impl<K: TextKernel> TextTreatment<K> {
    pub(crate) fn new(kernel: K, options: &Options, column: Column<'_>) -> Result<Self, Misfit> {
        Ok(Self::with_rules(kernel, Rules::resolve(options, column)?))
    }

    /// With rules that are resolved for text already.
    pub(crate) fn with_rules(kernel: K, rules: Rules) -> Self {
        Self { kernel, rules }
    }

    /// Treats `rows` values, of together about `bytes` bytes.
    fn treat_rows<'a>(
        &self,
        rows: usize,
        bytes: usize,
        value_of: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<Treated, TreatmentError> {
        self.treat_rows_or(rows, bytes, |row| value_of(row).ok_or(Case::Null))
    }

    /// The same, where a row without text may be in a case other than null.
    fn treat_rows_or<'a>(
        &self,
        rows: usize,
        bytes: usize,
        value_of: impl Fn(usize) -> Result<&'a str, Case>,
    ) -> Result<Treated, TreatmentError> {
        if let Some(kernel) = self.kernel.together() {
            let reserved = self.kernel.output_bytes(rows, bytes);
            let (slots, texts) = self.treat_slots(rows, reserved, &value_of, kernel)?;
            return self.lay_out(rows, &texts, |row| {
                let slot = slots.get(row).unwrap_or(&Slot::NULL);
                (slot, value_of(row).unwrap_or_default())
            });
        }
        let mut cases = self.rules.cases(rows);
        let mut out = TextBuilder::new(rows, self.kernel.output_bytes(rows, bytes));
        let mut scratch = Vec::new();
        for row in 0..rows {
            let value = value_of(row);
            let stand_in = match value {
                Err(Case::Null) => self.kernel.stand_in(row),
                _ => None,
            };
            if let Some(stand_in) = stand_in {
                let written = self
                    .kernel
                    .treat_row(row, stand_in, &mut out.bytes, &mut scratch);
                match written {
                    Ok(written @ (Written::Text | Written::Widened)) => {
                        cases.synthesized();
                        cases.widened(written == Written::Widened);
                        out.close()?;
                    }
                    Ok(Written::Null) => {
                        cases.synthesized();
                        out.null()?;
                    }
                    // What the row says of the person can't be used, as for a value.
                    Err(_) => {
                        let class = Class::Case(Case::Invalid);
                        self.settle(row, stand_in, class, &mut cases, &mut out)?;
                    }
                }
                continue;
            }
            let class = self.classify(value, |value| {
                self.kernel
                    .treat_row(row, value, &mut out.bytes, &mut scratch)
            });
            match class {
                Class::Text | Class::Widened => {
                    cases.widened(matches!(class, Class::Widened));
                    out.close()?;
                }
                Class::Null => out.null()?,
                class @ (Class::Sentinel | Class::Case(_)) => {
                    let value = value.unwrap_or_default();
                    self.settle(row, value, class, &mut cases, &mut out)?;
                }
            }
        }
        Ok(cases.finish(out.finish()?))
    }

    /// Treats the text forms of the values of another type; a value without one is invalid.
    pub(crate) fn treat_texts_of(
        &self,
        values: &dyn Array,
        texts: &StringArray,
    ) -> Result<Treated, TreatmentError> {
        let bytes = text_bytes(texts.value_offsets());
        self.treat_rows_or(texts.len(), bytes, |row| match texts.is_valid(row) {
            true => Ok(texts.value(row)),
            false if values.is_valid(row) => Err(Case::Invalid),
            false => Err(Case::Null),
        })
    }

    /// Treats each distinct value once, then lays the results out by the keys.
    fn treat_dictionary(
        &self,
        dictionary: &dyn AnyDictionaryArray,
    ) -> Result<Treated, TreatmentError> {
        let rows = dictionary.len();
        let values = dictionary.values();
        if values.is_empty() || dictionary.null_count() == rows {
            return self.treat_rows(rows, 0, |_| None);
        }
        let keys = dictionary.normalized_keys();
        let nulls = dictionary.nulls();
        let value_of = text_getter(values).ok_or_else(|| unexpected(dictionary.data_type()))?;
        let key_of = |row: usize| {
            let key = *keys.get(row)?;
            nulls.is_none_or(|nulls| nulls.is_valid(row)).then_some(key)
        };
        if values.len() > rows {
            return self.treat_rows(rows, 0, |row| key_of(row).and_then(&value_of));
        }
        let (slots, texts) = self.treat_distinct(values.len(), &value_of)?;
        self.lay_out(rows, &texts, |row| {
            let key = key_of(row);
            let slot = key.and_then(|key| slots.get(key)).unwrap_or(&Slot::NULL);
            (slot, key.and_then(&value_of).unwrap_or_default())
        })
    }

    /// Writes rows whose values were treated already: what became of each, and the value.
    fn lay_out<'a>(
        &self,
        rows: usize,
        texts: &[u8],
        slot_of: impl Fn(usize) -> (&'a Slot, &'a str),
    ) -> Result<Treated, TreatmentError> {
        let mut cases = self.rules.cases(rows);
        let mut out = TextBuilder::new(rows, texts.len());
        for row in 0..rows {
            let (slot, value) = slot_of(row);
            match slot.class {
                class @ (Class::Text | Class::Widened) => {
                    cases.widened(matches!(class, Class::Widened));
                    out.bytes
                        .extend_from_slice(texts.get(slot.text.clone()).unwrap_or_default());
                    out.close()?;
                }
                Class::Null => out.null()?,
                class @ (Class::Sentinel | Class::Case(_)) => {
                    self.settle(row, value, class, &mut cases, &mut out)?;
                }
            }
        }
        Ok(cases.finish(out.finish()?))
    }

    /// Treats the values of rows together: what became of each, and the treated texts.
    fn treat_slots<'a>(
        &self,
        rows: usize,
        bytes: usize,
        value_of: impl Fn(usize) -> Result<&'a str, Case>,
        kernel: &dyn TreatTogether,
    ) -> Result<(Vec<Slot>, Vec<u8>), TreatmentError> {
        let mut slots = Vec::with_capacity(rows);
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            let class = match self.sort_out(value_of(row)) {
                Ok(value) => {
                    values.push(value);
                    Class::Text
                }
                Err(class) => class,
            };
            slots.push(Slot { class, text: 0..0 });
        }
        let mut texts = Vec::with_capacity(bytes);
        let mut ends = Vec::with_capacity(values.len());
        kernel.treat_together(&values, &mut texts, &mut ends)?;
        let mut start = 0;
        let mut ends = ends.into_iter();
        for slot in &mut slots {
            if !matches!(slot.class, Class::Text) {
                continue;
            }
            match ends.next().unwrap_or(Err(Case::Invalid)) {
                Ok(end) => {
                    slot.text = start..end;
                    start = end;
                }
                Err(case) => slot.class = Class::Case(case),
            }
        }
        Ok((slots, texts))
    }

    fn treat_distinct<'a>(
        &self,
        distinct: usize,
        value_of: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<(Vec<Slot>, Vec<u8>), TreatmentError> {
        if let Some(kernel) = self.kernel.together() {
            let value_of = |index| value_of(index).ok_or(Case::Null);
            return self.treat_slots(distinct, 0, value_of, kernel);
        }
        let mut bytes = Vec::new();
        let mut scratch = Vec::new();
        let slots = (0..distinct).map(|index| {
            let start = bytes.len();
            let class = self.classify(value_of(index).ok_or(Case::Null), |value| {
                self.kernel.treat(value, &mut bytes, &mut scratch)
            });
            Slot {
                class,
                text: start..bytes.len(),
            }
        });
        Ok((slots.collect(), bytes))
    }

    /// Treats one value, or says which decision it needs.
    fn classify(
        &self,
        value: Result<&str, Case>,
        treat: impl FnOnce(&str) -> Result<Written, Case>,
    ) -> Class {
        let value = match self.sort_out(value) {
            Ok(value) => value,
            Err(class) => return class,
        };
        match treat(value) {
            Ok(Written::Text) => Class::Text,
            Ok(Written::Widened) => Class::Widened,
            Ok(Written::Null) => Class::Null,
            Err(case) => Class::Case(case),
        }
    }

    /// The value if it is one for the kernel.
    fn sort_out<'a>(&self, value: Result<&'a str, Case>) -> Result<&'a str, Class> {
        let value = value.map_err(Class::Case)?;
        if self.rules.is_sentinel(value) {
            return Err(Class::Sentinel);
        }
        if is_blank(value) {
            return Err(Class::Case(Case::Empty));
        }
        Ok(value)
    }

    /// Writes a value that needs a decision.
    fn settle(
        &self,
        row: usize,
        value: &str,
        class: Class,
        cases: &mut Cases<'_>,
        out: &mut TextBuilder,
    ) -> Result<(), TreatmentError> {
        let Class::Case(case) = class else {
            cases.sentinel();
            out.bytes.extend_from_slice(value.as_bytes());
            return out.close();
        };
        match cases.decide(row, case)? {
            Outcome::Keep if self.kernel.keeps_empty() => {
                out.bytes.extend_from_slice(value.as_bytes());
                out.close()
            }
            Outcome::MaskAll if !self.kernel.covers_with_null() => {
                self.kernel.cover(clusters::count(value), &mut out.bytes);
                out.close()
            }
            Outcome::Keep | Outcome::MaskAll | Outcome::Null => out.null(),
        }
    }
}

/// A treatment of the text forms of values other than text.
#[derive(Debug)]
pub(crate) struct TextsOf<K> {
    data_type: DataType,
    text: TextTreatment<K>,
}

impl<K: TextKernel> TextsOf<K> {
    /// Treats values of that type with a kernel for their texts; `rules` are those of the values.
    ///
    /// # Errors
    /// A sentinel that has no text form.
    pub(crate) fn new(data_type: &DataType, kernel: K, rules: &Rules) -> Result<Self, Misfit> {
        Ok(Self {
            data_type: data_type.clone(),
            text: TextTreatment::with_rules(kernel, rules.as_text()?),
        })
    }
}

impl<K: TextKernel> Treatment for TextsOf<K> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        if *column.data_type() != self.data_type {
            return Err(TreatmentError::UnexpectedType {
                expected: self.data_type.clone(),
                actual: column.data_type().clone(),
            });
        }
        self.text.treat_texts_of(column, &to_text(column)?)
    }
}

impl<K: TextKernel> Treatment for TextTreatment<K> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        if let Some(dictionary) = column.as_any_dictionary_opt() {
            return self.treat_dictionary(dictionary);
        }
        let rows = column.len();
        if let Some(array) = column.as_string_opt::<i32>() {
            let bytes = text_bytes(array.value_offsets());
            return self.treat_rows(rows, bytes, |row| {
                array.is_valid(row).then(|| array.value(row))
            });
        }
        if let Some(array) = column.as_string_opt::<i64>() {
            let bytes = text_bytes(array.value_offsets());
            return self.treat_rows(rows, bytes, |row| {
                array.is_valid(row).then(|| array.value(row))
            });
        }
        if let Some(array) = column.as_string_view_opt() {
            let bytes = array
                .lengths()
                .map(|length| usize::try_from(length).unwrap_or(0))
                .sum();
            return self.treat_rows(rows, bytes, |row| {
                array.is_valid(row).then(|| array.value(row))
            });
        }
        Err(unexpected(column.data_type()))
    }
}

fn unexpected(actual: &DataType) -> TreatmentError {
    TreatmentError::UnexpectedType {
        expected: DataType::Utf8,
        actual: actual.clone(),
    }
}

/// The bytes that a slice of text covers.
fn text_bytes<O: Copy + TryInto<usize>>(offsets: &[O]) -> usize {
    let at = |offset: Option<&O>| {
        offset
            .and_then(|offset| (*offset).try_into().ok())
            .unwrap_or(0)
    };
    at(offsets.last()).saturating_sub(at(offsets.first()))
}

/// Reads the value of a row; `None` for a null.
pub(crate) type TextGetter<'a> = Box<dyn Fn(usize) -> Option<&'a str> + 'a>;

/// Reads values of any physical form of text; `None` for other arrays.
pub(crate) fn text_getter(array: &ArrayRef) -> Option<TextGetter<'_>> {
    if let Some(array) = array.as_string_opt::<i32>() {
        return Some(Box::new(|row| {
            array.is_valid(row).then(|| array.value(row))
        }));
    }
    if let Some(array) = array.as_string_opt::<i64>() {
        return Some(Box::new(|row| {
            array.is_valid(row).then(|| array.value(row))
        }));
    }
    let array = array.as_string_view_opt()?;
    Some(Box::new(|row| {
        array.is_valid(row).then(|| array.value(row))
    }))
}

/// Whether a value is empty or white space only.
#[inline]
pub(crate) fn is_blank(value: &str) -> bool {
    // Nearly every value begins with what is no white space by its first byte alone.
    match value.as_bytes().first() {
        Some(b'!'..=b'~' | 0xE4..=0xE9) => false,
        _ => value.chars().all(char::is_whitespace),
    }
}

/// Whether there is white space (Unicode White_Space) in a value.
pub(crate) fn has_white_space(value: &str) -> bool {
    // White space other than ASCII's begins with one of these bytes, and most text has none of them
    // but E3, of which only U+3000 is white.
    let suspicious = |byte: &u8| *byte <= b' ' || matches!(*byte, 0xC2 | 0xE1..=0xE3);
    value.as_bytes().iter().any(suspicious) && value.contains(char::is_whitespace)
}

/// What became of a value, or what has to be decided.
#[derive(Debug, Clone, Copy)]
enum Class {
    Text,
    /// Text of which a wider part was kept than asked for.
    Widened,
    Null,
    Sentinel,
    Case(Case),
}

/// What became of one distinct value of a dictionary.
struct Slot {
    class: Class,
    text: Range<usize>,
}

impl Slot {
    const NULL: Self = Self {
        class: Class::Case(Case::Null),
        text: 0..0,
    };
}

/// A text array being written: bytes are appended, then the value is closed.
pub(crate) struct TextBuilder {
    pub(crate) bytes: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl TextBuilder {
    pub(crate) fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows.saturating_add(1));
        offsets.push(0);
        Self {
            bytes: Vec::with_capacity(bytes),
            offsets,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    #[inline]
    fn end(&mut self) -> Result<(), TreatmentError> {
        let end = i32::try_from(self.bytes.len()).map_err(|_| TreatmentError::TooLarge)?;
        self.offsets.push(end);
        Ok(())
    }

    #[inline]
    pub(crate) fn close(&mut self) -> Result<(), TreatmentError> {
        self.nulls.append_non_null();
        self.end()
    }

    pub(crate) fn null(&mut self) -> Result<(), TreatmentError> {
        self.nulls.append_null();
        self.end()
    }

    pub(crate) fn finish(mut self) -> Result<ArrayRef, TreatmentError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let array = StringArray::try_new(offsets, Buffer::from(self.bytes), self.nulls.finish())
            .map_err(|_| failed("assembling treated text"))?;
        Ok(Arc::new(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_white_space_is_seen_and_nothing_else() {
        for character in '\0'..=char::MAX {
            let text = format!("张{character}三");
            assert_eq!(
                has_white_space(&text),
                character.is_whitespace(),
                "{character:?}"
            );
        }
    }
}
