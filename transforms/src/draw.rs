//! Keyed draws: numbers that look random to whoever lacks the key, and are the same in every run.
//!
//! Noise that is drawn anew for every delivery can be averaged away by collecting deliveries. So a
//! draw is a function (HMAC-SHA-256, FIPS 198-1) of what it is for: the entity and the value. It
//! needs no state, and depends on no batch, thread or order.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Misfit;
use crate::key::{DerivedKey, KEY_BYTES};
use crate::spec::Column;

/// Salt of the keys of draws. The derived key is the *message* of HKDF's first step, so that no
/// pseudonym (an HMAC under the derived key) of a chosen value is ever the key of draws.
const SALT: &[u8] = b"lockgate/draw/v1";

/// Refuses a consistency domain or join group without a name.
///
/// # Errors
/// One of them is empty.
pub(crate) fn check_domain(domain: &str, join: Option<&str>) -> Result<(), Misfit> {
    if domain.trim().is_empty() {
        return Err(Misfit::of_parameter("domain", "`domain` is empty")
            .with_hint("name what is treated, such as \"income\""));
    }
    if join.is_some_and(|join| join.trim().is_empty()) {
        return Err(Misfit::of_parameter("join", "`join` is empty")
            .with_hint("name an approved join group, or leave it out"));
    }
    Ok(())
}

/// A source of draws under one key, for one kind of treatment with its parameters.
pub(crate) struct Draws(Hmac<Sha256>);

impl Draws {
    /// A source keyed by HKDF-SHA256 (input: the derived key; salt: `lockgate/draw/v1`; info:
    /// `kind`, a line feed, `parameters`; 32 bytes).
    ///
    /// Two settings of which a recipient may come to hold both results must differ in `parameters`
    /// where equal draws would let the difference cancel out.
    ///
    /// # Errors
    /// There is no key.
    pub(crate) fn new(
        kind: &str,
        parameters: &str,
        column: Column<'_>,
        key: Option<&DerivedKey>,
    ) -> Result<Self, Misfit> {
        let refused = |what: &str| Misfit {
            parameter: None,
            what: format!("treatment `{kind}` of field `{}` {what}", column.name),
            hint: Some("make one with `lockgate keys new pseudonym`".to_owned()),
        };
        let key = key.ok_or_else(|| refused("has no key"))?;
        let mut own = Zeroizing::new([0; KEY_BYTES]);
        let info = [kind.as_bytes(), b"\n", parameters.as_bytes()];
        let unusable = || refused("has a key that is no use");
        Hkdf::<Sha256>::new(Some(SALT), key.expose())
            .expand_multi_info(&info, own.as_mut())
            .map_err(|_| unusable())?;
        let mac = Hmac::new_from_slice(own.as_ref()).map_err(|_| unusable())?;
        Ok(Self(mac))
    }

    /// The draw for an entity, a value, or both: HMAC over 0, or 1, the entity's length in bytes
    /// (4 bytes, big-endian) and the entity; then the value.
    #[inline]
    pub(crate) fn draw(&self, entity: Option<&str>, value: &[u8]) -> Draw {
        self.candidate(entity, value, 1)
    }

    /// One of several draws for the same, from 1: the first is [`draw`](Self::draw), and later ones have
    /// a byte more, their number. Only for values whose bytes are always as many.
    #[inline]
    pub(crate) fn candidate(&self, entity: Option<&str>, value: &[u8], number: u8) -> Draw {
        let mut mac = self.0.clone();
        match entity {
            None => mac.update(&[0]),
            Some(entity) => {
                let length = u32::try_from(entity.len()).unwrap_or(u32::MAX);
                let [a, b, c, d] = length.to_be_bytes();
                mac.update(&[1, a, b, c, d]);
                mac.update(entity.as_bytes());
            }
        }
        mac.update(value);
        if number > 1 {
            mac.update(&[number]);
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let (low, high) = digest.split_at(16);
        let half = |bytes: &[u8]| bytes.try_into().map_or(0, u128::from_be_bytes);
        Draw {
            first: half(low),
            second: half(high),
        }
    }
}

/// The 256 bits of one draw.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    /// The first half.
    pub(crate) first: u128,
    /// The second half, independent of the first.
    pub(crate) second: u128,
}

