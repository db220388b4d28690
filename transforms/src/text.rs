//! The driver of treatments of text: reads every physical form of text, asks the kernel for each
//! value, follows the options, and writes plain `Utf8` into fresh buffers.
//!
//! A dictionary is treated once per distinct value, then laid out by its keys.

use std::fmt::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    AnyDictionaryArray, Array, ArrayRef, AsArray, BooleanBufferBuilder, StringArray, StringBuilder,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::cases::{Cases, Outcome, Rules, failed, to_text};
use crate::clusters;
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Context, Treated, Treatment};
use crate::words;

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

/// What kernels append results to.
///
/// Bytes are checked to be UTF-8 when the array is assembled, which costs next to nothing for ASCII,
/// and half as much as the whole mask for Han text. Text needs no check, but can't be written over.
/// So masks, whose results are pieces of text, write [whichever is faster](MaskTreatment).
pub(crate) trait Output: Default {
    /// How an array of results is written.
    type Column: TextColumn<Self>;

    fn push(&mut self, text: &str);

    fn length(&self) -> usize;

    /// Takes back what was appended beyond so many bytes.
    fn truncate(&mut self, length: usize);

    /// Whether what was appended beyond so many bytes is that text.
    fn ends_with(&self, length: usize, text: &str) -> bool;

    /// Brings what was appended beyond so many bytes to lower case, as far as it is ASCII.
    fn make_lowercase(&mut self, length: usize);

    /// Appends `text` with `fill` over its bytes from `head` to `tail`; or returns false, having
    /// appended nothing.
    fn push_filled(&mut self, _text: &str, _head: usize, _tail: usize, _fill: u8) -> bool {
        false
    }

    /// Appends `text`, of which every byte is a character, with other ASCII characters in their
    /// places; or returns false, having appended nothing.
    fn push_mapped(&mut self, _text: &str, _map: impl Fn(u8) -> u8) -> bool {
        false
    }

    /// Appends text that is neither taken back nor looked at again, before or instead of all other
    /// text of its row. It may save that text a copy.
    #[inline(always)]
    fn push_final(&mut self, text: &str) {
        self.push(text);
    }

    /// What was appended, as text.
    ///
    /// # Errors
    /// It isn't UTF-8.
    fn into_text(self) -> Result<String, TreatmentError>;
}

/// A text array being written: a result is appended to [`out`](Self::out), then the row is closed.
pub(crate) trait TextColumn<O>: Sized {
    /// Of that many rows, of together about `bytes` bytes.
    fn new(rows: usize, bytes: usize) -> Self;

    /// What the result of a row is appended to.
    fn out(&mut self) -> &mut O;

    /// Closes a row with what was appended.
    ///
    /// # Errors
    /// The array is full.
    fn close(&mut self) -> Result<(), TreatmentError>;

    /// Closes a row with a null.
    ///
    /// # Errors
    /// As [`Self::close`].
    fn null(&mut self) -> Result<(), TreatmentError>;

    /// # Errors
    /// Not all of it is UTF-8.
    fn finish(self) -> Result<ArrayRef, TreatmentError>;
}

impl Output for Vec<u8> {
    type Column = TextBuilder;

    #[inline(always)]
    fn push(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    fn length(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, length: usize) {
        self.truncate(length);
    }

    #[inline(always)]
    fn ends_with(&self, length: usize, text: &str) -> bool {
        self.len() == length + text.len() && self.get(length..) == Some(text.as_bytes())
    }

    fn make_lowercase(&mut self, length: usize) {
        self.get_mut(length..)
            .unwrap_or_default()
            .make_ascii_lowercase();
    }

    #[inline(always)]
    fn push_filled(&mut self, text: &str, head: usize, tail: usize, fill: u8) -> bool {
        // Checked before anything is appended: what can't be hidden isn't there.
        if text.as_bytes().get(head..tail).is_none() {
            return false;
        }
        let start = self.len();
        self.extend_from_slice(text.as_bytes());
        if let Some(hidden) = self.get_mut(start + head..start + tail) {
            hidden.fill(fill);
        }
        true
    }

    #[inline(always)]
    fn push_mapped(&mut self, text: &str, map: impl Fn(u8) -> u8) -> bool {
        self.extend(text.bytes().map(map));
        true
    }

    fn into_text(self) -> Result<String, TreatmentError> {
        String::from_utf8(self).map_err(|_| failed("assembling treated text"))
    }
}

/// Text that a mask appends to: the row that isn't closed yet, or rows that go into no array.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What may be taken back.
    text: String,
    /// The array that final text is appended to at once, where there is one.
    array: Option<Growing>,
}

