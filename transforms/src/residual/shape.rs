//! The shapes of identifiers: which values a hidden stretch can have.

use std::collections::BTreeMap;

use super::known::Known;
use crate::check_digit;

/// Digits of a resident number, the check digit among them.
pub(super) const RESIDENT_DIGITS: usize = 18;

/// Where the birth date begins in it, after the division.
pub(super) const BIRTH_BEGINS: usize = 6;

/// How many regions fit where all six digits are hidden, where the first two show, the first four.
type Regions = (u64, u64, u64);

/// Divisions of the third level in GB/T 2260, of a province and of a prefecture, about.
const REGIONS: Regions = (3_000, 100, 10);

/// 81, 82 and 83, with four zeros: people from Hong Kong, Macao and Taiwan.
const RESIDENCE: Regions = (3, 1, 1);

/// The province that issued it and the country it names, of which few are frequent.
const PERMANENT: Regions = (100, 10, 1);

/// Identifiers whose values can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// GB 11643: region 6, birth date 8, sequence 3, check; with what stands before and after the
    /// number in identifiers that hold it.
    ResidentId {
        example: &'static str,
        before: &'static [u64],
        after: &'static [u64],
        regions: Regions,
    },
    /// Positions that vary independently, and by what the last one thins them out where it shows.
    Positions {
        example: &'static str,
        choices: &'static [u64],
        check: Check,
    },
}

/// The check digit at the end of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// There is none.
    None,
    /// Luhn.
    Luhn,
    /// GB 32100.
    CreditCode,
    /// At this position, of one digit or sign in so many; it isn't computed here.
    At(usize, u64),
}

/// A number that differs from the example in one position, or in a second one too, so that its
/// check digit is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variant {
    /// The position.
    pub(super) position: usize,
    /// Whether it differs there alone.
    pub(super) is_alone: bool,
    /// The number.
    pub(super) text: String,
}

/// A fictitious number: the example of GB 11643.
const RESIDENT_ID: &str = "11010519491231002X";

const MOBILE: &[u64] = &[1, 7, 10, 10, 10, 10, 10, 10, 10, 10, 10];
const CARD: &[u64] = &[
    10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 1,
];
const CREDIT_CODE: &[u64] = &[
    10, 5, 10, 10, 5, 10, 5, 10, 36, 36, 36, 36, 36, 36, 36, 36, 1, 1,
];
const PLATE: &[u64] = &[31, 24, 34, 34, 34, 34, 34];
const PASSPORT: &[u64] = &[3, 10, 10, 10, 10, 10, 10, 10, 10];
const LANDLINE: &[u64] = &[1, 10, 10, 10, 1, 8, 10, 10, 10, 10, 10, 10, 10];
const PERMIT: &[u64] = &[3, 10, 10, 10, 10, 10, 10, 10, 10];
const ORGANISATION: &[u64] = &[10, 10, 10, 10, 10, 10, 10, 10, 1];
/// Six digits of a division, of which there are some 3,000, a number, a check digit.
const BUSINESS: &[u64] = &[3, 10, 2, 5, 2, 5, 10, 10, 10, 10, 10, 10, 10, 10, 1];
/// Maker, model, check digit, year, plant, serial number.
const VIN: &[u64] = &[
    3, 10, 10, 10, 10, 10, 10, 10, 1, 10, 10, 10, 10, 10, 10, 10, 10,
];
/// Eight digits of a model, of which some 10^5 are in use, a serial number, a check digit.
const IMEI: &[u64] = &[2, 10, 10, 10, 10, 5, 1, 1, 10, 10, 10, 10, 10, 10, 1];
/// Four numbers below 256.
const ADDRESS_V4: &[u64] = &[2, 10, 10, 1, 2, 10, 10, 1, 2, 10, 10, 1, 2, 10, 10];

