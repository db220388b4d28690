//! The facets of a person that other facets repeat: sex, birth date, division; and the resident
//! number that repeats them all.

use super::draw::{Draw, another};
use super::resident_id::{self, ResidentId};
use crate::calendar::Civil;
use crate::divisions::{Division, Divisions, Level};

/// Words of the draw, one a facet; see [`super`].
const SEX: usize = 2;
const BIRTH: usize = 3;
const DIVISION: usize = 4;
const SEQUENCE: usize = 5;

/// First day on which drawn persons are born: 1945-01-01.
const FIRST_BIRTH: Civil = Civil {
    year: 1945,
    month: 1,
    day: 1,
};

/// The day after the last: 2006-01-01. Everyone is of age.
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

/// The birth date: any day from 1945 to 2005, or of the kept year.
#[inline]
pub(crate) fn birth(draw: &Draw, kept_year: Option<i64>) -> Civil {
    let (first, days) = match kept_year {
        Some(year) => (first_of(year), days_of(year)),
        None => (
            FIRST_BIRTH.to_days(),
            BIRTH_END.to_days() - FIRST_BIRTH.to_days(),
        ),
    };
    let day = draw.below(BIRTH, usize::try_from(days).unwrap_or(0));
    Civil::of_days(first + i64::try_from(day).unwrap_or(0))
}

/// Bits by which the birth dates of two persons differ.
pub(crate) fn birth_bits(year_is_kept: bool) -> u32 {
    if year_is_kept { 8 } else { 14 }
}

/// The division. It depends on the kept digits alone, not on a kept birth year, so that it is the
/// same wherever it is written; its code was in use in the year that was drawn.
pub(crate) fn division<'a>(
    draw: &Draw,
    divisions: &'a Divisions,
    kept: Option<(u32, Level)>,
) -> Option<&'a Division> {
    divisions.draw(draw, DIVISION, kept, Some(birth(draw, None).year))
}

/// The code of the division; a kept district stays as it is, were it one that no longer exists.
pub(crate) fn division_code(
    draw: &Draw,
    divisions: &Divisions,
    kept: Option<(u32, Level)>,
) -> Option<u32> {
    match kept {
        Some((code, Level::District)) => divisions.has_province(code).then_some(code),
        kept => Some(division(draw, divisions, kept)?.code),
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
    use super::*;

    #[test]
    fn births_cover_their_range_and_keep_a_kept_year() {
        let mut years = std::collections::BTreeSet::new();
        for seed in 0..4_000 {
            let draw = Draw::of_seed(seed);
            years.insert(birth(&draw, None).year);
            assert_eq!(birth(&draw, Some(2024)).year, 2024);
        }
        assert_eq!((years.first(), years.last()), (Some(&1945), Some(&2005)));
        assert_eq!(years.len(), 61);
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
            let (sex, birth) = (sex(&draw, None), birth(&draw, None));
            let drawn = resident_number(&draw, 330_106, birth, sex, None);
            assert_eq!((drawn.sex(), drawn.birth), (sex, birth));
            assert!((1..=999).contains(&drawn.sequence));
            let anew = resident_number(&draw, 330_106, birth, sex, Some(drawn));
            assert!(anew != drawn && anew.sex() == sex && (1..=999).contains(&anew.sequence));
        }
    }

    #[test]
    fn a_kept_district_may_be_one_that_no_longer_exists() {
        let (draw, divisions) = (Draw::of_seed(1), Divisions::new());
        let code = |code, level| division_code(&draw, &divisions, Some((code, level)));
        assert_eq!(code(330_104, Level::District), Some(330_104));
        assert_eq!(
            code(330_104, Level::City).map(|code| code / 100),
            Some(3_301)
        );
        assert_eq!(code(990_104, Level::District), None);
    }
}
