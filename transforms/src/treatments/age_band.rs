//! `age-band`: birth dates to bands of age on a given day.

use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use chrono::Datelike;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{Civil, DAY_SECONDS, Zone, per_second};
use crate::date::Date;
use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::column::{Classes, labelled};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength};
use crate::treatment::Treatment;

/// Replaces a birth date by a band of completed years of age, as text: `30-39`, `90+`.
///
/// A year is completed on the birthday; who was born on 29 February completes one on 1 March where
/// there is no such day. A birth after `as_of` is invalid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgeBand {
    /// The day on which ages are taken. There is no clock: the same input gives the same bands.
    pub as_of: Date,
    /// Years of every band. Either this or `edges`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Ages at which a band begins, ascending; the first band begins at 0, the last edge opens the
    /// last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<u32>>,
    /// The age from which on there is one band only, because few people are older; no edge may be
    /// beyond it.
    #[serde(default = "cap")]
    pub cap: u32,
}

fn cap() -> u32 {
    90
}

/// No band begins later than this.
const AGE_MAX: u32 = 150;

impl AgeBand {
    /// The ages at which a band begins, ascending; the band before the first begins at 0.
    fn starts(&self) -> Result<Vec<u32>, Misfit> {
        if !(1..=AGE_MAX).contains(&self.cap) {
            let what = format!("`cap` must be an age from 1 to {AGE_MAX}");
            return Err(Misfit::of_parameter("cap", what));
        }
        match (self.width, &self.edges) {
            (Some(_), Some(_)) => Err(Misfit::of_parameter(
                "edges",
                "`width` and `edges` are both given; write one of them",
            )),
            (None, None) => Err(Misfit::of_parameter("width", "`width` or `edges` is required")),
            (Some(0), None) => {
                Err(Misfit::of_parameter("width", "`width` must be greater than zero"))
            }
            (Some(width), None) => {
                let below = (1..self.cap).filter(|age| age.is_multiple_of(width));
                Ok(below.chain([self.cap]).collect())
            }
            (None, Some(edges)) => self.edges(edges),
        }
    }

    fn edges(&self, edges: &[u32]) -> Result<Vec<u32>, Misfit> {
        let misfit = |what: &str| Err(Misfit::of_parameter("edges", what));
        match (edges.first(), edges.last()) {
            (None, _) | (_, None) => misfit("`edges` needs at least one age"),
            (Some(0), _) => misfit("`edges` must be greater than zero; the first band begins at 0"),
            _ if !edges.is_sorted_by(|lower, upper| lower < upper) => {
                misfit("`edges` must ascend, each age once")
            }
            (_, Some(last)) if *last > self.cap => Err(Misfit::of_parameter(
                "edges",
                format!("an edge lies beyond `cap`, {}", self.cap),
            )
            .with_hint("leave the edge out, or raise `cap`")),
            _ => Ok(edges.to_vec()),
        }
    }

    fn bands(&self) -> Result<Bands, Misfit> {
        let starts = self.starts()?;
        let day = self.as_of.0;
        let as_of = Civil {
            year: i64::from(day.year()),
            month: i64::from(day.month()),
            day: i64::from(day.day()),
        };
        let lowers = std::iter::once(&0).chain(&starts);
        let uppers = starts.iter().map(Some).chain([None]);
        let label = |(lower, upper): (&u32, Option<&u32>)| match upper {
            Some(upper) if *upper == lower + 1 => lower.to_string(),
            Some(upper) => format!("{lower}-{}", upper - 1),
            None => format!("{lower}+"),
        };
        Ok(Bands {
            as_of: as_of.to_days(),
            latest: starts.iter().map(|age| as_of.years_before(i64::from(*age)).to_days()).collect(),
            labels: lowers.zip(uppers).map(label).collect(),
        })
    }
}

/// Bands of age on one day, as days of birth.
#[derive(Debug, Clone)]
struct Bands {
    /// The day on which ages are taken.
    as_of: i64,
    /// For every band but the first, the latest birth that belongs to it or an older one.
    latest: Vec<i64>,
    /// The label of every band.
    labels: Vec<String>,
}

impl Bands {
    #[inline]
    fn label(&self, birth: i64) -> Option<&str> {
        if birth > self.as_of {
            return None;
        }
        let band = self.latest.partition_point(|latest| birth <= *latest);
        self.labels.get(band).map(String::as_str)
    }
}

/// Bands, and how a value becomes a day of birth.
struct Births<D> {
    bands: Bands,
    day: D,
}

impl<N, D: Fn(N) -> Option<i64> + Send + Sync + 'static> Classes<N> for Births<D> {
    type Memory = ();

    #[inline]
    fn label<'a>(&'a self, value: N, (): &'a mut ()) -> Option<&'a str> {
        self.bands.label((self.day)(value)?)
    }
}

impl Definition for AgeBand {
    const KIND: &'static str = "age-band";
    const SUMMARY: &'static str = "Replaces a birth date by a band of age on a given day";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str =
        r#"{ kind = "age-band", as_of = 2026-01-01, width = 10, cap = 90 }"#;
    const STRENGTH: Strength = Strength::COARSER;

    /// True if ages are taken on the same day, and every band is a union of some of the floor's.
    fn at_least(&self, floor: &Self) -> bool {
        match (self.starts(), floor.starts()) {
            (Ok(own), Ok(theirs)) => {
                self.as_of == floor.as_of && own.iter().all(|age| theirs.contains(age))
            }
            _ => false,
        }
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.starts()?;
        match column.data_type {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => {}
            DataType::Timestamp(_, Some(zone)) => Zone::check(zone)?,
            other => return Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
        Ok(Some(DataType::Utf8))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let bands = self.bands()?;
        match column.data_type {
            DataType::Date32 => {
                let births = Births { bands, day: |days: i32| Some(i64::from(days)) };
                labelled::<Date32Type, _>(column, options, births)
            }
            DataType::Date64 => {
                let day = DAY_SECONDS * per_second(TimeUnit::Millisecond);
                let births =
                    Births { bands, day: move |milliseconds: i64| Some(milliseconds.div_euclid(day)) };
                labelled::<Date64Type, _>(column, options, births)
            }
            DataType::Timestamp(unit, zone) => {
                let zone = zone.as_deref().map(Zone::parse).transpose()?;
                match unit {
                    TimeUnit::Second => timestamp::<TimestampSecondType>(column, options, bands, zone),
                    TimeUnit::Millisecond => {
                        timestamp::<TimestampMillisecondType>(column, options, bands, zone)
                    }
                    TimeUnit::Microsecond => {
                        timestamp::<TimestampMicrosecondType>(column, options, bands, zone)
                    }
                    TimeUnit::Nanosecond => {
                        timestamp::<TimestampNanosecondType>(column, options, bands, zone)
                    }
                }
            }
            other => Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
    }
}

/// Births as timestamps: the day is the one that clocks of the zone showed.
fn timestamp<T: ArrowTimestampType>(
    column: Column<'_>,
    options: &Options,
    bands: Bands,
    zone: Option<Zone>,
) -> Result<Box<dyn Treatment>, Misfit> {
    let day = move |time: i64| {
        let instant = time.div_euclid(per_second(T::UNIT));
        let offset = zone.as_ref().map_or(0, |zone| zone.offset(instant));
        Some(instant.checked_add(offset)?.div_euclid(DAY_SECONDS))
    };
    labelled::<T, _>(column, options, Births { bands, day })
}
