//! `age-band`: birth dates to bands of age on a given day.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

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
use crate::spec::{Column, Definition, Strength, Uniqueness};
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
            (None, None) => Err(Misfit::of_parameter(
                "width",
                "`width` or `edges` is required",
            )),
            (Some(0), None) => Err(Misfit::of_parameter(
                "width",
                "`width` must be greater than zero",
            )),
            (Some(width), None) => {
                let below = (1..self.cap).filter(|age| age.is_multiple_of(width));
                Ok(below.chain([self.cap]).collect())
            }
            (None, Some(edges)) => self.edges(edges),
        }
    }

    /// The years of the narrowest band, the open one from the last edge on aside; `None` if there
    /// are no bands.
    pub(crate) fn narrowest_years(&self) -> Option<u32> {
        let starts = self.starts().ok()?;
        let lowers = std::iter::once(&0).chain(&starts);
        lowers
            .zip(&starts)
            .map(|(lower, upper)| upper - lower)
            .min()
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
            latest: starts
                .iter()
                .map(|age| as_of.years_before(i64::from(*age)).to_days())
                .collect(),
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
    const SUMMARY: &'static str = "replaces a birth date by a band of age on a given day";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str =
        r#"{ kind = "age-band", as_of = 2026-01-01, width = 10, cap = 90 }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> = Some("that of the longest label");

    fn width(&self, _: &DataType) -> Option<usize> {
        let labels = self.bands().ok()?.labels;
        labels.iter().map(String::len).max()
    }

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
                let births = Births {
                    bands,
                    day: |days: i32| Some(i64::from(days)),
                };
                labelled::<Date32Type, _>(column, options, births)
            }
            DataType::Date64 => {
                let day = DAY_SECONDS * per_second(TimeUnit::Millisecond);
                let births = Births {
                    bands,
                    day: move |milliseconds: i64| Some(milliseconds.div_euclid(day)),
                };
                labelled::<Date64Type, _>(column, options, births)
            }
            DataType::Timestamp(unit, zone) => {
                let zone = zone.as_deref().map(Zone::parse).transpose()?;
                match unit {
                    TimeUnit::Second => {
                        timestamp::<TimestampSecondType>(column, options, bands, zone)
                    }
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

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, Date32Array, Date64Array, TimestampMicrosecondArray, TimestampSecondArray,
    };
    use chrono::{DateTime, NaiveDate, TimeDelta};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::number::column::testing::{apply, misfit, texts, treat, written};
    use crate::options::{Action, Scalar};

    fn days(dates: &[&str]) -> Date32Array {
        let day = |text: &&str| -> i32 {
            let date: NaiveDate = text.parse().unwrap();
            date.signed_duration_since(NaiveDate::default())
                .num_days()
                .try_into()
                .unwrap()
        };
        Date32Array::from_iter_values(dates.iter().map(day))
    }

    fn bands(table: Value, dates: &[&str]) -> ArrayRef {
        treat::<AgeBand>(table, days(dates))
    }

    #[test]
    fn a_width_gives_bands_up_to_the_cap() {
        let table = json!({ "as_of": "2026-06-15", "width": 10 });
        let births = [
            "2026-06-15",
            "2016-06-16",
            "2016-06-15",
            "1996-06-15",
            "1996-06-16",
            "1936-06-16",
            "1936-06-15",
            "1800-01-01",
        ];
        let expected = [
            "0-9", "0-9", "10-19", "30-39", "20-29", "80-89", "90+", "90+",
        ]
        .map(Some);
        assert_eq!(texts(&bands(table, &births)), expected);
        let table = json!({ "as_of": "2026-06-15", "width": 20, "cap": 50 });
        let expected = ["0-19", "40-49", "50+"].map(Some);
        assert_eq!(
            texts(&bands(table, &["2020-01-01", "1980-01-01", "1970-01-01"])),
            expected
        );
    }

    #[test]
    fn edges_give_bands_and_the_last_one_is_open() {
        let table = json!({ "as_of": "2026-01-01", "edges": [6, 7, 18, 60] });
        let births = [
            "2026-01-01",
            "2020-01-01",
            "2019-01-01",
            "2008-01-02",
            "2008-01-01",
            "1966-01-01",
        ];
        let expected = ["0-5", "6", "7-17", "7-17", "18-59", "60+"].map(Some);
        assert_eq!(texts(&bands(table, &births)), expected);
    }

    #[test]
    fn a_birth_after_the_day_is_invalid() {
        let table = json!({ "as_of": "2026-01-01", "width": 10 });
        let treated = bands(table.clone(), &["2026-01-02", "2026-01-01"]);
        assert_eq!(texts(&treated), [None, Some("0-9")]);
        let reject = Options {
            on_invalid: Action::Reject,
            ..Options::default()
        };
        let treated = apply(&written::<AgeBand>(table), &reject, days(&["2026-01-02"])).unwrap();
        assert_eq!(treated.rejected.unwrap().count_set_bits(), 1);
    }

    #[test]
    fn leap_day_births_come_of_age_on_the_first_of_march() {
        let band = |as_of: &str, birth: &str| {
            let treated = bands(json!({ "as_of": as_of, "edges": [18] }), &[birth]);
            texts(&treated)[0].unwrap().to_owned()
        };
        assert_eq!(band("2018-02-28", "2000-02-29"), "0-17");
        assert_eq!(band("2018-03-01", "2000-02-29"), "18+");
        assert_eq!(band("2020-02-29", "2002-02-28"), "18+");
        assert_eq!(band("2020-02-29", "2002-03-01"), "0-17");
        let four = bands(
            json!({ "as_of": "2004-02-29", "edges": [4] }),
            &["2000-02-29"],
        );
        assert_eq!(texts(&four), [Some("4+")]);
    }

    #[test]
    fn timestamps_are_born_on_the_local_day() {
        let instant = DateTime::parse_from_rfc3339("2008-01-01T16:30:00Z")
            .unwrap()
            .timestamp();
        let table = json!({ "as_of": "2026-01-01", "edges": [18] });
        let utc = TimestampSecondArray::from(vec![instant]);
        assert_eq!(
            texts(&treat::<AgeBand>(table.clone(), utc.clone())),
            [Some("18+")]
        );
        let shanghai = utc.with_timezone("Asia/Shanghai");
        assert_eq!(
            texts(&treat::<AgeBand>(table.clone(), shanghai)),
            [Some("0-17")]
        );
        let milliseconds = Date64Array::from(vec![instant * 1000]);
        assert_eq!(texts(&treat::<AgeBand>(table, milliseconds)), [Some("18+")]);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let table = json!({ "as_of": "2026-01-01", "width": 10 });
        let expected = [Some("90+"), None];
        let dates = Date32Array::from(vec![i32::MIN, i32::MAX]);
        assert_eq!(texts(&treat::<AgeBand>(table.clone(), dates)), expected);
        let times = TimestampSecondArray::from(vec![i64::MIN, i64::MAX]);
        assert_eq!(
            texts(&treat::<AgeBand>(table.clone(), times.clone())),
            expected
        );
        for zone in ["+14:00", "-12:00"] {
            treat::<AgeBand>(table.clone(), times.clone().with_timezone(zone));
        }
        // 64 bits of microseconds end before the last day of any as_of.
        let times = TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX]);
        assert_eq!(texts(&treat::<AgeBand>(table, times)), expected);
    }

    #[test]
    fn sentinels_are_kept_only_if_listed() {
        let table = json!({ "as_of": "2026-01-01", "width": 10 });
        let options = Options {
            sentinels: vec![Scalar::Text("1900-01-01".into())],
            ..Options::default()
        };
        let births = ["1900-01-01", "9999-12-31"];
        let treated = apply(&written::<AgeBand>(table.clone()), &options, days(&births)).unwrap();
        assert_eq!(texts(&treated.array), [Some("1900-01-01"), None]);
        assert_eq!((treated.counts.sentinels, treated.counts.invalid), (1, 1));
        assert_eq!(texts(&bands(table, &births)), [Some("90+"), None]);
    }

    #[test]
    fn parameters_that_do_not_fit_are_misfits() {
        for (parameter, value) in [
            ("width", json!({})),
            ("edges", json!({ "width": 5, "edges": [5] })),
            ("width", json!({ "width": 0 })),
            ("cap", json!({ "width": 5, "cap": 0 })),
            ("cap", json!({ "width": 5, "cap": 151 })),
            ("edges", json!({ "edges": [] })),
            ("edges", json!({ "edges": [0, 5] })),
            ("edges", json!({ "edges": [5, 5] })),
            ("edges", json!({ "edges": [18, 5] })),
            ("edges", json!({ "edges": [18, 91] })),
        ] {
            let mut table = value;
            table["as_of"] = json!("2026-01-01");
            let misfit = misfit::<AgeBand>(table.clone(), &DataType::Date32);
            assert_eq!(misfit.parameter, Some(parameter), "{table}");
        }
        let table = json!({ "as_of": "2026-01-01", "width": 10 });
        for data_type in [DataType::Utf8, DataType::Int32] {
            assert_eq!(misfit::<AgeBand>(table.clone(), &data_type).parameter, None);
        }
        assert!(serde_json::from_value::<AgeBand>(json!({ "width": 10 })).is_err());
    }

    #[test]
    fn coarser_bands_of_the_same_day_reveal_no_more() {
        let band = |mut table: Value| {
            if table.get("as_of").is_none() {
                table["as_of"] = json!("2026-01-01");
            }
            written::<AgeBand>(table)
        };
        let floor = band(json!({ "width": 10 }));
        for (table, meets) in [
            (json!({ "width": 10 }), true),
            (json!({ "width": 30 }), true),
            (json!({ "width": 10, "cap": 80 }), true),
            (json!({ "width": 10, "cap": 85 }), false),
            (json!({ "width": 10, "cap": 100 }), false),
            (json!({ "width": 5 }), false),
            (json!({ "width": 15 }), false),
            (json!({ "edges": [20, 60] }), true),
            (json!({ "edges": [18, 60] }), false),
            (json!({ "width": 10, "as_of": "2026-01-02" }), false),
        ] {
            assert_eq!(band(table.clone()).at_least(&floor), meets, "{table}");
        }
        let floor = band(json!({ "edges": [6, 18, 60] }));
        assert!(band(json!({ "edges": [18, 60] })).at_least(&floor));
        assert!(!band(json!({ "edges": [18, 65] })).at_least(&floor));
    }

    #[test]
    fn what_is_written_spells_out_its_defaults() {
        let band = written::<AgeBand>(json!({ "as_of": "2026-01-01", "width": 10 }));
        let expected = json!({ "as_of": "2026-01-01", "width": 10, "cap": 90 });
        assert_eq!(serde_json::to_value(&band).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn ages_agree_with_chrono(birth in -25_000..20_000_i32, as_of in 0..25_000_i32) {
            let date = |days: i32| NaiveDate::default() + TimeDelta::days(days.into());
            let table = json!({ "as_of": date(as_of).to_string(), "width": 1, "cap": 150 });
            let treated = treat::<AgeBand>(table, Date32Array::from(vec![birth]));
            let expected = date(as_of).years_since(date(birth)).map(|years| years.to_string());
            prop_assert_eq!(texts(&treated)[0], expected.as_deref());
        }
    }
}
