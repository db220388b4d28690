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
        fn plain_text_is_counted_as_it_is(text in "[ -~一-龥䀀\u{7F}\n·é]{0,40}", plain in "[ -~一-龥䀀鿿]{0,600}") {
            let is = text.chars().all(|c| matches!(c, ' '..='~' | '\u{4000}'..='\u{9FFF}'));
            prop_assert_eq!(plain_count(&text), is.then(|| text.chars().count()));
            prop_assert_eq!(plain_count(&plain), Some(plain.chars().count()));
        }
    }
}
