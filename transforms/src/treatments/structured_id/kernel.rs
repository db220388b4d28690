//! Identifiers of any kind as numbers, permuted together.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Case, TreatmentError};
use crate::ff1::{Direction, Ff1, Permutation};
use crate::text::{TextKernel, TreatTogether, Written};

/// Values read, permuted and written in one go: what they need stays in the nearest caches.
const CHUNK: usize = 960;

/// An identifier, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    /// Which of the shape's domains it belongs to.
    pub(super) domain: usize,
    /// What stays, as a number below 2^56. It says which class the identifier is of, too: the
    /// shape accepts a rank for the same `kept` always or never.
    pub(super) kept: u64,
    /// What is permuted: below the domain's size.
    pub(super) rank: u64,
}

/// How identifiers of one kind are taken apart and put together.
pub(super) trait Shape: fmt::Debug + Send + Sync + 'static {
    /// The size of each domain.
    fn sizes(&self) -> Vec<u128>;

    /// Takes apart a normalised value; none if it isn't a valid identifier.
    fn read(&self, value: &[u8]) -> Option<Parts>;

    /// Whether the parts make an identifier that `read` takes apart into them.
    fn accepts(&self, parts: Parts) -> bool;

    /// Appends the identifier of accepted parts.
    fn write(&self, parts: Parts, out: &mut Vec<u8>);
}

/// How values are brought to one spelling.
type Normalise = fn(&str) -> Cow<'_, str>;

/// A shape under a key.
pub(super) struct Kernel<S> {
    ff1: Ff1,
    direction: Direction,
    shape: S,
    permutations: Vec<Permutation>,
    normalise: Option<Normalise>,
}

impl<S: Shape> Kernel<S> {
    /// None if a domain of the shape is too small.
    pub(super) fn new(
        ff1: Ff1,
        direction: Direction,
        shape: S,
        context: &[u8],
        normalise: Option<Normalise>,
    ) -> Option<Self> {
        let sizes = shape.sizes().into_iter().zip(0_u8..);
        let permutations = sizes.map(|(size, domain)| {
            let mut context = context.to_vec();
            context.push(domain);
            Permutation::new(&ff1, size, &context)
        });
        Some(Self {
            permutations: permutations.collect::<Option<_>>()?,
            ff1,
            direction,
            shape,
            normalise,
        })
    }

    fn read(&self, value: &str) -> Result<Parts, Case> {
        let value = self
            .normalise
            .map_or(Cow::Borrowed(value), |normalise| normalise(value));
        if value.is_empty() {
            return Err(Case::Empty);
        }
        self.shape.read(value.as_bytes()).ok_or(Case::Invalid)
    }

    /// Permutes the identifiers of a chunk, those of one domain together.
    fn permute(&self, parts: &mut [Result<Parts, Case>]) {
        let (mut ranks, mut kept) = (Vec::new(), Vec::new());
        for (domain, permutation) in self.permutations.iter().enumerate() {
            ranks.clear();
            kept.clear();
            let of_domain = |parts: &&Parts| parts.domain == domain;
            for one in parts.iter().flatten().filter(of_domain) {
                ranks.push(one.rank);
                kept.push(one.kept);
            }
            if ranks.is_empty() {
                continue;
            }
            permutation.permute(
                &self.ff1,
                self.direction,
                &mut ranks,
                &kept,
                |index, rank| {
                    kept.get(index).is_some_and(|kept| {
                        self.shape.accepts(Parts {
                            domain,
                            kept: *kept,
                            rank,
                        })
                    })
                },
            );
            let places = parts.iter_mut().flatten();
            for (place, rank) in places.filter(|one| one.domain == domain).zip(&ranks) {
                place.rank = *rank;
            }
        }
    }
}

impl<S: Shape> TreatTogether for Kernel<S> {
    fn treat_together(
        &self,
        values: &[&str],
        out: &mut Vec<u8>,
        ends: &mut Vec<Result<usize, Case>>,
    ) -> Result<(), TreatmentError> {
        let mut parts = Vec::with_capacity(values.len().min(CHUNK));
        for values in values.chunks(CHUNK) {
            parts.clear();
            parts.extend(values.iter().map(|value| self.read(value)));
            self.permute(&mut parts);
            for parts in &parts {
                ends.push(parts.map(|parts| {
                    self.shape.write(parts, out);
                    out.len()
                }));
            }
        }
        Ok(())
    }
}

impl<S: Shape> TextKernel for Kernel<S> {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        self.treat_alone(value, out)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }

    fn together(&self) -> Option<&dyn TreatTogether> {
        Some(self)
    }
}

impl<S: fmt::Debug> fmt::Debug for Kernel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StructuredId(..)")
    }
}

/// The number of ASCII digits; none if one isn't a digit. At most 19 of them.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// Writes a number over `places`, with leading zeros.
pub(super) fn write_number(places: &mut [u8], mut number: u64) {
    for place in places.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}
