//! Check characters of the identifiers that are generated, from the standards that define them.

use super::text::decimal_digits;

/// Characters of a unified social credit code (GB 32100), in the order of their values 0 to 30.
pub(super) const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// Weights of the first 17 characters of a resident identity number (GB 11643).
const RESIDENT_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// Weights of the first 17 characters of a unified social credit code: 3^i mod 31.
const CREDIT_WEIGHTS: [u32; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];

/// Weights of the eight characters of an organisation code (GB 11714).
const ORGANISATION_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

/// A resident identity number with its check character (ISO 7064 MOD 11-2).
///
/// `region` has six digits, `date` is `YYYYMMDD`, `sequence` has three digits, odd for men.
pub(super) fn resident(region: u32, date: u32, sequence: u32) -> [u8; 18] {
    let mut id = [b'0'; 18];
    let digits = digits_of(region, 6)
        .chain(digits_of(date, 8))
        .chain(digits_of(sequence, 3));
    let mut sum = 0;
    for ((place, digit), weight) in id.iter_mut().zip(digits).zip(RESIDENT_WEIGHTS) {
        *place = digit;
        sum += u32::from(digit - b'0') * weight;
    }
    id[17] = match sum % 11 {
        0 => b'1',
        1 => b'0',
        2 => b'X',
        other => b'0' + byte(12 - other),
    };
    id
}

/// A unified social credit code: kind of body (two characters), division code, organisation code
/// (eight characters), the organisation code's own check character, and the code's.
pub(super) fn credit_code(kind: [u8; 2], region: u32, organisation: [u8; 8]) -> [u8; 18] {
    let mut code = [b'0'; 18];
    let check = [organisation_check(organisation)];
    let characters = kind
        .into_iter()
        .chain(digits_of(region, 6))
        .chain(organisation)
        .chain(check);
    let mut sum = 0;
    for ((place, character), weight) in code.iter_mut().zip(characters).zip(CREDIT_WEIGHTS) {
        *place = character;
        sum += credit_value(character) * weight;
    }
    let check = (31 - sum % 31) % 31;
    code[17] = CREDIT_ALPHABET.get(index(check)).copied().unwrap_or(b'0');
    code
}

/// Check character of an organisation code (GB 11714).
fn organisation_check(code: [u8; 8]) -> u8 {
    let value = |character: u8| match character {
        b'A'..=b'Z' => u32::from(character - b'A') + 10,
        digit => u32::from(digit.saturating_sub(b'0')),
    };
    let sum: u32 = code
        .iter()
        .zip(ORGANISATION_WEIGHTS)
        .map(|(&c, w)| value(c) * w)
        .sum();
    match 11 - sum % 11 {
        10 => b'X',
        11 => b'0',
        digit => b'0' + byte(digit),
    }
}

/// The digit that makes `digits` pass the Luhn test when it is put behind them, in ASCII.
pub(super) fn luhn(digits: &[u8]) -> u8 {
    let mut sum = 0;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let value = u32::from(digit.saturating_sub(b'0'));
        let doubled = if place % 2 == 0 { value * 2 } else { value };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
    }
    b'0' + byte((10 - sum % 10) % 10)
}

/// Value of a character of a credit code; letters that the alphabet leaves out have none.
fn credit_value(character: u8) -> u32 {
    let skipped = [b'I', b'O', b'S', b'V', b'Z']
        .iter()
        .filter(|&&out| out < character)
        .count();
    match character {
        b'A'..=b'Z' => u32::from(character - b'A') + 10 - u32::try_from(skipped).unwrap_or(0),
        digit => u32::from(digit.saturating_sub(b'0')),
    }
}

/// The last `width` digits of a number, in ASCII.
fn digits_of(number: u32, width: usize) -> impl Iterator<Item = u8> {
    decimal_digits(number)
        .into_iter()
        .skip(10_usize.saturating_sub(width))
}

fn byte(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_resident_numbers_come_out() {
        assert_eq!(&resident(110_105, 19_491_231, 2), b"11010519491231002X");
        assert_eq!(&resident(360_426, 19_910_101, 7), b"360426199101010071");
    }

    #[test]
    fn a_published_credit_code_comes_out() {
        assert_eq!(
            &credit_code(*b"91", 110_000, *b"60003734"),
            b"91110000600037341L"
        );
        assert_eq!(organisation_check(*b"D2143569"), b'X');
    }

    #[test]
    fn a_published_card_number_comes_out() {
        assert_eq!(luhn(b"49015420323751"), b'8');
    }
}
