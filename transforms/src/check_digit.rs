//! Check characters of identifiers, from the standards that define them.
//!
//! A treatment that changes digits of an identifier has to compute its check character anew, and
//! one that expects an identifier has to tell a valid one from a mistyped one. Both follow from
//! the same few lines for each standard, so they stand here once. Everything works on ASCII bytes;
//! a byte that the standard doesn't know makes the whole check absent, never wrong.

/// The value of an ASCII digit.
pub(crate) fn digit(byte: u8) -> Option<u32> {
    let value = byte.wrapping_sub(b'0');
    (value <= 9).then_some(u32::from(value))
}

/// Resident identity numbers (GB 11643, ISO 7064 MOD 11-2).
pub(crate) mod resident_id {
    /// Weights of the first 17 digits: 2^(17-i) mod 11.
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

    /// Check characters by the weighted sum modulo 11.
    const CHECKS: [u8; 11] = *b"10X98765432";

    /// The check character of the first 17 digits; none if one of them isn't a digit,
    /// or there are more or fewer.
    pub(crate) fn check(first: &[u8]) -> Option<u8> {
        let sum = super::weighted(first, &WEIGHTS, super::digit)?;
        super::pick(&CHECKS, sum % 11)
    }

    /// Whether a number is 17 digits and their check character, `X` in upper case.
    pub(crate) fn is_valid(number: &[u8]) -> bool {
        number
            .split_first_chunk::<17>()
            .is_some_and(|(first, last)| check(first).is_some_and(|check| last == [check]))
    }

    /// The 18-character form of a number of the first generation: 15 digits, without century and
    /// check character. Nobody but those born from 1900 on got one.
    pub(crate) fn upgrade(old: &[u8; 15]) -> Option<[u8; 18]> {
        let (region, rest) = old.split_first_chunk::<6>()?;
        let mut first = [0; 17];
        let parts = region.iter().chain(b"19").chain(rest);
        for (place, byte) in first.iter_mut().zip(parts) {
            *place = *byte;
        }
        let mut number = [check(&first)?; 18];
        for (place, byte) in number.iter_mut().zip(first) {
            *place = byte;
        }
        Some(number)
    }
}

/// Numbers checked by the Luhn formula (ISO/IEC 7812-1): bank cards, IMEI.
pub(crate) mod luhn {
    /// The digit that completes `payload`; none if a byte isn't a digit.
    pub(crate) fn check(payload: &[u8]) -> Option<u8> {
        let mut sum = 0;
        let mut doubled = true;
        for byte in payload.iter().rev() {
            let value = super::digit(*byte)?;
            sum += match (doubled, value) {
                (false, value) => value,
                (true, 0..=4) => value * 2,
                (true, value) => value * 2 - 9,
            };
            doubled = !doubled;
        }
        super::pick(b"0987654321", sum % 10)
    }

    /// Whether a number is digits and their check digit.
    pub(crate) fn is_valid(number: &[u8]) -> bool {
        number
            .split_last()
            .is_some_and(|(last, payload)| check(payload) == Some(*last))
    }
}

/// Organisation codes (GB 11714).
pub(crate) mod organisation_code {
    /// Weights of the eight characters.
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

    /// Check characters by the weighted sum modulo 11.
    const CHECKS: [u8; 11] = *b"0X987654321";

    /// The check character of the first eight; none if one is no digit or upper-case letter, or
    /// there are more or fewer.
    pub(crate) fn check(first: &[u8]) -> Option<u8> {
        let value = |byte: u8| match byte {
            b'A'..=b'Z' => Some(u32::from(byte - b'A') + 10),
            _ => super::digit(byte),
        };
        let sum = super::weighted(first, &WEIGHTS, value)?;
        super::pick(&CHECKS, sum % 11)
    }
}

/// Unified social credit codes (GB 32100).
pub(crate) mod credit_code {
    use super::organisation_code;

    /// The characters of a code, in the order of their values 0 to 30: without I, O, S, V and Z.
    pub(crate) const ALPHABET: [u8; 31] = *b"0123456789ABCDEFGHJKLMNPQRTUWXY";

    /// Weights of the first 17 characters: 3^i mod 31.
    const WEIGHTS: [u32; 17] = [
        1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
    ];

    /// The value of a character, from 0 to 30.
    pub(crate) fn value(byte: u8) -> Option<u32> {
        let letter = |first: u8, value: u32| Some(u32::from(byte.wrapping_sub(first)) + value);
        match byte {
            b'A'..=b'H' => letter(b'A', 10),
            b'J'..=b'N' => letter(b'J', 18),
            b'P'..=b'R' => letter(b'P', 23),
            b'T' | b'U' => letter(b'T', 26),
            b'W'..=b'Y' => letter(b'W', 28),
            _ => super::digit(byte),
        }
    }

    /// The check character of the first 17; none if one isn't of the alphabet, or there are more or
    /// fewer.
    pub(crate) fn check(first: &[u8]) -> Option<u8> {
        let sum = super::weighted(first, &WEIGHTS, value)?;
        super::pick(&ALPHABET, (31 - sum % 31) % 31)
    }

    /// Whether a code is 18 characters whose last checks the others, and whose characters 9 to 17
    /// are an organisation code that checks too.
    pub(crate) fn is_valid(code: &[u8]) -> bool {
        let Some((first, last)) = code.split_first_chunk::<17>() else {
            return false;
        };
        let Some((organisation, own)) = first.get(8..).and_then(<[u8]>::split_first_chunk::<8>)
        else {
            return false;
        };
        check(first).is_some_and(|check| last == [check])
            && organisation_code::check(organisation).is_some_and(|check| own == [check])
    }
}

