//! Proofs, witnesses, extracts: what somebody outside can hold a site's ledger to.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate::ledger::{Checkpoint, ConsistencyProof, EntryProof};
use lockgate_acceptance::site::{Finished, Site};
use lockgate_connectors::keyring::{LocalKeyring, Purpose};
use serde_json::{Value, json};

use crate::people::{self, grant};

/// A site that delivered once, and a few entries besides.
fn site() -> Site {
    let site = people::site(20);
    for version in 1..=3 {
        site.signed(&grant("G-1", &["id", "region"]).version(version));
    }
    site.run("G-1").expect_code(0);
    site.json(["preview", "G-1", "--rows", "3"]).expect_code(0);
    site
}

fn size(site: &Site) -> u64 {
    let exported = site.json(["ledger", "export"]).expecting(0).document();
    exported["size"].as_u64().expect("a size")
}

/// Writes the checkpoint beside the site, as a witness keeps it.
fn witness(site: &Site, name: &str) -> PathBuf {
    let path = site.beside().join(name);
    let out = path.to_str().expect("a path of text");
    site.json(["ledger", "export", "--out", out]).expect_code(0);
    path
}

fn verify_with(site: &Site, option: &str, file: &Path) -> Finished {
    let file = file.to_str().expect("a path of text");
    site.json(["ledger", "verify", option, file])
}

