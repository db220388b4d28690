//! Bytes looked at eight or sixteen at a time, in one register: what most values are, so that the few
//! others can be told apart without a look at each byte.
//!
//! A test takes eight bytes and sets the highest bit of each that fails it. It adds to the lower
//! seven bits only, so that nothing carries from one byte into the next.
//!
//! Where it matters at which places bytes stand, they are looked at sixteen at a time in the registers
//! that processors have for that: to turn the highest bit of each byte into a bit of a number takes them
//! one instruction, and a register of eight bytes a multiplication.

use std::ops::RangeInclusive;

use wide::u8x16;

/// A byte, eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each byte.
const HIGH: u64 = eight(0x80);

/// Whether no byte fails a test. The last eight may be tested twice.
#[inline]
pub(crate) fn all(bytes: &[u8], test: impl Fn(u64) -> u64) -> bool {
    let mut failed = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        failed |= test(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        failed |= test(last(bytes));
    }
    failed & HIGH == 0
}

/// The last eight bytes, in some order; where there are fewer, some of them again.
#[inline]
fn last(bytes: &[u8]) -> u64 {
    if let Some(eight) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*eight);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    match *bytes {
        [one] => eight(one),
        [one, two] => u64::from_le_bytes([one, two, one, two, one, two, one, two]),
        [one, two, three] => u64::from_le_bytes([one, two, three, one, two, three, one, two]),
        _ => eight(b'0'),
    }
}

/// Fails bytes that aren't ASCII, and CR.
#[inline]
pub(crate) fn not_ascii_or_cr(word: u64) -> u64 {
    let other = word ^ eight(b'\r');
    // A byte that is 0 borrows; one above it may be taken for 0, but then the word fails anyway.
    word | (other.wrapping_sub(eight(1)) & !other)
}

/// Fails bytes that aren't ASCII digits.
#[inline]
pub(crate) fn not_digit(word: u64) -> u64 {
    let low = word & !HIGH;
    word | !(low + eight(0x80 - b'0')) | (low + eight(0x7F - b'9'))
}

/// The characters of three bytes of which plain text consists beside printable ASCII.
pub(crate) const PLAIN: RangeInclusive<char> = '\u{4000}'..='\u{9FFF}';

/// Fails bytes that are in no plain text: those that aren't printable ASCII, and that begin no
/// character of [`PLAIN`], which nearly all Han text consists of. Bytes within a character
/// pass.
#[inline]
fn not_plain(word: u64) -> u64 {
    let low = word & !HIGH;
    let ascii = !(low + eight(0x80 - b' ')) | (low + eight(0x7F - b'~'));
    // E4 to E9 begin such a character, 80 to BF are within one.
    let begins = low + eight(0x80 - 0x40);
    let other = begins & (!(low + eight(0x80 - 0x64)) | (low + eight(0x7F - 0x69)));
    (ascii & !word) | (other & word)
}

/// The beginnings of characters in a word: the lowest bit of each byte that begins one.
#[inline]
fn beginnings(word: u64) -> u64 {
    ((!word | (word << 1)) & HIGH) >> 7
}

/// Fails bytes that white space can begin with: control characters, the space, and what begins a
/// character below U+4000 that isn't ASCII.
#[inline]
fn white(word: u64) -> u64 {
    let low = word & !HIGH;
    let ascii = !(low + eight(0x80 - b'!'));
    let other = (low + eight(0x80 - 0x40)) & !(low + eight(0x80 - 0x64));
    (ascii & !word) | (other & word)
}

/// For each test a bit for each of at most 64 bytes, the first lowest: whether it holds. A test takes
/// sixteen bytes and sets all bits of each for which it does.
#[inline(always)]
fn bits<const TESTS: usize>(bytes: &[u8], tests: impl Fn(u8x16) -> [u8x16; TESTS]) -> [u64; TESTS] {
    let mut found = [0; TESTS];
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut add = |chunk: &[u8; 16], at: usize| {
        for (found, holds) in found.iter_mut().zip(tests(u8x16::new(*chunk))) {
            *found |= u64::from(holds.to_bitmask()) << (at % 64);
        }
    };
    for (chunk, at) in chunks.iter().zip((0..64).step_by(16)) {
        add(chunk, at);
    }
    match bytes.last_chunk::<16>() {
        // Bytes before the rest are tested twice.
        Some(last) if !rest.is_empty() => add(last, bytes.len() - 16),
        Some(_) => {}
        None => {
            add(&padded(bytes).to_le_bytes(), 0);
            found = found.map(|found| found & lowest(bytes.len()));
        }
    }
    found
}

