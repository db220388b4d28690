//! The trace: how strongly a leaked copy speaks against each grant.
//!
//! For a candidate j, the *e-value* is the mean over the [channels](Channel) of the product of the
//! weights of all votes. For a grant that had no part in the leak, its symbols are independent of
//! everything the leak shows, so the mean of each weight is 1, and that of the e-value as well. By
//! Markov's inequality an innocent's e-value is at least T with probability at most 1/T. Among N
//! candidates, with T = N/ε, *any* innocent is accused with probability at most ε, whatever the
//! leak's size, the coalition or the attack. This rests on the cipher being pseudo-random, on one
//! vote a position, and on the leaker not knowing the innocent's symbols; on nothing else.
//!
//! - [`votes`](Votes): one vote a position, and the twelve counts that are all a score needs
//! - [`grid`](Channel): the channels
//! - [`tags`](TagVotes): the votes of tagged pseudonyms, whose e-value multiplies that of the symbols
//! - [`exact`](Scores::p_value): the exact tail of the law of an innocent's score
//! - [`presence`](ln_presence): is this our data, without a candidate

mod exact;
mod grid;
mod presence;
mod tags;
#[cfg(test)]
mod tests;
mod votes;

pub use grid::{Channel, Strategy};
pub use presence::{ln_presence, presence_from};
pub use tags::{TagCount, TagObservation, TagVotes, ln_e_of_tags};
pub(super) use tags::{ln_shares, tag_drift};
pub use votes::{Ballots, CELLS, Cells, Found, Observation, Votes};

use super::code::Code;
use super::key::GrantIndex;

/// How many times an innocent is expected among the suspects is one in so many.
const SUSPECT: f64 = 1e3;

/// What a trace is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standard {
    /// Grant indices ever issued under the key, N.
    pub issued: u64,
    /// Matchings of columns, units and epochs that are traced side by side, H.
    pub hypotheses: u64,
    /// The probability ε of accusing any innocent at all in this trace: of what all traces of a
    /// dataset share, the [`share`](Self::share) of this one.
    pub error: f64,
}

impl Standard {
    /// ε where nothing else is asked for.
    pub const ERROR: f64 = 1e-9;

    /// One trace of one matching, with an error of [`ERROR`](Self::ERROR).
    pub fn new(issued: u64) -> Self {
        Self {
            issued,
            hypotheses: 1,
            error: Self::ERROR,
        }
    }

    /// What the `investigation`-th trace, from 1, may use up of the `error` that all traces of a
    /// dataset share: `error / (i·(i+1))`.
    ///
    /// However many there will be, they use up no more than `error`: `1/(i·(i+1)) = 1/i - 1/(i+1)`,
    /// so the shares of the first n traces add up to `error · (1 - 1/(n+1))`. The chance that *any*
    /// of them accuses an innocent is at most the sum of their chances, whatever made somebody ask
    /// for one more trace. A later trace costs its threshold 2·ln(i) and no more.
    pub fn share(error: f64, investigation: u64) -> f64 {
        let number = real(investigation.max(1));
        error / (number * (number + 1.0))
    }

    /// ln(H · N): how many candidates are looked at.
    fn ln_looks(&self) -> f64 {
        real(self.hypotheses.max(1)).ln() + real(self.issued.max(1)).ln()
    }

    /// The logarithm of the e-value from which a grant is accused: H · N / ε.
    pub fn accused_from(&self) -> f64 {
        self.ln_looks() - self.error.ln()
    }

    /// The logarithm of the e-value from which a grant is suspect: 1000 · H · N.
    pub fn suspect_from(&self) -> f64 {
        self.ln_looks() + SUSPECT.ln()
    }

    /// What an e-value says under this standard.
    pub fn verdict(&self, ln_e: f64) -> Verdict {
        if ln_e >= self.accused_from() {
            Verdict::Accused
        } else if ln_e >= self.suspect_from() {
            Verdict::Suspect
        } else {
            Verdict::None
        }
    }

    /// An upper bound on the probability that any innocent has so small a bound, by Markov's inequality
    /// for each hypothesis: to be below `b` under one takes an e-value of `H · N / b` of its own N, which
    /// any of N has with a chance of at most `b / H`.
    pub fn bound(&self, ln_e: f64) -> f64 {
        (self.ln_looks() - ln_e).exp().min(1.0)
    }
}

/// What a trace says of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It had a part in the leak; the chance that this is said of any innocent is below ε.
    Accused,
    /// To be looked into; no accusation.
    Suspect,
    /// Nothing is said.
    None,
}

/// The result for one candidate, with the twelve numbers that whoever holds the key can count again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The candidate.
    pub grant: GrantIndex,
    /// The logarithm of the e-value.
    pub ln_e: f64,
    /// For each kind of vote, at how many the candidate's symbol is 1.
    pub ones: Cells<u32>,
    /// How many of the leak's tags are the candidate's.
    pub tags: TagCount,
}

/// The votes of one leak, ready to be held against candidates.
#[derive(Debug, Clone)]
pub struct Scores<'a> {
    votes: &'a Votes,
    channels: Prepared,
}

/// The channels' weights, summed up for the votes: of each kind one value for every channel, so that
/// several channels are added up at once.
#[derive(Debug, Clone)]
struct Prepared {
    /// The score of a candidate all of whose symbols are 0.
    base: Vec<f64>,
    /// What a symbol 1 adds.
    slopes: Cells<Vec<f64>>,
}

