//! Receipts: made without the site, held to the ledger, recorded once.

use std::fs;

use super::{RECIPIENT, ROWS, as_recipient, events, folder, listed, receipt, site};

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

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    for (path, _) in listed(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}
