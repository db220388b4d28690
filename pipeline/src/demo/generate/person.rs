//! Who a row is about: the parts of a resident that must agree with each other.
//!
//! Identity numbers do not repeat: the row's number is scrambled by a permutation of all
//! combinations of division, day of birth and sequence number, so that neither a table of used
//! numbers nor a second pass is needed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::identifier;
use super::random::{Random, mix};
use super::text::Text;
use super::vocabulary::{
    COMPOUND_SURNAMES, DOTTED_NAMES, GIVEN_FEMALE, GIVEN_MALE, GIVEN_RARE, MOBILE_PREFIXES,
    REGIONS, Region, SURNAMES,
};

/// Of how many residents one is dirty: 0.5 %.
const DIRTY_ONE_IN: u32 = 200;

/// Days of a year on which people are born here; 31 December of leap years is left out.
const BIRTHDAYS: u64 = 365;

/// Sequence numbers that one slot of a year offers.
const SEQUENCES: u64 = 100;

/// Years of birth with how many slots of sequence numbers each has: the shape of the population.
const YEARS: [(i32, i32, u32); 12] = [
    (1935, 1944, 1),
    (1945, 1954, 4),
    (1955, 1958, 5),
    (1959, 1961, 3),
    (1962, 1975, 9),
    (1976, 1985, 7),
    (1986, 1992, 8),
    (1993, 1999, 6),
    (2000, 2010, 5),
    (2011, 2017, 6),
    (2018, 2019, 4),
    (2020, 2020, 4),
];

/// What is wrong with a dirty resident. A dirty row has one defect; about one row in 200 is dirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// The name is null.
    NullName,
    /// The name is the empty text.
    EmptyName,
    /// The name is white space, ideographic and plain.
    BlankName,
    /// The mobile number has seven digits.
    ShortMobile,
    /// The mobile number is written in full-width digits.
    WideMobile,
    /// The mobile number is written with `+86 ` before it.
    PrefixedMobile,
    /// The mail address has no `@`.
    BrokenEmail,
    /// The identity number is of the old form with 15 digits.
    LegacyId,
    /// The identity number ends in a lower-case `x`.
    LowerCaseId,
    /// The score is not a number.
    NanScore,
    /// The date of birth is 1900-01-01, which stands for "unknown".
    SentinelBirthDate,
    /// The remark holds an emoji of several code points.
    EmojiRemark,
    /// The remark holds combining marks.
    CombiningRemark,
}

impl Defect {
    /// Every defect, in the order in which they are documented.
    pub const ALL: [Self; 13] = [
        Self::NullName,
        Self::EmptyName,
        Self::BlankName,
        Self::ShortMobile,
        Self::WideMobile,
        Self::PrefixedMobile,
        Self::BrokenEmail,
        Self::LegacyId,
        Self::LowerCaseId,
        Self::NanScore,
        Self::SentinelBirthDate,
        Self::EmojiRemark,
        Self::CombiningRemark,
    ];

