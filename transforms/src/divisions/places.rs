//! The county-level divisions of today, with the names an address writes, for whoever draws one or
//! reads one. Hong Kong, Macao and Taiwan are left out.

use super::{Coded, read_table};
use crate::persona::Draw;

/// The years for which the divisions in force are listed: for years before, those of the first list
/// are, for years after those of the last.
const YEARS: std::ops::RangeInclusive<u16> = 1_979..=2_025;

/// A county-level division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Division {
    /// Six digits.
    pub(crate) code: u32,
    /// Name of the province.
    pub(crate) province: &'static str,
    /// Name of the prefecture; empty in municipalities and where the province rules directly.
    pub(crate) prefecture: &'static str,
    /// Name of the county; empty where the prefecture has none.
    pub(crate) county: &'static str,
}

/// How much of a division is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Two digits.
    Province,
    /// Four digits.
    City,
    /// Six digits.
    District,
}

impl Level {
    /// Codes that agree in the kept digits agree in the quotient by this.
    fn divisor(self) -> u32 {
        match self {
            Self::Province => 10_000,
            Self::City => 100,
            Self::District => 1,
        }
    }

    /// Bits by which two surrogates of one kept division differ at least.
    pub(crate) fn bits(kept: Option<Self>) -> u32 {
        match kept {
            // The oldest births have some three hundred divisions to be born in.
            None => 8,
            Some(Self::Province | Self::City | Self::District) => 0,
        }
    }
}

/// Every county-level division of today, by code.
#[derive(Debug)]
pub(crate) struct Divisions {
    all: Vec<Division>,
    /// Places in `all` of the divisions in force in each of [`YEARS`].
    in_force: Vec<Vec<usize>>,
}

impl Divisions {
    pub(crate) fn new() -> Self {
        let (mut all, mut coded) = (Vec::new(), Vec::new());
        let table = read_table();
        let mut province = "";
        for group in table.chunk_by(|one, two| one.code / 100 == two.code / 100) {
            let Some(head) = group.first() else { continue };
            if head.code % 10_000 == 0 {
                province = head.name;
                continue;
            }
            let prefecture = if head.code % 100 == 0 { head.name } else { "" };
            let counties = group.iter().filter(|own| own.code % 100 != 0);
            let counties = counties.map(|own| (own, own.name));
            let mut named: Vec<_> = counties.filter(|(_, name)| !name.is_empty()).collect();
            if named.is_empty() && !prefecture.is_empty() {
                named.push((head, ""));
            }
            for (own, county) in named {
                coded.push(*own);
                all.push(Division {
                    code: own.code,
                    province,
                    prefecture,
                    county,
                });
            }
        }
        let in_force = YEARS
            .map(|year| {
                let places = coded.iter().enumerate();
                let places = places.filter(|(_, own): &(usize, &Coded)| own.in_force(year));
                places.map(|(place, _)| place).collect()
            })
            .collect();
        Self { all, in_force }
    }

    /// Every division, by code.
    pub(crate) fn all(&self) -> &[Division] {
        &self.all
    }

    /// The division of that code.
    #[cfg(test)]
    pub(crate) fn find(&self, code: u32) -> Option<&Division> {
        let place = self.all.binary_search_by_key(&code, |own| own.code).ok()?;
        self.all.get(place)
    }

    /// Where in `all` the divisions with the kept digits begin and end.
    fn within(&self, kept: Option<(u32, Level)>) -> (usize, usize) {
        let Some((code, level)) = kept else {
            return (0, self.all.len());
        };
        let divisor = level.divisor();
        let key = code / divisor;
        let start = self.all.partition_point(|own| own.code / divisor < key);
        let end = self.all.partition_point(|own| own.code / divisor <= key);
        (start, end)
    }

    /// Whether there are divisions in the province of a code.
    pub(crate) fn has_province(&self, code: u32) -> bool {
        let (start, end) = self.within(Some((code, Level::Province)));
        start < end
    }

