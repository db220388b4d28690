//! `ledger`: lists what happened, proves that nobody changed it, and tells who used what.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::durable;
use lockgate_connectors::keyring::Purpose;
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::write_new;
use super::output::{Answer, table};
use super::verify::{read_keys, site_keys};
use crate::cli::{LedgerCommand, UsageArgs};
use crate::clock::Clock;
use crate::dsse;
use crate::error::{RunError, exit};
use crate::installation::Installation;
use crate::ledger::{
    self, Checkpoint, ConsistencyProof, EntryProof, InclusionProof, LedgerProblem, LedgerReader,
    ProblemKind, Remembered,
};
use crate::life::{LostTerms, lost_terms};
use crate::usage::{Question, Usage, to_csv, usage};

/// Most bytes of a checkpoint or proof that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn ledger(root: &Path, command: &LedgerCommand) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    match command {
        LedgerCommand::List => list(&installation),
        LedgerCommand::Verify {
            key,
            witness,
            proof,
        } => verify(&installation, key.as_deref(), witness, proof),
        LedgerCommand::Prove {
            entry,
            size,
            consistency,
        } => match (entry, consistency.as_deref()) {
            (_, Some([old, new])) => prove_consistency(&installation, *old, Some(*new)),
            (_, Some([old])) => prove_consistency(&installation, *old, None),
            (Some(entry), _) => prove(&installation, *entry, *size),
            (None, _) => Err(RunError::Interrupted), // the command line asks for one of them
        },
        LedgerCommand::Export {
            extract: false,
            out,
            ..
        } => export(&installation, out.as_deref()),
        LedgerCommand::Export { out, question, .. } => {
            extract(&installation, &asked(question), out.as_deref())
        }
        LedgerCommand::Usage(question) => usage_records(&installation, &asked(question)),
    }
}

