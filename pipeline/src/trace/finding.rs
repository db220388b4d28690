//! What a trace says, and how it comes to it from the votes.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_transforms::marks::code::Code;
use lockgate_transforms::marks::key::GrantIndex;
use lockgate_transforms::marks::predict::{Readable, rows_traced};
use lockgate_transforms::marks::score::{
    Cells, Score, Scores, Standard, TagCount, Verdict, Votes, p_value, p_values,
};
use lockgate_transforms::marks::tag::TagSpace;
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator,
};
use serde::{Deserialize, Serialize};

use super::columns::Matched;
use crate::marks::KeyCommitment;

/// How many grants are named at least, where nobody is accused or suspect: those that come next.
const NAMED_LEAST: usize = 5;

/// The largest coalition that the code is made for.
const MEMBERS_MAX: u8 = 6;

/// What a trace says.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Every grant that is accused or suspect, and the best of the others up to five, by what
    /// speaks against them.
    pub verdicts: Vec<NamedVerdict>,
    /// Whether the leak is the dataset's at all.
    pub presence: Presence,
    /// Votes: positions of the code that were found and read. Here and below, of the hypothesis
    /// that shows most marks.
    pub carriers: u64,
    /// Pseudonyms with a tag that were found and read, beside the carriers.
    pub tags: u64,
    /// The votes by how their cells were found, class and symbol.
    pub counts: Cells<u64>,
    /// Positions without a vote, since as many of its cells show the one as the other.
    pub ties: u64,
    /// Grants that were held against the leak, by their indices.
    pub candidates: u64,
    /// The logarithm of the e-value from which a grant is accused.
    pub accused_from: f64,
    /// Which column holds which field.
    pub matched: Vec<Matched>,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that aren't of the form of the others, of which what could be read was.
    pub irregular: u64,
    /// Hypotheses that were looked at: keys, each with its schemes.
    pub looked_at: u64,
    /// The hypotheses that were traced side by side: H is their number.
    pub traced: Vec<Traced>,
    /// Where nobody is accused: how many more such rows would do for the smallest number of
    /// leakers that the rows read don't do for, if the leak is the dataset's. None where no number of
    /// rows would.
    pub more_rows: Option<u64>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What a trace says of a grant.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedVerdict {
    /// Id of the grant.
    pub grant: String,
    /// Who received it, where that is known.
    pub recipient: Option<String>,
    /// What marks name it by.
    pub index: u32,
    /// The place in [`Finding::traced`] of the hypothesis under which it was found.
    pub hypothesis: usize,
    /// What is said.
    pub verdict: Verdict,
    /// The logarithm of the e-value.
    pub ln_e: f64,
    /// An upper bound on the probability that any innocent has so small a bound in this trace. Of several
    /// keys each counts by the grants that it marked for.
    pub bound: f64,
    /// An upper bound on the probability that one given innocent has such an e-value, from the exact laws
    /// of what was read; of those alone that are accused or suspect.
    pub p_value: Option<f64>,
    /// Of each kind of vote, at how many its symbol is 1.
    pub ones: Cells<u32>,
    /// How many of the leak's tags are its own.
    pub tags: Vec<TagMatches>,
}

/// How many of a leak's tags of one length are a grant's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagMatches {
    /// Bits of the tags: where there are as many as no bits make, those that fewer would have.
    pub bits: u32,
    /// How many tags there are, where they are no power of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<u64>,
    /// Those that are its own.
    pub matched: u32,
    /// All of them.
    pub of: u32,
}

impl TagMatches {
    pub(super) fn of((space, count): (TagSpace, TagCount)) -> Self {
        let bits = space.bits();
        Self {
            bits: bits.unwrap_or_else(|| space.tags().ilog2()),
            space: bits.is_none().then(|| space.tags()),
            matched: count.matched,
            of: count.of,
        }
    }

    /// How many tags there are, and how many are the grant's own.
    pub(super) fn count(&self) -> (TagSpace, TagCount) {
        let space = match self.space {
            Some(tags) => TagSpace::new(tags),
            None => TagSpace::of_bits(self.bits),
        };
        let count = TagCount {
            matched: self.matched,
            of: self.of,
        };
        (space, count)
    }
}

