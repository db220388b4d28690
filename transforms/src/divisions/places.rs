//! The county-level divisions of today, with the names an address writes, for whoever draws one or
//! reads one. Hong Kong, Macao and Taiwan are left out.

use super::{Coded, table};
use crate::persona::Draw;

/// The years for which the divisions in force are listed: for years before, those of the first list
/// are, for years after those of the last.
const LISTED: std::ops::RangeInclusive<i64> = 1_979..=2_025;

/// The last year for which it is listed which divisions are in force.
pub(crate) const LAST_LISTED: i64 = *LISTED.end();

/// Years in which a division is in force, or any of several: a bit for each that is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Years(u64);

impl Years {
    /// No year.
    const NONE: Self = Self(0);

    /// Every year.
    pub(crate) const ALL: Self = Self((1 << (*LISTED.end() - *LISTED.start() + 1)) - 1);

    fn of(coded: &Coded) -> Self {
        let bits = coded.years.map(|(from, until)| {
            let first = i64::from(from).max(*LISTED.start()) - LISTED.start();
            let last = i64::from(until).min(*LISTED.end()) - LISTED.start();
            let up_to = |bit: i64| (1_u64 << (bit + 1).max(0)) - 1;
            up_to(last) & !up_to(first - 1)
        });
        Self(bits.iter().fold(0, |all, own| all | own))
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a year is one of them.
    pub(crate) fn contains(self, year: i64) -> bool {
        let listed = year.clamp(*LISTED.start(), *LISTED.end());
        self.0 >> (listed - LISTED.start()) & 1 == 1
    }
}

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

