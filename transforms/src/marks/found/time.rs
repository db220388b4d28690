//! Dates and times as people, spreadsheets and programs write them.

use arrow::datatypes::DataType;

use super::TimeSpelling;
use super::number::Number;
use crate::calendar::{Civil, DAY_SECONDS, per_second};
use crate::marks::canonical;

/// Nanoseconds of a second.
const NANOS: i64 = 1_000_000_000;

/// Days from 30 December 1899, from which Excel counts, to 1970-01-01.
const FROM_1900: i64 = 25_569;

/// Days from 1 January 1904, from which Excel counts on old Macs, to 1970-01-01.
const FROM_1904: i64 = 24_107;

/// The first day that Excel can't write: 10000-01-01.
const SERIALS: i64 = 2_958_466;

/// Decimals of a serial number below which it is no longer true to the millisecond.
const TRUE_DECIMALS: i32 = 8;

/// A point of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Seconds since 1970, by the clock that was read.
    pub(super) second: i64,
    /// Nanoseconds of the second.
    nano: i64,
}

impl Moment {
    /// Whether it is the beginning of a day, which is how a date alone is read.
    pub(super) fn is_midnight(self) -> bool {
        self.second.rem_euclid(DAY_SECONDS) == 0 && self.nano == 0
    }

    fn of_nanos(nanos: i128) -> Option<Self> {
        let second = nanos.div_euclid(NANOS.into());
        Some(Self {
            second: i64::try_from(second).ok()?,
            nano: i64::try_from(nanos.rem_euclid(NANOS.into())).ok()?,
        })
    }

    /// The moment so many minutes later, in values of the type: of a date the day it falls on, of a
    /// timestamp the nearest. None for other types, and beyond what 64 bits hold.
    #[inline]
    pub(super) fn in_type(self, data_type: &DataType, shift_minutes: i16) -> Option<i64> {
        let second = self.second.checked_add(i64::from(shift_minutes) * 60)?;
        let day = second.div_euclid(DAY_SECONDS);
        if *data_type == DataType::Date32 {
            return Some(day);
        }
        if *data_type == DataType::Date64 {
            return day.checked_mul(DAY_SECONDS * 1_000);
        }
        let DataType::Timestamp(unit, _) = data_type else {
            return None;
        };
        let per_second = per_second(*unit);
        let step = NANOS / per_second;
        let part = (self.nano + step / 2) / step;
        second.checked_mul(per_second)?.checked_add(part)
    }
}

/// Reads the moments of one column.
#[derive(Debug)]
pub(super) struct Reader {
    spelling: TimeSpelling,
    number: Number,
}

impl Reader {
    pub(super) fn new(spelling: TimeSpelling) -> Self {
        Self {
            spelling,
            number: Number::default(),
        }
    }

    /// The moment that a cell names.
    #[inline]
    pub(super) fn moment(&mut self, text: &str) -> Option<Moment> {
        match self.spelling {
            TimeSpelling::Text => {
                let (date, rest) = canonical::date(text)?;
                moment(date, rest)
            }
            TimeSpelling::DayMonth => {
                let ([day, month, year], rest) = year_last(text)?;
                moment([year, month, day], rest)
            }
            TimeSpelling::MonthDay => {
                let ([month, day, year], rest) = year_last(text)?;
                moment([year, month, day], rest)
            }
            TimeSpelling::Compact => compact(text),
            TimeSpelling::Excel1900 | TimeSpelling::Excel1904 => self.serial(text),
            TimeSpelling::UnixSeconds => self.nanos(text, 9),
            TimeSpelling::UnixMilliseconds => self.nanos(text, 6),
        }
    }

    fn nanos(&mut self, text: &str, shift: i32) -> Option<Moment> {
        let nanos = self.number.read(text).then(|| self.number.units(shift));
        Moment::of_nanos(nanos??)
    }

    /// A number of days, rounded to the millisecond; to the second where it has too few decimals to
    /// be as true. A mark that is read in seconds would otherwise be lost to 8:29:59.9999.
    fn serial(&mut self, text: &str) -> Option<Moment> {
        const DECIMALS: u32 = 20;
        let one = 10_i128.pow(DECIMALS);
        let shift = i32::try_from(DECIMALS).ok()?;
        let exact = self
            .number
            .read(text)
            .then(|| self.number.units::<i128>(shift))??;
        let days = i64::try_from(exact.div_euclid(one)).ok()?;
        let first = match self.spelling {
            // Excel has a 29 February 1900, day 60, which never was.
            TimeSpelling::Excel1900 if (1..60).contains(&days) => 1 - FROM_1900,
            TimeSpelling::Excel1900 if (61..SERIALS).contains(&days) => -FROM_1900,
            TimeSpelling::Excel1904 if (0..SERIALS - FROM_1900 + FROM_1904).contains(&days) => {
                -FROM_1904
            }
            TimeSpelling::Text
            | TimeSpelling::Compact
            | TimeSpelling::DayMonth
            | TimeSpelling::MonthDay
            | TimeSpelling::UnixSeconds
            | TimeSpelling::UnixMilliseconds
            | TimeSpelling::Excel1900
            | TimeSpelling::Excel1904 => return None,
        };
        let is_true = self
            .number
            .decimals()
            .is_some_and(|decimals| decimals >= TRUE_DECIMALS);
        let grains = if is_true {
            DAY_SECONDS * 1_000
        } else {
            DAY_SECONDS
        };
        let nanos_per_grain = i128::from(NANOS * DAY_SECONDS / grains);
        let count = (exact.checked_mul(grains.into())? + one / 2).div_euclid(one)
            + i128::from(first * grains);
        Moment::of_nanos(count.checked_mul(nanos_per_grain)?)
    }
}

