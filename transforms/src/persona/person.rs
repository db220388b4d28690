//! The facets of a person that other facets repeat: sex, birth date, division; and the resident
//! number that repeats them all.

use std::ops::RangeInclusive;

use super::draw::{Draw, another};
use super::resident_id::{self, ResidentId};
use crate::calendar::Civil;
use crate::divisions::{self, Division, Divisions, LAST_LISTED, Level, Years};

/// Words of the draw, one a facet; see [`super`].
const SEX: usize = 2;
const BIRTH: usize = 3;
const DIVISION: usize = 4;
const SEQUENCE: usize = 5;

/// Years in which drawn persons are born. Everyone is of age.
const BIRTH_YEARS: RangeInclusive<i64> = 1945..=2005;

/// The day after the last on which they are: 2006-01-01.
pub(crate) const BIRTH_END: Civil = Civil {
    year: 2006,
    month: 1,
    day: 1,
};

/// Sex, as a resident number knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sex {
    /// 男, code 1 (GB/T 2261.1).
    Male,
    /// 女, code 2.
    Female,
}

impl Sex {
    /// Reads a code, a word, or a resident number; none for the unknown (0, 9) and anything else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "1" | "男" | "男性" | "M" | "m" | "male" | "Male" | "MALE" => Some(Self::Male),
            "2" | "女" | "女性" | "F" | "f" | "female" | "Female" | "FEMALE" => {
                Some(Self::Female)
            }
            other => ResidentId::read(other).map(ResidentId::sex),
        }
    }
}

/// The sex: as kept, else drawn.
#[inline]
pub(crate) fn sex(draw: &Draw, kept: Option<Sex>) -> Sex {
    kept.unwrap_or_else(|| match draw.below(SEX, 2) {
        0 => Sex::Male,
        _ => Sex::Female,
    })
}

/// Days in the year.
fn days_of(year: i64) -> i64 {
    first_of(year + 1) - first_of(year)
}

/// The day number of 1 January.
fn first_of(year: i64) -> i64 {
    Civil {
        year,
        month: 1,
        day: 1,
    }
    .to_days()
}

/// What a register keeps of when and where a person was born.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The year.
    pub(crate) year: Option<i64>,
    /// The division.
    pub(crate) region: Option<divisions::Kept>,
    /// Whether a wider division will do where none of that was in force.
    pub(crate) widens: bool,
}

/// When and where a person was born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Birth date.
    pub(crate) birth: Civil,
    /// Code of the division; where something is kept, it may be one that no longer exists.
    pub(crate) region: u32,
    /// Whether a wider division was kept than asked for.
    pub(crate) is_widened: bool,
}

impl Origin {
    /// The division of today that an address of the person names.
    pub(crate) fn home<'a>(self, draw: &Draw, divisions: &'a Divisions) -> Option<&'a Division> {
        divisions.today(draw, DIVISION, self.region)
    }
}

/// The birth date and the division, whose code was in force in the year of birth.
///
/// What is kept of one decides about the other: the birth is drawn among the years in which a
/// division of the kept part was in force (of those from 1945 to 2005 or, where that is none, the
/// first after), and the division among those of the birth. Where no division of the kept part was
/// in force in the kept year, or ever, there is none; or, where that will do, the next wider part is
/// kept in its place, and there is none where there is no such province either.
pub(crate) fn origin(draw: &Draw, divisions: &Divisions, kept: Kept) -> Option<Origin> {
    let (part, years, is_widened) = match kept.region {
        None => (None, Years::ALL, false),
        Some(part) => {
            let (fitting, years) = divisions.fitting(part, kept.year)?;
            if fitting != part && !kept.widens {
                return None;
            }
            (Some(fitting), years, fitting != part)
        }
    };
    let birth = match kept.year {
        Some(year) => birth(draw, year..=year, years)?,
        None => birth(draw, BIRTH_YEARS, years).or_else(|| {
            let later = (BIRTH_END.year..=LAST_LISTED).find(|year| years.contains(*year))?;
            birth(draw, later..=later, years)
        })?,
    };
    let region = match part {
        Some((code, Level::District)) => code,
        part => divisions.draw_code(draw, DIVISION, part, birth.year)?,
    };
    Some(Origin {
        birth,
        region,
        is_widened,
    })
}