/// A text array that grows by rows of text.
#[derive(Debug)]
struct Growing {
    array: StringBuilder,
    /// How many more bytes the array can take: beyond that, the builder would panic.
    left: usize,
    /// Whether a row had no room, so that it can't be closed.
    is_full: bool,
}

impl Growing {
    fn new(rows: usize, bytes: usize) -> Self {
        Self {
            array: StringBuilder::with_capacity(rows, bytes),
            left: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            is_full: false,
        }
    }

    /// Appends part of a row.
    #[inline(always)]
    fn push(&mut self, text: &str) {
        match self.left.checked_sub(text.len()) {
            Some(left) if self.array.write_str(text).is_ok() => self.left = left,
            Some(_) | None => self.is_full = true,
        }
    }

    /// Closes a row with the last of its text.
    #[inline(always)]
    fn close(&mut self, text: &str) -> Result<(), TreatmentError> {
        if self.is_full || text.len() > self.left {
            return Err(TreatmentError::TooLarge);
        }
        self.left -= text.len();
        self.array.append_value(text);
        Ok(())
    }
}

impl Output for Line {
    type Column = Lines;

    #[inline(always)]
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.text.len()
    }

    fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
    }

    #[inline(always)]
    fn ends_with(&self, length: usize, text: &str) -> bool {
        self.text.len() == length + text.len() && self.text.get(length..) == Some(text)
    }

    fn make_lowercase(&mut self, length: usize) {
        if let Some(text) = self.text.get_mut(length..) {
            text.make_ascii_lowercase();
        }
    }

    #[inline(always)]
    fn push_final(&mut self, text: &str) {
        match &mut self.array {
            Some(array) => array.push(text),
            None => self.text.push_str(text),
        }
    }

    fn into_text(self) -> Result<String, TreatmentError> {
        Ok(self.text)
    }
}

/// What a treatment does to one value of text.
pub(crate) trait TextKernel<O: Output = Vec<u8>>: fmt::Debug + Send + Sync {
    /// Appends the treated value to `out`, or says why it can't, having appended nothing.
    /// The value isn't null, empty or a sentinel. `scratch` is reused from value to value.
    fn treat(&self, value: &str, out: &mut O, scratch: &mut Vec<usize>) -> Result<Written, Case>;

    /// The same for the value of a row, for kernels that read other fields of that row. They are
    /// never handed a dictionary, which is treated value by value.
    fn treat_row(
        &self,
        _row: usize,
        value: &str,
        out: &mut O,
        scratch: &mut Vec<usize>,
    ) -> Result<Written, Case> {
        self.treat(value, out, scratch)
    }

    /// Appends what covers a whole value of that many characters (`mask-all`).
    fn cover(&self, characters: usize, out: &mut O);

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

impl<K> TextTreatment<K> {
    pub(crate) fn new(kernel: K, options: &Options, column: Column<'_>) -> Result<Self, Misfit> {
        Ok(Self::with_rules(kernel, Rules::resolve(options, column)?))
    }

    /// With rules that are resolved for text already.
    pub(crate) fn with_rules(kernel: K, rules: Rules) -> Self {
        Self { kernel, rules }
    }

    /// Treats a column of any physical form of text.
    fn treat_column<O: Output>(&self, column: &ArrayRef) -> Result<Treated, TreatmentError>
    where
        K: TextKernel<O>,
    {
        if let Some(dictionary) = column.as_any_dictionary_opt() {
            return self.treat_dictionary::<O>(dictionary);
        }
        let rows = column.len();
        if let Some(array) = column.as_string_opt::<i32>() {
            let bytes = text_bytes(array.value_offsets());
            return self.treat_rows::<O>(rows, bytes, |row| {
                array.is_valid(row).then(|| array.value(row))
            });
        }
        if let Some(array) = column.as_string_opt::<i64>() {
            let bytes = text_bytes(array.value_offsets());
            return self.treat_rows::<O>(rows, bytes, |row| {
                array.is_valid(row).then(|| array.value(row))
            });
        }
        if let Some(array) = column.as_string_view_opt() {
            let bytes = array
                .lengths()
                .map(|length| usize::try_from(length).unwrap_or(0))
                .sum();
            return self.treat_rows::<O>(rows, bytes, |row| {
                array.is_valid(row).then(|| array.value(row))
            });
        }
        Err(unexpected(column.data_type()))
    }