/// Verification says that the ledger does not continue what the witness holds.
#[track_caller]
fn contradicted(finished: &Finished, what: &str) {
    let report = finished.expect_code(4).document();
    let problems = report["problems"].as_array().expect("problems");
    let found = problems.iter().any(|problem| {
        problem["what"]
            .as_str()
            .is_some_and(|text| text.contains(what))
    });
    assert!(found, "{what}: {report}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

fn restore(site: &Site, from: &Path) {
    fs::remove_dir_all(site.path("state/ledger")).expect("removed");
    copy(from, &site.path("state/ledger"));
}

#[test]
fn every_entry_is_proved_in_every_ledger_that_held_it() {
    let site = site();
    let keys = LocalKeyring::open(site.path("keys"));
    let keys = keys.verifying_keys(Purpose::Ledger).expect("keys");
    let size = size(&site);
    for entry in 0..size {
        for of in entry + 1..=size {
            let (index, of) = (entry.to_string(), of.to_string());
            let proved = site.json(["ledger", "prove", &index, "--size", &of]);
            let proved = proved.expecting(0);
            let proof: EntryProof = serde_json::from_str(&proved.stdout).expect("a proof");
            let proven = proof.verify(Some(&keys)).expect("a good proof");
            assert_eq!(proven.index, entry);
        }
    }
    let first = site.json(["ledger", "prove", "0"]).expecting(0).document();
    assert_eq!(first["size"], size);
    assert!(
        first["entry"]
            .as_str()
            .is_some_and(|entry| entry.contains("grant-signed"))
    );
    let text = site.text(["ledger", "prove", "0"]).expecting(0).stdout;
    assert!(text.contains("entry 0 stands in the ledger"), "{text}");
    for missing in [
        vec!["prove".to_owned(), size.to_string()],
        vec![
            "prove".to_owned(),
            "1".to_owned(),
            "--size".to_owned(),
            "1".to_owned(),
        ],
        vec![
            "prove".to_owned(),
            "0".to_owned(),
            "--size".to_owned(),
            (size + 1).to_string(),
        ],
        vec!["prove".to_owned()],
    ] {
        site.json(["ledger".to_owned()].iter().chain(&missing))
            .expect_code(2);
    }
}

#[test]
fn a_ledger_is_proved_to_continue_what_it_was() {
    let site = site();
    let keys = LocalKeyring::open(site.path("keys"));
    let keys = keys.verifying_keys(Purpose::Ledger).expect("keys");
    let size = size(&site);
    for old in 0..=size {
        for new in old..=size {
            let (old, new) = (old.to_string(), new.to_string());
            let proved = site
                .json(["ledger", "prove", "--consistency", &old, &new])
                .expecting(0);
            let proof: ConsistencyProof = serde_json::from_str(&proved.stdout).expect("a proof");
            proof.verify(Some(&keys)).expect("a good proof");
        }
    }
    let beyond = (size + 1).to_string();
    site.json(["ledger", "prove", "--consistency", &beyond])
        .expect_code(2);
    site.json(["ledger", "prove", "--consistency", "3", "2"])
        .expect_code(2);
}

#[test]
fn a_forged_proof_proves_nothing() {
    let site = site();
    let proof = site
        .json(["ledger", "prove", "1", "--size", "3"])
        .document();
    let path = site.beside().join("proof.json");
    let check = |proof: &Value| {
        fs::write(&path, proof.to_string()).expect("a file");
        verify_with(&site, "--proof", &path)
    };
    check(&proof).expect_code(0);
    let consistency = site
        .json(["ledger", "prove", "--consistency", "2"])
        .document();
    check(&consistency).expect_code(0);
    let forged = |name: &str, value: Value| {
        let mut forged = proof.clone();
        forged[name] = value;
        forged
    };
    let entry = proof["entry"].as_str().expect("an entry");
    let mut no_hashes = proof["hashes"].as_array().expect("hashes").clone();
    no_hashes.pop();
    let other = site
        .json(["ledger", "prove", "0", "--size", "3"])
        .document();
    for forgery in [
        forged(
            "entry",
            json!(entry.replace("\"version\":2", "\"version\":9")),
        ),
        forged("index", json!(0)),
        forged("size", json!(4)),
        forged("root", other["hashes"][0].clone()),
        forged("hashes", json!(no_hashes)),
        forged("hashes", other["hashes"].clone()),
        forged("consistency", json!([])),
        forged(
            "checkpoint",
            json!(
                proof["checkpoint"]
                    .as_str()
                    .expect("a note")
                    .replace("\n6\n", "\n5\n")
                    .replacen('A', "B", 1)
            ),
        ),
        forged("more", json!(1)),
        json!({}),
    ] {
        let checked = check(&forgery);
        assert_eq!(checked.code, 4, "{forgery}: {checked:?}");
    }
    let mut forgery = consistency.clone();
    forgery["old_root"] = consistency["new_root"].clone();
    check(&forgery).expect_code(4);
}

#[test]
fn a_ledger_set_back_or_forked_contradicts_its_witness() {
    let site = site();
    let before = site.beside().join("before");
    copy(&site.path("state/ledger"), &before);
    let early = witness(&site, "early");
    verify_with(&site, "--witness", &early).expect_code(0);
    site.json(["preview", "G-1", "--rows", "1"]).expect_code(0);
    let late = witness(&site, "late");
    for kept in [&early, &late] {
        verify_with(&site, "--witness", kept).expect_code(0);
    }
    let honest = site.beside().join("honest");
    copy(&site.path("state/ledger"), &honest);
    // Set back: consistent in itself, and less than the witness saw.
    restore(&site, &before);
    site.json(["ledger", "verify"]).expect_code(0);
    contradicted(&verify_with(&site, "--witness", &late), "set back");
    // Forked: as many entries as the witness saw, and another one among them.
    site.json(["preview", "G-1", "--rows", "2"]).expect_code(0);
    site.json(["ledger", "verify"]).expect_code(0);
    contradicted(&verify_with(&site, "--witness", &late), "fork");
    // Continued beyond the fork.
    site.json(["preview", "G-1", "--rows", "1"]).expect_code(0);
    contradicted(&verify_with(&site, "--witness", &late), "rewritten");
    verify_with(&site, "--witness", &early).expect_code(0);
    restore(&site, &honest);
    verify_with(&site, "--witness", &late).expect_code(0);
    // The ledger of another site continues nothing.
    let elsewhere = self::site();
    let other = witness(&elsewhere, "other");
    contradicted(
        &verify_with(&site, "--witness", &other),
        "not among those trusted",
    );
}

#[test]
fn an_older_checkpoint_put_back_alone_is_found_and_nothing_runs_over_it() {
    let site = site();
    let file = site.path("state/ledger/checkpoint");
    let older = fs::read(&file).expect("a checkpoint");
    let suspend = ["grant", "suspend", "G-1", "--reason", "核查"];
    site.json(suspend).expect_code(0);
    let later = fs::read(&file).expect("a checkpoint");
    fs::write(&file, older).expect("put back");
    contradicted(&site.json(["ledger", "verify"]), "set back");
    for command in [&["run", "G-1", "--again"][..], &["plan", "G-1"], &suspend] {
        site.json(command).expect_code(1);
    }
    fs::write(&file, later).expect("put in order");
    site.json(["ledger", "verify"]).expect_code(0);
    let run = site.json(["run", "G-1", "--again"]).expecting(3);
    assert_eq!(run.refusals(), ["suspended"]);
}

#[test]
fn a_proof_from_before_a_fork_contradicts_the_ledger() {
    let site = site();
    let before = site.beside().join("before");
    copy(&site.path("state/ledger"), &before);
    site.json(["preview", "G-1", "--rows", "1"]).expect_code(0);
    let last = (size(&site) - 1).to_string();
    let proof = site.beside().join("proof.json");
    let proved = site.json(["ledger", "prove", &last]).expecting(0).stdout;
    fs::write(&proof, proved).expect("a file");
    verify_with(&site, "--proof", &proof).expect_code(0);
    restore(&site, &before);
    contradicted(&verify_with(&site, "--proof", &proof), "set back");
    site.json(["preview", "G-1", "--rows", "2"]).expect_code(0);
    contradicted(&verify_with(&site, "--proof", &proof), "fork");
}

#[test]
fn terms_that_are_lost_are_told_wherever_they_are_missed() {
    let site = site();
    fs::remove_dir_all(site.path("state/terms")).expect("removed");
    // The grant's file has those of its third version; nobody has the others.
    let usage = site.json(["ledger", "usage"]).expecting(0).document();
    let lost = usage["lost_terms"].as_array().expect("terms");
    assert_eq!(lost.len(), 2, "{usage}");
    assert_eq!(usage["records"][0]["purpose"], Value::Null);
    assert_ne!(usage["records"][3]["purpose"], Value::Null);
    let extract = site.json(["ledger", "export", "--extract"]).expecting(4);
    assert_eq!(extract.document()["lost_terms"], usage["lost_terms"]);
    let verified = site.json(["ledger", "verify"]).expecting(0).document();
    let notes = verified["notes"].as_array().expect("notes");
    assert_eq!(notes.len(), 2, "{verified}");
    let checked = site.json(["check"]).expecting(2);
    assert!(checked.stdout.contains("state/terms"), "{checked:?}");
}

#[test]
fn a_checkpoint_signed_with_the_manifest_key_is_none() {
    let site = site();
    let file = site.path("state/ledger/checkpoint");
    let note = fs::read_to_string(&file).expect("a checkpoint");
    let keyring = LocalKeyring::open(site.path("keys"));
    let manifest = keyring.signing_key(Purpose::Manifest).expect("a key");
    let forged = Checkpoint::open_unverified(&note)
        .expect("a checkpoint")
        .sign(&manifest);
    let kept = site.beside().join("forged");
    fs::write(&kept, &forged).expect("a file");
    contradicted(
        &verify_with(&site, "--witness", &kept),
        "not among those trusted",
    );
    fs::write(&file, &forged).expect("a file");
    site.json(["ledger", "verify"]).expect_code(4);
    site.json(["run", "G-1", "--again"]).expect_code(1);
    site.json(["plan", "G-1"]).expect_code(1);
    site.json(["ledger", "export"]).expect_code(1);
    fs::write(&file, &note).expect("a file");
    site.json(["run", "G-1", "--again"]).expect_code(0);
}

/// The bundle of entries, taken apart and put together again.
fn rewrite(site: &Site, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let size = size(site);
    let bundle = site.path(&format!("state/ledger/tile/entries/000.p/{size}"));
    let mut bytes = fs::read(&bundle).expect("the entries");
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        entries.push(bytes[2..2 + length].to_vec());
        bytes.drain(..2 + length);
    }
    change(&mut entries);
    let mut written = Vec::new();
    for entry in entries {
        written.extend(u16::try_from(entry.len()).expect("short").to_be_bytes());
        written.extend(entry);
    }
    fs::write(&bundle, written).expect("the entries");
}

#[test]
fn entries_deleted_altered_reordered_or_inserted_are_found() {
    type Change = fn(&mut Vec<Vec<u8>>);
    let changes: [(&str, Change); 4] = [
        ("deleted", |entries| drop(entries.remove(1))),
        ("altered", |entries| {
            let text = String::from_utf8(entries[1].clone()).expect("text");
            entries[1] = text.replace("data-office", "data-offlce").into_bytes();
        }),
        ("reordered", |entries| entries.swap(0, 2)),
        ("inserted", |entries| entries.insert(1, entries[0].clone())),
    ];
    let site = site();
    let kept = site.beside().join("kept");
    copy(&site.path("state/ledger"), &kept);
    for (what, change) in changes {
        rewrite(&site, change);
        let verified = site.json(["ledger", "verify"]);
        assert_eq!(verified.code, 4, "{what}: {verified:?}");
        let run = site.json(["run", "G-1", "--again"]);
        assert_eq!(run.code, 1, "{what}: {run:?}");
        restore(&site, &kept);
        site.json(["ledger", "verify"]).expect_code(0);
    }
}

#[test]
fn usage_is_told_by_provider_recipient_grant_and_day() {
    let site = site();
    let usage = |arguments: &[&str]| {
        let told = site.json(["ledger", "usage"].iter().chain(arguments));
        let told = told.expecting(0).document();
        told["records"].as_array().expect("records").clone()
    };
    let all = usage(&[]);
    let processes: Vec<&str> = all
        .iter()
        .map(|record| record["process"].as_str().expect("a process"))
        .collect();
    assert_eq!(
        processes,
        ["grant", "grant", "grant", "delivery", "preview"]
    );
    let delivery = &all[3];
    assert_eq!(delivery["outcome"], "released");
    assert_eq!(delivery["rows"], 20);
    assert_eq!(delivery["provider"], "public-security");
    assert_eq!(delivery["recipient"], "civil-affairs");
    assert_eq!(delivery["dataset"], "people");
    assert_eq!(delivery["purpose"], "最低生活保障资格核查");
    assert_eq!(delivery["version"], 3);
    assert_eq!(usage(&["--provider", "public-security"]).len(), all.len());
    assert_eq!(usage(&["--provider", "tax"]), [] as [Value; 0]);
    assert_eq!(
        usage(&["--recipient", "civil-affairs", "--grant", "G-1"]).len(),
        all.len()
    );
    assert_eq!(usage(&["--until", "2020-01-01"]), [] as [Value; 0]);
    assert_eq!(
        usage(&["--from", "2020-01-01", "--until", "2999-01-01"]).len(),
        all.len()
    );
    // What a use was for stays known when the grant is another one or gone.
    site.edit("grants/G-1.toml", "最低生活保障资格核查", "其他");
    assert_eq!(usage(&[])[3]["purpose"], "最低生活保障资格核查");
    fs::remove_file(site.path("grants/G-1.toml")).expect("removed");
    assert_eq!(usage(&[])[3]["purpose"], "最低生活保障资格核查");
    assert_eq!(usage(&[])[3]["recipient"], "civil-affairs");
}

#[test]
fn the_extract_is_a_table_with_reasons_and_without_personal_data() {
    let site = site();
    let step = [
        "grant",
        "suspend",
        "G-1",
        "--reason",
        "=HYPERLINK(1), 超范围使用",
    ];
    site.json(step).expect_code(0);
    let out = site.beside().join("extract.csv");
    let path = out.to_str().expect("a path of text");
    let export = ["ledger", "export", "--extract", "--out", path];
    let document = site.json(export).expecting(0).document();
    assert!(
        document["checkpoint"]
            .as_str()
            .is_some_and(|note| note.contains("lockgate"))
    );
    let text = fs::read_to_string(&out).expect("the extract");
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    assert!(
        lines[0].starts_with("entry,at,process,outcome,grant"),
        "{text}"
    );
    assert_eq!(lines.len(), 1 + 6, "{text}");
    assert!(
        lines[6].contains("\"'=HYPERLINK(1), 超范围使用\""),
        "{text}"
    );
    for row in 0..20 {
        assert!(!text.contains(&people::person_id(row)), "{text}");
    }
    // A file is never overwritten.
    site.json(export).expect_code(2);
    let shown = site
        .text(["ledger", "export", "--extract"])
        .expecting(0)
        .stdout;
    assert_eq!(shown.lines().count(), 7, "{shown}");
}