fn list(installation: &Installation) -> Result<Answer, RunError> {
    let entries = installation.history()?;
    let documents = entries
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<Value>, _>>()
        .map_err(|error| RunError::internal("listing entries", &error))?;
    let text = table(
        &["entry", "at", "event", "details"],
        documents.iter().map(|entry| {
            let field = |name: &str| entry.get(name).map_or_else(String::new, plain);
            let details = entry
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| {
                    [
                        "grant",
                        "delivery",
                        "attempt",
                        "rows",
                        "reason",
                        "codes",
                        "approver",
                        "tokens",
                        "found",
                        "dataset",
                        "investigation",
                        "accused",
                        "to",
                        "basis",
                        "scope",
                        "generation",
                        "what",
                    ]
                    .contains(&name.as_str())
                })
                .map(|(name, value)| format!("{name}={}", plain(value)))
                .collect::<Vec<_>>()
                .join(" ");
            [field("index"), field("at"), field("event"), details]
        }),
    );
    Answer::new(text, &json!({ "entries": documents }))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn verify(
    installation: &Installation,
    key: Option<&str>,
    witnesses: &[PathBuf],
    proofs: &[PathBuf],
) -> Result<Answer, RunError> {
    let keys = match key {
        Some(key) => read_keys(key)?,
        None => site_keys(installation, Purpose::Ledger)?,
    };
    let mut remembered = Vec::new();
    for file in witnesses {
        remembered.push(kept_in(file, read_text(file, "--witness")?));
    }
    let mut unproved = Vec::new();
    let origin = LedgerReader::origin(&installation.ledger_dir());
    let origin = origin.ok().flatten();
    for file in proofs {
        let text = read_text(file, "--proof")?;
        match check_proof(&text, &keys) {
            // Of this ledger, so that it has to continue what was proved.
            Ok(note) if origin_of(&note) == origin => remembered.push(kept_in(file, note)),
            Ok(_) => {}
            Err(what) => unproved.push(LedgerProblem {
                kind: ProblemKind::Proof,
                path: file.display().to_string(),
                what,
            }),
        }
    }
    if key.is_none() {
        remembered.extend(receipted(installation));
    }
    let mut report =
        ledger::verify_remembering(&installation.ledger_dir(), Some(&keys), &remembered);
    report.valid &= unproved.is_empty();
    report.problems.extend(unproved);
    if let Ok(history) = installation.history() {
        let lost = lost_terms(installation, &history);
        report.notes.extend(lost.iter().map(LostTerms::to_string));
    }
    let mut text = if report.valid {
        format!("valid: {} entries\n", report.size)
    } else {
        "INVALID\n".to_owned()
    };
    for problem in &report.problems {
        text.push_str(&format!("  {}: {}\n", problem.path, problem.what));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    let exit = if report.valid {
        exit::DONE
    } else {
        exit::UNVERIFIED
    };
    Ok(Answer::new(text, &report)?.with_exit(exit))
}

fn kept_in(file: &Path, note: String) -> Remembered {
    Remembered {
        path: file.display().to_string(),
        note,
    }
}

/// Checks a proof by itself, of one of the kinds that are made by `ledger prove` or in manifests; gives
/// the checkpoint that it is under.
fn check_proof(text: &str, keys: &[VerifyingKey]) -> Result<String, String> {
    // One kind after another: serde's untagged enums make a tree of values first.
    let (checked, checkpoint) = if let Ok(proof) = serde_json::from_str::<EntryProof>(text) {
        (proof.verify(Some(keys)).map(|_| ()), proof.checkpoint)
    } else if let Ok(proof) = serde_json::from_str::<ConsistencyProof>(text) {
        (proof.verify(Some(keys)), proof.checkpoint)
    } else if let Ok(proof) = serde_json::from_str::<InclusionProof>(text) {
        (proof.verify(Some(keys)).map(|_| ()), proof.checkpoint)
    } else {
        return Err("is not a proof as `lockgate ledger prove --json` prints it".to_owned());
    };
    checked.map_err(|error| error.to_string())?;
    Ok(checkpoint)
}

fn origin_of(note: &str) -> Option<String> {
    let checkpoint = Checkpoint::open_unverified(note).ok()?;
    Some(checkpoint.origin)
}

/// Checkpoints that recipients saw, in the receipts that the site accepted: copies of the ledger's head
/// that lie beside it. Whoever puts back the ledger alone is found by them.
fn receipted(installation: &Installation) -> Vec<Remembered> {
    /// What a receipt says of the ledger; all else is passed over.
    #[derive(Deserialize)]
    struct Claimed {
        checkpoint: String,
    }

    let Ok(receipts) = std::fs::read_dir(installation.state().join("receipts")) else {
        return Vec::new();
    };
    let paths = receipts.filter_map(|entry| Some(entry.ok()?.path()));
    let remembered = paths.filter_map(|path| {
        let bytes = durable::read_bounded(&path, FILE_BYTES_MAX).ok()?;
        let payload = dsse::unverified_payload(&bytes)?;
        let claimed: Claimed = serde_json::from_slice(&payload).ok()?;
        Some(kept_in(&path, claimed.checkpoint))
    });
    remembered.collect()
}

fn read_text(file: &Path, option: &str) -> Result<String, RunError> {
    let read = durable::read_bounded(file, FILE_BYTES_MAX);
    let text = read.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    });
    text.map_err(|error| RunError::Invalid {
        what: format!("{} cannot be read: {}", file.display(), error.kind()),
        at: option.to_owned(),
        remedy: "name a file as `lockgate ledger export` or `ledger prove --json` writes it"
            .to_owned(),
    })
}

/// The ledger as of its checkpoint, verified with the site's keys.
fn verified(installation: &Installation) -> Result<LedgerReader, RunError> {
    let keys = site_keys(installation, Purpose::Ledger)?;
    Ok(LedgerReader::open(&installation.ledger_dir(), Some(&keys))?)
}

fn not_there(what: String, size: u64) -> RunError {
    RunError::Invalid {
        what,
        at: "command line".to_owned(),
        remedy: format!("the ledger holds {size} entries, numbered from 0"),
    }
}

fn prove(installation: &Installation, entry: u64, size: Option<u64>) -> Result<Answer, RunError> {
    let reader = verified(installation)?;
    let of = size.unwrap_or_else(|| reader.size());
    let Some(proof) = reader.prove_at(entry, of)? else {
        let what = format!("there is no entry {entry} in a ledger of {of} entries");
        return Err(not_there(what, reader.size()));
    };
    let mut text = format!(
        "entry {} stands in the ledger of {} entries with root {}\n  {}\n  proved by {} hashes",
        proof.index,
        proof.size,
        proof.root,
        proof.entry,
        proof.hashes.len()
    );
    if !proof.consistency.is_empty() {
        text.push_str(&format!(
            "; that ledger is continued by the one of the checkpoint, proved by {} hashes",
            proof.consistency.len()
        ));
    }
    text.push_str(&format!("\n{}", proof.checkpoint));
    Answer::new(text, &proof)
}

