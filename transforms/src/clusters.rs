//! Characters as a reader sees them: extended grapheme clusters (Unicode UAX #29).
//!
//! Full segmentation costs about a hundred nanoseconds a value. Most values of registers are ASCII
//! or Han, where every code point is a cluster of its own, so those are told apart first.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::words;

/// Where the characters of a value begin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clusters<'a> {
    /// One byte each.
    Bytes(&'a str),
    /// One code point each; the number of them.
    CodePoints(&'a str, usize),
    /// The same of a short value; a bit for each byte that begins one, the first lowest.
    Beginnings(&'a str, u64),
    /// One code point of three bytes each, as Han characters have it; the number of them.
    Wide(&'a str, usize),
    /// Byte offsets of their beginnings, and the value's length.
    Offsets(&'a [usize], usize),
}

impl<'a> Clusters<'a> {
    /// Finds the characters of `value`, using `scratch` where they need segmentation.
    #[inline]
    pub(crate) fn of(value: &'a str, scratch: &'a mut Vec<usize>) -> Self {
        if is_bytes(value) {
            return Self::Bytes(value);
        }
        match words::plain_beginnings(value) {
            Some(begins) => Self::Beginnings(value, begins),
            None => Self::of_other(value, scratch),
        }
    }

    #[inline(never)]
    fn of_other(value: &'a str, scratch: &'a mut Vec<usize>) -> Self {
        if let Some(count) = words::plain_count(value).or_else(|| alone_count(value)) {
            return Self::CodePoints(value, count);
        }
        scratch.clear();
        for (offset, cluster) in value.grapheme_indices(true) {
            scratch.push(offset);
            scratch.extend(apart(cluster).map(|within| offset + within));
        }
        Self::Offsets(scratch, value.len())
    }

    /// How many characters there are.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        if let Self::Bytes(value) = self {
            return value.len();
        }
        match self {
            Self::Bytes(value) => value.len(),
            Self::CodePoints(_, count) | Self::Wide(_, count) => *count,
            Self::Beginnings(_, begins) => words::count(*begins),
            Self::Offsets(offsets, _) => offsets.len(),
        }
    }

    /// The byte offset where character `index` begins; the value's length from the last on.
    #[inline]
    pub(crate) fn offset(&self, index: usize) -> usize {
        // Told first, because nothing else is as cheap.
        if let Self::Bytes(value) = self {
            return index.min(value.len());
        }
        self.offset_of_other(index)
    }

    #[inline]
    fn offset_of_other(&self, index: usize) -> usize {
        match self {
            Self::Bytes(value) => index.min(value.len()),
            Self::Wide(_, count) => index.min(*count) * 3,
            Self::CodePoints(value, count) => match count.checked_sub(index) {
                None => value.len(),
                Some(after) if after < index => back(value.as_bytes(), after),
                Some(_) => ahead(value.as_bytes(), index),
            },
            Self::Beginnings(value, begins) => words::place(*begins, index).min(value.len()),
            Self::Offsets(offsets, length) => offsets.get(index).copied().unwrap_or(*length),
        }
    }
}

/// The number of characters of a value.
pub(crate) fn count(value: &str) -> usize {
    if is_bytes(value) {
        return value.len();
    }
    words::plain_count(value)
        .or_else(|| alone_count(value))
        .unwrap_or_else(|| {
            let clusters = value.graphemes(true);
            clusters.map(|cluster| 1 + apart(cluster).count()).sum()
        })
}

/// Most code points of a character: as many as the longest emoji that Unicode recommends has.
const CODE_POINTS_MAX: usize = 10;

/// Where further characters begin in a cluster that carries more than a reader sees: after so many
/// code points, and at tag characters, which show nothing but in the flags of regions. Else a
/// character that stays could take any text along.
fn apart(cluster: &str) -> impl Iterator<Item = usize> + '_ {
    let is_flag = cluster.starts_with('🏴');
    let is_tag = |character: char| matches!(character, '\u{E0000}'..='\u{E007F}');
    // A base and one tag are five bytes at least.
    let long = (cluster.len() > 4).then_some(cluster);
    let code_points = long.into_iter().flat_map(str::char_indices).enumerate();
    let begins = code_points.skip(1).filter(move |(number, (_, character))| {
        number.is_multiple_of(CODE_POINTS_MAX) || is_tag(*character) && !is_flag
    });
    begins.map(|(_, (at, _))| at)
}

/// The byte offset where character `index` begins, where that and that there is one shows without
/// looking at what follows; else `None`.
pub(crate) fn head(value: &str, index: usize) -> Option<usize> {
    let mut characters = value.char_indices();
    for _ in 0..index {
        let (_, character) = characters.next()?;
        if !is_alone(character) {
            return None;
        }
    }
    let (offset, character) = characters.next()?;
    is_alone(character).then_some(offset)
}

/// Whether a character begins or the value ends at a byte offset between two code points.
#[inline]
pub(crate) fn is_boundary(value: &str, offset: usize) -> bool {
    let byte = |at: Option<usize>| value.as_bytes().get(at?).copied();
    // E4 to E9 begin nearly all Han characters, of three bytes each.
    let plain_before = match byte(offset.checked_sub(1)) {
        None | Some(b' '..=b'~') => true,
        Some(_) => matches!(byte(offset.checked_sub(3)), Some(0xE4..=0xE9)),
    };
    let plain_after = matches!(byte(Some(offset)), None | Some(b' '..=b'~' | 0xE4..=0xE9));
    plain_before && plain_after || is_boundary_in_any(value, offset)
}

fn is_boundary_in_any(value: &str, offset: usize) -> bool {
    let before = value
        .get(..offset)
        .and_then(|text| text.chars().next_back());
    let after = value.get(offset..).and_then(|text| text.chars().next());
    match (before, after) {
        (Some(before), Some(after)) if is_alone(before) && is_alone(after) => true,
        (Some(_), Some(_)) => GraphemeCursor::new(offset, value.len(), true)
            .is_boundary(value, 0)
            .unwrap_or(false),
        _ => true,
    }
}

/// The byte offset after so many code points; the length if there are fewer.
#[inline]
pub(crate) fn ahead(bytes: &[u8], count: usize) -> usize {
    let mut at = 0;
    for _ in 0..count {
        at += match bytes.get(at) {
            None => return bytes.len(),
            Some(0..=0x7F) => 1,
            Some(0x80..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..) => 4,
        };
    }
    at
}

/// The byte offset before the last so many code points; 0 if there are fewer.
#[inline]
pub(crate) fn back(bytes: &[u8], count: usize) -> usize {
    let mut left = count;
    let mut at = bytes.len();
    while left > 0 && at > 0 {
        at -= 1;
        // 80 to BF go on with a code point.
        left -= usize::from(!matches!(bytes.get(at), Some(0x80..=0xBF)));
    }
    at
}

/// Whether every byte is a character: ASCII without CR, which may be one with the LF after it.
#[inline]
pub(crate) fn is_bytes(value: &str) -> bool {
    // Most text that isn't ASCII says so with its first byte.
    value.as_bytes().first().is_none_or(u8::is_ascii)
        && words::all(value.as_bytes(), words::not_ascii_or_cr)
}

/// Whether every code point is known to be a character.
pub(crate) fn are_code_points(value: &str) -> bool {
    value.chars().all(is_alone)
}

/// The number of characters, where every code point is known to be one.
fn alone_count(value: &str) -> Option<usize> {
    let mut count = 0;
    for character in value.chars() {
        if !is_alone(character) {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// Whether a code point never joins another of these into one cluster. True for a subset of the
/// code points of which that holds; CR is out because CR LF is one cluster.
fn is_alone(character: char) -> bool {
    matches!(character,
        '\u{4000}'..='\u{9FFF}'          // end of extension A, hexagrams, CJK ideographs
        | ' '..='~'
        | '\u{A0}'..='\u{2FF}'           // Latin, IPA, modifier letters
        | '\u{2010}'..='\u{2027}'        // dashes and quotation marks
        | '\u{3000}'..='\u{3029}'        // CJK punctuation
        | '\u{3041}'..='\u{3096}'        // Hiragana
        | '\u{30A0}'..='\u{30FF}'        // Katakana
        | '\u{3400}'..='\u{3FFF}'        // extension A, but for its end
        | '\u{FF01}'..='\u{FF9D}'        // full-width and half-width forms
        | '\u{20000}'..='\u{2FA1D}'      // extensions B to F and I, compatibility supplement
        | '\u{30000}'..='\u{323AF}'      // extensions G and H
        | '\0'..='\u{0C}' | '\u{0E}'..='\u{1F}' | '\u{7F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_taken_as_alone_are() {
        let alone: Vec<char> = ('\0'..=char::MAX).filter(|c| is_alone(*c)).collect();
        let text: String = alone.iter().collect();
        assert_eq!(text.graphemes(true).count(), alone.len());
        let backwards: String = alone.iter().rev().collect();
        assert_eq!(backwards.graphemes(true).count(), alone.len());
        for pair in ["\u{A9}\u{A9}", "々々", "ーー", "\n\n", "é\u{2019}"] {
            assert_eq!(pair.graphemes(true).count(), count(pair), "{pair:?}");
        }
    }

    #[test]
    fn the_head_of_common_text_is_found_without_its_rest() {
        assert_eq!(head("浙江省杭州市", 3), Some(9));
        assert_eq!(head("a1c", 2), Some(2));
        assert_eq!(head("a1", 2), None);
        assert_eq!(head("张e\u{301}x", 2), None);
        assert_eq!(head("", 0), None);
    }

    #[test]
    fn boundaries_are_those_of_segmentation() {
        let parts = [
            "a",
            "\r",
            "\n",
            "张",
            "e\u{301}",
            "·",
            "👨‍👩‍👧",
            "𠮷",
            "\u{301}",
            "한",
            "🇨🇳",
            "~",
            "é",
        ];
        for (first, second) in parts
            .iter()
            .flat_map(|one| parts.map(|other| (*one, other)))
        {
            let value = format!("{first}{second}");
            for (offset, _) in value.char_indices() {
                let begins = value.grapheme_indices(true).any(|(at, _)| at == offset);
                assert_eq!(is_boundary(&value, offset), begins, "{value:?} {offset}");
            }
            assert!(is_boundary(&value, value.len()));
        }
    }

    #[test]
    fn no_character_takes_along_what_no_reader_sees() {
        let tagged = "张\u{E0031}\u{E0033}\u{E0038}三";
        let mut scratch = Vec::new();
        let clusters = Clusters::of(tagged, &mut scratch);
        assert_eq!((clusters.count(), clusters.offset(1)), (5, 3));
        assert_eq!(count(tagged), 5);
        let marked = format!("a{}b", "\u{301}".repeat(40));
        let clusters = Clusters::of(&marked, &mut scratch);
        assert_eq!((clusters.count(), clusters.offset(1)), (6, 1 + 9 * 2));
        assert_eq!(count(&marked), 6);
        for whole in [
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "🧑🏻‍❤️‍💋‍🧑🏼",
            "葛\u{E0100}",
        ] {
            assert_eq!(count(whole), 1, "{whole}");
        }
    }

    #[test]
    fn offsets_agree_with_segmentation() {
        let values = [
            "110105194912310021",
            "欧阳娜娜",
            "𠮷野家a",
            "👨‍👩‍👧张e\u{301}",
            "a\r\nb",
            "🇨🇳🇨🇳",
            "각ᄀ",
            "",
        ];
        for value in values {
            let mut scratch = Vec::new();
            let clusters = Clusters::of(value, &mut scratch);
            let expected: Vec<usize> = value.grapheme_indices(true).map(|(at, _)| at).collect();
            assert_eq!(clusters.count(), expected.len(), "{value}");
            assert_eq!(count(value), expected.len(), "{value}");
            for (index, at) in expected.iter().enumerate() {
                assert_eq!(clusters.offset(index), *at, "{value}");
            }
            for index in 0..=expected.len() + 1 {
                let found = head(value, index);
                assert!(
                    found.is_none() || found == expected.get(index).copied(),
                    "{value}"
                );
            }
            assert_eq!(clusters.offset(expected.len()), value.len());
            assert_eq!(clusters.offset(usize::MAX), value.len());
        }
    }
}