impl Prepared {
    /// The grid, summed up for votes of those counts.
    fn new(counts: &Cells<u64>) -> Self {
        let weights: Vec<_> = Channel::all()
            .into_iter()
            .map(Channel::ln_weights)
            .collect();
        let base = weights.iter().map(|of| {
            let zeros = of.iter().zip(counts);
            zeros.map(|([zero, _], count)| zero * real(*count)).sum()
        });
        let mut slopes = Cells::<Vec<f64>>::default();
        for of in &weights {
            for (slopes, [zero, one]) in slopes.iter_mut().zip(of) {
                slopes.push(one - zero);
            }
        }
        Self {
            base: base.collect(),
            slopes,
        }
    }

    /// The score in every channel, in `scores`, whose content is replaced.
    fn score(&self, ones: &Cells<u32>, scores: &mut Vec<f64>) {
        scores.clear();
        scores.resize(self.base.len(), 0.0);
        // Of many leaks all cells were found by their rows, so that half of the kinds have no votes.
        let voted = self.slopes.iter().zip(ones).filter(|(_, ones)| **ones > 0);
        for (slopes, ones) in voted {
            let ones = f64::from(*ones);
            for (score, slope) in scores.iter_mut().zip(slopes) {
                *score += slope * ones;
            }
        }
        for (score, base) in scores.iter_mut().zip(&self.base) {
            *score += base;
        }
    }
}

impl<'a> Scores<'a> {
    /// Prepares the grid for the votes.
    pub fn new(votes: &'a Votes) -> Self {
        Self {
            votes,
            channels: Prepared::new(&votes.counts()),
        }
    }

    /// The score of every candidate, in their order.
    ///
    /// Candidates whose indices differ in the last three bits only share the work; they do so where
    /// they stand next to each other. Indices are drawn at random, so hardly any do, and one alone is
    /// counted by itself.
    pub fn of(&self, code: &Code, candidates: &[GrantIndex]) -> Vec<Score> {
        let mut scores = Vec::with_capacity(candidates.len());
        let mut sums = Vec::new();
        for group in candidates.chunk_by(|one, next| one.octet() == next.octet()) {
            let Some(first) = group.first() else { continue };
            let octet = (group.len() > 1).then(|| self.votes.ones(code, first.octet()));
            for grant in group {
                let ones = match &octet {
                    Some(octet) => octet.get(grant.lane()).copied().unwrap_or_default(),
                    None => self.votes.ones_of(code, *grant),
                };
                self.channels.score(&ones, &mut sums);
                let (ln_e_of_tags, tags) = self.votes.tags().score(code, *grant);
                scores.push(Score {
                    grant: *grant,
                    ln_e: ln_mean_exp(&sums) + ln_e_of_tags,
                    ones,
                    tags,
                });
            }
        }
        scores
    }

    /// An upper bound on the probability that a given innocent has an e-value as high: the tails of
    /// the exact law in the channels, or Markov's bound where that is lower. Where there are tags it
    /// is Markov's bound.
    ///
    /// Costs up to a second, and is meant for those who are accused.
    pub fn p_value(&self, ln_e: f64) -> f64 {
        match self.votes.tags().total() {
            0 => p_value(&self.votes.counts(), ln_e),
            _ => (-ln_e).exp().min(1.0),
        }
    }
}

/// The logarithm of the e-value that follows from the twelve counts of the votes and a candidate's
/// twelve numbers: for whoever holds a record of a trace, and not the leak.
pub fn ln_e_value(counts: &Cells<u64>, ones: &Cells<u32>) -> f64 {
    let mut scores = Vec::new();
    Prepared::new(counts).score(ones, &mut scores);
    ln_mean_exp(&scores)
}

/// As [`Scores::p_value`], from the counts alone.
pub fn p_value(counts: &Cells<u64>, ln_e: f64) -> f64 {
    p_value_by(&mut tails(counts), ln_e)
}

/// [`p_value`] of several e-values, of which all but the first cost little more.
pub fn p_values(counts: &Cells<u64>, ln_e: &[f64]) -> Vec<f64> {
    let mut tails = tails(counts);
    let each = ln_e.iter();
    each.map(|ln_e| p_value_by(&mut tails, *ln_e)).collect()
}

fn tails(counts: &Cells<u64>) -> exact::Tails {
    let channels = Channel::all().into_iter();
    exact::Tails::new(counts, channels.map(Channel::ln_weights))
}

fn p_value_by(tails: &mut exact::Tails, ln_e: f64) -> f64 {
    let bound = (-ln_e).exp().min(1.0);
    match bound >= 1.0 {
        true => bound,
        false => tails.of_any(ln_e).min(bound),
    }
}

/// ln(mean(exp(x))), without overflow.
fn ln_mean_exp(values: &[f64]) -> f64 {
    // What is smaller than the largest by so much is lost in its rounding: e^-45 is 3·10^-20, and there
    // are some hundred values.
    const NEGLIGIBLE: f64 = -45.0;
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut count = 0.0;
    let mut sum = 0.0;
    for value in values {
        let below = value - largest;
        if below > NEGLIGIBLE {
            sum += below.exp();
        }
        count += 1.0;
    }
    largest + (sum / count).ln()
}

/// A count as a double.
#[expect(clippy::as_conversions, reason = "counts are far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}