fn prove_consistency(
    installation: &Installation,
    old: u64,
    new: Option<u64>,
) -> Result<Answer, RunError> {
    let reader = verified(installation)?;
    let new = new.unwrap_or_else(|| reader.size());
    let Some(proof) = reader.prove_consistency(old, new)? else {
        let what = format!("a ledger of {new} entries never continued one of {old}");
        return Err(not_there(what, reader.size()));
    };
    let text = format!(
        "the ledger of {} entries with root {}\n  continues that of {} entries with root {}\n  \
         proved by {} hashes\n{}",
        proof.new,
        proof.new_root,
        proof.old,
        proof.old_root,
        proof.hashes.len(),
        proof.checkpoint
    );
    Answer::new(text, &proof)
}

/// The checkpoint, for whoever keeps it out of the site's reach.
fn export(installation: &Installation, out: Option<&Path>) -> Result<Answer, RunError> {
    let reader = verified(installation)?;
    let Some((note, checkpoint)) = reader.checkpoint_note().zip(reader.checkpoint()) else {
        return Err(RunError::Invalid {
            what: "the ledger holds nothing yet".to_owned(),
            at: "state/ledger".to_owned(),
            remedy: "it begins with the first event".to_owned(),
        });
    };
    let document = json!({
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": STANDARD.encode(checkpoint.root),
        "checkpoint": note,
    });
    let text = match out {
        Some(out) => {
            write_new(out, note.as_bytes())?;
            format!(
                "checkpoint of {} entries written to {}\n",
                checkpoint.size,
                out.display()
            )
        }
        None => note.to_owned(),
    };
    Answer::new(text, &document)
}

fn asked(args: &UsageArgs) -> Question {
    Question {
        provider: args.provider.clone(),
        recipient: args.recipient.clone(),
        grant: args.grant.clone(),
        from: args.from,
        until: args.until,
    }
}

/// Usage records by grant, for a competent authority.
fn extract(
    installation: &Installation,
    asked: &Question,
    out: Option<&Path>,
) -> Result<Answer, RunError> {
    // Of one reading: the checkpoint covers what the records show, and no more.
    let reader = verified(installation)?;
    let Usage {
        mut records,
        lost_terms,
    } = usage(installation, &reader.entries()?, asked)?;
    records.sort_by(|a, b| (&a.grant, a.entry).cmp(&(&b.grant, b.entry)));
    let document = json!({
        "site": installation.site.file.site.name,
        "checkpoint": reader.checkpoint_note(),
        "records": records,
        "lost_terms": lost_terms,
    });
    let csv = to_csv(&records);
    let text = match out {
        Some(out) => {
            write_new(out, csv.as_bytes())?;
            format!(
                "{} records of a ledger of {} entries written to {}\n{}",
                records.len(),
                reader.size(),
                out.display(),
                told(&lost_terms)
            )
        }
        // A terminal wants neither the mark nor the line ends of files.
        None => csv.trim_start_matches('\u{feff}').replace("\r\n", "\n"),
    };
    // An authority must not take an extract for whole that isn't.
    let exit = if lost_terms.is_empty() {
        exit::DONE
    } else {
        exit::UNVERIFIED
    };
    Ok(Answer::new(text, &document)?.with_exit(exit))
}

/// Notes of terms that nobody has any more.
fn told(lost: &[LostTerms]) -> String {
    lost.iter()
        .map(|lost| format!("  note: {lost}\n"))
        .collect()
}

fn usage_records(installation: &Installation, asked: &Question) -> Result<Answer, RunError> {
    let usage = usage(installation, &installation.history()?, asked)?;
    let Usage {
        records,
        lost_terms,
    } = &usage;
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut text = table(
        &[
            "at",
            "grant",
            "process",
            "outcome",
            "provider",
            "recipient",
            "dataset",
            "rows",
            "purpose",
            "reason",
        ],
        records.iter().map(|record| {
            [
                record.at.clone(),
                record.grant.clone(),
                record.process.to_owned(),
                record.outcome.clone(),
                known(&record.provider),
                known(&record.recipient),
                known(&record.dataset),
                record
                    .rows
                    .map_or_else(String::new, |rows| rows.to_string()),
                known(&record.purpose),
                known(&record.reason),
            ]
        }),
    );
    text.push_str(&told(lost_terms));
    Answer::new(text, &usage)
}
