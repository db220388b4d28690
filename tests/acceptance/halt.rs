//! Halting and suspending while another process is in the middle of an export: it stops within five
//! seconds, publishes nothing, and what had left before is told.
//!
//! The export is held in its middle by an S3 server that does not answer, of the source or of the
//! destination, so that it would run on for as long as the test lets it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_acceptance::s3::{Hold, Operation, Server};
use serde_json::{Value, json};

use super::exchange_site::{ExchangeSite, GRANT, OTHER_GRANT, Running, rows, server};
use crate::people::{self, grant};

/// How long a halted run may go on.
const LIMIT: Duration = Duration::from_secs(5);

const REASON: &str = "疑似泄露, 先停后查";

fn reading(site: &ExchangeSite, server: &Server) -> (Running, Hold) {
    let hold = server.faults().hold(Operation::Get, 8);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    (run, hold)
}

fn writing(site: &ExchangeSite, server: &Server) -> (Running, Hold) {
    let hold = server.faults().hold(Operation::Put, 0);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    (run, hold)
}

/// A command beside the run, which must succeed.
#[track_caller]
fn does(site: &ExchangeSite, arguments: &[&str]) -> Value {
    let ended = site.start(arguments).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.document()
}

/// The run ends in time and refused with that code, and nothing of it is left.
#[track_caller]
fn stopped(site: &ExchangeSite, run: Running, since: Instant, code: &str) {
    let ended = run.ended();
    assert!(since.elapsed() < LIMIT, "{:?}: {ended:?}", since.elapsed());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.document()["refusals"][0]["code"], code, "{ended:?}");
    site.assert_nothing_left();
}

type Held = fn(&ExchangeSite, &Server) -> (Running, Hold);

fn sites(server: &Arc<Server>) -> [(ExchangeSite, Held); 2] {
    [
        (ExchangeSite::new(Some(server), None), reading),
        (ExchangeSite::new(None, Some(server)), writing),
    ]
}

#[test]
fn a_halt_stops_a_long_export_within_five_seconds() {
    let server = server();
    for (site, start) in sites(&server) {
        let (run, hold) = start(&site, &server);
        let halted = Instant::now();
        let report = does(&site, &["halt", "--all", "--reason", REASON]);
        stopped(&site, run, halted, "halted");
        assert_eq!(report["scope"], "all");
        assert_eq!(report["stopped"], json!([GRANT]), "{report}");
        assert_eq!(report["running"], json!([]));
        assert_eq!(report["left"]["deliveries"], 0);
        drop(hold);
        server.faults().clear();
        // It lasts, for every grant, until it is lifted.
        for grant in [GRANT, OTHER_GRANT] {
            let ended = site.start(&["run", grant]).ended();
            assert_eq!(ended.code, Some(3), "{ended:?}");
        }
        does(&site, &["halt", "--all", "--lift", "--reason", "查明"]);
        assert!(site.run().delivered());
        site.assert_delivered_once();
    }
}

#[test]
fn suspending_and_terminating_stop_a_long_export_too() {
    let server = server();
    for (step, code) in [("suspend", "suspended"), ("terminate", "terminated")] {
        let site = ExchangeSite::new(Some(&server), None);
        let (run, hold) = reading(&site, &server);
        let began = Instant::now();
        does(&site, &["grant", step, GRANT, "--reason", REASON]);
        stopped(&site, run, began, code);
        drop(hold);
        server.faults().clear();
    }
}

#[test]
fn a_halt_of_one_provider_lets_others_go_on() {
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    let provider = |grant: &str| {
        let shown = does(&site, &["grant", "show", grant]);
        let dataset = shown["grant"]["dataset"]
            .as_str()
            .expect("an id")
            .to_owned();
        let entry = std::fs::read_to_string(site.path(&format!("catalogue/{dataset}.toml")));
        let entry = entry.expect("a catalogue entry");
        let line = entry.lines().find(|line| line.starts_with("provider"));
        let quoted = line.and_then(|line| line.split('"').nth(1));
        quoted.expect("a provider").to_owned()
    };
    let (own, other) = (provider(GRANT), provider(OTHER_GRANT));
    assert_ne!(own, other, "the demo's grants are of two providers");
    let (run, hold) = reading(&site, &server);
    let halt = ["halt", "--provider", &other, "--reason", REASON];
    let report = does(&site, &halt);
    assert_eq!(report["stopped"], json!([]));
    drop(hold);
    assert!(run.ended().delivered());
    // Halted twice is halted once, and what left of the other's is told under its own name alone.
    let again = does(&site, &halt);
    assert_eq!(again["since"], report["since"]);
    assert_eq!(again["left"]["deliveries"], 0);
    let report = does(&site, &["halt", "--provider", &own, "--reason", REASON]);
    let left = &report["left"];
    assert_eq!(left["deliveries"], 1, "{report}");
    let delivered = site.only_delivery();
    assert_eq!(left["rows"], delivered.content.rows.delivered);
    assert_eq!(delivered.content.rows.read, rows());
    let released = &left["released"][0];
    assert_eq!(released["grant"], GRANT);
    assert_eq!(released["fields_of_manifest"], true);
    let fields = released["fields"].as_array().expect("fields");
    let all = left["fields"].as_array().expect("fields");
    assert_eq!(fields.len(), all.len());
    assert!(!fields.is_empty());
}

#[test]
fn a_halt_names_who_it_is_over_and_a_misspelt_name_is_no_halt() {
    let site = people::site(20);
    site.signed(&grant("G-1", &["id"]));
    site.json(["halt", "--reason", REASON]).expect_code(2);
    site.json(["halt", "--all"]).expect_code(2);
    let both = [
        "halt",
        "--all",
        "--provider",
        "public-security",
        "--reason",
        REASON,
    ];
    site.json(both).expect_code(2);
    let typo = ["halt", "--provider", "public-securty", "--reason", REASON];
    let refused = site.json(typo).expecting(2);
    assert!(refused.stdout.contains("public-security"), "{refused:?}");
    site.run("G-1").expect_code(0);
    let halt = ["halt", "--provider", "public-security", "--reason", REASON];
    let text = site.text(halt).expecting(0).stdout;
    assert!(text.contains("1 deliveries, 20 rows"), "{text}");
    let run = site.json(["run", "G-1", "--again"]).expecting(3);
    assert_eq!(run.refusals(), ["halted"]);
    site.json(["halt", "--all", "--lift", "--reason", "x"])
        .expect_code(3);
    let lift = [
        "halt",
        "--provider",
        "public-security",
        "--lift",
        "--reason",
        "查明",
    ];
    site.json(lift).expect_code(0);
    site.json(["run", "G-1", "--again"]).expect_code(0);
    let ledger = site.json(["ledger", "list"]).document();
    let entries = ledger["entries"].as_array().expect("entries");
    let halts: Vec<(&Value, &Value)> = entries
        .iter()
        .filter(|entry| entry["event"] == "halted" || entry["event"] == "halt-lifted")
        .map(|entry| (&entry["scope"], &entry["reason"]))
        .collect();
    let scope = json!({ "provider": "public-security" });
    assert_eq!(halts, [(&scope, &json!(REASON)), (&scope, &json!("查明"))]);
}