/// A day of those years of `within` that are among `years`; none where there is none.
#[inline]
fn birth(draw: &Draw, within: RangeInclusive<i64>, years: Years) -> Option<Civil> {
    let first = first_of(*within.start());
    let fitting = within.clone().filter(|year| years.contains(*year));
    let days = match years == Years::ALL {
        true => first_of(within.end() + 1) - first,
        false => fitting.clone().map(days_of).sum(),
    };
    let mut day = i64::try_from(draw.below(BIRTH, usize::try_from(days).ok()?)).ok()?;
    if years == Years::ALL {
        return Some(Civil::of_days(first + day));
    }
    for year in fitting {
        if day < days_of(year) {
            return Some(Civil::of_days(first_of(year) + day));
        }
        day -= days_of(year);
    }
    None
}

/// Bits by which the birth dates of two persons differ at least: some eight years for the youngest
/// province, a year for cities and districts.
pub(crate) fn birth_bits(year_is_kept: bool, level: Option<Level>) -> u32 {
    match level {
        _ if year_is_kept => 8,
        None => 14,
        Some(Level::Province) => 11,
        Some(Level::City | Level::District) => 8,
    }
}

/// The resident number of these facets, other than `original`.
pub(crate) fn resident_number(
    draw: &Draw,
    region: u32,
    birth: Civil,
    sex: Sex,
    original: Option<ResidentId>,
) -> ResidentId {
    // 001 to 999 in steps of two: 500 for men, 499 for women, for whom 000 is not used.
    let (first, count) = match sex {
        Sex::Male => (1, 500),
        Sex::Female => (2, 499),
    };
    let with = |chosen: u64| ResidentId {
        region,
        birth,
        sequence: first + 2 * u32::try_from(chosen).unwrap_or(0),
    };
    let chosen = u64::try_from(draw.below(SEQUENCE, 499)).unwrap_or(0);
    let drawn = with(chosen);
    if original == Some(drawn) {
        return with(another(chosen, count, draw));
    }
    drawn
}

/// Bits by which the sequence numbers of two persons of one sex differ.
pub(crate) const SEQUENCE_BITS: u32 = 8;

/// Reads a year of birth: of a resident number, or of a date whose first four digits are the year
/// (`1949-12-31`, `19491231`, `1949`).
pub(crate) fn read_birth_year(text: &str) -> Option<i64> {
    if let Some(id) = ResidentId::read(text) {
        return Some(id.birth.year);
    }
    let (year, rest) = text.trim().split_at_checked(4)?;
    if rest.starts_with(|character: char| character.is_ascii_digit()) && rest.len() != 4 {
        return None;
    }
    let year = resident_id::number(year.as_bytes())?;
    (1_850..2_150).contains(&year).then_some(i64::from(year))
}

