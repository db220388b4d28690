//! Administrative divisions (GB/T 2260): codes, the years in which each was in force, and the names
//! of those of today.
//!
//! The six digits that begin a resident identity number, and stand third in a credit code, are
//! such a code. Codes come and go: of 6,874 that were ever in force at county, prefecture or
//! province level, some 3,500 still are. Whoever checks a number against the year of birth needs
//! the years, and so does whoever makes numbers that are to pass.
//!
//! `table.txt` is the one table of them, a line for each four digits; `derive.py` says where it
//! comes from, and `NOTICE.txt` under which licences. Codes given to two places in turn have the
//! years of both. In the year of a change both codes count as in force. It errs on the side of
//! leaving out: of the code-years that python-stdnum 2.2 knows it lacks one in a hundred, and it
//! has none that python-stdnum doesn't.

mod areas;
pub(crate) mod beginnings;
mod edition;
mod places;

use std::ops::Range;

pub(crate) use areas::{Area, Areas};
pub use edition::Edition;
pub(crate) use places::{Division, Divisions, Kept, LAST_LISTED, Level, Years};

const TABLE: &str = include_str!("table.txt");

/// The number of beginnings of four digits.
const PREFIXES: usize = 10_000;

/// A code, the name of the place it stands for today, and the years it was in force, both ends
/// included.
#[derive(Debug, Clone, Copy)]
struct Coded {
    code: u32,
    name: &'static str,
    years: [(u16, u16); 2],
}

impl Coded {
    fn in_force(&self, year: u16) -> bool {
        let within = |(from, until): &(u16, u16)| (*from..=*until).contains(&year);
        self.years.iter().any(within)
    }
}

/// Every year.
const ALWAYS: (u16, u16) = (0, u16::MAX);

/// No year at all.
const NEVER: (u16, u16) = (1, 0);

/// Codes in the table.
const CODES: usize = 6_874;

/// The codes of the table, in order: read by the compiler, because reading them takes a third of a
/// millisecond, and treatments are built often.
static TABLE_READ: [Coded; CODES] = read_table();

/// Where the codes of each four digits begin in the table; one more for the end.
static STARTS: [u16; PREFIXES + 1] = starts();

/// The codes of the table, in order.
fn table() -> &'static [Coded] {
    &TABLE_READ
}

/// Reads the table: lines of four digits and words such as `06西湖区`, `03:-2010` or
/// `02吴兴区:1983-1987+2003-`.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
const fn read_table() -> [Coded; CODES] {
    let text = TABLE.as_bytes();
    let none = Coded {
        code: 0,
        name: "",
        years: [NEVER; 2],
    };
    let (mut all, mut found, mut at) = ([none; CODES], 0, 0);
    while at < text.len() {
        if text[at] == b'#' {
            at = end_of(text, at, b"\n");
        }
        let (prefix, next) = number(text, at);
        at = next;
        while at < text.len() && text[at] == b' ' {
            let begin = at + 3;
            let (last, _) = number(text.split_at(begin).0, at + 1);
            at = end_of(text, begin, b" :\n");
            let mut own = Coded {
                code: prefix * 100 + last,
                name: TABLE.split_at(at).0.split_at(begin).1,
                years: [ALWAYS, NEVER],
            };
            let mut span = 0;
            while at < text.len() && (text[at] == b':' || text[at] == b'+') {
                let (from, hyphen) = number(text, at + 1);
                let (until, next) = number(text, hyphen + 1);
                own.years[span] = (year(from), year(until));
                if next == hyphen + 1 {
                    own.years[span].1 = ALWAYS.1;
                }
                at = next;
                span += 1;
            }
            all[found] = own;
            found += 1;
        }
        at += 1;
    }
    assert!(found == CODES, "the table has another number of codes");
    all
}

/// Where the first of these bytes stands, from a place on; the end where none does.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
const fn end_of(text: &[u8], mut at: usize, ends: &[u8]) -> usize {
    while at < text.len() {
        let mut end = 0;
        while end < ends.len() {
            if text[at] == ends[end] {
                return at;
            }
            end += 1;
        }
        at += 1;
    }
    at
}

/// The number whose digits begin at a place, 0 where there is none, and where they end.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "the compiler evaluates it: a slip is an error of compilation, and digits widen"
)]
const fn number(text: &[u8], mut at: usize) -> (u32, usize) {
    let mut number = 0;
    while at < text.len() && text[at].is_ascii_digit() {
        number = number * 10 + (text[at] - b'0') as u32;
        at += 1;
    }
    (number, at)
}

/// A year of the table.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it, and the assertion says that it fits"
)]
const fn year(number: u32) -> u16 {
    assert!(number < 10_000, "a year has four digits");
    number as u16
}

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it: there are fewer codes than 2^16"
)]
const fn starts() -> [u16; PREFIXES + 1] {
    let mut starts = [0; PREFIXES + 1];
    let (mut prefix, mut next) = (0, 0);
    while prefix <= PREFIXES {
        while next < CODES && TABLE_READ[next].code / 100 < prefix as u32 {
            next += 1;
        }
        starts[prefix] = next as u16;
        prefix += 1;
    }
    starts
}

/// Every division code that was ever in force, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codes {
    all: &'static [Coded],
}

impl Codes {
    /// The codes of the table.
    pub(crate) fn new() -> Self {
        Self { all: table() }
    }

