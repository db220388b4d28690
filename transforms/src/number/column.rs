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
use crate::treatment::{Context, Treated, Treatment};

/// A treatment that makes one value of another of the same type.
struct Mapped<T: ArrowPrimitiveType, F> {
    data_type: DataType,
    rules: Rules,
    /// Makes the results of every slot, and a bit for each that there is.
    map_all: F,
    is_short: IsShort<T>,
    array: PhantomData<fn() -> T>,
}

/// Whether a value without a result is short rather than invalid.
type IsShort<T> = Box<dyn Fn(<T as ArrowPrimitiveType>::Native) -> bool + Send + Sync>;

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
    mapped_unless_short::<T, _>(column, options, map, |_| false)
}

/// The same, where a value without a result is short if `is_short` says so, and else invalid.
///
/// # Errors
/// As [`mapped`].
pub(crate) fn mapped_unless_short<T, F>(
    column: Column<'_>,
    options: &Options,
    map: F,
    is_short: impl Fn(T::Native) -> bool + Send + Sync + 'static,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Option<T::Native> + Send + Sync + 'static,
{
    let map_all = move |values: &[T::Native]| map_all(values, &map);
    mapped_slots::<T, _>(column, options, map_all, Box::new(is_short))
}

/// The same for a function that takes many values at once and appends a result for each.
///
/// # Errors
/// As [`mapped`].
pub(crate) fn mapped_together<T, F>(
    column: Column<'_>,
    options: &Options,
    map: F,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(&[T::Native], &mut Vec<Option<T::Native>>) + Send + Sync + 'static,
{
    let map_all = move |values: &[T::Native]| {
        let mut results = Vec::new();
        let (mut treated, mut settled) = (Vec::with_capacity(values.len()), Vec::new());
        for values in values.chunks(TOGETHER) {
            results.clear();
            map(values, &mut results);
            results.resize(values.len(), None);
            let (part, bits) = map_all(&results, |result| result);
            treated.extend(part);
            settled.extend(bits);
        }
        (treated, settled)
    };
    mapped_slots::<T, _>(column, options, map_all, Box::new(|_| false))
}

/// Values mapped together: whole words of bits, and little enough for the nearest caches.
const TOGETHER: usize = 1_024;

fn mapped_slots<T, F>(
    column: Column<'_>,
    options: &Options,
    map_all: F,
    is_short: IsShort<T>,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(&[T::Native]) -> (Vec<T::Native>, Vec<u64>) + Send + Sync + 'static,
{
    let rules = Rules::resolve(options, column)?;
    let data_type = column.data_type.clone();
    Ok(Box::new(Mapped::<T, F> {
        data_type,
        rules,
        map_all,
        is_short,
        array: PhantomData,
    }))
}

impl<T: ArrowPrimitiveType, F> fmt::Debug for Mapped<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped")
            .field("data_type", &self.data_type)
            .finish_non_exhaustive()
    }
}

impl<T, F> Treatment for Mapped<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&[T::Native]) -> (Vec<T::Native>, Vec<u64>) + Send + Sync,
{
    fn output_type(&self) -> &DataType {
        &self.data_type
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        let array = expect_type::<T>(column, &self.data_type)?;
        let values: &[T::Native] = array.values();
        let (mut treated, mut settled) = (self.map_all)(values);
        let mut cases = self.rules.cases(array.len());
        // Bits of `settled`: the slot holds a result that may stay.
        if let Some(nulls) = array.nulls() {
            let valid = nulls.inner().bit_chunks();
            for (word, valid) in settled.iter_mut().zip(valid.iter_padded()) {
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
        let short = &self.is_short;
        let nulls = clear_unsettled(&mut treated, &settled, array, short, &mut cases)?;
        let result = PrimitiveArray::<T>::new(treated.into(), nulls);
        Ok(cases.finish(Arc::new(result.with_data_type(self.data_type.clone()))))
    }
}

/// The rule's results, the type's zero where there is none, and a bit for each that there is.
fn map_all<V: Copy, N: Default>(values: &[V], map: impl Fn(V) -> Option<N>) -> (Vec<N>, Vec<u64>) {
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
    is_short: impl Fn(T::Native) -> bool,
    cases: &mut Cases<'_>,
) -> Result<Option<NullBuffer>, TreatmentError> {
    let mut any = false;
    for (index, (slots, word)) in treated.chunks_mut(64).zip(settled).enumerate() {
        if usize::try_from(word.count_ones()) == Ok(slots.len()) {
            continue;
        }
        any = true;
        for (bit, slot) in slots
            .iter_mut()
            .enumerate()
            .filter(|(bit, _)| word >> bit & 1 == 0)
        {
            *slot = T::Native::default();
            let row = index * 64 + bit;
            let case = match array.is_valid(row).then(|| is_short(array.value(row))) {
                None => Case::Null,
                Some(true) => Case::Short,
                Some(false) => Case::Invalid,
            };
            // Nothing but a text can be kept or covered with fills: both are null here.
            cases.decide(row, case)?;
        }
    }
    Ok(any.then(|| {
        let bytes: Vec<u8> = settled.iter().flat_map(|word| word.to_le_bytes()).collect();
        NullBuffer::new(BooleanBuffer::new(
            Buffer::from_vec(bytes),
            0,
            treated.len(),
        ))
    }))
}

pub(crate) fn expect_type<'a, T: ArrowPrimitiveType>(
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
    Ok(Box::new(Labelled::<T, C> {
        data_type,
        rules,
        classes,
        array: PhantomData,
    }))
}

impl<T, C> fmt::Debug for Labelled<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled")
            .field("data_type", &self.data_type)
            .finish_non_exhaustive()
    }
}

