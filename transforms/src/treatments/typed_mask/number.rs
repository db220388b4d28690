//! Numbers and codes: shapes, check digits, and how they are masked.

use std::borrow::Cow;

use super::forms::{Of, Shown};
use super::plate;
use crate::check_digit::credit_code;
use crate::error::Case;
use crate::fill::Filler;
use crate::persona::Landline;
use crate::text::Output;
use crate::words;

/// Masks a number, if it is one: in its one spelling, to which `normalise` brings it.
pub(super) fn mask(
    of: Of,
    value: &str,
    normalise: Option<Normalise>,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    // What is valid has its one spelling already, and nearly every value has.
    if is_valid(of, value) {
        return mask_ends(of, value, shown, filler, out);
    }
    let text = normalise.map_or_else(|| value.into(), |normalise| normalise(value));
    let text = spelling(of, &text);
    if !is_valid(of, &text) {
        return Err(Case::Invalid);
    }
    mask_ends(of, &text, shown, filler, out)
}

/// Brings a value to the one spelling of its category.
pub(super) type Normalise = fn(&str) -> Cow<'_, str>;

/// Whether text is a number of a kind, in its one spelling.
#[inline]
fn is_valid(of: Of, text: &str) -> bool {
    let bytes = text.as_bytes();
    match of {
        Of::ResidentId => is_resident_id(bytes),
        Of::Mobile => is_mobile(bytes),
        Of::BankCard => is_bank_card(bytes),
        Of::CreditCode => is_credit_code(bytes),
        Of::Plate => plate::is_valid(text),
        Of::Passport => is_passport(bytes),
        Of::Permit => is_permit(bytes),
        Of::Landline | Of::PersonName | Of::Address | Of::Email | Of::Ip => false,
    }
}

/// Upper case, and plates without the dot that divides them.
fn spelling(of: Of, text: &str) -> Cow<'_, str> {
    let is_dot = |character: char| matches!(character, '·' | '•' | '.' | '‧' | '・');
    if of == Of::Plate && text.contains(is_dot) {
        return Cow::Owned(text.replace(is_dot, "").to_ascii_uppercase());
    }
    match text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => Cow::Owned(text.to_ascii_uppercase()),
        false => Cow::Borrowed(text),
    }
}

/// Writes the ends of a number and fills between them.
#[inline]
fn mask_ends(
    of: Of,
    text: &str,
    mut shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    let bytes = text.as_bytes();
    if of == Of::Plate {
        return plate::mask_ends(text, shown, filler, out);
    }
    if of == Of::ResidentId && bytes.len() == 15 {
        shown.last = shown.last.min(3);
    } else if matches!(of, Of::Passport | Of::Permit)
        && !bytes.first().is_some_and(u8::is_ascii_uppercase)
    {
        shown.first = 0;
    }
    let hidden = bytes
        .len()
        .checked_sub(shown.first + shown.last)
        .filter(|hidden| *hidden > 0)
        .ok_or(Case::Short)?;
    let tail = shown.first + hidden;
    filler.write_over(text, shown.first, tail, hidden, out)
}

fn digits(bytes: &[u8]) -> bool {
    words::all(bytes, words::not_digit)
}

/// The value of decimal digits; of few enough that it fits.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0_u32, |value, byte| {
        value
            .wrapping_mul(10)
            .wrapping_add(u32::from(byte.wrapping_sub(b'0')))
    })
}

/// GB 11643: province, birth date and, of 18 characters, the check character.
fn is_resident_id(bytes: &[u8]) -> bool {
    let (region, birth, century) = match bytes {
        [first @ .., last] if bytes.len() == 18 => {
            if !is_checked(first, *last) {
                return false;
            }
            (first.get(..6), first.get(6..14), "")
        }
        _ if bytes.len() == 15 && digits(bytes) => (bytes.get(..6), bytes.get(6..12), "19"),
        _ => return false,
    };
    let (Some(region), Some(birth)) = (region, birth) else {
        return false;
    };
    is_province(number(region.get(..2).unwrap_or_default())) && is_birth_date(century, birth)
}

/// Whether a character checks the digits before it by ISO 7064 MOD 11-2, `X` in upper case: as
/// [`resident_id::check`](crate::check_digit::resident_id::check) has it, at a third of its cost.
fn is_checked(first: &[u8], last: u8) -> bool {
    let last = match last {
        b'X' => 10,
        b'0'..=b'9' => u32::from(last - b'0'),
        _ => return false,
    };
    // The weights are the powers of 2, from the end; of 17 digits their sum stays below 2^22.
    let weighed = |sum: u32, byte: &u8| (sum + u32::from(byte & 0xF)) * 2;
    digits(first) && (first.iter().fold(0, weighed) + last) % 11 == 1
}