impl Draw {
    /// A number below `bound`, each as likely as any other to within 2^-128 of `bound`.
    #[inline]
    pub(crate) fn below(self, bound: u128) -> u128 {
        multiply_high(self.first, bound)
    }
}

/// The upper half of the product.
#[inline]
fn multiply_high(one: u128, two: u128) -> u128 {
    const LOW: u128 = (1 << 64) - 1;
    let (one_high, one_low) = (one >> 64, one & LOW);
    let (two_high, two_low) = (two >> 64, two & LOW);
    let low = one_low * two_low;
    let middle = one_high * two_low + (low >> 64);
    let carry = one_low * two_high + (middle & LOW);
    one_high * two_high + (middle >> 64) + (carry >> 64)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, i256};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::key;

    fn draws(parameters: &str) -> Draws {
        let column = Column::alone("x", &DataType::Int32, "x");
        Draws::new("test", parameters, column, Some(&key())).unwrap()
    }

    #[test]
    fn draws_differ_by_entity_value_parameters_and_framing() {
        let draws_of = |draws: &Draws| {
            [
                draws.draw(None, b"ab"),
                draws.draw(Some(""), b"ab"),
                draws.draw(Some("a"), b"b"),
                draws.draw(Some("ab"), b""),
                draws.draw(Some("b"), b"a"),
            ]
            .map(|draw| (draw.first, draw.second))
        };
        let mut all = draws_of(&draws("one")).to_vec();
        assert_eq!(all, draws_of(&draws("one")));
        all.extend(draws_of(&draws("two")));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10);
    }

    #[test]
    fn the_first_candidate_is_the_draw_and_the_others_are_others() {
        let draws = draws("one");
        let first = draws.draw(Some("a"), b"12345678").first;
        assert_eq!(draws.candidate(Some("a"), b"12345678", 1).first, first);
        let mut all: Vec<u128> = (1..=16)
            .map(|number| draws.candidate(Some("a"), b"12345678", number).first)
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 16);
    }

    #[test]
    fn a_key_is_needed() {
        let column = Column::alone("x", &DataType::Int32, "x");
        let refused = Draws::new("test", "", column, None).err().unwrap();
        assert!(refused.what.contains("has no key"));
    }

    #[test]
    fn no_pseudonym_of_a_chosen_value_is_the_key() {
        // What `hmac` would deliver for a value made of HKDF's second step.
        let mut pseudonym = Hmac::<Sha256>::new_from_slice(key().expose()).unwrap();
        pseudonym.update(b"test\n\x01");
        let stolen: [u8; 32] = pseudonym.finalize().into_bytes().into();
        let mut forged = Hmac::<Sha256>::new_from_slice(&stolen).unwrap();
        forged.update(&[0]);
        let forged: [u8; 32] = forged.finalize().into_bytes().into();
        let first = draws("").draw(None, b"").first;
        assert_ne!(forged[..16], first.to_be_bytes());
    }

    proptest! {
        #[test]
        fn the_upper_half_is_that_of_the_product(one: u128, two: u128) {
            let part = |number: u128, shift: u32| i256::from_parts((number >> shift) & u128::from(u64::MAX), 0);
            let upper = |number: i256| -> i256 { number >> 64 };
            let (low, top) = (part(one, 0).wrapping_mul(part(two, 0)), part(one, 64).wrapping_mul(part(two, 64)));
            let across = part(one, 64).wrapping_mul(part(two, 0));
            let across = across.wrapping_add(part(one, 0).wrapping_mul(part(two, 64)));
            let high = top.wrapping_add(upper(upper(low).wrapping_add(across)));
            prop_assert_eq!(high, i256::from_parts(multiply_high(one, two), 0));
        }

        #[test]
        fn a_bound_is_kept(first: u128, bound in 1_u128..) {
            let draw = Draw { first, second: 0 };
            prop_assert!(draw.below(bound) < bound);
        }
    }
}
