//! Votes of tags: the number that each tagged pseudonym of a leak shows, and what they say of a grant.
//!
//! A pseudonym has one vote, however often it was copied. Of a leaker's tags a share α is in the leak;
//! the others are other members' or were altered, and show the leaker's number by chance alone, with
//! probability q, which follows from how many tags there are. The weight of a vote is the likelihood ratio against that chance:
//! `(α + (1-α)q)/q` where it shows the candidate's number, `1-α` where it doesn't. For somebody who
//! had no part in the leak a vote matches with probability q, exactly, so the mean of the weight is
//! `α + (1-α)q + (1-q)(1-α) = 1`, whatever α is, and the mean over the shares of the products is an
//! e-value. Where the tags are no power of two, q is [above](TagSpace::chance) that probability by less than
//! 1 in 10^15, and the mean of the weight below 1.
//!
//! It is multiplied with that of the symbols. Both are of mean 1, and a grant's tags and its symbols
//! come from different keys, so the product is of mean 1 too. Tags have a share of their own because
//! what happens to them happens to them alone: a leak may have one grant's pseudonyms beside another's
//! cells, or pseudonyms drawn anew beside cells nobody touched. With one share for both, the one that
//! speaks would be drowned by the one that was silenced; so the silenced one costs the logarithm of the
//! number of shares, and no more.

use std::{fmt, mem};

use super::{ln_mean_exp, real};
use crate::cases::count;
use crate::marks::code::{Code, Position};
use crate::marks::key::GrantIndex;
use crate::marks::tag::TagSpace;

/// Shares of a leaker's own among the tags of a leak. With the last, tags say nothing.
const SHARES: [f64; 11] = [0.99, 0.9, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.025, 0.01, 0.0];

/// Most tagged pseudonyms that are counted, those of the lowest identities: identities are
/// pseudo-random and know nothing of numbers, so the choice favours nobody. A grant is named by a few,
/// and each costs a block of the cipher for every candidate.
const VOTES_MAX: usize = 4_096;

/// Most numbers of one pseudonym that are told apart. One that shows more has no vote: copies of a
/// grant show one number for it, a coalition's as many as it has members.
const NUMBERS_MAX: usize = 64;

/// Entries that are collected before those of one pseudonym are folded together.
const ENTRIES_MIN: usize = 1 << 16;

/// A tag read from a leaked copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagObservation {
    /// The pseudonym's place in the code.
    pub position: Position,
    /// How many tags there are.
    pub space: TagSpace,
    /// The number its tag shows.
    pub shown: u64,
}

/// Collects tags, in any order and in any number of parts, within bounded memory: [`VOTES_MAX`]
/// pseudonyms of [`NUMBERS_MAX`] numbers are 13 MB, and twice that before a folding.
///
/// Which pseudonyms are kept, and which show too many numbers, follows from the set of what the leak
/// shows, and so neither from order nor from parts. An innocent's number is independent of all that
/// the leak shows, and so of whether a pseudonym has a vote and for what: each weight still has the
/// mean 1, and the bound on a false accusation stays exact.
#[derive(Clone, Default)]
pub(super) struct TagBallots {
    entries: Vec<Ballot>,
    /// How many entries there were after the last folding.
    folded: usize,
    /// The lowest identity that was left out.
    cut: Option<u128>,
}

#[derive(Clone, Copy)]
struct Ballot {
    id: u128,
    /// None for all numbers of a pseudonym that shows too many.
    shown: Option<Shown>,
    count: u64,
}

/// How many tags there are, and the number that one shows.
type Shown = (TagSpace, u64);

