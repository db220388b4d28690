//! Values of special meaning, as treatments list them, in the form in which carriers keep them.
//!
//! They are read as the treatments read them, so that no value is special for one and not for the
//! other.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};

use crate::cases::{scalar_array, to_text};
use crate::error::Misfit;
use crate::number::Decimal;
use crate::options::Scalar;

/// Listed values of a field of numbers. Floats that no decimal of configuration writes are left out:
/// they have too many digits, or are too small, for a mark to move or to make them.
///
/// # Errors
/// One that isn't a value of the type.
pub fn sentinel_numbers(listed: &[Scalar], data_type: &DataType) -> Result<Vec<Decimal>, Misfit> {
    let mut numbers = Vec::with_capacity(listed.len());
    for (at, sentinel) in listed.iter().enumerate() {
        let value = value(at, sentinel, data_type)?;
        let float = float_text(&value);
        let is_float = float.is_some();
        let text = float.or_else(|| Some(to_text(&value).ok()?.value(0).to_owned()));
        match text.and_then(|text| text.parse().ok()) {
            Some(number) => numbers.push(number),
            None if is_float => {}
            None => return Err(no_value(at, data_type)),
        }
    }
    Ok(numbers)
}

/// Listed values of a field of dates or timestamps, as the type counts them.
///
/// # Errors
/// One that isn't a value of the type.
pub fn sentinel_times(listed: &[Scalar], data_type: &DataType) -> Result<Vec<i64>, Misfit> {
    let times = listed.iter().enumerate().map(|(at, sentinel)| {
        let value = value(at, sentinel, data_type)?;
        let time = cast(&value, &DataType::Int64).ok();
        let time = time.and_then(|time| Some(time.as_primitive_opt::<Int64Type>()?.value(0)));
        time.ok_or_else(|| no_value(at, data_type))
    });
    times.collect()
}

/// A listed value as an array of one value, which is not null.
fn value(at: usize, sentinel: &Scalar, data_type: &DataType) -> Result<ArrayRef, Misfit> {
    let value = scalar_array(sentinel, data_type).ok();
    value
        .filter(|value| value.len() == 1 && value.null_count() == 0)
        .ok_or_else(|| no_value(at, data_type))
}

/// A float's shortest digits, without an exponent; none for other types.
fn float_text(value: &ArrayRef) -> Option<String> {
    let single = value.as_primitive_opt::<Float32Type>();
    let double = value.as_primitive_opt::<Float64Type>();
    let single = single.map(|single| single.value(0).to_string());
    single.or_else(|| double.map(|double| double.value(0).to_string()))
}

fn no_value(at: usize, data_type: &DataType) -> Misfit {
    let what = format!("`sentinels[{at}]` is not a value of type {data_type}");
    Misfit::of_parameter("sentinels", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(texts: &[&str]) -> Vec<Scalar> {
        let texts = texts.iter();
        texts.map(|text| Scalar::Text((*text).to_owned())).collect()
    }

    #[test]
    fn sentinels_are_read_as_the_treatments_read_them() {
        let decimals = |texts: &[&str]| -> Vec<Decimal> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (data_type, written, read) in [
            (
                DataType::Float64,
                &["1e3", "-1.5", "0.1"][..],
                &["1000", "-1.5", "0.1"][..],
            ),
            (DataType::Float32, &["1e-3", "0.1"], &["0.001", "0.1"]),
            // No mark moves or makes these.
            (DataType::Float64, &["NaN", "1e300", "1e-300"], &[]),
            (DataType::Int64, &["-1", "0099"], &["-1", "99"]),
            (
                DataType::Decimal128(12, 2),
                &["9.", "-0.50"],
                &["9", "-0.5"],
            ),
        ] {
            let found = sentinel_numbers(&listed(written), &data_type);
            assert_eq!(found.unwrap(), decimals(read), "{data_type}");
        }
        let day = listed(&["9999-12-31"]);
        assert_eq!(sentinel_times(&day, &DataType::Date32), Ok(vec![2_932_896]));
    }

    #[test]
    fn a_sentinel_that_is_no_value_is_a_misfit() {
        let unknown = listed(&["0", "unknown"]);
        for data_type in [
            DataType::Float64,
            DataType::Int64,
            DataType::Decimal128(12, 2),
        ] {
            let misfit = sentinel_numbers(&unknown, &data_type).unwrap_err();
            assert_eq!(misfit.parameter, Some("sentinels"));
            assert!(misfit.what.contains("sentinels[1]"), "{misfit:?}");
        }
        let misfit = sentinel_times(&listed(&["soon"]), &DataType::Date32).unwrap_err();
        assert_eq!(misfit.parameter, Some("sentinels"));
    }
}