/// Whether the leak is the dataset's, without naming anybody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Presence {
    /// The logarithm of the e-value.
    pub ln_e: f64,
    /// From which it is taken for the dataset's.
    pub threshold: f64,
    /// Whether it is. So it is where a grant is accused, which is no less certain; tags show no
    /// presence.
    pub is_ours: bool,
}

/// A key with a scheme, as it was traced.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// The key.
    pub key: KeyCommitment,
    /// SHA-256 of the scheme, hex.
    pub scheme_sha256: String,
    /// Which column holds which field.
    pub matched: Vec<Matched>,
    /// Indices that were issued under the key: N.
    pub issued: u64,
    /// The votes by how their cells were found, class and symbol.
    pub counts: Cells<u64>,
    /// Positions without a vote.
    pub ties: u64,
    /// Pseudonyms with a tag.
    pub tags: u64,
    /// Whether there are marks of it.
    pub presence: Presence,
    /// The logarithm of the e-value from which a grant is accused.
    pub accused_from: f64,
}

/// The scores of all candidates, on the current rayon pool. They are sorted, so that those of one
/// block of the cipher stand together.
pub(super) fn scored(votes: &Votes, code: &Code, candidates: &[GrantIndex]) -> Vec<Score> {
    let scores = Scores::new(votes);
    let blocks: Vec<&[GrantIndex]> = candidates
        .chunk_by(|one, next| one.0 >> 3 == next.0 >> 3)
        .collect();
    let scored = blocks.into_par_iter().map(|block| scores.of(code, block));
    scored.collect::<Vec<_>>().concat()
}

/// Whom an index was given to, grant and recipient: as a rule one pair.
pub(super) type Grants = BTreeMap<GrantIndex, BTreeSet<(String, String)>>;

/// The verdicts under the hypothesis of that place that [`shown`] could choose: all from `certain_from`
/// on, the least score that says anything under any hypothesis, and of the others the best as far as
/// names are needed. Of ten thousand candidates hardly any is shown, so that the others get no names.
pub(super) fn named(
    scores: &[Score],
    grants: &Grants,
    certain_from: f64,
    standard: &Standard,
    hypothesis: usize,
) -> Vec<NamedVerdict> {
    let from = named_from(scores, grants).min(certain_from);
    let mut verdicts = Vec::new();
    for score in scores.iter().filter(|of| of.ln_e.total_cmp(&from).is_ge()) {
        for (grant, recipient) in grants.get(&score.grant).into_iter().flatten() {
            verdicts.push(NamedVerdict {
                grant: grant.clone(),
                recipient: Some(recipient.clone()),
                index: score.grant.0,
                hypothesis,
                verdict: standard.verdict(score.ln_e),
                ln_e: score.ln_e,
                bound: above_zero(standard.bound(score.ln_e)),
                p_value: None,
                ones: score.ones,
                tags: Vec::new(),
            });
        }
    }
    verdicts
}

/// From which score on there are as many names as are named at least. Whoever is among the best of all
/// hypotheses is among the best of her own.
fn named_from(scores: &[Score], grants: &Grants) -> f64 {
    let mut best: Vec<&Score> = scores.iter().collect();
    best.sort_unstable_by(|one, other| other.ln_e.total_cmp(&one.ln_e));
    let mut names = BTreeSet::new();
    for score in best {
        names.extend(grants.get(&score.grant).into_iter().flatten());
        if names.len() >= NAMED_LEAST {
            return score.ln_e;
        }
    }
    f64::NEG_INFINITY
}

/// The verdicts to be shown, of all in any order: the strongest first, one a grant and recipient.
///
/// What is said comes before the score, since under a key that marked for few, less accuses.
pub(super) fn shown(mut verdicts: Vec<NamedVerdict>) -> Vec<NamedVerdict> {
    let place = |of: &NamedVerdict| match of.verdict {
        Verdict::Accused => 0,
        Verdict::Suspect => 1,
        Verdict::None => 2,
    };
    verdicts.sort_by(|one, other| {
        let by_verdict = place(one).cmp(&place(other));
        let by_score = by_verdict.then_with(|| other.ln_e.total_cmp(&one.ln_e));
        by_score.then_with(|| one.grant.cmp(&other.grant))
    });
    let mut named = BTreeSet::new();
    verdicts.retain(|verdict| named.insert((verdict.grant.clone(), verdict.recipient.clone())));
    let last = verdicts
        .iter()
        .rposition(|verdict| verdict.verdict != Verdict::None);
    let certain = last.map_or(0, |last| last + 1);
    verdicts.truncate(certain.max(NAMED_LEAST));
    verdicts
}

