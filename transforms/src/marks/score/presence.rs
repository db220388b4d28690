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

/// Shares of the votes that are genuine; below zero, of those that show the opposite, as where whoever
/// leaked turned most symbols over. The small ones keep many foreign rows from speaking against a few
/// of ours.
const PURITIES: [f64; 11] = [
    -1.0, -0.75, -0.5, -0.25, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0,
];

/// The logarithm of the e-value for the presence of marks under this key.
pub fn ln_presence(counts: &Cells<u64>) -> f64 {
    let scores = PURITIES.map(|purity| {
        let votes = CELLS.iter().zip(counts);
        votes
            .map(|((_, class, shown), count)| {
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
    #![expect(clippy::as_conversions, reason = "shares of a test as counts")]

    use super::super::votes::Found;
    use super::*;

    #[test]
    fn the_mean_over_the_classes_is_one_whatever_is_shown() {
        for shown in [false, true] {
            for purity in PURITIES {
                let of_shown = CELLS
                    .iter()
                    .filter(|(found, _, of)| *found == Found::ByRow && *of == shown);
                let mean: f64 = of_shown
                    .map(|(_, class, _)| {
                        let bias = class.bias();
                        let probability = if shown { bias } else { 1.0 - bias };
                        class.weight() * (1.0 - purity + 2.0 * purity * probability)
                    })
                    .sum();
                assert!((mean - 1.0).abs() < 1e-14, "{mean}");
            }
        }
    }

    /// Votes, half of them of either kind, of which a share shows the symbols of the code, and the
    /// others show anything.
    fn diluted(votes: f64, share: f64) -> Cells<u64> {
        CELLS.map(|(_, class, shown)| {
            let bias = class.bias();
            let own = if shown { bias } else { 1.0 - bias };
            let shows = share * own + (1.0 - share) / 2.0;
            (votes / 2.0 * class.weight() * shows).round() as u64
        })
    }

    #[test]
    fn our_rows_show_among_many_others_and_with_their_symbols_turned_over() {
        let from = presence_from(1, 1e-9);
        assert!(ln_presence(&diluted(100_000.0, 0.05)) > from);
        assert!(ln_presence(&diluted(8_000.0, 0.05)) > -3.0);
        let mut turned = diluted(1_000.0, 1.0);
        for pair in turned.chunks_mut(2) {
            pair.reverse();
        }
        assert!(ln_presence(&turned) > from);
        assert!(ln_presence(&diluted(1e6, 0.0)) < 0.0);
    }

    #[test]
    fn no_votes_say_nothing() {
        assert!(ln_presence(&Cells::default()).abs() < 1e-12);
    }
}
