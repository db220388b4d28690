//! Resident identity numbers (GB 11643): division code, date of birth, sequence, check character.

use super::kernel::{Parts, Shape, number, write_number};
use super::region::{RegionPart, Split, UNKNOWN};
use super::{Kept, NotInForce};
use crate::calendar::Civil;
use crate::check_digit::resident_id;
use crate::ff1::DOMAIN_MIN;

/// The first and the last year of birth: fixed, because another window is another permutation.
const YEARS: std::ops::RangeInclusive<u16> = 1900..=2049;

/// Years of the window.
const YEARS_COUNT: usize = 150;

/// Sequences of one day and division, men's odd.
const SEQUENCES: u64 = 1_000;

/// Days of a leap year.
const YEAR_DAYS: u64 = 366;

#[derive(Debug)]
pub(super) struct ResidentId {
    region: RegionPart,
    birth_year: bool,
    sex: bool,
    not_in_force: NotInForce,
    /// Day numbers of 1 January of each year of the window, and of the year after.
    new_years: Vec<i64>,
    /// With the year kept: how many codes of each province were in force in each year, province
    /// by province, or of the whole country where the region isn't kept.
    in_force: Vec<u32>,
}

/// How many codes with a prefix were in force in each year of the window. Of each code only the
/// years of its beginning and end are looked at, because a treatment is built for every run.
fn codes_in_force(region: &RegionPart, prefix: u32) -> Vec<u32> {
    let mut changes = [0_i32; YEARS_COUNT + 1];
    let mut change = |year: u16, by: i32| {
        let place = usize::from(year.saturating_sub(*YEARS.start()));
        if let Some(change) = changes.get_mut(place) {
            *change += by;
        }
    };
    let table = region.table();
    for place in table.within(prefix, region.digits()) {
        for (from, until) in table.runs(place, (*YEARS.start(), *YEARS.end())) {
            if from <= until {
                change(from, 1);
                change(until + 1, -1);
            }
        }
    }
    let years = changes.iter().take(YEARS_COUNT);
    let counts = years.scan(0_i32, |sum, change| {
        *sum += change;
        Some(u32::try_from(*sum).unwrap_or(0))
    });
    counts.collect()
}

/// What stays of a number, and its class.
#[derive(Clone, Copy)]
struct Stays {
    prefix: u32,
    /// The year of birth, or 0 where it doesn't stay.
    year: u16,
    /// The last bit of the sequence, or 2 where it doesn't stay.
    parity: u64,
    /// Whether the division was in force in the year of birth.
    in_force: bool,
}

impl Stays {
    fn pack(self) -> u64 {
        let years = u64::from(self.prefix) * 10_000 + u64::from(self.year);
        (years * 3 + self.parity) * 2 + u64::from(self.in_force)
    }

    fn unpack(kept: u64) -> Self {
        let years = kept / 6;
        Self {
            prefix: u32::try_from(years / 10_000).unwrap_or(u32::MAX),
            year: u16::try_from(years % 10_000).unwrap_or(u16::MAX),
            parity: kept / 2 % 3,
            in_force: kept % 2 == 1,
        }
    }
}

/// A number, put together.
struct Whole {
    code: u32,
    place: Option<usize>,
    date: Civil,
    year: u16,
    sequence: u64,
}

impl ResidentId {
    pub(super) fn new(kept: Kept, not_in_force: NotInForce) -> Self {
        let region = RegionPart::new(kept);
        let day = |year| {
            Civil {
                year,
                month: 1,
                day: 1,
            }
            .to_days()
        };
        let new_years = YEARS
            .chain([YEARS.end() + 1])
            .map(|year| day(i64::from(year)));
        let mut in_force = Vec::new();
        if kept.birth_year {
            let prefixes = if kept.digits == 2 { 100 } else { 1 };
            for prefix in 0..prefixes {
                in_force.extend(codes_in_force(&region, prefix));
            }
        }
        Self {
            new_years: new_years.collect(),
            region,
            birth_year: kept.birth_year,
            sex: kept.sex,
            not_in_force,
            in_force,
        }
    }

    /// The day number of the first day of a year of the window.
    fn new_year(&self, year: u16) -> Option<i64> {
        let place = usize::from(year.checked_sub(*YEARS.start())?);
        self.new_years.get(place).copied()
    }

    fn days(&self) -> u64 {
        let window = self.new_years.last().zip(self.new_years.first());
        match window {
            Some((end, first)) if !self.birth_year => u64::try_from(end - first).unwrap_or(0),
            _ => YEAR_DAYS,
        }
    }

    fn sequences(&self) -> u64 {
        if self.sex { SEQUENCES / 2 } else { SEQUENCES }
    }

    /// The year of a date `YYYYMMDD`, and its day as it is permuted; none if there is no such day
    /// in the window.
    fn day(&self, date: u64) -> Option<(u16, u64)> {
        let year = u16::try_from(date / 10_000).ok()?;
        if !YEARS.contains(&year) {
            return None;
        }
        let civil = Civil {
            year: i64::from(year),
            month: i64::try_from(date / 100 % 100).ok()?,
            day: i64::try_from(date % 100).ok()?,
        };
        if !(1..=12).contains(&civil.month) || !(1..=31).contains(&civil.day) {
            return None;
        }
        let days = civil.to_days();
        if Civil::of_days(days) != civil {
            return None;
        }
        let first = if self.birth_year {
            year
        } else {
            *YEARS.start()
        };
        let day = u64::try_from(days - self.new_year(first)?).ok()?;
        Some((year, day))
    }