    /// Draws a division with the kept digits: one whose code was in force in the year, if there is
    /// one, else any; any where no year is given. None where no division has the kept digits.
    pub(crate) fn draw(
        &self,
        draw: &Draw,
        word: usize,
        kept: Option<(u32, Level)>,
        year: Option<i64>,
    ) -> Option<&Division> {
        let (start, end) = self.within(kept);
        let in_force = year.and_then(|year| {
            let year = u16::try_from(year.max(0)).unwrap_or(u16::MAX);
            let year = year.clamp(*YEARS.start(), *YEARS.end());
            self.in_force.get(usize::from(year - YEARS.start()))
        });
        if let Some(places) = in_force {
            let first = places.partition_point(|place| *place < start);
            let last = places.partition_point(|place| *place < end);
            let places = places.get(first..last)?;
            let place = places.get(draw.below(word, places.len()));
            if let Some(division) = place.and_then(|place| self.all.get(*place)) {
                return Some(division);
            }
        }
        let within = self.all.get(start..end)?;
        within.get(draw.below(word, within.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::divisions::Codes;

    #[test]
    fn codes_lead_to_the_names_of_their_path() {
        let divisions = Divisions::new();
        for (code, path) in [
            (330_106, ("浙江省", "杭州市", "西湖区")),
            (110_105, ("北京市", "", "朝阳区")),
            (310_115, ("上海市", "", "浦东新区")),
            (440_305, ("广东省", "深圳市", "南山区")),
            (441_900, ("广东省", "东莞市", "")),
            (429_004, ("湖北省", "", "仙桃市")),
            (500_103, ("重庆市", "", "渝中区")),
            (659_001, ("新疆维吾尔自治区", "", "石河子市")),
            (360_426, ("江西省", "九江市", "德安县")),
        ] {
            let found = divisions.find(code).unwrap();
            assert_eq!(
                (found.province, found.prefecture, found.county),
                path,
                "{code}"
            );
        }
        assert_eq!(divisions.find(990_101), None);
    }

    #[test]
    fn the_table_is_whole_and_well_formed() {
        let divisions = Divisions::new();
        let all = divisions.all();
        let codes: BTreeSet<u32> = all.iter().map(|own| own.code).collect();
        assert_eq!(codes.len(), all.len());
        let provinces: BTreeSet<u32> = codes.iter().map(|code| code / 10_000).collect();
        assert_eq!(provinces.len(), 31);
        assert!(all.len() > 2_800);
        for own in all {
            assert!((110_000..660_000).contains(&own.code), "{}", own.code);
            let han = |name: &str| name.chars().all(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!(
                han(own.province) && han(own.prefecture) && han(own.county),
                "{}",
                own.code
            );
            assert!(
                !own.prefecture.is_empty() || !own.county.is_empty(),
                "{}",
                own.code
            );
        }
    }

    #[test]
    fn a_drawn_division_has_the_kept_digits_and_was_there_at_birth() {
        let (divisions, codes) = (Divisions::new(), Codes::new());
        let in_force = |code, year| codes.in_force(codes.find(code).unwrap(), year);
        for seed in 0_u32..2_000 {
            let draw = Draw::of_seed(seed);
            let year = 1_945 + u16::try_from(seed % 80).unwrap();
            let drawn = |kept| divisions.draw(&draw, 4, kept, Some(year.into())).unwrap();
            assert!(in_force(drawn(None).code, year), "{year}");
            let city = drawn(Some((330_106, Level::City))).code;
            assert_eq!(city / 100, 3_301);
            assert!(in_force(city, year), "{city} {year}");
            // No code of Chongqing was in force before 1997.
            let late = drawn(Some((500_103, Level::Province))).code;
            assert!(late / 10_000 == 50 && (year < 1_997 || in_force(late, year)));
        }
        let draw = Draw::of_seed(1);
        let of = |code, level| divisions.draw(&draw, 4, Some((code, level)), Some(1_950));
        assert_eq!(of(330_106, Level::District).unwrap().code, 330_106);
        assert_eq!(of(990_106, Level::City), None);
        assert!(divisions.has_province(330_199) && !divisions.has_province(810_000));
    }

    #[test]
    fn births_of_every_year_have_enough_divisions() {
        let divisions = Divisions::new();
        let fewest = divisions.in_force.iter().map(Vec::len).min().unwrap();
        assert!(fewest >= 1 << Level::bits(None), "{fewest}");
        assert_eq!(
            divisions.in_force.last().unwrap().len(),
            divisions.all.len()
        );
    }
}
