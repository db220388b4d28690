//! Numbers and codes: shapes, check digits, and how they are masked.

use std::borrow::Cow;

use super::forms::{Of, Shown};
use crate::check_digit::{credit_code, luhn, resident_id};
use crate::error::Case;
use crate::fill::Filler;
use crate::persona::Landline;

/// Masks a number in its one spelling, if it is one.
pub(super) fn mask(
    of: Of,
    text: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut Vec<u8>,
) -> Result<(), Case> {
    let text = spelling(of, text);
    let bytes = text.as_bytes();
    let has_letter = bytes.first().is_some_and(u8::is_ascii_uppercase);
    let shown = if of == Of::ResidentId && bytes.len() == 15 {
        let last = shown.last.min(3);
        Shown { last, ..shown }
    } else if matches!(of, Of::Passport | Of::Permit) && !has_letter {
        Shown { first: 0, ..shown }
    } else {
        shown
    };
    let valid = match of {
        Of::ResidentId => is_resident_id(bytes),
        Of::Mobile => is_mobile(bytes),
        Of::BankCard => is_bank_card(bytes),
        Of::CreditCode => is_credit_code(bytes),
        Of::Plate => return mask_plate(&text, shown, filler, out),
        Of::Passport => is_passport(bytes),
        Of::Permit => is_permit(bytes),
        Of::Landline | Of::PersonName | Of::Address | Of::Email | Of::Ip => false,
    };
    if !valid {
        return Err(Case::Invalid);
    }
    mask_ends(bytes, shown, filler, out)
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

/// Writes the ends of ASCII text and fills between them.
fn mask_ends(bytes: &[u8], shown: Shown, filler: &Filler, out: &mut Vec<u8>) -> Result<(), Case> {
    let hidden = bytes
        .len()
        .checked_sub(shown.first + shown.last)
        .filter(|hidden| *hidden > 0)
        .ok_or(Case::Short)?;
    out.extend_from_slice(bytes.get(..shown.first).unwrap_or_default());
    filler.write(hidden, out);
    out.extend_from_slice(bytes.get(shown.first + hidden..).unwrap_or_default());
    Ok(())
}

fn digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
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
        [head @ .., check] if bytes.len() == 18 => {
            if resident_id::check(head) != Some(*check) {
                return false;
            }
            (head.get(..6), head.get(6..14), "")
        }
        _ if bytes.len() == 15 && digits(bytes) => (bytes.get(..6), bytes.get(6..12), "19"),
        _ => return false,
    };
    let (Some(region), Some(birth)) = (region, birth) else {
        return false;
    };
    is_province(number(region.get(..2).unwrap_or_default())) && is_birth_date(century, birth)
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
    (16..=19).contains(&bytes.len()) && bytes.first() != Some(&b'0') && luhn::is_valid(bytes)
}

/// GB 32100: authority and category, six digits of a division, an organisation code, the check
/// character of MOD 31-3.
fn is_credit_code(bytes: &[u8]) -> bool {
    let first = bytes.split_first_chunk::<17>();
    bytes.get(2..8).is_some_and(digits)
        && first.is_some_and(|(first, last)| {
            credit_code::check(first).is_some_and(|check| last == [check])
        })
}

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

/// Masks a plate: the province's character, a letter, five or six more, no I and no O.
fn mask_plate(text: &str, shown: Shown, filler: &Filler, out: &mut Vec<u8>) -> Result<(), Case> {
    let mut characters = text.chars();
    let province = characters.next().ok_or(Case::Invalid)?;
    let rest = characters.as_str();
    let (body, special) = match rest.char_indices().next_back() {
        Some((at, last)) if is_plate_use(last) => (rest.get(..at), Some(last)),
        _ => (Some(rest), None),
    };
    let body = body.unwrap_or_default().as_bytes();
    let valid = match (body, special) {
        ([letter, four @ ..], Some(_)) => {
            is_plate_letter(*letter) && four.len() == 4 && plain(four)
        }
        ([letter, five @ ..], None) if five.len() == 5 => is_plate_letter(*letter) && plain(five),
        ([letter, six @ ..], None) => is_plate_letter(*letter) && is_new_energy(six),
        ([], _) => false,
    };
    if !valid || !is_plate_province(province) {
        return Err(Case::Invalid);
    }
    let hidden = 1 + body.len() + usize::from(special.is_some()) - shown.first - shown.last;
    let head: usize = text.chars().take(shown.first).map(char::len_utf8).sum();
    let tail: usize = text
        .chars()
        .rev()
        .take(shown.last)
        .map(char::len_utf8)
        .sum();
    out.extend_from_slice(text.get(..head).unwrap_or_default().as_bytes());
    filler.write(hidden, out);
    out.extend_from_slice(text.get(text.len() - tail..).unwrap_or_default().as_bytes());
    Ok(())
}

/// Whether a character stands for a province on a plate.
#[rustfmt::skip]
fn is_plate_province(character: char) -> bool {
    matches!(character, '京' | '津' | '沪' | '渝' | '冀' | '豫' | '云' | '辽' | '黑' | '湘' | '皖' | '鲁' | '新' | '苏' | '浙' | '赣'
        | '鄂' | '桂' | '甘' | '晋' | '蒙' | '陕' | '吉' | '闽' | '贵' | '粤' | '青' | '藏' | '川' | '宁' | '琼')
}

/// Whether a character ends plates with a special use.
fn is_plate_use(character: char) -> bool {
    matches!(character, '学' | '警' | '港' | '澳' | '挂' | '领' | '使')
}

fn is_plate_letter(byte: u8) -> bool {
    byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'O')
}

fn plain(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| byte.is_ascii_digit() || is_plate_letter(*byte))
}

/// Six characters after the letter: A to K, one more and four digits (small), or five digits and A
/// to K (large).
fn is_new_energy(six: &[u8]) -> bool {
    let power = |byte: &u8| is_plate_letter(*byte) && *byte <= b'K';
    match six {
        [first, second, rest @ ..] if rest.len() == 4 && power(first) => {
            plain(&[*second]) && digits(rest)
        }
        [rest @ .., last] => rest.len() == 5 && digits(rest) && power(last),
        [] => false,
    }
}

/// Masks a landline: what remains of `+86`, the area code or 400 or 800, a hyphen, fills for the
/// number. An extension goes without a trace.
pub(super) fn mask_landline(
    value: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut Vec<u8>,
) -> Result<(), Case> {
    let landline = Landline::read(value).ok_or(Case::Invalid)?;
    let (area, number) = (landline.area(), landline.number());
    if shown.first > 0 {
        out.extend_from_slice(area);
    } else {
        filler.write(area.len(), out);
    }
    out.push(b'-');
    let hidden = number.len() - shown.last;
    filler.write(hidden, out);
    out.extend_from_slice(number.get(hidden..).unwrap_or_default());
    Ok(())
}
