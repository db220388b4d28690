//! Divisions of today by how text begins: for whoever reads an address.
//!
//! Names are found by a hash of their first two characters and then compared whole, because an
//! address is read for every row. No name is the beginning of another, so at most one fits.

use std::ops::Range;

use super::{CODES, TABLE_READ};

/// A division that text begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Its six digits.
    pub(crate) code: u32,
    /// Bytes of its name.
    pub(crate) bytes: usize,
}

/// Every code.
pub(crate) const ANYWHERE: Range<u32> = 0..1_000_000;

/// The codes of a province or prefecture, its own among them.
pub(crate) fn codes_of(code: u32) -> Range<u32> {
    let all = if code.is_multiple_of(10_000) {
        10_000
    } else {
        100
    };
    code..code + all
}

/// The prefecture among `codes` whose whole name text begins with.
#[inline]
pub(crate) fn prefecture(text: &str, codes: &Range<u32>) -> Option<Begun> {
    PREFECTURES.begun(text, codes)
}

/// The county or district among `codes` whose whole name text begins with.
#[inline]
pub(crate) fn county(text: &str, codes: &Range<u32>) -> Option<Begun> {
    COUNTIES.begun(text, codes)
}

/// Slots of a hash table of names: a name's place in the list, from 1 on, stands at its hash or in one
/// of the slots that follow; 0 ends them. Of prefectures nearly each has a hash of its own: how many slots
/// are looked at is then known ahead.
static PREFECTURES: Table<333, 4_096> = Table::new(false);
static COUNTIES: Table<2_842, 8_192> = Table::new(true);

/// The names of all counties or all prefectures.
struct Table<const NAMES: usize, const SLOTS: usize> {
    names: [Name; NAMES],
    slots: [u16; SLOTS],
}

/// A name as text is compared with it: by its first bytes, in registers.
#[derive(Clone, Copy)]
struct Name {
    first: u128,
    code: u32,
    bytes: u16,
    /// Its place in the table of codes.
    place: u16,
}

/// Bytes of a name that are compared in registers: all that most have.
const COMPARED: usize = 16;

/// For each number of bytes as many that are set.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
static SET: [u128; COMPARED + 1] = {
    let mut set = [0; COMPARED + 1];
    let mut bytes = 1;
    while bytes <= COMPARED {
        set[bytes] = u128::MAX >> (8 * (COMPARED - bytes));
        bytes += 1;
    }
    set
};

impl Name {
    /// Whether text begins with it, of which the first bytes are given where there are enough.
    #[inline(always)]
    fn begins(&self, text: &str, first: Option<u128>) -> bool {
        let bytes = usize::from(self.bytes);
        let whole = || {
            let own = TABLE_READ.get(usize::from(self.place));
            own.is_some_and(|own| text.starts_with(own.name))
        };
        let set = SET.get(bytes.min(COMPARED)).copied().unwrap_or(0);
        match first {
            Some(first) => (first ^ self.first) & set == 0 && (bytes <= COMPARED || whole()),
            None => whole(),
        }
    }
}

impl<const NAMES: usize, const SLOTS: usize> Table<NAMES, SLOTS> {
    #[inline]
    fn begun(&self, text: &str, codes: &Range<u32>) -> Option<Begun> {
        let first = text.as_bytes().first_chunk();
        let first = first.map(|first| u128::from_le_bytes(*first));
        let mut slot = slot_of(text.as_bytes(), SLOTS)?;
        loop {
            let place = usize::from(*self.slots.get(slot)?).checked_sub(1)?;
            let own = self.names.get(place)?;
            if codes.contains(&own.code) && own.begins(text, first) {
                return Some(Begun {
                    code: own.code,
                    bytes: usize::from(own.bytes),
                });
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// Reads the table of codes.
    #[expect(
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::panic,
        reason = "the compiler evaluates it, and there are fewer codes than 2^16"
    )]
    const fn new(counties: bool) -> Self {
        assert!(NAMES < SLOTS, "a slot must stay empty");
        let none = Name {
            first: 0,
            code: 0,
            bytes: 0,
            place: 0,
        };
        let (mut names, mut slots) = ([none; NAMES], [0; SLOTS]);
        let (mut found, mut place) = (0, 0);
        while place < CODES {
            let own = TABLE_READ[place];
            place += 1;
            let is_county = !own.code.is_multiple_of(100);
            let is_province = own.code.is_multiple_of(10_000);
            if own.name.is_empty() || is_province || is_county != counties {
                continue;
            }
            let text = own.name.as_bytes();
            let Some(mut slot) = slot_of(text, SLOTS) else {
                panic!("a name of less than two Han characters")
            };
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            names[found] = Name {
                first: first_of(text),
                code: own.code,
                bytes: text.len() as u16,
                place: (place - 1) as u16,
            };
            found += 1;
            slots[slot] = found as u16;
        }
        assert!(found == NAMES, "the table has another number of names");
        Self { names, slots }
    }
}

/// The first bytes of a name, zeros behind them.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
const fn first_of(name: &[u8]) -> u128 {
    let (mut first, mut at) = (0, 0);
    while at < name.len() && at < COMPARED {
        first |= (name[at] as u128) << (8 * at);
        at += 1;
    }
    first
}

/// The slot for text that begins with two Han characters; none for text that is shorter.
#[expect(
    clippy::as_conversions,
    reason = "there are no more slots than 2^24, and usize has more bits"
)]
const fn slot_of(text: &[u8], slots: usize) -> Option<usize> {
    let Some([one, two, three, four, five, six]) = text.first_chunk::<6>() else {
        return None;
    };
    let beginning = u64::from_le_bytes([*one, *two, *three, *four, *five, *six, 0, 0]);
    Some((beginning.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % slots)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_found_where_it_lies_and_nowhere_else() {
        for own in TABLE_READ.iter().filter(|own| !own.name.is_empty()) {
            let text = format!("{}文三路1号", own.name);
            let outside = codes_of(990_000);
            assert_eq!(county(&text, &outside), None, "{}", own.name);
            assert_eq!(prefecture(&text, &outside), None, "{}", own.name);
            let find = match own.code {
                code if code % 10_000 == 0 => continue,
                code if code % 100 == 0 => prefecture,
                _ => county,
            };
            let begun = Begun {
                code: own.code,
                bytes: own.name.len(),
            };
            let of_prefecture = codes_of(own.code / 100 * 100);
            assert_eq!(find(&text, &of_prefecture), Some(begun), "{}", own.name);
            for wider in [codes_of(own.code / 10_000 * 10_000), ANYWHERE] {
                let found = find(&text, &wider).unwrap();
                assert_eq!(found.bytes, begun.bytes, "{}", own.name);
            }
        }
        for text in ["", "区", "红旗路", "小区", "abcdef"] {
            assert_eq!(county(text, &ANYWHERE), None, "{text}");
        }
    }

    #[test]
    fn no_name_is_the_beginning_of_another() {
        let lower = TABLE_READ.iter().filter(|own| own.code % 10_000 != 0);
        let names: BTreeSet<&str> = lower.map(|own| own.name).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        for pair in names.windows(2) {
            assert!(!pair[1].starts_with(pair[0]), "{pair:?}");
        }
    }
}
