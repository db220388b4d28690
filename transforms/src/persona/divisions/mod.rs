//! Administrative divisions (GB/T 2260, with amendments): code, names, and since when the code
//! stands for the division.
//!
//! The tables hold one line a province (`33 浙江省`) or prefecture (`01 杭州市 …`), and on a
//! prefecture's line its counties: two digits, the name, and the year in which the code began,
//! where it is younger than the first edition. `-` stands for no name: a municipality has no
//! prefecture, a few prefectures have no counties. Hong Kong, Macao and Taiwan are left out.

mod east;
mod north;
mod south;
mod west;

use super::draw::Draw;

/// A county-level division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Division {
    /// Six digits.
    pub(crate) code: u32,
    /// Year in which the code began; 0 for those of the first edition.
    pub(crate) since: i64,
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
            // 313 counties of the first edition, the only ones for the oldest births.
            None => 8,
            Some(Self::Province | Self::City | Self::District) => 0,
        }
    }
}

/// Every county-level division, by code.
#[derive(Debug)]
pub(crate) struct Divisions {
    all: Vec<Division>,
    /// Places in `all` of the divisions of the first edition.
    first: Vec<usize>,
}

impl Divisions {
    pub(crate) fn new() -> Self {
        let mut all = Vec::with_capacity(3_000);
        for table in [north::TABLE, east::TABLE, south::TABLE, west::TABLE] {
            read(table, &mut all);
        }
        all.sort_unstable_by_key(|division| division.code);
        let places = all.iter().enumerate();
        let first = places
            .filter(|(_, division)| division.since == 0)
            .map(|(place, _)| place)
            .collect();
        Self { all, first }
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

    /// Draws a division for a birth in `year`, under the kept digits of `kept`: one whose code was
    /// in use by then, else one of the first edition, else any. None where no division has the
    /// kept digits.
    pub(crate) fn draw(
        &self,
        draw: &Draw,
        word: usize,
        kept: Option<(u32, Level)>,
        year: i64,
    ) -> Option<&Division> {
        let (start, end) = match kept {
            None => (0, self.all.len()),
            Some((code, level)) => {
                let divisor = level.divisor();
                let key = code / divisor;
                (
                    self.all.partition_point(|own| own.code / divisor < key),
                    self.all.partition_point(|own| own.code / divisor <= key),
                )
            }
        };
        let within = self.all.get(start..end)?;
        let division = within.get(draw.below(word, within.len()))?;
        if division.since <= year {
            return Some(division);
        }
        let first = self.first.partition_point(|place| *place < start);
        let last = self.first.partition_point(|place| *place < end);
        let first = self.first.get(first..last)?;
        let place = first.get(draw.below(word, first.len()));
        Some(
            place
                .and_then(|place| self.all.get(*place))
                .unwrap_or(division),
        )
    }
}

/// Reads the lines of a table.
fn read(table: &'static str, divisions: &mut Vec<Division>) {
    let mut province = (0, "");
    for line in table.lines() {
        let mut words = line.split(' ');
        let code = words.next().and_then(|code| code.parse::<u32>().ok());
        let (Some(code), Some(name)) = (code, words.next()) else {
            continue;
        };
        let mut counties = words.peekable();
        if counties.peek().is_none() {
            province = (code * 10_000, name);
            continue;
        }
        for word in counties {
            let Some((digits, rest)) = word.split_at_checked(2) else {
                continue;
            };
            let county = rest.trim_end_matches(|character: char| character.is_ascii_digit());
            let since = rest.strip_prefix(county).unwrap_or_default();
            divisions.push(Division {
                code: province.0 + code * 100 + digits.parse::<u32>().unwrap_or(0),
                since: since.parse().unwrap_or(0),
                province: province.1,
                prefecture: name.trim_matches('-'),
                county: county.trim_matches('-'),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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
            assert!(
                own.since == 0 || (1_981..2_030).contains(&own.since),
                "{}",
                own.code
            );
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
        let divisions = Divisions::new();
        for seed in 0_u32..2_000 {
            let draw = Draw::of_seed(seed);
            let any = divisions.draw(&draw, 4, None, 1_950).unwrap();
            assert_eq!(any.since, 0);
            let kept = divisions
                .draw(&draw, 4, Some((330_106, Level::City)), 2_000)
                .unwrap();
            assert!(kept.code / 100 == 3_301 && kept.since <= 2_000);
            let kept = divisions
                .draw(&draw, 4, Some((500_103, Level::Province)), 1_950)
                .unwrap();
            assert_eq!(kept.code / 10_000, 50);
        }
        let same = divisions.draw(
            &Draw::of_seed(1),
            4,
            Some((330_106, Level::District)),
            1_950,
        );
        assert_eq!(same.unwrap().code, 330_106);
        assert_eq!(
            divisions.draw(&Draw::of_seed(1), 4, Some((990_106, Level::City)), 1_990),
            None
        );
    }
}
