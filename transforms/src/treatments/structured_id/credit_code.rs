//! Unified social credit codes (GB 32100): two characters for the kind of body, the division code,
//! an organisation code with its own check (GB 11714), and the check of it all.

use super::Kept;
use super::kernel::{Parts, Shape, number, write_number};
use super::region::{RegionPart, Split};
use crate::check_digit::{credit_code, organisation_code};

/// Ways to write the eight free characters of an organisation code in this alphabet.
const ORGANISATIONS: u64 = 31_u64.pow(8);

/// Ways to write a division code.
const REGIONS: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct CreditCode {
    region: RegionPart,
}

impl CreditCode {
    pub(super) fn new(kept: Kept) -> Self {
        Self {
            region: RegionPart::new(kept),
        }
    }

    fn split(parts: Parts) -> Split {
        Split {
            domain: parts.domain,
            prefix: u32::try_from(parts.kept % REGIONS).unwrap_or(u32::MAX),
            index: u32::try_from(parts.rank / ORGANISATIONS).unwrap_or(u32::MAX),
        }
    }
}

/// The number that characters of the alphabet write.
fn value(characters: &[u8]) -> Option<u64> {
    characters.iter().try_fold(0, |sum, byte| {
        Some(sum * 31 + u64::from(credit_code::value(*byte)?))
    })
}

fn write_value(places: &mut [u8], mut value: u64) {
    for place in places.iter_mut().rev() {
        let character = usize::try_from(value % 31).ok();
        let character = character.and_then(|at| credit_code::ALPHABET.get(at));
        *place = character.copied().unwrap_or_default();
        value /= 31;
    }
}

impl Shape for CreditCode {
    fn sizes(&self) -> Vec<u128> {
        let counts = self.region.counts().into_iter();
        counts
            .map(|count| u128::from(count) * u128::from(ORGANISATIONS))
            .collect()
    }

    fn read(&self, text: &[u8]) -> Option<Parts> {
        let mut code: [u8; 18] = text.try_into().ok()?;
        code.make_ascii_uppercase();
        if !credit_code::is_valid(&code) {
            return None;
        }
        let (body, rest) = code.split_first_chunk::<2>()?;
        let (region, rest) = rest.split_first_chunk::<6>()?;
        let (organisation, _) = rest.split_first_chunk::<8>()?;
        let region = u32::try_from(number(region)?).ok()?;
        let (split, _) = self.region.split(region);
        Some(Parts {
            domain: split.domain,
            kept: value(body)? * REGIONS + u64::from(split.prefix),
            rank: u64::from(split.index) * ORGANISATIONS + value(organisation)?,
        })
    }

    fn accepts(&self, parts: Parts) -> bool {
        self.region.join(Self::split(parts)).is_some()
    }

    fn write(&self, parts: Parts, out: &mut Vec<u8>) {
        let region = self.region.join(Self::split(parts));
        let mut first = [0; 17];
        let (body, rest) = first.split_at_mut(2);
        write_value(body, parts.kept / REGIONS);
        let (digits, rest) = rest.split_at_mut(6);
        write_number(digits, region.map_or(0, |region| u64::from(region.code)));
        let (organisation, own) = rest.split_at_mut(8);
        write_value(organisation, parts.rank % ORGANISATIONS);
        let check = organisation_code::check(organisation);
        own.fill(check.unwrap_or_default());
        out.extend_from_slice(&first);
        out.extend(credit_code::check(&first));
    }
}
