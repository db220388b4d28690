//! Deliveries whose keys stay at the site: released on request, and gone with their disposal.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate_acceptance::site::{Delivery, Finished, RECIPIENT, Site};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{GRANT, ROWS, copy_directory, events, folder, grant, receipt, unsigned};

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
    let site = super::site();
    assert_eq!(site.deliver(GRANT).manifest()["seal"]["kind"], "none");
    for (version, seal) in (2..).zip(SEALS) {
        // Under the same keys: the grant goes on in another version.
        let delivery = format!("seal = \"{seal}\"\nrelease = \"online\"");
        site.signed(&grant().version(version).delivery(&delivery));
        let delivery = site.deliver(GRANT);
        assert_eq!(delivery.manifest()["seal"]["kind"], seal);
        let document = site
            .json(["replay", folder(&delivery)])
            .expecting(0)
            .document();
        assert_eq!(document["outcome"], "same");
    }
    let digests = |site: &Site| {
        let released = events(site, "released");
        let digests = released
            .iter()
            .map(|event| event["content"]["digest"].clone());
        digests.collect::<Vec<_>>()
    };
    let own = digests(&site);
    assert!(own[0].is_string() && own.len() == 3, "{own:?}");
    assert!(own.iter().all(|digest| *digest == own[0]), "{own:?}");
    // Under other keys it is another: it tells nothing to who compares two sites.
    let other = sealed("parquet", "online");
    other.deliver(GRANT);
    assert_ne!(digests(&other)[0], own[0]);
}

/// Everything that ends or changes what a grant allows, and what refuses a release by it.
#[test]
fn no_key_is_released_once_the_grant_is_another_or_none() {
    type Change = fn(&Site);
    let changes: [(&str, Change); 6] = [
        ("suspended", |site| {
            site.json(["grant", "suspend", GRANT, "--reason", "misuse"])
                .expect_code(0);
        }),
        ("terminated", |site| {
            site.json(["grant", "terminate", GRANT, "--reason", "over"])
                .expect_code(0);
        }),
        ("halted", |site| {
            site.json(["halt", "--all", "--reason", "a leak"])
                .expect_code(0);
        }),
        ("recipient halted", |site| {
            site.json(["halt", "--recipient", RECIPIENT, "--reason", "a leak"])
                .expect_code(0);
        }),
        ("another key", |site| {
            let key = site.pair("thief", "recipient");
            let own = fs::read_to_string(site.private_key("recipient").with_extension("pub"));
            let own = own.unwrap();
            site.edit(&format!("recipients/{RECIPIENT}.toml"), own.trim(), &key);
        }),
        ("another version", |site| {
            let delivery = "seal = \"parquet\"\nrelease = \"online\"";
            site.signed(&grant().delivery(delivery).version(2));
        }),
    ];
    for (name, change) in changes {
        let site = sealed("parquet", "online");
        let delivery = site.deliver(GRANT);
        change(&site);
        let out = site.beside().join("keys.json");
        let refused = site.json([
            "release",
            folder(&delivery),
            "--to",
            RECIPIENT,
            "--out",
            out.to_str().unwrap(),
        ]);
        assert_eq!(refused.code, 3, "{name}: {refused:?}");
        assert!(events(&site, "released-keys").is_empty(), "{name}");
        assert!(!out.exists(), "{name}");
    }
}

#[test]
fn a_delivery_that_was_damaged_is_disposed_of_all_the_same() {
    for seal in SEALS {
        let site = sealed(seal, "online");
        let delivery = site.deliver(GRANT);
        let copy = site.beside().join("copy");
        copy_directory(delivery.folder(), &copy);
        fs::remove_file(&delivery.files()[0]).unwrap();
        let document = site.json(["dispose", folder(&delivery)]);
        let document = document.expecting(0).document();
        let record = &document["record"];
        assert_eq!(record["key"]["not_controlled"].as_array().unwrap().len(), 1);
        assert_eq!(record["files"][0]["was_there"], false);
        assert!(record["covers"].to_string().contains("or were gone before"));
        let not = record["does_not_cover"].to_string();
        assert!(not.contains("could not be read as a control"), "{not}");
        site.json(["release", copy.to_str().unwrap(), "--to", RECIPIENT])
            .expect_code(3);
    }
}