/// Codes of the provinces (GB/T 2260); 81 to 83 are the residence permits of people from Hong Kong,
/// Macao and Taiwan.
fn is_province(code: u32) -> bool {
    matches!(code, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83)
}

/// Whether a day exists: year with or without its century, month, day. Years 1800 to 2099.
fn is_birth_date(century: &str, birth: &[u8]) -> bool {
    let Some((year, [m1, m2, d1, d2])) = birth.split_last_chunk() else {
        return false;
    };
    let (month, day) = (number(&[*m1, *m2]), number(&[*d1, *d2]));
    let year = number(century.as_bytes()) * 100 + number(year);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1800..2100).contains(&year) && (1..=days).contains(&day)
}

/// A mainland mobile number, its country code gone.
fn is_mobile(bytes: &[u8]) -> bool {
    match bytes {
        [b'1', b'3'..=b'9', rest @ ..] => rest.len() == 9 && digits(rest),
        _ => false,
    }
}

/// 16 to 19 digits with a check digit by Luhn (ISO/IEC 7812-1).
fn is_bank_card(bytes: &[u8]) -> bool {
    (16..=19).contains(&bytes.len()) && bytes.first() != Some(&b'0') && is_luhn(bytes)
}

/// Whether digits are checked by the last of them by Luhn's formula, as
/// [`luhn::is_valid`](crate::check_digit::luhn::is_valid) has it, at a third of its cost.
fn is_luhn(bytes: &[u8]) -> bool {
    let value = |byte: &u8| u32::from(byte & 0xF);
    let pair = |pair: &[u8]| match pair {
        [doubled, plain] => {
            let doubled = value(doubled);
            doubled * 2 - 9 * u32::from(doubled > 4) + value(plain)
        }
        _ => pair.iter().map(value).sum(),
    };
    digits(bytes) && bytes.rchunks(2).map(pair).sum::<u32>().is_multiple_of(10)
}

/// GB 32100: authority and category, six digits of a division, an organisation code, the check
/// character of MOD 31-3.
fn is_credit_code(bytes: &[u8]) -> bool {
    let worth = |byte: &u8| WORTH.get(usize::from(*byte)).copied().unwrap_or(NO_WORTH);
    // The weights are the powers of 3; the last character brings the sum to a multiple of 31.
    let weighed = |(sum, all): (u64, u64), byte: &u8| {
        let worth = worth(byte);
        (sum * 3 + worth, all | worth)
    };
    let Some((first, [last])) = bytes.split_first_chunk::<17>() else {
        return false;
    };
    let (sum, all) = first.iter().rev().fold((0, worth(last)), weighed);
    bytes.get(2..8).is_some_and(digits) && all < NO_WORTH && (sum + worth(last)).is_multiple_of(31)
}

/// What no character of a credit code is worth: more bits than any has.
const NO_WORTH: u64 = 0x80;

/// What the characters of credit codes are worth: as
/// [`credit_code::value`](crate::check_digit::credit_code::value) has it, without a branch.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "the compiler evaluates it: a slip is an error of compilation, and values widen"
)]
static WORTH: [u64; 256] = {
    let mut worth = [NO_WORTH; 256];
    let mut value = 0;
    while value < credit_code::ALPHABET.len() {
        worth[credit_code::ALPHABET[value] as usize] = value as u64;
        value += 1;
    }
    worth
};

/// Ordinary passports of nine characters: E, one or two letters before seven digits, the older G,
/// P, S, D and 14, 15; Hong Kong K, H, KJ, HJ; Macao M, MA, MB.
fn is_passport(bytes: &[u8]) -> bool {
    if bytes.len() != 9 {
        return false;
    }
    match bytes {
        [b'1', b'4' | b'5', rest @ ..] => digits(rest),
        [
            b'D' | b'E' | b'G' | b'H' | b'K' | b'M' | b'P' | b'S',
            second,
            rest @ ..,
        ] => {
            let letter = second.is_ascii_uppercase() && !matches!(second, b'I' | b'O');
            (letter || second.is_ascii_digit()) && digits(rest)
        }
        _ => false,
    }
}