/// An upper bound on the probability that a given innocent has such an e-value: exact for symbols,
/// Markov's where there are tags.
pub(super) fn exact(counts: &Cells<u64>, tags: u64, ln_e: f64) -> f64 {
    above_zero(match tags {
        0 => p_value(counts, ln_e),
        _ => markov(ln_e),
    })
}

/// [`exact`] of several under one hypothesis.
fn all_exact(counts: &Cells<u64>, tags: u64, ln_e: &[f64]) -> Vec<f64> {
    let bounds = match tags {
        0 => p_values(counts, ln_e),
        _ => ln_e.iter().copied().map(markov).collect(),
    };
    bounds.into_iter().map(above_zero).collect()
}

fn markov(ln_e: f64) -> f64 {
    (-ln_e).exp().min(1.0)
}

/// A bound that is too small for a double is still no zero.
pub(super) fn above_zero(bound: f64) -> f64 {
    bound.max(f64::MIN_POSITIVE)
}

/// Fills in the exact probabilities of those that are accused or suspect, on the current rayon
/// pool: one hypothesis beside the other, since those of one share nearly all of the work.
pub(super) fn with_p_values(verdicts: &mut [NamedVerdict], traced: &[Traced]) {
    let of_each: Vec<Vec<(usize, f64)>> = traced
        .par_iter()
        .enumerate()
        .map(|(hypothesis, of)| {
            let is_asked = |verdict: &NamedVerdict| {
                verdict.hypothesis == hypothesis && verdict.verdict != Verdict::None
            };
            let asked = (0..).zip(&*verdicts);
            let (places, scores): (Vec<usize>, Vec<f64>) = asked
                .filter(|(_, verdict)| is_asked(verdict))
                .map(|(place, verdict)| (place, verdict.ln_e))
                .unzip();
            let p_values = all_exact(&of.counts, of.tags, &scores);
            places.into_iter().zip(p_values).collect()
        })
        .collect();
    for (place, p_value) in of_each.into_iter().flatten() {
        if let Some(verdict) = verdicts.get_mut(place) {
            verdict.p_value = Some(p_value);
        }
    }
}

/// Whether any grant is accused.
pub(super) fn is_anyone_accused(verdicts: &[NamedVerdict]) -> bool {
    verdicts
        .iter()
        .any(|verdict| verdict.verdict == Verdict::Accused)
}

/// What a row of the leak has to read, on the average: carriers, and tags by their lengths.
pub(super) fn of_row(votes: &Votes, code: &Code, rows: u64) -> Vec<Readable> {
    let of = |count: u64, tag| Readable {
        density: real(count) / real(rows.max(1)),
        tag,
        places: None,
    };
    // How many tags there are is the same for every index.
    let tags = votes.tags().counts(code, GrantIndex(0)).into_iter();
    let tags = tags.map(|(space, count)| of(count.of.into(), Some(space)));
    [of(votes.total(), None)].into_iter().chain(tags).collect()
}

/// How many more rows like these would name a grant: for one leaker, or for as many as these rows
/// aren't enough for.
pub(super) fn more_rows(of_row: &[Readable], rows: u64, standard: &Standard) -> Option<u64> {
    let wanted = (1..=MEMBERS_MAX).map(|members| rows_traced(members, 0.0, of_row, standard));
    let more = wanted
        .map(|wanted| wanted - real(rows))
        .find(|more| *more > 0.0);
    more.filter(|more| more.is_finite()).map(whole)
}

/// A count as a double.
#[expect(clippy::as_conversions, reason = "counts are far below 2^53")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::as_conversions,
    reason = "a positive number of rows; beyond 2^64 the conversion saturates"
)]
fn whole(count: f64) -> u64 {
    count.ceil() as u64
}

#[cfg(test)]
mod tests {
    use lockgate_transforms::marks::predict::carriers_needed;
    use proptest::prelude::*;

    use super::*;

