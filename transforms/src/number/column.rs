//! A rule applied to every slot of a column.
//!
//! The rule runs over the whole buffer of values, under nulls too, so that the loop has no branch
//! for them; afterwards the slots of everything that is null or did not fit are overwritten, and
//! the options decide about those rows.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringBuilder};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

use crate::cases::{Cases, Rules, to_text};
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Treated, Treatment};

/// A treatment that makes one value of another of the same type.
struct Mapped<T, F> {
    data_type: DataType,
    rules: Rules,
    map: F,
    array: PhantomData<fn() -> T>,
}

/// Makes a treatment of a function from a value to the treated value, or to none if the value or
/// the result does not fit. The function is also called on whatever lies under nulls.
///
/// # Errors
/// A sentinel that is not a value of the field's type.
pub(crate) fn mapped<T, F>(
    column: Column<'_>,
    options: &Options,
    map: F,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Option<T::Native> + Send + Sync + 'static,
{
    let rules = Rules::resolve(options, column)?;
    let data_type = column.data_type.clone();
    Ok(Box::new(Mapped::<T, F> { data_type, rules, map, array: PhantomData }))
}

impl<T, F> fmt::Debug for Mapped<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl<T, F> Treatment for Mapped<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Option<T::Native> + Send + Sync,
{
    fn output_type(&self) -> &DataType {
        &self.data_type
    }

    fn apply(&self, column: &ArrayRef) -> Result<Treated, TreatmentError> {
        let array = expect_type::<T>(column, &self.data_type)?;
        let values: &[T::Native] = array.values();
        let (mut treated, mut settled) = map_all(values, &self.map);
        let mut cases = self.rules.cases(array.len());
        // Bits of `settled`: the slot holds a result that may stay.
        if let Some(nulls) = array.nulls() {
            for (word, valid) in settled.iter_mut().zip(words(nulls.inner())) {
                *word &= valid;
            }
        }
        if let Some(rows) = self.rules.sentinel_rows(array)? {
            for row in rows.set_indices().filter(|row| array.is_valid(*row)) {
                if let (Some(slot), Some(value)) = (treated.get_mut(row), values.get(row)) {
                    *slot = *value;
                }
                if let Some(word) = settled.get_mut(row / 64) {
                    *word |= 1 << (row % 64);
                }
                cases.sentinel();
            }
        }
        let nulls = clear_unsettled(&mut treated, &settled, array, &mut cases)?;
        let result = PrimitiveArray::<T>::new(treated.into(), nulls);
        Ok(cases.finish(Arc::new(result.with_data_type(self.data_type.clone()))))
    }
}

/// The rule's results, the type's zero where there is none, and a bit for each that there is.
fn map_all<N: Copy + Default>(values: &[N], map: impl Fn(N) -> Option<N>) -> (Vec<N>, Vec<u64>) {
    let mut treated = Vec::with_capacity(values.len());
    let mut settled = Vec::with_capacity(values.len().div_ceil(64));
    for chunk in values.chunks(64) {
        let mut word = 0_u64;
        treated.extend(chunk.iter().enumerate().map(|(bit, value)| {
            let result = map(*value);
            word |= u64::from(result.is_some()) << bit;
            result.unwrap_or_default()
        }));
        settled.push(word);
    }
    (treated, settled)
}

/// Zeroes every slot without a bit, asks the options about its row, and makes the bits the nulls of
/// the result.
fn clear_unsettled<T: ArrowPrimitiveType>(
    treated: &mut [T::Native],
    settled: &[u64],
    array: &PrimitiveArray<T>,
    cases: &mut Cases<'_>,
) -> Result<Option<NullBuffer>, TreatmentError> {
    let mut any = false;
    for (index, (slots, word)) in treated.chunks_mut(64).zip(settled).enumerate() {
        if word.count_ones() as usize == slots.len() {
            continue;
        }
        any = true;
        for (bit, slot) in slots.iter_mut().enumerate().filter(|(bit, _)| word >> bit & 1 == 0) {
            *slot = T::Native::default();
            let row = index * 64 + bit;
            let case = if array.is_null(row) { Case::Null } else { Case::Invalid };
            // Nothing but a text can be kept or covered with fills: both are null here.
            cases.decide(row, case)?;
        }
    }
    Ok(any.then(|| {
        let bytes: Vec<u8> = settled.iter().flat_map(|word| word.to_le_bytes()).collect();
        NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bytes), 0, treated.len()))
    }))
}

