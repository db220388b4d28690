//! The driver of treatments of text, row by row: asks the kernel for each value, and follows the
//! options.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;

use super::distinct::Slot;
use super::kernel::{TextKernel, Written};
use super::output::{Output, TextColumn};
use super::read::{is_blank, text_bytes, unexpected};
use crate::cases::{Cases, Outcome, Rules};
use crate::clusters;
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Context, Treated, Treatment};

/// A kernel and the options it is used with.
#[derive(Debug)]
pub(crate) struct TextTreatment<K> {
    pub(super) kernel: K,
    pub(super) rules: Rules,
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
    pub(super) fn treat_column<O: Output>(
        &self,
        column: &ArrayRef,
    ) -> Result<Treated, TreatmentError>
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
    pub(super) fn treat_rows<'a, O: Output>(
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

    /// The value if it is one for the kernel.
    #[inline(always)]
    pub(super) fn sort_out<'a>(
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
    pub(super) fn settle<O: Output>(
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

impl<K: TextKernel> Treatment for TextTreatment<K> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        self.treat_column::<Vec<u8>>(column)
    }
}

/// What is written for a value that was decided about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settled {
    /// The value as it is.
    Value,
    /// What covers the whole value.
    Covered,
    Null,
}

/// What became of a value, or what has to be decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Class {
    Text,
    /// Text of which a wider part was kept than asked for.
    Widened,
    Null,
    Sentinel,
    Case(Case),
}

impl Class {
    #[inline(always)]
    pub(super) fn of(written: Result<Written, Case>) -> Self {
        match written {
            Ok(Written::Text) => Self::Text,
            Ok(Written::Widened) => Self::Widened,
            Ok(Written::Null) => Self::Null,
            Err(case) => Self::Case(case),
        }
    }
}