    /// Puts parts together; none where there is no such division or day.
    fn join(&self, parts: Parts) -> Option<Whole> {
        let stays = Stays::unpack(parts.kept);
        let (rest, sequence) = (parts.rank / self.sequences(), parts.rank % self.sequences());
        let (index, day) = (rest / self.days(), rest % self.days());
        let found = self.region.join(Split {
            domain: parts.domain,
            prefix: stays.prefix,
            index: u32::try_from(index).ok()?,
        })?;
        let first = if self.birth_year {
            stays.year
        } else {
            *YEARS.start()
        };
        let date = Civil::of_days(self.new_year(first)? + i64::try_from(day).ok()?);
        let year = u16::try_from(date.year).ok()?;
        let sequence = if self.sex {
            sequence * 2 + stays.parity
        } else {
            sequence
        };
        let same_year = !self.birth_year || year == stays.year;
        // A resident's number begins with 1 to 8.
        let begins = (100_000..900_000).contains(&found.code);
        (same_year && begins).then_some(Whole {
            code: found.code,
            place: found.place,
            date,
            year,
            sequence,
        })
    }

    /// Whether numbers of this class are a million or more. Narrow classes are those of a division
    /// that was in force for a year or two, and of provinces with next to none. Looks at nothing
    /// but the class, or a result could be refused when it comes back.
    fn is_hidden(&self, domain: usize, stays: Stays) -> bool {
        if domain == UNKNOWN {
            return true;
        }
        let table = self.region.table();
        let mut within = table.within(stays.prefix, self.region.digits());
        let each = 365 * self.sequences();
        if self.birth_year {
            let years = u32::try_from(YEARS.len()).unwrap_or(u32::MAX);
            let row = if self.region.digits() == 2 {
                stays.prefix
            } else {
                0
            };
            let cell = row * years + u32::from(stays.year.saturating_sub(*YEARS.start()));
            let in_force = usize::try_from(cell)
                .ok()
                .and_then(|cell| self.in_force.get(cell));
            let in_force = in_force.copied().unwrap_or(0);
            let all = u32::try_from(within.len()).unwrap_or(0);
            let codes = if stays.in_force {
                in_force
            } else {
                all.saturating_sub(in_force)
            };
            return u64::from(codes) * each >= DOMAIN_MIN;
        }
        // The first of many divisions or the only one: a few steps at most.
        let mut years = 0;
        within.any(|place| {
            let window = u32::try_from(YEARS.len()).unwrap_or(0);
            let in_force = table.years_in_force(place, (*YEARS.start(), *YEARS.end()));
            years += if stays.in_force {
                in_force
            } else {
                window.saturating_sub(in_force)
            };
            u64::from(years) * each >= DOMAIN_MIN
        })
    }
}

impl Shape for ResidentId {
    fn sizes(&self) -> Vec<u128> {
        let each = u128::from(self.days()) * u128::from(self.sequences());
        let counts = self.region.counts();
        let sizes = counts.into_iter().map(|count| u128::from(count) * each);
        sizes.collect()
    }

    fn read(&self, value: &[u8]) -> Option<Parts> {
        let upgraded: [u8; 18];
        let value = match value.len() {
            15 => {
                upgraded = resident_id::upgrade(value.try_into().ok()?)?;
                upgraded.as_slice()
            }
            _ => value,
        };
        if !resident_id::is_valid(value) {
            return None;
        }
        let (region, rest) = value.split_first_chunk::<6>()?;
        let (date, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, _) = rest.split_first_chunk::<3>()?;
        let (code, sequence) = (u32::try_from(number(region)?).ok()?, number(sequence)?);
        let (year, day) = self.day(number(date)?)?;
        if !(100_000..900_000).contains(&code) {
            return None;
        }
        let (split, place) = self.region.split(code);
        let stays = Stays {
            prefix: split.prefix,
            year: if self.birth_year { year } else { 0 },
            parity: if self.sex { sequence % 2 } else { 2 },
            in_force: place.is_some_and(|place| self.region.table().in_force(place, year)),
        };
        if !stays.in_force && self.not_in_force == NotInForce::Invalid {
            return None;
        }
        if !self.is_hidden(split.domain, stays) {
            return None;
        }
        let sequence = if self.sex { sequence / 2 } else { sequence };
        let days = u64::from(split.index) * self.days() + day;
        Some(Parts {
            domain: split.domain,
            kept: stays.pack(),
            rank: days * self.sequences() + sequence,
        })
    }

    fn accepts(&self, parts: Parts) -> bool {
        self.join(parts).is_some_and(|whole| {
            let in_force = whole
                .place
                .is_some_and(|place| self.region.table().in_force(place, whole.year));
            parts.domain == UNKNOWN || in_force == Stays::unpack(parts.kept).in_force
        })
    }

    fn write(&self, parts: Parts, out: &mut Vec<u8>) {
        let Some(whole) = self.join(parts) else {
            return;
        };
        let date = whole.date.year * 10_000 + whole.date.month * 100 + whole.date.day;
        let mut first = [0; 17];
        let (region, rest) = first.split_at_mut(6);
        write_number(region, u64::from(whole.code));
        let (digits, sequence) = rest.split_at_mut(8);
        write_number(digits, u64::try_from(date).unwrap_or(0));
        write_number(sequence, whole.sequence);
        out.extend_from_slice(&first);
        out.extend(resident_id::check(&first));
    }
}