/// Fewer than sixteen bytes, and zeros behind them.
#[inline(always)]
fn padded(bytes: &[u8]) -> u128 {
    // Those in the middle are read twice.
    let behind = |read: usize| 8 * bytes.len().saturating_sub(read);
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return u128::from(first) | u128::from(last) << behind(8);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u128::from(u64::from(first) | u64::from(last) << behind(4));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<2>(), bytes.last_chunk::<2>()) {
        let (first, last) = (u16::from_le_bytes(*first), u16::from_le_bytes(*last));
        return u128::from(u32::from(first) | u32::from(last) << behind(2));
    }
    bytes.first().copied().map_or(0, u128::from)
}

/// Which bytes are that one.
#[inline(always)]
fn are(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(byte))
}

/// Which bytes are one of those from the first to the last.
#[inline(always)]
fn within(bytes: u8x16, first: u8, last: u8) -> u8x16 {
    let above = bytes - u8x16::splat(first);
    above.min(u8x16::splat(last - first)).simd_eq(above)
}

/// So many bits, fewer than 64, from the lowest on.
#[inline(always)]
pub(crate) fn lowest(count: usize) -> u64 {
    (1 << (count % 64)) - 1
}

/// How many bits are set.
#[inline(always)]
pub(crate) fn count(bits: u64) -> usize {
    usize::try_from(bits.count_ones()).unwrap_or(0)
}

/// The place of the lowest set bit; 64 where none is.
#[inline(always)]
pub(crate) fn first(bits: u64) -> usize {
    usize::try_from(bits.trailing_zeros()).unwrap_or(64)
}

/// The place of the highest set bit.
#[inline(always)]
pub(crate) fn highest(bits: u64) -> Option<usize> {
    usize::try_from(bits.checked_ilog2()?).ok()
}

/// The place of the set bit that so many others are below of; 64 where there is none.
#[inline(always)]
pub(crate) fn place(mut bits: u64, below: usize) -> usize {
    for _ in 0..below.min(64) {
        bits &= bits.wrapping_sub(1);
    }
    first(bits)
}

/// Where some of them stand in at most 40 bytes of nothing but colons and hexadecimal digits: a bit for
/// each byte, the first lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hex {
    pub(crate) colons: u64,
    pub(crate) zeros: u64,
    /// Letters in upper case.
    pub(crate) upper: u64,
}

impl Hex {
    /// `None` for other text.
    #[inline]
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text.len() > 40 {
            return None;
        }
        let [known, colons, zeros, upper] = bits(text.as_bytes(), |bytes| {
            let upper = within(bytes, b'A', b'F');
            // The colon follows the digits.
            let known = within(bytes, b'0', b':') | within(bytes, b'a', b'f') | upper;
            [known, are(bytes, b':'), are(bytes, b'0'), upper]
        });
        let found = Self {
            colons,
            zeros,
            upper,
        };
        (known == lowest(text.len())).then_some(found)
    }
}

/// Where in fewer than 64 bytes stands what addresses of mail are made of: a bit for each byte, the
/// first lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mail {
    /// ASCII letters.
    pub(crate) letters: u64,
    /// ASCII letters and digits.
    pub(crate) plain: u64,
    pub(crate) dots: u64,
    pub(crate) ats: u64,
}

impl Mail {
    /// `None` for longer text.
    #[inline]
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text.len() >= 64 {
            return None;
        }
        let [letters, plain, dots, ats] = bits(text.as_bytes(), |bytes| {
            // Letters of both cases differ in one bit.
            let letters = within(bytes | u8x16::splat(0x20), b'a', b'z');
            let plain = letters | within(bytes, b'0', b'9');
            [letters, plain, are(bytes, b'.'), are(bytes, b'@')]
        });
        Some(Self {
            letters,
            plain,
            dots,
            ats,
        })
    }
}

/// At most 15 bytes of decimal digits and dots, zeros behind them, and a bit for each byte that is a dot,
/// the first lowest; `None` for other text.
#[inline]
pub(crate) fn dots_between_digits(text: &str) -> Option<(u128, u64)> {
    if text.len() > 15 {
        return None;
    }
    let [digits, dots] = bits(text.as_bytes(), |bytes| {
        [within(bytes, b'0', b'9'), are(bytes, b'.')]
    });
    (digits | dots == lowest(text.len())).then(|| (padded(text.as_bytes()), dots))
}

