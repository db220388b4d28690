//! The exact chance that an innocent scores as high: the convolution of binomials, one for each kind of
//! votes that a channel weighs by itself.
//!
//! Once the leak is known, an innocent's score is a sum of independent variables of known law: in
//! each kind of vote, the number of her ones is binomial (Furon and Desoubeaux, "Tardos codes for
//! real", WIFS 2014). So the tail need not be estimated. Every step errs upwards: sums are put on a
//! lattice by rounding up, and what is cut off is added to the result.
//!
//! An e-value of at least e needs a channel whose score is at least ln e, so the tails of the
//! channels at ln e, added up, bound the chance of such an e-value. Channels of which Chernoff's
//! bound shows that they add next to nothing are added with that bound.

use super::real;
use super::votes::{CELLS, Cells};
use crate::marks::code::Class;

/// Finest step of the lattice, in nats.
const STEP_MIN: f64 = 0.004;

/// Most points of the lattice.
const POINTS_MAX: f64 = 4_096.0;

/// Terms of a binomial smaller than this part of the largest are cut off.
const NEGLIGIBLE: f64 = 1e-60;

/// More than all that was cut off, and the least result there is.
const CUT_OFF: f64 = 1e-56;

/// One part in so many is more than the rounding of the arithmetic.
const SLACK: f64 = 1e-9;

/// Channels that together add less than this part are not convolved.
const REST: f64 = 0.01;

/// Steps by which the interval shrinks by a third, in which Chernoff's exponent is looked for.
const SHRINKINGS: u32 = 40;

/// The laws of an innocent's score in each channel, worked out as far as they are asked for and kept:
/// the law is the same for every score, and nearly all of the work.
#[derive(Debug)]
pub(super) struct Tails {
    channels: Vec<Known>,
}

/// What is known of a channel.
#[derive(Debug)]
struct Known {
    kinds: Vec<Kind>,
    law: Option<Law>,
}

impl Tails {
    /// Of the channels with these logarithms of weights, for votes of those counts.
    pub(super) fn new(
        counts: &Cells<u64>,
        channels: impl Iterator<Item = Cells<[f64; 2]>>,
    ) -> Self {
        Self {
            channels: channels
                .map(|weights| Known {
                    kinds: merged(counts, &weights),
                    law: None,
                })
                .collect(),
        }
    }

    /// An upper bound on the probability that, in any of the channels, the score of somebody who had no
    /// part in the leak is at least `score`.
    pub(super) fn of_any(&mut self, score: f64) -> f64 {
        let mut rows: Vec<(f64, &mut Known)> = self
            .channels
            .iter_mut()
            .map(|known| (chernoff(&known.kinds, score), known))
            .collect();
        rows.sort_by(|one, other| one.0.total_cmp(&other.0));
        let running = rows.iter().scan(0.0, |sum, (bound, _)| {
            *sum += bound;
            Some(*sum)
        });
        let rests: Vec<f64> = running.collect();
        let mut sum = 0.0;
        for ((bound, known), rest) in rows.into_iter().zip(&rests).rev() {
            if *rest <= sum * REST {
                return sum + rest;
            }
            let Known { kinds, law } = known;
            let law = law.get_or_insert_with(|| Law::of(kinds));
            sum += law.tail(score).min(bound);
        }
        sum
    }
}

/// Votes that a channel weighs alike.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kind {
    class: Class,
    count: u64,
    /// The logarithms of the weights, of a symbol 0 and of a symbol 1.
    ln_weights: [f64; 2],
}

/// The kinds of votes, those of one class and of the same weights as one: the sum of two binomials of one
/// probability is a binomial. Nearly every channel has six.
fn merged(counts: &Cells<u64>, ln_weights: &Cells<[f64; 2]>) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::with_capacity(CELLS.len());
    for (((_, class, _), count), ln_weights) in CELLS.iter().zip(counts).zip(ln_weights) {
        let is_alike = |kind: &&mut Kind| {
            let mut both = kind.ln_weights.iter().zip(ln_weights);
            kind.class == *class && both.all(|(one, other)| one.total_cmp(other).is_eq())
        };
        match kinds.iter_mut().find(is_alike) {
            Some(kind) => kind.count += count,
            None => kinds.push(Kind {
                class: *class,
                count: *count,
                ln_weights: *ln_weights,
            }),
        }
    }
    kinds
}