/// The moment of a day of the calendar and of what follows it.
#[inline]
fn moment([year, month, day]: [u32; 3], rest: &str) -> Option<Moment> {
    let civil = Civil {
        year: year.into(),
        month: month.into(),
        day: day.into(),
    };
    let days = civil.to_days();
    if month > 12 || (day > 28 && Civil::of_days(days) != civil) {
        return None;
    }
    let midnight = days * DAY_SECONDS;
    let rest = rest.trim_start_matches(' ');
    if rest.is_empty() {
        return Some(Moment {
            second: midnight,
            nano: 0,
        });
    }
    let (clock, offset) = match written(rest) {
        Some(clock) => (clock, 0),
        None => {
            let (time, offset) = without_offset(rest)?;
            let time = time.trim_end_matches(' ');
            (written(time).or_else(|| spoken(time))?, offset)
        }
    };
    Some(Moment {
        second: midnight + clock.second - offset,
        ..clock
    })
}

/// The time since midnight, as programs write it.
#[inline]
fn written(time: &str) -> Option<Moment> {
    let (clock, fraction, _) = canonical::time(time)?;
    Some(at(clock, fraction))
}

fn at([hour, minute, second]: [u32; 3], fraction: &str) -> Moment {
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nano = digits.fold(0, |nano, digit| {
        nano * 10 + i64::from(digit.saturating_sub(b'0'))
    });
    Moment {
        second: i64::from(hour * 3_600 + minute * 60 + second),
        nano,
    }
}

/// The time since midnight, as people write it: 上午8时30分, 8:30 PM.
#[cold]
fn spoken(time: &str) -> Option<Moment> {
    const HALVES: [(&str, u32); 6] = [
        ("上午", 0),
        ("凌晨", 0),
        ("AM", 0),
        ("下午", 12),
        ("晚上", 12),
        ("PM", 12),
    ];
    let mut text = time.to_uppercase();
    let half = HALVES.into_iter().find(|(word, _)| text.contains(word));
    if let Some((word, _)) = half {
        text = text.replacen(word, "", 1);
    }
    let time = text.trim_matches(['T', ' ']);
    let time = time.replace(['时', '点', '分'], ":").replace(',', ".");
    let time = time.trim_end_matches('秒').trim_end_matches(':');
    let whole_hour = if time.contains(':') { "" } else { ":0" };
    let time = format!("{time}{whole_hour}");
    let ([hour, minute, second], fraction, _) = canonical::time(&time)?;
    let hour = match half {
        Some((_, 0)) if hour == 12 => 0,
        Some((_, hours)) if hour < 12 => hour + hours,
        Some(_) | None => hour,
    };
    Some(at([hour, minute, second], fraction))
}

/// A time without the offset from UTC at its end, and the offset in seconds.
fn without_offset(text: &str) -> Option<(&str, i64)> {
    let words = ["UTC", "GMT", "Z", "z"];
    if let Some(time) = words.iter().find_map(|word| text.strip_suffix(word)) {
        return Some((time, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else {
        return Some((text, 0));
    };
    let (time, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let offset = offset.trim_start_matches(['+', '-']);
    let (hours, minutes) = offset
        .split_once(':')
        .or_else(|| offset.split_at_checked(2))
        .unwrap_or((offset, ""));
    let hours = canonical::digits(hours, 1..=2, 0..=14)?;
    let minutes = if minutes.is_empty() {
        0
    } else {
        canonical::digits(minutes, 2..=2, 0..=59)?
    };
    Some((time, sign * i64::from(hours * 3_600 + minutes * 60)))
}

/// Three parts of a date of which the last is the year, and what follows.
fn year_last(text: &str) -> Option<([u32; 3], &str)> {
    let (first, rest) = text.split_once(['/', '-', '.'])?;
    let (second, rest) = rest.split_once(['/', '-', '.'])?;
    let end = rest.find(|character: char| !character.is_ascii_digit());
    let (year, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    let part = |text| canonical::digits(text, 1..=2, 1..=31);
    let short = canonical::digits(year, 2..=2, 0..=99);
    // Spreadsheets take two digits for the years from 1930 to 2029.
    let short = short.map(|year| {
        if year < 30 {
            year + 2_000
        } else {
            year + 1_900
        }
    });
    let year = short.or_else(|| canonical::digits(year, 4..=4, 0..=9_999))?;
    let (first, second) = (part(first)?, part(second)?);
    Some(([first, second, year], rest))
}

/// `20260131`, with the time after it in digits alone or as other times are written.
fn compact(text: &str) -> Option<Moment> {
    // Programs that have no whole numbers besides gaps write one decimal.
    let text = text.strip_suffix(".0").unwrap_or(text);
    let (year, rest) = text.split_at_checked(4)?;
    let (month, rest) = rest.split_at_checked(2)?;
    let (day, rest) = rest.split_at_checked(2)?;
    let date = [
        canonical::digits(year, 4..=4, 0..=9_999)?,
        canonical::digits(month, 2..=2, 1..=12)?,
        canonical::digits(day, 2..=2, 1..=31)?,
    ];
    let clock = rest.strip_prefix(['T', ' ']).unwrap_or(rest);
    let Some((hour, clock)) = clock
        .split_at_checked(2)
        .filter(|(_, clock)| !clock.contains(':'))
    else {
        return moment(date, rest);
    };
    let (minute, clock) = clock.split_at_checked(2)?;
    let (second, fraction) = match clock.split_at_checked(2) {
        Some(parts) => parts,
        None if clock.is_empty() => ("00", clock),
        None => return None,
    };
    let point = if fraction.starts_with(|first: char| first.is_ascii_digit()) {
        "."
    } else {
        ""
    };
    moment(date, &format!(" {hour}:{minute}:{second}{point}{fraction}"))
}
