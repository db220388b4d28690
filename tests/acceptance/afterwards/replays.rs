//! Replays: the same content has the same digest, any other has another, and nothing is written.

use std::fs::{self, File};

use lockgate_acceptance::site::{Dataset, Delivery, Grant, Site};
use serde_json::Value;

use super::{GRANT, ROWS, events, folder, grant, listed, site, unsigned};
use crate::PROGRAM;

fn replay(site: &Site, folder: &str, code: i32) -> Value {
    site.json(["replay", folder]).expecting(code).document()
}

#[test]
fn a_delivery_made_again_is_the_same_and_nothing_is_written() {
    let site = site();
    let delivery = site.deliver(GRANT);
    let before = listed(&site.path("outbox"));
    let document = replay(&site, folder(&delivery), 0);
    assert_eq!(document["outcome"], "same");
    assert_eq!(document["rows"], 2 * ROWS);
    assert_eq!(document["recorded"], document["replayed"]);
    // Its nonces are drawn anew for every attempt.
    assert_eq!(
        document["recorded"]["excluded"],
        serde_json::json!(["contact"])
    );
    assert_eq!(listed(&site.path("outbox")), before);
    let released = events(&site, "released");
    assert_eq!(released[0]["content"], document["recorded"]);
    let manifest = delivery.manifest().to_string();
    let digest = document["recorded"]["digest"].as_str().unwrap();
    assert!(!manifest.contains(digest));
    let recorded = events(&site, "replayed");
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["outcome"], "same");
    assert_eq!(recorded[0]["index"], document["entry"]);
}

#[test]
fn threads_and_batches_and_newer_keys_change_nothing() {
    let site = site();
    let delivery = site.deliver(GRANT);
    for purpose in [
        "pseudonym",
        "encryption",
        "fpe",
        "mark",
        "manifest",
        "ledger",
    ] {
        site.json(["keys", "new", purpose]).expect_code(0);
    }
    for limits in [
        "threads = 1\nbatch_rows = 64",
        "threads = 4\nbatch_rows = 7",
    ] {
        site.configure_more(&format!("[limits]\n{limits}"));
        assert_eq!(replay(&site, folder(&delivery), 0)["outcome"], "same");
    }
}

#[test]
fn each_delivery_is_marked_again_with_the_key_that_marked_it() {
    let site = site();
    let first = site.deliver(GRANT);
    assert!(!first.manifest()["mark"].is_null());
    site.json(["keys", "new", "mark"]).expect_code(0);
    let again = site.json(["run", GRANT, "--again"]).expecting(0).document();
    let again = Delivery::of_run(&again);
    assert_ne!(
        first.manifest()["mark"]["key_commitment"],
        again.manifest()["mark"]["key_commitment"]
    );
    // The same plan, by two versions of the key.
    for delivery in [&first, &again] {
        assert_eq!(replay(&site, folder(delivery), 0)["outcome"], "same");
    }
}

#[test]
fn a_grant_that_is_over_can_be_replayed() {
    let site = unsigned();
    site.signed(&grant().more("quota = { runs = 1 }"));
    let delivery = site.deliver(GRANT);
    site.json(["run", GRANT, "--again"]).expect_code(3);
    assert_eq!(replay(&site, folder(&delivery), 0)["outcome"], "same");
}

#[test]
fn what_changed_in_grant_or_source_is_said() {
    let site = site();
    let delivery = site.deliver(GRANT);
    let source = site.path("lake/people/1.parquet");
    let bytes = fs::read(&source).unwrap();
    let modified = fs::metadata(&source).unwrap().modified().unwrap();
    fs::write(&source, &bytes).unwrap();
    File::options()
        .write(true)
        .open(&source)
        .unwrap()
        .set_modified(modified + std::time::Duration::from_secs(1))
        .unwrap();
    let document = replay(&site, folder(&delivery), 4);
    assert_eq!(document["outcome"], "source-changed");
    assert_eq!(
        document["changes"],
        serde_json::json!(["file `people/1.parquet` was written again"])
    );
    site.signed(
        &grant()
            .version(2)
            .treatment("income", "{ kind = 'round', to = '10' }"),
    );
    let document = replay(&site, folder(&delivery), 4);
    assert_eq!(document["outcome"], "plan-changed");
    let changes = document["changes"].to_string();
    assert!(
        changes.contains("the grant's version was `1` and is `2`"),
        "{changes}"
    );
    assert!(
        changes.contains("the treatment of field `income`"),
        "{changes}"
    );
}

#[test]
fn an_approval_that_is_gone_is_refused_and_not_replayed() {
    let site = site();
    let delivery = site.deliver(GRANT);
    fs::remove_file(site.path(&format!("grants/{GRANT}.toml.sig"))).unwrap();
    site.json(["replay", folder(&delivery)]).expect_code(3);
    assert!(events(&site, "replayed").is_empty());
}

#[test]
fn a_source_that_was_changed_behind_its_snapshot_is_found() {
    let site = Site::new(PROGRAM);
    site.dataset(
        &Dataset::new("list")
            .source("store = \"lake\", path = \"list/\", format = \"csv\"")
            .plain("name", "utf8")
            .plain("amount", "int64"),
    );
    let source = site.path("lake/list/1.csv");
    site.write("lake/list/1.csv", "name,amount\n甲,17\n乙,18\n丙,19\n");
    site.signed(&Grant::new("G-1", "list", &["name", "amount"]));
    let delivery = site.deliver("G-1");
    assert_eq!(replay(&site, folder(&delivery), 0)["outcome"], "same");
    let modified = fs::metadata(&source).unwrap().modified().unwrap();
    // Of the same length, and put back to the same time.
    site.write("lake/list/1.csv", "name,amount\n甲,17\n乙,81\n丙,19\n");
    let file = File::options().write(true).open(&source).unwrap();
    file.set_modified(modified).unwrap();
    let document = replay(&site, folder(&delivery), 4);
    assert_eq!(document["outcome"], "different");
    assert_ne!(document["recorded"], document["replayed"]);
    assert_eq!(events(&site, "replayed").len(), 2);
}