/// Vehicle identification numbers (GB 16735, as ISO 3779 and North American rules have it).
pub(crate) mod vin {
    /// The characters of a number: without I, O and Q.
    pub(crate) const ALPHABET: [u8; 33] = *b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ";

    /// Weights of the seventeen characters; the check character's own is nothing.
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

    /// The value of a character, from 0 to 9.
    fn value(byte: u8) -> Option<u32> {
        let letter = |first: u8, value: u32| Some(u32::from(byte.wrapping_sub(first)) + value);
        match byte {
            b'A'..=b'H' => letter(b'A', 1),
            b'J'..=b'N' => letter(b'J', 1),
            b'P' => Some(7),
            b'R' => Some(9),
            b'S'..=b'Z' => letter(b'S', 2),
            _ => super::digit(byte),
        }
    }

    /// The check character, the ninth, of a number, whatever stands there; none if a character
    /// isn't of the alphabet, or there are more or fewer than seventeen.
    pub(crate) fn check(number: &[u8]) -> Option<u8> {
        let sum = super::weighted(number, &WEIGHTS, value)?;
        super::pick(b"0123456789X", sum % 11)
    }

    /// Whether a number is seventeen characters of the alphabet, and its check character right.
    #[cfg(test)]
    pub(crate) fn is_valid(number: &[u8]) -> bool {
        check(number).is_some_and(|check| number.get(8) == Some(&check))
    }
}

/// The weighted sum of characters; none if one has no value, or there are more or fewer than weights.
fn weighted(bytes: &[u8], weights: &[u32], value: impl Fn(u8) -> Option<u32>) -> Option<u32> {
    if bytes.len() != weights.len() {
        return None;
    }
    let products = bytes.iter().zip(weights);
    products
        .map(|(byte, weight)| Some(value(*byte)? * weight))
        .sum()
}

/// The character a remainder stands for.
fn pick(characters: &[u8], remainder: u32) -> Option<u8> {
    characters.get(usize::try_from(remainder).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_resident_numbers_are_valid() {
        assert!(resident_id::is_valid(b"11010519491231002X"));
        assert!(resident_id::is_valid(b"360426199101010071"));
        for wrong in [
            b"11010519491231002x".as_slice(),
            b"110105194912310021",
            b"11010519491231002",
            b"11010519491231002XX",
            b"1101051949123100 X",
            b"",
        ] {
            assert!(!resident_id::is_valid(wrong));
        }
    }

    #[test]
    fn a_number_of_15_digits_is_upgraded() {
        let upgraded = resident_id::upgrade(b"110105491231002").unwrap();
        assert_eq!(&upgraded, b"11010519491231002X");
        assert!(resident_id::upgrade(b"11010549123100X").is_none());
    }

    #[test]
    fn published_card_and_device_numbers_are_valid() {
        assert!(luhn::is_valid(b"490154203237518"));
        assert!(luhn::is_valid(b"79927398713"));
        assert!(luhn::is_valid(b"4111111111111111"));
        assert!(!luhn::is_valid(b"490154203237519"));
        assert!(!luhn::is_valid(b"49015420323751a") && !luhn::is_valid(b""));
    }

    #[test]
    fn published_organisation_codes_are_valid() {
        assert_eq!(organisation_code::check(b"D2143569"), Some(b'X'));
        assert_eq!(organisation_code::check(b"60003734"), Some(b'1'));
        assert_eq!(organisation_code::check(b"6000373-"), None);
        assert_eq!(organisation_code::check(b"600037341"), None);
    }

    #[test]
    fn a_published_credit_code_is_valid() {
        assert!(credit_code::is_valid(b"91110000600037341L"));
        assert!(!credit_code::is_valid(b"91110000600037341M"));
        assert!(!credit_code::is_valid(b"91110000600037341l"));
        // The outer check holds, the inner one does not.
        let mut code = *b"911100006000373420";
        let first: &[u8; 17] = code.first_chunk().unwrap();
        code[17] = credit_code::check(first).unwrap();
        assert!(!credit_code::is_valid(&code));
    }

    #[test]
    fn a_credit_code_may_begin_with_a_letter() {
        let mut code = *b"N2110000600037341 ";
        let first: &[u8; 17] = code.first_chunk().unwrap();
        code[17] = credit_code::check(first).unwrap();
        assert!(credit_code::is_valid(&code));
    }

    #[test]
    fn values_of_credit_characters_follow_the_alphabet() {
        for (value, byte) in credit_code::ALPHABET.iter().enumerate() {
            assert_eq!(credit_code::value(*byte), u32::try_from(value).ok());
        }
        let known = (0..=u8::MAX).filter(|byte| credit_code::value(*byte).is_some());
        assert_eq!(known.count(), 31);
    }

    #[test]
    fn a_published_vehicle_number_is_valid() {
        assert!(vin::is_valid(b"1M8GDM9AXKP042788"));
        assert!(vin::is_valid(b"11111111111111111"));
        assert!(!vin::is_valid(b"1M8GDM9A1KP042788") && !vin::is_valid(b"1M8GDM9AXKP04278"));
        let known = (0..=u8::MAX).filter(|byte| vin::check(&[*byte; 17]).is_some());
        assert!(known.eq(vin::ALPHABET));
    }

    #[test]
    fn every_single_wrong_digit_is_found() {
        for place in 0..17 {
            let mut number = *b"11010519491231002X";
            number[place] = b'0' + (number[place] - b'0' + 1) % 10;
            assert!(!resident_id::is_valid(&number));
        }
        for place in 0..15 {
            let mut number = *b"490154203237518";
            number[place] = b'0' + (number[place] - b'0' + 1) % 10;
            assert!(!luhn::is_valid(&number));
        }
    }
}
