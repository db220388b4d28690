//! `noise-num`: numbers moved by a keyed amount.
//!
//! The noise of a number is a function of the key, the entity and the number: whoever receives the
//! same value of the same entity again, in whatever delivery of the grant, receives the same result
//! and can average nothing away.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

mod exact;
mod room;

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draw::{Draws, check_domain};
use crate::entity::EntityField;
use crate::error::Misfit;
use crate::key::{DerivedKey, KeyUse};
use crate::marks::carrier::Freedom;
use crate::number::drawn::{drawn, drawn_for_choice};
use crate::number::noise::Distribution;
use crate::number::{Decimal, Float, FloatDigits, FloatStep, check_places, scale_of, with_exact};
use crate::options::Options;
use crate::spec::{Column, Definition, Read, Strength, Uniqueness};
use crate::treatment::Treatment;

use exact::{ExactBuilder, Limits};

/// Adds keyed noise to a number; the type stays.
///
/// The same value of the same entity gets the same noise in every delivery of the grant, so that
/// repeated deliveries cannot be averaged away. Another scale, distribution, domain or entity field
/// draws other noise: whoever holds both results holds two draws. A value that changes draws anew
/// each time, so that many readings of a quantity that hardly changes still average to it.
///
/// Integers and decimals are exact, and their noise has every digit of the field. A float's result
/// is rounded to a power of ten below a thousandth of the scale, so that its last digits tell
/// nothing; a float so large that the noise would be lost in it is invalid. With `round` a result
/// becomes the nearest multiple of that step, half away from zero. A result beyond the field's type,
/// or beyond `clamp`, becomes the nearest value within, multiple or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseNum {
    /// Consistency domain of the noise (`"income"`); one for each kind of quantity.
    pub domain: String,
    /// Approved join group, whose grants get the same noise; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// Which noise: `uniform` between -scale and scale; `laplace` with the scale as mean absolute
    /// amount, never more than 45 scales; `gaussian` with the scale as standard deviation, never
    /// more than 10.
    pub distribution: Distribution,
    /// The scale in the field's unit, as decimal text greater than zero and a whole number of the
    /// field's last digit. Either this or `ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Decimal>,
    /// The scale as a share of the value, as decimal text from 0.0001 to 1. At least the field's
    /// last digit where the value isn't zero; zero stays zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Decimal>,
    /// The least (`min`) and greatest (`max`) result, as decimal text; absent means the type's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<Clamp>,
    /// The step that results are rounded to once there is noise on them, as decimal text greater
    /// than zero and coarser than the field's last digit: `"100"`. The noise is the same with and
    /// without; absent means that it shows to the last digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Decimal>,
    /// The field that names the entity, such as a person's id. A row without an entity is invalid.
    /// Absent means that equal values get equal noise, whosever they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether a mark may choose which of two draws is delivered, so that the noise itself names the
    /// grant; whoever is sent a value twice, in rows that marks tell apart or before and after `mark` was
    /// set, may then hold both draws, and never more. Needs `scale`, of at least 16 times the field's last
    /// digit and four times `round`; not with `join`. A floor without it isn't met by a treatment with it.
    /// Absent means not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mark: bool,
}

/// The least and the greatest result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    /// The least result; absent means the type's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Decimal>,
    /// The greatest result; absent means the type's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Decimal>,
}

/// Decimal places of a ratio.
const RATIO_PLACES: i8 = 9;

/// How much noise, as one of the two ways to write it.
#[derive(Clone, Copy)]
enum Amount {
    Scale(Decimal),
    /// In units of 10^-9.
    Ratio(u128),
}

impl NoiseNum {
    fn amount(&self) -> Result<Amount, Misfit> {
        match (self.scale, self.ratio) {
            (Some(_), Some(_)) => Err(Misfit::of_parameter(
                "ratio",
                "`scale` and `ratio` are both given; write one of them",
            )),
            (None, None) => Err(Misfit::of_parameter(
                "scale",
                "`scale` or `ratio` is required",
            )),
            (Some(scale), None) if scale.is_positive() => Ok(Amount::Scale(scale)),
            (Some(_), None) => Err(Misfit::of_parameter(
                "scale",
                "`scale` must be greater than zero",
            )),
            (None, Some(ratio)) => {
                let units = ratio
                    .scaled(RATIO_PLACES)
                    .ok()
                    .and_then(|units| units.to_i128());
                units
                    .and_then(|units| u128::try_from(units).ok())
                    .filter(|units| (100_000..=1_000_000_000).contains(units))
                    .map(Amount::Ratio)
                    .ok_or_else(|| {
                        let what =
                            "`ratio` must be from 0.0001 to 1, with at most 9 decimal places";
                        Misfit::of_parameter("ratio", what)
                    })
            }
        }
    }

    fn min(&self) -> Option<Decimal> {
        self.clamp.and_then(|clamp| clamp.min)
    }

