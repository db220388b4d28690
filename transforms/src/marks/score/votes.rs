//! What a leaked copy shows at each position: one vote a position, however often it was copied.

use std::mem;

use crate::marks::code::{Class, Code, OCTET, Position, class_of};

/// The six kinds of votes: by class and by the symbol seen. Every table of a score is in this order.
pub const CELLS: [(Class, bool); 6] = [
    (Class::Low, false),
    (Class::Low, true),
    (Class::Even, false),
    (Class::Even, true),
    (Class::High, false),
    (Class::High, true),
];

/// One value for each kind of vote, in the order of [`CELLS`].
pub type Cells<T> = [T; 6];

/// A symbol read from a cell of a leaked copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The cell's place in the code.
    pub position: Position,
    /// What it shows.
    pub symbol: bool,
}

/// Entries that are collected before positions met again are folded together.
const ENTRIES_MIN: usize = 1 << 16;

/// Collects observations, in any order and in any number of parts.
#[derive(Debug, Clone, Default)]
pub struct Ballots {
    entries: Vec<Ballot>,
    /// How many entries there were after the last folding.
    folded: usize,
}

#[derive(Debug, Clone, Copy)]
struct Ballot {
    id: u128,
    zeros: u64,
    ones: u64,
}

impl Ballots {
    /// Adds observations.
    pub fn add(&mut self, observations: impl IntoIterator<Item = Observation>) {
        for observation in observations {
            let ones = u64::from(observation.symbol);
            self.push(Ballot {
                id: observation.position.id(),
                zeros: 1 - ones,
                ones,
            });
        }
    }

    /// Adds what another part collected.
    pub fn merge(&mut self, other: Self) {
        for entry in other.entries {
            self.push(entry);
        }
    }

    fn push(&mut self, entry: Ballot) {
        self.entries.push(entry);
        if self.entries.len() >= ENTRIES_MIN.max(2 * self.folded) {
            self.fold();
        }
    }

    /// Brings the entries of one position together.
    fn fold(&mut self) {
        self.entries.sort_unstable_by_key(|entry| entry.id);
        self.entries.dedup_by(|later, kept| {
            let same = later.id == kept.id;
            if same {
                kept.zeros = kept.zeros.saturating_add(later.zeros);
                kept.ones = kept.ones.saturating_add(later.ones);
            }
            same
        });
        self.folded = self.entries.len();
    }

    /// Closes the poll: each position has one vote, that of the majority of its observations, and
    /// none where they are equal in number.
    ///
    /// Without this a row that is repeated a thousand times would count as a thousand positions,
    /// and the bound on a false accusation would be void.
    pub fn close(mut self) -> Votes {
        self.fold();
        let mut votes = Votes::default();
        for entry in mem::take(&mut self.entries) {
            if entry.zeros == entry.ones {
                votes.ties += 1;
                continue;
            }
            let symbol = entry.ones > entry.zeros;
            let kind = (class_of(entry.id), symbol);
            let lists = votes.ids.iter_mut().zip(CELLS);
            for (list, _) in lists.filter(|(_, of)| *of == kind) {
                list.push(entry.id);
            }
        }
        votes
    }
}

/// One vote for each position of a leaked copy.
#[derive(Debug, Clone, Default)]
pub struct Votes {
    ids: Cells<Vec<u128>>,
    ties: u64,
}

impl Votes {
    /// How many votes there are of each kind: all that a test without a candidate looks at.
    pub fn counts(&self) -> Cells<u64> {
        let count = |list: &Vec<u128>| u64::try_from(list.len()).unwrap_or(u64::MAX);
        self.ids.each_ref().map(count)
    }

    /// Votes in all: the carriers the leak has.
    pub fn total(&self) -> u64 {
        self.counts().iter().sum()
    }

    /// Positions that were dropped because their observations were equally divided.
    pub fn ties(&self) -> u64 {
        self.ties
    }

    /// For each of the eight candidates of an octet, at how many votes of each kind its symbol is
    /// 1. Work: a block of the cipher for every vote.
    pub(super) fn ones(&self, code: &Code, octet: u32) -> [Cells<u32>; OCTET] {
        let mut all = [[0; CELLS.len()]; OCTET];
        for (cell, ((class, _), ids)) in CELLS.iter().zip(&self.ids).enumerate() {
            let mut counts = [0; OCTET];
            code.count_ones(octet, *class, ids, &mut counts);
            for (candidate, count) in all.iter_mut().zip(counts) {
                if let Some(slot) = candidate.get_mut(cell) {
                    *slot = count;
                }
            }
        }
        all
    }
}
