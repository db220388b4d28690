//! The promises of votes of tags: the null is exact, one vote a pseudonym, and no part silences
//! another.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::marks::key::MarkKey;
use crate::marks::score::{Ballots, Found, Observation, Scores, Standard, Verdict, Votes};

const GUILTY: GrantIndex = GrantIndex(4_711);

fn code() -> Code {
    Code::new(&MarkKey::derive(&[9; 32], "residents", 1, 1))
}

fn positions(count: u128, salt: u128) -> Vec<Position> {
    let numbers = (1..=count)
        .map(|index| (index << 16 | salt).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    numbers.map(Position::new).collect()
}

/// A symbol at a cell that was found by its row.
fn of_row(position: Position, symbol: bool) -> Observation {
    Observation {
        position,
        symbol,
        found: Found::ByRow,
    }
}

fn observation(position: Position, shown: u64) -> TagObservation {
    TagObservation {
        position,
        space: TagSpace::of_bits(16),
        shown,
    }
}

/// What a grant's tags show there.
fn tags(code: &Code, grant: GrantIndex, positions: &[Position]) -> Vec<TagObservation> {
    let ids = positions.iter().map(|position| position.id());
    let numbers = code.tags().numbers(grant, TagSpace::of_bits(16), ids);
    let both = positions.iter().zip(numbers);
    both.map(|(position, number)| observation(*position, number))
        .collect()
}

fn votes(tags: Vec<TagObservation>) -> Votes {
    let mut ballots = Ballots::default();
    ballots.add_tags(tags);
    ballots.close()
}

fn verdict(votes: &Votes, grant: GrantIndex) -> Verdict {
    let scores = Scores::new(votes).of(&code(), &[grant]);
    Standard::new(10_000).verdict(scores[0].ln_e)
}

#[test]
fn the_mean_weight_of_an_innocent_is_one_at_every_share() {
    for bits in 1..=48 {
        let space = TagSpace::of_bits(bits);
        for share in SHARES {
            let chance = space.chance();
            let [matches, differs] = ln_weights(space, share).map(f64::exp);
            let mean = chance * matches + (1.0 - chance) * differs;
            assert!((mean - 1.0).abs() < 1e-12, "{bits} {share} {mean}");
        }
    }
}

#[test]
fn decimal_tags_weigh_no_more_than_one_on_the_mean() {
    for tags in [10_u32, 100] {
        let space = TagSpace::new(tags.into());
        for share in SHARES {
            let chance = 1.0 / f64::from(tags);
            let [matches, differs] = ln_weights(space, share).map(f64::exp);
            let mean = chance * matches + (1.0 - chance) * differs;
            assert!((mean - 1.0).abs() < 1e-12, "{tags} {share} {mean}");
            // Reckoned by the weights themselves, whose logarithms are rounded.
            let weight = (share + (1.0 - share) * space.chance()) / space.chance();
            let less = (weight - (1.0 - share)) * (space.chance() - chance);
            assert!(less >= 0.0, "{tags} {share} {less}");
        }
    }
}

#[test]
fn a_tag_of_ten_matches_one_in_ten() {
    let (code, space) = (code(), TagSpace::new(10));
    let positions = positions(4_000, 13);
    let ids = || positions.iter().map(|position| position.id());
    let numbers = code.tags().numbers(GUILTY, space, ids());
    assert!(numbers.iter().all(|number| *number < 10));
    let shown: Vec<(u128, u64)> = ids().zip(numbers).collect();
    let matches = |grant| code.tags().matches(grant, space, &shown);
    assert_eq!(matches(GUILTY), 4_000);
    for innocent in 1..20 {
        // Nineteen matches are the deviation of a tenth of four thousand.
        let matched = matches(GrantIndex(innocent));
        assert!((300..500).contains(&matched), "{innocent}: {matched}");
    }
}

#[test]
fn the_mean_e_value_of_an_innocent_is_one() {
    // Over all outcomes of a few votes, each with its probability.
    for space in [2, 16, 10, 100].map(TagSpace::new) {
        let chance = space.chance();
        let mut mean = 0.0;
        let mut ways = 1.0;
        for matched in 0..=6_u32 {
            let e_value = ln_e_of_tags(&[(space, TagCount { matched, of: 6 })]).exp();
            let (hits, misses) = (f64::from(matched), f64::from(6 - matched));
            mean += ways * chance.powf(hits) * (1.0 - chance).powf(misses) * e_value;
            ways *= misses / (hits + 1.0);
        }
        assert!((mean - 1.0).abs() < 1e-12, "{space:?} {mean}");
    }
}

#[test]
fn innocents_reach_high_e_values_as_seldom_as_promised() {
    let code = code();
    let positions = positions(30, 1);
    let shown = tags(&code, GUILTY, &positions)
        .into_iter()
        .map(|seen| TagObservation {
            space: TagSpace::of_bits(4),
            shown: seen.shown >> 12,
            ..seen
        });
    let votes = votes(shown.collect());
    let innocents: Vec<GrantIndex> = (100_000..200_000).map(GrantIndex).collect();
    let scores = Scores::new(&votes).of(&code, &innocents);
    for least in [10.0_f64, 100.0, 1_000.0] {
        let above = scores.iter().filter(|score| score.ln_e >= least.ln());
        let share = f64::from(u32::try_from(above.count()).unwrap()) / 1e5;
        assert!(share <= 1.0 / least, "{least} {share}");
    }
}

#[test]
fn half_of_the_tags_altered_leaves_fifty_values_enough() {
    let mut shown = tags(&code(), GUILTY, &positions(50, 2));
    for seen in shown.iter_mut().step_by(2) {
        seen.shown ^= 5;
    }
    assert_eq!(verdict(&votes(shown), GUILTY), Verdict::Accused);
}

#[test]
fn a_pseudonym_has_one_vote_whatever_is_repeated() {
    let code = code();
    let positions = positions(3, 3);
    let own = tags(&code, GUILTY, &positions);
    let once = votes(own.clone());
    let scores = |votes: &Votes| Scores::new(votes).of(&code, &[GUILTY])[0];
    let often = own.iter().copied().cycle().take(3_000);
    assert_eq!(scores(&votes(often.collect())), scores(&once));
    // The most frequent number counts, and none where two are equally frequent.
    let mut mixed = own.clone();
    mixed.extend([observation(positions[0], 1), observation(positions[0], 1)]);
    mixed.push(observation(positions[1], 2));
    let mixed = votes(mixed);
    assert_eq!((mixed.tags().total(), mixed.tags().ties()), (2, 1));
    assert_eq!(scores(&mixed).tags, TagCount { matched: 1, of: 2 });
}

#[test]
fn a_million_numbers_take_bounded_memory_and_leave_other_pseudonyms_their_votes() {
    let own = tags(&code(), GUILTY, &positions(50, 9));
    for crowded in [1, 100, 5_000] {
        let crowd = positions(crowded, 10);
        let numbers = crowd.iter().cycle().zip(0..1_000_000);
        let (mut ballots, mut most) = (TagBallots::default(), 0);
        for (index, (position, shown)) in numbers.enumerate() {
            ballots.add([observation(*position, shown)]);
            ballots.add(own.get(index / 10_000).copied());
            most = most.max(ballots.entries.len());
        }
        assert!(most <= 2 * VOTES_MAX * NUMBERS_MAX, "{crowded}: {most}");
        ballots.fold();
        assert!(ballots.entries.len() <= VOTES_MAX, "{crowded}");
        let votes = ballots.close();
        assert_eq!(votes.is_sample(), crowded == 5_000);
        if !votes.is_sample() {
            assert_eq!(u128::from(votes.ties()), crowded);
            let all = TagCount {
                matched: 50,
                of: 50,
            };
            assert_eq!(votes.score(&code(), GUILTY).1, all);
        }
    }
}

#[test]
fn neither_positions_nor_numbers_are_printed() {
    let position = positions(1, 11)[0];
    let mut ballots = Ballots::default();
    ballots.add([of_row(position, true)]);
    ballots.add_tags([observation(position, 48_611)]);
    let texts = [format!("{ballots:?}"), format!("{:?}", ballots.close())];
    for text in texts {
        assert!(!text.contains(&position.id().to_string()), "{text}");
        assert!(!text.contains("48611"), "{text}");
    }
}

#[test]
fn tags_drawn_anew_leave_the_symbols_their_say() {
    let code = code();
    let cells = positions(400, 4);
    let symbols = code.symbols(GUILTY, &cells);
    let seen = cells.into_iter().zip(symbols);
    let mut ballots = Ballots::default();
    ballots.add(seen.map(|(position, symbol)| of_row(position, symbol)));
    let symbols_alone = ballots.clone().close();
    ballots.add_tags(tags(&code, GrantIndex(1), &positions(4_000, 5)));
    let both = ballots.close();
    assert_eq!(verdict(&both, GUILTY), Verdict::Accused);
    let ln_e = |votes: &Votes| Scores::new(votes).of(&code, &[GUILTY])[0].ln_e;
    assert!(ln_e(&symbols_alone) - ln_e(&both) < ln_shares() + 1e-9);
}

#[test]
fn one_grants_tags_beside_anothers_cells_name_both() {
    let code = code();
    let cells = positions(2_000, 6);
    let symbols = code.symbols(GrantIndex(5), &cells);
    let seen = cells.into_iter().zip(symbols);
    let mut ballots = Ballots::default();
    ballots.add(seen.map(|(position, symbol)| of_row(position, symbol)));
    ballots.add_tags(tags(&code, GUILTY, &positions(2_000, 7)));
    let votes = ballots.close();
    for (grant, expected) in [
        (GrantIndex(5), Verdict::Accused),
        (GUILTY, Verdict::Accused),
        (GrantIndex(6), Verdict::None),
    ] {
        assert_eq!(verdict(&votes, grant), expected, "{grant:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_many_pseudonyms_the_same_are_counted_in_any_order_and_partition(
        count in 1_u128..9_000,
        cut in any::<prop::sample::Index>(),
    ) {
        let shown = tags(&code(), GUILTY, &positions(count, 8));
        let whole = votes(shown.clone());
        let expected = count.min(u128::try_from(VOTES_MAX).unwrap());
        prop_assert_eq!(u128::from(whole.tags().total()), expected);
        prop_assert_eq!(whole.tags().is_sample(), count > expected);
        let (one, other) = shown.split_at(cut.index(shown.len()));
        let mut parts = [Ballots::default(), Ballots::default()];
        parts[0].add_tags(other.iter().copied().rev());
        parts[1].add_tags(one.iter().copied());
        let [mut parted, rest] = parts;
        parted.merge(rest);
        let parted = parted.close();
        prop_assert_eq!(&parted.tags().groups[0].shown, &whole.tags().groups[0].shown);
    }

    #[test]
    fn a_pseudonym_with_too_many_numbers_has_no_vote_in_any_order_and_partition(
        (observations, shuffled) in crowded()
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        part in 1_usize..400,
    ) {
        let mut parted = TagBallots::default();
        for part in shuffled.chunks(part) {
            let mut ballots = TagBallots::default();
            ballots.add(part.iter().copied());
            ballots.fold();
            parted.merge(ballots);
            parted.fold();
        }
        let mut whole = TagBallots::default();
        whole.add(observations.iter().copied());
        let (expected, ties) = counted(&observations);
        for votes in [parted.close(), whole.close()] {
            let shown = votes.groups.iter().flat_map(|group| &group.shown);
            prop_assert_eq!(shown.copied().collect::<BTreeMap<_, _>>(), expected.clone());
            prop_assert_eq!(votes.ties(), ties);
        }
    }
}

/// Tags of a few pseudonyms, each with about as many numbers as are told apart, some of them often.
fn crowded() -> impl Strategy<Value = Vec<TagObservation>> {
    let most = u64::try_from(NUMBERS_MAX).unwrap();
    let numbers = (most - 2..=most + 2, prop::collection::vec(0..8_u64, 0..40));
    prop::collection::vec(numbers, 1..6).prop_map(|pseudonyms| {
        let places = positions(6, 12);
        let both = places.into_iter().zip(pseudonyms);
        both.flat_map(|(place, (distinct, often))| {
            let shown = (0..distinct).chain(often);
            shown.map(move |number| observation(place, number))
        })
        .collect()
    })
}

/// The votes and ties by their definition.
fn counted(observations: &[TagObservation]) -> (BTreeMap<u128, u64>, u64) {
    let mut counts: BTreeMap<u128, BTreeMap<u64, u64>> = BTreeMap::new();
    for seen in observations {
        let numbers = counts.entry(seen.position.id()).or_default();
        *numbers.entry(seen.shown).or_default() += 1;
    }
    let (mut votes, mut ties) = (BTreeMap::new(), 0);
    for (id, numbers) in counts {
        let most = numbers.values().max();
        let first: Vec<u64> = numbers
            .iter()
            .filter(|(_, count)| Some(*count) == most)
            .map(|(number, _)| *number)
            .collect();
        match first[..] {
            [number] if numbers.len() <= NUMBERS_MAX => {
                votes.insert(id, number);
            }
            _ => ties += 1,
        }
    }
    (votes, ties)
}
