//! `geo-coarsen`: coordinates to the point of a grid, or to the cell of a geohash.
//!
//! A position to the metre is an address. Positions are read as exact decimal text or as the floats
//! they are; nothing is converted between datums.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::key::DerivedKey;
use crate::number::column::mapped;
use crate::number::{
    Decimal, Exact, Float, FloatStep, ForExact, check_places, scale_of, with_exact,
};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, Written};
use crate::treatment::Treatment;

mod position;

use position::{Position, UNIT_PLACES, nearest_within, write_geohash, write_position};

/// Moves a coordinate to the nearest point of a grid, or a pair of them to a geohash.
///
/// A field of floats or decimals holds one coordinate: `grid` and `axis`. A field of text holds a
/// pair, such as `120.1551,30.2741`: `order`, and `grid` or `geohash`; the grid's points are written
/// in the same order with the grid's decimal places. Coordinates beyond ±180 or ±90 degrees are
/// invalid, as is text that isn't two decimal numbers with a comma between them.
///
/// Strength is 2 from a grid of 0.01 degree (about a kilometre) or a geohash of 5 characters (about
/// 5 km) on; what is finer may single out a house, and counts as partly hidden (1). It does not stand
/// for a floor that hides part of a text: the digits that it keeps may be those that the floor hides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoCoarsen {
    /// Width of the grid in degrees, as decimal text from 0.0001 to 90: `"0.01"` is about a
    /// kilometre from north to south.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Decimal>,
    /// Characters of the geohash, 1 to 8: 5 is about 5 km, 6 about 1 km, 8 about 30 m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geohash: Option<u8>,
    /// Which coordinate a field of numbers holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<Axis>,
    /// Which coordinate comes first in a field of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The datum of the coordinates: stated for those who sign and use them, never converted.
    pub datum: Datum,
}

/// One of the two coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// East and west, to 180 degrees.
    Longitude,
    /// North and south, to 90 degrees.
    Latitude,
}

/// The order of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Longitude, then latitude.
    LngLat,
    /// Latitude, then longitude.
    LatLng,
}

/// The datum of coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Datum {
    /// World Geodetic System 1984.
    #[serde(rename = "WGS84")]
    Wgs84,
    /// The datum of public maps of China.
    #[serde(rename = "GCJ02")]
    Gcj02,
    /// China Geodetic Coordinate System 2000.
    #[serde(rename = "CGCS2000")]
    Cgcs2000,
}

impl Axis {
    fn degrees(self) -> u8 {
        match self {
            Self::Longitude => 180,
            Self::Latitude => 90,
        }
    }
}

/// The finest grid in units of 10^-4 degrees, and the coarsest.
const GRID: std::ops::RangeInclusive<i64> = 1..=900_000;

/// The longest geohash: its cells are about 38 m wide.
const GEOHASH_MAX: u8 = 8;

/// The finest grid of which a coarser value is said to be left, in units of 10^-4 degrees: 0.01
/// degree is 1.1 km from north to south.
const COARSE_GRID: i64 = 100;

/// The longest geohash of which that is said: its cells are 4.9 km wide and high; those of 6
/// characters are 0.6 km high.
const COARSE_GEOHASH: u8 = 5;

impl GeoCoarsen {
    /// Whether the cells are so large that a position is no address.
    fn is_coarse(&self) -> bool {
        match (self.grid, self.geohash) {
            (Some(grid), None) => grid >= Decimal::whole(COARSE_GRID, 4),
            (None, Some(length)) => length <= COARSE_GEOHASH,
            (None, None) | (Some(_), Some(_)) => false,
        }
    }