    /// Treats `rows` values, of together about `bytes` bytes.
    fn treat_rows<'a, O: Output>(
        &self,
        rows: usize,
        bytes: usize,
        value_of: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<Treated, TreatmentError>
    where
        K: TextKernel<O>,
    {
        self.treat_rows_or::<O>(rows, bytes, |row| value_of(row).ok_or(Case::Null))
    }

    /// The same, where a row without text may be in a case other than null.
    fn treat_rows_or<'a, O: Output>(
        &self,
        rows: usize,
        bytes: usize,
        value_of: impl Fn(usize) -> Result<&'a str, Case>,
    ) -> Result<Treated, TreatmentError>
    where
        K: TextKernel<O>,
    {
        if let Some(kernel) = self.kernel.together() {
            let reserved = self.kernel.output_bytes(rows, bytes);
            let (slots, texts) = self.treat_slots(rows, reserved, &value_of, kernel)?;
            return self.lay_out::<O>(rows, texts.len(), |row| {
                let slot = slots.get(row).unwrap_or(&Slot::NULL);
                let text = texts.get(slot.text.clone()).unwrap_or_default();
                (slot.class, text, value_of(row).unwrap_or_default())
            });
        }
        let mut cases = self.rules.cases(rows);
        let mut out = O::Column::new(rows, self.kernel.output_bytes(rows, bytes));
        let mut scratch = Vec::new();
        let has_sentinels = !self.rules.no_sentinels();
        for row in 0..rows {
            let value = value_of(row);
            let class = match self.sort_out(value, has_sentinels) {
                Ok(value) => {
                    let written = self.kernel.treat_row(row, value, out.out(), &mut scratch);
                    Class::of(written)
                }
                Err(class) => class,
            };
            if matches!(class, Class::Text) {
                out.close()?;
                continue;
            }
            self.write_other::<O>(row, value, class, &mut cases, &mut out, &mut scratch)?;
        }
        Ok(cases.finish(out.finish()?))
    }

    /// Writes a row of which the kernel didn't make text as it makes it of nearly every one.
    #[cold]
    fn write_other<O: Output>(
        &self,
        row: usize,
        value: Result<&str, Case>,
        class: Class,
        cases: &mut Cases<'_>,
        out: &mut O::Column,
        scratch: &mut Vec<usize>,
    ) -> Result<(), TreatmentError>
    where
        K: TextKernel<O>,
    {
        let stand_in = match class {
            Class::Case(Case::Null) => self.kernel.stand_in(row),
            Class::Text | Class::Widened | Class::Null | Class::Sentinel | Class::Case(_) => None,
        };
        let (value, class) = match stand_in {
            Some(stand_in) => {
                let written = self.kernel.treat_row(row, stand_in, out.out(), scratch);
                if written.is_ok() {
                    cases.synthesized();
                }
                // What the row says of the person can't be used, as for a value.
                (stand_in, Class::of(written.map_err(|_| Case::Invalid)))
            }
            None => (value.unwrap_or_default(), class),
        };
        match class {
            Class::Text | Class::Widened => {
                cases.widened(matches!(class, Class::Widened));
                out.close()
            }
            Class::Null => out.null(),
            class @ (Class::Sentinel | Class::Case(_)) => {
                match self.settle::<O>(row, class, cases)? {
                    Settled::Value => out.out().push(value),
                    Settled::Covered => self.kernel.cover(clusters::count(value), out.out()),
                    Settled::Null => return out.null(),
                }
                out.close()
            }
        }
    }

    /// Treats the text forms of the values of another type; a value without one is invalid.
    pub(crate) fn treat_texts_of(
        &self,
        values: &dyn Array,
        texts: &StringArray,
    ) -> Result<Treated, TreatmentError>
    where
        K: TextKernel,
    {
        let bytes = text_bytes(texts.value_offsets());
        self.treat_rows_or::<Vec<u8>>(texts.len(), bytes, |row| match texts.is_valid(row) {
            true => Ok(texts.value(row)),
            false if values.is_valid(row) => Err(Case::Invalid),
            false => Err(Case::Null),
        })
    }