/// Travel permits: C or W with a letter or digit and seven digits (to Hong Kong and Macao), L or T
/// and eight digits (to Taiwan), H or M and eight or ten digits (from Hong Kong and Macao), eight
/// or ten digits (from Taiwan).
fn is_permit(bytes: &[u8]) -> bool {
    match bytes {
        [b'C' | b'W', second, rest @ ..] => {
            let follows = second.is_ascii_uppercase() || second.is_ascii_digit();
            rest.len() == 7 && follows && digits(rest)
        }
        [b'L' | b'T', rest @ ..] => rest.len() == 8 && digits(rest),
        [b'H' | b'M', rest @ ..] => matches!(rest.len(), 8 | 10) && digits(rest),
        _ => matches!(bytes.len(), 8 | 10) && digits(bytes),
    }
}

/// Masks a landline: what remains of `+86`, the area code or 400 or 800, a hyphen, fills for the
/// number. An extension goes without a trace.
pub(super) fn mask_landline(
    value: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    if let Some((area, number)) = plain_landline(value) {
        return write_landline(area, number, shown, filler, out);
    }
    let landline = Landline::read(value).ok_or(Case::Invalid)?;
    let text = |digits| str::from_utf8(digits).map_err(|_| Case::Invalid);
    let (area, number) = (text(landline.area())?, text(landline.number())?);
    write_landline(area, number, shown, filler, out)
}

/// The area code and the number of a landline that is written as most are, `0571-88886666` or
/// without the hyphen; `None` where it takes more to read it.
fn plain_landline(value: &str) -> Option<(&str, &str)> {
    let area = match value.as_bytes() {
        [b'0', b'1', b'0', ..] | [b'0', b'2', ..] => 3,
        [b'0', b'3'..=b'9', ..] => 4,
        _ => return None,
    };
    let (area, rest) = value.split_at_checked(area)?;
    let number = rest.strip_prefix('-').unwrap_or(rest);
    let first = number.as_bytes().first()?;
    let is_plain = matches!(number.len(), 7 | 8)
        && (b'2'..=b'9').contains(first)
        && digits(area.as_bytes())
        && digits(number.as_bytes());
    is_plain.then_some((area, number))
}

fn write_landline(
    area: &str,
    number: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    let hidden = number.len() - shown.last;
    let (covered, last) = number.split_at_checked(hidden).ok_or(Case::Invalid)?;
    let area_shows = shown.first > 0 || filler.is_as_written(area, area.len());
    if area_shows && filler.is_as_written(covered, hidden) {
        return Err(Case::Short);
    }
    if shown.first > 0 {
        out.push(area);
    } else {
        filler.write(area.len(), out);
    }
    out.push("-");
    filler.write(hidden, out);
    out.push(last);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check_digit::{luhn, resident_id};

    proptest! {
        #[test]
        fn checks_are_those_of_the_standards(
            digits in "[0-9]{14,19}",
            resident in "[0-9]{17}[0-9Xx]",
            code in "[0-9A-Z]{2}[0-9]{6}[0-9A-Z]{10}",
            other in "[0-9A-Za-z/:]{15,19}",
        ) {
            for text in [&digits, &resident, &code, &other] {
                let bytes = text.as_bytes();
                let (first, last) = bytes.split_at(bytes.len() - 1);
                prop_assert_eq!(is_luhn(bytes), luhn::is_valid(bytes));
                if bytes.len() == 18 {
                    let check = resident_id::check(first);
                    prop_assert_eq!(is_checked(first, last[0]), check == Some(last[0]));
                    let check = credit_code::check(first).filter(|_| first[2..8].iter().all(u8::is_ascii_digit));
                    prop_assert_eq!(is_credit_code(bytes), check == Some(last[0]));
                }
            }
            // Of each one with its right check character, too.
            let payload = &digits.as_bytes()[..digits.len() - 1];
            let card = [payload, &[luhn::check(payload).unwrap()]].concat();
            prop_assert!(is_luhn(&card));
            let first = &resident.as_bytes()[..17];
            prop_assert!(is_checked(first, resident_id::check(first).unwrap()));
            let first = &code.as_bytes()[..17];
            if let Some(check) = credit_code::check(first) {
                prop_assert!(is_credit_code(&[first, &[check]].concat()));
            }
        }

        #[test]
        fn a_plain_landline_is_read_as_every_landline_is(text in "0(10|2[0-9]|[0-9]{3})-?[0-9]{6,9}") {
            let plain = plain_landline(&text).map(|(area, number)| (area.to_owned(), number.to_owned()));
            if let Some((area, number)) = plain {
                let read = Landline::read(&text).unwrap();
                prop_assert_eq!(area.as_bytes(), read.area());
                prop_assert_eq!(number.as_bytes(), read.number());
            }
        }
    }
}
