//! Vehicle plates of the mainland (GA 36): province, issuing authority, serial.
//!
//! A serial of five has at most two letters; those of new energy vehicles have six characters: `D`
//! or `F` first for small ones and last for large ones, and digits. I and O don't occur.

use super::draw::{Draw, another};

/// Provinces by their character, and the letters of their authorities that are certainly used:
/// those of whole cities in PyPI's `pyunit-plate` 2020.6.17 (MIT licence), without the letters of
/// single offices and of cars that may not be driven everywhere.
pub(crate) const PROVINCES: [(&str, &str); 31] = [
    ("京", "ABCEFGHJKLMNPQ"),
    ("津", "ABCDEFGHJKLMNQR"),
    ("冀", "ABCDEFGHJRT"),
    ("晋", "ABCDEFHJKLM"),
    ("蒙", "ABCDEFGHJKLM"),
    ("辽", "ABCDEFGHJKLMNP"),
    ("吉", "ABCDEFGHJ"),
    ("黑", "ABCDEFGHJKLMNPR"),
    ("沪", "ABCDEFGHJKLMN"),
    ("苏", "ABCDEFGHJKLMN"),
    ("浙", "ABCDEFGHJKL"),
    ("皖", "ABCDEFGHJKLMNPRS"),
    ("闽", "ABCDEFGHJK"),
    ("赣", "ABCDEFGHJKLM"),
    ("鲁", "ABCDEFGHJKLMNPQRSUVY"),
    ("豫", "ABCDEFGHJKLMNPQRSU"),
    ("鄂", "ABCDEFGHJKLMNPQRS"),
    ("湘", "ABCDEFGHJKLMNU"),
    ("粤", "ABCDEFGHJKLMNPQRSTUVWXY"),
    ("桂", "ABCDEFGHJKLMNPR"),
    ("琼", "ABCDEF"),
    ("渝", "ABCDFGH"),
    ("川", "ABCDEFHJKLMQRSTUVWXYZ"),
    ("贵", "ABCDEFGHJ"),
    ("云", "ACDEFGHJKLMNPQRS"),
    ("藏", "ABCDEFG"),
    ("陕", "ABCDEFGHJKV"),
    ("甘", "ABCDEFGHJKLMNP"),
    ("青", "ABCDEFGH"),
    ("宁", "ABCDE"),
    ("新", "ABCDEFGHJKLMNPQR"),
];

/// Letters of a serial.
const LETTERS: &[u8; 24] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Serials of five with no, one and two letters.
const DIGITS_ONLY: u64 = 100_000;
const ONE_LETTER: u64 = 5 * 24 * 10_000;
const TWO_LETTERS: u64 = 10 * 24 * 24 * 1_000;

/// The serials of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Five characters.
    Ordinary,
    /// Six characters, the first a letter.
    SmallElectric,
    /// Six characters, the last a letter.
    LargeElectric,
}

/// What a plate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plate<'a> {
    /// The province's character.
    pub(crate) province: &'a str,
    /// The authority's letter.
    pub(crate) authority: u8,
    /// Kind of serial.
    pub(crate) class: Class,
}

/// Reads a plate without separators; none for other text.
pub(crate) fn read(text: &str) -> Option<Plate<'_>> {
    let character = text.chars().next()?;
    let (province, rest) = text.split_at_checked(character.len_utf8())?;
    PROVINCES.iter().find(|(own, _)| *own == province)?;
    let (authority, rest) = rest.split_at_checked(1)?;
    let authority = *authority.as_bytes().first()?;
    if !LETTERS.contains(&authority) && authority != b'O' {
        return None;
    }
    let serial = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || LETTERS.contains(&byte))
    };
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_uppercase);
    let class = match rest.chars().count() {
        5 => {
            let main =
                rest.trim_end_matches(['学', '警', '挂', '港', '澳', '领', '使', '试', '超']);
            (matches!(main.len(), 4 | 5) && serial(main)).then_some(Class::Ordinary)
        }
        6 if serial(rest) && is_letter(rest.as_bytes().first()) => Some(Class::SmallElectric),
        6 if serial(rest) && is_letter(rest.as_bytes().last()) => Some(Class::LargeElectric),
        _ => None,
    };
    Some(Plate {
        province,
        authority,
        class: class?,
    })
}

/// Appends a plate other than `original`, of its class, with its province and authority as far as
/// they are kept.
pub(crate) fn write(
    draw: &Draw,
    plate: &Plate<'_>,
    (keeps_province, keeps_authority): (bool, bool),
    original: &str,
    out: &mut Vec<u8>,
) -> Option<()> {
    let (province, authorities) = if keeps_province {
        PROVINCES.iter().find(|(own, _)| *own == plate.province)?
    } else {
        PROVINCES.get(draw.below(0, PROVINCES.len()))?
    };
    let drawn = *authorities
        .as_bytes()
        .get(draw.below(1, authorities.len()))?;
    let authority = if keeps_authority {
        plate.authority
    } else {
        drawn
    };
    let count = match plate.class {
        Class::Ordinary => DIGITS_ONLY + ONE_LETTER + TWO_LETTERS,
        Class::SmallElectric => 2 * 24 * 10_000 + 2 * 100_000,
        Class::LargeElectric => 2 * 100_000,
    };
    let chosen = draw.below_wide(2, count);
    let start = out.len();
    let mut put = |chosen: u64| {
        out.truncate(start);
        out.extend_from_slice(province.as_bytes());
        out.push(authority);
        match plate.class {
            Class::Ordinary => ordinary(chosen, out),
            Class::SmallElectric => small_electric(chosen, out),
            Class::LargeElectric => {
                digits(chosen / 2, 5, out);
                out.push(if chosen.is_multiple_of(2) { b'D' } else { b'F' });
            }
        }
        out.get(start..) == Some(original.as_bytes())
    };
    if put(chosen) {
        put(another(chosen, count, draw));
    }
    Some(())
}

