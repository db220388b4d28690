//! What the ledger says of it all, checked with a Merkle tree and a note reader written here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use lockgate_acceptance::site::{Delivery, Site};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::people::{self, FIELDS, grant};

fn entries(site: &Site) -> Vec<Value> {
    let listed = site.json(["ledger", "list"]).expecting(0).document();
    listed["entries"].as_array().expect("entries").clone()
}

fn events(site: &Site) -> Vec<String> {
    let of = |entry: &Value| entry["event"].as_str().expect("an event").to_owned();
    entries(site).iter().map(of).collect()
}

#[test]
fn what_mattered_is_recorded_in_order() {
    let site = people::site(200);
    site.signed(&grant("G-1", &FIELDS));
    let run = site.run("G-1").expecting(0).document();
    site.run("G-1").expect_code(0);
    site.json(["preview", "G-1", "--rows", "3"]).expect_code(0);
    site.grant(&grant("G-2", &["id"]));
    site.run("G-2").expect_code(3);
    let found = entries(&site);
    let names: Vec<&str> = found
        .iter()
        .filter_map(|entry| entry["event"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "grant-signed",
            "release-intended",
            "released",
            "previewed",
            "refused"
        ]
    );
    let indices: Vec<u64> = found
        .iter()
        .filter_map(|entry| entry["index"].as_u64())
        .collect();
    assert_eq!(indices, [0, 1, 2, 3, 4]);
    assert_eq!(found[1]["run"], run["run"]);
    assert_eq!(found[1]["rows"], 200);
    let config = found[1]["config"].as_object().expect("config");
    for file in [
        "lockgate.toml",
        "policy.toml",
        "catalogue/people.toml",
        "grants/G-1.toml",
    ] {
        let bytes = site.read(file);
        let hash: String = Sha256::digest(bytes.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(config[file], hash.as_str(), "{file}");
    }
    let delivery = Delivery::of_run(&run);
    let manifest = std::fs::read(delivery.folder().join("manifest.json")).expect("a manifest");
    let hash: String = Sha256::digest(&manifest)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(found[2]["manifest_sha256"], hash.as_str());
    assert_eq!(
        (&found[3]["rows"], &found[3]["before"]),
        (&3.into(), &false.into())
    );
    assert_eq!(found[4]["codes"], serde_json::json!(["unsigned"]));
    let verified = site.json(["ledger", "verify"]).expecting(0).document();
    assert_eq!(
        (verified["valid"].as_bool(), verified["size"].as_u64()),
        (Some(true), Some(5))
    );
}

#[test]
fn the_grant_index_is_drawn_once_and_kept_over_versions() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["id"]));
    site.signed(&grant("G-2", &["id"]));
    site.signed(&grant("G-1", &["id"])); // signed again
    site.signed(&grant("G-1", &["id", "name"]).version(2));
    let found = entries(&site);
    let index = |entry: usize| found[entry]["grant_index"].as_u64().expect("an index");
    assert_eq!(index(0), index(2));
    assert_eq!(index(0), index(3));
    assert_ne!(index(0), index(1));
    assert_eq!(found[3]["version"], 2);
}

#[test]
fn a_ledger_without_events_verifies_and_lists_nothing() {
    let site = people::site(10);
    assert!(events(&site).is_empty());
    assert!(
        !site.path("state/ledger").exists(),
        "the ledger begins with the first event"
    );
    site.json(["ledger", "verify"]).expect_code(0);
}

#[test]
fn a_changed_ledger_does_not_verify_and_stops_every_release() {
    let site = people::site(50);
    site.signed(&grant("G-1", &["id"]));
    site.run("G-1").expect_code(0);
    let changed = change_a_stored_entry(&site);
    assert!(changed, "an entry was found");
    let verified = site.json(["ledger", "verify"]).expecting(4).document();
    assert_eq!(verified["valid"], false);
    assert!(
        verified["problems"]
            .as_array()
            .is_some_and(|problems| !problems.is_empty())
    );
    let run = site.json(["run", "G-1", "--again"]);
    assert_ne!(run.code, 0, "{run:?}");
}

/// Changes the number of released rows in the ledger's stored entries.
fn change_a_stored_entry(site: &Site) -> bool {
    let mut pending = vec![site.path("state/ledger")];
    let mut changed = false;
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            let (old, new) = (b"\"rows\":50".as_slice(), b"\"rows\":51".as_slice());
            let Some(at) = bytes.windows(old.len()).position(|window| window == old) else {
                continue;
            };
            let bytes = [&bytes[..at], new, &bytes[at + old.len()..]].concat();
            std::fs::write(&path, bytes).expect("a file");
            changed = true;
        }
    }
    changed
}

fn leaf(entry: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update([0])
        .chain_update(entry)
        .finalize()
        .into()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root that an inclusion proof leads to (RFC 9162, 2.1.3.2).
fn root_of(proof: &Value) -> [u8; 32] {
    let mut hash = leaf(proof["entry"].as_str().expect("an entry").as_bytes());
    let mut index = proof["index"].as_u64().expect("an index");
    let mut last = proof["size"].as_u64().expect("a size") - 1;
    for sibling in proof["hashes"].as_array().expect("hashes") {
        let sibling = STANDARD
            .decode(sibling.as_str().expect("a hash"))
            .expect("base64");
        let sibling: [u8; 32] = sibling.try_into().expect("32 bytes");
        if index % 2 == 1 || index == last {
            hash = node(&sibling, &hash);
            while index.is_multiple_of(2) && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, &sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    assert_eq!(last, 0, "the proof has a hash for each level");
    hash
}

#[test]
fn the_manifest_proves_its_intent_by_a_signed_checkpoint() {
    let site = people::site(60);
    // A few entries first, so that proofs have several levels.
    for version in 1..=4 {
        site.signed(&grant("G-0", &["id"]).version(version));
    }
    site.signed(&grant("G-1", &["id"]));
    let line = site.read("keys/ledger.pub");
    let key = STANDARD
        .decode(line.trim().trim_start_matches("ed25519:"))
        .expect("base64");
    let key = VerifyingKey::from_bytes(&key.try_into().expect("32 bytes")).expect("a key");
    for _ in 0..3 {
        let run = site.json(["run", "G-1", "--again"]).expecting(0).document();
        let delivery = Delivery::of_run(&run);
        let proof = &delivery.manifest()["ledger"];
        let entry: Value =
            serde_json::from_str(proof["entry"].as_str().expect("an entry")).expect("JSON");
        assert_eq!(entry["event"], "release-intended");
        for name in ["run", "delivery", "attempt"] {
            assert_eq!(entry[name], delivery.manifest()[name], "{name}");
        }
        assert_eq!(entry["grant"], "G-1");
        let note = proof["checkpoint"].as_str().expect("a checkpoint");
        let (text, signatures) = note.split_once("\n\n").expect("a signed note");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], proof["size"].to_string());
        assert_eq!(STANDARD.decode(lines[2]).expect("base64"), root_of(proof));
        let signature = signatures
            .trim_end()
            .rsplit(' ')
            .next()
            .expect("a signature");
        let signature = STANDARD.decode(signature).expect("base64");
        let signature = Signature::from_slice(&signature[4..]).expect("a signature");
        key.verify_strict(format!("{text}\n").as_bytes(), &signature)
            .expect("signed by the site");
        let name = lines[0];
        assert!(
            !name.contains("test-hub"),
            "the origin does not tell the site's name"
        );
    }
}
