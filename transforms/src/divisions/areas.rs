//! Area codes of landlines by division, for whoever draws a number that lies where its person lives.
//!
//! `areas.txt` says for each code where it holds, which is a prefecture, several of them, or a county
//! that is under none or has a code of its own; `areas.py` says where that comes from. Mobile numbers
//! have no such table: their segments are given out by the hundred thousand, and not by a public
//! register.

const TABLE: &str = include_str!("areas.txt");

/// An area code, and how long its numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    /// Such as `010` or `0571`.
    pub(crate) code: &'static str,
    /// Digits of a number, without the code: 7 or 8. Where both are in use, 8.
    pub(crate) digits: usize,
}

/// Every area code, by where it holds.
#[derive(Debug)]
pub(crate) struct Areas {
    /// Codes of prefectures, which end in 00, and of counties, in order.
    all: Vec<(u32, Area)>,
}

impl Areas {
    /// The codes of the table.
    pub(crate) fn new() -> Self {
        let mut all: Vec<(u32, Area)> = entries().map(|(place, _, area)| (place, area)).collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        Self { all }
    }

    /// The area code of a county of today, or of the prefecture it belongs to.
    pub(crate) fn find(&self, division: u32) -> Option<Area> {
        let at = |place: u32| {
            let found = self
                .all
                .binary_search_by_key(&place, |(own, _)| *own)
                .ok()?;
            self.all.get(found).map(|(_, area)| *area)
        };
        at(division).or_else(|| at(division / 100 * 100))
    }
}

/// The places of the table: six digits, the name, the area code.
fn entries() -> impl Iterator<Item = (u32, &'static str, Area)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| {
        let mut words = line.split(' ');
        let code = words.next().unwrap_or_default();
        let digits = words.next().and_then(|digits| digits.parse().ok());
        let area = Area {
            code,
            digits: digits.unwrap_or_default(),
        };
        words.filter_map(move |word| {
            let name = word.trim_start_matches(|character: char| character.is_ascii_digit());
            let place = word.strip_suffix(name)?;
            let number: u32 = place.parse().ok()?;
            let is_prefecture = place.len() == 4;
            let place = if is_prefecture { number * 100 } else { number };
            Some((place, name, area))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::divisions::{Divisions, table};
    use crate::persona::Landline;

    #[test]
    fn every_division_of_today_has_an_area_code_that_landlines_are_read_with() {
        let (divisions, areas) = (Divisions::new(), Areas::new());
        for own in divisions.all() {
            let Some(area) = areas.find(own.code) else {
                panic!("{own:?} has no area code");
            };
            let well_formed = area.code.starts_with('0') && matches!(area.code.len(), 3 | 4);
            assert!(well_formed && matches!(area.digits, 7 | 8), "{area:?}");
            let number = "2".repeat(area.digits);
            let read = Landline::read(&format!("{}-{number}", area.code)).unwrap();
            assert!(read.has_region(), "{area:?}");
            assert_eq!(read.area(), area.code.as_bytes());
            assert_eq!(read.number(), number.as_bytes());
        }
        assert_eq!(areas.find(990_101), None);
    }

    #[test]
    fn every_place_is_listed_once_under_the_name_that_the_division_table_has() {
        let names: BTreeMap<u32, &str> = table().iter().map(|own| (own.code, own.name)).collect();
        let places: BTreeSet<u32> = entries().map(|(place, ..)| place).collect();
        let words = TABLE.lines().filter(|line| !line.starts_with('#'));
        let words: usize = words.map(|line| line.split(' ').skip(2).count()).sum();
        assert_eq!((places.len(), entries().count()), (words, words));
        for (place, name, _) in entries() {
            assert_eq!(names.get(&place), Some(&name), "{place}");
        }
        // Nothing is left to the prefecture where the prefecture isn't listed.
        let prefectures = names
            .iter()
            .filter(|(code, name)| **code % 100 == 0 && **code % 10_000 != 0 && !name.is_empty());
        for (code, name) in prefectures {
            assert!(places.contains(code), "{code} {name}");
        }
    }

    #[test]
    fn prefectures_that_share_a_code_and_counties_that_have_their_own_are_known() {
        let areas = Areas::new();
        for (division, code, digits) in [
            (110_105, "010", 8),
            (500_235, "023", 8),
            (330_106, "0571", 8),
            (430_102, "0731", 8),
            (430_203, "0731", 8),
            (430_302, "0731", 8),
            (511_402, "028", 8),
            (610_402, "029", 8),
            (410_203, "0371", 8),
            (520_302, "0851", 8),
            (441_900, "0769", 8),
            (620_200, "0937", 7),
            (469_002, "0898", 8),
            (429_004, "0728", 7),
            (429_021, "0719", 7),
            (632_801, "0979", 7),
            (632_802, "0977", 7),
            (654_002, "0999", 7),
            (650_202, "0992", 7),
            (654_003, "0992", 7),
            (659_001, "0993", 7),
        ] {
            assert_eq!(
                areas.find(division),
                Some(Area { code, digits }),
                "{division}"
            );
        }
    }
}