    fn max(&self) -> Option<Decimal> {
        self.clamp.and_then(|clamp| clamp.max)
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        check_domain(&self.domain, self.join.as_deref())?;
        let amount = self.amount()?;
        if let Some(clamp) = self.clamp {
            match (clamp.min, clamp.max) {
                (None, None) => {
                    return Err(Misfit::of_parameter(
                        "clamp",
                        "`clamp` needs `min` or `max`",
                    ));
                }
                (Some(min), Some(max)) if min >= max => {
                    let what = "`min` of `clamp` must be less than `max`";
                    return Err(Misfit::of_parameter("clamp", what));
                }
                _ => {}
            }
        }
        if self.round.is_some_and(|step| !step.is_positive()) {
            let what = "`round` must be greater than zero";
            return Err(Misfit::of_parameter("round", what));
        }
        let data_type = column.data_type;
        let unfit = || Misfit::of_type(Self::KIND, data_type, Self::FITS);
        match (scale_of(data_type), data_type) {
            (_, DataType::Decimal256(_, _)) => return Err(unfit()),
            (Some(scale), _) => {
                with_exact(data_type, Limits { noise: self, scale }).ok_or_else(unfit)??;
            }
            (None, DataType::Float32 | DataType::Float64) => {
                if let Amount::Scale(scale) = amount {
                    check_places("scale", scale, data_type)?;
                }
                if let Some(step) = self.round {
                    check_places("round", step, data_type)?;
                }
            }
            (None, _) => return Err(unfit()),
        }
        if self.mark {
            self.room(data_type)?;
        }
        if let Some(by) = &self.by {
            EntityField::resolve(by, column)?;
        }
        Ok(())
    }

    /// The noise depends on what is said here: were two scales to share it, the two results would
    /// give the value away. `clamp`, `round` and `mark` are left out, which change no draw.
    fn draws(&self, column: Column<'_>, key: Option<&DerivedKey>) -> Result<Draws, Misfit> {
        let distribution = match self.distribution {
            Distribution::Uniform => "uniform",
            Distribution::Laplace => "laplace",
            Distribution::Gaussian => "gaussian",
        };
        let (name, amount) = match (self.scale, self.ratio) {
            (None, Some(ratio)) => ("ratio", ratio),
            (scale, _) => ("scale", scale.unwrap_or(Decimal::ZERO)),
        };
        let parameters = format!("{distribution}\n{name}\n{amount}");
        Draws::new(Self::KIND, &parameters, column, key)
    }
}

impl Definition for NoiseNum {
    const KIND: &'static str = "noise-num";
    const SUMMARY: &'static str = "adds keyed noise to a number, the same for the same value";
    const FITS: &'static str = "integers, decimals of up to 38 digits, and floats";
    const EXAMPLE: &'static str = r#"{ kind = "noise-num", domain = "income", distribution = "laplace", scale = "100", by = "person_id" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn reads(&self) -> Vec<Read> {
        self.by.iter().cloned().map(Read::Entity).collect()
    }

    fn at_least(&self, floor: &Self) -> bool {
        let larger = match (self.amount(), floor.amount()) {
            (Ok(Amount::Scale(own)), Ok(Amount::Scale(floor))) => own >= floor,
            (Ok(Amount::Ratio(own)), Ok(Amount::Ratio(floor))) => own >= floor,
            _ => false,
        };
        let min = floor
            .min()
            .is_none_or(|floor| self.min().is_some_and(|own| own >= floor));
        let max = floor
            .max()
            .is_none_or(|floor| self.max().is_some_and(|own| own <= floor));
        let round = floor
            .round
            .is_none_or(|floor| self.round.is_some_and(|own| own.is_multiple_of(floor)));
        self.domain == floor.domain
            && (self.join.is_none() || self.join == floor.join)
            && self.distribution == floor.distribution
            && self.by == floor.by
            && larger
            && min
            && max
            && round
            // With a mark both draws may be shown: only a floor that says so has that room.
            && self.mark == floor.mark
    }

    fn freedom(&self, data_type: &DataType) -> Option<Freedom> {
        let room = self.mark.then(|| self.room(data_type).ok()).flatten();
        room.map(Freedom::Noise)
    }

    fn lends(&self) -> Option<&'static str> {
        self.mark.then_some("mark")
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(column.data_type.clone()))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(KeyUse {
            purpose: "pseudonym",
            domain: self.domain.clone(),
            join: self.join.clone(),
        })
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        let unfit = || Misfit::of_type(Self::KIND, column.data_type, Self::FITS);
        let draws = self.draws(column, key)?;
        if let Some(scale) = scale_of(column.data_type) {
            let builder = ExactBuilder {
                noise: self,
                column,
                options,
                draws,
                scale,
            };
            return with_exact(column.data_type, builder).ok_or_else(unfit)?;
        }
        match column.data_type {
            DataType::Float32 => {
                self.floats::<Float32Type>(column, options, draws, Precision::SINGLE)
            }
            DataType::Float64 => {
                self.floats::<Float64Type>(column, options, draws, Precision::DOUBLE)
            }
            _ => Err(unfit()),
        }
    }
}

