//! `rank-preserving`: coarser values under a key, of which the order is left.
//!
//! For whoever needs to sort and to take quantiles, but not the amounts. A value falls into one of
//! the steps of a declared range, and a keyed, strictly increasing map gives every step a place of
//! its own within that range. No pass over the data: the map follows from the key and the parameters.
//!
//! The map is the recursive keyed split of order-preserving encryption (Boldyreva, Chenette, Lee,
//! O'Neill, EUROCRYPT 2009): steps are halved, and the places left to them are divided by a draw that
//! leaves each half at least as many places as it has steps. Theirs draws the split so that all
//! increasing maps are equally likely, and shows about the upper half of a value's digits; here every
//! split that is possible is as likely as any other, so that distances are blurred from the first
//! split on. Nothing more is claimed than that the map can't be told from one drawn so by chance
//! without the key. With LP as everywhere, N values of the range, and n steps:
//!
//! - draw(a, b) = the draw of `Draws` for the 8-byte big-endian a and b, without an entity, under
//!   the parameters `lower`, `upper`, `width` in the field's smallest units;
//! - steps a to b (exclusive) have the places c to d (exclusive), at first 0, n, 0, N. With m = a +
//!   (b - a) div 2, steps up to m have the places up to c + (m - a) + draw(a, b) below (d - c) - (b -
//!   a) + 1, the others the rest;
//! - a single step has the place c + draw below (d - c).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type};
use chrono::NaiveDate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::draw::{Draws, check_domain};
use crate::error::{Case, Misfit};
use crate::key::{DerivedKey, KeyUse};
use crate::number::column::mapped;
use crate::number::{Decimal, Divider, Exact, ForExact, scale_of, with_exact};
use crate::options::{Options, Scalar};
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Most steps of a range: their places are worked out before the first value.
const STEPS_MAX: u64 = 65_536;

/// Puts a number or date into a step of a declared range, and delivers a keyed value of that range
/// in its place: of a larger step, always a larger one. The type stays.
///
/// Not for fields whose order is nobody's business, and so only where `reveals_order = true` says that
/// it may show. What shows: which values share a step, the order of the steps, and very roughly
/// where in the range a value lies. Distances don't. Whoever knows the value behind some results has
/// those between them between theirs, and where nearly every step of a range occurs, or how often
/// each occurs is known from elsewhere, ranks and counts alone give the steps away (Naveed, Kamara,
/// Wright, CCS 2015): a wide `width` is what hides then, and nothing else. Another range or width draws
/// another map. A result is a value of the range, and of no meaning beside its rank: no sums, no means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankPreserving {
    /// Consistency domain: fields of one domain, range and width share results within a grant, and
    /// their ranks compare (`"income"`).
    pub domain: String,
    /// Approved join group, whose grants share results; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The least value of the range; decimal text, a whole number, or a date.
    #[schemars(schema_with = "bound_schema")]
    pub lower: Scalar,
    /// The greatest value of the range. With `lower` it spans 2^64 of the field's smallest units at
    /// most.
    #[schemars(schema_with = "bound_schema")]
    pub upper: Scalar,
    /// Width of a step, as decimal text; days for a date. More than the field's smallest unit; the
    /// range has 2 to 65,536 steps, the last of which also has what is left of the range.
    pub width: Decimal,
    /// What becomes of a value beyond the range.
    #[serde(default)]
    pub beyond: Beyond,
    /// That the order of values may show. Only `true` is accepted, and nothing is assumed.
    #[schemars(schema_with = "true_schema")]
    pub reveals_order: bool,
}

/// What becomes of a value beyond the range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// It is invalid.
    #[default]
    Invalid,
    /// It counts as the nearest value of the range.
    Clamp,
}

fn bound_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "oneOf": [
        { "type": "string", "format": "date" },
        { "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" },
        { "type": "number" }
    ] })
}

fn true_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": true })
}

/// The declared range in units of the field: days of a date, else the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    lower: i128,
    /// The greatest value, as its distance from the least.
    last: u64,
    width: u64,
    steps: u64,
}

