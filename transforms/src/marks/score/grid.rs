//! How a coalition may have made the copy it leaked: the channels a score is averaged over.
//!
//! A channel gives the probability of a symbol in the leak, given the symbol of one member. `c`
//! members who choose between their copies by a strategy show a 1 with probability θ(k) where k of
//! them have a 1; where all agree, nobody has anything else to show. Of what they made, a share ν
//! was then replaced by symbols of no account:
//!
//! `P(y=1|x) = (1-ν)·Σ_k C(c-1,k) p^k (1-p)^(c-1-k) θ(k+x) + ν/2`
//!
//! The weight of a vote is the likelihood ratio `w(y,x) = P(y|x) / ((1-p)·P(y|0) + p·P(y|1))`.
//! Whatever the channel, its mean over the symbol of somebody who had no part in the leak is
//! exactly 1: `(1-p)·w(y,0) + p·w(y,1) = 1`. So a wrong guess of the channel costs power and never
//! an innocent. That holds in each kind of vote by itself, so a channel may do one thing to cells that are
//! found by their row and another to those found by their own value. Strategies other than the fair one are in the grid because averaging over them
//! costs the logarithm of their number, and missing one can cost the trace (Laarhoven, "Capacities
//! and capacity-achieving decoders for various fingerprinting games", IH&MMSec 2014).

use super::votes::{CELLS, Cells, Found};

/// How the members of a coalition choose between their symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// One of the members' cells, each as likely as any other.
    Interleave,
    /// What most of them have.
    Majority,
    /// What fewest of them have.
    Minority,
    /// A coin.
    Coin,
    /// 1 if any has it.
    Ones,
    /// 0 if any has it.
    Zeros,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Interleave,
        Self::Majority,
        Self::Minority,
        Self::Coin,
        Self::Ones,
        Self::Zeros,
    ];

    /// The probability of showing a 1 where `ones` of `members` have it.
    pub fn shows(self, ones: u8, members: u8) -> f64 {
        if ones == 0 || ones >= members {
            return f64::from(u8::from(ones > 0));
        }
        let doubled = ones.saturating_mul(2);
        match self {
            Self::Interleave => f64::from(ones) / f64::from(members),
            Self::Coin => 0.5,
            Self::Majority | Self::Minority if doubled == members => 0.5,
            Self::Majority => f64::from(u8::from(doubled > members)),
            Self::Minority => f64::from(u8::from(doubled < members)),
            Self::Ones => 1.0,
            Self::Zeros => 0.0,
        }
    }
}

/// One way from the copies of a coalition to the leak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Channel {
    /// Members who choose by a strategy; then a share of the symbols is replaced.
    Coalition {
        /// How many, from 1.
        members: u8,
        /// How they choose.
        strategy: Strategy,
        /// The share ν, from 0 to 1, both excluded.
        noise: f64,
    },
    /// One copy, a share of whose symbols is turned over: more than half of them tells as much as
    /// less than half.
    Flip(f64),
    /// One copy, a share of whose values is moved by a step. A cell found by its row shows the other
    /// symbol then. One that is found by its own value comes to lie in another block: it shows what it
    /// showed, at a position that is none of its own, and so says nothing.
    Moved(f64),
}

/// Shares of replaced symbols.
const NOISES: [f64; 8] = [0.01, 0.1, 0.3, 0.5, 0.7, 0.85, 0.93, 0.97];

/// Shares of symbols turned over, or of values moved.
const FLIPS: [f64; 4] = [0.6, 0.75, 0.9, 0.99];

/// The largest coalition the code is made for.
const MEMBERS_MAX: u8 = 6;

