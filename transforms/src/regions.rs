//! Division codes of GB/T 2260 and the years in which each was in force.
//!
//! The six digits that begin a resident identity number, and stand third in a credit code, are
//! such a code. Codes come and go: of 6,885 that were ever in force at county, prefecture or
//! province level, 482 stood all the time. Whoever checks a number against the year of birth needs
//! the years, and so does whoever makes numbers that are to pass.
//!
//! `regions.txt` holds codes and years only, as python-stdnum 2 collects them from the yearly
//! notices: a line for each four digits, then the last two of each code, with `:FROM-UNTIL` where
//! it wasn't always in force. Codes given to two places in turn have the years of both.

use std::ops::Range;

const TABLE: &str = include_str!("regions.txt");

/// The number of beginnings of four digits.
const PREFIXES: usize = 10_000;

/// A code and the years it was in force, both ends included.
#[derive(Debug, Clone, Copy)]
struct Region {
    code: u32,
    years: [(u16, u16); 2],
}

/// No year at all.
const NEVER: (u16, u16) = (1, 0);

/// Every division code, in order.
#[derive(Debug)]
pub(crate) struct Regions {
    all: Vec<Region>,
    /// Where the codes of each four digits begin in `all`; one more for the end.
    starts: Vec<usize>,
}

impl Regions {
    /// Reads the table.
    pub(crate) fn new() -> Self {
        let mut all = Vec::new();
        for line in TABLE.lines() {
            let mut words = line.split(' ');
            let prefix: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            all.extend(words.filter_map(|word| region(prefix, word)));
        }
        let mut starts = Vec::with_capacity(PREFIXES + 1);
        let mut next = 0;
        for prefix in (0..).take(PREFIXES + 1) {
            let codes = all.iter().skip(next);
            next += codes
                .take_while(|region| region.code / 100 < prefix)
                .count();
            starts.push(next);
        }
        Self { all, starts }
    }

    /// Where in the table the codes stand that begin with `prefix`, a number of `digits` digits:
    /// 0, 2, 4 or 6.
    #[inline]
    pub(crate) fn within(&self, prefix: u32, digits: usize) -> Range<usize> {
        let at = |prefix: u32| {
            let place = usize::try_from(prefix).unwrap_or(usize::MAX);
            self.starts.get(place).copied().unwrap_or(self.all.len())
        };
        match digits {
            0 => 0..self.all.len(),
            2 => at(prefix * 100)..at(prefix * 100 + 100),
            4 => at(prefix)..at(prefix + 1),
            _ => {
                let near = at(prefix / 100)..at(prefix / 100 + 1);
                let begin = near.start;
                let codes = self.all.get(near).unwrap_or_default();
                match codes.binary_search_by_key(&prefix, |region| region.code) {
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
        self.all.get(place).map(|region| region.code)
    }

    /// Whether the code at a place was in force in a year.
    #[inline]
    pub(crate) fn in_force(&self, place: usize, year: u16) -> bool {
        self.all.get(place).is_some_and(|region| {
            let within = |(from, until): &(u16, u16)| (*from..=*until).contains(&year);
            region.years.iter().any(within)
        })
    }

    /// In how many years of a window, its ends included, the code at a place was in force.
    #[inline]
    pub(crate) fn years_in_force(&self, place: usize, (first, last): (u16, u16)) -> u32 {
        let spans = self
            .all
            .get(place)
            .map_or([NEVER; 2], |region| region.years);
        let years = spans.map(|(from, until)| {
            let (from, until) = (u32::from(from.max(first)), u32::from(until.min(last)));
            (until + 1).saturating_sub(from)
        });
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

/// Reads `03:-2010` or `02:1983-1987+2003-`.
fn region(prefix: u32, word: &str) -> Option<Region> {
    let (last, years) = word.split_once(':').unwrap_or((word, "-"));
    let mut spans = years.split('+').map(span);
    Some(Region {
        code: prefix * 100 + last.parse::<u32>().ok()?,
        years: [spans.next()??, spans.next().flatten().unwrap_or(NEVER)],
    })
}

/// Reads `1983-1987`, either end open.
fn span(text: &str) -> Option<(u16, u16)> {
    let (from, until) = text.split_once('-')?;
    let year = |text: &str, open| match text {
        "" => Some(open),
        text => text.parse().ok(),
    };
    Some((year(from, 0)?, year(until, u16::MAX)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table_is_read() {
        let regions = Regions::new();
        let words: usize = TABLE.lines().map(|line| line.split(' ').count() - 1).sum();
        assert_eq!(regions.all.len(), words);
        assert_eq!(words, 6_885);
        assert!(regions.all.is_sorted_by(|one, next| one.code < next.code));
        let always = regions
            .all
            .iter()
            .filter(|region| region.years == [(0, u16::MAX), NEVER]);
        println!("always: {}", always.count());
    }

    #[test]
    fn a_code_is_in_force_in_its_years() {
        let regions = Regions::new();
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
    fn every_code_is_found_under_each_of_its_beginnings() {
        let regions = Regions::new();
        for (place, region) in regions.all.iter().enumerate() {
            for (digits, prefix) in [
                (0, 0),
                (2, region.code / 10_000),
                (4, region.code / 100),
                (6, region.code),
            ] {
                let within = regions.within(prefix, digits);
                assert!(within.contains(&place), "{} {digits}", region.code);
                assert!(within.len() <= regions.most_within(digits));
            }
            assert_eq!(regions.find(region.code), Some(place));
        }
    }
}