/// Chernoff's bound on [`Law::tail`]: the least of exp(-λ·score)·E[exp(λ·S)] over λ > 0.
fn chernoff(kinds: &[Kind], score: f64) -> f64 {
    let exponent = |lambda: f64| {
        let moments = kinds.iter().map(|kind| {
            let (bias, [zero, one]) = (kind.class.bias(), kind.ln_weights);
            let largest = zero.max(one) * lambda;
            let mean = (1.0 - bias) * (zero * lambda - largest).exp()
                + bias * (one * lambda - largest).exp();
            real(kind.count) * (largest + mean.ln())
        });
        moments.sum::<f64>() - lambda * score
    };
    // Convex in λ, so that the slope tells on which side the least lies.
    let (mut low, mut high) = (0.0, 256.0);
    for _ in 0..SHRINKINGS {
        let third = (high - low) / 3.0;
        if exponent(low + third) < exponent(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    (exponent(f64::midpoint(low, high)) + SLACK).exp().min(1.0)
}

/// The law of the sum of the logarithms of weights over the votes, of somebody who had no part in the
/// leak.
#[derive(Debug)]
struct Law {
    /// The probabilities of the places of the lattice, from `least` on.
    probabilities: Vec<f64>,
    /// The first place, in steps above `base`.
    least: f64,
    /// Where the lattice begins: the score of somebody all of whose symbols are 0.
    base: f64,
    step: f64,
}

impl Law {
    fn of(kinds: &[Kind]) -> Self {
        let mut base = 0.0;
        let mut parts = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let terms = Binomial::new(kind.count, kind.class.bias());
            let [zero, one] = kind.ln_weights;
            base += real(kind.count) * zero;
            parts.push((terms, one - zero));
        }
        let span: f64 = parts
            .iter()
            .map(|(terms, slope)| terms.span() * slope.abs())
            .sum();
        let step = STEP_MIN.max(span / POINTS_MAX);
        let (mut sum, mut least) = (vec![1.0], 0.0);
        for (terms, slope) in &parts {
            let (part, from) = terms.on_lattice(*slope, step);
            sum = convolved(&sum, &part);
            least += from;
        }
        Self {
            probabilities: sum,
            least,
            base,
            step,
        }
    }

    /// An upper bound on the probability of a sum of at least `score`.
    fn tail(&self, score: f64) -> f64 {
        let Self {
            least, base, step, ..
        } = self;
        let wanted = (score - base) / step - least;
        let wanted = wanted - SLACK * (1.0 + wanted.abs() + least.abs() + (base / step).abs());
        let reached = (0_u32..)
            .zip(&self.probabilities)
            .filter(|(at, _)| f64::from(*at) >= wanted);
        let probability: f64 = reached.map(|(_, probability)| probability).sum();
        (probability * (1.0 + SLACK) + CUT_OFF).min(1.0)
    }
}

/// The probabilities of the likely numbers of ones.
struct Binomial {
    least: f64,
    terms: Vec<f64>,
}

impl Binomial {
    fn new(trials: u64, bias: f64) -> Self {
        let trials = real(trials);
        let odds = bias / (1.0 - bias);
        let mode = ((trials + 1.0) * bias).floor().min(trials);
        let mut terms = Vec::new();
        let (mut at, mut term) = (mode, 1.0);
        while at > 0.0 && term > NEGLIGIBLE {
            term *= at / (trials - at + 1.0) / odds;
            at -= 1.0;
            terms.push(term);
        }
        terms.reverse();
        let least = at;
        terms.push(1.0);
        let (mut at, mut term) = (mode, 1.0);
        while at < trials && term > NEGLIGIBLE {
            term *= (trials - at) / (at + 1.0) * odds;
            at += 1.0;
            terms.push(term);
        }
        // What was cut off is missing here too, which makes every term larger, not smaller.
        let total: f64 = terms.iter().sum();
        for term in &mut terms {
            *term /= total;
        }
        Self { least, terms }
    }

    /// From the fewest to the most ones.
    fn span(&self) -> f64 {
        self.terms.iter().skip(1).map(|_| 1.0).sum()
    }

    /// The law of ones · slope, each value rounded up to the lattice: the probabilities from the
    /// least value on, and that value in steps.
    fn on_lattice(&self, slope: f64, step: f64) -> (Vec<f64>, f64) {
        let place = |offset: f64| ((self.least + offset) * slope / step).ceil();
        let least = place(0.0).min(place(self.span()));
        let mut law = Vec::new();
        let mut offset = 0.0;
        for term in &self.terms {
            let at = whole(place(offset) - least);
            if law.len() <= at {
                law.resize(at + 1, 0.0);
            }
            if let Some(slot) = law.get_mut(at) {
                *slot += term;
            }
            offset += 1.0;
        }
        (law, least)
    }
}

/// The law of the sum of two. Direct: a transform would lose the tail in the rounding.
fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; one.len() + other.len() - 1];
    let filled = |law: &[f64]| law.iter().filter(|term| **term > 0.0).count();
    let (outer, inner) = if filled(one) < filled(other) {
        (one, other)
    } else {
        (other, one)
    };
    for (at, factor) in outer
        .iter()
        .enumerate()
        .filter(|(_, factor)| **factor > 0.0)
    {
        for (slot, term) in sum.iter_mut().skip(at).zip(inner) {
            *slot += factor * term;
        }
    }
    sum
}

