//! Check characters of numbers that people write down: the last character follows from the others,
//! so that most slips of the pen are noticed. A surrogate without the right one is refused by the
//! first form it is typed into.
//!
//! Every function takes the characters before the check character, upper case and without
//! separators, and gives `None` where a character or the length is wrong.

/// Characters of a unified social credit code in the order of their values (GB 32100-2015): no I,
/// O, S, V, Z.
pub(crate) const CREDIT_CODE_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The check character of a resident identity number (GB 11643-1999; ISO 7064 MOD 11-2) from its
/// first 17 digits.
pub(crate) fn resident_id(digits: &[u8]) -> Option<u8> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum = weighted(digits, &WEIGHTS, digit)?;
    pick(b"10X98765432", sum % 11)
}

/// The check digit of a payment card (Luhn; ISO/IEC 7812-1 annex B) from the digits before it.
pub(crate) fn luhn(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() {
        return None;
    }
    let mut sum = 0;
    for (place, byte) in digits.iter().rev().enumerate() {
        let value = digit(*byte)?;
        sum += match (place % 2, value) {
            (0, 0..=4) => value * 2,
            (0, _) => value * 2 - 9,
            _ => value,
        };
    }
    pick(b"0987654321", sum % 10)
}

/// The check character of a unified social credit code (GB 32100-2015) from its first 17
/// characters.
pub(crate) fn credit_code(characters: &[u8]) -> Option<u8> {
    const WEIGHTS: [u32; 17] = [
        1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
    ];
    let value = |byte: u8| {
        let place = CREDIT_CODE_ALPHABET.iter().position(|own| *own == byte)?;
        u32::try_from(place).ok()
    };
    let sum = weighted(characters, &WEIGHTS, value)?;
    pick(CREDIT_CODE_ALPHABET, (31 - sum % 31) % 31)
}

/// The check character of an organisation code (GB 11714-1997) from its first eight characters.
pub(crate) fn organisation_code(characters: &[u8]) -> Option<u8> {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'Z' => Some(u32::from(byte - b'A') + 10),
        _ => None,
    };
    let sum = weighted(characters, &WEIGHTS, value)?;
    pick(b"0X987654321", sum % 11)
}

fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

fn weighted(bytes: &[u8], weights: &[u32], value: impl Fn(u8) -> Option<u32>) -> Option<u32> {
    if bytes.len() != weights.len() {
        return None;
    }
    let products = bytes
        .iter()
        .zip(weights)
        .map(|(byte, weight)| Some(value(*byte)? * weight));
    products.sum()
}

fn pick(characters: &[u8], place: u32) -> Option<u8> {
    characters.get(usize::try_from(place).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(function: fn(&[u8]) -> Option<u8>, number: &str) -> bool {
        let (check, rest) = number.as_bytes().split_last().unwrap();
        function(rest) == Some(*check)
    }

    #[test]
    fn published_numbers_have_the_check_characters_they_end_in() {
        for number in ["11010519491231002X", "360426199101010071"] {
            assert!(agrees(resident_id, number), "{number}");
        }
        for number in ["490154203237518", "4111111111111111", "79927398713"] {
            assert!(agrees(luhn, number), "{number}");
        }
        assert!(agrees(credit_code, "91110000600037341L"));
        for number in ["D2143569X", "600037341"] {
            assert!(agrees(organisation_code, number), "{number}");
        }
    }

    #[test]
    fn a_slip_of_one_character_is_noticed() {
        assert!(!agrees(resident_id, "11010519491231003X"));
        assert!(!agrees(luhn, "490154203237519"));
        assert!(!agrees(credit_code, "91110000600037342L"));
        assert!(!agrees(organisation_code, "600037342"));
    }

    #[test]
    fn wrong_lengths_and_characters_have_none() {
        assert_eq!(resident_id(b"1101051949123100"), None);
        assert_eq!(resident_id(b"1101051949123100A"), None);
        assert_eq!(luhn(b""), None);
        assert_eq!(luhn(b"12 4"), None);
        assert_eq!(credit_code(b"91110000600O37341"), None);
        assert_eq!(organisation_code(b"6000373-"), None);
        assert_eq!(organisation_code(b"600037341"), None);
    }
}
