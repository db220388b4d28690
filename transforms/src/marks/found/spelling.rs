//! How a column of a leak writes values, and which ways are plausible for a column.

use std::cmp::Reverse;
use std::fmt;

use arrow::array::{Array, StringArray};
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use super::number::Number;
use super::time::{Moment, Reader};
use super::{is_missing, read, seen};
use crate::number::scale_of;

/// How a column of a leak writes values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spelling {
    /// The leak's number times ten to this power is the field's: 0 as it is, 4 for 万, 2 and -2
    /// between yuan and fen.
    pub power: i8,
    /// How dates and times are written.
    pub time: TimeSpelling,
    /// The leak's time so many minutes later is the field's: whole offsets of zones.
    pub shift_minutes: i16,
}

/// How a column writes dates and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSpelling {
    /// The year first: `2026-01-31 08:30:00`, `2026/1/31 8:30`, `2026年1月31日 上午8时30分`. An offset
    /// from UTC, where one is written, is taken off.
    Text,
    /// In digits alone: `20260131`, `20260131083000`.
    Compact,
    /// The day first: `31/01/2026`.
    DayMonth,
    /// The month first: `1/31/2026`.
    MonthDay,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
    /// Days since 1900, as Excel counts them, with a fraction for the time.
    Excel1900,
    /// Days since 1904, as Excel counts them where a workbook says so.
    Excel1904,
}

impl TimeSpelling {
    /// All of them, the most usual first.
    const ALL: [Self; 8] = [
        Self::Text,
        Self::Compact,
        Self::MonthDay,
        Self::DayMonth,
        Self::UnixSeconds,
        Self::UnixMilliseconds,
        Self::Excel1900,
        Self::Excel1904,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Text => "dates with the year first",
            Self::Compact => "dates in digits alone",
            Self::DayMonth => "dates with the day first",
            Self::MonthDay => "dates with the month first",
            Self::UnixSeconds => "seconds since 1970",
            Self::UnixMilliseconds => "milliseconds since 1970",
            Self::Excel1900 => "Excel's days since 1900",
            Self::Excel1904 => "Excel's days since 1904",
        }
    }

    /// Whether a number that can be read like this is likely to be meant like this, and not as a
    /// count of something else.
    fn is_likely(self, moment: Moment) -> bool {
        const YEAR: i64 = 31_556_952;
        let years = moment.second.div_euclid(YEAR);
        match self {
            Self::Text | Self::Compact | Self::DayMonth | Self::MonthDay => true,
            // Not 10^8 seconds around 1970, where dates in digits alone and small counts would be.
            Self::UnixSeconds | Self::UnixMilliseconds => {
                (-70..130).contains(&years) && !(-100_000_000..100_000_000).contains(&moment.second)
            }
            // From the second year on, which leaves ages and other small counts out.
            Self::Excel1900 => (-69..130).contains(&years),
            Self::Excel1904 => (-65..130).contains(&years),
        }
    }
}

impl Spelling {
    /// As the field itself would be written.
    pub const PLAIN: Self = Self {
        power: 0,
        time: TimeSpelling::Text,
        shift_minutes: 0,
    };
}

impl fmt::Display for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::PLAIN {
            return f.write_str("as it is");
        }
        let mut before = "";
        if self.power != 0 {
            write!(f, "times 10^{}", self.power)?;
            before = ", ";
        }
        if self.time != TimeSpelling::Text {
            write!(f, "{before}{}", self.time.words())?;
            before = ", ";
        }
        if self.shift_minutes != 0 {
            let side = if self.shift_minutes > 0 {
                "behind"
            } else {
                "ahead"
            };
            write!(
                f,
                "{before}clocks {} minutes {side}",
                self.shift_minutes.unsigned_abs()
            )?;
        }
        Ok(())
    }
}

/// Powers of ten that a unit may differ by, the most usual first.
const POWERS: [i8; 7] = [0, 4, 3, 2, -2, 6, 8];

/// Offsets of zones: none, from UTC to China's time, and back.
const SHIFTS: [i16; 3] = [0, 480, -480];