/// Where a float of some type is too coarse for noise to show in it.
#[derive(Clone, Copy)]
struct Precision {
    /// The least share of a value that eight neighbours lie within: the least scale that isn't lost.
    share: f64,
    /// The least value whose neighbours are that close.
    least: f64,
}

impl Precision {
    const SINGLE: Self = Self {
        share: 1.0 / 1_048_576.0,
        least: 1.175_494_350_822_287_5e-38,
    };
    const DOUBLE: Self = Self {
        share: Self::SINGLE.share / 536_870_912.0,
        least: f64::MIN_POSITIVE / Self::SINGLE.share,
    };

    /// Whether noise of that scale moves the value.
    #[inline]
    fn tells(self, value: f64, scale: f64) -> bool {
        let magnitude = value.abs();
        magnitude * self.share <= scale
            && (value == 0.0 || magnitude >= self.least || scale >= self.least)
    }
}

/// How much noise a float gets, and what its result is rounded to.
enum FloatAmount {
    Scale(f64, FloatStep),
    Ratio(f64, FloatDigits),
}

impl FloatAmount {
    fn new(amount: Amount) -> Self {
        match amount {
            Amount::Scale(scale) => Self::Scale(
                scale.to_f64(),
                FloatStep::new(Decimal::thousandth_below(scale)),
            ),
            Amount::Ratio(units) => {
                let powers =
                    std::iter::successors(Some(1_000_000_000_u128), |power| Some(power / 10));
                let digits = powers.take_while(|power| units < *power).count();
                let digits = u32::try_from(digits).unwrap_or_default();
                // At most 10^9, which a double holds exactly.
                let ratio = u32::try_from(units).map_or(1.0, f64::from) / 1e9;
                Self::Ratio(ratio, FloatDigits::new(digits + 3))
            }
        }
    }
}

impl NoiseNum {
    fn entity(&self, column: Column<'_>) -> Result<Option<EntityField>, Misfit> {
        self.by
            .as_ref()
            .map(|by| EntityField::resolve(by, column))
            .transpose()
    }

    fn floats<T>(
        &self,
        column: Column<'_>,
        options: &Options,
        draws: Draws,
        precision: Precision,
    ) -> Result<Box<dyn Treatment>, Misfit>
    where
        T: ArrowPrimitiveType,
        T::Native: Float,
    {
        let noise = FloatNoise {
            draws,
            distribution: self.distribution,
            amount: FloatAmount::new(self.amount()?),
            precision,
            round: self.round.map(FloatStep::new),
        };
        let lower = self.min().map_or(f64::NEG_INFINITY, Decimal::to_f64);
        let upper = self.max().map_or(f64::INFINITY, Decimal::to_f64);
        let within = move |noisy: f64| {
            let result = T::Native::narrow(noisy.clamp(lower, upper) + 0.0);
            result.widen().is_finite().then_some(result)
        };
        let entity = self.entity(column)?;
        if !self.mark {
            return drawn::<T, _>(column, options, entity, move |value, entity| {
                within(noise.result(value.widen(), entity, 1)?)
            });
        }
        let room = self.room(column.data_type)?;
        drawn_for_choice::<T, _>(column, options, entity, move |value, entity| {
            let value = value.widen();
            let first = noise.result(value, entity, 1)?;
            let shown = |noisy: f64| room.symbol_of_float(T::Native::narrow(noisy + 0.0));
            let other = room::other(
                (first, shown(first)),
                |number| noise.result(value, entity, number),
                shown,
            );
            room::candidates(within(first)?, other, within)
        })
    }
}

/// The noise of floats of one field.
struct FloatNoise {
    draws: Draws,
    distribution: Distribution,
    amount: FloatAmount,
    precision: Precision,
    round: Option<FloatStep>,
}

impl FloatNoise {
    /// The value with the noise of that candidate, rounded; none where the value isn't finite, or too
    /// large for noise to show.
    #[inline]
    fn result(&self, value: f64, entity: Option<&str>, candidate: u8) -> Option<f64> {
        // Adding zero makes one zero of the two.
        let value = value + 0.0;
        if !value.is_finite() {
            return None;
        }
        let scale = match &self.amount {
            FloatAmount::Scale(scale, _) => *scale,
            FloatAmount::Ratio(ratio, _) => value.abs() * ratio,
        };
        if !self.precision.tells(value, scale) {
            return None;
        }
        let [a, b, c, d, e, f, g, h] = value.to_bits().to_be_bytes();
        let message = [b'f', a, b, c, d, e, f, g, h];
        let draw = self.draws.candidate(entity, &message, candidate);
        let noisy = value + self.distribution.standard(draw) * scale;
        let rounded = match &self.amount {
            FloatAmount::Scale(_, step) => step.round(noisy),
            FloatAmount::Ratio(_, digits) => digits.round(noisy),
        }?;
        match &self.round {
            Some(step) => step.round(rounded),
            None => Some(rounded),
        }
    }
}

#[cfg(test)]
mod tests;