    /// Where in the table the codes stand that begin with `prefix`, a number of `digits` digits:
    /// 0, 2, 4 or 6.
    #[inline]
    pub(crate) fn within(&self, prefix: u32, digits: usize) -> Range<usize> {
        let at = |prefix: u32| {
            let place = usize::try_from(prefix).unwrap_or(usize::MAX);
            let start = STARTS.get(place).copied();
            start.map_or(self.all.len(), usize::from)
        };
        match digits {
            0 => 0..self.all.len(),
            2 => at(prefix * 100)..at(prefix * 100 + 100),
            4 => at(prefix)..at(prefix + 1),
            _ => {
                let near = at(prefix / 100)..at(prefix / 100 + 1);
                let begin = near.start;
                let codes = self.all.get(near).unwrap_or_default();
                match codes.binary_search_by_key(&prefix, |own| own.code) {
                    Ok(found) => begin + found..begin + found + 1,
                    Err(_) => 0..0,
                }
            }
        }
    }

    /// Where in the table a code stands.
    #[inline]
    pub(crate) fn find(&self, code: u32) -> Option<usize> {
        self.within(code, 6).next()
    }

    /// The code at a place of the table.
    #[inline]
    pub(crate) fn code(&self, place: usize) -> Option<u32> {
        self.all.get(place).map(|own| own.code)
    }

    /// Whether the code at a place was in force in a year.
    #[inline]
    pub(crate) fn in_force(&self, place: usize, year: u16) -> bool {
        self.all.get(place).is_some_and(|own| own.in_force(year))
    }

    /// The runs of years of a window, its ends included, in which the code at a place was in force;
    /// those of no year end before they begin.
    #[inline]
    pub(crate) fn runs(&self, place: usize, (first, last): (u16, u16)) -> [(u16, u16); 2] {
        let runs = self.all.get(place).map_or([NEVER; 2], |own| own.years);
        runs.map(|(from, until)| (from.max(first), until.min(last)))
    }

    /// In how many years of a window, its ends included, the code at a place was in force.
    #[inline]
    pub(crate) fn years_in_force(&self, place: usize, window: (u16, u16)) -> u32 {
        let years = self
            .runs(place, window)
            .map(|(from, until)| (u32::from(until) + 1).saturating_sub(u32::from(from)));
        years.iter().sum()
    }

    /// The most codes that share their first `digits` digits.
    pub(crate) fn most_within(&self, digits: usize) -> usize {
        let prefixes: u32 = match digits {
            0 => return self.all.len(),
            2 => 100,
            4 => 10_000,
            _ => return 1,
        };
        let counts = (0..prefixes).map(|prefix| self.within(prefix, digits).len());
        counts.max().unwrap_or(0)
    }
}

/// Which two digits name a province: a bit for each.
pub(crate) fn provinces() -> u128 {
    let whole = table().iter();
    let whole = whole.filter(|own| own.code % 10_000 == 0 && own.in_force(u16::MAX));
    whole.fold(0, |bits, own| bits | 1 << (own.code / 10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table_is_read() {
        let regions = Codes::new();
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let words: Vec<&str> = lines.flat_map(|line| line.split(' ').skip(1)).collect();
        assert_eq!(regions.all.len(), words.len());
        assert_eq!(words.len(), 6_874);
        assert!(words.iter().all(|word| word.matches('+').count() < 2));
        assert!(regions.all.is_sorted_by(|one, next| one.code < next.code));
        let today = regions.all.iter().filter(|own| own.in_force(u16::MAX));
        assert_eq!(today.count(), 3_508);
        for own in regions.all {
            let [first, second] = own.years;
            assert!(first.0 <= first.1, "{}", own.code);
            assert!(
                second == NEVER || first.1 < second.0 && second.0 <= second.1,
                "{}",
                own.code
            );
            assert!(
                own.name.is_empty() || own.in_force(u16::MAX),
                "{}",
                own.code
            );
        }
    }

    #[test]
    fn a_code_is_in_force_in_its_years() {
        let regions = Codes::new();
        let in_force = |code, year| regions.in_force(regions.find(code).unwrap(), year);
        assert!(in_force(110_105, 1949));
        assert!(in_force(110_103, 2010) && !in_force(110_103, 2011));
        assert!(!in_force(110_112, 1996) && in_force(110_112, 1997));
        let twice = regions
            .find(330_502)
            .map(|place| regions.all[place].years)
            .unwrap();
        assert_ne!(twice[1], NEVER);
        let years = |code, window| regions.years_in_force(regions.find(code).unwrap(), window);
        assert_eq!(years(110_105, (1900, 2049)), 150);
        assert_eq!(years(110_112, (1900, 2049)), 53);
        assert_eq!(
            (years(110_112, (1900, 1996)), years(110_112, (1997, 1997))),
            (0, 1)
        );
        assert_eq!(regions.find(110_199), None);
        assert_eq!(regions.find(999_999), None);
    }

    #[test]
    fn there_are_34_provinces() {
        let provinces: Vec<u32> = (0..100).filter(|at| provinces() >> at & 1 == 1).collect();
        let expected = [
            11..=15,
            21..=23,
            31..=37,
            41..=46,
            50..=54,
            61..=65,
            71..=71,
            81..=82,
        ];
        assert_eq!(
            provinces,
            expected.into_iter().flatten().collect::<Vec<u32>>()
        );
    }

    #[test]
    fn every_code_is_found_under_each_of_its_beginnings() {
        let regions = Codes::new();
        for (place, own) in regions.all.iter().enumerate() {
            for (digits, prefix) in [
                (0, 0),
                (2, own.code / 10_000),
                (4, own.code / 100),
                (6, own.code),
            ] {
                let within = regions.within(prefix, digits);
                assert!(within.contains(&place), "{} {digits}", own.code);
                assert!(within.len() <= regions.most_within(digits));
            }
            assert_eq!(regions.find(own.code), Some(place));
        }
    }
}