/// Where `·` begins in fewer than 64 bytes of nothing but it and characters from U+4E00 to U+9FFF: a bit
/// for each byte, the first lowest. `None` for other text.
#[inline]
pub(crate) fn dots_between_han(text: &str) -> Option<u64> {
    if text.len() >= 64 {
        return None;
    }
    let [known, dots, dot_ends, firsts, below] = bits(text.as_bytes(), |bytes| {
        let dots = are(bytes, 0xC2);
        let known = within(bytes, 0x80, 0xBF) | within(bytes, 0xE4, 0xE9) | dots;
        // Behind E4 those below B8 are of characters below U+4E00.
        [
            known,
            dots,
            are(bytes, 0xB7),
            are(bytes, 0xE4),
            within(bytes, 0x80, 0xB7),
        ]
    });
    let is_it =
        known == lowest(text.len()) && dots << 1 & !dot_ends == 0 && firsts << 1 & below == 0;
    is_it.then_some(dots)
}

/// Whether no byte of a text is one that white space begins with. Some text without white space has
/// such bytes.
#[inline]
pub(crate) fn is_dense(text: &str) -> bool {
    all(text.as_bytes(), white)
}

/// The characters of plain text, which is nothing but printable ASCII and [`PLAIN`]: each
/// code point is one. `None` for other text.
#[inline]
pub(crate) fn plain_count(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (words, rest) = bytes.as_chunks::<8>();
    let (mut failed, mut count, mut sum) = (0, 0, 0);
    // Each byte of the sum counts the beginnings at its place; all of them together fit into one.
    for words in words.chunks(31) {
        for word in words {
            let word = u64::from_le_bytes(*word);
            failed |= not_plain(word);
            sum += beginnings(word);
        }
        count += in_all(sum);
        sum = 0;
    }
    if let (Some(last), false) = (bytes.last_chunk::<8>(), rest.is_empty()) {
        let last = u64::from_le_bytes(*last);
        failed |= not_plain(last);
        count += in_all(beginnings(last) >> (64 - 8 * rest.len()));
    } else if !rest.is_empty() {
        failed |= not_plain(last(bytes));
        count += rest
            .iter()
            .filter(|byte| !matches!(byte, 0x80..=0xBF))
            .count();
    }
    (failed & HIGH == 0).then_some(count)
}

/// Where the characters of plain text of fewer than 64 bytes begin: a bit for each byte, the first
/// lowest. `None` for other text and for longer.
#[inline]
pub(crate) fn plain_beginnings(text: &str) -> Option<u64> {
    if text.len() >= 64 {
        return None;
    }
    let [known, goes_on] = bits(text.as_bytes(), |bytes| {
        let goes_on = within(bytes, 0x80, 0xBF);
        let begins = within(bytes, b' ', b'~') | within(bytes, 0xE4, 0xE9);
        [begins | goes_on, goes_on]
    });
    (known == lowest(text.len())).then_some(known & !goes_on)
}

/// From a byte on: where the first ASCII byte stands that is one of those sought, or the end, and how
/// many characters begin before it.
#[inline]
pub(crate) fn until_ascii(
    bytes: &[u8],
    from: usize,
    is_sought: impl Fn(u8) -> bool,
) -> (usize, usize) {
    let (mut at, mut characters) = (from, 0);
    while let Some(rest) = bytes.get(at..) {
        let word = rest
            .first_chunk()
            .map_or(0, |word| u64::from_le_bytes(*word));
        if word & HIGH == HIGH {
            characters += in_all(beginnings(word));
            at += 8;
            continue;
        }
        match rest.first() {
            Some(byte) if !(byte.is_ascii() && is_sought(*byte)) => {
                characters += usize::from(!matches!(byte, 0x80..=0xBF));
                at += 1;
            }
            Some(_) | None => break,
        }
    }
    (at, characters)
}

