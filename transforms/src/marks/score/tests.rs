//! The promises of the score, on simulated leaks: seeded, with the code's own symbols.

#![expect(clippy::as_conversions, reason = "counts of a test as shares of one")]

use super::*;
use crate::marks::code::{Class, Position};
use crate::marks::key::MarkKey;

/// Grant indices issued.
const ISSUED: u64 = 10_000;

/// SplitMix64 (Steele, Lea, Flood 2014): enough to draw leaks, and the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn position(&mut self) -> Position {
        Position::new(u128::from(self.next()) << 64 | u128::from(self.next()))
    }
}

fn code() -> Code {
    Code::new(&MarkKey::derive(&[9; 32], "residents", 1, 1))
}

/// A cell found by its row.
fn seen(position: Position, symbol: bool) -> Observation {
    Observation {
        position,
        symbol,
        found: Found::ByRow,
    }
}

/// A leak of `carriers` positions by these grants, a share of it replaced by coins.
fn leak(
    code: &Code,
    chance: &mut Chance,
    carriers: usize,
    (guilty, strategy): (&[GrantIndex], Strategy),
    altered: f64,
) -> Votes {
    let positions: Vec<Position> = (0..carriers).map(|_| chance.position()).collect();
    let copies: Vec<Vec<bool>> = guilty
        .iter()
        .map(|grant| code.symbols(*grant, &positions))
        .collect();
    let mut ballots = Ballots::default();
    for (row, position) in positions.iter().enumerate() {
        let ones = copies.iter().filter(|copy| copy[row]).count();
        let shows = strategy.shows(ones.try_into().unwrap(), guilty.len().try_into().unwrap());
        let mut symbol = chance.unit() < shows;
        if chance.unit() < altered {
            symbol = chance.unit() < 0.5;
        }
        ballots.add([seen(*position, symbol)]);
    }
    ballots.close()
}

/// How many of 100 leaks by one grant accuse it.
fn accused_of_100(carriers: usize, altered: f64) -> usize {
    let (code, standard) = (code(), Standard::new(ISSUED));
    let accused = (0..100).filter(|seed| {
        let mut chance = Chance(*seed);
        let guilty = GrantIndex(u32::try_from(chance.next() >> 32).unwrap());
        let votes = leak(
            &code,
            &mut chance,
            carriers,
            (&[guilty], Strategy::Interleave),
            altered,
        );
        let scores = Scores::new(&votes).of(&code, &[guilty]);
        standard.verdict(scores[0].ln_e) == Verdict::Accused
    });
    accused.count()
}

#[test]
fn one_leaker_is_accused_from_96_carriers_and_always_from_200() {
    let accused = [96, 200].map(|carriers| accused_of_100(carriers, 0.0));
    assert!(accused[0] >= 90 && accused[1] == 100, "{accused:?}");
}

#[test]
fn one_leaker_is_accused_though_a_third_or_half_of_the_cells_were_altered() {
    let accused = [accused_of_100(400, 0.3), accused_of_100(800, 0.5)];
    assert!(accused[0] >= 95 && accused[1] >= 95, "{accused:?}");
}

#[test]
fn turning_over_every_symbol_hides_nothing() {
    let (code, standard) = (code(), Standard::new(ISSUED));
    let mut chance = Chance(4);
    let guilty = GrantIndex(77);
    let positions: Vec<Position> = (0..1_000).map(|_| chance.position()).collect();
    let symbols = code.symbols(guilty, &positions);
    let mut ballots = Ballots::default();
    for (position, symbol) in positions.into_iter().zip(symbols) {
        ballots.add([seen(position, !symbol)]);
    }
    let votes = ballots.close();
    let scores = Scores::new(&votes).of(&code, &[guilty]);
    assert_eq!(standard.verdict(scores[0].ln_e), Verdict::Accused);
}

/// How many of 100 leaks are named of which three quarters of the values were moved by exactly a step: cells
/// found by their rows show the other symbol, and a share of those found by their values lies in another
/// place of the code.
fn moved_named(by_row: usize, by_value: usize, displaced: f64) -> usize {
    let (code, standard) = (code(), Standard::new(ISSUED));
    let named = (0..100).filter(|seed| {
        let mut chance = Chance(*seed);
        let guilty = GrantIndex(u32::try_from(chance.next() >> 32).unwrap());
        let mut ballots = Ballots::default();
        for at in 0..by_row + by_value {
            let position = chance.position();
            let symbol = code.symbols(guilty, &[position])[0];
            let is_moved = chance.unit() < 0.75;
            ballots.add([match at < by_row {
                true => seen(position, symbol != is_moved),
                false => Observation {
                    position: match is_moved && chance.unit() < displaced {
                        true => chance.position(),
                        false => position,
                    },
                    symbol,
                    found: Found::ByValue,
                },
            }]);
        }
        let votes = ballots.close();
        let scores = Scores::new(&votes).of(&code, &[guilty]);
        standard.verdict(scores[0].ln_e) == Verdict::Accused
    });
    named.count()
}

