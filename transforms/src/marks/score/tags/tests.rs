//! The promises of votes of tags: the null is exact, one vote a pseudonym, and no part silences
//! another.

use proptest::prelude::*;

use super::*;
use crate::marks::key::MarkKey;
use crate::marks::score::{Ballots, Observation, Scores, Standard, Verdict, Votes};

const GUILTY: GrantIndex = GrantIndex(4_711);

fn code() -> Code {
    Code::new(&MarkKey::derive(&[9; 32], "residents", 1, 1))
}

fn positions(count: u128, salt: u128) -> Vec<Position> {
    let numbers = (1..=count)
        .map(|index| (index << 16 | salt).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    numbers.map(Position::new).collect()
}

fn observation(position: Position, shown: u64) -> TagObservation {
    TagObservation {
        position,
        bits: 16,
        shown,
    }
}

/// What a grant's tags show there.
fn tags(code: &Code, grant: GrantIndex, positions: &[Position]) -> Vec<TagObservation> {
    let ids = positions.iter().map(|position| position.id());
    let numbers = code.tags().numbers(grant, 16, ids);
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
        for share in SHARES {
            let chance = null_match(bits);
            let [matches, differs] = ln_weights(bits, share).map(f64::exp);
            let mean = chance * matches + (1.0 - chance) * differs;
            assert!((mean - 1.0).abs() < 1e-12, "{bits} {share} {mean}");
        }
    }
}

#[test]
fn the_mean_e_value_of_an_innocent_is_one() {
    // Over all outcomes of a few votes, each with its probability.
    for bits in [1, 4] {
        let chance = null_match(bits);
        let mut mean = 0.0;
        let mut ways = 1.0;
        for matched in 0..=6_u32 {
            let e_value = ln_e_of_tags(&[(bits, TagCount { matched, of: 6 })]).exp();
            let (hits, misses) = (f64::from(matched), f64::from(6 - matched));
            mean += ways * chance.powf(hits) * (1.0 - chance).powf(misses) * e_value;
            ways *= misses / (hits + 1.0);
        }
        assert!((mean - 1.0).abs() < 1e-12, "{bits} {mean}");
    }
}

#[test]
fn innocents_reach_high_e_values_as_seldom_as_promised() {
    let code = code();
    let positions = positions(30, 1);
    let shown = tags(&code, GUILTY, &positions)
        .into_iter()
        .map(|seen| TagObservation {
            bits: 4,
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
fn tags_drawn_anew_leave_the_symbols_their_say() {
    let code = code();
    let cells = positions(400, 4);
    let symbols = code.symbols(GUILTY, &cells);
    let seen = cells.into_iter().zip(symbols);
    let mut ballots = Ballots::default();
    ballots.add(seen.map(|(position, symbol)| Observation { position, symbol }));
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
    ballots.add(seen.map(|(position, symbol)| Observation { position, symbol }));
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
}