    /// What is wrong, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NullName => "name is null",
            Self::EmptyName => "name is empty",
            Self::BlankName => "name is white space",
            Self::ShortMobile => "mobile number of seven digits",
            Self::WideMobile => "mobile number in full-width digits",
            Self::PrefixedMobile => "mobile number with +86 before it",
            Self::BrokenEmail => "mail address without @",
            Self::LegacyId => "identity number of 15 digits",
            Self::LowerCaseId => "identity number ending in a lower-case x",
            Self::NanScore => "score is not a number",
            Self::SentinelBirthDate => "date of birth 1900-01-01",
            Self::EmojiRemark => "emoji in the remark",
            Self::CombiningRemark => "combining marks in the remark",
        }
    }

    /// The defect of a row of [`residents`](super::residents), if it has one.
    pub fn of(seed: u64, row: u64) -> Option<Self> {
        let mut random = Random::of(seed, super::DEFECTS, row);
        random
            .once_in(DIRTY_ONE_IN)
            .then(|| random.pick(&Self::ALL))
    }

    /// How many rows of [`residents`](super::residents) have each defect.
    pub fn count(rows: Range<u64>, seed: u64) -> BTreeMap<Self, u64> {
        let mut counts = BTreeMap::new();
        for defect in rows.filter_map(|row| Self::of(seed, row)) {
            *counts.entry(defect).or_default() += 1;
        }
        counts
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes persons. Holds the tables that are worth making once.
#[derive(Debug)]
pub(super) struct People {
    seed: u64,
    /// Year of birth, first sequence number less one, and days from 1970 to the year's first, for
    /// every slot.
    slots: Vec<(i32, u32, i32)>,
    surnames: Vec<&'static str>,
}

/// The parts of a resident that agree with each other.
#[derive(Debug)]
pub(super) struct Person {
    /// Where the identity number was issued.
    pub(super) region: Region,
    /// Day of birth, in days since 1970-01-01.
    pub(super) born: i32,
    /// Whether the person is a man, as the sequence number says.
    pub(super) male: bool,
    /// The identity number, valid in every row; how a dirty row writes it is not told here.
    pub(super) id: [u8; 18],
    /// What is wrong with the row.
    pub(super) defect: Option<Defect>,
}

impl People {
    pub(super) fn new(seed: u64) -> Self {
        let mut slots = Vec::new();
        for (first, last, count) in YEARS {
            for year in first..=last {
                slots.extend((0..count).map(|slot| (year, slot * 100, first_day(year))));
            }
        }
        let mut surnames = Vec::new();
        for (characters, weight) in SURNAMES {
            for (at, character) in characters.char_indices() {
                let surname = characters
                    .get(at..at + character.len_utf8())
                    .unwrap_or_default();
                surnames.extend((0..weight).map(|_| surname));
            }
        }
        Self {
            seed,
            slots,
            surnames,
        }
    }

    /// The person of row `row` of the residents. Identity numbers begin to repeat after some
    /// thousand million rows.
    pub(super) fn person(&self, row: u64) -> Person {
        let defect = Defect::of(self.seed, row);
        let regions = u64::try_from(REGIONS.len()).unwrap_or(1);
        let slots = u64::try_from(self.slots.len()).unwrap_or(1);
        let (day_part, place_part) = self.scramble(row, slots * BIRTHDAYS, SEQUENCES * regions);
        let region = REGIONS
            .get(small(place_part % regions))
            .copied()
            .unwrap_or(REGIONS[0]);
        let (mut year, offset, mut first) = self
            .slots
            .get(small(day_part / BIRTHDAYS))
            .copied()
            .unwrap_or((1970, 0, 0));
        if defect == Some(Defect::LegacyId) && year >= 2000 {
            // Numbers of 15 digits ceased before then. Forty years keep leap years leap years.
            year -= 40;
            first = first_day(year);
        }
        let day = i32::try_from(day_part % BIRTHDAYS).unwrap_or(0);
        let (month, day_of_month) = month_and_day(year, day);
        let date = u32::try_from(year * 10_000 + month * 100 + day_of_month).unwrap_or(0);
        let mut sequence = offset + u32::try_from(place_part / regions).unwrap_or(0) + 1;
        let mut id = identifier::resident(region.code, date, sequence);
        if defect == Some(Defect::LowerCaseId) {
            for other in (sequence % 2..1000)
                .step_by(2)
                .skip_while(|&other| other == 0)
            {
                id = identifier::resident(region.code, date, other);
                sequence = other;
                if id[17] == b'X' {
                    break;
                }
            }
        }
        Person {
            region,
            born: first + day,
            male: sequence % 2 == 1,
            id,
            defect,
        }
    }

    /// Permutes the numbers below `high` · `low` and gives the two parts of the result: three
    /// rounds of a Feistel network whose halves have those sizes.
    fn scramble(&self, row: u64, high: u64, low: u64) -> (u64, u64) {
        let (mut left, mut right) = ((row / low) % high, row % low);
        let round = |number: u64, half: u64| mix(mix(self.seed ^ number) ^ half);
        right = (right + round(1, left) % low) % low;
        left = (left + round(2, right) % high) % high;
        right = (right + round(3, left) % low) % low;
        (left, right)
    }

    /// Writes a name.
    pub(super) fn name(&self, random: &mut Random, male: bool, text: &mut Text) {
        if random.once_in(100) {
            text.value(random.pick(&DOTTED_NAMES));
            return;
        }
        let compound = random.once_in(125);
        text.push(if compound {
            random.pick(&COMPOUND_SURNAMES)
        } else {
            random.pick(&self.surnames)
        });
        let given: &[&str] = if male { &GIVEN_MALE } else { &GIVEN_FEMALE };
        if !random.once_in(5) {
            text.push(random.pick(given));
        }
        text.push(if random.once_in(1000) {
            random.pick(&GIVEN_RARE)
        } else {
            random.pick(given)
        });
        text.end();
    }
}

/// The eleven digits of a mobile number.
pub(super) fn push_mobile(random: &mut Random, text: &mut Text) {
    text.push_number(random.pick(&MOBILE_PREFIXES), 3);
    text.push_number(random.below(100_000_000), 8);
}

/// Days from 1970-01-01 to the first of January of a year after 1900.
fn first_day(year: i32) -> i32 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400 - 719_162
}

/// Month and day of month, from 1, of a day of the year, from 0.
fn month_and_day(year: i32, day: i32) -> (i32, i32) {
    let leap = i32::from((year % 4 == 0 && year % 100 != 0) || year % 400 == 0);
    let mut left = day;
    for (month, days) in (1..).zip([31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30]) {
        if left < days {
            return (month, left + 1);
        }
        left -= days;
    }
    (12, left + 1)
}

/// A number known to be small, as an index.
fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn identity_numbers_do_not_repeat() {
        let people = People::new(42);
        let rows = (0..150_000).chain(900_000_000..900_150_000);
        let clean: Vec<_> = rows
            .map(|row| people.person(row))
            .filter(|person| person.defect.is_none())
            .map(|person| person.id)
            .collect();
        assert_eq!(clean.iter().collect::<HashSet<_>>().len(), clean.len());
    }

    #[test]
    fn days_follow_the_calendar() {
        use chrono::{Datelike, NaiveDate};
        for year in [1935, 1972, 1999, 2000, 2020] {
            for day in 0..365 {
                let (month, of_month) = month_and_day(year, day);
                let date =
                    NaiveDate::from_num_days_from_ce_opt(719_163 + first_day(year) + day).unwrap();
                assert_eq!(
                    (date.year(), i64::from(date.month()), i64::from(date.day())),
                    (year, i64::from(month), i64::from(of_month))
                );
            }
        }
    }

    #[test]
    fn defects_are_half_a_percent_and_all_occur() {
        let counts = Defect::count(0..200_000, 42);
        assert_eq!(counts.len(), Defect::ALL.len());
        let dirty: u64 = counts.values().sum();
        assert!((900..1100).contains(&dirty), "{dirty}");
    }
}