#[test]
fn three_quarters_moved_by_a_step_hide_nothing() {
    assert!(moved_named(1_000, 0, 1.0) >= 95);
    assert!(moved_named(750, 250, 1.0) >= 95);
    // Half of the carriers found by their own value: most of what moved stays in its place of the code,
    // which eight blocks share.
    let named = [1.0, 0.125].map(|displaced| moved_named(500, 500, displaced));
    assert!(named[0] >= 80 && named[1] >= 95, "{named:?}");
}

#[test]
fn three_leakers_do_not_hide_each_other() {
    let (code, standard) = (code(), Standard::new(ISSUED));
    let guilty = [5, 4_711, 3_000_000_000].map(GrantIndex);
    for strategy in [
        Strategy::Interleave,
        Strategy::Majority,
        Strategy::Minority,
        Strategy::Coin,
    ] {
        let caught = (0..20).filter(|seed| {
            let mut chance = Chance(*seed);
            let votes = leak(&code, &mut chance, 1_060, (&guilty, strategy), 0.0);
            let scores = Scores::new(&votes).of(&code, &guilty);
            scores
                .iter()
                .any(|score| standard.verdict(score.ln_e) == Verdict::Accused)
        });
        let caught = caught.count();
        assert!(caught >= 19, "{strategy:?} {caught}");
    }
}

#[test]
fn among_ten_thousand_the_guilty_alone_is_named() {
    let (code, standard) = (code(), Standard::new(ISSUED));
    let candidates: Vec<GrantIndex> = (0..10_000).map(GrantIndex).collect();
    let mut chance = Chance(8);
    let guilty = GrantIndex(4_242);
    let votes = leak(
        &code,
        &mut chance,
        150,
        (&[guilty], Strategy::Interleave),
        0.0,
    );
    let scores = Scores::new(&votes);
    for score in scores.of(&code, &candidates) {
        let expected = if score.grant == guilty {
            Verdict::Accused
        } else {
            Verdict::None
        };
        assert_eq!(standard.verdict(score.ln_e), expected, "{:?}", score.grant);
        if score.grant == guilty {
            let p_value = scores.p_value(score.ln_e);
            assert!(p_value <= (-score.ln_e).exp() && p_value > 0.0);
            assert!(standard.bound(score.ln_e) <= standard.error);
        }
    }
}

#[test]
fn innocents_score_as_seldom_as_promised() {
    let code = code();
    let candidates: Vec<GrantIndex> = (0..100_000).map(GrantIndex).collect();
    let leaks = [
        (60, 1, Strategy::Interleave, 0.3),
        (120, 3, Strategy::Minority, 0.1),
    ];
    for (carriers, members, strategy, altered) in leaks {
        let guilty: Vec<GrantIndex> = (0..members).map(|at| GrantIndex(u32::MAX - at)).collect();
        let mut chance = Chance(carriers.try_into().unwrap());
        let votes = leak(&code, &mut chance, carriers, (&guilty, strategy), altered);
        let scores = Scores::new(&votes).of(&code, &candidates);
        for delta in [1e-1, 1e-2, 1e-3, 1e-4_f64] {
            let above = scores
                .iter()
                .filter(|score| score.ln_e >= -delta.ln())
                .count();
            let share = above as f64 / candidates.len() as f64;
            let sigma = (delta * (1.0 - delta) / candidates.len() as f64).sqrt();
            assert!(share <= delta + 3.0 * sigma, "{carriers} {delta} {share}");
        }
    }
}

#[test]
fn the_exact_p_value_is_below_the_bound_and_falls() {
    let code = code();
    for (carriers, members, altered) in [(96, 1, 0.0), (500, 1, 0.3), (1_060, 3, 0.0)] {
        let guilty: Vec<GrantIndex> = (0..members).map(GrantIndex).collect();
        let mut chance = Chance(3);
        let votes = leak(
            &code,
            &mut chance,
            carriers,
            (&guilty, Strategy::Interleave),
            altered,
        );
        let scores = Scores::new(&votes);
        let mut last = 1.0;
        for ln_e in [-1.0, 0.0, 10.0, 30.0, 100.0] {
            let p_value = scores.p_value(ln_e);
            assert!(p_value <= (-ln_e).exp().min(1.0) && p_value > 0.0 && p_value <= last);
            last = p_value;
        }
    }
}

#[test]
fn data_without_marks_is_neither_ours_nor_anybodys() {
    let (code, standard) = (code(), Standard::new(ISSUED));
    let candidates: Vec<GrantIndex> = (0..1_000).map(GrantIndex).collect();
    for seed in 0..20 {
        let mut chance = Chance(seed);
        let skew = f64::from(u32::try_from(seed).unwrap()) / 20.0;
        let mut ballots = Ballots::default();
        for _ in 0..500 {
            let position = chance.position();
            ballots.add([seen(position, chance.unit() < skew)]);
        }
        let votes = ballots.close();
        assert!(ln_presence(&votes.counts()) < presence_from(1, 1e-9));
        for score in Scores::new(&votes).of(&code, &candidates) {
            assert_ne!(standard.verdict(score.ln_e), Verdict::Accused);
        }
    }
}

