//! Numbers as people and spreadsheets write them, read exactly: digits stay digits until the field's
//! own type takes them.

use std::fmt::Write as _;
use std::iter;

use arrow::datatypes::i256;

use crate::number::Exact;

/// Most significant digits that are kept: more than any field's type holds, and one to round by.
const DIGITS: usize = 80;

/// Digits that 64 bits hold for sure.
const SMALL: usize = 18;

/// Digits beyond which 256 bits hold no number.
const WIDEST: usize = 77;

/// A written number: 0.DIGITS times 10^`point`.
#[derive(Debug)]
pub(super) struct Number {
    is_negative: bool,
    /// Significant digits, of which the first and the last aren't zero.
    digits: [u8; DIGITS],
    length: usize,
    point: i32,
}

impl Default for Number {
    fn default() -> Self {
        Self {
            is_negative: false,
            digits: [0; DIGITS],
            length: 0,
            point: 0,
        }
    }
}

impl Number {
    /// Reads a number: digits, with signs, separators of thousands, a currency, an exponent, 万 or
    /// % after it. False if the text is none.
    #[inline]
    pub(super) fn read(&mut self, text: &str) -> bool {
        self.is_negative = false;
        self.length = 0;
        self.point = 0;
        let is_number = self.parse(text).is_some();
        while self.length > 0 && self.significant().last() == Some(&0) {
            self.length -= 1;
        }
        is_number
    }

    fn parse(&mut self, text: &str) -> Option<()> {
        let inside = text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'));
        self.is_negative = inside.is_some();
        let rest = self.after_signs(inside.unwrap_or(text))?;
        let (whole, rest) = self.whole(rest)?;
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => self.fraction(rest)?,
            None => (0, rest),
        };
        if whole + fraction == 0 {
            return None;
        }
        if rest.is_empty() {
            return Some(());
        }
        let (exponent, rest) = exponent(rest)?;
        self.point = self
            .point
            .saturating_add(exponent)
            .saturating_add(unit(rest)?);
        Some(())
    }

    /// What follows a sign and a currency, each at most once and in any order.
    fn after_signs<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let (mut rest, mut is_signed, mut is_money) = (text, self.is_negative, false);
        loop {
            let first = rest.chars().next()?;
            let again = match first {
                '-' | '+' | '\u{2212}' => {
                    self.is_negative |= first != '+';
                    std::mem::replace(&mut is_signed, true)
                }
                '¥' | '$' => std::mem::replace(&mut is_money, true),
                ' ' => rest.len() == text.len(),
                _ => return Some(rest),
            };
            if again {
                return None;
            }
            rest = rest.strip_prefix(first)?;
        }
    }

    /// Takes the digits before the point, and how many there are.
    fn whole<'a>(&mut self, text: &'a str) -> Option<(usize, &'a str)> {
        let mut groups = Groups::default();
        let (mut bytes, mut count) = (text.as_bytes(), 0);
        loop {
            match bytes {
                [digit @ b'0'..=b'9', rest @ ..] => {
                    if self.length > 0 || *digit != b'0' {
                        self.point = self.point.saturating_add(1);
                        self.push(*digit);
                    }
                    groups.run += 1;
                    count += 1;
                    bytes = rest;
                }
                [b',' | b' ' | b'\'', rest @ ..]
                    if rest.first().is_some_and(u8::is_ascii_digit) =>
                {
                    groups.close()?;
                    bytes = rest;
                }
                _ => break,
            }
        }
        groups.end()?;
        let (_, rest) = text.split_at_checked(text.len() - bytes.len())?;
        Some((count, rest))
    }

    /// Takes the digits after the point, and how many there are.
    fn fraction<'a>(&mut self, text: &'a str) -> Option<(usize, &'a str)> {
        let mut count = 0;
        for digit in text.bytes().take_while(u8::is_ascii_digit) {
            if self.length > 0 || digit != b'0' {
                self.push(digit);
            } else {
                self.point = self.point.saturating_sub(1);
            }
            count += 1;
        }
        let (_, rest) = text.split_at_checked(count)?;
        Some((count, rest))
    }

    #[inline]
    fn push(&mut self, digit: u8) {
        if let Some(slot) = self.digits.get_mut(self.length) {
            *slot = digit - b'0';
            self.length += 1;
        }
    }

    fn significant(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }

    /// Digits after the point; below zero for whole numbers that end in zeros; none for zero.
    pub(super) fn decimals(&self) -> Option<i32> {
        let length = i32::try_from(self.length).ok()?;
        (length > 0).then(|| length.saturating_sub(self.point))
    }

    /// The number times 10^`shift`, to the nearest whole one and half away from zero; none if the
    /// type does not hold it.
    #[inline]
    pub(super) fn units<N: Exact>(&self, shift: i32) -> Option<N> {
        let whole = self.point.saturating_add(shift);
        if self.length == 0 || whole < 0 {
            return N::from_small(0);
        }
        let whole = usize::try_from(whole).ok()?;
        let digits = self.significant();
        let is_up = digits.get(whole).is_some_and(|digit| *digit >= 5);
        let mut kept = digits.iter().copied().chain(iter::repeat(0)).take(whole);
        if whole <= SMALL {
            let count = small(&mut kept) + i64::from(is_up);
            return N::from_small(if self.is_negative { -count } else { count });
        }
        if whole > WIDEST {
            return None;
        }
        let mut count = i256::from_i128(small(&mut kept.by_ref().take(whole % SMALL)).into());
        for _ in 0..whole / SMALL {
            let next = small(&mut kept.by_ref().take(SMALL));
            count = count
                .checked_mul(i256::from_i128(10_i128.pow(18)))?
                .checked_add(i256::from_i128(next.into()))?;
        }
        let count = count.checked_add(i256::from_i128(is_up.into()))?;
        N::from_widest(if self.is_negative {
            count.wrapping_neg()
        } else {
            count
        })
    }

    /// Puts the number times 10^`shift` into `out`, as the standard library reads floats.
    pub(super) fn write(&self, shift: i32, out: &mut String) {
        out.clear();
        out.push_str(if self.is_negative { "-0." } else { "0." });
        let digits = self.significant().iter();
        out.extend(digits.map(|digit| char::from(b'0' + digit)));
        let written = write!(out, "0e{}", self.point.saturating_add(shift));
        debug_assert!(written.is_ok(), "text takes all that is written to it");
    }
}

