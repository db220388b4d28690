//! Noise on integers and decimals, in whole units of the field.

use arrow::datatypes::{ArrowPrimitiveType, i256};

use super::{Amount, NoiseNum};
use crate::draw::Draws;
use crate::error::Misfit;
use crate::number::drawn::drawn;
use crate::number::{Decimal, Exact, ForExact, Step, Unscalable};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::Treatment;

/// Whole units of an exact field: the noise's scale and the bounds of the result.
#[derive(Clone, Copy)]
pub(super) struct Units {
    amount: ExactAmount,
    lower: i128,
    upper: i128,
    round: Option<Step>,
}

#[derive(Clone, Copy)]
enum ExactAmount {
    Scale(u128),
    Ratio(u128),
}

impl ExactAmount {
    /// The scale for a value of that magnitude; none for zero, of which every share is zero.
    #[inline]
    fn scale(self, magnitude: u128) -> Option<u128> {
        const WHOLE: u128 = 1_000_000_000;
        match self {
            Self::Scale(scale) => Some(scale),
            Self::Ratio(_) if magnitude == 0 => None,
            Self::Ratio(ratio) => {
                let share = match u64::try_from(magnitude) {
                    Ok(magnitude) => u128::from(magnitude) * ratio / WHOLE,
                    Err(_) => magnitude / WHOLE * ratio + magnitude % WHOLE * ratio / WHOLE,
                };
                Some(share.max(1))
            }
        }
    }
}

/// Brings the parameters to units of the field, or says which doesn't fit.
pub(super) struct Limits<'a> {
    pub(super) noise: &'a NoiseNum,
    pub(super) scale: i8,
}

impl ForExact for Limits<'_> {
    type Output = Result<Units, Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let least = least.wide().unwrap_or(i128::MIN);
        let greatest = greatest.wide().unwrap_or(i128::MAX);
        let units = |parameter: &'static str, number: Decimal| {
            let places = self.scale;
            let refused = |what: &str| {
                Misfit::of_parameter(parameter, format!("a number in `{parameter}` is {what}"))
            };
            let beyond = || refused("beyond every value of the field");
            let units = number.scaled(places).map_err(|error| match error {
                Unscalable::Finer => {
                    refused(&format!("finer than the field's {places} decimal places"))
                }
                Unscalable::TooLarge => beyond(),
            })?;
            let units = units
                .to_i128()
                .filter(|units| (least..=greatest).contains(units));
            units.ok_or_else(beyond)
        };
        let amount = match self.noise.amount()? {
            Amount::Scale(scale) => {
                let units = units("scale", scale)?;
                ExactAmount::Scale(units.unsigned_abs())
            }
            Amount::Ratio(ratio) => ExactAmount::Ratio(ratio),
        };
        let bound =
            |limit: Option<Decimal>, open| limit.map_or(Ok(open), |limit| units("clamp", limit));
        let step = |step: Decimal| {
            Step::new(i256::from_i128(units("round", step)?)).ok_or_else(|| {
                let what = "`round` is the field's last digit, so that nothing is rounded";
                Misfit::of_parameter("round", what)
                    .with_hint("choose a larger step, or leave it out")
            })
        };
        Ok(Units {
            amount,
            lower: bound(self.noise.min(), least)?,
            upper: bound(self.noise.max(), greatest)?,
            round: self.noise.round.map(step).transpose()?,
        })
    }
}

pub(super) struct ExactBuilder<'a> {
    pub(super) noise: &'a NoiseNum,
    pub(super) column: Column<'a>,
    pub(super) options: &'a Options,
    pub(super) draws: Draws,
    pub(super) scale: i8,
}

impl ForExact for ExactBuilder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let limits = Limits {
            noise: self.noise,
            scale: self.scale,
        };
        let Units {
            amount,
            lower,
            upper,
            round,
        } = limits.call::<T>(least, greatest)?;
        let entity = self.noise.entity(self.column)?;
        let (draws, distribution) = (self.draws, self.noise.distribution);
        let [places] = self.scale.to_be_bytes();
        drawn::<T, _>(self.column, self.options, entity, move |value, entity| {
            // A buffer may hold what no precision allows.
            if value < least || value > greatest {
                return None;
            }
            let count = value.wide()?;
            let Some(scale) = amount.scale(count.unsigned_abs()) else {
                return T::Native::from_wide(count.clamp(lower, upper));
            };
            let mut message = [b'e', places, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            if let Some(bytes) = message.last_chunk_mut() {
                *bytes = count.to_be_bytes();
            }
            let noise = distribution.units(draws.draw(entity, &message), scale);
            let noisy = count.saturating_add(noise);
            // A multiple that 128 bits don't hold is beyond every bound, and so is the number.
            let rounded = round.and_then(|step| step.round(noisy)).unwrap_or(noisy);
            T::Native::from_wide(rounded.clamp(lower, upper))
        })
    }
}