#[test]
fn marks_are_present_in_a_few_hundred_clean_carriers() {
    let code = code();
    for seed in 0..20 {
        let mut chance = Chance(seed);
        let guilty = [GrantIndex(3)];
        let votes = leak(
            &code,
            &mut chance,
            200,
            (&guilty, Strategy::Interleave),
            0.0,
        );
        assert!(
            ln_presence(&votes.counts()) > presence_from(1, 1e-9),
            "{seed}"
        );
    }
}

#[test]
fn repeating_a_row_changes_nothing() {
    let code = code();
    let mut chance = Chance(1);
    let positions: Vec<Position> = (0..300).map(|_| chance.position()).collect();
    let symbols = code.symbols(GrantIndex(9), &positions);
    let seen: Vec<Observation> = positions
        .into_iter()
        .zip(symbols)
        .map(|(position, symbol)| seen(position, symbol))
        .collect();
    let mut once = Ballots::default();
    once.add(seen.iter().copied());
    let mut often = Ballots::default();
    for _ in 0..500 {
        let mut part = Ballots::default();
        part.add(seen.iter().rev().copied());
        often.merge(part);
    }
    let (once, often) = (once.close(), often.close());
    assert_eq!((once.counts(), once.total()), (often.counts(), 300));
    let candidates: Vec<GrantIndex> = (0..100).map(GrantIndex).collect();
    let scores = [&once, &often].map(|votes| Scores::new(votes).of(&code, &candidates));
    assert_eq!(scores[0], scores[1]);
}

#[test]
fn the_majority_votes_and_ties_do_not() {
    let mut chance = Chance(2);
    let [clear, tied] = [chance.position(), chance.position()];
    let mut ballots = Ballots::default();
    ballots.add([
        seen(clear, true),
        seen(tied, false),
        seen(clear, false),
        seen(clear, true),
        seen(tied, true),
    ]);
    let votes = ballots.close();
    assert_eq!((votes.total(), votes.ties()), (1, 1));
    let kinds = CELLS.iter().zip(votes.counts());
    let voted: Vec<(Found, Class, bool)> = kinds
        .filter(|(_, count)| *count == 1)
        .map(|(kind, _)| *kind)
        .collect();
    assert_eq!(voted, [(Found::ByRow, clear.class(), true)]);
}

#[test]
fn the_standard_counts_every_look() {
    let standard = Standard::new(ISSUED);
    assert!((standard.accused_from() - 29.934).abs() < 1e-3);
    let more = Standard {
        hypotheses: 5,
        error: Standard::share(Standard::ERROR, 4),
        ..standard
    };
    assert!((more.accused_from() - standard.accused_from() - 100_f64.ln()).abs() < 1e-9);
    assert!((standard.suspect_from() - 1e7_f64.ln()).abs() < 1e-9);
    assert_eq!(standard.verdict(29.9), Verdict::Suspect);
    assert_eq!(standard.verdict(16.0), Verdict::None);
}

#[test]
fn all_traces_together_use_up_no_more_than_the_error() {
    let error = 1e-3;
    let shares: Vec<f64> = (1..=10_000).map(|at| Standard::share(error, at)).collect();
    assert!(shares.iter().sum::<f64>() < error);
    assert!(shares.is_sorted_by(|one, next| one > next));
    assert!((shares[0] - error / 2.0).abs() < 1e-18);
    assert!((shares[2] - error / 12.0).abs() < 1e-18);
}

mod bits {
    //! In a module of its own: both proptest and the grid have a `Strategy`.

    use proptest::prelude::*;

    use super::super::{Cells, Channel, ln_e_value, ln_mean_exp, real};

    /// The formula as it is written down, one channel after another.
    fn ln_e_by_channels(counts: &Cells<u64>, ones: &Cells<u32>) -> f64 {
        let channels = Channel::all().into_iter().map(|channel| {
            let ln_weights = channel.ln_weights();
            let zeros = ln_weights.iter().zip(counts);
            let base: f64 = zeros.map(|([zero, _], count)| zero * real(*count)).sum();
            let slopes = ln_weights.map(|[zero, one]| one - zero);
            let added = slopes.iter().zip(ones);
            base + added
                .map(|(slope, ones)| slope * f64::from(*ones))
                .sum::<f64>()
        });
        ln_mean_exp(&channels.collect::<Vec<f64>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        // Records of traces hold the number, and whoever checks one compares it: several channels at a
        // time must not round otherwise than one does.
        #[test]
        fn an_e_value_is_that_of_the_channels_one_by_one_to_the_last_bit(
            kinds in prop::array::uniform12((0_u32..200_000, any::<u32>(), any::<bool>())),
        ) {
            let counts = kinds.map(|(count, _, is_voted)| if is_voted { u64::from(count) } else { 0 });
            let ones = kinds.map(|(count, drawn, is_voted)| if is_voted { drawn % (count + 1) } else { 0 });
            prop_assert_eq!(
                ln_e_value(&counts, &ones).to_bits(),
                ln_e_by_channels(&counts, &ones).to_bits()
            );
        }
    }
}
