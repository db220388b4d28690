//! `fake-ip`: an address of the internet, keyed, that keeps which addresses share a network.
//!
//! Crypto-PAn (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP Address Anonymization", ICNP 2002) with
//! AES-128 (FIPS 197), as its authors' program does it, for IPv4 and, over 128 bits, for IPv6.
//!
//! # Construction
//! - Key: 32 bytes, HKDF-SHA-256(derived key; no salt; info = LP("lockgate/surrogate/v1") ‖
//!   LP("ipv4" or "ipv6")), with LP(part) = 4-byte big-endian length ‖ part. The first 16 are the AES key; the last 16, encrypted once, are the padding P.
//! - Bit i of the result is bit i of the address, exclusive or the most significant bit of
//!   AES(first i bits of the address ‖ last 128 − i bits of P). The mask of a bit depends on the
//!   bits before it alone: two addresses that agree in exactly k leading bits yield two that agree
//!   in exactly k, and the mapping is a permutation.
//! - The first `keep_prefix` (`keep_prefix_v6`) bits stay as they are.
//!
//! # What it leaves
//! Who knows the original of one address knows the leading bits of every address that shares them:
//! addresses that an attacker can send from or look up in other logs give others away.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::key::{DerivedKey, KeyUse};
use crate::options::Options;
use crate::persona::draw::subkey;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::surrogate::{self, Linkage};
use crate::text::{self, TextKernel, TextTreatment, Written};
use crate::treatment::Treatment;

/// Puts an address in the place of an IPv4 or IPv6 address, such that addresses which share their
/// first bits still share exactly as many (Crypto-PAn).
///
/// Different addresses stay different. One in 2³² (IPv4) happens to become itself: drawing anew
/// would map two addresses to one. IPv6 is written as RFC 5952 has it. Whoever knows one original
/// knows the network part of its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeIp {
    /// Consistency domain: fields of one domain map addresses alike (`"network"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// Bits that stay at the beginning of an IPv4 address, 0 to 24.
    #[serde(default)]
    pub keep_prefix: u8,
    /// Bits that stay at the beginning of an IPv6 address, 0 to 64.
    #[serde(default)]
    pub keep_prefix_v6: u8,
}

impl FakeIp {
    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &None)
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        for (parameter, bits, most) in [
            ("keep_prefix", self.keep_prefix, 24),
            ("keep_prefix_v6", self.keep_prefix_v6, 64),
        ] {
            if bits > most {
                let what = format!("`{parameter}` keeps more than {most} bits");
                return Err(Misfit::of_parameter(parameter, what)
                    .with_hint(format!("write a number from 0 to {most}")));
            }
        }
        self.linkage().check(column)
    }
}

impl Definition for FakeIp {
    const KIND: &'static str = "fake-ip";
    const SUMMARY: &'static str = "maps addresses to others and keeps which share a network";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = r#"{ kind = "fake-ip", domain = "network" }"#;
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Bijective;
    const WIDTH: Option<&'static str> = Some("39 bytes");
    const REVERSIBLE: Option<&'static str> = Some("whoever holds the pseudonym key");

    fn strength(&self) -> Strength {
        match (self.keep_prefix, self.keep_prefix_v6) {
            (0, 0) => Self::STRENGTH,
            _ => Strength::PARTIAL,
        }
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        Some(39)
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.linkage().at_least(&floor.linkage())
            && self.keep_prefix <= floor.keep_prefix
            && self.keep_prefix_v6 <= floor.keep_prefix_v6
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(DataType::Utf8))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(self.linkage().key_use())
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        let key = surrogate::needed(Self::KIND, column, key)?;
        let kernel = Kernel {
            v4: Pan::new(&subkey(key, "ipv4")),
            v6: Pan::new(&subkey(key, "ipv6")),
            kept_v4: self.keep_prefix,
            kept_v6: self.keep_prefix_v6,
        };
        Ok(Box::new(TextTreatment::new(kernel, options, column)?))
    }
}

#[derive(Debug)]
struct Kernel {
    v4: Pan,
    v6: Pan,
    kept_v4: u8,
    kept_v6: u8,
}

