//! Receipts: made without the site, held to the ledger, recorded once.

use std::fs;

use super::{RECIPIENT, ROWS, as_recipient, copy_directory, events, folder, receipt, site};

#[test]
fn a_receipt_of_a_delivery_is_accepted_and_recorded_once() {
    let site = site();
    let delivery = site.deliver("G-1");
    let out = site.beside().join("r.json");
    let words = "收到，核对无误";
    let made = as_recipient(
        &site,
        &["receipt", "make", folder(&delivery), "--statement", words],
        "receipt",
        &out,
    );
    let made = made.expecting(0).document();
    assert_eq!(made["rows"], 2 * ROWS);
    assert_eq!(made["recipient"], RECIPIENT);
    let accepted = site.json(["receipt", "accept", out.to_str().unwrap()]);
    let accepted = accepted.expecting(0).document();
    assert_eq!(accepted["kind"], "received");
    assert_eq!(accepted["statement"], words);
    assert_eq!(accepted["unchanged"], false);
    let recorded = events(&site, "receipt-accepted");
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["receipt_sha256"], made["receipt_sha256"]);
    assert_eq!(recorded[0]["manifest_sha256"], made["manifest_sha256"]);
    assert_eq!(recorded[0]["index"], accepted["entry"]);
    let again = site.json(["receipt", "accept", out.to_str().unwrap()]);
    assert_eq!(again.expecting(0).document()["unchanged"], true);
    assert_eq!(events(&site, "receipt-accepted").len(), 1);
    site.json(["ledger", "verify"]).expect_code(0);
    // What the recipient said is no business of the ledger's.
    assert!(!site.json(["ledger", "list"]).stdout.contains(words));
}

#[test]
fn nothing_is_signed_of_a_delivery_that_does_not_verify() {
    let site = site();
    let delivery = site.deliver("G-1");
    let part = delivery.files().remove(0);
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let out = site.beside().join("r.json");
    let made = as_recipient(
        &site,
        &["receipt", "make", folder(&delivery)],
        "receipt",
        &out,
    );
    assert_eq!(made.expecting(4).document()["valid"], false);
    assert!(!out.exists());
}

#[test]
fn only_the_recipients_key_for_receipts_signs_one() {
    let site = site();
    let delivery = site.deliver("G-1");
    site.pair("stranger", "receipt");
    let arguments = ["receipt", "make", folder(&delivery)];
    for other in ["approver", "recipient"] {
        let out = site.beside().join(format!("{other}.json"));
        as_recipient(&site, &arguments, other, &out).expect_code(2);
        assert!(!out.exists());
    }
    let out = site.beside().join("stranger.json");
    as_recipient(&site, &arguments, "stranger", &out).expect_code(0);
    site.json(["receipt", "accept", out.to_str().unwrap()])
        .expect_code(4);
    // And a key for receipts signs no grant.
    site.sign_as("G-1", "receipt").expect_code(2);
    assert!(events(&site, "receipt-accepted").is_empty());
}

#[test]
fn every_flipped_byte_of_a_receipt_is_found() {
    let site = site();
    let delivery = site.deliver("G-1");
    let out = receipt(&site, &delivery, "make");
    let bytes = fs::read(&out).unwrap();
    let altered = site.beside().join("altered.json");
    // Each region of it: the library's tests flip every single one.
    for position in (0..bytes.len()).step_by(bytes.len() / 12) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1;
        fs::write(&altered, flipped).unwrap();
        site.json(["receipt", "accept", altered.to_str().unwrap()])
            .expect_code(4);
    }
    assert!(events(&site, "receipt-accepted").is_empty());
}

#[test]
fn a_receipt_shows_that_the_ledger_was_set_back() {
    let site = site();
    let before = site.path("state/ledger");
    let copy = site.beside().join("ledger-before");
    copy_directory(&before, &copy);
    let delivery = site.deliver("G-1");
    let out = receipt(&site, &delivery, "make");
    fs::remove_dir_all(&before).unwrap();
    copy_directory(&copy, &before);
    // Set back, and gone on with other entries until it is as long again.
    for _ in 0..4 {
        site.json(["preview", "G-1", "--rows", "1"]).expect_code(0);
    }
    site.json(["ledger", "verify"]).expect_code(0);
    let refused = site.json(["receipt", "accept", out.to_str().unwrap()]);
    refused.expect_code(4);
    assert!(events(&site, "receipt-accepted").is_empty());
}