/// The number that at most 18 digits make.
#[inline]
fn small(digits: &mut impl Iterator<Item = u8>) -> i64 {
    digits.fold(0, |number, digit| number * 10 + i64::from(digit))
}

/// The groups between separators: of three digits, or of four, and fewer in the first.
#[derive(Default)]
struct Groups {
    /// Digits since the last separator.
    run: usize,
    /// Digits before the first separator; zero as long as there is none.
    first: usize,
    /// Digits of the others; zero as long as there is none.
    size: usize,
}

impl Groups {
    fn close(&mut self) -> Option<()> {
        if self.first == 0 {
            self.first = self.run;
        } else {
            self.complete()?;
        }
        let is_some = self.run > 0;
        self.run = 0;
        is_some.then_some(())
    }

    fn complete(&mut self) -> Option<()> {
        if self.size == 0 {
            self.size = self.run;
        }
        let is_group = matches!(self.size, 3 | 4) && self.run == self.size;
        (is_group && self.first <= self.size).then_some(())
    }

    fn end(&mut self) -> Option<()> {
        if self.first == 0 {
            return Some(());
        }
        self.complete()
    }
}

/// The exponent that text begins with, 0 if none, and what follows.
fn exponent(text: &str) -> Option<(i32, &str)> {
    let Some(rest) = text.strip_prefix(['e', 'E']) else {
        return Some((0, text));
    };
    let (is_negative, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at_checked(count)?;
    let add = |number: i32, digit: u8| {
        number
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'))
    };
    let exponent = digits.bytes().fold(0, add);
    let exponent = if is_negative { -exponent } else { exponent };
    (count > 0).then_some((exponent, rest))
}

/// The power of ten of the words after a number: 万, 百万, 亿元, %.
fn unit(text: &str) -> Option<i32> {
    let mut rest = text.trim_start_matches(' ');
    let mut power = 0_i32;
    loop {
        let first = rest.chars().next();
        power = power.saturating_add(match first {
            None => return Some(power),
            Some('百') => 2,
            Some('千') => 3,
            Some('万' | '萬') => 4,
            Some('亿' | '億') => 8,
            Some('元' | '圆') => return (rest.chars().count() == 1).then_some(power),
            Some('%') => return (rest.len() == 1 && power == 0).then_some(-2),
            Some(_) => return None,
        });
        rest = rest.strip_prefix(first?)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(text: &str, scale: i32) -> Option<i128> {
        let mut number = Number::default();
        number.read(text).then(|| number.units(scale)).flatten()
    }

    #[test]
    fn numbers_are_read_however_they_are_written() {
        for (hundredths, texts) in [
            (
                123_456_780,
                &[
                    "1234567.8",
                    "1,234,567.80",
                    "1 234 567.8",
                    "123,4567.8",
                    "+1234567.8",
                    "001234567.800",
                    "1.2345678E+06",
                    "12345678e-1",
                    "¥1,234,567.80",
                    "$ 1,234,567.80",
                    "1,234,567.80元",
                    "123.45678万",
                    "123.45678 万元",
                    "1.2345678百万",
                    "0.012345678亿",
                ][..],
            ),
            (
                -50,
                &["-0.5", "-.50", "−0.5", "(0.50)", "-¥0.5", "¥-0.5", "-50%"],
            ),
            (0, &["0", "-0", "000", "0.00", "0e99999999999999", "0.001"]),
            (
                30,
                &[
                    "0.30000000000000004",
                    "0.3",
                    "3E-1",
                    "0.2999999999999999889",
                ],
            ),
            (1, &["0.005", "0.0149"]),
            (-1, &["-0.005"]),
            (500, &["5.", "5"]),
        ] {
            for text in texts {
                assert_eq!(units(text, 2), Some(hundredths), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "",
            " ",
            "-",
            ".",
            "+-1",
            "--1",
            "¥",
            "1.2.3",
            "1,23",
            "12,34,567",
            "1234,567",
            ",123",
            "1,",
            "1,234 56",
            "1e",
            "e5",
            "1元2",
            "1%%",
            "%",
            "12a",
            "0x10",
            "inf",
            "NaN",
            "(5",
            "2026-01-31",
            "2026 01 31",
            "((1))",
            "(-1)",
        ] {
            assert_eq!(units(text, 2), None, "{text}");
        }
    }

    #[test]
    fn numbers_of_any_length_are_exact_or_none() {
        let long = "1".repeat(76);
        let mut number = Number::default();
        assert!(number.read(&long));
        let exact = number.units::<i256>(0).unwrap();
        assert_eq!(exact.to_string(), long);
        assert!(number.read(&"9".repeat(77)));
        assert_eq!(number.units::<i256>(0), None);
        assert_eq!(
            number.units::<i256>(-1).unwrap().to_string(),
            format!("1{}", "0".repeat(76))
        );
        for text in ["1e99999999999", &"9".repeat(5_000)] {
            assert!(number.read(text));
            assert_eq!(number.units::<i256>(0), None);
        }
        assert!(number.read("1e-99999999999"));
        assert_eq!(number.units::<i64>(76), Some(0));
    }

    #[test]
    fn decimals_are_counted_without_zeros() {
        let mut number = Number::default();
        for (text, decimals) in [
            ("12300", Some(-2)),
            ("1.50", Some(1)),
            ("0.005", Some(3)),
            ("0", None),
            ("1.2万", Some(-3)),
        ] {
            assert!(number.read(text));
            assert_eq!(number.decimals(), decimals, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rounding_is_half_away_from_zero(count: i64, places in 0_u32..18) {
            let power = 10_i64.pow(places);
            let text = count.to_string();
            let half = i128::from(power) / 2;
            let wide = i128::from(count);
            let expected = (wide.abs() + half) / i128::from(power) * wide.signum();
            prop_assert_eq!(units(&text, -i32::try_from(places).unwrap()), Some(expected));
        }

        #[test]
        fn numbers_of_128_bits_survive(count: i128, shift in -30_i32..30) {
            let text = format!("{count}e{}", -shift);
            let mut number = Number::default();
            prop_assert!(number.read(&text));
            prop_assert_eq!(number.units::<i128>(shift), Some(count));
        }
    }
}
