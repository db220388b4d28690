//! Which carrier a catalogued field has: how its cells can show a symbol, as its provider declared.
//!
//! `check` and the plan ask here, so they cannot disagree.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use lockgate_transforms::marks::carrier::{Carrier, sentinel_numbers, sentinel_times};
use lockgate_transforms::number::Decimal;
use lockgate_transforms::{Misfit, Scalar, TreatmentSpec};

use super::scheme::CarrierSpec;
use super::units::Units;
use crate::site::dataset::Bounds;
use crate::site::units::{Duration, is_decimal};
use crate::site::{Field, FieldType};

/// Nanoseconds of a day: the unit of dates.
const DAY: u64 = 86_400 * 1_000_000_000;

/// What is wrong with a field's `tolerance`, `decimals` or `synonyms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CarrierFault {
    /// The key at fault.
    pub(crate) key: &'static str,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl CarrierFault {
    fn new(key: &'static str, what: impl Into<String>, hint: &str) -> Self {
        Self {
            key,
            what: what.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
        }
    }
}

/// How the cells of a field of that type can show a symbol; none where its provider declared no
/// freedom, or a tolerance of nothing.
///
/// # Errors
/// A declaration that can't be meant.
pub(crate) fn carrier_of(
    field: &Field,
    field_type: &FieldType,
) -> Result<Option<CarrierSpec>, CarrierFault> {
    let data_type = field_type.to_arrow();
    if field.decimals.is_some() && !data_type.is_floating() {
        let what = format!("`decimals` is for floats, and the field's type is {field_type}");
        return Err(CarrierFault::new("decimals", what, "take it out"));
    }
    if let Some(classes) = &field.synonyms {
        let numeric = [
            ("tolerance", field.tolerance.is_some()),
            ("bounds", field.bounds.is_some()),
        ];
        if let Some((key, _)) = numeric.into_iter().find(|(_, is_given)| *is_given) {
            let what = format!("`{key}` is for numbers and times, and the field has `synonyms`");
            return Err(CarrierFault::new(key, what, "take out one of them"));
        }
        return synonyms(classes, field_type).map(Some);
    }
    let Some(tolerance) = &field.tolerance else {
        return match field.bounds {
            None => Ok(None),
            Some(_) => {
                let what = "`bounds` limit what a mark may do, and the field has no `tolerance`";
                Err(CarrierFault::new("bounds", what, "take them out"))
            }
        };
    };
    let spec = if data_type.is_numeric() {
        number(field, tolerance, &data_type)?
    } else if matches!(data_type, DataType::Date32 | DataType::Timestamp(_, _)) {
        time(tolerance, &data_type)?
    } else {
        let what = format!("a field of type {field_type} has no tolerance");
        return Err(CarrierFault::new("tolerance", what, ""));
    };
    let Some(spec) = spec else { return Ok(None) };
    let spec = bounded(spec, field.bounds.as_ref(), &data_type)?;
    let built = spec.build(&data_type, false);
    let built = built.map_err(|misfit| of_misfit(misfit, "tolerance"))?;
    let carrier = built.ok_or_else(|| too_small(&spec, field_type))?;
    Ok(Some(spec.with_step_of(carrier.as_ref())))
}

fn of_misfit(misfit: Misfit, otherwise: &'static str) -> CarrierFault {
    CarrierFault {
        key: misfit.parameter.unwrap_or(otherwise),
        what: misfit.what,
        hint: misfit.hint,
    }
}

fn synonyms(classes: &[Vec<String>], field_type: &FieldType) -> Result<CarrierSpec, CarrierFault> {
    if *field_type != FieldType::Utf8 {
        let what = format!("a field of type {field_type} has no synonyms");
        return Err(CarrierFault::new("synonyms", what, "they are for text"));
    }
    let spec = CarrierSpec::Synonyms {
        classes: classes.to_vec(),
    };
    let built = spec.build(&DataType::Utf8, false);
    built.map_err(|misfit| of_misfit(misfit, "synonyms"))?;
    Ok(spec)
}

