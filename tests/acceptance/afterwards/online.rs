//! Deliveries whose keys stay at the site: released on request, and gone with their disposal.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate_acceptance::site::{Delivery, Finished, RECIPIENT, Site};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{GRANT, ROWS, events, folder, grant, receipt, unsigned};

const SEALS: [&str; 2] = ["parquet", "envelope"];

fn sealed(seal: &str, release: &str) -> Site {
    let site = unsigned();
    let delivery = format!("seal = \"{seal}\"\nrelease = \"{release}\"");
    site.signed(&grant().delivery(&delivery));
    site
}

/// Releases the keys of a delivery; gives the document.
fn released(site: &Site, delivery: &Delivery, name: &str) -> PathBuf {
    let out = site.beside().join(name);
    let arguments = ["release", folder(delivery), "--to", RECIPIENT, "--out"];
    let mut arguments: Vec<&str> = arguments.to_vec();
    arguments.push(out.to_str().unwrap());
    site.json(arguments).expect_code(0);
    out
}

/// Opens a delivery as its recipient, into a directory of that name.
fn open(site: &Site, folder: &Path, identity: &str, release: Option<&Path>, to: &str) -> Finished {
    let mut command = site.command();
    command
        .args(["--json", "open"])
        .arg(folder)
        .arg("--identity")
        .arg(site.private_key(identity))
        .arg("--key")
        .arg(site.path("keys/manifest.pub"))
        .arg("--to")
        .arg(site.beside().join(to));
    if let Some(release) = release {
        command.arg("--release").arg(release);
    }
    lockgate_acceptance::site::finish(&mut command)
}

fn rows_in(directory: &Path) -> usize {
    let mut rows = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            let file = fs::File::open(path).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let batches = reader.build().unwrap();
            rows += batches
                .map(|batch| batch.unwrap().num_rows())
                .sum::<usize>();
        }
    }
    rows
}

#[test]
fn released_keys_open_the_delivery_for_its_recipient_alone() {
    for seal in SEALS {
        let site = sealed(seal, "online");
        let delivery = site.deliver(GRANT);
        let place = delivery.folder();
        assert_ne!(open(&site, place, "recipient", None, "none").code, 0);
        let document = released(&site, &delivery, "release.json");
        let recorded = events(&site, "released-keys");
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0]["recipient"], RECIPIENT);
        let opened = open(&site, place, "recipient", Some(&document), "opened");
        opened.expect_code(0);
        assert_eq!(rows_in(&site.beside().join("opened")), 2 * ROWS, "{seal}");
        // To nobody else, and as it was signed.
        site.pair("thief", "recipient");
        assert_ne!(
            open(&site, place, "thief", Some(&document), "thief").code,
            0
        );
        let mut altered = fs::read(&document).unwrap();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        fs::write(&document, altered).unwrap();
        assert_ne!(
            open(&site, place, "recipient", Some(&document), "altered").code,
            0
        );
        // Nor for another delivery of the same grant.
        let other = Delivery::of_run(&site.json(["run", GRANT, "--again"]).document());
        let document = released(&site, &other, "other.json");
        assert_ne!(
            open(&site, place, "recipient", Some(&document), "other").code,
            0
        );
    }
}

#[test]
fn no_key_is_released_without_a_grant_in_force() {
    let site = sealed("parquet", "online");
    let delivery = site.deliver(GRANT);
    let signature = site.path(&format!("grants/{GRANT}.toml.sig"));
    let kept = fs::read(&signature).unwrap();
    fs::remove_file(&signature).unwrap();
    let release = |to: &str| site.json(["release", folder(&delivery), "--to", to]);
    release(RECIPIENT).expect_code(3);
    fs::write(&signature, kept).unwrap();
    release("somebody-else").expect_code(3);
    assert!(events(&site, "released-keys").is_empty());
    // What went with the delivery can't be released.
    let site = sealed("parquet", "offline");
    let delivery = site.deliver(GRANT);
    let refused = site.json(["release", folder(&delivery), "--to", RECIPIENT]);
    refused.expect_code(3);
}

