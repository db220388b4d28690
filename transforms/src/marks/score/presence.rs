//! Whether a file is ours at all, without naming anybody.
//!
//! The bias of a position is the same for every grant, so a marked cell shows a 1 with probability
//! p and a foreign one without regard to p. With p(y) the probability of what a vote shows, the
//! mean of `1-κ+2κ·p(y)` over the classes is 1 for data that knows nothing of them, whatever its
//! symbols are, since the classes mirror each other. The product over the votes, averaged over κ,
//! is therefore an e-value.
//!
//! It looks at no candidate's symbols. So columns, units and epochs may be matched by trying which
//! shows most presence, and the trace that follows needs no allowance for the tries.

use super::votes::{CELLS, Cells};
use super::{ln_mean_exp, real};

/// Shares of the votes that are genuine.
const PURITIES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// The logarithm of the e-value for the presence of marks under this key.
pub fn ln_presence(counts: &Cells<u64>) -> f64 {
    let scores = PURITIES.map(|purity| {
        let votes = CELLS.iter().zip(counts);
        votes
            .map(|((class, shown), count)| {
                let bias = class.bias();
                let probability = if *shown { bias } else { 1.0 - bias };
                real(*count) * (1.0 - purity + 2.0 * purity * probability).ln()
            })
            .sum()
    });
    ln_mean_exp(&scores)
}

/// What [`ln_presence`] must reach so that foreign data is taken for ours with probability at most
/// `error`, when `tried` matchings of columns, units and epochs are tried.
pub fn presence_from(tried: u64, error: f64) -> f64 {
    real(tried.max(1)).ln() - error.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_over_the_classes_is_one_whatever_is_shown() {
        for shown in [false, true] {
            for purity in PURITIES {
                let of_shown = CELLS.iter().filter(|(_, of)| *of == shown);
                let mean: f64 = of_shown
                    .map(|(class, _)| {
                        let bias = class.bias();
                        let probability = if shown { bias } else { 1.0 - bias };
                        class.weight() * (1.0 - purity + 2.0 * purity * probability)
                    })
                    .sum();
                assert!((mean - 1.0).abs() < 1e-14, "{mean}");
            }
        }
    }

    #[test]
    fn no_votes_say_nothing() {
        assert!(ln_presence(&[0; 6]).abs() < 1e-12);
    }
}
