//! The one spelling of a value by which its row is found again.
//!
//! A leaked copy has been through spreadsheets and other hands: digits have become full-width,
//! leading zeros are gone, dates have other separators. An anchor is taken from what survives:
//! - compatibility forms are composed (Unicode NFKC, which turns full width into half width), what
//!   has no width and controls are left out, white space is one space, and none at the ends
//! - numbers are plain decimals, without zeros before the whole part or after the fraction:
//!   `007`, `7.00` and `７` are `7`
//! - dates are `2026-01-31`, whatever stands between the parts, and times `2026-01-31T08:30:00`,
//!   without zeros at the end of the fraction; midnight is the date alone
//!
//! The form depends on the text and never on the type it came as, so that a column of decimals and
//! the same column read from CSV agree. It merges values that differ, which costs nothing but a few
//! positions.

use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization;

/// The canonical form of `text`: itself where that can be seen at once, else in `scratch`. Empty if
/// nothing of it can be seen.
pub(super) fn form<'a>(text: &'a str, scratch: &'a mut String) -> &'a str {
    if is_own_form(text) {
        return text;
    }
    write(text, scratch);
    scratch
}

/// Whether a text is surely its own form: of visible ASCII and of ideographs, which no composition
/// changes, and no number or date that could be spelled otherwise. Most values are, and are spared
/// the way through `write`.
fn is_own_form(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Without an early end, so that many bytes are looked at together.
    let is_ascii = bytes
        .iter()
        .fold(true, |is_so, byte| is_so & byte.is_ascii_graphic());
    let is_inert = |character: char| matches!(character, '!'..='~' | '\u{4E00}'..='\u{9FFF}');
    if !is_ascii && !text.chars().all(is_inert) {
        return false;
    }
    match bytes.first() {
        Some(b'0'..=b'9' | b'.' | b'-') => {}
        Some(_) | None => return true,
    }
    let is_of_either = |byte: &u8| {
        matches!(
            byte,
            b'0'..=b'9' | b'-' | b'/' | b'.' | b':' | b'T' | b'Z' | b'+'
        )
    };
    is_ascii
        && (!bytes.iter().all(is_of_either)
            || !text.starts_with('0') && bytes.iter().all(u8::is_ascii_digit)
            || is_iso_date(bytes))
}

/// Whether this is a date as [`iso`] writes it.
fn is_iso_date(bytes: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else {
        return false;
    };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    let number = |tens: &u8, ones: &u8| (tens - b'0') * 10 + (ones - b'0');
    digits.iter().all(|digit| digit.is_ascii_digit())
        && (1..=12).contains(&number(m1, m2))
        && (1..=31).contains(&number(d1, d2))
}

/// Puts the canonical form of `text` into `out`, in place of what was there. Empty if nothing of
/// it can be seen.
pub(super) fn write(text: &str, out: &mut String) {
    write_visible(text, out);
    // Both begin with a digit, a point or a minus; a code without zeros before it is its own form.
    let begins = out.chars().next();
    if !begins
        .is_some_and(|first| first.is_ascii_digit() || matches!(first, '.' | '-' | '\u{2212}'))
        || begins != Some('0') && out.bytes().all(|byte| byte.is_ascii_digit())
    {
        return;
    }
    if let Some(number) = plain_number(out) {
        *out = number;
    } else if let Some(moment) = iso(out) {
        *out = moment;
    }
}

/// Puts what can be seen of `text` into `out`, in place of what was there: compatibility forms
/// composed, white space as one space, and none at the ends.
pub(super) fn write_visible(text: &str, out: &mut String) {
    out.clear();
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.push_str(text);
    } else if text.is_ascii() {
        push_visible(text.chars(), out);
    } else {
        let visible = text.chars().filter(|character| !is_invisible(*character));
        push_visible(visible.nfkc(), out);
    }
}

/// Whether a character shows nothing and takes no room.
fn is_invisible(character: char) -> bool {
    let formats = matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}');
    formats || character.is_control() && !character.is_whitespace()
}

/// Appends what can be seen, white space as one space between the rest.
fn push_visible(characters: impl Iterator<Item = char>, out: &mut String) {
    let mut is_apart = false;
    for character in characters {
        if character.is_whitespace() {
            is_apart = !out.is_empty();
        } else if !is_invisible(character) {
            if is_apart {
                out.push(' ');
                is_apart = false;
            }
            out.push(character);
        }
    }
}

/// Digits with at most one point and a minus, without zeros that count for nothing.
fn plain_number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut all = whole.bytes().chain(fraction.bytes()).peekable();
    all.peek()?;
    if !all.all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    Some(match (whole, fraction) {
        ("", "") => "0".to_owned(),
        ("", fraction) => format!("{sign}0.{fraction}"),
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    })
}

/// A date, or a date with a time.
fn iso(text: &str) -> Option<String> {
    let ([year, month, day], rest) = date(text)?;
    let mut out = format!("{year:04}-{month:02}-{day:02}");
    if !rest.is_empty() {
        let (clock, fraction, zone) = time(rest)?;
        push_time(&mut out, clock, fraction, zone);
    }
    Some(out)
}