#[test]
fn a_disposed_delivery_opens_no_more() {
    for seal in SEALS {
        let site = sealed(seal, "online");
        let delivery = site.deliver(GRANT);
        // A copy of the ciphertext that nobody at the site knows of.
        let copy = site.beside().join("copy");
        copy_directory(delivery.folder(), &copy);
        let document = site.json([
            "dispose",
            folder(&delivery),
            "--backups-until",
            "2099-01-31",
        ]);
        let document = document.expecting(0).document();
        let record = &document["record"];
        assert_eq!(record["release"], "online");
        assert_eq!(record["effective_after"], "2099-01-31");
        let key = &record["key"];
        assert!(!key["trial"].as_str().unwrap().is_empty());
        let wrapped = key["wrapped_sha256"].as_array().unwrap().len();
        assert!(wrapped > 0);
        assert_eq!(key["unwrapped_before"], wrapped);
        assert!(record["does_not_cover"].to_string().contains("2099-01-31"));
        // No key is left to be released, for the delivery or its copy.
        for place in [folder(&delivery), copy.to_str().unwrap()] {
            site.json(["release", place, "--to", RECIPIENT])
                .expect_code(3);
        }
        assert_ne!(open(&site, &copy, "recipient", None, "opened").code, 0);
        site.json(["ledger", "verify"]).expect_code(0);
    }
}

#[test]
fn a_key_that_was_released_before_is_named_by_the_record() {
    let site = sealed("parquet", "online");
    let delivery = site.deliver(GRANT);
    let copy = site.beside().join("copy");
    copy_directory(delivery.folder(), &copy);
    let document = released(&site, &delivery, "release.json");
    let disposed = site
        .json(["dispose", folder(&delivery)])
        .expecting(0)
        .document();
    assert_eq!(disposed["record"]["releases"], 1);
    let not = disposed["record"]["does_not_cover"].to_string();
    assert!(
        not.contains("released to the recipient before (1 times)"),
        "{not}"
    );
    // As it says: who kept the document opens a copy.
    open(&site, &copy, "recipient", Some(&document), "opened").expect_code(0);
}

#[test]
fn offline_only_the_recipients_statement_covers_its_copies() {
    let site = sealed("parquet", "offline");
    let delivery = site.deliver(GRANT);
    let copy = site.beside().join("copy");
    copy_directory(delivery.folder(), &copy);
    let statement = receipt(&site, &delivery, "destroyed");
    let disposed = site.json([
        "dispose",
        folder(&delivery),
        "--statement",
        statement.to_str().unwrap(),
    ]);
    let document = disposed.expecting(0).document();
    let record = &document["record"];
    assert_eq!(record["key"], serde_json::Value::Null);
    assert!(
        record["does_not_cover"]
            .to_string()
            .contains("nothing done here destroys it")
    );
    assert!(record["covers"].to_string().contains("signed statement"));
    open(&site, &copy, "recipient", None, "opened").expect_code(0);
}

#[test]
fn what_is_sealed_has_the_digest_of_what_is_not() {
    let plain = super::site();
    let delivery = plain.deliver(GRANT);
    let content = |site: &Site| events(site, "released")[0]["content"].clone();
    let digest = content(&plain);
    assert_eq!(delivery.manifest()["seal"]["kind"], "none");
    for seal in SEALS {
        let site = sealed(seal, "online");
        let delivery = site.deliver(GRANT);
        let document = site
            .json(["replay", folder(&delivery)])
            .expecting(0)
            .document();
        assert_eq!(document["outcome"], "same");
        // Other keys, so other digests: it tells nothing to who compares two sites.
        assert_ne!(content(&site)["digest"], digest["digest"]);
    }
}

fn copy_directory(from: &Path, to: &Path) {
    for (path, _) in super::listed(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}