    /// Treats each distinct value once, then lays the results out by the keys.
    fn treat_dictionary<O: Output>(
        &self,
        dictionary: &dyn AnyDictionaryArray,
    ) -> Result<Treated, TreatmentError>
    where
        K: TextKernel<O>,
    {
        let rows = dictionary.len();
        let values = dictionary.values();
        if values.is_empty() || dictionary.null_count() == rows {
            return self.treat_rows::<O>(rows, 0, |_| None);
        }
        let keys = dictionary.normalized_keys();
        let nulls = dictionary.nulls();
        let value_of = text_getter(values).ok_or_else(|| unexpected(dictionary.data_type()))?;
        let key_of = |row: usize| {
            let key = *keys.get(row)?;
            nulls.is_none_or(|nulls| nulls.is_valid(row)).then_some(key)
        };
        if values.len() > rows {
            return self.treat_rows::<O>(rows, 0, |row| key_of(row).and_then(&value_of));
        }
        let (slots, texts) = self.treat_distinct::<O>(values.len(), &value_of)?;
        let slots = slots.into_iter().enumerate().map(|(index, slot)| {
            let text = texts.get(slot.text).unwrap_or_default();
            (slot.class, text, value_of(index).unwrap_or_default())
        });
        let slots: Vec<(Class, &str, &str)> = slots.collect();
        let bytes_of = |key: &usize| slots.get(*key).map_or(0, |(_, text, _)| text.len());
        let bytes = keys.iter().map(bytes_of).sum();
        self.lay_out::<O>(rows, bytes, |row| {
            let slot = key_of(row).and_then(|key| slots.get(key).copied());
            slot.unwrap_or((Class::Case(Case::Null), "", ""))
        })
    }