/// The shape of a category's values.
pub(super) fn of(category: &str) -> Option<Shape> {
    let positions = |example, choices, check| Shape::Positions {
        example,
        choices,
        check,
    };
    let resident = |example, before, after, regions| Shape::ResidentId {
        example,
        before,
        after,
        regions,
    };
    Some(match category {
        "resident-id" | "social-security-number" | "driving-licence" | "taxpayer-number" => {
            resident(RESIDENT_ID, &[], &[], REGIONS)
        }
        "residence-permit" => resident("810000194912310028", &[], &[], RESIDENCE),
        "permanent-residence-id" => resident("911124194912310029", &[], &[], PERMANENT),
        // A letter before the number; category and grade of the disability after it.
        "student-number" => resident("G11010519491231002X", &[3], &[], REGIONS),
        "disability-number" => resident("11010519491231002X43", &[], &[7, 4], REGIONS),
        "mobile" => positions("13800138000", MOBILE, Check::None),
        "bank-card" => positions("6222020000000000000", CARD, Check::Luhn),
        "credit-code" => positions("91110000600037341L", CREDIT_CODE, Check::CreditCode),
        "plate" => positions("京A12345", PLATE, Check::None),
        "passport" => positions("E12345678", PASSPORT, Check::None),
        "landline" => positions("0571-87654321", LANDLINE, Check::None),
        "travel-permit" => positions("C12345678", PERMIT, Check::None),
        "organisation-code" => positions("D2143569X", ORGANISATION, Check::At(8, 11)),
        "business-number" => positions("110108000000016", BUSINESS, Check::At(14, 10)),
        "vin" => positions("LSVAA418262123456", VIN, Check::At(8, 11)),
        "imei" => positions("490154203237518", IMEI, Check::Luhn),
        "ip-address" => positions("123.123.123.123", ADDRESS_V4, Check::None),
        _ => return None,
    })
}

impl Shape {
    /// A value of this shape.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::ResidentId { example, .. } | Self::Positions { example, .. } => example,
        }
    }

    /// Where the resident number begins, in identifiers that hold one.
    pub(super) fn resident(self) -> Option<usize> {
        match self {
            Self::ResidentId { before, .. } => Some(before.len()),
            Self::Positions { .. } => None,
        }
    }

    /// How many values agree with the example where it is visible, and with what is known.
    pub(super) fn count(self, visible: &[bool], known: &Known<'_>) -> u64 {
        let shown = |position: usize| {
            let of = |positions: &[bool]| positions.get(position).copied().unwrap_or(false);
            of(visible) || of(&known.positions)
        };
        let hidden = |from: usize, choices: &[u64]| {
            let choices = choices.iter().enumerate();
            choices
                .filter(|(place, _)| !shown(from + place))
                .map(|(_, choices)| *choices)
                .fold(1, u64::saturating_mul)
        };
        match self {
            Self::ResidentId {
                before,
                after,
                regions,
                ..
            } => {
                let start = before.len();
                let end = start + RESIDENT_DIGITS;
                let number: Vec<bool> = (start..end).map(shown).collect();
                let around = hidden(0, before).saturating_mul(hidden(end, after));
                resident_ids(&number, regions, known)
                    .max(1)
                    .saturating_mul(around)
            }
            Self::Positions { choices, check, .. } => {
                let hidden = hidden(0, choices);
                match check {
                    Check::Luhn if shown(choices.len().saturating_sub(1)) => hidden / 10,
                    Check::At(place, by) if shown(place) => hidden / by,
                    Check::None | Check::Luhn | Check::CreditCode | Check::At(..) => hidden,
                }
            }
        }
    }

    /// Whether the check digit of a number is right.
    fn is_valid(self, number: &[u8]) -> bool {
        match self {
            Self::ResidentId { before, .. } => number
                .get(before.len()..before.len() + RESIDENT_DIGITS)
                .is_some_and(check_digit::resident_id::is_valid),
            Self::Positions { check, .. } => match check {
                Check::None | Check::At(..) => false,
                Check::Luhn => check_digit::luhn::is_valid(number),
                Check::CreditCode => check_digit::credit_code::is_valid(number),
            },
        }
    }

    /// Numbers that differ from the example: at every position every other character of its class,
    /// alone and with each second change that keeps the check digit right.
    pub(super) fn variants(self) -> Vec<Variant> {
        let example: Vec<char> = self.example().chars().collect();
        let mut variants = Vec::new();
        for (position, original) in example.iter().enumerate() {
            for character in others(*original) {
                let text: String = replaced(&example, position, character);
                let mut bytes = text.clone().into_bytes();
                variants.push(Variant {
                    position,
                    is_alone: true,
                    text,
                });
                self.add_valid(&mut bytes, position, &mut variants);
            }
        }
        variants
    }

    /// Adds the numbers with a right check digit that differ from `bytes` in one position more.
    fn add_valid(self, bytes: &mut [u8], position: usize, to: &mut Vec<Variant>) {
        if !bytes.is_ascii() {
            return;
        }
        for second in (0..bytes.len()).filter(|second| *second != position) {
            let Some(original) = bytes.get(second).copied() else {
                continue;
            };
            for other in others(char::from(original)) {
                let (Some(slot), Ok(other)) = (bytes.get_mut(second), u8::try_from(other)) else {
                    continue;
                };
                *slot = other;
                if self.is_valid(bytes) {
                    let text = bytes.iter().copied().map(char::from).collect();
                    to.push(Variant {
                        position,
                        is_alone: false,
                        text,
                    });
                }
            }
            if let Some(slot) = bytes.get_mut(second) {
                *slot = original;
            }
        }
    }
}