impl TextKernel for Kernel {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        match value.trim().parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => {
                let bits = u128::from(address.to_bits()) << 96;
                let mapped = self.v4.map::<32>(bits, self.kept_v4) >> 96;
                let mapped = u32::try_from(mapped).map_err(|_| Case::Invalid)?;
                write_v4(Ipv4Addr::from_bits(mapped), out);
            }
            Ok(IpAddr::V6(address)) => {
                let mapped = self.v6.map::<128>(address.to_bits(), self.kept_v6);
                out.extend_from_slice(Ipv6Addr::from_bits(mapped).to_string().as_bytes());
            }
            Err(_) => return Err(Case::Invalid),
        }
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }
}

/// Writes four numbers with dots between them.
fn write_v4(address: Ipv4Addr, out: &mut Vec<u8>) {
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        if octet >= 100 {
            out.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            out.push(b'0' + octet / 10 % 10);
        }
        out.push(b'0' + octet % 10);
    }
}

/// Crypto-PAn under one key.
struct Pan {
    cipher: Aes128,
    pad: u128,
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pan(..)")
    }
}

/// Blocks that are encrypted at once.
const STRIDE: usize = 16;

impl Pan {
    fn new(key: &[u8; 32]) -> Self {
        let (halves, _) = key.as_chunks::<16>();
        let half = |place: usize| Array::from(halves.get(place).copied().unwrap_or_default());
        let cipher = Aes128::new(&half(0));
        let mut pad = half(1);
        cipher.encrypt_block(&mut pad);
        Self {
            cipher,
            pad: u128::from_be_bytes(pad.into()),
        }
    }

    /// Maps the first `BITS` bits of `address`, which stands at the top of the 128; the rest is 0.
    fn map<const BITS: usize>(&self, address: u128, kept: u8) -> u128 {
        let mut mask = 0_u128;
        let mut place = usize::from(kept) / STRIDE * STRIDE;
        while place < BITS {
            let mut blocks: [Array<u8, _>; STRIDE] = std::array::from_fn(|step| {
                let prefix = u128::MAX.checked_shr(u32::try_from(place + step).unwrap_or(0));
                let rest = prefix.unwrap_or(0);
                Array::from((address & !rest | self.pad & rest).to_be_bytes())
            });
            self.cipher.encrypt_blocks(&mut blocks);
            for block in &blocks {
                mask = mask << 1 | u128::from(block.first().copied().unwrap_or(0) >> 7);
            }
            place += STRIDE;
        }
        let all = u128::MAX >> (128 - BITS);
        let open = all.checked_shr(u32::from(kept)).unwrap_or(0);
        address ^ (mask & open) << (128 - BITS)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::surrogate::testing::alone;
    use crate::testing::{misfit, spec};

    /// The key and addresses of the sample that comes with the authors' program.
    const SAMPLE_KEY: [u8; 32] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131,
        121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
    ];
    const SAMPLES: [(&str, &str); 5] = [
        ("128.11.68.132", "135.242.180.132"),
        ("129.118.74.4", "134.136.186.123"),
        ("130.132.252.244", "133.68.164.234"),
        ("141.223.7.43", "141.167.8.160"),
        ("141.233.145.108", "141.129.237.235"),
    ];

    fn v4(pan: &Pan, address: u32, kept: u8) -> u32 {
        u32::try_from(pan.map::<32>(u128::from(address) << 96, kept) >> 96).unwrap()
    }

    #[test]
    fn addresses_map_as_the_authors_program_maps_them() {
        let pan = Pan::new(&SAMPLE_KEY);
        for (original, mapped) in SAMPLES {
            let address: Ipv4Addr = original.parse().unwrap();
            let own = Ipv4Addr::from_bits(v4(&pan, address.to_bits(), 0));
            assert_eq!(own.to_string(), mapped);
        }
    }

    #[test]
    fn a_pseudonym_of_any_label_is_no_key() {
        // The pseudonyms that `hmac` delivers of what might name the key, tried as the key.
        let original = "10.1.2.3";
        let delivered = alone(
            "{ kind = 'fake-ip', domain = 'd' }",
            "ip-address",
            &[original],
        );
        let labels = [
            "ipv4",
            "lockgate/surrogate/v1ipv4",
            "lockgate/v1/surrogate/ipv4",
        ];
        let lp = "\0\0\0\u{15}lockgate/surrogate/v1\0\0\0\u{4}ipv4";
        for label in labels.iter().copied().chain([lp, &format!("{lp}\u{1}")]) {
            let spec = "{ kind = 'hmac', domain = 'd', normalise = 'none' }";
            let pseudonym = alone(spec, "other", &[label]).remove(0).unwrap();
            let bytes = (0..32).map(|at| {
                u8::from_str_radix(pseudonym.get(2 * at..2 * at + 2).unwrap(), 16).unwrap()
            });
            let stolen: Vec<u8> = bytes.collect();
            let pan = Pan::new(stolen.first_chunk().unwrap());
            let bits = original.parse::<Ipv4Addr>().unwrap().to_bits();
            let guessed = Ipv4Addr::from_bits(v4(&pan, bits, 0)).to_string();
            assert_ne!(delivered[0].as_deref(), Some(guessed.as_str()));
        }
    }