    /// Writes rows whose values were treated already, of together about `bytes` bytes: what became
    /// of each, the result and the value.
    fn lay_out<'a, O: Output>(
        &self,
        rows: usize,
        bytes: usize,
        slot_of: impl Fn(usize) -> (Class, &'a str, &'a str),
    ) -> Result<Treated, TreatmentError>
    where
        K: TextKernel<O>,
    {
        let mut cases = self.rules.cases(rows);
        let mut out = Lines::new(rows, bytes);
        for row in 0..rows {
            let (class, text, value) = slot_of(row);
            match class {
                class @ (Class::Text | Class::Widened) => {
                    cases.widened(matches!(class, Class::Widened));
                    out.append(text)?;
                }
                Class::Null => out.null()?,
                class @ (Class::Sentinel | Class::Case(_)) => {
                    match self.settle::<O>(row, class, &mut cases)? {
                        Settled::Value => out.append(value)?,
                        Settled::Covered => {
                            let mut covered = O::default();
                            self.kernel.cover(clusters::count(value), &mut covered);
                            out.append(&covered.into_text()?)?;
                        }
                        Settled::Null => out.null()?,
                    }
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
    ) -> Result<(Vec<Slot>, String), TreatmentError> {
        let mut slots = Vec::with_capacity(rows);
        let mut values = Vec::with_capacity(rows);
        let has_sentinels = !self.rules.no_sentinels();
        for row in 0..rows {
            let class = match self.sort_out(value_of(row), has_sentinels) {
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
        Ok((slots, texts.into_text()?))
    }

    fn treat_distinct<'a, O: Output>(
        &self,
        distinct: usize,
        value_of: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<(Vec<Slot>, String), TreatmentError>
    where
        K: TextKernel<O>,
    {
        if let Some(kernel) = self.kernel.together() {
            let value_of = |index| value_of(index).ok_or(Case::Null);
            return self.treat_slots(distinct, 0, value_of, kernel);
        }
        let mut texts = O::default();
        let mut scratch = Vec::new();
        let has_sentinels = !self.rules.no_sentinels();
        let slots = (0..distinct).map(|index| {
            let start = texts.length();
            let value = value_of(index).ok_or(Case::Null);
            let class = match self.sort_out(value, has_sentinels) {
                Ok(value) => Class::of(self.kernel.treat(value, &mut texts, &mut scratch)),
                Err(class) => class,
            };
            Slot {
                class,
                text: start..texts.length(),
            }
        });
        let slots = slots.collect();
        Ok((slots, texts.into_text()?))
    }

    /// The value if it is one for the kernel.
    #[inline(always)]
    fn sort_out<'a>(
        &self,
        value: Result<&'a str, Case>,
        has_sentinels: bool,
    ) -> Result<&'a str, Class> {
        let value = value.map_err(Class::Case)?;
        if has_sentinels && self.rules.is_sentinel(value) {
            return Err(Class::Sentinel);
        }
        if is_blank(value) {
            return Err(Class::Case(Case::Empty));
        }
        Ok(value)
    }

    /// Decides about a value that needs it.
    fn settle<O: Output>(
        &self,
        row: usize,
        class: Class,
        cases: &mut Cases<'_>,
    ) -> Result<Settled, TreatmentError>
    where
        K: TextKernel<O>,
    {
        let Class::Case(case) = class else {
            cases.sentinel();
            return Ok(Settled::Value);
        };
        Ok(match cases.decide(row, case)? {
            Outcome::Keep if self.kernel.keeps_empty() => Settled::Value,
            Outcome::MaskAll if !self.kernel.covers_with_null() => Settled::Covered,
            Outcome::Keep | Outcome::MaskAll | Outcome::Null => Settled::Null,
        })
    }
}

/// What is written for a value that was decided about.
#[derive(Debug, Clone, Copy)]
enum Settled {
    /// The value as it is.
    Value,
    /// What covers the whole value.
    Covered,
    Null,
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
        self.treat_column::<Vec<u8>>(column)
    }
}

/// A treatment by a mask, whose results are the same whatever they are appended to: bytes, which
/// are written over, where the first values are ASCII, else text, which isn't checked.
#[derive(Debug)]
pub(crate) struct MaskTreatment<K>(TextTreatment<K>);

impl<K> MaskTreatment<K> {
    pub(crate) fn new(kernel: K, options: &Options, column: Column<'_>) -> Result<Self, Misfit> {
        Ok(Self(TextTreatment::new(kernel, options, column)?))
    }
}

impl<K: TextKernel + TextKernel<Line>> Treatment for MaskTreatment<K> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        let is_ascii = text_getter(column).is_some_and(|value_of| {
            let rows = 0..column.len().min(LOOKED_AT);
            rows.filter_map(value_of).all(str::is_ascii)
        });
        match is_ascii {
            true => self.0.treat_column::<Vec<u8>>(column),
            false => self.0.treat_column::<Line>(column),
        }
    }
}

/// Values by which a mask tells what its column holds.
const LOOKED_AT: usize = 16;

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
#[inline(always)]
pub(crate) fn is_blank(value: &str) -> bool {
    // Nearly every value begins with what is no white space by its first byte alone.
    match value.as_bytes().first() {
        Some(b'!'..=b'~' | 0xE4..=0xE9) => false,
        _ => is_white(value),
    }
}

#[cold]
fn is_white(value: &str) -> bool {
    value.chars().all(char::is_whitespace)
}

