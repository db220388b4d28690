//! The shapes of identifiers: which values a hidden stretch can have.

use super::Known;
use crate::calendar::Civil;

/// Birth dates of a century.
pub(super) const DATES: u64 = 36_525;

/// Divisions of the third level in GB/T 2260, of a province and of a prefecture, about.
const REGIONS: (u64, u64, u64) = (3_000, 100, 10);

/// Identifiers whose values can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// GB 11643: region 6, birth date 8, sequence 3, check.
    ResidentId,
    /// Positions that vary independently, and by what the last one thins them out where it shows.
    Positions {
        example: &'static str,
        choices: &'static [u64],
        check: u64,
    },
}

/// A fictitious number: the example of GB 11643.
const RESIDENT_ID: &str = "11010519491231002X";

const MOBILE: &[u64] = &[1, 7, 10, 10, 10, 10, 10, 10, 10, 10, 10];
const CARD: &[u64] = &[10; 19];
const CREDIT_CODE: &[u64] = &[
    10, 5, 10, 10, 5, 10, 5, 10, 36, 36, 36, 36, 36, 36, 36, 36, 1, 1,
];
const PLATE: &[u64] = &[31, 24, 34, 34, 34, 34, 34];
const PASSPORT: &[u64] = &[3, 10, 10, 10, 10, 10, 10, 10, 10];
const LANDLINE: &[u64] = &[1, 10, 10, 10, 1, 8, 10, 10, 10, 10, 10, 10, 10];

/// The shape of a category's values.
pub(super) fn of(category: &str) -> Option<Shape> {
    let positions = |example, choices, check| Shape::Positions {
        example,
        choices,
        check,
    };
    Some(match category {
        "resident-id" | "social-security-number" | "driving-licence" => Shape::ResidentId,
        "mobile" => positions("13800138000", MOBILE, 1),
        "bank-card" => positions("6222020000000000008", CARD, 10),
        "credit-code" => positions("91110000600037341L", CREDIT_CODE, 1),
        "plate" => positions("京A12345", PLATE, 1),
        "passport" => positions("E12345678", PASSPORT, 1),
        "landline" => positions("0571-87654321", LANDLINE, 1),
        _ => return None,
    })
}

impl Shape {
    /// A value of this shape.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::ResidentId => RESIDENT_ID,
            Self::Positions { example, .. } => example,
        }
    }

    /// How many values agree with the example where it is visible, and with what is known.
    pub(super) fn count(self, visible: &[bool], known: &Known) -> u64 {
        match self {
            Self::ResidentId => resident_ids(visible, known),
            Self::Positions { choices, check, .. } => {
                let hidden = choices
                    .iter()
                    .zip(visible)
                    .filter(|(_, visible)| !**visible)
                    .map(|(choices, _)| *choices)
                    .fold(1, u64::saturating_mul);
                let shown = visible.last().copied().unwrap_or(false);
                if shown { hidden / check.max(1) } else { hidden }
            }
        }
    }
}

fn resident_ids(visible: &[bool], known: &Known) -> u64 {
    let shown = |position: usize| visible.get(position).copied().unwrap_or(false);
    let regions = match (0..6).filter(|position| !shown(*position)).count() {
        _ if known.region => 1,
        0 => 1,
        1 | 2 => REGIONS.2,
        3 | 4 => REGIONS.1,
        _ => REGIONS.0,
    };
    let dates = dates_like(visible).min(known.dates);
    let hidden = (14..17).filter(|position| !shown(*position)).count();
    let mut sequences = (0..hidden).fold(1_u64, |all, _| all * 10);
    if known.sex && !shown(16) {
        sequences /= 2;
    }
    let all = regions.saturating_mul(dates).saturating_mul(sequences);
    if shown(17) { all / 11 } else { all }
}

/// Dates of a century that agree with the example's where its digits are visible.
fn dates_like(visible: &[bool]) -> u64 {
    let example: Vec<u8> = RESIDENT_ID.bytes().skip(6).take(8).collect();
    let last = Civil {
        year: 2025,
        month: 12,
        day: 31,
    }
    .to_days();
    let days = i64::try_from(DATES).unwrap_or(0);
    let agrees = |day: i64| {
        let Civil { year, month, day } = Civil::of_days(day);
        let digits = format!("{year:04}{month:02}{day:02}");
        digits
            .bytes()
            .zip(&example)
            .zip(visible.iter().skip(6))
            .all(|((digit, example), visible)| !visible || digit == *example)
    };
    let found = (0..days).filter(|back| agrees(last - back)).count();
    u64::try_from(found).unwrap_or(DATES)
}
