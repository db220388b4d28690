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
    begun(&PREFECTURES, text, codes)
}

/// The county or district among `codes` whose whole name text begins with.
#[inline]
pub(crate) fn county(text: &str, codes: &Range<u32>) -> Option<Begun> {
    begun(&COUNTIES, text, codes)
}

/// Slots of a hash table of names: a name's place in the table of codes, from 1 on, stands at its
/// hash or in one of the slots that follow; 0 ends them.
static PREFECTURES: [u16; 1_024] = slots(false);
static COUNTIES: [u16; 8_192] = slots(true);

#[inline]
fn begun<const SLOTS: usize>(
    slots: &[u16; SLOTS],
    text: &str,
    codes: &Range<u32>,
) -> Option<Begun> {
    let mut slot = slot_of(text.as_bytes(), SLOTS)?;
    loop {
        let place = usize::from(*slots.get(slot)?).checked_sub(1)?;
        let own = TABLE_READ.get(place)?;
        if codes.contains(&own.code) && text.starts_with(own.name) {
            return Some(Begun {
                code: own.code,
                bytes: own.name.len(),
            });
        }
        slot = (slot + 1) % SLOTS;
    }
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

/// Puts the names of all counties or all prefectures into slots.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "the compiler evaluates it, and there are fewer codes than 2^16"
)]
const fn slots<const SLOTS: usize>(counties: bool) -> [u16; SLOTS] {
    let (mut slots, mut names, mut place) = ([0; SLOTS], 0, 0);
    while place < CODES {
        let own = TABLE_READ[place];
        place += 1;
        let is_county = !own.code.is_multiple_of(100);
        let is_province = own.code.is_multiple_of(10_000);
        if own.name.is_empty() || is_province || is_county != counties {
            continue;
        }
        let Some(mut slot) = slot_of(own.name.as_bytes(), SLOTS) else {
            panic!("a name of less than two Han characters")
        };
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = place as u16;
        names += 1;
        assert!(names < SLOTS, "a slot must stay empty");
    }
    slots
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
