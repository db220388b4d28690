//! What a leaked copy shows at each position: one vote a position, however often it was copied.

use std::{fmt, mem};

use super::tags::{TagBallots, TagObservation, TagVotes};
use crate::marks::code::{Class, Code, OCTET, Position, class_of, message};
use crate::marks::key::GrantIndex;

/// How a cell was found again: what a leaker does to values may do one thing to cells that are found by
/// their row, and another to those that are found by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// By its row.
    ByRow,
    /// By its own value.
    ByValue,
}

/// The kinds of votes: by how the cell was found, by class and by the symbol seen. Every table of a score
/// is in this order.
pub const CELLS: [(Found, Class, bool); 12] = [
    (Found::ByRow, Class::Low, false),
    (Found::ByRow, Class::Low, true),
    (Found::ByRow, Class::Even, false),
    (Found::ByRow, Class::Even, true),
    (Found::ByRow, Class::High, false),
    (Found::ByRow, Class::High, true),
    (Found::ByValue, Class::Low, false),
    (Found::ByValue, Class::Low, true),
    (Found::ByValue, Class::Even, false),
    (Found::ByValue, Class::Even, true),
    (Found::ByValue, Class::High, false),
    (Found::ByValue, Class::High, true),
];

/// One value for each kind of vote, in the order of [`CELLS`].
pub type Cells<T> = [T; 12];

/// A symbol read from a cell of a leaked copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The cell's place in the code.
    pub position: Position,
    /// What it shows.
    pub symbol: bool,
    /// How it was found; the same for every cell of a position, which follows from it.
    pub found: Found,
}

/// Entries that are collected before positions met again are folded together.
const ENTRIES_MIN: usize = 1 << 16;

/// Positions that a poll keeps where no other limit is set: 400 MB at most.
const POSITIONS: usize = 1 << 23;

/// Collects observations, in any order and in any number of parts, within bounded memory.
///
/// Where there are more positions than the limit, those of the lowest ranks are kept, with
/// all of their observations: a set that follows from the positions alone, so that neither order nor
/// parts matter. Ranks are bits of a cipher under the key of positions, so whether one is kept
/// depends neither on the symbol it shows nor on any grant's, which is made under another key: what
/// is kept is a fair sample. Given the sample, an innocent's symbols are still independent of all
/// that it shows, so each weight still has the mean 1 and the bound on a false accusation stays exact.
#[derive(Clone)]
pub struct Ballots {
    entries: Vec<Ballot>,
    /// How many entries there were after the last folding.
    folded: usize,
    /// Most positions that are kept.
    limit: usize,
    /// The lowest rank that was left out.
    cut: Option<u128>,
    tags: TagBallots,
}

impl Default for Ballots {
    fn default() -> Self {
        Self::with_limit(POSITIONS)
    }
}