impl RankPreserving {
    /// A bound in units of the field.
    fn bound(
        parameter: &'static str,
        bound: &Scalar,
        data_type: &DataType,
    ) -> Result<i128, Misfit> {
        let text = bound.as_text();
        let units = match (data_type, scale_of(data_type)) {
            (DataType::Date32, _) => NaiveDate::parse_from_str(&text, "%Y-%m-%d")
                .ok()
                .map(|day| i128::from(day.to_epoch_days())),
            (_, Some(scale)) => {
                let number = text.parse::<Decimal>().ok();
                let units = number.and_then(|number| number.scaled(scale).ok());
                let holds = |units: &i128| with_exact(data_type, Holds(*units)) == Some(true);
                units.and_then(|units| units.to_i128()).filter(holds)
            }
            (other, None) => return Err(unfit(other)),
        };
        units.ok_or_else(|| {
            let what = format!("`{parameter}` is no value of type {data_type}");
            Misfit::of_parameter(parameter, what)
                .with_hint("write a value that the field can hold, without further digits")
        })
    }

    fn range(&self, data_type: &DataType) -> Result<Range, Misfit> {
        let lower = Self::bound("lower", &self.lower, data_type)?;
        let upper = Self::bound("upper", &self.upper, data_type)?;
        if lower >= upper {
            return Err(Misfit::of_parameter(
                "lower",
                "`lower` must be less than `upper`",
            ));
        }
        let last = upper.checked_sub(lower);
        let last = last.and_then(|last| u64::try_from(last).ok());
        let last = last.ok_or_else(|| {
            let what = "`lower` to `upper` spans more than 2^64 of the field's smallest units";
            Misfit::of_parameter("upper", what).with_hint("declare a narrower range")
        })?;
        let width = self.width.scaled(scale_of(data_type).unwrap_or(0)).ok();
        let width = width.and_then(|width| width.to_i128());
        let width = width.and_then(|width| u64::try_from(width).ok());
        let width = width.filter(|width| *width > 1).ok_or_else(|| {
            let what = "`width` is no width of steps here: more than the field's smallest unit, and \
                        a whole number of them";
            Misfit::of_parameter("width", what).with_hint("choose a wider one, such as \"1000\"")
        })?;
        // A step of its own for the rest would be narrower than what was asked for.
        let steps = (u128::from(last) + 1) / u128::from(width);
        let fitting = u64::try_from(steps).ok();
        let fitting = fitting.filter(|steps| (2..=STEPS_MAX).contains(steps));
        let steps = fitting.ok_or_else(|| {
            let what = format!("the range has {steps} steps of that width");
            let hint = "choose `width` so that there are 2 to 65536 of them";
            Misfit::of_parameter("width", what).with_hint(hint)
        })?;
        Ok(Range {
            lower,
            last,
            width,
            steps,
        })
    }

    /// How many days a step of dates has: what is left where ranks give the step away; 1 for a width
    /// that doesn't fit.
    pub(crate) fn step_days(&self) -> u64 {
        let days = self.width.scaled(0).ok().and_then(|days| days.to_i128());
        days.and_then(|days| u64::try_from(days).ok()).unwrap_or(1)
    }

    fn check(&self, column: Column<'_>) -> Result<Range, Misfit> {
        check_domain(&self.domain, self.join.as_deref())?;
        if !self.reveals_order {
            let what = "`reveals_order` is false, and the order of values is what this delivers";
            return Err(Misfit::of_parameter("reveals_order", what)
                .with_hint("write true where the order may show, or use `bucket` or a pseudonym"));
        }
        self.range(column.data_type)
    }
}

fn unfit(data_type: &DataType) -> Misfit {
    Misfit::of_type(RankPreserving::KIND, data_type, RankPreserving::FITS)
}

/// Whether both bounds are the same number, day or text.
fn same(one: &Scalar, other: &Scalar) -> bool {
    let number = |bound: &Scalar| bound.as_text().parse::<Decimal>().ok();
    one.same_as(other) || number(one).is_some_and(|own| number(other) == Some(own))
}

impl Definition for RankPreserving {
    const KIND: &'static str = "rank-preserving";
    const SUMMARY: &'static str = "keeps the order of coarser values, and draws the rest by a key";
    const FITS: &'static str = "integers, decimals and dates";
    const EXAMPLE: &'static str = "{ kind = \"rank-preserving\", domain = \"income\", lower = \"0\", \
        upper = \"1000000\", width = \"1000\", reveals_order = true }";
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn refuses(&self, _: &DataType, case: Case) -> bool {
        case == Case::Invalid && self.beyond == Beyond::Invalid
    }

