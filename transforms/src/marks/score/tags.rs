//! Votes of tags: the number that each tagged pseudonym of a leak shows, and what they say of a grant.
//!
//! A pseudonym has one vote, however often it was copied. Of a leaker's tags a share α is in the leak;
//! the others are other members' or were altered, and show the leaker's number by chance alone, with
//! probability q = 2^-bits. The weight of a vote is the likelihood ratio against that chance:
//! `(α + (1-α)q)/q` where it shows the candidate's number, `1-α` where it doesn't. For somebody who
//! had no part in the leak a vote matches with probability q, exactly, so the mean of the weight is
//! `α + (1-α)q + (1-q)(1-α) = 1`, whatever α is, and the mean over the shares of the products is an
//! e-value.
//!
//! It is multiplied with that of the symbols. Both are of mean 1, and a grant's tags and its symbols
//! come from different keys, so the product is of mean 1 too. Tags have a share of their own because
//! what happens to them happens to them alone: a leak may have one grant's pseudonyms beside another's
//! cells, or pseudonyms drawn anew beside cells nobody touched. With one share for both, the one that
//! speaks would be drowned by the one that was silenced; so the silenced one costs the logarithm of the
//! number of shares, and no more.

use std::mem;

use super::{ln_mean_exp, real};
use crate::cases::count;
use crate::marks::code::{Code, Position};
use crate::marks::key::GrantIndex;

/// Shares of a leaker's own among the tags of a leak. With the last, tags say nothing.
const SHARES: [f64; 11] = [0.99, 0.9, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.025, 0.01, 0.0];

/// Most tagged pseudonyms that are counted, those of the lowest identities: identities are
/// pseudo-random and know nothing of numbers, so the choice favours nobody. A grant is named by a few,
/// and each costs a block of the cipher for every candidate.
const VOTES_MAX: usize = 4_096;

/// Entries that are collected before those of one pseudonym are folded together.
const ENTRIES_MIN: usize = 1 << 16;

/// A tag read from a leaked copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagObservation {
    /// The pseudonym's place in the code.
    pub position: Position,
    /// Bits of its tag.
    pub bits: u32,
    /// The number its tag shows.
    pub shown: u64,
}

/// Collects tags, in any order and in any number of parts.
#[derive(Debug, Clone, Default)]
pub(super) struct TagBallots {
    entries: Vec<Ballot>,
    /// How many entries there were after the last folding.
    folded: usize,
    /// The lowest identity that was left out.
    cut: Option<u128>,
}

#[derive(Debug, Clone, Copy)]
struct Ballot {
    id: u128,
    bits: u32,
    shown: u64,
    count: u64,
}

impl TagBallots {
    pub(super) fn add(&mut self, observations: impl IntoIterator<Item = TagObservation>) {
        for observation in observations {
            self.push(Ballot {
                id: observation.position.id(),
                bits: observation.bits,
                shown: observation.shown,
                count: 1,
            });
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.cut = self.cut.into_iter().chain(other.cut).min();
        for entry in other.entries {
            self.push(entry);
        }
    }

    fn push(&mut self, entry: Ballot) {
        if self.cut.is_some_and(|cut| entry.id >= cut) {
            return;
        }
        self.entries.push(entry);
        if self.entries.len() >= ENTRIES_MIN.max(2 * self.folded) {
            self.fold();
        }
    }

    /// Brings the entries of one pseudonym that show one number together, and keeps those of the lowest
    /// identities.
    fn fold(&mut self) {
        let key = |entry: &Ballot| (entry.id, entry.bits, entry.shown);
        self.entries.sort_unstable_by_key(key);
        self.entries.dedup_by(|later, kept| {
            let same = key(later) == key(kept);
            if same {
                kept.count = kept.count.saturating_add(later.count);
            }
            same
        });
        let pseudonyms = self.entries.chunk_by(|one, next| one.id == next.id);
        let kept: usize = pseudonyms.take(VOTES_MAX).map(<[Ballot]>::len).sum();
        let beyond = self.entries.get(kept).map(|entry| entry.id);
        self.cut = self.cut.into_iter().chain(beyond).min();
        let cut = self.cut;
        let is_kept = |entry: &Ballot| cut.is_none_or(|cut| entry.id < cut);
        self.entries.truncate(self.entries.partition_point(is_kept));
        self.folded = self.entries.len();
    }

    /// Closes the poll: each pseudonym has one vote, for the number it shows most often, and none where
    /// two are shown equally often.
    pub(super) fn close(mut self) -> TagVotes {
        self.fold();
        let entries = mem::take(&mut self.entries);
        let mut votes = TagVotes {
            is_sample: self.cut.is_some(),
            ..TagVotes::default()
        };
        for pseudonym in entries.chunk_by(|one, next| one.id == next.id) {
            let most = pseudonym.iter().map(|entry| entry.count).max();
            let mut first = pseudonym.iter().filter(|entry| Some(entry.count) == most);
            let (Some(entry), None) = (first.next(), first.next()) else {
                votes.ties += 1;
                continue;
            };
            votes.add(entry);
        }
        votes
    }
}

/// One vote for each tagged pseudonym of a leaked copy.
#[derive(Debug, Clone, Default)]
pub struct TagVotes {
    groups: Vec<Group>,
    ties: u64,
    is_sample: bool,
}

/// The votes of tags of one length.
#[derive(Debug, Clone)]
struct Group {
    bits: u32,
    /// Identities of positions, and the numbers shown there.
    shown: Vec<(u128, u64)>,
}

impl TagVotes {
    fn add(&mut self, entry: &Ballot) {
        let vote = (entry.id, entry.shown);
        match self
            .groups
            .iter_mut()
            .find(|group| group.bits == entry.bits)
        {
            Some(group) => group.shown.push(vote),
            None => self.groups.push(Group {
                bits: entry.bits,
                shown: vec![vote],
            }),
        }
    }