/// The other characters of a class: digits, some letters, some signs of provinces. The last
/// character of a resident number may be an `X`, which counts as a digit.
fn others(original: char) -> impl Iterator<Item = char> {
    let class = match original {
        '0'..='9' => "0123456789",
        'X' => "0123456789X",
        'A'..='Z' => "ADEGHJKLPQ",
        '京' => "京沪粤",
        _ => "",
    };
    class
        .chars()
        .filter(move |character| *character != original)
}

fn replaced(example: &[char], position: usize, character: char) -> String {
    let characters = example.iter().enumerate();
    characters
        .map(|(place, original)| match place == position {
            true => character,
            false => *original,
        })
        .collect()
}

fn resident_ids(visible: &[bool], regions: Regions, known: &Known<'_>) -> u64 {
    let shown = |position: usize| {
        position < known.division || visible.get(position).copied().unwrap_or(false)
    };
    let mut birth = known.birth.clone();
    birth.learn_digits(visible.iter().copied().skip(BIRTH_BEGINS));
    let hidden = (14..17).filter(|position| !shown(*position)).count();
    let mut sequences = (0..hidden).fold(1_u64, |all, _| all * 10);
    if known.sex && !shown(16) {
        sequences /= 2;
    }
    let all = regions_left(&shown, regions, known.divisions)
        .saturating_mul(birth.count())
        .saturating_mul(sequences);
    if shown(17) { all / 11 } else { all }
}

/// How many regions fit where these of their six digits show and the region is in one of these
/// divisions, or in any if there are none. Of divisions that the digits tell apart, those count
/// that leave least.
fn regions_left(
    shown: &dyn Fn(usize) -> bool,
    (all, of_province, of_prefecture): Regions,
    divisions: &[String],
) -> u64 {
    let left = |is_known: &dyn Fn(usize) -> bool| {
        let hidden = (0..BIRTH_BEGINS).filter(|position| !is_known(*position));
        match hidden.count() {
            0 => 1,
            1 | 2 => of_prefecture,
            3 | 4 => of_province,
            _ => all,
        }
    };
    let codes = divisions.iter().map(String::as_str);
    // `330100` is all of `3301`: no region has zeros at its end.
    let codes = codes.map(|code| {
        let whole = code.get(..BIRTH_BEGINS).unwrap_or(code);
        let within = whole.strip_suffix("0000");
        within.or_else(|| whole.strip_suffix("00")).unwrap_or(whole)
    });
    let mut codes: Vec<&str> = codes.collect();
    codes.sort_unstable();
    // A division within another that is there too.
    codes.dedup_by(|code, before| code.starts_with(*before));
    let mut left_by_shown: BTreeMap<String, u64> = BTreeMap::new();
    for code in codes {
        let digits = code.chars().enumerate();
        let digits = digits.filter(|(position, _)| shown(*position));
        let digits: String = digits.map(|(_, digit)| digit).collect();
        let within = left(&|position: usize| position < code.len() || shown(position));
        let sum = left_by_shown.entry(digits).or_default();
        *sum = sum.saturating_add(within);
    }
    let least = left_by_shown.into_values().min();
    left(shown).min(least.unwrap_or(u64::MAX))
}