/// The year, month and day that text begins with, whatever stands between them, and what follows.
/// Of the day it is only known that some month has it.
pub(super) fn date(text: &str) -> Option<([u32; 3], &str)> {
    let (year, rest) = text.split_once(['-', '/', '.', '年'])?;
    let (month, rest) = rest.split_once(['-', '/', '.', '月'])?;
    let end = rest.find(|character: char| !character.is_ascii_digit());
    let (day, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    let year = digits(year, 4..=4, 0..=9_999)?;
    let (month, day) = (digits(month, 1..=2, 1..=12)?, digits(day, 1..=2, 1..=31)?);
    Some(([year, month, day], rest.strip_prefix('日').unwrap_or(rest)))
}

/// The hour, minute and second that follow a date, the digits of the fraction, and the zone: `Z` or
/// nothing.
pub(super) fn time(rest: &str) -> Option<([u32; 3], &str, &'static str)> {
    let rest = rest.strip_prefix(['T', ' ']).unwrap_or(rest);
    let (time, zone) = match rest
        .strip_suffix('Z')
        .or_else(|| rest.strip_suffix("+00:00"))
    {
        Some(time) => (time, "Z"),
        None => (rest, ""),
    };
    let (hour, rest) = time.split_once(':')?;
    let (minute, rest) = rest.split_once(':').unwrap_or((rest, "0"));
    let (second, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let clock = [
        digits(hour, 1..=2, 0..=23)?,
        digits(minute, 1..=2, 0..=59)?,
        digits(second, 1..=2, 0..=60)?,
    ];
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_fraction.then_some((clock, fraction, zone))
}

/// Appends the time after a date, and its zone; nothing for midnight.
pub(super) fn push_time(
    out: &mut String,
    [hour, minute, second]: [u32; 3],
    fraction: &str,
    zone: &str,
) {
    let fraction = fraction.trim_end_matches('0');
    if [hour, minute, second] == [0; 3] && fraction.is_empty() {
        return;
    }
    let written = write!(out, "T{hour:02}:{minute:02}:{second:02}");
    debug_assert!(written.is_ok(), "text takes all that is written to it");
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out.push_str(zone);
}

/// A number of so many digits in a range.
pub(super) fn digits(
    text: &str,
    lengths: std::ops::RangeInclusive<usize>,
    range: std::ops::RangeInclusive<u32>,
) -> Option<u32> {
    let is_number = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok())??;
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = "left over".to_owned();
        write(text, &mut out);
        out
    }

    #[test]
    fn spellings_of_one_value_agree() {
        for (form, spellings) in [
            (
                "7",
                &[
                    "7",
                    "007",
                    "７",
                    " 7 ",
                    "7.00",
                    "\u{200B}7",
                    "7\u{FEFF}",
                    "7.",
                ][..],
            ),
            ("-0.5", &["-0.5", "-.50", "−0.5", "-00.5"]),
            ("0", &["0", "-0", "000", "0.0", "-0.00"]),
            (
                "张 三",
                &[
                    "张 三",
                    "张\u{3000}三",
                    " 张  三\t",
                    "张\n三",
                    "张\u{200D} 三\u{7}",
                ],
            ),
            ("ABC", &["ABC", "ＡＢＣ", "A\u{AD}BC"]),
            (
                "2026-01-31",
                &[
                    "2026-01-31",
                    "2026/1/31",
                    "2026年1月31日",
                    "2026.01.31",
                    "2026-01-31 00:00:00",
                    "2026-01-31T00:00:00Z",
                ],
            ),
            (
                "2026-01-31T08:30:00",
                &[
                    "2026-01-31T08:30:00",
                    "2026/1/31 8:30",
                    "2026-01-31 08:30:00.000",
                ],
            ),
            (
                "2026-01-31T08:30:00.25Z",
                &["2026-01-31T08:30:00.250Z", "2026-01-31 08:30:00.25+00:00"],
            ),
            ("", &["", " ", "\u{200B}", "\r\n", "\u{3000}"]),
        ] {
            for spelling in spellings {
                assert_eq!(canonical(spelling), form, "{spelling:?}");
            }
        }
    }

    #[test]
    fn what_is_no_number_or_date_stays() {
        for text in [
            "-",
            ".",
            "1.2.3",
            "1,234",
            "12a",
            "2026-13-01",
            "2026-01-32",
            "26-1-1",
            "1-2",
            "a.b",
            "2026-01-31 25:00",
            "2026-01-31T08:30:00+08:00",
            "33010019900101123X",
            "浙A·12345",
        ] {
            assert_eq!(canonical(text), text);
        }
    }

    #[test]
    fn composition_leaves_ideographs_as_they_are() {
        use unicode_normalization::{IsNormalized, char, is_nfkc_quick};
        let ideographs = ('!'..='~').chain('\u{4E00}'..='\u{9FFF}');
        assert_eq!(is_nfkc_quick(ideographs.clone()), IsNormalized::Yes);
        assert!(
            ideographs
                .into_iter()
                .all(|one| char::canonical_combining_class(one) == 0)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_its_own_form_at_once_is_so(
            text in prop_oneof![
                any::<String>(),
                "[-0-9./:TZ+]{0,20}",
                "[0-9]{4}-[0-9]{2}-[0-9]{2}",
                "[!-~一-龥]{0,9}",
                "[-0-9.*年月日 a]{0,12}",
            ],
        ) {
            let mut scratch = "left over".to_owned();
            prop_assert_eq!(form(&text, &mut scratch), canonical(&text));
        }

        #[test]
        fn the_form_of_a_form_is_itself(text: String, digits in "[-0-9./年月日: T]{0,20}") {
            for text in [text, digits] {
                let once = canonical(&text);
                prop_assert_eq!(canonical(&once), once);
            }
        }
    }
}