    /// The word of `keep` for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Province => "province",
            Self::City => "city",
            Self::District => "district",
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

/// A kept division: a code, and how much of it counts.
pub(crate) type Kept = (u32, Level);

/// A code that is or was in force.
#[derive(Debug, Clone, Copy)]
struct Code {
    code: u32,
    years: Years,
    /// Whether it stands for a place to be born in: not for a prefecture with counties, nor for all
    /// districts of a prefecture together, as 01 does.
    is_place: bool,
}

/// Every county-level division of today, by code.
#[derive(Debug)]
pub(crate) struct Divisions {
    all: Vec<Division>,
    /// Places in `all` of the divisions in force in each listed year.
    in_force: Vec<Vec<usize>>,
    /// Every code that ever was one of a county or prefecture, in order.
    codes: Vec<Code>,
}

impl Divisions {
    pub(crate) fn new() -> Self {
        let (mut all, mut years) = (Vec::new(), Vec::new());
        let table = table();
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
                years.push(Years::of(own));
                all.push(Division {
                    code: own.code,
                    province,
                    prefecture,
                    county,
                });
            }
        }
        let in_force = LISTED
            .map(|year| {
                let places = years.iter().enumerate();
                let places = places.filter(|(_, own): &(usize, &Years)| own.contains(year));
                places.map(|(place, _)| place).collect()
            })
            .collect();
        let codes = table.iter().filter(|own| own.code % 10_000 != 0);
        let is_today = |code| {
            all.binary_search_by_key(&code, |own: &Division| own.code)
                .is_ok()
        };
        let codes = codes.map(|own| Code {
            code: own.code,
            years: Years::of(own),
            is_place: own.code % 100 > 1 || is_today(own.code),
        });
        Self {
            codes: codes.collect(),
            all,
            in_force,
        }
    }

    /// Every division, by code.
    pub(crate) fn all(&self) -> &[Division] {
        &self.all
    }

    /// The division of that code.
    pub(crate) fn find(&self, code: u32) -> Option<&Division> {
        let place = self.all.binary_search_by_key(&code, |own| own.code).ok()?;
        self.all.get(place)
    }

    /// Where in `all` the divisions with the kept digits begin and end.
    fn within(&self, kept: Option<Kept>) -> (usize, usize) {
        let Some((code, level)) = kept else {
            return (0, self.all.len());
        };
        let divisor = level.divisor();
        let key = code / divisor;
        let start = self.all.partition_point(|own| own.code / divisor < key);
        let end = self.all.partition_point(|own| own.code / divisor <= key);
        (start, end)
    }

    /// The codes of places with the kept digits, of today or not.
    fn places(&self, (code, level): Kept) -> impl Iterator<Item = &Code> + Clone {
        let divisor = level.divisor();
        let key = code / divisor;
        let start = self.codes.partition_point(|own| own.code / divisor < key);
        let end = self.codes.partition_point(|own| own.code / divisor <= key);
        let within = self.codes.get(start..end).unwrap_or_default().iter();
        // A kept district is what it is.
        within.filter(move |own| own.is_place || level == Level::District)
    }

    /// The years in which a code with the kept digits was in force.
    fn years(&self, kept: Kept) -> Years {
        self.places(kept)
            .fold(Years::NONE, |all, own| all.or(own.years))
    }

    /// The kept division as it can be kept of someone born in a year, or in any where none is given:
    /// as much of it as a division was in force of, and the years in which one was. None where that
    /// is nothing.
    pub(crate) fn fitting(&self, (code, level): Kept, year: Option<i64>) -> Option<(Kept, Years)> {
        let levels = [Level::District, Level::City, Level::Province].into_iter();
        levels
            .filter(|wider| *wider <= level)
            .map(|level| ((code, level), self.years((code, level))))
            .find(|(_, years)| match year {
                Some(year) => years.contains(year),
                None => *years != Years::NONE,
            })
    }

    /// Draws a division of today with the kept digits. None where there is none.
    pub(crate) fn draw(&self, draw: &Draw, word: usize, kept: Option<Kept>) -> Option<&Division> {
        let (start, end) = self.within(kept);
        let within = self.all.get(start..end)?;
        within.get(draw.below(word, within.len()))
    }

    /// Draws a code with the kept digits that was in force in a year: of a division of today, if
    /// there is one, else of another. None where there is none.
    pub(crate) fn draw_code(
        &self,
        draw: &Draw,
        word: usize,
        kept: Option<Kept>,
        year: i64,
    ) -> Option<u32> {
        let (start, end) = self.within(kept);
        let listed = year.clamp(*LISTED.start(), *LISTED.end()) - LISTED.start();
        let places = self.in_force.get(usize::try_from(listed).ok()?)?;
        let first = places.partition_point(|place| *place < start);
        let last = places.partition_point(|place| *place < end);
        let places = places.get(first..last)?;
        if let Some(place) = places.get(draw.below(word, places.len())) {
            return self.all.get(*place).map(|own| own.code);
        }
        let former = self.places(kept?).filter(|own| own.years.contains(year));
        let chosen = draw.below(word, former.clone().count());
        former.map(|own| own.code).nth(chosen)
    }

    /// The division of today that a code stands for or, where that no longer exists, one that is
    /// drawn of its city, or else of its province.
    pub(crate) fn today(&self, draw: &Draw, word: usize, code: u32) -> Option<&Division> {
        self.find(code)
            .or_else(|| self.draw(draw, word, Some((code, Level::City))))
            .or_else(|| self.draw(draw, word, Some((code, Level::Province))))
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
            let drawn = |kept| divisions.draw_code(&draw, 4, kept, year.into());
            let anywhere = drawn(None).unwrap();
            assert!(in_force(anywhere, year), "{year}");
            assert!(divisions.find(anywhere).is_some());
            let city = drawn(Some((330_106, Level::City))).unwrap();
            assert_eq!(city / 100, 3_301);
            assert!(in_force(city, year), "{city} {year}");
            // No code of Chongqing was in force before 1997, and none of Guangdong's before 1983 is
            // one of today.
            let late = drawn(Some((500_103, Level::Province)));
            assert_eq!(late.is_some(), year >= 1_997);
            assert!(late.is_none_or(|code| code / 10_000 == 50 && in_force(code, year)));
            let renamed = drawn(Some((440_305, Level::Province))).unwrap();
            assert!(renamed / 10_000 == 44 && in_force(renamed, year));
            assert!(year >= 1_983 || divisions.find(renamed).is_none());
            let home = divisions.today(&draw, 4, renamed).unwrap();
            assert_eq!(home.province, "广东省");
        }
        let draw = Draw::of_seed(1);
        let today = |code| divisions.today(&draw, 4, code).map(|own| own.code / 100);
        assert_eq!(today(330_104), Some(3_301));
        assert_eq!(today(990_106), None);
    }

    #[test]
    fn as_much_is_kept_of_a_division_as_was_in_force() {
        let divisions = Divisions::new();
        let fitting = |code, level, year| {
            let fitting = divisions.fitting((code, level), year);
            fitting.map(|((own, level), years)| {
                assert!(own == code && year.is_none_or(|year| years.contains(year)));
                level
            })
        };
        let (district, city, province) = (Level::District, Level::City, Level::Province);
        for (code, level, year, expected) in [
            (330_106, district, Some(1_990), Some(district)),
            (330_106, district, Some(1_950), Some(city)),
            (330_106, city, Some(1_950), Some(city)),
            // There until 2021, and since 2015.
            (330_104, district, Some(1_990), Some(district)),
            (330_104, district, None, Some(district)),
            (330_104, district, Some(2_024), Some(city)),
            (110_118, district, None, Some(district)),
            (110_118, district, Some(1_950), Some(city)),
            // All codes of Huzhou came later.
            (330_502, district, Some(1_950), Some(province)),
            (330_502, city, None, Some(city)),
            (110_222, city, None, Some(city)),
            (110_222, city, Some(2_024), Some(province)),
            (440_305, province, Some(1_950), Some(province)),
            (330_199, district, None, Some(city)),
            (110_000, district, None, Some(province)),
            (500_103, district, Some(1_950), None),
            (810_000, district, None, None),
            (990_106, province, None, None),
        ] {
            assert_eq!(fitting(code, level, year), expected, "{code} {year:?}");
        }
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