impl TagBallots {
    pub(super) fn add(&mut self, observations: impl IntoIterator<Item = TagObservation>) {
        for observation in observations {
            self.push(Ballot {
                id: observation.position.id(),
                shown: Some((observation.space, observation.shown)),
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
    /// identities: of a pseudonym with too many numbers one entry, which stands for them all.
    fn fold(&mut self) {
        let key = |entry: &Ballot| (entry.id, entry.shown);
        self.entries.sort_unstable_by_key(key);
        self.entries.dedup_by(|later, kept| {
            let same = key(later) == key(kept);
            if same {
                kept.count = kept.count.saturating_add(later.count);
            }
            same
        });
        let mut pseudonyms = self.entries.chunk_by(|one, next| one.id == next.id);
        let mut kept = Vec::new();
        for pseudonym in pseudonyms.by_ref().take(VOTES_MAX) {
            match pseudonym {
                [first, ..] if first.shown.is_none() || pseudonym.len() > NUMBERS_MAX => {
                    kept.push(Ballot {
                        shown: None,
                        ..*first
                    });
                }
                numbers => kept.extend_from_slice(numbers),
            }
        }
        let beyond = pseudonyms.flatten().next().map(|entry| entry.id);
        self.cut = self.cut.into_iter().chain(beyond).min();
        let cut = self.cut;
        kept.truncate(kept.partition_point(|entry| cut.is_none_or(|cut| entry.id < cut)));
        self.folded = kept.len();
        self.entries = kept;
    }

    /// Closes the poll: each pseudonym has one vote, for the number it shows most often, and none where
    /// two are shown equally often or there are too many.
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
            if let (Some(entry), None) = (first.next(), first.next())
                && let Some(shown) = entry.shown
            {
                votes.add(entry.id, shown);
            } else {
                votes.ties += 1;
            }
        }
        votes
    }
}

/// One vote for each tagged pseudonym of a leaked copy.
#[derive(Clone, Default)]
pub struct TagVotes {
    groups: Vec<Group>,
    ties: u64,
    is_sample: bool,
}

/// How many votes there are, and none of them: a number that is shown is part of a value.
impl fmt::Debug for TagVotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagVotes")
            .field("total", &self.total())
            .field("ties", &self.ties)
            .field("is_sample", &self.is_sample)
            .finish_non_exhaustive()
    }
}

/// The votes of tags of one length.
#[derive(Clone)]
struct Group {
    space: TagSpace,
    /// Identities of positions, and the numbers shown there.
    shown: Vec<(u128, u64)>,
}

impl TagVotes {
    fn add(&mut self, id: u128, (space, shown): Shown) {
        let vote = (id, shown);
        match self.groups.iter_mut().find(|group| group.space == space) {
            Some(group) => group.shown.push(vote),
            None => self.groups.push(Group {
                space,
                shown: vec![vote],
            }),
        }
    }

    /// Votes that are counted.
    pub fn total(&self) -> u64 {
        let groups = self.groups.iter();
        groups.map(|group| count(group.shown.len())).sum()
    }

    /// Pseudonyms that were dropped because two tags of theirs were seen equally often, or too many.
    pub fn ties(&self) -> u64 {
        self.ties
    }

    /// Whether the leak has more pseudonyms than are counted.
    pub fn is_sample(&self) -> bool {
        self.is_sample
    }

    /// How many of the tags are a candidate's, by how many there are. Work: a block of the cipher for every
    /// vote.
    pub fn counts(&self, code: &Code, grant: GrantIndex) -> Vec<(TagSpace, TagCount)> {
        let counts = self.groups.iter().map(|group| {
            let tags = TagCount {
                matched: code.tags().matches(grant, group.space, &group.shown),
                of: u32::try_from(group.shown.len()).unwrap_or(u32::MAX),
            };
            (group.space, tags)
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

/// The logarithm of the e-value that follows from how many tags, by how many there are, are a candidate's: for
/// whoever holds a record of a trace, and not the leak.
pub fn ln_e_of_tags(counts: &[(TagSpace, TagCount)]) -> f64 {
    if counts.is_empty() {
        return 0.0;
    }
    let sums = SHARES.map(|share| {
        let sums = counts.iter().map(|(space, tags)| {
            let [matches, differs] = ln_weights(*space, share);
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

/// The logarithms of the weights of a vote that shows the candidate's number, and of one that doesn't.
fn ln_weights(space: TagSpace, share: f64) -> [f64; 2] {
    let chance = space.chance();
    let matches = share + (1.0 - share) * chance;
    [(matches / chance).ln(), (1.0 - share).ln()]
}

/// Mean and variance of the logarithm of a leaker's weight where there are so many tags and a share of
/// the tags is the leaker's own: how fast a trace of it grows.
pub(in crate::marks) fn tag_drift(space: TagSpace, share: f64) -> (f64, f64) {
    let chance = space.chance();
    let matching = share + (1.0 - share) * chance;
    let [matches, differs] = ln_weights(space, share);
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
