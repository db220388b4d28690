//! The check of evidence, by whoever was given it.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use lockgate_connectors::format::found::FoundTable;
use lockgate_connectors::{ConnectorError, durable};
use lockgate_transforms::marks::key::{GrantIndex, MarkKey};
use lockgate_transforms::marks::score::{Verdict, Votes, ln_e_of_tags, ln_e_value, ln_presence};
use serde::Serialize;

use super::{
    FORMAT, HypothesisRecord, PAYLOAD_TYPE, RECORD, RECORD_BYTES_MAX, Record, VerdictRecord, claim,
    leak_at, read_key, scheme_at, verdict_text,
};
use crate::canonical_json::{self, CanonicalError};
use crate::digest::from_hex;
use crate::dsse;
use crate::error::RunError;
use crate::ledger::Entry;
use crate::trace::finding::{above_zero, exact, scored};
use crate::trace::pass::{self, Way};
use crate::trace::tracer::marker;
use crate::trace::{Request, TagMatches};

/// What evidence is checked with.
#[derive(Debug, Default)]
pub struct Given {
    /// Keys of whoever signs: one of them must have signed the record.
    pub signers: Vec<VerifyingKey>,
    /// Keys of the ledger; without any, who signed its checkpoints isn't checked.
    pub ledger: Option<Vec<VerifyingKey>>,
    /// The leak: everything is counted again.
    pub leak: Option<PathBuf>,
    /// Files with opened keys, beside those in the folder.
    pub key_files: Vec<PathBuf>,
    /// Keys at hand otherwise, such as the site's own.
    pub keys: Vec<MarkKey>,
}

/// How near a stated number must be to the one that is computed: machines differ in the last digits
/// of a logarithm.
const NEAR: f64 = 1e-9;

/// A grant that evidence accuses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accused {
    /// Its id.
    pub grant: String,
    /// Who received it.
    pub recipient: Option<String>,
    /// The logarithm of the e-value, as recomputed; so is what follows.
    pub ln_e: f64,
    /// The logarithm of the e-value from which a grant is accused.
    pub accused_from: f64,
    /// Indices issued under the key: N.
    pub issued: u64,
    /// An upper bound on the probability that any innocent has so small a bound in this trace.
    pub bound: f64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Whether nothing is wrong.
    pub valid: bool,
    /// The dataset.
    pub dataset: Option<String>,
    /// The probability ε that the trace was held to; the ledger has the same, where nothing is wrong.
    pub error: Option<String>,
    /// The how-manieth trace of the dataset it was; so has the ledger.
    pub investigation: Option<u64>,
    /// Hypotheses that were traced side by side: H.
    pub hypotheses: Option<usize>,
    /// The grants that are accused; none where anything is wrong.
    pub accused: Vec<Accused>,
    /// Whether the leak was counted again.
    pub recounted: bool,
    /// What is wrong.
    pub problems: Vec<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// Checks the evidence in a folder.
///
/// # Errors
/// A folder, key or leak that can't be read, which says nothing about the evidence.
pub fn check(folder: &Path, mut given: Given) -> Result<Checked, RunError> {
    let path = folder.join(RECORD);
    let bytes = durable::read_bounded(&path, RECORD_BYTES_MAX).map_err(|error| {
        RunError::Connector(ConnectorError::from_io(&error, path.display().to_string()))
    })?;
    let mut check = Check::default();
    let opened = dsse::open(&bytes, PAYLOAD_TYPE, &given.signers);
    let record = match opened.map(|(payload, _)| read(&payload)) {
        Ok(Ok(record)) => record,
        Ok(Err(error)) => {
            check.wrong(format!("{RECORD}: {error}"));
            return Ok(check.done(None));
        }
        Err(error) => {
            check.wrong(format!("{RECORD}: {error}"));
            return Ok(check.done(None));
        }
    };
    check.entries(&record, given.ledger.as_deref());
    check.verdicts(&record);
    gather_keys(folder, &mut given)?;
    let keys: Vec<Option<&MarkKey>> = record
        .hypotheses
        .iter()
        .map(|of| given.keys.iter().find(|key| opens(key, of)))
        .collect();
    for (hypothesis, key) in record.hypotheses.iter().zip(&keys) {
        let commitment = &hypothesis.commitment;
        if scheme_at(folder, &hypothesis.scheme_sha256).is_none() {
            let scheme = &hypothesis.scheme_sha256;
            check.wrong(format!("scheme-{scheme}.json is missing or altered"));
        }
        check.notes.push(match key {
            Some(_) => format!("the commitment {commitment} opens with a key that was given"),
            None => format!("no key was given that opens the commitment {commitment}"),
        });
    }
    match &given.leak {
        Some(leak) => check.recount(folder, leak, &record, &keys)?,
        None => check
            .notes
            .push("the leak wasn't given, so its counts are taken as stated".into()),
    }
    Ok(check.done(Some(&record)))
}