    #[test]
    fn a_whole_network_maps_to_a_whole_network() {
        let pan = Pan::new(&[3; 32]);
        let mapped: BTreeSet<u32> = (0..65_536)
            .map(|host| v4(&pan, 0x0A14_0000 | host, 0))
            .collect();
        assert_eq!(mapped.len(), 65_536);
        let networks: BTreeSet<u32> = mapped.iter().map(|address| address >> 16).collect();
        assert_eq!(networks.len(), 1);
    }

    #[test]
    fn both_versions_are_written_and_other_text_is_covered() {
        let spec = "{ kind = 'fake-ip', domain = 'd' }";
        let texts = alone(
            spec,
            "ip-address",
            &["10.1.2.3", "2001:db8::1", "10.1.2", "10.1.2.256"],
        );
        let parsed = |place: usize| texts[place].as_deref().unwrap().parse::<IpAddr>();
        assert!(parsed(0).unwrap().is_ipv4() && parsed(1).unwrap().is_ipv6());
        assert_eq!(texts[2].as_deref(), Some("******"));
        assert_eq!(texts[3].as_deref(), Some("**********"));
    }

    #[test]
    fn prefixes_must_leave_something_to_hide() {
        let too_long = "{ kind = 'fake-ip', domain = 'd', keep_prefix = 25 }";
        assert_eq!(misfit(too_long).parameter, Some("keep_prefix"));
        let too_long = "{ kind = 'fake-ip', domain = 'd', keep_prefix_v6 = 65 }";
        assert_eq!(misfit(too_long).parameter, Some("keep_prefix_v6"));
        let meets = |own: u8, floor: u8| {
            let of = |bits| {
                spec(&format!(
                    "{{ kind = 'fake-ip', domain = 'd', keep_prefix = {bits} }}"
                ))
            };
            of(own).meets(&of(floor))
        };
        assert!(meets(8, 16) && !meets(16, 8));
    }

    proptest! {
        #[test]
        fn common_prefixes_stay_exactly_as_long(one: u32, flip in 0_u32..32, rest: u32, kept in 0_u8..=24) {
            let pan = Pan::new(&[5; 32]);
            let below = u32::MAX.checked_shr(flip + 1).unwrap_or(0);
            let other = (one ^ (1 << (31 - flip))) & !below | rest & below;
            let (mapped, mapped_other) = (v4(&pan, one, kept), v4(&pan, other, kept));
            prop_assert_eq!((mapped ^ mapped_other).leading_zeros(), flip);
            let head = u32::MAX.checked_shl(32 - u32::from(kept)).unwrap_or(0);
            prop_assert_eq!(mapped & head, one & head);
        }

        #[test]
        fn common_prefixes_of_ipv6_stay_exactly_as_long(one: u128, flip in 0_u32..128, rest: u128, kept in 0_u8..=64) {
            let pan = Pan::new(&[5; 32]);
            let below = u128::MAX.checked_shr(flip + 1).unwrap_or(0);
            let other = (one ^ (1 << (127 - flip))) & !below | rest & below;
            let (mapped, mapped_other) = (pan.map::<128>(one, kept), pan.map::<128>(other, kept));
            prop_assert_eq!((mapped ^ mapped_other).leading_zeros(), flip);
            let head = u128::MAX.checked_shl(128 - u32::from(kept)).unwrap_or(0);
            prop_assert_eq!(mapped & head, one & head);
        }

        #[test]
        fn written_addresses_are_those_of_the_standard_library(bits: u32) {
            let mut out = Vec::new();
            write_v4(Ipv4Addr::from_bits(bits), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), Ipv4Addr::from_bits(bits).to_string());
        }
    }
}
