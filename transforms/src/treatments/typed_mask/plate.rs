//! Vehicle plates: their form, and how they are masked.

use super::forms::Shown;
use crate::error::Case;
use crate::fill::Filler;
use crate::text::Output;

/// Bytes of a Han character.
const WIDE: usize = 3;

/// The characters of the provinces. All are from U+4E00 to U+9FFF.
#[rustfmt::skip]
const PROVINCES: [char; 31] = [
    '京', '津', '沪', '渝', '冀', '豫', '云', '辽', '黑', '湘', '皖', '鲁', '新', '苏', '浙', '赣', '鄂', '桂', '甘', '晋',
    '蒙', '陕', '吉', '闽', '贵', '粤', '青', '藏', '川', '宁', '琼',
];

/// The first of the characters that [`IS_PROVINCE`] has a bit for, 64 in each word.
const FIRST: u32 = 0x4E00;

/// Which characters stand for a province: told without a branch, because columns hold them all.
static IS_PROVINCE: [u64; 0x5200 / 64] = provinces();

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
const fn provinces() -> [u64; 0x5200 / 64] {
    let mut bits = [0; 0x5200 / 64];
    let mut at = 0;
    while at < PROVINCES.len() {
        let place = PROVINCES[at] as u32 - FIRST;
        bits[(place / 64) as usize] |= 1 << (place % 64);
        at += 1;
    }
    bits
}

/// Whether three bytes, of which the first begins a character, are one that stands for a province.
#[inline]
fn is_province([lead, second, third]: [u8; WIDE]) -> bool {
    let low = |byte: u8| u32::from(byte & 0x3F);
    let code = u32::from(lead & 0xF) << 12 | low(second) << 6 | low(third);
    let Some(place) = code.checked_sub(FIRST).filter(|_| lead >= 0xE0) else {
        return false;
    };
    let word = usize::try_from(place / 64)
        .ok()
        .and_then(|at| IS_PROVINCE.get(at));
    word.is_some_and(|word| word >> (place % 64) & 1 == 1)
}

/// What a byte can be on a plate, as bits.
static SIGNS: [u8; 256] = signs();

const DIGIT: u8 = 1;
/// A letter that plates have: no I and no O.
const LETTER: u8 = 2;
/// A letter that says what a car of new energy runs by: one of those up to K.
const POWER: u8 = 4;
/// A digit or a letter.
const PLAIN: u8 = 8;

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
const fn signs() -> [u8; 256] {
    let mut signs = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        signs[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT | PLAIN,
            b'I' | b'O' => 0,
            b'A'..=b'K' => LETTER | POWER | PLAIN,
            b'L'..=b'Z' => LETTER | PLAIN,
            _ => 0,
        };
        byte += 1;
    }
    signs
}

/// Whether all bytes are of a kind.
#[inline]
fn all(bytes: &[u8], kind: u8) -> bool {
    let sign = |byte: &u8| SIGNS.get(usize::from(*byte)).copied().unwrap_or(0);
    bytes.iter().fold(kind, |kind, byte| kind & sign(byte)) != 0
}

/// Whether text is a plate: the province's character, a letter, five or six more, no I and no O. Of
/// five the last may be a character for a special use.
#[inline]
pub(super) fn is_valid(text: &str) -> bool {
    let Some((province, [letter, rest @ ..])) = text.as_bytes().split_first_chunk() else {
        return false;
    };
    let is_form = match rest.len() {
        5 => all(rest, PLAIN),
        6 => is_new_energy(rest),
        _ => rest
            .split_first_chunk::<4>()
            .is_some_and(|(four, last)| all(four, PLAIN) && is_use(last)),
    };
    is_form && all(&[*letter], LETTER) && is_province(*province)
}

/// Six characters after the letter: A to K, one more and four digits (small), or five digits and A
/// to K (large).
fn is_new_energy(six: &[u8]) -> bool {
    match six {
        [power, one, digits @ ..] if all(&[*power], POWER) => {
            all(&[*one], PLAIN) && all(digits, DIGIT)
        }
        [digits @ .., power] => all(digits, DIGIT) && all(&[*power], POWER),
        [] => false,
    }
}

/// Whether this is the character of a special use.
fn is_use(last: &[u8]) -> bool {
    let uses = ["学", "警", "港", "澳", "挂", "领", "使"];
    uses.iter().any(|own| own.as_bytes() == last)
}

/// Writes the ends of a plate, and fills between them.
#[inline]
pub(super) fn mask_ends(
    plate: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    // All characters are of one byte, but for the first and, of a special use, the last.
    let is_special = !plate.as_bytes().last().is_some_and(u8::is_ascii);
    let more = |is_wide: bool| if is_wide { WIDE - 1 } else { 0 };
    let characters = plate.len() - more(true) - more(is_special);
    let head = shown.first + more(shown.first > 0);
    let tail = plate.len() - shown.last - more(is_special && shown.last > 0);
    filler.write_over(
        plate,
        head,
        tail,
        characters - shown.first - shown.last,
        out,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_of_the_provinces_are_told_from_all_others() {
        for character in '\u{800}'..='\u{FFFF}' {
            let mut bytes = [0; WIDE];
            character.encode_utf8(&mut bytes);
            let is_one = PROVINCES.contains(&character);
            assert_eq!(is_province(bytes), is_one, "{character:?}");
        }
        for other in [*b"abc", *b"ABC", [0xC2, 0xB7, b'A'], [0xF0, 0xA0, 0xAE]] {
            assert!(!is_province(other));
        }
        for text in ["京A12345", "𠮷A12345", "·A12345", "AA12345"] {
            assert_eq!(is_valid(text), text.starts_with('京'), "{text}");
        }
    }
}