fn digits(number: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    super::resident_id::write_digits(out.get_mut(start..).unwrap_or_default(), number);
}

fn letter(place: u64) -> u8 {
    let place = usize::try_from(place % 24).unwrap_or(0);
    LETTERS.get(place).copied().unwrap_or(b'A')
}

/// The serial of that number: first those of digits, then those with one letter, then with two.
fn ordinary(chosen: u64, out: &mut Vec<u8>) {
    let Some(rest) = chosen.checked_sub(DIGITS_ONLY) else {
        return digits(chosen, 5, out);
    };
    let Some(pairs) = rest.checked_sub(ONE_LETTER) else {
        let (place, rest) = (usize::try_from(rest / 240_000).unwrap_or(0), rest % 240_000);
        return placed(&[(place, letter(rest / 10_000))], rest % 10_000, out);
    };
    const PAIRS: [(usize, usize); 10] = [
        (0, 1),
        (0, 2),
        (0, 3),
        (0, 4),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
        (3, 4),
    ];
    let (pair, rest) = (pairs / 576_000, pairs % 576_000);
    let (one, two) = usize::try_from(pair)
        .ok()
        .and_then(|pair| PAIRS.get(pair))
        .copied()
        .unwrap_or((0, 1));
    let letters = rest / 1_000;
    placed(
        &[(one, letter(letters / 24)), (two, letter(letters))],
        rest % 1_000,
        out,
    );
}

/// Five places: the letters where they belong, digits in the others.
fn placed(letters: &[(usize, u8)], mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 5, b'0');
    let slots = out.get_mut(start..).unwrap_or_default();
    for (place, slot) in slots.iter_mut().enumerate().rev() {
        match letters.iter().find(|(own, _)| *own == place) {
            Some((_, letter)) => *slot = *letter,
            None => {
                *slot = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
    }
}

/// `D` or `F`, a letter or a digit, four digits.
fn small_electric(chosen: u64, out: &mut Vec<u8>) {
    out.push(if chosen.is_multiple_of(2) { b'D' } else { b'F' });
    let chosen = chosen / 2;
    match chosen.checked_sub(100_000) {
        None => digits(chosen, 5, out),
        Some(rest) => {
            out.push(letter(rest / 10_000));
            digits(rest % 10_000, 4, out);
        }
    }
}

/// Bits by which two plates of one authority differ.
pub(crate) const BITS: u32 = 17;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn plates_are_read_by_class() {
        for (text, class) in [
            ("浙A12345", Class::Ordinary),
            ("京A1B2C3", Class::Ordinary),
            ("粤Z1234港", Class::Ordinary),
            ("浙AD12345", Class::SmallElectric),
            ("浙A12345D", Class::LargeElectric),
        ] {
            assert_eq!(read(text).map(|plate| plate.class), Some(class), "{text}");
        }
        for text in [
            "浙A1234",
            "浙I12345",
            "ABC",
            "浙A12I45",
            "桂",
            "",
            "浙A1234567",
            "国A12345",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn serials_of_every_number_are_distinct_plates() {
        let mut seen = BTreeSet::new();
        let count = DIGITS_ONLY + ONE_LETTER + TWO_LETTERS;
        for chosen in (0..count)
            .step_by(997)
            .chain([count - 1, DIGITS_ONLY, DIGITS_ONLY - 1])
        {
            let mut out = "浙A".as_bytes().to_vec();
            ordinary(chosen, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(
                read(&text).map(|plate| plate.class),
                Some(Class::Ordinary),
                "{text}"
            );
            seen.insert(text);
        }
        assert!(u64::try_from(seen.len()).unwrap() >= count / 997);
        for chosen in [0, 1, 199_999, 200_000, 2 * 24 * 10_000 + 200_000 - 1] {
            let mut out = "浙A".as_bytes().to_vec();
            small_electric(chosen, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(
                read(&text).map(|plate| plate.class),
                Some(Class::SmallElectric),
                "{text}"
            );
        }
    }

    #[test]
    fn kept_parts_stay_and_a_plate_never_becomes_itself() {
        for seed in 0..1_000 {
            let draw = Draw::of_seed(seed);
            for original in ["浙A12345", "京AD12345", "川Z12345F"] {
                let plate = read(original).unwrap();
                let make = |original: &str, kept: (bool, bool)| {
                    let mut out = Vec::new();
                    write(&draw, &plate, kept, original, &mut out).unwrap();
                    String::from_utf8(out).unwrap()
                };
                let any = make(original, (false, false));
                assert_eq!(
                    read(&any).map(|plate| plate.class),
                    Some(plate.class),
                    "{any}"
                );
                assert_ne!(make(&any, (false, false)), any);
                let kept = make(original, (true, true));
                assert!(kept.starts_with(original.get(..4).unwrap()), "{kept}");
                assert_ne!(make(&kept, (true, true)), kept);
            }
        }
    }
}