#[test]
fn a_key_that_was_destroyed_by_hand_ends_in_an_honest_record() {
    let site = sealed("envelope", "online");
    let delivery = site.deliver(GRANT);
    let manifest = delivery.manifest();
    let text = |name: &str| manifest[name].as_str().unwrap().to_owned();
    let kek = format!("{}.{}", text("delivery"), text("attempt"));
    site.json(["keys", "destroy", &kek, "--yes", "--force", &kek])
        .expect_code(0);
    let document = site.json(["dispose", folder(&delivery)]);
    let document = document.expecting(0).document();
    let key = &document["record"]["key"];
    assert_eq!(key["gone_before"], true);
    assert_eq!(key["unwrapped_before"], 0);
    assert!(!key["trial"].as_str().unwrap().is_empty());
    let not = document["record"]["does_not_cover"].to_string();
    assert!(not.contains("no control could be made"), "{not}");
    assert!(!delivery.files()[0].exists());
    assert_eq!(events(&site, "disposed").len(), 1);
}

#[test]
fn a_key_that_another_keyring_may_hold_is_not_said_to_be_destroyed() {
    let site = sealed("envelope", "online");
    let delivery = site.deliver(GRANT);
    // The record of the KEK is lost, by no doing of the program.
    for (path, _) in super::listed(&site.path("keys")) {
        if path.parent().unwrap().ends_with("keks") {
            fs::remove_file(path).unwrap();
        }
    }
    let refused = site.json(["dispose", folder(&delivery)]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(events(&site, "disposed").is_empty());
    assert!(delivery.files()[0].exists());
}

#[test]
fn a_disposal_that_broke_off_with_its_key_gone_is_ended_by_the_next() {
    for seal in SEALS {
        let site = sealed(seal, "online");
        let delivery = site.deliver(GRANT);
        let record = delivery.folder().join("disposal.json");
        fs::create_dir_all(record.join("in-the-way")).unwrap();
        assert_ne!(site.json(["dispose", folder(&delivery)]).code, 0);
        assert!(events(&site, "disposed").is_empty());
        // The key is gone and the files are; what was controlled is known from before.
        fs::remove_dir_all(&record).unwrap();
        let document = site.json(["dispose", folder(&delivery)]);
        let document = document.expecting(0).document();
        let key = &document["record"]["key"];
        let wrapped = key["wrapped_sha256"].as_array().unwrap().len();
        assert!(wrapped > 0);
        assert_eq!(key["unwrapped_before"], wrapped);
        assert_eq!(key["gone_before"], false);
        assert!(!key["trial"].as_str().unwrap().is_empty());
        let files = document["record"]["files"].as_array().unwrap();
        assert!(files.iter().all(|file| file["was_there"] == true));
        assert_eq!(events(&site, "disposal-intended").len(), 1);
        assert_eq!(events(&site, "disposed").len(), 1);
        assert!(record.is_file());
    }
}

#[test]
fn a_disposal_whose_draft_is_lost_says_so_and_not_that_the_key_was_gone_before() {
    let site = sealed("envelope", "online");
    let delivery = site.deliver(GRANT);
    let record = delivery.folder().join("disposal.json");
    fs::create_dir_all(record.join("in-the-way")).unwrap();
    assert_ne!(site.json(["dispose", folder(&delivery)]).code, 0);
    fs::remove_dir_all(&record).unwrap();
    let id = delivery.manifest()["delivery"].as_str().unwrap().to_owned();
    fs::remove_file(site.path(&format!("state/disposals/{id}.draft.json"))).unwrap();
    let document = site.json(["dispose", folder(&delivery)]);
    let document = document.expecting(0).document();
    let key = &document["record"]["key"];
    assert_eq!(key["gone_before"], false);
    assert_eq!(key["control_lost"], true);
    assert_eq!(key["unwrapped_before"], 0);
    let not = document["record"]["does_not_cover"].to_string();
    assert!(not.contains("noted of the control is lost"), "{not}");
}