/// Reads a record; of one of another form, says so.
fn read(payload: &[u8]) -> Result<Record, String> {
    canonical_json::read_form(payload, FORMAT).map_err(|error| {
        if let CanonicalError::OtherForm { found, read } = error {
            return format!(
                "it is of form {found}; this version checks {read}, and the one that wrote it checks it"
            );
        }
        error.to_string()
    })
}

/// Takes the opened keys that were named and those in the folder.
fn gather_keys(folder: &Path, given: &mut Given) -> Result<(), RunError> {
    let mut files = given.key_files.clone();
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    files.extend(listed.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("mark-key-") && name.ends_with(".key")
    }));
    for file in files {
        given.keys.push(read_key(&file)?);
    }
    Ok(())
}

fn opens(key: &MarkKey, hypothesis: &HypothesisRecord) -> bool {
    let commitment = from_hex(&hypothesis.commitment);
    let salt = from_hex(&hypothesis.commitment_salt);
    let both = commitment.zip(salt);
    both.is_some_and(|(commitment, salt)| key.opens(&commitment, &salt))
}

/// A check under way.
#[derive(Debug, Default)]
struct Check {
    problems: Vec<String>,
    notes: Vec<String>,
    accused: Vec<Accused>,
    recounted: bool,
}

impl Check {
    fn wrong(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    fn unless(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.wrong(what);
        }
    }

    fn done(self, record: Option<&Record>) -> Checked {
        let valid = self.problems.is_empty();
        Checked {
            valid,
            dataset: record.map(|record| record.dataset.clone()),
            error: record.map(|record| record.error.clone()),
            investigation: record.map(|record| record.investigation),
            hypotheses: record.map(|record| record.hypotheses.len()),
            accused: match valid {
                true => self.accused,
                false => Vec::new(),
            },
            recounted: self.recounted,
            problems: self.problems,
            notes: self.notes,
        }
    }

    /// Holds the entries of the ledger against what the record says.
    fn entries(&mut self, record: &Record, keys: Option<&[VerifyingKey]>) {
        if keys.is_none() {
            let note = "no key of the ledger was given: who signed its checkpoints wasn't checked";
            self.notes.push(note.to_owned());
        }
        let mut entries: Vec<Entry> = Vec::new();
        for proof in &record.proofs {
            match proof.verify(keys) {
                Ok(entry) => entries.push(entry),
                Err(error) => self.wrong(format!("ledger entry {}: {error}", proof.index)),
            }
        }
        // Which entry came first can be told within one ledger alone.
        let mut checkpoints = record.proofs.iter().map(|proof| &proof.checkpoint);
        let first = checkpoints.next();
        self.unless(
            checkpoints.all(|other| Some(other) == first),
            "the entries of the ledger aren't proved by one checkpoint",
        );
        let Some(begun) = claim::begun(record, &entries) else {
            return self.wrong(
                "no entry of the ledger says that a trace of this leak, number and error was begun",
            );
        };
        for claim in claim::claims(record) {
            let is_held = claim.entry(record, &entries, begun.index).is_some();
            self.unless(is_held, claim.unproved());
        }
    }

