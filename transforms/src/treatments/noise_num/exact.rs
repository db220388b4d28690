//! Noise on integers and decimals, in whole units of the field.

use arrow::datatypes::{ArrowPrimitiveType, i256};

use super::{Amount, NoiseNum, room};
use crate::draw::Draws;
use crate::error::Misfit;
use crate::number::drawn::{drawn, drawn_for_choice};
use crate::number::noise::Distribution;
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
        let [places] = self.scale.to_be_bytes();
        let noise = ExactNoise {
            draws: self.draws,
            distribution: self.noise.distribution,
            places,
            round,
        };
        // A buffer may hold what no precision allows.
        let count = move |value: T::Native| {
            let is_value = value >= least && value <= greatest;
            value.wide().filter(|_| is_value)
        };
        let within = move |noisy: i128| T::Native::from_wide(noisy.clamp(lower, upper));
        if !self.noise.mark {
            return drawn::<T, _>(self.column, self.options, entity, move |value, entity| {
                let count = count(value)?;
                match amount.scale(count.unsigned_abs()) {
                    Some(scale) => within(noise.result(count, scale, entity, 1)),
                    None => within(count),
                }
            });
        }
        let room = self.noise.room(self.column.data_type)?;
        drawn_for_choice::<T, _>(self.column, self.options, entity, move |value, entity| {
            let count = count(value)?;
            // There is a scale for every value: `mark` doesn't stand beside `ratio`.
            let scale = amount.scale(count.unsigned_abs())?;
            let candidate = |number| noise.result(count, scale, entity, number);
            let shown = |noisy| Some(room.symbol(noisy));
            let first = candidate(1);
            let other = room::other(
                (first, shown(first)),
                |number| Some(candidate(number)),
                shown,
            );
            room::candidates(within(first)?, other, within)
        })
    }
}

/// The noise of integers and decimals of one field.
struct ExactNoise {
    draws: Draws,
    distribution: Distribution,
    /// The field's digits after the point.
    places: u8,
    round: Option<Step>,
}

impl ExactNoise {
    /// The count with the noise of that candidate, rounded.
    #[inline]
    fn result(&self, count: i128, scale: u128, entity: Option<&str>, candidate: u8) -> i128 {
        let mut message = [
            b'e',
            self.places,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        if let Some(bytes) = message.last_chunk_mut() {
            *bytes = count.to_be_bytes();
        }
        let draw = self.draws.candidate(entity, &message, candidate);
        let noisy = count.saturating_add(self.distribution.units(draw, scale));
        // A multiple that 128 bits don't hold is beyond every bound, and so is the number.
        self.round
            .as_ref()
            .and_then(|step| step.round(noisy))
            .unwrap_or(noisy)
    }
}
