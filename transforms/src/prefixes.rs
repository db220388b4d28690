//! What a mask remembers of the values of a batch: how they begin, and what it read there.
//!
//! Registers are kept by place, so that their addresses begin with few different divisions. To find
//! one of them again costs a fifth of reading it. A beginning that was forgotten is read again, so
//! that no result depends on what is remembered.

/// Where the parts of a beginning end: province, city and district of an address.
pub(crate) type Ends = [Option<usize>; 3];

/// Beginnings of values. Each has one place, by a hash of its first 27 bytes, or of 18 where it is
/// shorter; what comes later to that place takes it.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    slots: Vec<Prefix>,
}

/// Beginnings that are remembered.
const SLOTS: usize = 512;

/// Most bytes of a beginning: 16 Han characters.
const BYTES_MAX: usize = 48;

/// First bytes that are hashed: nine Han characters, as `浙江省杭州市西湖区`, or six.
const LONG: usize = 27;
const SHORT: usize = 18;

#[derive(Debug, Clone)]
struct Prefix {
    text: [u8; BYTES_MAX],
    length: usize,
    ends: Ends,
}

impl Prefixes {
    /// What was read of a text that begins like this one.
    #[inline]
    pub(crate) fn find(&self, text: &[u8]) -> Option<(usize, Ends)> {
        let long = slot_of::<LONG>(text).and_then(|slot| self.slots.get(slot)?.of(text));
        long.or_else(|| self.slots.get(slot_of::<SHORT>(text)?)?.of(text))
    }

    /// Remembers what was read of a beginning, unless it is too short or too long.
    pub(crate) fn remember(&mut self, prefix: &[u8], ends: Ends) {
        let slot = slot_of::<LONG>(prefix).or_else(|| slot_of::<SHORT>(prefix));
        let Some(slot) = slot.filter(|_| prefix.len() <= BYTES_MAX) else {
            return;
        };
        if self.slots.is_empty() {
            let none = Prefix {
                text: [0; BYTES_MAX],
                length: 0,
                ends: [None; 3],
            };
            self.slots.resize(SLOTS, none);
        }
        if let Some(own) = self.slots.get_mut(slot) {
            for (byte, given) in own.text.iter_mut().zip(prefix) {
                *byte = *given;
            }
            own.length = prefix.len();
            own.ends = ends;
        }
    }
}

impl Prefix {
    #[inline]
    fn of(&self, text: &[u8]) -> Option<(usize, Ends)> {
        let is_own = self.length > 0 && text.starts_with(self.text.get(..self.length)?);
        is_own.then_some((self.length, self.ends))
    }
}

/// The place of a text that has so many bytes.
#[inline]
fn slot_of<const BYTES: usize>(text: &[u8]) -> Option<usize> {
    let bytes = text.first_chunk::<BYTES>()?;
    let (words, _) = bytes.as_chunks::<8>();
    let last = u64::from_le_bytes(*bytes.last_chunk()?);
    let mixed = words.iter().fold(last, |mixed, word| {
        (mixed.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    });
    usize::try_from(mixed >> 48).ok().map(|slot| slot % SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_found_for_whatever_begins_so() {
        let mut prefixes = Prefixes::default();
        let known = [
            "北京市朝阳区",
            "浙江省杭州市西湖区",
            "广西壮族自治区南宁市青秀区",
        ];
        for text in known {
            assert_eq!(prefixes.find(text.as_bytes()), None);
            prefixes.remember(text.as_bytes(), [Some(text.len()), None, Some(1)]);
        }
        for text in known {
            let whole = format!("{text}文三路1号");
            let found = prefixes.find(whole.as_bytes());
            assert_eq!(found, Some((text.len(), [Some(text.len()), None, Some(1)])));
        }
        for other in ["北京市", "北京市朝阴区文三路", "浙江省杭州市西湖", ""] {
            assert_eq!(prefixes.find(other.as_bytes()), None, "{other}");
        }
        prefixes.remember("西湖区".as_bytes(), [None; 3]);
        prefixes.remember("阿".repeat(17).as_bytes(), [None; 3]);
        assert_eq!(prefixes.find("阿".repeat(17).as_bytes()), None);
    }
}