impl<T: ArrowPrimitiveType, C: Classes<T::Native>> Treatment for Labelled<T, C> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
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
                    let text = to_text(&array.slice(row, 1))?;
                    if text.is_null(0) {
                        cases.decide(row, Case::Invalid)?;
                        labels.append_null();
                    } else {
                        cases.sentinel();
                        append(&mut labels, text.value(0))?;
                    }
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

/// A definition applied to an array, for the tests of treatments.
#[cfg(test)]
pub(crate) mod testing {
    use serde_json::Value;

    use super::*;
    use crate::spec::Definition;

    /// The treatment of this JSON table.
    pub(crate) fn written<D: Definition>(table: Value) -> D {
        serde_json::from_value(table).unwrap()
    }

    pub(crate) fn column(data_type: &DataType) -> Column<'_> {
        Column::alone("x", data_type, "x")
    }

    pub(crate) fn apply<D: Definition>(
        definition: &D,
        options: &Options,
        array: impl Array + 'static,
    ) -> Result<Treated, TreatmentError> {
        let array: ArrayRef = Arc::new(array);
        let column = column(array.data_type());
        let treatment = definition.build(column, options, None).unwrap();
        assert_eq!(
            Some(treatment.output_type()),
            definition.output_type(column).unwrap().as_ref()
        );
        let treated = treatment.apply(&array)?;
        assert_eq!(treated.array.data_type(), treatment.output_type());
        assert_eq!(treated.array.len(), array.len());
        treated.array.to_data().validate_full().unwrap();
        Ok(treated)
    }

    /// The result with the default options.
    pub(crate) fn treat<D: Definition>(table: Value, array: impl Array + 'static) -> ArrayRef {
        apply(&written::<D>(table), &Options::default(), array)
            .unwrap()
            .array
    }

    /// The words of the misfit with a type.
    pub(crate) fn misfit<D: Definition>(table: Value, data_type: &DataType) -> Misfit {
        let definition = written::<D>(table);
        let misfit = definition.output_type(column(data_type)).unwrap_err();
        let built = definition.build(column(data_type), &Options::default(), None);
        assert_eq!(built.unwrap_err(), misfit);
        misfit
    }

    pub(crate) fn texts(array: &ArrayRef) -> Vec<Option<&str>> {
        array.as_string::<i32>().iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::testing::column;
    use super::*;
    use crate::options::{Action, Scalar};

    /// Doubles even numbers; odd ones do not fit.
    fn doubling(options: &Options) -> Box<dyn Treatment> {
        let double = |value: i64| (value % 2 == 0).then(|| value.wrapping_mul(2));
        mapped::<Int64Type, _>(column(&DataType::Int64), options, double).unwrap()
    }

    struct Evens;

    impl Classes<i64> for Evens {
        type Memory = ();

        fn label<'a>(&'a self, value: i64, (): &'a mut ()) -> Option<&'a str> {
            (value % 2 == 0).then_some("even")
        }
    }

    fn labelling(options: &Options) -> Box<dyn Treatment> {
        labelled::<Int64Type, _>(column(&DataType::Int64), options, Evens).unwrap()
    }

    fn array(values: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(Int64Array::from(values))
    }

    #[test]
    fn nulls_stay_and_values_that_do_not_fit_become_null() {
        let input = array(vec![Some(2), None, Some(3), Some(4)]);
        let treated = doubling(&Options::default()).apply(&input).unwrap();
        assert_eq!(&treated.array, &array(vec![Some(4), None, None, Some(8)]));
        assert_eq!(
            (
                treated.counts.rows,
                treated.counts.nulls,
                treated.counts.invalid
            ),
            (4, 1, 1)
        );
        assert!(treated.rejected.is_none());
        let labelled = labelling(&Options::default()).apply(&input).unwrap();
        let labels = StringArray::from(vec![Some("even"), None, None, Some("even")]);
        assert_eq!(labelled.array.as_string::<i32>(), &labels);
        assert_eq!(labelled.counts, treated.counts);
    }

    #[test]
    fn nothing_stands_under_a_null() {
        let nulls = NullBuffer::from(vec![true, false, true]);
        let hidden: ArrayRef = Arc::new(Int64Array::new(vec![2, 77, 3].into(), Some(nulls)));
        let treated = doubling(&Options::default()).apply(&hidden).unwrap();
        assert_eq!(
            &treated.array.as_primitive::<Int64Type>().values()[..],
            [4, 0, 0]
        );
    }

    #[test]
    fn options_decide_about_rows() {
        let input = array(vec![Some(2), None, Some(3)]);
        for make in [doubling, labelling] {
            let reject = Options {
                on_invalid: Action::Reject,
                ..Options::default()
            };
            let treated = make(&reject).apply(&input).unwrap();
            assert_eq!(
                treated.rejected.unwrap().set_indices().collect::<Vec<_>>(),
                [2]
            );
            let fail = Options {
                on_invalid: Action::Fail,
                ..Options::default()
            };
            let error = make(&fail).apply(&input).unwrap_err();
            assert_eq!(
                error,
                TreatmentError::Refused {
                    row: 2,
                    case: Case::Invalid
                }
            );
            let both = Options {
                on_null: Action::Fail,
                ..fail
            };
            let error = make(&both).apply(&input).unwrap_err();
            assert_eq!(
                error,
                TreatmentError::Refused {
                    row: 1,
                    case: Case::Null
                }
            );
            for action in [Action::Null, Action::MaskAll] {
                let options = Options {
                    on_null: action,
                    on_invalid: action,
                    ..Options::default()
                };
                let treated = make(&options).apply(&input).unwrap();
                assert_eq!(treated.array.null_count(), 2);
            }
        }
    }

    #[test]
    fn sentinels_are_kept_where_listed() {
        let options = Options {
            sentinels: vec![Scalar::Integer(-1), Scalar::Integer(4)],
            ..Options::default()
        };
        let input = array(vec![Some(-1), Some(2), None, Some(4), Some(-3)]);
        let treated = doubling(&options).apply(&input).unwrap();
        assert_eq!(
            &treated.array,
            &array(vec![Some(-1), Some(4), None, Some(4), None])
        );
        assert_eq!((treated.counts.sentinels, treated.counts.invalid), (2, 1));
        let labelled = labelling(&options).apply(&input).unwrap();
        let labels = StringArray::from(vec![Some("-1"), Some("even"), None, Some("4"), None]);
        assert_eq!(labelled.array.as_string::<i32>(), &labels);
        assert_eq!(labelled.counts, treated.counts);
    }

    #[test]
    fn another_type_is_refused() {
        let input: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        for make in [doubling, labelling] {
            let error = make(&Options::default()).apply(&input).unwrap_err();
            assert!(matches!(error, TreatmentError::UnexpectedType { .. }));
        }
    }

    #[test]
    fn an_empty_column_stays_empty() {
        let treated = doubling(&Options::default()).apply(&array(vec![])).unwrap();
        assert_eq!(treated.array.len(), 0);
    }

    proptest! {
        #[test]
        fn slices_and_batches_have_no_effect(
            values in prop::collection::vec(prop::option::weighted(0.8, -50_i64..50), 0..300),
            cut in 0_usize..300,
        ) {
            let cut = cut.min(values.len());
            let whole = array(values.clone());
            for make in [doubling, labelling] {
                let options = Options { sentinels: vec![Scalar::Integer(7)], ..Options::default() };
                let treatment = make(&options);
                let all = treatment.apply(&whole).unwrap();
                let first = treatment.apply(&whole.slice(0, cut)).unwrap();
                let second = treatment.apply(&whole.slice(cut, values.len() - cut)).unwrap();
                prop_assert_eq!(&all.array.slice(0, cut), &first.array);
                prop_assert_eq!(&all.array.slice(cut, values.len() - cut), &second.array);
                let mut counts = first.counts;
                counts += second.counts;
                prop_assert_eq!(all.counts, counts);
            }
            let treated = doubling(&Options::default()).apply(&whole).unwrap().array;
            for (result, value) in treated.as_primitive::<Int64Type>().iter().zip(values) {
                prop_assert_eq!(result, value.filter(|value| value % 2 == 0).map(|value| value * 2));
            }
        }
    }
}