impl Channel {
    /// The grid: 1 to 6 members, six strategies (one member has none), eight shares of noise, and
    /// four each of flips and of moves: 256 channels.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for members in 1..=MEMBERS_MAX {
            for strategy in Strategy::ALL {
                if members == 1 && strategy != Strategy::Interleave {
                    continue;
                }
                all.extend(NOISES.map(|noise| Self::Coalition {
                    members,
                    strategy,
                    noise,
                }));
            }
        }
        all.extend(FLIPS.map(Self::Flip));
        all.extend(FLIPS.map(Self::Moved));
        all
    }

    /// The channel that it is for cells found in that way.
    fn of_found(self, found: Found) -> Self {
        match (self, found) {
            (Self::Moved(share), Found::ByRow) => Self::Flip(share),
            (Self::Moved(noise), Found::ByValue) => Self::Coalition {
                members: 1,
                strategy: Strategy::Interleave,
                noise,
            },
            (Self::Coalition { .. } | Self::Flip(_), _) => self,
        }
    }

    /// The probability that the leak shows a 1 where one member's symbol is `symbol`, at a cell found by
    /// its row.
    fn shows_one(self, bias: f64, symbol: bool) -> f64 {
        match self {
            Self::Coalition {
                members,
                strategy,
                noise,
            } => {
                let others = members.saturating_sub(1);
                let chosen: f64 = (0..=others)
                    .map(|ones| {
                        let all = ones.saturating_add(u8::from(symbol));
                        binomial(others, ones, bias) * strategy.shows(all, members)
                    })
                    .sum();
                (1.0 - noise) * chosen + noise / 2.0
            }
            Self::Flip(share) | Self::Moved(share) if symbol => 1.0 - share,
            Self::Flip(share) | Self::Moved(share) => share,
        }
    }

    /// The logarithms of the weights: for each kind of vote, of a candidate whose symbol is 0, and
    /// of one whose symbol is 1.
    pub fn ln_weights(self) -> Cells<[f64; 2]> {
        CELLS.map(|(found, class, shown)| {
            let bias = class.bias();
            let channel = self.of_found(found);
            let likelihoods = [false, true].map(|symbol| {
                let one = channel.shows_one(bias, symbol);
                if shown { one } else { 1.0 - one }
            });
            let [zero, one] = likelihoods;
            let mean = (1.0 - bias) * zero + bias * one;
            likelihoods.map(|likelihood| (likelihood / mean).ln())
        })
    }

    /// Mean and variance of the logarithm of a member's weight at one position of a cell found by its
    /// row, over classes, symbols and what this channel shows: how fast a trace of it grows.
    pub(in crate::marks) fn drift(self) -> (f64, f64) {
        let kinds = CELLS.into_iter().zip(self.ln_weights());
        let (mut mean, mut square) = (0.0, 0.0);
        for ((_, class, shown), weights) in
            kinds.filter(|((found, _, _), _)| *found == Found::ByRow)
        {
            for (symbol, weight) in [false, true].into_iter().zip(weights) {
                let has = if symbol {
                    class.bias()
                } else {
                    1.0 - class.bias()
                };
                let one = self.shows_one(class.bias(), symbol);
                let shows = if shown { one } else { 1.0 - one };
                let share = class.weight() * has * shows;
                mean += share * weight;
                square += share * weight * weight;
            }
        }
        (mean, square - mean * mean)
    }
}

/// The probability of `ones` of `trials`, each with probability `bias`.
fn binomial(trials: u8, ones: u8, bias: f64) -> f64 {
    let ways = (0..ones).fold(1.0, |ways, at| {
        ways * f64::from(trials - at) / f64::from(at + 1)
    });
    ways * bias.powi(ones.into()) * (1.0 - bias).powi((trials - ones).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::code::Class;

    #[test]
    fn the_mean_weight_of_an_innocent_is_one_in_every_channel() {
        for channel in Channel::all() {
            for ((_, class, _), [zero, one]) in CELLS.into_iter().zip(channel.ln_weights()) {
                let mean = (1.0 - class.bias()) * zero.exp() + class.bias() * one.exp();
                assert!((mean - 1.0).abs() < 1e-14, "{channel:?} {mean}");
            }
        }
    }

    #[test]
    fn the_grid_has_256_channels_of_finite_weight() {
        let all = Channel::all();
        assert_eq!(all.len(), 256);
        for channel in all {
            let finite = channel
                .ln_weights()
                .into_iter()
                .flatten()
                .all(f64::is_finite);
            assert!(finite, "{channel:?}");
        }
    }

    #[test]
    fn where_all_members_agree_they_show_what_they_have() {
        for strategy in Strategy::ALL {
            for members in 1..=MEMBERS_MAX {
                assert!(strategy.shows(0, members).abs() < f64::EPSILON);
                assert!((strategy.shows(members, members) - 1.0).abs() < f64::EPSILON);
            }
        }
    }

    #[test]
    fn a_lone_leaker_shows_every_symbol_but_for_the_noise() {
        let channel = Channel::Coalition {
            members: 1,
            strategy: Strategy::Interleave,
            noise: 0.1,
        };
        for class in Class::ALL {
            assert!((channel.shows_one(class.bias(), true) - 0.95).abs() < 1e-12);
            assert!((channel.shows_one(class.bias(), false) - 0.05).abs() < 1e-12);
        }
    }

    #[test]
    fn a_moved_copy_weighs_each_kind_by_itself() {
        for share in FLIPS {
            let moved = Channel::Moved(share).ln_weights();
            let turned = Channel::Flip(share).ln_weights();
            let noise = Channel::Coalition {
                members: 1,
                strategy: Strategy::Interleave,
                noise: share,
            };
            let kinds = CELLS
                .iter()
                .zip(moved.iter().zip(turned.iter().zip(noise.ln_weights())));
            for ((found, _, _), (moved, (turned, noise))) in kinds {
                let expected = match found {
                    Found::ByRow => turned,
                    Found::ByValue => &noise,
                };
                assert_eq!(moved.map(f64::to_bits), expected.map(f64::to_bits));
            }
        }
        // All others weigh both kinds alike.
        for channel in Channel::all() {
            let weights = channel.ln_weights();
            let (by_row, by_value) = weights.split_at(6);
            let is_moved = matches!(channel, Channel::Moved(_));
            assert_eq!(by_row != by_value, is_moved, "{channel:?}");
        }
    }

    #[test]
    fn a_member_gains_in_every_channel() {
        for channel in Channel::all() {
            let (mean, variance) = channel.drift();
            assert!(mean > 0.0 && variance > 0.0, "{channel:?}");
        }
    }
}
