//! Lists of names in Han characters, and where a name stands in one: found by a hash, because a
//! value is looked up in lists of hundreds, and a search by halves is slower than the whole mask.

/// A list of names of two or more Han characters, by hash. There are `SLOTS` slots, a power of two
/// and more than there are names; a name stands at its hash or in one of the slots that follow.
#[derive(Debug)]
pub(super) struct Names<const SLOTS: usize> {
    names: &'static [&'static str],
    /// Places in the list from 1 on; 0 for none.
    slots: [u16; SLOTS],
}

impl<const SLOTS: usize> Names<SLOTS> {
    #[expect(
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::panic,
        reason = "the compiler evaluates it, and the assertion says that it fits"
    )]
    pub(super) const fn new(names: &'static [&'static str]) -> Self {
        assert!(SLOTS.is_power_of_two() && names.len() < SLOTS && SLOTS <= 1 << 16);
        let mut slots = [0; SLOTS];
        let mut place = 0;
        while place < names.len() {
            let Some(mut slot) = Self::slot(names[place]) else {
                panic!("a name of less than two Han characters")
            };
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            place += 1;
            slots[slot] = place as u16;
        }
        Self { names, slots }
    }

    /// The slot that a name would best stand in; none for what is shorter than every name.
    #[expect(clippy::as_conversions, reason = "there are no more slots than fit")]
    const fn slot(name: &str) -> Option<usize> {
        let bytes = name.as_bytes();
        let (Some(first), Some(last)) = (bytes.first_chunk::<6>(), bytes.last_chunk::<6>()) else {
            return None;
        };
        let first = u64::from_le_bytes([
            first[0], first[1], first[2], first[3], first[4], first[5], 0, 0,
        ]);
        let last = u64::from_le_bytes([last[0], last[1], last[2], last[3], last[4], last[5], 0, 0]);
        let mixed = (first ^ last.rotate_left(24)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Some((mixed >> 40) as usize % SLOTS)
    }

    /// The place of a name in the list.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let mut slot = Self::slot(name)?;
        loop {
            let place = usize::from(*self.slots.get(slot)?).checked_sub(1)?;
            if *self.names.get(place)? == name {
                return Some(place);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[&str] = &["一一", "一二", "一二三", "三二一", "二一", "二二"];

    #[test]
    fn every_name_is_found_and_no_other() {
        static NAMES: Names<8> = Names::new(LIST);
        for (place, name) in LIST.iter().enumerate() {
            assert_eq!(NAMES.find(name), Some(place), "{name}");
        }
        for name in ["", "一", "三三", "一二三四", "abcdef"] {
            assert_eq!(NAMES.find(name), None, "{name}");
        }
    }
}