    /// Votes that are counted.
    pub fn total(&self) -> u64 {
        let groups = self.groups.iter();
        groups.map(|group| count(group.shown.len())).sum()
    }

    /// Pseudonyms that were dropped because two tags of theirs were seen equally often.
    pub fn ties(&self) -> u64 {
        self.ties
    }

    /// Whether the leak has more pseudonyms than are counted.
    pub fn is_sample(&self) -> bool {
        self.is_sample
    }

    /// How many of the tags are a candidate's, by their bits. Work: a block of the cipher for every
    /// vote.
    pub fn counts(&self, code: &Code, grant: GrantIndex) -> Vec<(u32, TagCount)> {
        let counts = self.groups.iter().map(|group| {
            let tags = TagCount {
                matched: code.tags().matches(grant, group.bits, &group.shown),
                of: u32::try_from(group.shown.len()).unwrap_or(u32::MAX),
            };
            (group.bits, tags)
        });
        counts.collect()
    }

    /// What the votes say of a candidate: the logarithm of the e-value, and the count it comes from.
    pub(super) fn score(&self, code: &Code, grant: GrantIndex) -> (f64, TagCount) {
        let counts = self.counts(code, grant);
        let mut all = TagCount::default();
        for (_, tags) in &counts {
            all.matched += tags.matched;
            all.of += tags.of;
        }
        (ln_e_of_tags(&counts), all)
    }
}

/// The logarithm of the e-value that follows from how many tags, by their bits, are a candidate's: for
/// whoever holds a record of a trace, and not the leak.
pub fn ln_e_of_tags(counts: &[(u32, TagCount)]) -> f64 {
    if counts.is_empty() {
        return 0.0;
    }
    let sums = SHARES.map(|share| {
        let sums = counts.iter().map(|(bits, tags)| {
            let [matches, differs] = ln_weights(*bits, share);
            let differing = tags.of.saturating_sub(tags.matched);
            f64::from(tags.matched) * matches + f64::from(differing) * differs
        });
        sums.sum()
    });
    ln_mean_exp(&sums)
}

/// How many tags of a leak are a candidate's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TagCount {
    /// Votes that show the candidate's number.
    pub matched: u32,
    /// All votes of tags.
    pub of: u32,
}

/// The probability that a tag of so many bits shows a given number by chance.
fn null_match(bits: u32) -> f64 {
    0.5_f64.powi(i32::try_from(bits).unwrap_or(i32::MAX))
}

/// The logarithms of the weights of a vote that shows the candidate's number, and of one that doesn't.
fn ln_weights(bits: u32, share: f64) -> [f64; 2] {
    let chance = null_match(bits);
    let matches = share + (1.0 - share) * chance;
    [(matches / chance).ln(), (1.0 - share).ln()]
}

/// Mean and variance of the logarithm of a leaker's weight at a tag of so many bits, where a share of
/// the tags is the leaker's own: how fast a trace of it grows.
pub(in crate::marks) fn tag_drift(bits: u32, share: f64) -> (f64, f64) {
    let chance = null_match(bits);
    let matching = share + (1.0 - share) * chance;
    let [matches, differs] = ln_weights(bits, share);
    let mean = matching * matches + (1.0 - matching) * differs;
    let square = matching * matches * matches + (1.0 - matching) * differs * differs;
    (mean, square - mean * mean)
}

/// What the average over the shares costs at most, in nats.
pub(in crate::marks) fn ln_shares() -> f64 {
    real(SHARES.iter().map(|_| 1).sum()).ln()
}

#[cfg(test)]
mod tests;
