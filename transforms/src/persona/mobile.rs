//! Mobile telephone numbers of the mainland: prefixes by carrier, as the Ministry of Industry and
//! Information Technology assigned them. Numbers are portable since 2019: the prefix names the
//! carrier that gave the number out.
//!
//! The prefixes are those that libphonenumber 9.0.43 (Apache-2.0) takes for mobile numbers, and the
//! carriers agree with its table where that has them, and with the segments of PyPI's `phone` 0.4.5
//! (MIT) for the rest. Prefixes of data cards and of machines (14 but for 145 and 147, 160 to 164
//! but for 162, 168, 169, 174, 179, 194) are left out.

use super::draw::{Draw, another};

/// Prefixes of three digits: China Mobile, China Unicom, China Telecom, China Broadnet, resellers.
const CARRIERS: [&[u64]; 5] = [
    &[
        134, 135, 136, 137, 138, 139, 147, 150, 151, 152, 157, 158, 159, 172, 178, 182, 183, 184,
        187, 188, 195, 197, 198,
    ],
    &[130, 131, 132, 145, 155, 156, 166, 175, 176, 185, 186, 196],
    &[133, 153, 173, 177, 180, 181, 189, 190, 191, 193, 199],
    &[192],
    &[162, 165, 167, 170, 171],
];

/// Numbers under one prefix of three digits.
const PER_PREFIX: u64 = 100_000_000;

/// Words of the draw that a number takes: this and the next.
const WORD: usize = 6;

/// How much of a number is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kept {
    /// Nothing.
    Nothing,
    /// The carrier, by the prefix.
    Carrier,
    /// The first three digits.
    Prefix,
}

/// Draws a number other than `original`, eleven digits; none where the kept part is unknown.
pub(crate) fn draw(draw: &Draw, original: u64, kept: Kept) -> Option<u64> {
    let prefix = original / PER_PREFIX;
    let own = [prefix];
    let carriers: &[&[u64]] = match kept {
        // Resellers stay out: some systems refuse their prefixes.
        Kept::Nothing => CARRIERS.get(..4)?,
        Kept::Carrier => {
            let carrier = CARRIERS
                .iter()
                .find(|prefixes| prefixes.contains(&prefix))?;
            &[carrier]
        }
        Kept::Prefix => &[&own],
    };
    let prefixes: usize = carriers.iter().map(|prefixes| prefixes.len()).sum();
    let count = u64::try_from(prefixes).ok()?.checked_mul(PER_PREFIX)?;
    let chosen = draw.below_wide(WORD, count);
    let number = |chosen: u64| {
        let place = usize::try_from(chosen / PER_PREFIX).ok()?;
        let prefix = carriers.iter().copied().flatten().nth(place)?;
        Some(prefix * PER_PREFIX + chosen % PER_PREFIX)
    };
    let drawn = number(chosen)?;
    if drawn == original {
        return number(another(chosen, count, draw));
    }
    Some(drawn)
}

/// Whether a number's prefix is one that numbers are drawn under.
#[cfg(test)]
pub(crate) fn is_drawn(number: u64) -> bool {
    let carriers = CARRIERS.iter().take(4);
    carriers
        .copied()
        .flatten()
        .any(|prefix| *prefix == number / PER_PREFIX)
}

/// Reads eleven digits, `1` and then `3` to `9` first.
pub(crate) fn read(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let fits = bytes.len() == 11
        && matches!(bytes, [b'1', b'3'..=b'9', ..])
        && bytes.iter().all(u8::is_ascii_digit);
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_mobile_and_keep_what_is_kept() {
        for seed in 0..2_000 {
            let seeded = Draw::of_seed(seed);
            let any = draw(&seeded, 13_800_138_000, Kept::Nothing).unwrap();
            assert_eq!(read(&any.to_string()), Some(any));
            let telecom = draw(&seeded, 18_900_138_000, Kept::Carrier).unwrap();
            assert!(CARRIERS[2].contains(&(telecom / PER_PREFIX)));
            let prefix = draw(&seeded, 13_800_138_000, Kept::Prefix).unwrap();
            assert_eq!(prefix / PER_PREFIX, 138);
        }
        assert_eq!(draw(&Draw::of_seed(1), 14_000_000_000, Kept::Carrier), None);
    }

    #[test]
    fn a_number_never_becomes_itself() {
        for seed in 0..500 {
            let seeded = Draw::of_seed(seed);
            for kept in [Kept::Nothing, Kept::Carrier, Kept::Prefix] {
                let first = draw(&seeded, 13_800_138_000, kept).unwrap();
                assert_ne!(draw(&seeded, first, kept).unwrap(), first);
            }
        }
    }
}