/// A place on the lattice, at most [`POINTS_MAX`] and some.
#[expect(
    clippy::as_conversions,
    reason = "whole, not negative, and bounded by the lattice"
)]
fn whole(place: f64) -> usize {
    place.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::super::grid::{Channel, Strategy};
    use super::*;

    fn tail(kinds: &[Kind], score: f64) -> f64 {
        Law::of(kinds).tail(score)
    }

    fn weights(members: u8, noise: f64) -> Cells<[f64; 2]> {
        Channel::Coalition {
            members,
            strategy: Strategy::Interleave,
            noise,
        }
        .ln_weights()
    }

    /// Votes by class and symbol, some of them of cells found by their rows and others by their values.
    fn counts(of_class: [u64; 6]) -> Cells<u64> {
        let mut counts = Cells::default();
        let (by_row, by_value) = counts.split_at_mut(6);
        for ((by_row, by_value), count) in by_row.iter_mut().zip(by_value).zip(of_class) {
            *by_value = count / 3;
            *by_row = count - *by_value;
        }
        counts
    }

    #[test]
    fn votes_that_are_weighed_alike_are_one_kind() {
        let counts = counts([40, 20, 80, 70, 22, 39]);
        let kinds = merged(&counts, &weights(1, 0.3));
        let merged_counts: Vec<u64> = kinds.iter().map(|kind| kind.count).collect();
        assert_eq!(merged_counts, [40, 20, 80, 70, 22, 39]);
        let kinds = merged(&counts, &Channel::Moved(0.75).ln_weights());
        let counted: Vec<u64> = kinds.iter().map(|kind| kind.count).collect();
        assert_eq!(counted, counts);
    }

    #[test]
    fn laws_that_are_kept_give_each_score_what_it_would_get_alone() {
        let counts = counts([140, 60, 160, 120, 70, 130]);
        let channels = || Channel::all().into_iter().map(Channel::ln_weights);
        let mut kept = Tails::new(&counts, channels());
        for score in [35.0, 8.0, 21.0, 35.0] {
            let alone = Tails::new(&counts, channels()).of_any(score);
            assert_eq!(kept.of_any(score).to_bits(), alone.to_bits());
        }
        // Only those channels are worked out that add anything.
        assert!(kept.channels.iter().any(|known| known.law.is_none()));
    }

    #[test]
    fn few_votes_can_be_counted_by_hand() {
        // One vote for a 1 where it is rare: an innocent has it with the bias' probability.
        let weights = weights(1, 0.1);
        let kinds = merged(&counts([0, 1, 0, 0, 0, 0]), &weights);
        let [zero, one] = weights[1];
        assert!((tail(&kinds, one) - 7_386.0 / 65_536.0).abs() < 1e-8);
        assert!((tail(&kinds, zero) - 1.0).abs() < 1e-8);
        assert!(tail(&kinds, one + 0.1) < 1e-50);
    }

    #[test]
    fn no_tail_is_above_what_markov_says() {
        for (weights, votes) in [
            (weights(1, 0.3), [40, 20, 80, 70, 22, 39]),
            (weights(3, 0.1), [400, 200, 800, 700, 220, 390]),
            (weights(5, 0.3), [900, 400, 1_000, 1_000, 420, 900]),
            (
                Channel::Moved(0.75).ln_weights(),
                [400, 200, 800, 700, 220, 390],
            ),
        ] {
            let kinds = merged(&counts(votes), &weights);
            for score in [1.0, 5.0, 20.0, 30.0] {
                let tail = tail(&kinds, score);
                assert!(tail <= (-score).exp(), "{votes:?} {score} {tail}");
            }
        }
    }

    /// By itself, before whoever asks takes the lower of it and of Markov's bound.
    #[test]
    fn in_every_channel_an_innocents_e_value_has_the_mean_one_and_no_tail_above_markovs_bound() {
        for (votes, scores) in [
            ([8, 5, 12, 9, 6, 6], [0.5, 1.0, 2.0, 5.0, 10.0]),
            ([40, 20, 80, 70, 22, 39], [1.0, 5.0, 10.0, 20.0, 30.0]),
        ] {
            let counts = counts(votes);
            for channel in Channel::all() {
                let kinds = merged(&counts, &channel.ln_weights());
                let law = Law::of(&kinds);
                // Each kind is rounded up to the lattice by less than a step.
                let room: f64 = kinds.iter().map(|_| law.step).sum();
                let places = (0_u32..).zip(&law.probabilities);
                let e_values = places.map(|(at, probability)| {
                    let score = law.base + law.step * (law.least + f64::from(at));
                    probability * score.exp()
                });
                let mean: f64 = e_values.sum();
                let means = 1.0 - SLACK..=room.exp() * (1.0 + SLACK);
                assert!(means.contains(&mean), "{channel:?} {mean} {room}");
                for score in scores {
                    let tail = law.tail(score);
                    let markov = (room - score).exp();
                    assert!(tail <= markov, "{channel:?} {score} {tail} {markov}");
                    // Where the lattice is fine, there is room enough below the bound.
                    let is_fine = room < 0.1;
                    assert!(
                        !is_fine || tail <= (-score).exp(),
                        "{channel:?} {score} {tail}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_tail_is_what_enumeration_gives() {
        let counts = counts([3, 2, 3, 2, 1, 3]);
        let weights = weights(2, 0.3);
        // Every way the 14 symbols of an innocent can fall.
        let votes: Vec<(f64, [f64; 2])> = CELLS
            .iter()
            .zip(counts)
            .zip(weights)
            .flat_map(|(((_, class, _), count), weights)| {
                (0..count).map(move |_| (class.bias(), weights))
            })
            .collect();
        for score in [-1.0, 0.5, 1.5, 2.5] {
            let (mut above, mut near) = (0.0, 0.0);
            for symbols in 0..1_u32 << votes.len() {
                let (mut probability, mut sum) = (1.0, 0.0);
                for (at, (bias, [zero, one])) in votes.iter().enumerate() {
                    let is_one = symbols >> at & 1 == 1;
                    probability *= if is_one { *bias } else { 1.0 - bias };
                    sum += if is_one { one } else { zero };
                }
                above += if sum >= score { probability } else { 0.0 };
                near += if sum >= score - 6.0 * STEP_MIN {
                    probability
                } else {
                    0.0
                };
            }
            let tail = tail(&merged(&counts, &weights), score);
            assert!(
                above <= tail && tail <= near + 1e-6,
                "{above} {tail} {near}"
            );
        }
    }

    #[test]
    fn chernoff_is_above_the_exact_tail() {
        let counts = counts([40, 20, 80, 70, 22, 39]);
        for (members, noise) in [(1, 0.01), (1, 0.3), (3, 0.5)] {
            for score in [0.5, 5.0, 20.0] {
                let kinds = merged(&counts, &weights(members, noise));
                let exact = tail(&kinds, score);
                let bound = chernoff(&kinds, score);
                assert!(exact <= bound * 1.05 && bound <= 1.0, "{exact} {bound}");
            }
        }
    }

    #[test]
    fn a_large_leak_stays_on_a_small_lattice() {
        let counts = counts([
            9_000_000, 4_000_000, 9_000_000, 9_000_000, 4_000_000, 9_000_000,
        ]);
        let tail = tail(&merged(&counts, &weights(5, 0.7)), 30.0);
        assert!(tail > 0.0 && tail <= 1.0);
    }

    #[test]
    fn a_law_sums_to_one_on_the_lattice() {
        for (trials, bias) in [(0, 0.5), (1, 0.1), (50, 0.887), (100_000, 0.5)] {
            let (law, _) = Binomial::new(trials, bias).on_lattice(-0.37, 0.01);
            assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{trials}");
        }
    }
}
