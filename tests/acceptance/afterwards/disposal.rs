//! Disposal: what the site holds is gone, the ledger and the manifest say so, and the record claims no
//! more than was done.

use std::fs;

use serde_json::Value;

use super::{events, folder, listed, receipt, site};

fn not_covered(record: &Value) -> String {
    record["does_not_cover"].to_string()
}

#[test]
fn a_plain_delivery_is_removed_and_verify_says_so() {
    let site = site();
    let delivery = site.deliver("G-1");
    let place = folder(&delivery).to_owned();
    let document = site.json(["dispose", &place]).expecting(0).document();
    assert_eq!(document["unchanged"], false);
    let record = &document["record"];
    assert_eq!(record["release"], "none");
    assert_eq!(record["key"], Value::Null);
    assert!(not_covered(record).contains("they were not sealed"));
    assert!(not_covered(record).contains("has stated nothing"));
    let left: Vec<_> = listed(delivery.folder())
        .into_iter()
        .map(|(path, _)| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(left, ["disposal.json", "manifest.json"]);
    let intended = events(&site, "disposal-intended");
    let disposed = events(&site, "disposed");
    assert_eq!((intended.len(), disposed.len()), (1, 1));
    assert_eq!(record["ledger_entry"], intended[0]["index"]);
    assert_eq!(disposed[0]["record_sha256"], document["record_sha256"]);
    let verified = site.json(["verify", &place]).expecting(4).document();
    let problems = verified["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0]["kind"], "disposed");
    // Once is enough.
    let again = site.json(["dispose", &place]).expecting(0).document();
    assert_eq!(again["unchanged"], true);
    assert_eq!(again["record_sha256"], document["record_sha256"]);
    assert_eq!(events(&site, "disposed").len(), 1);
    site.json(["ledger", "verify"]).expect_code(0);
}

#[test]
fn what_was_disposed_of_is_not_taken_for_delivered_or_lost() {
    let site = site();
    let delivery = site.deliver("G-1");
    site.json(["dispose", folder(&delivery)]).expect_code(0);
    let refused = site.run("G-1").expecting(3).document();
    assert!(refused.to_string().contains("disposed of"), "{refused}");
    let anew = site.json(["run", "G-1", "--again"]).expecting(0).document();
    assert_eq!(anew["status"], "delivered");
}

#[test]
fn files_that_are_gone_without_a_record_are_missing_not_disposed_of() {
    let site = site();
    let delivery = site.deliver("G-1");
    for file in delivery.files() {
        fs::remove_file(file).unwrap();
    }
    let kinds = |document: &Value| -> Vec<String> {
        let problems = document["problems"].as_array().unwrap();
        problems
            .iter()
            .map(|problem| problem["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    // Nor does a record count that the site didn't sign, or that is another delivery's.
    let forged = delivery.folder().join("disposal.json");
    for content in [
        b"{}".to_vec(),
        fs::read(delivery.folder().join("manifest.json")).unwrap(),
    ] {
        fs::write(&forged, content).unwrap();
        let verified = site.json(["verify", folder(&delivery)]).expecting(4);
        assert_eq!(kinds(&verified.document()), ["missing"]);
    }
}

#[test]
fn a_recipients_statement_is_in_the_record() {
    let site = site();
    let delivery = site.deliver("G-1");
    let received = receipt(&site, &delivery, "make");
    let destroyed = receipt(&site, &delivery, "destroyed");
    let place = folder(&delivery);
    // A receipt of having it is no statement of having destroyed it.
    site.json(["dispose", place, "--statement", received.to_str().unwrap()])
        .expect_code(4);
    assert!(delivery.files()[0].exists());
    let statement = destroyed.to_str().unwrap();
    let document = site
        .json(["dispose", place, "--statement", statement])
        .expecting(0)
        .document();
    let record = &document["record"];
    let accepted = events(&site, "receipt-accepted");
    let stated = accepted
        .iter()
        .find(|entry| entry["kind"] == "destroyed")
        .unwrap();
    assert_eq!(record["statement"]["ledger_entry"], stated["index"]);
    assert_eq!(
        record["statement"]["receipt_sha256"],
        stated["receipt_sha256"]
    );
    assert!(record["covers"].to_string().contains("signed statement"));
    assert!(not_covered(record).contains("plaintext"));
}

#[test]
fn a_disposal_that_broke_off_is_ended_by_the_next() {
    let site = site();
    let delivery = site.deliver("G-1");
    // What stands in the way of the record: files are removed by then, and the ledger knows.
    let record = delivery.folder().join("disposal.json");
    fs::create_dir_all(record.join("in-the-way")).unwrap();
    assert_ne!(site.json(["dispose", folder(&delivery)]).code, 0);
    assert_eq!(events(&site, "disposal-intended").len(), 1);
    assert!(events(&site, "disposed").is_empty());
    fs::remove_dir_all(&record).unwrap();
    let document = site
        .json(["dispose", folder(&delivery)])
        .expecting(0)
        .document();
    assert_eq!(document["unchanged"], false);
    assert_eq!(events(&site, "disposal-intended").len(), 1);
    assert_eq!(events(&site, "disposed").len(), 1);
    assert!(record.is_file());
}

#[test]
fn what_the_ledger_did_not_release_is_not_disposed_of() {
    let other = site();
    let site = site();
    let foreign = other.deliver("G-1");
    site.json(["dispose", folder(&foreign)]).expect_code(4);
    assert!(foreign.files()[0].exists());
    assert!(events(&site, "disposal-intended").is_empty());
}

#[test]
fn what_is_not_where_the_ledger_says_is_not_said_to_be_removed() {
    let site = site();
    let delivery = site.deliver("G-1");
    // The disk is mounted elsewhere, or the outbox was moved.
    let moved = site.beside().join("moved");
    fs::rename(site.path("outbox"), &moved).unwrap();
    let folder = moved.join(delivery.folder().strip_prefix(site.path("outbox")).unwrap());
    let place = folder.to_str().unwrap();
    let before = listed(&moved);
    site.json(["dispose", place]).expect_code(2);
    assert!(events(&site, "disposal-intended").is_empty());
    assert_eq!(listed(&moved), before);
    // Whoever says that it is gone has a record that says so, and no more.
    let document = site.json(["dispose", place, "--gone"]).expecting(0);
    let record = document.document()["record"].clone();
    assert_eq!(record["destination_gone"], true);
    assert!(record["copy_left"].as_str().unwrap().contains("moved"));
    assert!(!record["covers"].to_string().contains("were removed"));
    assert!(not_covered(&record).contains("its files are still there"));
    let files = record["files"].as_array().unwrap();
    assert!(files.iter().all(|file| file["was_there"] == false));
    assert_eq!(listed(&moved), before);
}

#[test]
fn files_beside_another_manifest_are_not_said_to_be_gone() {
    let site = site();
    let delivery = site.deliver("G-1");
    let copy = site.beside().join("copy");
    super::copy_directory(delivery.folder(), &copy);
    let copy = copy.to_str().unwrap();
    let manifest = delivery.folder().join("manifest.json");
    let right = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let refused = site.json(["dispose", copy, "--gone"]);
    assert!(refused.stdout.contains("still there"), "{refused:?}");
    refused.expect_code(2);
    assert!(events(&site, "disposal-intended").is_empty());
    assert!(delivery.files().iter().all(|file| file.exists()));
    // Put back, it is disposed of; what comes back afterwards is removed, whatever is beside it.
    fs::write(&manifest, &right).unwrap();
    let files: Vec<_> = delivery
        .files()
        .iter()
        .map(|it| (it.clone(), fs::read(it).unwrap()))
        .collect();
    site.json(["dispose", folder(&delivery)]).expect_code(0);
    for (file, bytes) in &files {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    fs::remove_file(&manifest).unwrap();
    site.json(["dispose", copy]).expect_code(0);
    assert!(!files.iter().any(|(file, _)| file.exists()));
}

#[test]
fn a_copy_that_is_named_is_said_to_be_left() {
    let site = site();
    let delivery = site.deliver("G-1");
    site.json(["dispose", folder(&delivery), "--gone"])
        .expect_code(2);
    let copy = site.beside().join("copy");
    super::copy_directory(delivery.folder(), &copy);
    let document = site
        .json(["dispose", copy.to_str().unwrap()])
        .expecting(0)
        .document();
    let record = &document["record"];
    assert!(!delivery.files().iter().any(|file| file.exists()));
    assert!(record["copy_left"].as_str().unwrap().ends_with("copy"));
    assert!(not_covered(record).contains("the copy at"));
}

#[test]
fn other_attempts_go_too_and_what_is_somebody_elses_keeps_nothing_back() {
    let site = site();
    let delivery = site.deliver("G-1");
    // A run that was killed left treated rows in clear.
    let killed = delivery.folder().join("00112233445566aa");
    fs::create_dir(&killed).unwrap();
    fs::copy(&delivery.files()[0], killed.join("part-00000.parquet")).unwrap();
    let foreign = delivery.files()[0].parent().unwrap().join("folder");
    fs::create_dir(&foreign).unwrap();
    let document = site
        .json(["dispose", folder(&delivery)])
        .expecting(0)
        .document();
    assert_eq!(document["record"]["other_attempts"], 1);
    assert!(!killed.exists());
    assert!(foreign.exists());
    assert!(!delivery.files()[0].exists());
}

#[test]
fn a_day_for_backups_that_says_nothing_is_refused() {
    let site = site();
    let delivery = site.deliver("G-1");
    for day in ["2020-01-01", "2099-01-01"] {
        site.json(["dispose", folder(&delivery), "--backups-until", day])
            .expect_code(2);
    }
    assert!(events(&site, "disposal-intended").is_empty());
}

#[test]
fn a_statement_about_another_delivery_is_not_recorded() {
    let site = site();
    let delivery = site.deliver("G-1");
    let other = site.json(["run", "G-1", "--again"]).expecting(0).document();
    let other = lockgate_acceptance::site::Delivery::of_run(&other);
    let statement = receipt(&site, &other, "destroyed");
    let statement = statement.to_str().unwrap();
    site.json(["dispose", folder(&delivery), "--statement", statement])
        .expect_code(4);
    assert!(events(&site, "receipt-accepted").is_empty());
    assert!(delivery.files()[0].exists());
    // One that was accepted before is in the record, with the time it was signed at.
    site.json(["receipt", "accept", statement]).expect_code(0);
    let place = folder(&other);
    let document = site.json(["dispose", place]).expecting(0).document();
    let stated = &document["record"]["statement"];
    let entry = &events(&site, "receipt-accepted")[0];
    assert_eq!(stated["ledger_entry"], entry["index"]);
    assert_eq!(stated["receipt_sha256"], entry["receipt_sha256"]);
}