    fn grid(&self) -> Result<Decimal, Misfit> {
        let grid = self
            .grid
            .ok_or_else(|| Misfit::of_parameter("grid", "`grid` is required for this field"))?;
        let bound = |units: &i64| Decimal::whole(*units, 4);
        if grid < bound(GRID.start()) || grid > bound(GRID.end()) {
            let what = "`grid` must be from 0.0001 to 90 degrees";
            return Err(Misfit::of_parameter("grid", what));
        }
        if grid.scale() > UNIT_PLACES {
            let what = format!("`grid` has more than {UNIT_PLACES} decimal places");
            return Err(Misfit::of_parameter("grid", what));
        }
        Ok(grid)
    }

    /// The grid and axis of a field of numbers.
    fn single(&self) -> Result<(Decimal, Axis), Misfit> {
        if self.geohash.is_some() {
            return Err(Misfit::of_parameter(
                "geohash",
                "`geohash` needs both coordinates, in a field of text",
            )
            .with_hint("write `grid`"));
        }
        if self.order.is_some() {
            return Err(Misfit::of_parameter(
                "order",
                "`order` belongs to a pair, in a field of text",
            )
            .with_hint("write `axis`"));
        }
        let axis = self.axis.ok_or_else(|| {
            Misfit::of_parameter("axis", "`axis` is required for a field of numbers")
                .with_hint("write axis = \"longitude\" or \"latitude\"")
        })?;
        Ok((self.grid()?, axis))
    }

    /// What is written for a field of text.
    fn pair(&self) -> Result<Pair, Misfit> {
        if self.axis.is_some() {
            return Err(Misfit::of_parameter(
                "axis",
                "`axis` belongs to one coordinate, in a field of numbers",
            )
            .with_hint("write `order`"));
        }
        let order = self.order.ok_or_else(|| {
            Misfit::of_parameter("order", "`order` is required for a field of text")
                .with_hint("write order = \"lng-lat\" or \"lat-lng\"")
        })?;
        let form = match (self.grid, self.geohash) {
            (Some(_), Some(_)) => {
                return Err(Misfit::of_parameter(
                    "geohash",
                    "`grid` and `geohash` are both given; write one of them",
                ));
            }
            (_, None) => {
                let grid = self.grid()?;
                let step = grid.scaled(UNIT_PLACES).ok().and_then(Exact::small);
                let step =
                    step.ok_or_else(|| Misfit::of_parameter("grid", "`grid` is too large"))?;
                Form::Grid {
                    step,
                    places: grid.scale(),
                }
            }
            (None, Some(length)) if (1..=GEOHASH_MAX).contains(&length) => Form::Geohash(length),
            (None, Some(_)) => {
                let what = format!("`geohash` must be from 1 to {GEOHASH_MAX} characters");
                return Err(Misfit::of_parameter("geohash", what));
            }
        };
        Ok(Pair { order, form })
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        let data_type = column.data_type;
        match data_type {
            DataType::Utf8 => self.pair().map(drop),
            DataType::Float32 | DataType::Float64 => {
                let (grid, _) = self.single()?;
                check_places("grid", grid, data_type)
            }
            DataType::Decimal128(_, scale) => {
                let (grid, axis) = self.single()?;
                exact_units(grid, axis, *scale).map(drop)
            }
            other => Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
    }
}

/// The grid and the limit of the axis in units of 10^-`scale`.
fn exact_units(grid: Decimal, axis: Axis, scale: i8) -> Result<(i128, i128), Misfit> {
    let step = grid
        .scaled(scale)
        .ok()
        .and_then(Exact::wide)
        .filter(|step| *step > 1);
    let degrees = Decimal::whole(i64::from(axis.degrees()), 0);
    let limit = degrees.scaled(scale).ok().and_then(Exact::wide);
    step.zip(limit).ok_or_else(|| {
        let what = format!(
            "`grid` must be a multiple of the field's last digit and coarser than it: the field \
             has {scale} decimal places"
        );
        Misfit::of_parameter("grid", what).with_hint("choose a coarser grid")
    })
}

impl Definition for GeoCoarsen {
    const KIND: &'static str = "geo-coarsen";
    const SUMMARY: &'static str = "moves coordinates to a grid, or replaces them by a geohash";
    const FITS: &'static str = "floats and decimals (one coordinate), utf8 (a pair)";
    const EXAMPLE: &'static str =
        r#"{ kind = "geo-coarsen", grid = "0.01", axis = "longitude", datum = "WGS84" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const WEAKER: Option<&'static str> =
        Some("1 for grids below 0.01 degree and geohashes of more than 5 characters");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> =
        Some("the characters of the geohash; that of a pair on a grid follows the value");

