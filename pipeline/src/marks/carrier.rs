//! Which carrier a catalogued field has: how its cells can show a symbol, as its provider declared.
//!
//! `check` and the plan ask here, so they cannot disagree.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use lockgate_transforms::number::Decimal;
use lockgate_transforms::{Misfit, Scalar};

use super::scheme::CarrierSpec;
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
        CarrierSpec::Synonyms { .. } => {}
    }
    Ok(spec)
}

/// A tolerance in which nothing can move would be a promise that no leak of the field is worth
/// trusting; it is a slip, and a provider who means "never" leaves it out.
fn too_small(spec: &CarrierSpec, field_type: &FieldType) -> CarrierFault {
    let least = match spec {
        CarrierSpec::Time { grain, .. } => format!("\"{}\"", duration_text(*grain)),
        CarrierSpec::Number { decimals, .. } => {
            let scale = match (decimals, field_type) {
                (Some(decimals), _)
                | (
                    None,
                    FieldType::Decimal {
                        scale: decimals, ..
                    },
                ) => *decimals,
                _ => 0,
            };
            format!("\"{}\"", unit_text(scale))
        }
        CarrierSpec::Synonyms { .. } => String::new(),
    };
    let what = format!("a tolerance below the smallest step of the field, which is {least}");
    let hint = format!("write at least {least}, or take it out if values must never move");
    CarrierFault::new("tolerance", what, &hint)
}