/// Reads a division code: six digits, or more of which the first six are it (a resident number, a
/// code with street and community).
pub(crate) fn read_region(text: &str) -> Option<u32> {
    let text = text.trim();
    let fits = matches!(text.len(), 6 | 9 | 12) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !fits {
        return ResidentId::read(text).map(|id| id.region);
    }
    resident_id::number(text.as_bytes().get(..6)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::divisions::Codes;

    #[test]
    fn births_cover_their_range_and_keep_a_kept_year() {
        let (divisions, mut years) = (Divisions::new(), BTreeSet::new());
        let birth = |draw: &Draw, year| {
            let kept = Kept {
                year,
                ..Kept::default()
            };
            origin(draw, &divisions, kept).unwrap().birth
        };
        for seed in 0..4_000 {
            let draw = Draw::of_seed(seed);
            years.insert(birth(&draw, None).year);
            assert_eq!(birth(&draw, Some(2024)).year, 2024);
        }
        assert_eq!((years.first(), years.last()), (Some(&1945), Some(&2005)));
        assert_eq!(years.len(), 61);
    }

    #[test]
    fn a_division_was_in_force_at_birth_whatever_is_kept() {
        let (divisions, codes) = (Divisions::new(), Codes::new());
        let regions = [
            330_106, 330_104, 110_118, 330_502, 110_222, 500_103, 659_004,
        ];
        let levels = [Level::Province, Level::City, Level::District];
        let years = [None, Some(1_930), Some(1_985), Some(2_024)];
        for seed in 0..300 {
            let draw = Draw::of_seed(seed);
            for (code, level) in regions
                .iter()
                .flat_map(|code| levels.map(|level| (*code, level)))
            {
                for (year, widens) in years
                    .into_iter()
                    .flat_map(|year| [(year, true), (year, false)])
                {
                    let kept = Kept {
                        year,
                        region: Some((code, level)),
                        widens,
                    };
                    let fits = divisions.fitting((code, level), year);
                    let Some(found) = origin(&draw, &divisions, kept) else {
                        let lost = code == 500_103 && year.is_some_and(|year| year < 1_997);
                        assert!(lost || !widens && fits.unwrap().0 != (code, level));
                        continue;
                    };
                    let kept_digits = match level {
                        Level::Province => 10_000,
                        Level::City => 100,
                        Level::District => 1,
                    };
                    assert!(widens || found.region / kept_digits == code / kept_digits);
                    assert!(year.is_none_or(|year| found.birth.year == year));
                    assert_eq!(found.region / 10_000, code / 10_000);
                    let place = codes.find(found.region).unwrap();
                    let year = found.birth.year.try_into().unwrap();
                    assert!(codes.in_force(place, year), "{kept:?} {found:?}");
                }
            }
        }
    }

    #[test]
    fn a_kept_division_decides_about_the_birth_where_no_year_is_kept() {
        let divisions = Divisions::new();
        let years = |code, level| -> BTreeSet<i64> {
            let kept = Kept {
                region: Some((code, level)),
                ..Kept::default()
            };
            let origins = (0..2_000).map(|seed| origin(&Draw::of_seed(seed), &divisions, kept));
            let origins = origins.map(Option::unwrap).inspect(|own| {
                assert!(level != Level::District || own.region == code);
            });
            origins.map(|own| own.birth.year).collect()
        };
        let from = |first: i64, last: i64| (first..=last).collect::<BTreeSet<_>>();
        assert_eq!(years(500_103, Level::Province), from(1_997, 2_005));
        assert_eq!(years(110_105, Level::District), from(1_945, 2_005));
        // A code that was given twice, and one of today only.
        let twice = from(1_983, 1_987).into_iter().chain(from(2_003, 2_005));
        assert_eq!(years(330_502, Level::District), twice.collect());
        assert_eq!(years(110_118, Level::District), from(2_015, 2_015));
    }

    #[test]
    fn births_of_every_kept_part_have_the_bits_they_are_said_to_have() {
        let divisions = Divisions::new();
        for (level, own) in [Level::Province, Level::City, Level::District]
            .into_iter()
            .flat_map(|level| divisions.all().iter().map(move |own| (level, own)))
            .step_by(7)
        {
            let (_, years) = divisions.fitting((own.code, level), None).unwrap();
            let days: i64 = BIRTH_YEARS
                .filter(|year| years.contains(*year))
                .map(days_of)
                .sum();
            let days = if days == 0 { 365 } else { days };
            assert!(days >= 1 << birth_bits(false, Some(level)), "{own:?}");
        }
    }

    #[test]
    fn sex_birth_and_region_are_read_from_what_people_write() {
        for (text, sex) in [
            ("1", Some(Sex::Male)),
            ("女", Some(Sex::Female)),
            ("F", Some(Sex::Female)),
            ("11010519491231002X", Some(Sex::Female)),
            ("9", None),
            ("", None),
        ] {
            assert_eq!(Sex::read(text), sex, "{text}");
        }
        for (text, year) in [
            ("1949-12-31", Some(1949)),
            ("19491231", Some(1949)),
            ("1949", Some(1949)),
            ("11010519491231002X", Some(1949)),
            ("491231", None),
            ("张三", None),
        ] {
            assert_eq!(read_birth_year(text), year, "{text}");
        }
        for (text, code) in [
            ("330106", Some(330_106)),
            ("330106001001", Some(330_106)),
            ("11010519491231002X", Some(110_105)),
            ("3301", None),
        ] {
            assert_eq!(read_region(text), code, "{text}");
        }
    }

    #[test]
    fn a_number_repeats_its_facets_and_is_never_the_original() {
        for seed in 0..2_000 {
            let draw = Draw::of_seed(seed);
            let sex = sex(&draw, None);
            let birth = birth(&draw, BIRTH_YEARS, Years::ALL).unwrap();
            let drawn = resident_number(&draw, 330_106, birth, sex, None);
            assert_eq!((drawn.sex(), drawn.birth), (sex, birth));
            assert!((1..=999).contains(&drawn.sequence));
            let anew = resident_number(&draw, 330_106, birth, sex, Some(drawn));
            assert!(anew != drawn && anew.sex() == sex && (1..=999).contains(&anew.sequence));
        }
    }
}
