//! How many tags there are, and how likely one is by chance.

/// What the chance of a match is reckoned above the even one, where tags are no power of two: by how much
/// the likeliest of them exceeds it is less.
const CEILED: f64 = 1.0 / 1_125_899_906_842_624.0;

/// How many different tags a pseudonym can have. For whoever knows nothing of a grant's, each is as likely as
/// any other: exactly, where they are a power of two. Of others, up to a thousand, none is likelier than 1 in
/// their number by more than one part in 2^54, and [`chance`](Self::chance) is above that, so that the weight of
/// a vote is of mean 1 at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagSpace(u64);

impl TagSpace {
    /// So many tags, one at least.
    pub fn new(tags: u64) -> Self {
        Self(tags.max(1))
    }

    /// The tags of so many bits.
    pub fn of_bits(bits: u32) -> Self {
        Self(1_u64.checked_shl(bits).unwrap_or(1 << 63))
    }

    /// The tags of so many decimal digits.
    pub(super) fn of_digits(digits: u32) -> Self {
        Self(10_u64.saturating_pow(digits))
    }

    /// How many there are.
    pub fn tags(self) -> u64 {
        self.0
    }

    /// Their bits, where they are a power of two.
    pub fn bits(self) -> Option<u32> {
        self.0.is_power_of_two().then(|| self.0.ilog2())
    }

    /// The probability that a tag is a given one by chance.
    pub fn chance(self) -> f64 {
        match self.bits() {
            Some(bits) => 0.5_f64.powi(i32::try_from(bits).unwrap_or(i32::MAX)),
            None => (1.0 + CEILED) / real(self.0),
        }
    }

    /// The tag of a code, which is an image: its first bits, or the place of its first half among as many
    /// equal parts as there are tags.
    pub(super) fn first(self, code: u128) -> u64 {
        const HALF: u32 = u64::BITS;
        let code = code.swap_bytes();
        let first = match self.bits() {
            Some(bits) => code.checked_shr(u128::BITS.saturating_sub(bits)),
            None => Some(((code >> HALF) * u128::from(self.0)) >> HALF),
        };
        u64::try_from(first.unwrap_or_default()).unwrap_or(u64::MAX)
    }
}

/// A number of tags as a double.
#[expect(
    clippy::as_conversions,
    reason = "tags that are no power of two are few; of others' records the nearest double will do"
)]
fn real(tags: u64) -> f64 {
    tags as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tag_is_likelier_than_its_chance() {
        for tags in [10, 100, 1_000] {
            let space = TagSpace::new(tags);
            // How many of 2^64 halves of a code have the tag: those from the least one on.
            let least = |tag: u64| (u128::from(tag) << 64).div_ceil(u128::from(tags));
            for tag in 0..tags {
                let first = |half: u128| space.first((half << 64).swap_bytes());
                assert_eq!(first(least(tag)), tag);
                assert_eq!(first(least(tag + 1) - 1), tag);
                let all = u64::try_from(least(tag + 1) - least(tag)).unwrap();
                assert!(real(all) / 2_f64.powi(64) <= space.chance(), "{tags} {tag}");
            }
            assert!((space.chance() * real(tags) - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn tags_of_bits_are_the_first_bits_of_a_code() {
        let code = 0x0123_4567_89AB_CDEF_0011_2233_4455_6677_u128;
        for (bits, first) in [(0, 0), (4, 0), (16, 0x0123), (48, 0x0123_4567_89AB)] {
            let space = TagSpace::of_bits(bits);
            assert_eq!(space.first(code.swap_bytes()), first);
            assert_eq!((space.bits(), space.tags()), (Some(bits), 1 << bits));
        }
        assert_eq!(TagSpace::of_bits(99).bits(), Some(63));
        assert_eq!(TagSpace::new(0).tags(), 1);
    }
}