/// The smallest number of that many decimals.
fn unit_text(scale: u8) -> String {
    match scale {
        0 => "1".to_owned(),
        scale => format!("0.{:0>width$}", 1, width = usize::from(scale)),
    }
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
    /// The same, leaving values of special meaning alone; those that aren't of the type are none.
    #[must_use]
    pub(crate) fn keeping(mut self, listed: &[Scalar], data_type: &DataType) -> Self {
        match &mut self {
            Self::Number { sentinels, .. } => {
                sentinels.extend(
                    listed
                        .iter()
                        .filter_map(|value| value.as_text().parse::<Decimal>().ok()),
                );
            }
            Self::Time { sentinels, .. } => {
                sentinels.extend(
                    listed
                        .iter()
                        .filter_map(|value| value_of_time(&value.as_text(), data_type)),
                );
            }
            Self::Synonyms { .. } => {}
        }
        self
    }
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
mod tests {
    use super::*;
    use crate::site::dataset::Level;

    fn field(data_type: &str) -> (Field, FieldType) {
        let field = Field {
            name: "value".to_owned(),
            data_type: data_type.to_owned(),
            title: None,
            category: "other".to_owned(),
            level: Level::General(1),
            tolerance: None,
            decimals: None,
            synonyms: None,
            bounds: None,
            domain_size: None,
        };
        (field, FieldType::parse(data_type).unwrap())
    }

    fn of_tolerance(
        data_type: &str,
        tolerance: &str,
        decimals: Option<u8>,
    ) -> Result<Option<CarrierSpec>, CarrierFault> {
        let (mut field, data_type) = field(data_type);
        field.tolerance = Some(tolerance.to_owned());
        field.decimals = decimals;
        carrier_of(&field, &data_type)
    }

    #[test]
    fn the_step_is_the_largest_that_keeps_within_the_tolerance() {
        for (data_type, tolerance, decimals, step) in [
            ("decimal(12,2)", "5.00", None, 500),
            ("decimal(12,2)", "0.01", None, 2),
            ("int32", "3", None, 4),
            ("float64", "0.5", Some(3), 500),
            ("timestamp(ms)", "30s", None, 30),
            ("timestamp(s)", "1m", None, 2),
            ("date", "2d", None, 2),
            ("date", "48h", None, 2),
        ] {
            let spec = of_tolerance(data_type, tolerance, decimals)
                .unwrap()
                .unwrap();
            assert_eq!(spec.step(), Some(step), "{data_type} {tolerance}");
        }
    }

    #[test]
    fn times_move_by_the_unit_they_are_written_in() {
        for (data_type, tolerance, expected) in [
            ("timestamp(ms)", "30s", 1_000_000_000),
            ("timestamp(us)", "500ms", 1_000_000),
            ("timestamp(s)", "1500ms", 1_000_000_000),
            ("timestamp(ns)", "1d", DAY),
            ("date", "72h", DAY),
        ] {
            match of_tolerance(data_type, tolerance, None) {
                Ok(Some(CarrierSpec::Time { grain, .. })) => {
                    assert_eq!(grain, expected, "{data_type} {tolerance}");
                }
                other => panic!("{data_type} {tolerance}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_tolerance_and_one_of_nothing_carry_nothing() {
        let (field, data_type) = field("int64");
        assert_eq!(carrier_of(&field, &data_type), Ok(None));
        for (data_type, tolerance) in [("decimal(12,2)", "0.00"), ("date", "0d")] {
            assert_eq!(of_tolerance(data_type, tolerance, None), Ok(None));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (data_type, tolerance, decimals, key, hint) in [
            (
                "decimal(12,2)",
                "0.001",
                None,
                "tolerance",
                Some("at least \"0.01\""),
            ),
            ("int64", "0.5", None, "tolerance", Some("at least \"1\"")),
            (
                "float64",
                "0.05",
                Some(1),
                "tolerance",
                Some("at least \"0.1\""),
            ),
            ("date", "12h", None, "tolerance", Some("at least \"1d\"")),
            (
                "timestamp(s)",
                "500ms",
                None,
                "tolerance",
                Some("at least \"1s\""),
            ),
            ("float64", "1", Some(16), "decimals", None),
            ("float64", "1", None, "tolerance", Some("decimals = 2")),
            ("int64", "1", Some(2), "decimals", Some("take it out")),
            ("utf8", "1", None, "tolerance", None),
            ("int64", "30s", None, "tolerance", Some("a number")),
            ("date", "2", None, "tolerance", Some("a duration")),
        ] {
            let fault = of_tolerance(data_type, tolerance, decimals).unwrap_err();
            assert_eq!(fault.key, key, "{data_type} {tolerance}");
            if let Some(hint) = hint {
                assert!(fault.hint.as_ref().unwrap().contains(hint), "{fault:?}");
            }
        }
    }

    #[test]
    fn synonyms_are_words_of_text() {
        let (mut text, data_type) = field("utf8");
        let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        text.synonyms = Some(vec![words(["北京", "北京市"])]);
        assert!(matches!(
            carrier_of(&text, &data_type),
            Ok(Some(CarrierSpec::Synonyms { .. }))
        ));
        text.synonyms = Some(vec![words(["７", "7"])]);
        assert_eq!(carrier_of(&text, &data_type).unwrap_err().key, "synonyms");
        text.synonyms = Some(vec![words(["1", "2"])]);
        let number = FieldType::Int64;
        assert_eq!(carrier_of(&text, &number).unwrap_err().key, "synonyms");
    }

    #[test]
    fn bounds_are_values_of_the_field() {
        let of_bounds = |data_type: &str, least: &str, greatest: &str| {
            let (mut field, data_type) = field(data_type);
            let unit = if data_type == FieldType::Date {
                "d"
            } else {
                ""
            };
            field.tolerance = Some(format!("3{unit}"));
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            field.bounds = Some(Bounds {
                least: text(least),
                greatest: text(greatest),
            });
            carrier_of(&field, &data_type)
        };
        let Ok(Some(CarrierSpec::Number {
            least, greatest, ..
        })) = of_bounds("decimal(5,2)", "", "100")
        else {
            panic!("no carrier");
        };
        assert_eq!((least, greatest), (None, "100".parse().ok()));
        let Ok(Some(CarrierSpec::Time { least, .. })) =
            of_bounds("date", "1970-01-11", "2020-01-01")
        else {
            panic!("no carrier");
        };
        assert_eq!(least, Some(10));
        for (data_type, least, greatest) in [
            ("int64", "5", "5"),
            ("int64", "many", ""),
            ("date", "1", "2020-01-01"),
        ] {
            let fault = of_bounds(data_type, least, greatest).unwrap_err();
            assert_eq!(fault.key, "bounds", "{data_type} {least} {greatest}");
        }
        let (mut alone, data_type) = field("int64");
        alone.bounds = Some(Bounds {
            least: None,
            greatest: None,
        });
        assert_eq!(carrier_of(&alone, &data_type).unwrap_err().key, "bounds");
    }

    #[test]
    fn special_values_are_kept_in_the_units_of_the_type() {
        let listed = [
            Scalar::Integer(-1),
            Scalar::Text("9999-12-31".to_owned()),
            Scalar::Text("unknown".to_owned()),
        ];
        let number = of_tolerance("int64", "3", None).unwrap().unwrap();
        let CarrierSpec::Number { sentinels, .. } = number.keeping(&listed, &DataType::Int64)
        else {
            panic!("not a number");
        };
        assert_eq!(sentinels, ["-1".parse().unwrap()]);
        let date = of_tolerance("date", "3d", None).unwrap().unwrap();
        let CarrierSpec::Time { sentinels, .. } = date.keeping(&listed, &DataType::Date32) else {
            panic!("not a time");
        };
        assert_eq!(sentinels, [2_932_896]);
    }

    #[test]
    fn durations_are_written_in_their_largest_unit() {
        for text in ["30s", "90m", "500ms", "2d", "36h", "7us", "1ns"] {
            let read = Duration::parse(text).unwrap();
            assert_eq!(duration_text(read.nanoseconds), text);
        }
    }
}