fn number(
    field: &Field,
    tolerance: &str,
    data_type: &DataType,
) -> Result<Option<CarrierSpec>, CarrierFault> {
    let tolerance: Option<Decimal> = tolerance.parse().ok().filter(|_| is_decimal(tolerance));
    let Some(tolerance) = tolerance else {
        let hint = "write a number in the field's unit, such as \"5.00\"";
        return Err(CarrierFault::new(
            "tolerance",
            "not a tolerance of a number",
            hint,
        ));
    };
    if data_type.is_floating() && field.decimals.is_none() {
        let what = "a tolerance of a float needs `decimals`";
        let hint = "write decimals = 2, the digits delivered after the point";
        return Err(CarrierFault::new("tolerance", what, hint));
    }
    Ok(tolerance.is_positive().then(|| CarrierSpec::Number {
        tolerance,
        decimals: field.decimals,
        step: 0,
        span: 1,
        least: None,
        greatest: None,
        sentinels: Vec::new(),
    }))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller has seen to it that the type is one of times"
)]
/// Times move by whole units of the one that their tolerance is written in, or of the type's own
/// where that is longer: `"30s"` moves a time by seconds and leaves fractions of them alone.
fn time(tolerance: &str, data_type: &DataType) -> Result<Option<CarrierSpec>, CarrierFault> {
    let Some(Duration { unit, nanoseconds }) = Duration::parse(tolerance) else {
        let hint = "write a duration such as \"30s\" or \"1d\"";
        return Err(CarrierFault::new(
            "tolerance",
            "not a tolerance of a time",
            hint,
        ));
    };
    let own = match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        _ => DAY,
    };
    Ok((nanoseconds > 0).then(|| CarrierSpec::Time {
        grain: if *data_type == DataType::Date32 {
            DAY
        } else {
            own.max(unit)
        },
        tolerance: nanoseconds,
        step: 0,
        span: 1,
        least: None,
        greatest: None,
        sentinels: Vec::new(),
    }))
}

/// The same within the field's bounds.
fn bounded(
    spec: CarrierSpec,
    bounds: Option<&Bounds>,
    data_type: &DataType,
) -> Result<CarrierSpec, CarrierFault> {
    let Some(bounds) = bounds else {
        return Ok(spec);
    };
    fn read<T: PartialOrd>(
        bounds: &Bounds,
        value: impl Fn(&str) -> Option<T>,
    ) -> Result<(Option<T>, Option<T>), CarrierFault> {
        let read = |text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            let what = "a bound that is no value of the field";
            value(text).map(Some).ok_or_else(|| {
                CarrierFault::new("bounds", what, "write a value as text, such as \"100\"")
            })
        };
        let (least, greatest) = (read(&bounds.least)?, read(&bounds.greatest)?);
        if let (Some(least), Some(greatest)) = (&least, &greatest)
            && least >= greatest
        {
            let what = "the least value is not below the greatest";
            return Err(CarrierFault::new("bounds", what, ""));
        }
        Ok((least, greatest))
    }
    let mut spec = spec;
    match &mut spec {
        CarrierSpec::Number {
            least, greatest, ..
        } => (*least, *greatest) = read(bounds, |text| text.parse::<Decimal>().ok())?,
        CarrierSpec::Time {
            least, greatest, ..
        } => (*least, *greatest) = read(bounds, |text| value_of_time(text, data_type))?,
        CarrierSpec::Synonyms { .. }
        | CarrierSpec::Noise { .. }
        | CarrierSpec::Interval { .. }
        | CarrierSpec::Calendar { .. }
        | CarrierSpec::Tag { .. } => {}
    }
    Ok(spec)
}

/// A tolerance in which nothing can move would be a promise that no leak of the field is worth
/// trusting; it is a slip, and a provider who means "never" leaves it out.
fn too_small(spec: &CarrierSpec, field_type: &FieldType) -> CarrierFault {
    let mut step = "the smallest step of the field, which is";
    let least = match spec {
        CarrierSpec::Time { grain, .. } => format!("\"{}\"", duration_text(*grain)),
        CarrierSpec::Number { decimals, .. } => {
            let (units, scale) = match (decimals, field_type) {
                (Some(decimals), _) => {
                    step = "the smallest step of the field and its rounding, together";
                    (2, *decimals)
                }
                (None, FieldType::Decimal { scale, .. }) => (1, *scale),
                (None, _) => (1, 0),
            };
            format!("\"{}\"", Units::Decimal(scale).length(units))
        }
        CarrierSpec::Synonyms { .. }
        | CarrierSpec::Noise { .. }
        | CarrierSpec::Interval { .. }
        | CarrierSpec::Calendar { .. }
        | CarrierSpec::Tag { .. } => String::new(),
    };
    let what = format!("a tolerance below {step} {least}");
    let hint = format!("write at least {least}, or take it out if values must never move");
    CarrierFault::new("tolerance", what, &hint)
}