    /// True for the same map, or one of the same range whose every step is made of the floor's.
    fn at_least(&self, floor: &Self) -> bool {
        self.domain == floor.domain
            && (self.join.is_none() || self.join == floor.join)
            && same(&self.lower, &floor.lower)
            && same(&self.upper, &floor.upper)
            && self.width.is_multiple_of(floor.width)
            && self.beyond == floor.beyond
            && self.reveals_order == floor.reveals_order
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
        let range = self.check(column)?;
        let upper = range.lower + i128::from(range.last);
        let parameters = format!("{}\n{upper}\n{}", range.lower, range.width);
        let draws = Draws::new(Self::KIND, &parameters, column, key)?;
        let builder = Builder {
            column,
            options,
            map: Map::new(range, self.beyond, &draws)?,
        };
        match column.data_type {
            DataType::Date32 => builder.call::<Date32Type>(i32::MIN, i32::MAX),
            exact => with_exact(exact, builder).ok_or_else(|| unfit(exact))?,
        }
    }
}

/// Whether a type holds a number.
struct Holds(i128);

impl ForExact for Holds {
    type Output = bool;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> bool
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        T::Native::from_wide(self.0).is_some_and(|value| value >= least && value <= greatest)
    }
}

/// The steps of a range, and the place of each.
struct Map {
    range: Range,
    beyond: Beyond,
    width: Divider,
    /// The place of every step, as its distance from the least value: strictly ascending.
    places: Vec<u64>,
}

impl Map {
    fn new(range: Range, beyond: Beyond, draws: &Draws) -> Result<Self, Misfit> {
        let width = Divider::new(range.width);
        let width = width.ok_or_else(|| Misfit::of_parameter("width", "`width` is too narrow"))?;
        let mut places = Vec::new();
        place(
            draws,
            (0, range.steps),
            (0, u128::from(range.last) + 1),
            &mut places,
        );
        Ok(Self {
            range,
            beyond,
            width,
            places,
        })
    }

    #[inline]
    fn value<N: Exact>(&self, value: N) -> Option<N> {
        let offset = match value.wide().and_then(|value| self.offset(value)) {
            Some(offset) => offset,
            None if self.beyond == Beyond::Invalid => return None,
            None if value.widest() < arrow::datatypes::i256::from_i128(self.range.lower) => 0,
            None => self.range.last,
        };
        let (step, _) = self.width.divide(offset);
        let step = step.min(self.range.steps.saturating_sub(1));
        let place = self.places.get(usize::try_from(step).ok()?)?;
        N::from_wide(self.range.lower.checked_add(i128::from(*place))?)
    }

    /// The distance of a value of the range from the least.
    #[inline]
    fn offset(&self, value: i128) -> Option<u64> {
        let offset = u64::try_from(value.checked_sub(self.range.lower)?).ok()?;
        (offset <= self.range.last).then_some(offset)
    }
}

/// Appends the places of the steps from `from` to `to`, both exclusive at the end: there are at
/// least as many places as steps.
fn place(draws: &Draws, (from, to): (u64, u64), (first, end): (u128, u128), places: &mut Vec<u64>) {
    let mut name = [0; 16];
    let (low, high) = name.split_at_mut(8);
    low.copy_from_slice(&from.to_be_bytes());
    high.copy_from_slice(&to.to_be_bytes());
    let draw = draws.draw(None, &name);
    let steps = to.saturating_sub(from);
    if steps <= 1 {
        let place = first + draw.below(end.saturating_sub(first));
        places.push(u64::try_from(place).unwrap_or(u64::MAX));
        return;
    }
    let free = end.saturating_sub(first).saturating_sub(u128::from(steps));
    let half = steps / 2;
    let split = first + u128::from(half) + draw.below(free + 1);
    place(draws, (from, from + half), (first, split), places);
    place(draws, (from + half, to), (split, end), places);
}

struct Builder<'a> {
    column: Column<'a>,
    options: &'a Options,
    map: Map,
}

impl ForExact for Builder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let map = self.map;
        mapped::<T, _>(self.column, self.options, move |value| map.value(value))
    }
}

#[cfg(test)]
mod tests;
