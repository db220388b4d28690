//! Units of a carrier and what they are in the field's own: the last digit of a decimal, a second.

use lockgate_transforms::number::Decimal;

use super::carrier::duration_text;
use super::scheme::{CarrierSpec, FieldScheme};
use crate::site::FieldType;

/// What a unit of a field's carrier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// 10 to the minus so many.
    Decimal(u8),
    /// So many nanoseconds.
    Time(u64),
    /// Words, values that a mark chooses, and tags have none.
    None,
}

impl Units {
    /// The units of a field.
    pub(crate) fn of(field: &FieldScheme) -> Self {
        match &field.carrier {
            CarrierSpec::Number { decimals, .. } => {
                let of_type = match FieldType::parse(&field.data_type) {
                    Ok(FieldType::Decimal { scale, .. }) => scale,
                    Ok(_) | Err(_) => 0,
                };
                Self::Decimal(decimals.unwrap_or(of_type))
            }
            CarrierSpec::Time { grain, .. } => Self::Time(*grain),
            CarrierSpec::Synonyms { .. }
            | CarrierSpec::Noise { .. }
            | CarrierSpec::Interval { .. }
            | CarrierSpec::Calendar { .. }
            | CarrierSpec::Tag { .. } => Self::None,
        }
    }

    /// How much a unit is: of a number in the field's unit, of a time in seconds.
    pub(crate) fn size(self) -> f64 {
        match self {
            Self::Decimal(scale) => 10_f64.powi(-i32::from(scale)),
            Self::Time(grain) => real(grain) / 1e9,
            Self::None => 0.0,
        }
    }

    /// So many units in the field's unit, or as a duration.
    pub(crate) fn length(self, units: u128) -> String {
        match self {
            Self::Decimal(scale) => decimal_text(units, scale),
            Self::Time(grain) => {
                let length = units.saturating_mul(grain.into());
                u64::try_from(length).map_or_else(|_| format!("{length}ns"), duration_text)
            }
            Self::None => String::new(),
        }
    }

    /// Whether so many units are within what the field's provider allows.
    pub(crate) fn are_within(self, units: u128, carrier: &CarrierSpec) -> bool {
        match (self, carrier) {
            (Self::Decimal(scale), CarrierSpec::Number { tolerance, .. }) => {
                let length: Option<Decimal> = decimal_text(units, scale).parse().ok();
                length.is_some_and(|length| length <= *tolerance)
            }
            (Self::Time(grain), CarrierSpec::Time { tolerance, .. }) => {
                units.saturating_mul(grain.into()) <= u128::from(*tolerance)
            }
            _ => units == 0,
        }
    }
}

/// So many units of 10 to the minus `scale`, as a plain decimal without zeros at its end.
fn decimal_text(units: u128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{units:0>width$}", width = scale + 1);
    let (whole, fraction) = digits
        .split_at_checked(digits.len() - scale)
        .unwrap_or((&digits, ""));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[expect(clippy::as_conversions, reason = "a day of nanoseconds is below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_written_in_the_fields_own() {
        for (units, scale, text) in [
            (500, 2, "5"),
            (499, 2, "4.99"),
            (7, 3, "0.007"),
            (0, 2, "0"),
            (12, 0, "12"),
            (1_230, 2, "12.3"),
        ] {
            assert_eq!(Units::Decimal(scale).length(units), text);
        }
        assert_eq!(Units::Time(1_000_000_000).length(30), "30s");
        assert_eq!(Units::Time(1_000_000).length(1_500), "1500ms");
    }

    #[test]
    fn a_move_is_held_to_the_tolerance() {
        let number = CarrierSpec::Number {
            tolerance: "5.00".parse().unwrap(),
            decimals: None,
            step: 500,
            span: 1,
            least: None,
            greatest: None,
            sentinels: Vec::new(),
        };
        let cents = Units::Decimal(2);
        assert!(cents.are_within(500, &number) && !cents.are_within(501, &number));
        assert!(!cents.are_within(u128::MAX, &number));
        let time = CarrierSpec::Time {
            grain: 1_000_000_000,
            tolerance: 30_000_000_000,
            step: 30,
            span: 1,
            least: None,
            greatest: None,
            sentinels: Vec::new(),
        };
        let seconds = Units::Time(1_000_000_000);
        assert!(seconds.are_within(30, &time) && !seconds.are_within(31, &time));
        let words = CarrierSpec::Synonyms {
            classes: Vec::new(),
        };
        assert!(Units::None.are_within(0, &words) && !Units::None.are_within(1, &words));
        assert!(!cents.are_within(1, &time));
    }
}
