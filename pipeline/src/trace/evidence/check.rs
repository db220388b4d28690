//! The check of evidence, by whoever was given it.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::found::FoundTable;
use lockgate_transforms::marks::key::{GrantIndex, MarkKey};
use lockgate_transforms::marks::score::{TagCount, Votes, ln_e_of_tags, ln_e_value, ln_presence};
use serde::Serialize;

use super::{
    HypothesisRecord, Named, PAYLOAD_TYPE, RECORD, Record, VerdictRecord, is_begun, leak_at,
    read_key, scheme_at, verdict_text,
};
use crate::digest::from_hex;
use crate::error::RunError;
use crate::ledger::Entry;
use crate::trace::finding::{exact, scored};
use crate::trace::pass::{self, Way};
use crate::trace::tracer::marker;
use crate::trace::{Request, TagMatches};
use crate::{canonical_json, dsse};

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

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Whether nothing is wrong.
    pub valid: bool,
    /// The dataset.
    pub dataset: Option<String>,
    /// The grants that the record accuses.
    pub accused: Vec<String>,
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
    let bytes = fs::read(&path).map_err(|error| {
        RunError::Connector(ConnectorError::from_io(&error, path.display().to_string()))
    })?;
    let mut check = Check::default();
    let opened = dsse::open(&bytes, PAYLOAD_TYPE, &given.signers);
    let record: Record = match opened.map(|(payload, _)| canonical_json::read(&payload)) {
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
        let verdicts = record.into_iter().flat_map(|record| &record.verdicts);
        Checked {
            valid: self.problems.is_empty(),
            dataset: record.map(|record| record.dataset.clone()),
            accused: verdicts
                .filter(|verdict| verdict.verdict == "accused")
                .map(|verdict| verdict.grant.clone())
                .collect(),
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
        let mut events = entries.iter().map(|entry| &entry.event);
        let begun = events.any(|event| is_begun(event, &record.dataset, &record.leak));
        self.unless(
            begun,
            "no entry of the ledger says that the trace was begun",
        );
        for verdict in record.verdicts.iter().filter(|of| of.verdict != "none") {
            let named = Named {
                grant: &verdict.grant,
                recipient: verdict.recipient.as_deref(),
                index: verdict.index,
            };
            let is_held = hypothesis_of(record, verdict).is_some_and(|of| {
                let mut entries = entries.iter();
                entries.any(|entry| named.is_in(&entry.event, &of.commitment))
            });
            let grant = &verdict.grant;
            let what = format!("no entry of the ledger gives {grant} its index under the key");
            self.unless(is_held, what);
        }
    }

    /// Recomputes what follows from the counts.
    fn verdicts(&mut self, record: &Record) {
        let Ok(error) = record.error.parse::<f64>() else {
            return self.wrong("the error isn't a number");
        };
        let request = Request {
            error,
            investigation: record.investigation,
            ..Request::default()
        };
        let count = u64::try_from(record.hypotheses.len()).unwrap_or(u64::MAX);
        for of in &record.hypotheses {
            let standard = request.standard(of.issued, count);
            let holds = of.accused_from == standard.accused_from().to_string()
                && of.ln_presence == ln_presence(&of.counts).to_string();
            self.unless(
                holds,
                "a threshold or the presence doesn't follow from the counts",
            );
        }
        for verdict in &record.verdicts {
            let grant = &verdict.grant;
            let Some(of) = hypothesis_of(record, verdict) else {
                self.wrong(format!("{grant} has no hypothesis"));
                continue;
            };
            let tags: Vec<(u32, TagCount)> = verdict.tags.iter().map(tag_count).collect();
            let ln_e = ln_e_value(&of.counts, &verdict.ones) + ln_e_of_tags(&tags);
            let stated = request.standard(of.issued, count).verdict(ln_e);
            let p_value = (verdict.verdict != "none").then(|| exact(&of.counts, of.tags, ln_e));
            let holds = verdict.ln_e == ln_e.to_string()
                && verdict.verdict == verdict_text(stated)
                && verdict.p_value == p_value.map(|p_value| p_value.to_string());
            let what = format!("what is said of {grant} doesn't follow from its counts");
            self.unless(holds, what);
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
    let is_same = |ones, ln_e: f64| ones == verdict.ones && ln_e.to_string() == verdict.ln_e;
    tags == verdict.tags && scores.iter().all(|score| is_same(score.ones, score.ln_e))
}

fn hypothesis_of<'a>(record: &'a Record, verdict: &VerdictRecord) -> Option<&'a HypothesisRecord> {
    let place = usize::try_from(verdict.hypothesis).ok()?;
    record.hypotheses.get(place)
}

fn tag_count(of: &TagMatches) -> (u32, TagCount) {
    let count = TagCount {
        matched: of.matched,
        of: of.of,
    };
    (of.bits, count)
}