    fn verdict(grant: &str, ln_e: f64, verdict: Verdict) -> NamedVerdict {
        NamedVerdict {
            grant: grant.to_owned(),
            recipient: None,
            index: 0,
            hypothesis: 0,
            verdict,
            ln_e,
            bound: 1.0,
            p_value: None,
            ones: [0; 12],
            tags: Vec::new(),
        }
    }

    #[test]
    fn the_accused_are_all_shown_and_of_the_others_five() {
        let accused = (0..7).map(|at| verdict(&format!("A{at}"), 40.0, Verdict::Accused));
        let others = (0..7).map(|at| verdict(&format!("B{at}"), f64::from(at), Verdict::None));
        let all: Vec<NamedVerdict> = others.clone().chain(accused).collect();
        assert!(
            shown(all)
                .iter()
                .map(|of| of.grant.as_str())
                .eq(["A0", "A1", "A2", "A3", "A4", "A5", "A6"])
        );
        let named: Vec<String> = shown(others.collect())
            .into_iter()
            .map(|of| of.grant)
            .collect();
        assert_eq!(named, ["B6", "B5", "B4", "B3", "B2"]);
    }

    #[test]
    fn a_grant_is_named_once_by_what_speaks_most_against_it() {
        let twice = vec![
            verdict("A", 3.0, Verdict::None),
            verdict("A", 40.0, Verdict::Accused),
        ];
        let shown = shown(twice);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].verdict, Verdict::Accused);
    }

    #[test]
    fn an_accusation_is_not_hidden_by_a_larger_score_that_says_less() {
        // Of two keys, the one that marked for few accuses by less.
        let shown = shown(vec![
            verdict("A", 30.5, Verdict::Suspect),
            verdict("B", 50.0, Verdict::None),
            verdict("A", 30.0, Verdict::Accused),
        ]);
        let said: Vec<(&str, Verdict)> = shown
            .iter()
            .map(|of| (of.grant.as_str(), of.verdict))
            .collect();
        assert_eq!(said, [("A", Verdict::Accused), ("B", Verdict::None)]);
    }

    fn score(grant: u32, ln_e: f64) -> Score {
        Score {
            grant: GrantIndex(grant),
            ln_e,
            ones: [0; 12],
            tags: TagCount::default(),
        }
    }

    #[test]
    fn of_many_candidates_only_those_get_names_that_may_be_shown() {
        let scores: Vec<Score> = (0..1_000)
            .map(|grant| score(grant, -f64::from(grant)))
            .collect();
        let grant = |index: u32| BTreeSet::from([(format!("G-{index:04}"), "office".to_owned())]);
        let grants: Grants = (0..1_000).map(|at| (GrantIndex(at), grant(at))).collect();
        let named = |from| named(&scores, &grants, from, &Standard::new(1_000), 0);
        assert_eq!(named(20.0).len(), NAMED_LEAST);
        assert_eq!(named(-99.0).len(), 100);
    }

    /// Scores of candidates, and who have their indices.
    type Candidates = Vec<(i8, Vec<(u8, u8)>)>;

    /// Hypotheses: how many were issued, and the candidates.
    fn hypotheses() -> impl Strategy<Value = Vec<(u64, Candidates)>> {
        // Few scores and few names, so that many are equal; some are above what says something.
        let named = prop::collection::vec((0_u8..12, 0_u8..3), 1..3);
        let candidate = (-3_i8..50, named);
        let issued = prop::sample::select(vec![1_u64, 1_000, 1_000_000_000]);
        prop::collection::vec((issued, prop::collection::vec(candidate, 0..25)), 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_shown_is_the_same_as_if_all_had_names(hypotheses in hypotheses()) {
            let standards: Vec<Standard> =
                hypotheses.iter().map(|(issued, _)| Standard::new(*issued)).collect();
            let certain_from = standards
                .iter()
                .map(|standard| standard.suspect_from().min(standard.accused_from()))
                .fold(f64::INFINITY, f64::min);
            let shown_from = |certain_from: f64| {
                let mut verdicts = Vec::new();
                for (place, ((_, candidates), standard)) in
                    hypotheses.iter().zip(&standards).enumerate()
                {
                    let (mut scores, mut grants) = (Vec::new(), Grants::new());
                    for (index, (ln_e, names)) in (0_u32..).zip(candidates) {
                        scores.push(score(index, f64::from(*ln_e)));
                        let names = names.iter();
                        let names = names.map(|(grant, to)| (format!("G{grant}"), format!("R{to}")));
                        grants.insert(GrantIndex(index), names.collect());
                    }
                    verdicts.extend(named(&scores, &grants, certain_from, standard, place));
                }
                shown(verdicts)
            };
            prop_assert_eq!(shown_from(certain_from), shown_from(f64::NEG_INFINITY));
        }
    }

    #[test]
    fn the_exact_chances_of_several_are_those_of_each() {
        let key = KeyCommitment {
            dataset: "people".to_owned(),
            epoch: 1,
            key_version: 1,
            commitment: [0; 32],
            salt: [0; 32],
        };
        let traced = |counts: Cells<u64>, tags| Traced {
            key: key.clone(),
            scheme_sha256: String::new(),
            matched: Vec::new(),
            issued: 10,
            counts,
            ties: 0,
            tags,
            presence: Presence {
                ln_e: 0.0,
                threshold: 0.0,
                is_ours: false,
            },
            accused_from: 9.0,
        };
        let traced = [
            traced([40, 20, 80, 70, 22, 39, 4, 2, 8, 7, 2, 3], 0),
            traced([9; 12], 3),
        ];
        let said = [(0, 30.0), (1, 25.0), (0, 12.0), (0, 40.0)];
        let mut verdicts: Vec<NamedVerdict> = said
            .map(|(hypothesis, ln_e)| NamedVerdict {
                hypothesis,
                ..verdict("A", ln_e, Verdict::Suspect)
            })
            .into();
        verdicts.push(verdict("B", 3.0, Verdict::None));
        with_p_values(&mut verdicts, &traced);
        for of in &verdicts {
            let alone = exact(
                &traced[of.hypothesis].counts,
                traced[of.hypothesis].tags,
                of.ln_e,
            );
            let expected = (of.verdict != Verdict::None).then_some(alone);
            assert_eq!(of.p_value.map(f64::to_bits), expected.map(f64::to_bits));
        }
    }

    #[test]
    fn rows_that_are_missing_follow_from_carriers_a_row() {
        let standard = Standard::new(10_000);
        let two = [readable(2.0, None)];
        let needed = carriers_needed(1, 0.0, &standard);
        let more = more_rows(&two, 20, &standard).unwrap();
        assert!((real(more) - (needed / 2.0 - 20.0)).abs() <= 1.0, "{more}");
        // One leaker would have been named, so it is two or an altered copy.
        let more = more_rows(&two, 100, &standard).unwrap();
        let needed = carriers_needed(2, 0.0, &standard);
        assert!((real(more) - (needed / 2.0 - 100.0)).abs() <= 1.0, "{more}");
        assert_eq!(more_rows(&[readable(0.0, None)], 100, &standard), None);
    }

    #[test]
    fn how_many_tags_there_are_is_recorded_where_bits_do_not_say() {
        let count = TagCount { matched: 3, of: 8 };
        for (tags, written) in [
            (65_536, r#"{"bits":16,"matched":3,"of":8}"#),
            (100, r#"{"bits":6,"space":100,"matched":3,"of":8}"#),
        ] {
            let matches = TagMatches::of((TagSpace::new(tags), count));
            assert_eq!(serde_json::to_string(&matches).unwrap(), written);
            let read: TagMatches = serde_json::from_str(written).unwrap();
            assert_eq!(read.count(), (TagSpace::new(tags), count));
        }
    }

    #[test]
    fn rows_of_tags_alone_are_forecast_too() {
        let standard = Standard::new(10_000);
        let tags = [
            readable(0.0, None),
            readable(1.0, Some(TagSpace::of_bits(16))),
        ];
        let more = more_rows(&tags, 2, &standard).unwrap();
        let alone = rows_traced(1, 0.0, &tags[1..], &standard);
        assert!((real(more) - (alone - 2.0)).abs() <= 1.0, "{more}, {alone}");
        // Beside them, carriers help.
        let both = [
            readable(1.0, None),
            readable(1.0, Some(TagSpace::of_bits(16))),
        ];
        assert!(more_rows(&both, 2, &standard).unwrap() <= more);
    }

    fn readable(density: f64, tag: Option<TagSpace>) -> Readable {
        Readable {
            density,
            tag,
            places: None,
        }
    }
}
