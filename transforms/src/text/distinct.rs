//! Values that are treated before rows are written: the distinct ones of a dictionary, and those of
//! kernels that treat many together.

use std::ops::Range;

use arrow::array::AnyDictionaryArray;

use super::kernel::{TextKernel, TreatTogether};
use super::line::Lines;
use super::output::{Output, TextColumn};
use super::read::{text_getter, unexpected};
use super::rows::{Class, Settled, TextTreatment};
use crate::clusters;
use crate::error::{Case, TreatmentError};
use crate::treatment::Treated;

impl<K> TextTreatment<K> {
    /// Treats each distinct value once, then lays the results out by the keys.
    pub(super) fn treat_dictionary<O: Output>(
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
    pub(super) fn lay_out<'a, O: Output>(
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
    pub(super) fn treat_slots<'a>(
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
}

/// What became of one distinct value of a dictionary.
pub(super) struct Slot {
    pub(super) class: Class,
    pub(super) text: Range<usize>,
}

impl Slot {
    pub(super) const NULL: Self = Self {
        class: Class::Case(Case::Null),
        text: 0..0,
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, StringArray};
    use arrow::datatypes::{DataType, Int32Type};

    use super::super::kernel::Written;
    use super::*;
    use crate::options::Options;
    use crate::spec::Column;
    use crate::treatment::{Context, Treatment};

    /// Gives each value twice, and counts how often it is asked.
    #[derive(Debug, Default)]
    struct Twice(Arc<AtomicUsize>);

    impl TextKernel for Twice {
        fn treat(
            &self,
            value: &str,
            out: &mut Vec<u8>,
            _: &mut Vec<usize>,
        ) -> Result<Written, Case> {
            self.0.fetch_add(1, Ordering::Relaxed);
            out.extend(value.bytes().chain(value.bytes()));
            Ok(Written::Text)
        }

        fn cover(&self, _: usize, _: &mut Vec<u8>) {}
    }

    #[test]
    fn a_dictionary_costs_what_its_distinct_values_do() {
        let asked = Arc::new(AtomicUsize::new(0));
        let column = Column::alone("field", &DataType::Utf8, "other");
        let kernel = Twice(Arc::clone(&asked));
        let treatment = TextTreatment::new(kernel, &Options::default(), column).unwrap();
        for distinct in [1, 10, 100] {
            let values: StringArray = (0..distinct).map(|at| Some(format!("张{at}"))).collect();
            let keys = (0..1_000).map(|row| (row % 7 != 0).then_some(row % distinct));
            let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(
                keys.collect(),
                Arc::new(values),
            ));
            let context = Context {
                inputs: &[],
                chunk: None,
            };
            asked.store(0, Ordering::Relaxed);
            let treated = treatment.treat(&dictionary, &context).unwrap();
            assert_eq!(
                asked.load(Ordering::Relaxed),
                usize::try_from(distinct).unwrap()
            );
            let text = treated.array.as_string::<i32>();
            assert_eq!((text.len(), text.null_count()), (1_000, 143));
            assert_eq!(text.value(1), format!("张{0}张{0}", 1 % distinct));
        }
    }
}