/// Most spellings of a column that are worth a try.
const SPELLINGS_MAX: usize = 8;

/// The plausible ways in which a column writes values of a field of type `target`, the most plausible
/// first; none if under half of its cells can be values of the field, or it has no values.
pub fn spellings(sample: &StringArray, target: &DataType) -> Vec<Spelling> {
    let values = count(sample, |text| !is_missing(text));
    let is_enough = |readable: usize| readable > 0 && readable * 2 >= values;
    let is_time = matches!(
        target,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _)
    );
    let mut plausible = if is_time {
        of_times(sample, target, is_enough)
    } else {
        let finest = finest(sample);
        let scale = scale_of(target).map(i32::from);
        of_numbers(target, finest.zip(scale))
    };
    plausible.retain(|spelling| {
        let found = read(sample, target, *spelling);
        found.is_ok_and(|found| is_enough(found.values.len() - found.values.null_count()))
    });
    plausible.truncate(SPELLINGS_MAX);
    plausible
}

/// Cells of which something holds.
fn count(sample: &StringArray, mut holds: impl FnMut(&str) -> bool) -> usize {
    let mut scratch = String::new();
    let cells = sample.iter().flatten();
    cells.filter(|cell| holds(seen(cell, &mut scratch))).count()
}

/// Spellings of dates or times, by how many cells are likely to be meant like that.
fn of_times(
    sample: &StringArray,
    target: &DataType,
    is_enough: impl Fn(usize) -> bool,
) -> Vec<Spelling> {
    let mut ways = Vec::new();
    for time in TimeSpelling::ALL {
        let (mut reader, mut has_clock) = (Reader::new(time), false);
        let likely = count(sample, |text| {
            let moment = reader.moment(text).filter(|moment| time.is_likely(*moment));
            has_clock |= moment.is_some_and(|moment| !moment.is_midnight());
            moment.is_some()
        });
        if is_enough(likely) {
            ways.push((likely, time, has_clock));
        }
    }
    ways.sort_by_key(|(likely, _, _)| Reverse(*likely));
    let mut all = Vec::new();
    for shift_minutes in SHIFTS {
        for (_, time, has_clock) in &ways {
            // The hours that a date lost can't be told from a date.
            let is_told = shift_minutes == 0 || *has_clock || !is_date(target);
            let spelling = Spelling {
                time: *time,
                shift_minutes,
                ..Spelling::PLAIN
            };
            all.extend(is_told.then_some(spelling));
        }
    }
    all
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

/// Spellings of numbers: those that leave no digits below the field's scale, the power 0 before the
/// others and those before that come closest to the scale. The power 0 is always among them.
fn of_numbers(target: &DataType, finest_and_scale: Option<(i32, i32)>) -> Vec<Spelling> {
    let is_float = matches!(target, DataType::Float32 | DataType::Float64);
    let mut powers: Vec<(i32, i8)> = match finest_and_scale {
        Some((finest, scale)) => POWERS
            .map(|power| (scale + i32::from(power) - finest, power))
            .to_vec(),
        None if is_float => POWERS.map(|power| (0, power)).to_vec(),
        None => vec![(0, 0)],
    };
    powers.sort_by_key(|(spare, power)| (*spare < 0, *power != 0, *spare));
    powers.retain(|(spare, power)| *spare >= 0 || *power == 0);
    let spelling = |(_, power)| Spelling {
        power,
        ..Spelling::PLAIN
    };
    powers.into_iter().map(spelling).collect()
}

/// Decimals that nine in ten numbers of a column keep to; below zero where they end in zeros. None
/// of a column without numbers.
fn finest(sample: &StringArray) -> Option<i32> {
    /// More come of sums in binary floats and say nothing.
    const TOLD: i32 = 12;
    let (mut number, mut decimals) = (Number::default(), Vec::new());
    count(sample, |text| {
        let told = number.read(text).then(|| number.decimals()).flatten();
        decimals.extend(told.filter(|told| *told <= TOLD));
        true
    });
    decimals.sort_unstable();
    decimals
        .get(decimals.len().saturating_sub(1) * 9 / 10)
        .copied()
}