    /// Recomputes what follows from the counts.
    fn verdicts(&mut self, record: &Record) {
        let request = Request {
            error: number(&record.error),
            investigation: record.investigation,
            ..Request::default()
        };
        if !Request::is_error(request.error) {
            return self.wrong("the error is no probability above 0 and below 1");
        }
        let count = u64::try_from(record.hypotheses.len()).unwrap_or(u64::MAX);
        for of in &record.hypotheses {
            let standard = request.standard(of.issued, count);
            let holds = is_stated(&of.accused_from, standard.accused_from())
                && is_stated(&of.ln_presence, ln_presence(&of.counts));
            self.unless(
                holds,
                "a threshold or the presence doesn't follow from the counts",
            );
        }
        for verdict in &record.verdicts {
            let grant = &verdict.grant;
            let Some(of) = claim::hypothesis_of(record, verdict) else {
                self.wrong(format!("{grant} has no hypothesis"));
                continue;
            };
            let tags: Vec<_> = verdict.tags.iter().map(TagMatches::count).collect();
            let ln_e = ln_e_value(&of.counts, &verdict.ones) + ln_e_of_tags(&tags);
            let standard = request.standard(of.issued, count);
            let found = standard.verdict(ln_e);
            let p_value = (found != Verdict::None).then(|| exact(&of.counts, of.tags, ln_e));
            // Of a chance, the logarithm: one that is tiny is as exact as any.
            let stated = verdict.p_value.as_deref().map(|text| number(text).ln());
            let holds = is_stated(&verdict.ln_e, ln_e)
                && verdict.verdict == verdict_text(found)
                && match (stated, p_value) {
                    (Some(stated), Some(p_value)) => is_near(stated, p_value.ln()),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
            let what = format!("what is said of {grant} doesn't follow from its counts");
            self.unless(holds, what);
            if found == Verdict::Accused {
                self.accused.push(Accused {
                    grant: grant.clone(),
                    recipient: verdict.recipient.clone(),
                    ln_e,
                    accused_from: standard.accused_from(),
                    issued: of.issued,
                    bound: above_zero(standard.bound(ln_e)),
                });
            }
        }
    }

    /// Counts the leak again.
    fn recount(
        &mut self,
        folder: &Path,
        leak: &Path,
        record: &Record,
        keys: &[Option<&MarkKey>],
    ) -> Result<(), RunError> {
        let options = &record.leak.options;
        if leak_at(leak, options)? != record.leak {
            self.wrong("the leak that was given isn't the one that was traced");
            return Ok(());
        }
        let mut ways = Vec::new();
        for (hypothesis, key) in record.hypotheses.iter().zip(keys) {
            let scheme = scheme_at(folder, &hypothesis.scheme_sha256);
            let (Some(key), Some(scheme)) = (key, scheme) else {
                self.wrong(
                    "without key and scheme of every hypothesis the leak can't be recounted",
                );
                return Ok(());
            };
            let columns = hypothesis.columns.iter();
            let names: Vec<&str> = columns.map(|of| of.field.as_str()).collect();
            ways.push(Way {
                marker: marker(&scheme, key, &names)?,
                matched: &hypothesis.columns,
            });
        }
        let table = FoundTable::open(leak, &options.to_found())?;
        let polled = pass::poll(&table, &ways)?;
        self.unless(
            polled.rows == record.rows,
            "the leak has another number of rows",
        );
        for (of, votes) in record.hypotheses.iter().zip(&polled.votes) {
            let holds = of.counts == votes.counts()
                && of.ties == votes.ties()
                && of.tags == votes.tags().total();
            self.unless(holds, "the leak counts to other votes than are stated");
        }
        for verdict in &record.verdicts {
            let place = usize::try_from(verdict.hypothesis).unwrap_or(usize::MAX);
            let found = ways.iter().zip(&polled.votes).nth(place);
            let holds = found.is_some_and(|(way, votes)| recounts(way, votes, verdict));
            let what = format!("the leak counts to other numbers of {}", verdict.grant);
            self.unless(holds, what);
        }
        self.recounted = true;
        Ok(())
    }
}

/// Whether a candidate has the numbers that are stated.
fn recounts(way: &Way<'_>, votes: &Votes, verdict: &VerdictRecord) -> bool {
    let (code, index) = (way.marker.code(), GrantIndex(verdict.index));
    let scores = scored(votes, code, &[index]);
    let tags = votes.tags().counts(code, index);
    let tags: Vec<TagMatches> = tags.into_iter().map(TagMatches::of).collect();
    let is_same = |ones, ln_e: f64| ones == verdict.ones && is_stated(&verdict.ln_e, ln_e);
    tags == verdict.tags && scores.iter().all(|score| is_same(score.ones, score.ln_e))
}

/// A stated number; one that equals none where it isn't any.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn is_stated(text: &str, computed: f64) -> bool {
    is_near(number(text), computed)
}

/// Whether two numbers are one, but for what machines differ in.
fn is_near(stated: f64, computed: f64) -> bool {
    let is_same = stated.total_cmp(&computed).is_eq();
    let apart = (stated - computed).abs();
    is_same || computed.is_finite() && apart <= NEAR * computed.abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_form_is_told_from_a_damaged_one() {
        let told = |payload: &str| read(payload.as_bytes()).unwrap_err();
        let older = told(r#"{"counts":[0,0,0,0,0,0],"format":1}"#);
        assert!(older.contains("of form 1"), "{older}");
        for damaged in [r#"{"format":2}"#, "{}", "format"] {
            let damaged = told(damaged);
            assert!(!damaged.contains("of form"), "{damaged}");
        }
    }

    #[test]
    fn stated_numbers_may_differ_in_their_last_digits_and_no_more() {
        let computed = 3_558.700_000_000_001;
        assert!(is_stated("3558.7", computed) && is_stated("3558.700003", computed));
        assert!(!is_stated("3558.70001", computed) && !is_stated("3559", computed));
        assert!(is_stated("0.0000000001", 0.0) && !is_stated("0.00000001", 0.0));
        for text in ["NaN", "inf", "-inf", "", "many"] {
            assert!(!is_stated(text, computed), "{text}");
        }
        assert!(is_stated("-inf", f64::NEG_INFINITY));
        assert!(!is_stated("5", f64::NEG_INFINITY) && !is_stated("NaN", f64::INFINITY));
        // A chance is compared by its logarithm.
        assert!(!is_near(1e-20_f64.ln(), 1e-40_f64.ln()));
    }
}