/// A duration as configuration writes it.
pub(crate) fn duration_text(nanoseconds: u64) -> String {
    const UNITS: [(&str, u64); 7] = [
        ("d", DAY),
        ("h", 3_600 * 1_000_000_000),
        ("m", 60 * 1_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let whole = UNITS
        .iter()
        .find(|(_, unit)| nanoseconds >= *unit && nanoseconds.is_multiple_of(*unit));
    match whole {
        Some((name, unit)) => format!("{}{name}", nanoseconds / unit),
        None => "0s".to_owned(),
    }
}

impl CarrierSpec {
    /// The same, leaving values of special meaning alone. A word of special meaning has no synonyms.
    ///
    /// # Errors
    /// A value that isn't of the type, or synonyms of which nothing is left.
    pub(crate) fn keeping(
        mut self,
        listed: &[Scalar],
        data_type: &DataType,
    ) -> Result<Self, Misfit> {
        match &mut self {
            Self::Number { sentinels, .. }
            | Self::Noise { sentinels, .. }
            | Self::Interval { sentinels, .. } => {
                sentinels.extend(sentinel_numbers(listed, data_type)?);
            }
            Self::Time { sentinels, .. } | Self::Calendar { sentinels, .. } => {
                sentinels.extend(sentinel_times(listed, data_type)?);
            }
            Self::Tag { sentinels, .. } => {
                sentinels.extend(listed.iter().map(|value| value.as_text().into_owned()));
            }
            Self::Synonyms { classes } => {
                let is_special = |word: &str| listed.iter().any(|value| value.as_text() == word);
                for class in classes.iter_mut() {
                    class.retain(|word| !is_special(word));
                }
                classes.retain(|class| class.len() > 1);
                if classes.is_empty() {
                    let what = "the words that `sentinels` lists leave no synonyms to exchange";
                    return Err(Misfit::of_parameter("sentinels", what));
                }
            }
        }
        Ok(self)
    }
}

/// What rounds a float field to its `decimals` where it is delivered clear and without marks: at which
/// scale a field leaves doesn't hang on what else a grant asks for. None for fields that no mark could
/// move.
///
/// # Errors
/// A value of special meaning that isn't of the type.
pub(crate) fn rounding_of(
    field: &Field,
    treatment: &TreatmentSpec,
) -> Result<Option<Box<dyn Carrier>>, Misfit> {
    if field.decimals.is_none() || !is_clear(treatment) {
        return Ok(None);
    }
    // What can't be meant is a problem of the catalogue, with which nothing is run.
    let Ok(field_type) = FieldType::parse(&field.data_type) else {
        return Ok(None);
    };
    let Some(carrier) = carrier_of(field, &field_type).ok().flatten() else {
        return Ok(None);
    };
    let data_type = field_type.to_arrow();
    let carrier = carrier.keeping(&treatment.options().sentinels, &data_type)?;
    carrier.build(&data_type, false)
}

/// Whether a field is delivered as it is, so that it may carry marks.
pub(super) fn is_clear(treatment: &TreatmentSpec) -> bool {
    treatment.kind() == TreatmentSpec::clear().kind()
}

/// The value of a date or timestamp type that a text stands for.
fn value_of_time(text: &str, data_type: &DataType) -> Option<i64> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let time = cast(&text, data_type).ok()?;
    let number = cast(&time, &DataType::Int64).ok()?;
    let number = number.as_primitive_opt::<Int64Type>()?;
    number.is_valid(0).then(|| number.value(0))
}

#[cfg(test)]
mod tests;