#[test]
fn a_key_that_no_approver_signed_for_acknowledges_nothing() {
    let site = site();
    let delivery = site.deliver("G-1");
    let file = format!("recipients/{RECIPIENT}.toml");
    let before = site.read(&file);
    // An operator puts a key of their own beside the recipient's.
    let own = site.pair("own", "receipt");
    let receipts = fs::read_to_string(site.private_key("receipt").with_extension("pub")).unwrap();
    site.edit(&file, receipts.trim(), &own);
    let out = site.beside().join("own.json");
    let arguments = ["receipt", "destroyed", folder(&delivery)];
    as_recipient(&site, &arguments, "own", &out).expect_code(0);
    let path = out.to_str().unwrap();
    site.json(["receipt", "accept", path]).expect_code(4);
    site.json(["dispose", folder(&delivery), "--statement", path])
        .expect_code(4);
    assert!(events(&site, "receipt-accepted").is_empty());
    assert!(delivery.files()[0].exists());
    // Once an approver signed for it, it counts.
    site.sign("G-1").expect_code(0);
    site.json(["receipt", "accept", path]).expect_code(0);
    // And the key of before, which an approver signed for then, once it is in the file again.
    site.write(&file, &before);
    let earlier = receipt(&site, &delivery, "make");
    site.json(["receipt", "accept", earlier.to_str().unwrap()])
        .expect_code(0);
}

#[test]
fn a_receipt_is_accepted_when_the_grants_files_are_gone() {
    let site = site();
    let delivery = site.deliver("G-1");
    let out = receipt(&site, &delivery, "make");
    fs::remove_file(site.path("grants/G-1.toml")).unwrap();
    fs::remove_file(site.path("grants/G-1.toml.sig")).unwrap();
    site.json(["receipt", "accept", out.to_str().unwrap()])
        .expect_code(0);
}

#[test]
fn no_checkpoint_is_cosigned_that_nobody_checked() {
    let site = site();
    let delivery = site.deliver("G-1");
    let out = site.beside().join("r.json");
    let mut command = site.command();
    command
        .args(["--json", "receipt", "make", folder(&delivery)])
        .arg("--identity")
        .arg(site.private_key("receipt"))
        .arg("--key")
        .arg(site.path("keys/manifest.pub"))
        .arg("--out")
        .arg(&out);
    let refused = lockgate_acceptance::site::finish(&mut command);
    assert!(refused.expecting(2).stdout.contains("--ledger-key"));
    assert!(!out.exists());
}

#[test]
fn what_a_recipient_tells_of_its_use_is_in_the_usage_records() {
    let site = site();
    let delivery = site.deliver("G-1");
    let out = site.beside().join("used.json");
    let (done, kept, came) = ("复核低保资格", "政务云，加密卷", "复核 3 户，均符合");
    let used = |statement: &[&str]| {
        let mut arguments = vec!["receipt", "used", folder(&delivery)];
        arguments.extend(["--storage", kept, "--outcome", came]);
        arguments.extend(statement);
        as_recipient(&site, &arguments, "receipt", &out)
    };
    // What was done has to be said.
    used(&[]).expect_code(2);
    let told = used(&["--statement", done]).expecting(0).document();
    assert_eq!(told["kind"], "used");
    let accepted = site.json(["receipt", "accept", out.to_str().unwrap()]);
    let accepted = accepted.expecting(0).document();
    assert_eq!(accepted["use"]["storage"], kept);
    assert_eq!(events(&site, "receipt-accepted")[0]["kind"], "used");
    assert!(!site.json(["ledger", "list"]).stdout.contains(came));
    let usage = site.json(["ledger", "usage"]).expecting(0).document();
    let records = usage["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["process"] == "use");
    let record = record.unwrap();
    assert_eq!(record["outcome"], came);
    assert_eq!(record["storage"], kept);
    assert_eq!(record["reason"], done);
    assert_eq!(record["by"], RECIPIENT);
    assert_eq!(record["delivery"], told["delivery"]);
    // It acknowledges no destruction.
    let delivered = records
        .iter()
        .find(|record| record["process"] == "delivery");
    assert!(delivered.unwrap()["destroyed"].is_null());
}