/// The bits of a buffer, 64 to a word, the last one filled up with zeros.
fn words(bits: &BooleanBuffer) -> impl Iterator<Item = u64> {
    bits.bit_chunks().iter_padded()
}

fn expect_type<'a, T: ArrowPrimitiveType>(
    column: &'a ArrayRef,
    expected: &DataType,
) -> Result<&'a PrimitiveArray<T>, TreatmentError> {
    let unexpected = || TreatmentError::UnexpectedType {
        expected: expected.clone(),
        actual: column.data_type().clone(),
    };
    if column.data_type() != expected {
        return Err(unexpected());
    }
    column.as_primitive_opt::<T>().ok_or_else(unexpected)
}

/// A rule that names the class a value falls into.
pub(crate) trait Classes<N>: Send + Sync + 'static {
    /// What is remembered from value to value within one column.
    type Memory: Default;

    /// The label of the value's class; none if it has none.
    fn label<'a>(&'a self, value: N, memory: &'a mut Self::Memory) -> Option<&'a str>;
}

/// A treatment that makes a label of a value.
struct Labelled<T, C> {
    data_type: DataType,
    rules: Rules,
    classes: C,
    array: PhantomData<fn() -> T>,
}

/// Makes a treatment of a rule from a value to a label. Sentinels are kept as their text.
///
/// # Errors
/// A sentinel that is not a value of the field's type.
pub(crate) fn labelled<T, C>(
    column: Column<'_>,
    options: &Options,
    classes: C,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    C: Classes<T::Native>,
{
    let rules = Rules::resolve(options, column)?;
    let data_type = column.data_type.clone();
    Ok(Box::new(Labelled::<T, C> { data_type, rules, classes, array: PhantomData }))
}

impl<T, C> fmt::Debug for Labelled<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled").field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl<T: ArrowPrimitiveType, C: Classes<T::Native>> Treatment for Labelled<T, C> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn apply(&self, column: &ArrayRef) -> Result<Treated, TreatmentError> {
        let array = expect_type::<T>(column, &self.data_type)?;
        let sentinels = self.rules.sentinel_rows(array)?;
        let is_sentinel = |row| sentinels.as_ref().is_some_and(|rows| rows.value(row));
        let mut cases = self.rules.cases(array.len());
        let mut memory = C::Memory::default();
        let mut labels = StringBuilder::with_capacity(array.len(), array.len().saturating_mul(12));
        for (row, value) in array.iter().enumerate() {
            let case = match value {
                None => Case::Null,
                Some(_) if is_sentinel(row) => {
                    cases.sentinel();
                    append(&mut labels, to_text(&array.slice(row, 1))?.value(0))?;
                    continue;
                }
                Some(value) => match self.classes.label(value, &mut memory) {
                    Some(label) => {
                        append(&mut labels, label)?;
                        continue;
                    }
                    None => Case::Invalid,
                },
            };
            // Fills would say that a label was covered, in a field that has no such label.
            cases.decide(row, case)?;
            labels.append_null();
        }
        Ok(cases.finish(Arc::new(labels.finish())))
    }
}

/// Appends text, unless offsets of 32 bits run out.
fn append(labels: &mut StringBuilder, text: &str) -> Result<(), TreatmentError> {
    let bytes = labels.values_slice().len().saturating_add(text.len());
    i32::try_from(bytes).map_err(|_| TreatmentError::TooLarge)?;
    labels.append_value(text);
    Ok(())
}