/// How much was collected, and no position.
impl fmt::Debug for Ballots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ballots")
            .field("entries", &self.entries.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct Ballot {
    id: u128,
    /// More than these numbers hold are as many as they hold.
    zeros: u32,
    ones: u32,
    found: Found,
}

/// The order in which positions are kept: by the bits of an identity that decide neither on its
/// class nor on the direction of a tie, which come first, so that all classes keep their shares.
#[inline]
fn rank(id: u128) -> u128 {
    id.rotate_left(u128::BITS - FREE_BITS)
}

/// Bits of an identity below its class and the direction of ties.
const FREE_BITS: u32 = 79;

impl Ballots {
    /// A poll that keeps at most so many positions.
    pub fn with_limit(entries: usize) -> Self {
        Self {
            entries: Vec::new(),
            folded: 0,
            limit: entries,
            cut: None,
            tags: TagBallots::default(),
        }
    }

    /// Adds observations.
    pub fn add(&mut self, observations: impl IntoIterator<Item = Observation>) {
        for observation in observations {
            let ones = u32::from(observation.symbol);
            self.push(Ballot {
                id: observation.position.id(),
                zeros: 1 - ones,
                ones,
                found: observation.found,
            });
        }
    }

    /// Adds tags.
    pub fn add_tags(&mut self, observations: impl IntoIterator<Item = TagObservation>) {
        self.tags.add(observations);
    }

    /// Adds what another part collected. The lower of the two limits holds.
    pub fn merge(&mut self, other: Self) {
        self.tags.merge(other.tags);
        self.limit = self.limit.min(other.limit);
        self.cut = self.cut.into_iter().chain(other.cut).min();
        for entry in other.entries {
            self.push(entry);
        }
    }

    fn push(&mut self, entry: Ballot) {
        if self.cut.is_some_and(|cut| rank(entry.id) >= cut) {
            return;
        }
        self.entries.push(entry);
        let most = self.limit.saturating_add(self.limit / 2);
        if self.entries.len() >= (2 * self.folded).max(ENTRIES_MIN).min(most) {
            self.fold();
        }
    }

    /// Brings the entries of one position together, and keeps to the limit.
    fn fold(&mut self) {
        self.entries.sort_unstable_by_key(|entry| rank(entry.id));
        self.entries.dedup_by(|later, kept| {
            let same = later.id == kept.id;
            if same {
                kept.zeros = kept.zeros.saturating_add(later.zeros);
                kept.ones = kept.ones.saturating_add(later.ones);
            }
            same
        });
        let beyond = self.entries.get(self.limit).map(|entry| rank(entry.id));
        self.cut = self.cut.into_iter().chain(beyond).min();
        let kept = |entry: &Ballot| self.cut.is_none_or(|cut| rank(entry.id) < cut);
        self.entries.truncate(self.entries.partition_point(kept));
        self.folded = self.entries.len();
    }

    /// Closes the poll: each position has one vote, that of the majority of its observations, and
    /// none where they are equal in number.
    ///
    /// Without this a row that is repeated a thousand times would count as a thousand positions,
    /// and the bound on a false accusation would be void.
    pub fn close(mut self) -> Votes {
        self.fold();
        let mut votes = Votes {
            is_sample: self.cut.is_some(),
            tags: mem::take(&mut self.tags).close(),
            ..Votes::default()
        };
        for entry in mem::take(&mut self.entries) {
            if entry.zeros == entry.ones {
                votes.ties += 1;
                continue;
            }
            let symbol = entry.ones > entry.zeros;
            let kind = (entry.found, class_of(entry.id), symbol);
            let lists = votes.messages.iter_mut().zip(CELLS);
            for (list, _) in lists.filter(|(_, of)| *of == kind) {
                list.push(message(entry.id));
            }
        }
        votes
    }
}

/// One vote for each position of a leaked copy.
#[derive(Clone, Default)]
pub struct Votes {
    /// Of each position, what goes through the cipher for the symbols of its candidates.
    messages: Cells<Vec<u128>>,
    ties: u64,
    is_sample: bool,
    tags: TagVotes,
}

/// How many votes there are, and no position.
impl fmt::Debug for Votes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Votes")
            .field("counts", &self.counts())
            .field("ties", &self.ties)
            .field("is_sample", &self.is_sample)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

impl Votes {
    /// How many votes there are of each kind: all that a test without a candidate looks at.
    pub fn counts(&self) -> Cells<u64> {
        let count = |list: &Vec<u128>| u64::try_from(list.len()).unwrap_or(u64::MAX);
        self.messages.each_ref().map(count)
    }

    /// One vote for each tagged pseudonym.
    pub fn tags(&self) -> &TagVotes {
        &self.tags
    }

    /// Votes in all but those of tags: the carriers the leak has, as far as the poll kept them.
    pub fn total(&self) -> u64 {
        self.counts().iter().sum()
    }

    /// Positions that were dropped because their observations were equally divided.
    pub fn ties(&self) -> u64 {
        self.ties
    }

    /// Whether the leak has more positions than the poll kept.
    pub fn is_sample(&self) -> bool {
        self.is_sample
    }

    /// For each of the eight candidates of an octet, at how many votes of each kind its symbol is
    /// 1. Work: a block of the cipher for every vote.
    pub(super) fn ones(&self, code: &Code, octet: u32) -> [Cells<u32>; OCTET] {
        let mut all = [[0; CELLS.len()]; OCTET];
        for (cell, ((_, class, _), messages)) in CELLS.iter().zip(&self.messages).enumerate() {
            let mut counts = [0; OCTET];
            code.count_ones(octet, *class, messages, &mut counts);
            for (candidate, count) in all.iter_mut().zip(counts) {
                if let Some(slot) = candidate.get_mut(cell) {
                    *slot = count;
                }
            }
        }
        all
    }

    /// The same for one candidate, in less work where nobody else of its octet is asked for.
    pub(super) fn ones_of(&self, code: &Code, grant: GrantIndex) -> Cells<u32> {
        let mut ones = [0; CELLS.len()];
        let kinds = CELLS.iter().zip(&self.messages);
        for (slot, ((_, class, _), messages)) in ones.iter_mut().zip(kinds) {
            *slot = code.count_ones_of(grant, *class, messages);
        }
        ones
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Observations of few positions, so that most are met again.
    fn observations() -> impl Strategy<Value = Vec<Observation>> {
        let observation = (0_u128..200, any::<bool>()).prop_map(|(index, symbol)| Observation {
            position: Position::new(index.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
            symbol,
            found: [Found::ByRow, Found::ByValue][usize::from(index % 3 == 0)],
        });
        prop::collection::vec(observation, 0..600)
    }

    fn polled(limit: usize, parts: &[Vec<Observation>]) -> Votes {
        let mut all = Ballots::with_limit(limit);
        for part in parts {
            let mut ballots = Ballots::with_limit(limit);
            ballots.add(part.iter().copied());
            all.merge(ballots);
        }
        all.close()
    }

    /// The votes and ties of a poll without a limit, of the positions with the lowest ranks.
    fn filtered(limit: usize, observations: &[Observation]) -> (Cells<Vec<u128>>, u64) {
        let mut ids: Vec<u128> = observations.iter().map(|seen| seen.position.id()).collect();
        ids.sort_unstable_by_key(|id| rank(*id));
        ids.dedup();
        ids.truncate(limit);
        let mut kept = Ballots::with_limit(usize::MAX);
        let is_kept = |seen: &&Observation| ids.contains(&seen.position.id());
        kept.add(observations.iter().filter(is_kept).copied());
        let votes = kept.close();
        (votes.messages, votes.ties)
    }

    #[test]
    fn a_limited_poll_keeps_the_shares_of_the_classes() {
        let mut ballots = Ballots::with_limit(10_000);
        ballots.add((1..=100_000_u128).map(|index| Observation {
            position: Position::new(index.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
            symbol: true,
            found: Found::ByValue,
        }));
        assert!(ballots.entries.capacity() <= 1 << 15);
        let votes = ballots.close();
        assert_eq!((votes.total(), votes.is_sample()), (10_000, true));
        for ((found, class, symbol), count) in CELLS.iter().zip(votes.counts()) {
            let is_seen = *symbol && *found == Found::ByValue;
            let expected = if is_seen { class.weight() * 1e4 } else { 0.0 };
            let count = f64::from(u32::try_from(count).unwrap());
            assert!((count - expected).abs() < 300.0, "{class:?}: {count}");
        }
    }

    #[test]
    fn a_ballot_takes_no_more_room_than_is_said() {
        assert_eq!(size_of::<Ballot>(), 32);
    }

    #[test]
    fn votes_are_apart_by_how_their_cells_were_found() {
        let seen = |index: u128, found| Observation {
            position: Position::new(index << 16),
            symbol: true,
            found,
        };
        let mut ballots = Ballots::default();
        ballots.add((0..5).map(|index| seen(index, Found::ByRow)));
        ballots.add((5..8).map(|index| seen(index, Found::ByValue)));
        let counts = ballots.close().counts();
        let of = |kind: Found| -> u64 {
            let counts = CELLS.iter().zip(counts);
            counts
                .filter(|((found, _, _), _)| *found == kind)
                .map(|(_, count)| count)
                .sum()
        };
        assert_eq!((of(Found::ByRow), of(Found::ByValue)), (5, 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_limited_poll_is_the_whole_one_below_a_cut_in_any_order_and_partition(
            (observations, shuffled) in observations()
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            limit in 0_usize..250,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut ends: Vec<usize> =
                cuts.iter().map(|cut| cut.index(shuffled.len() + 1)).collect();
            ends.extend([0, shuffled.len()]);
            ends.sort_unstable();
            let parts: Vec<Vec<Observation>> =
                ends.windows(2).map(|pair| shuffled[pair[0]..pair[1]].to_vec()).collect();
            let expected = filtered(limit, &observations);
            for votes in [polled(limit, &parts), polled(limit, &[shuffled])] {
                prop_assert_eq!(&votes.messages, &expected.0);
                prop_assert_eq!(votes.ties, expected.1);
            }
        }

        #[test]
        fn the_lower_of_two_limits_holds(
            observations in observations(),
            limits in [0_usize..250, 0_usize..250],
        ) {
            let mut parts = limits.map(Ballots::with_limit);
            for (index, seen) in observations.iter().enumerate() {
                parts[index % 2].add([*seen]);
            }
            let [mut one, other] = parts;
            one.merge(other);
            let votes = one.close();
            let expected = filtered(limits[0].min(limits[1]), &observations);
            prop_assert_eq!((votes.messages, votes.ties), expected);
        }
    }
}
