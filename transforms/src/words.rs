//! Bytes looked at eight at a time, in one register: what most values are, so that the few others
//! can be told apart without a look at each byte.
//!
//! A test takes eight bytes and sets the highest bit of each that fails it. It adds to the lower
//! seven bits only, so that nothing carries from one byte into the next.

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

/// Fails bytes that are in no plain text: those that aren't printable ASCII, and that begin no
/// character from U+4000 to U+9FFF, which nearly all Han text consists of. Bytes within a character
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

/// Fails bytes that are neither hexadecimal digits nor colons.
#[inline]
fn not_hex_or_colon(word: u64) -> u64 {
    let low = word & !HIGH;
    // The colon follows the digits; letters of both cases differ in one bit.
    let digit = (low + eight(0x80 - b'0')) & !(low + eight(0x7F - b':'));
    let lower = low | eight(0x20);
    let letter = (lower + eight(0x80 - b'a')) & !(lower + eight(0x7F - b'f'));
    word | !(digit | letter)
}

/// The highest bit of each byte that is a colon.
#[inline]
fn colons(word: u64) -> u64 {
    let other = word ^ eight(b':');
    !(((other & !HIGH) + !HIGH) | other) & HIGH
}

/// The highest bits of eight bytes side by side, that of the first byte lowest.
#[inline]
fn side_by_side(word: u64) -> u64 {
    ((word & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Where colons stand in at most 40 bytes of nothing but them and hexadecimal digits: a bit for
/// each byte, the first lowest. `None` for other text.
#[inline]
pub(crate) fn colons_between_hex(text: &str) -> Option<u64> {
    let mut bytes = [b'0'; 40];
    bytes
        .get_mut(..text.len())?
        .copy_from_slice(text.as_bytes());
    let (words, _) = bytes.as_chunks::<8>();
    let (mut failed, mut found) = (0, 0);
    for word in words.iter().rev() {
        let word = u64::from_le_bytes(*word);
        failed |= not_hex_or_colon(word);
        found = found << 8 | side_by_side(colons(word));
    }
    (failed & HIGH == 0).then_some(found)
}

/// Whether no byte of a text is one that white space begins with. Some text without white space has
/// such bytes.
#[inline]
pub(crate) fn is_dense(text: &str) -> bool {
    all(text.as_bytes(), white)
}

/// The characters of plain text, which is nothing but printable ASCII and U+4000 to U+9FFF: each
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

    type Test = fn(u64) -> u64;
    type Of = fn(u8) -> bool;

    #[test]
    fn words_fail_where_a_byte_does() {
        let tests: [(Test, Of); 5] = [
            (not_ascii_or_cr, |byte| byte >= 0x80 || byte == b'\r'),
            (not_digit, |byte| !byte.is_ascii_digit()),
            (
                not_plain,
                |byte| !matches!(byte, b' '..=b'~' | 0x80..=0xBF | 0xE4..=0xE9),
            ),
            (white, |byte| matches!(byte, 0..=b' ' | 0xC0..=0xE3)),
            (not_hex_or_colon, |byte| {
                !byte.is_ascii_hexdigit() && byte != b':'
            }),
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
        fn colons_are_found_where_they_stand(text in "[0-9a-fA-F:]{0,42}", other in "[0-9a-f:]{0,9}[g@/;é]") {
            let bit = |(place, byte): (usize, u8)| u64::from(byte == b':') << place;
            let expected = || text.bytes().enumerate().map(bit).sum::<u64>();
            prop_assert_eq!(colons_between_hex(&text), (text.len() <= 40).then(expected));
            prop_assert_eq!(colons_between_hex(&other), None);
        }

        #[test]
        fn plain_text_is_counted_as_it_is(text in "[ -~一-龥䀀\u{7F}\n·é]{0,40}", plain in "[ -~一-龥䀀鿿]{0,600}") {
            let is = text.chars().all(|c| matches!(c, ' '..='~' | '\u{4000}'..='\u{9FFF}'));
            prop_assert_eq!(plain_count(&text), is.then(|| text.chars().count()));
            prop_assert_eq!(plain_count(&plain), Some(plain.chars().count()));
        }
    }
}
