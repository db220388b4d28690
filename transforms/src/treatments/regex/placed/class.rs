//! A class of characters, as fast to ask as most text needs: ASCII by its bits, others by the range first
//! that has most of [plain](crate::words::PLAIN) text.

use regex_syntax::hir::ClassUnicode;

use crate::words::PLAIN;

/// Some of all characters.
#[derive(Debug)]
pub(super) struct Class {
    /// Which ASCII characters, as bits.
    ascii: [u64; 2],
    /// The range of other ones that is looked at first.
    likely: (char, char),
    /// All ranges of other ones, in ascending order.
    others: Box<[(char, char)]>,
    has_plain: bool,
}

impl Class {
    pub(super) fn new(class: &ClassUnicode) -> Self {
        let ranges = || class.ranges().iter();
        let mut ascii = [0; 2];
        for range in ranges().filter(|range| range.start().is_ascii()) {
            for character in range.start()..=range.end().min('\x7F') {
                let byte = u8::try_from(character).unwrap_or(0);
                if let Some(bits) = ascii.get_mut(usize::from(byte / 64)) {
                    *bits |= 1 << (byte % 64);
                }
            }
        }
        let others = ranges().filter(|range| !range.end().is_ascii());
        let others = others.map(|range| (range.start().max('\u{80}'), range.end()));
        let others: Box<[_]> = others.collect();
        let plain = |(first, last): &&(char, char)| {
            let (from, to) = (first.max(PLAIN.start()), last.min(PLAIN.end()));
            u32::from(*to).saturating_sub(u32::from(*from))
        };
        let likely = others.iter().max_by_key(plain).copied();
        let mut read = Self {
            ascii,
            // None is in an empty one.
            likely: likely.unwrap_or(('\u{1}', '\0')),
            others,
            has_plain: false,
        };
        let (first, last) = read.likely;
        let has_wide = first <= *PLAIN.start() && *PLAIN.end() <= last;
        read.has_plain = has_wide && (b' '..=b'~').all(|byte| read.has_byte(byte));
        read
    }

    /// Whether it has every character of which plain text consists.
    #[inline(always)]
    pub(super) fn has_plain(&self) -> bool {
        self.has_plain
    }

    /// Whether it has an ASCII character.
    #[inline(always)]
    pub(super) fn has_byte(&self, byte: u8) -> bool {
        let bits = self.ascii.get(usize::from(byte / 64));
        bits.is_some_and(|bits| bits >> (byte % 64) & 1 == 1)
    }

    /// Whether it has a character.
    #[inline(always)]
    pub(super) fn has(&self, character: char) -> bool {
        if let Ok(byte) = u8::try_from(character)
            && byte.is_ascii()
        {
            return self.has_byte(byte);
        }
        let (first, last) = self.likely;
        (first..=last).contains(&character) || self.has_other(character)
    }

    #[inline(never)]
    fn has_other(&self, character: char) -> bool {
        let from = self.others.partition_point(|(_, last)| *last < character);
        self.others
            .get(from)
            .is_some_and(|(first, _)| *first <= character)
    }
}