/// The sum of the bytes of a word, which is below 256.
#[inline]
fn in_all(word: u64) -> usize {
    usize::from(word.wrapping_mul(eight(1)).to_be_bytes()[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A bit for each byte, the first lowest.
    fn bits_of(text: &str, is: impl Fn(u8) -> bool) -> u64 {
        let bits = text
            .bytes()
            .zip(0..64)
            .map(|(byte, place)| u64::from(is(byte)) << place);
        bits.sum()
    }

    type Test = fn(u64) -> u64;
    type Of = fn(u8) -> bool;

    #[test]
    fn words_fail_where_a_byte_does() {
        let tests: [(Test, Of); 4] = [
            (not_ascii_or_cr, |byte| byte >= 0x80 || byte == b'\r'),
            (not_digit, |byte| !byte.is_ascii_digit()),
            (
                not_plain,
                |byte| !matches!(byte, b' '..=b'~' | 0x80..=0xBF | 0xE4..=0xE9),
            ),
            (white, |byte| matches!(byte, 0..=b' ' | 0xC0..=0xE3)),
        ];
        for (test, fails) in tests {
            for good in (0..=u8::MAX).filter(|byte| !fails(*byte)) {
                for byte in 0..=u8::MAX {
                    for length in 1..20 {
                        for place in [0, length / 2, length - 1] {
                            let mut bytes = vec![good; length];
                            bytes[place] = byte;
                            assert_eq!(all(&bytes, test), !fails(byte), "{bytes:?}");
                        }
                    }
                }
            }
            assert!(all(&[], test));
        }
    }

    proptest! {
        #[test]
        fn characters_are_counted_until_one_that_is_sought(text in "[a-c一-龥]{0,40}", from in 0..40_usize) {
            let from = text.char_indices().map(|(at, _)| at).nth(from).unwrap_or(text.len());
            let rest = text.get(from..).unwrap();
            let before = rest.split('b').next().unwrap();
            let expected = (from + before.len(), before.chars().count());
            prop_assert_eq!(until_ascii(text.as_bytes(), from, |byte| byte == b'b'), expected);
        }

        #[test]
        fn hexadecimal_text_is_read_as_it_is(text in "[0-9a-fA-F:]{0,42}", other in "[0-9a-f:]{0,9}[g@/;é\\x00]") {
            let expected = || Hex {
                colons: bits_of(&text, |byte| byte == b':'),
                zeros: bits_of(&text, |byte| byte == b'0'),
                upper: bits_of(&text, |byte| byte.is_ascii_uppercase()),
            };
            prop_assert_eq!(Hex::read(&text), (text.len() <= 40).then(expected));
            prop_assert_eq!(Hex::read(&other), None);
        }

        #[test]
        fn what_mail_is_made_of_is_found_where_it_stands(text in "[ -~]{0,70}", other in "[a-z0-9@.é\\x00张]{0,20}") {
            for text in [text, other] {
                let expected = || Mail {
                    letters: bits_of(&text, |byte| byte.is_ascii_alphabetic()),
                    plain: bits_of(&text, |byte| byte.is_ascii_alphanumeric()),
                    dots: bits_of(&text, |byte| byte == b'.'),
                    ats: bits_of(&text, |byte| byte == b'@'),
                };
                prop_assert_eq!(Mail::read(&text), (text.len() < 64).then(expected));
            }
        }

        #[test]
        fn dots_between_digits_are_found_where_they_stand(text in "[0-9.]{0,17}", other in "[0-9.]{0,9}[/:a-é\\x00]") {
            let expected = || {
                let mut bytes = [0; 16];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                (u128::from_le_bytes(bytes), bits_of(&text, |byte| byte == b'.'))
            };
            prop_assert_eq!(dots_between_digits(&text), (text.len() <= 15).then(expected));
            prop_assert_eq!(dots_between_digits(&other), None);
        }

        #[test]
        fn dots_between_han_are_found_where_they_stand(
            text in "[一-鿿·]{0,22}",
            other in "[一丿鿿·]{0,5}[ -~䀀䷿〇ａ¸§é\u{7F}𠮷]?[一-龥·]{0,4}",
        ) {
            for text in [text, other] {
                let all = text.chars().all(|c| matches!(c, '\u{4E00}'..='\u{9FFF}' | '·'));
                let expected = || bits_of(&text, |byte| byte == 0xC2);
                prop_assert_eq!(dots_between_han(&text), (all && text.len() < 64).then(expected), "{}", text);
            }
        }

        #[test]
        fn plain_text_is_counted_as_it_is(text in "[ -~一-龥䀀鿿㿿ꀀ\u{7F}\n·é]{0,40}", plain in "[ -~一-龥䀀鿿]{0,600}") {
            let is = text.chars().all(|c| matches!(c, ' '..='~') || PLAIN.contains(&c));
            prop_assert_eq!(plain_count(&text), is.then(|| text.chars().count()));
            prop_assert_eq!(plain_count(&plain), Some(plain.chars().count()));
            let begins = || bits_of(&text, |byte| !matches!(byte, 0x80..=0xBF));
            prop_assert_eq!(plain_beginnings(&text), (is && text.len() < 64).then(begins));
        }
    }
}