    fn width(&self, _: &DataType) -> Option<usize> {
        self.geohash.map(usize::from)
    }

    fn strength(&self) -> Strength {
        match self.is_coarse() {
            true => Self::STRENGTH,
            false => Strength::PARTIAL,
        }
    }

    /// True for a multiple of the grid, and for no more characters of the geohash.
    fn at_least(&self, floor: &Self) -> bool {
        let coarser = match (self.grid, floor.grid, self.geohash, floor.geohash) {
            (Some(own), Some(floor), None, None) => own.is_multiple_of(floor),
            (None, None, Some(own), Some(floor)) => own <= floor,
            _ => false,
        };
        coarser && self.axis == floor.axis && self.order == floor.order && self.datum == floor.datum
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(column.data_type.clone()))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        let unfit = || Misfit::of_type(Self::KIND, column.data_type, Self::FITS);
        if *column.data_type == DataType::Utf8 {
            return Ok(Box::new(TextTreatment::new(self.pair()?, options, column)?));
        }
        let (grid, axis) = self.single()?;
        if let Some(scale) = scale_of(column.data_type) {
            let (step, limit) = exact_units(grid, axis, scale)?;
            let builder = ExactBuilder {
                column,
                options,
                step,
                limit,
            };
            return with_exact(column.data_type, builder).ok_or_else(unfit)?;
        }
        match column.data_type {
            DataType::Float32 => floats::<Float32Type>(column, options, grid, axis),
            DataType::Float64 => floats::<Float64Type>(column, options, grid, axis),
            _ => Err(unfit()),
        }
    }
}

fn floats<T>(
    column: Column<'_>,
    options: &Options,
    grid: Decimal,
    axis: Axis,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    let (step, width) = (FloatStep::new(grid), grid.to_f64());
    let limit = f64::from(axis.degrees());
    mapped::<T, _>(column, options, move |value| {
        let degrees = value.widen();
        // Not so for NaN either.
        if !(-limit..=limit).contains(&degrees) {
            return None;
        }
        let nearest = step.round(value)?;
        let beyond = nearest.widen();
        if beyond.abs() <= limit {
            return Some(nearest);
        }
        step.round(T::Native::narrow(beyond - width.copysign(beyond)))
    })
}

struct ExactBuilder<'a> {
    column: Column<'a>,
    options: &'a Options,
    step: i128,
    limit: i128,
}

impl ForExact for ExactBuilder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let Self { step, limit, .. } = self;
        mapped::<T, _>(self.column, self.options, move |value| {
            let nearest = nearest_within(value.wide()?, step, limit)?;
            let nearest = T::Native::from_wide(nearest)?;
            (nearest >= least && nearest <= greatest).then_some(nearest)
        })
    }
}

/// What is made of a pair of coordinates.
#[derive(Debug, Clone, Copy)]
struct Pair {
    order: Order,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// Points of a grid, with its step in units, written with that many decimal places.
    Grid { step: i64, places: i8 },
    /// A geohash of that many characters.
    Geohash(u8),
}

impl TextKernel for Pair {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        let lng_first = self.order == Order::LngLat;
        let position = Position::parse(value, lng_first).ok_or(Case::Invalid)?;
        match self.form {
            Form::Grid { step, places } => {
                let position = position.on_grid(step).ok_or(Case::Invalid)?;
                write_position(position, lng_first, places, out);
            }
            Form::Geohash(length) => write_geohash(position, length, out),
        }
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }
}

#[cfg(test)]
mod tests;