/// Whether there is white space (Unicode White_Space) in a value.
pub(crate) fn has_white_space(value: &str) -> bool {
    !words::is_dense(value) && value.contains(char::is_whitespace)
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

impl Class {
    #[inline(always)]
    fn of(written: Result<Written, Case>) -> Self {
        match written {
            Ok(Written::Text) => Self::Text,
            Ok(Written::Widened) => Self::Widened,
            Ok(Written::Null) => Self::Null,
            Err(case) => Self::Case(case),
        }
    }
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
    /// The rows without a value, which are few or cheap.
    nulls: Vec<usize>,
}

impl TextBuilder {
    pub(crate) fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows.saturating_add(1));
        offsets.push(0);
        Self {
            bytes: Vec::with_capacity(bytes),
            offsets,
            nulls: Vec::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn close(&mut self) -> Result<(), TreatmentError> {
        let Ok(end) = i32::try_from(self.bytes.len()) else {
            return Err(TreatmentError::TooLarge);
        };
        self.offsets.push(end);
        Ok(())
    }

    pub(crate) fn null(&mut self) -> Result<(), TreatmentError> {
        self.nulls.push(self.offsets.len() - 1);
        self.close()
    }

    pub(crate) fn finish(self) -> Result<ArrayRef, TreatmentError> {
        let nulls = nulls_at(&self.nulls, self.offsets.len() - 1);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let array = StringArray::try_new(offsets, Buffer::from(self.bytes), nulls)
            .map_err(|_| failed("assembling treated text"))?;
        Ok(Arc::new(array))
    }
}

/// The nulls of a column of so many rows, which stand at these.
fn nulls_at(nulls: &[usize], rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut present = BooleanBufferBuilder::new(rows);
    present.append_n(rows, true);
    for row in nulls {
        present.set_bit(*row, false);
    }
    Some(NullBuffer::new(present.finish()))
}

impl TextColumn<Vec<u8>> for TextBuilder {
    fn new(rows: usize, bytes: usize) -> Self {
        Self::new(rows, bytes)
    }

    #[inline(always)]
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    #[inline(always)]
    fn close(&mut self) -> Result<(), TreatmentError> {
        self.close()
    }

    fn null(&mut self) -> Result<(), TreatmentError> {
        self.null()
    }

    fn finish(self) -> Result<ArrayRef, TreatmentError> {
        self.finish()
    }
}

/// A text array being written from text: nothing of it is checked again.
pub(crate) struct Lines {
    /// The row that isn't closed yet, which holds the array while rows are written.
    line: Line,
}

impl Lines {
    /// Appends a whole row.
    #[inline(always)]
    fn append(&mut self, text: &str) -> Result<(), TreatmentError> {
        self.array()?.close(text)
    }

    #[inline(always)]
    fn array(&mut self) -> Result<&mut Growing, TreatmentError> {
        let array = self.line.array.as_mut();
        array.ok_or_else(|| failed("assembling treated text"))
    }
}

impl TextColumn<Line> for Lines {
    fn new(rows: usize, bytes: usize) -> Self {
        let array = Some(Growing::new(rows, bytes));
        let text = String::new();
        Self {
            line: Line { text, array },
        }
    }

    #[inline(always)]
    fn out(&mut self) -> &mut Line {
        &mut self.line
    }

    #[inline(always)]
    fn close(&mut self) -> Result<(), TreatmentError> {
        let Line { text, array } = &mut self.line;
        let array = array.as_mut();
        let array = array.ok_or_else(|| failed("assembling treated text"))?;
        array.close(text)?;
        text.clear();
        Ok(())
    }

    fn null(&mut self) -> Result<(), TreatmentError> {
        self.line.text.clear();
        self.array()?.array.append_null();
        Ok(())
    }

    fn finish(mut self) -> Result<ArrayRef, TreatmentError> {
        Ok(Arc::new(self.array()?.array.finish()))
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

    #[test]
    fn bytes_are_filled_where_they_are_or_nothing_is_written() {
        let filled = |head, tail| {
            let mut out = b"x".to_vec();
            let is_written = out.push_filled("secret", head, tail, b'*');
            (is_written, String::from_utf8(out).unwrap())
        };
        assert_eq!(filled(1, 5), (true, "xs****t".to_owned()));
        for (head, tail) in [(3, 2), (0, 7), (7, 8), (usize::MAX, 2)] {
            assert_eq!(filled(head, tail), (false, "x".to_owned()), "{head} {tail}");
        }
    }

    #[test]
    fn an_array_that_is_full_refuses_a_row_and_never_panics() {
        // arx#243 and #190: what doesn't fit is an error, not a crash or a cut.
        let mut lines = <Lines as TextColumn<Line>>::new(2, 8);
        lines.array().unwrap().left = 4;
        lines.out().push_final("张");
        lines.out().push("a");
        lines.close().unwrap();
        lines.append("").unwrap();
        assert!(matches!(lines.append("b"), Err(TreatmentError::TooLarge)));
        lines.out().push_final("b");
        assert!(matches!(lines.close(), Err(TreatmentError::TooLarge)));
        let array = lines.finish().unwrap();
        assert_eq!(array.as_string::<i32>().value(0), "张a");
    }

    #[test]
    fn final_text_is_text_where_there_is_no_array() {
        let mut line = Line::default();
        line.push("a");
        line.push_final("张");
        assert_eq!(line.into_text().unwrap(), "a张");
    }
}
