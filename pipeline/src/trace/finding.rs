//! What a trace says, and how it comes to it from the votes.

use std::collections::BTreeSet;

use lockgate_transforms::marks::code::Code;
use lockgate_transforms::marks::key::GrantIndex;
use lockgate_transforms::marks::predict::{Readable, rows_traced};
use lockgate_transforms::marks::score::{
    Cells, Score, Scores, Standard, TagCount, Verdict, Votes, p_value,
};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
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
    /// The votes by class and symbol.
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
    /// An upper bound on the probability that any innocent has such an e-value in this trace.
    pub bound: f64,
    /// The exact probability that one given innocent has; of those alone that are accused or
    /// suspect.
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
    /// Bits of the tags.
    pub bits: u32,
    /// Those that are its own.
    pub matched: u32,
    /// All of them.
    pub of: u32,
}

impl TagMatches {
    pub(super) fn of((bits, count): (u32, TagCount)) -> Self {
        Self {
            bits,
            matched: count.matched,
            of: count.of,
        }
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
    /// The votes by class and symbol.
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

/// The verdicts to be shown, of all in any order: the strongest first, one a grant and recipient.
pub(super) fn shown(mut verdicts: Vec<NamedVerdict>) -> Vec<NamedVerdict> {
    verdicts.sort_by(|one, other| {
        let by_score = other.ln_e.total_cmp(&one.ln_e);
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
        _ => (-ln_e).exp().min(1.0),
    })
}

/// A bound that is too small for a double is still no zero.
pub(super) fn above_zero(bound: f64) -> f64 {
    bound.max(f64::MIN_POSITIVE)
}

/// Fills in the exact probabilities of those that are accused or suspect, on the current rayon
/// pool.
pub(super) fn with_p_values(verdicts: &mut [NamedVerdict], traced: &[Traced]) {
    let p_values: Vec<Option<f64>> = verdicts
        .par_iter()
        .map(|verdict| {
            let of = traced.get(verdict.hypothesis)?;
            (verdict.verdict != Verdict::None).then(|| exact(&of.counts, of.tags, verdict.ln_e))
        })
        .collect();
    for (verdict, p_value) in verdicts.iter_mut().zip(p_values) {
        verdict.p_value = p_value;
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
    let tags = tags.map(|(bits, count)| of(count.of.into(), Some(bits)));
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
            ones: [0; 6],
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
    fn rows_of_tags_alone_are_forecast_too() {
        let standard = Standard::new(10_000);
        let tags = [readable(0.0, None), readable(1.0, Some(16))];
        let more = more_rows(&tags, 2, &standard).unwrap();
        let alone = rows_traced(1, 0.0, &tags[1..], &standard);
        assert!((real(more) - (alone - 2.0)).abs() <= 1.0, "{more}, {alone}");
        // Beside them, carriers help.
        let both = [readable(1.0, None), readable(1.0, Some(16))];
        assert!(more_rows(&both, 2, &standard).unwrap() <= more);
    }

    fn readable(density: f64, tag: Option<u32>) -> Readable {
        Readable {
            density,
            tag,
            places: None,
        }
    }
}
