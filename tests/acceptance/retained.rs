//! Usage records last: what was recorded years ago is told in full, and no command removes any of what
//! records are made of. The regulation asks for three years at least; nothing here ever ends.

use std::collections::BTreeMap;
use std::fs;

use lockgate::ledger::{About, Event, Ledger};
use lockgate_acceptance::site::{Delivery, Site};
use lockgate_connectors::keyring::{LocalKeyring, Purpose};
use serde_json::{Value, json};

use crate::people::{self, grant};

const DELIVERY: &str = "0123456789abcdef0123456789abcdef";
const ATTEMPT: &str = "00112233445566aa";

const REASON: &str = "核查中发现超范围使用";

fn entries(site: &Site) -> Vec<Value> {
    let listed = site.json(["ledger", "list"]).expecting(0).document();
    listed["entries"].as_array().expect("entries").clone()
}

/// What the grant's signature was recorded to be about.
fn about(site: &Site) -> About {
    let reader = Ledger::reader(&site.path("state/ledger")).expect("a ledger");
    let history = reader.entries().expect("entries");
    let about = history.iter().find_map(|entry| match &entry.event {
        Event::GrantSigned { about, .. } => about.clone(),
        _ => None,
    });
    about.expect("what it is about")
}

/// Records events as the site did on another day.
fn record(site: &Site, day: &str, events: &[Value]) {
    let key = LocalKeyring::open(site.path("keys")).signing_key(Purpose::Ledger);
    let ledger = Ledger::open(&site.path("state/ledger"), key.expect("a key"));
    let events: Vec<Event> = events
        .iter()
        .map(|event| serde_json::from_value(event.clone()).expect("an event"))
        .collect();
    let at = format!("{day}T08:00:00Z").parse().expect("a time");
    let recorded = ledger.expect("a ledger").append_all(&events, at);
    recorded.expect("entries");
}

#[test]
fn a_use_of_three_years_ago_is_told_in_full() {
    let site = people::site(20);
    site.signed(&grant("G-1", &["id", "region"]).more("scenario = \"窗口核查\""));
    let intended = json!({
        "event": "release-intended", "run": "ab".repeat(32), "delivery": DELIVERY, "attempt": ATTEMPT,
        "grant": "G-1", "grant_version": 1, "plan_sha256": "cd".repeat(32),
        "destination": "file:///outbox/G-1", "rows": 17, "config": {}, "join_groups": [],
        "about": about(&site),
    });
    let released = json!({
        "event": "released", "run": "ab".repeat(32), "delivery": DELIVERY, "attempt": ATTEMPT,
        "grant": "G-1", "rows": 17, "manifest_sha256": "ef".repeat(32),
    });
    record(&site, "2023-11-01", &[intended, released]);
    let destroyed = json!({
        "event": "receipt-accepted", "grant": "G-1", "delivery": DELIVERY,
        "recipient": "civil-affairs", "kind": "destroyed", "manifest_sha256": "ef".repeat(32),
        "receipt_sha256": "ab".repeat(32), "key_sha256": "cd".repeat(32), "checkpoint_size": 3,
    });
    record(&site, "2023-12-01", &[destroyed]);
    // More than a tile of entries since, another key, another purpose of the grant, and its end.
    let shown = json!({ "event": "previewed", "grant": "G-1", "rows": 1, "before": false });
    record(&site, "2025-06-01", &vec![shown; 300]);
    site.json(["keys", "new", "ledger"]).expect_code(0);
    site.signed(&grant("G-1", &["id"]).version(2).more("scenario = \"其他\""));
    site.run("G-1").expect_code(0);
    site.json(["grant", "terminate", "G-1", "--reason", REASON])
        .expect_code(0);
    fs::remove_file(site.path("grants/G-1.toml")).expect("the grant's file");
    let asked = [
        "ledger",
        "usage",
        "--from",
        "2023-11-01",
        "--until",
        "2023-11-30",
    ];
    let told = site.json(asked).expecting(0).document();
    let [used] = told["records"].as_array().expect("records").as_slice() else {
        panic!("{told}");
    };
    for (what, expected) in [
        ("process", json!("delivery")),
        ("outcome", json!("released")),
        ("rows", json!(17)),
        ("provider", json!("public-security")),
        ("recipient", json!("civil-affairs")),
        ("dataset", json!("people")),
        ("scenario", json!("窗口核查")),
        ("purpose", json!("最低生活保障资格核查")),
        ("storage", json!("file:///outbox/G-1")),
        ("destroyed", json!("2023-12-01T08:00:00Z")),
    ] {
        assert_eq!(used[what], expected, "{what}: {used}");
    }
}

/// What records are made of: the entries, and the terms of grants by their hash.
fn kept(site: &Site) -> (Vec<Value>, BTreeMap<String, Vec<u8>>) {
    let terms = fs::read_dir(site.path("state/terms")).expect("terms");
    let terms = terms.map(|entry| {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        (name, fs::read(path).expect("terms"))
    });
    (entries(site), terms.collect())
}

#[test]
fn no_command_removes_what_records_are_made_of() {
    let site = people::site(20);
    let online = "seal = \"parquet\"\nrelease = \"online\"";
    site.signed(&grant("G-1", &["id", "region"]).delivery(online));
    let delivery = site.deliver("G-1");
    let folder = delivery.folder().to_str().expect("a path").to_owned();
    let again = site.json(["run", "G-1", "--again"]).expecting(0);
    let other = Delivery::of_run(&again.document());
    let other = other.folder().to_str().expect("a path").to_owned();
    let mut before = kept(&site);
    let reason = ["--reason", REASON];
    let commands: [Vec<&str>; 9] = [
        vec!["replay", &other],
        vec!["release", &other, "--to", "civil-affairs"],
        vec!["dispose", &folder],
        vec!["keys", "new", "pseudonym"],
        vec!["keys", "rotate"],
        vec!["run", "G-1", "--again"],
        [&["grant", "suspend", "G-1"][..], &reason].concat(),
        [&["grant", "terminate", "G-1"][..], &reason].concat(),
        vec!["run", "G-1"],
    ];
    for command in commands {
        let ended = site.json(&command);
        // Some are refused; what matters is what stays.
        assert!([0, 2, 3].contains(&ended.code), "{command:?}: {ended:?}");
        let now = kept(&site);
        let (entries, terms) = &before;
        assert_eq!(now.0[..entries.len()], entries[..], "{command:?}");
        for (name, bytes) in terms {
            assert_eq!(now.1.get(name), Some(bytes), "{command:?}: {name}");
        }
        before = now;
    }
    assert!(before.1.len() == 1 && before.0.len() > 8, "{before:?}");
    site.json(["ledger", "verify"]).expect_code(0);
}
