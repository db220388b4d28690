//! Halting and suspending while another process is in the middle of an export: it stops within five
//! seconds, publishes nothing, and what had left before is told.
//!
//! The export is held in its middle by an S3 server that does not answer, of the source or of the
//! destination, so that it would run on for as long as the test lets it.

mod replayed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_acceptance::s3::{Hold, Operation, Server};
use serde_json::{Value, json};

use super::broken_stores::make_large;
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

/// Waits until whoever sent the request that is held gave it up.
#[track_caller]
fn given_up(hold: &Hold, since: Instant) {
    while hold.holds_one() {
        assert!(
            since.elapsed() < 2 * LIMIT,
            "the request outlives its client"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
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
        lift(&site);
        assert!(site.run().delivered());
        site.assert_delivered_once();
    }
}

/// Lifts a halt of everything, as the demo's approver.
#[track_caller]
fn lift(site: &ExchangeSite) {
    let key = site.path("approver/data-office.key");
    let key = key.to_str().expect("a path of text");
    let lift = ["halt", "--all", "--lift", "--reason", "查明", "--key", key];
    does(site, &lift);
}

#[test]
fn a_halt_is_noticed_wherever_a_run_waits_for_a_store() {
    let (lake, outbox) = (server(), server());
    // Listing the source, looking for an earlier manifest, the probe, reading a part back.
    for (source, operation, skip) in [
        (true, Operation::List, 0),
        (false, Operation::Get, 0),
        (false, Operation::Create, 0),
        (false, Operation::Get, 1),
    ] {
        let site = ExchangeSite::new(Some(&lake), Some(&outbox));
        let held = if source { &lake } else { &outbox };
        let hold = held.faults().hold(operation, skip);
        let mut run = site.start_run();
        assert!(run.reaches(|| hold.holds_one()), "{operation:?} {skip}");
        let halted = Instant::now();
        let report = does(&site, &["halt", "--all", "--reason", REASON]);
        assert_eq!(report["stopped"], json!([GRANT]), "{operation:?}: {report}");
        stopped(&site, run, halted, "halted");
        drop(hold);
        held.faults().clear();
    }
}

#[test]
fn a_halt_releases_whoever_writes_a_large_part() {
    let server = server();
    for operation in [Operation::UploadPart, Operation::CompleteUpload] {
        let site = ExchangeSite::new(None, Some(&server));
        make_large(&site);
        // The store doesn't even let the upload be taken back.
        let holds = [
            server.faults().hold(operation, 0),
            server.faults().hold(Operation::AbortUpload, 0),
        ];
        let mut run = site.start(&["run", "G-large"]);
        assert!(run.reaches(|| holds[0].holds_one()), "{operation:?}");
        let halted = Instant::now();
        let report = does(&site, &["halt", "--all", "--reason", REASON]);
        assert_eq!(
            report["stopped"],
            json!(["G-large"]),
            "{operation:?}: {report}"
        );
        stopped(&site, run, halted, "halted");
        drop(holds);
        server.faults().clear();
    }
}

#[test]
fn no_manifest_is_created_after_a_halt() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    // The probe creates twice; files are looked for once more before the manifest is created.
    let hold = server.faults().hold(Operation::Head, 0);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    let creates = server.faults().count(Operation::Create);
    let halted = Instant::now();
    let report = does(&site, &["halt", "--all", "--reason", REASON]);
    drop(hold);
    stopped(&site, run, halted, "halted");
    assert_eq!(server.faults().count(Operation::Create), creates);
    // The intent was there before the halt, and came to nothing.
    assert_eq!(site.releases(GRANT), (1, 0, 1));
    assert_eq!(report["left"]["deliveries"], 0);
}

#[test]
fn a_manifest_that_was_sent_before_a_halt_is_told_and_settled_while_it_lasts() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    let hold = server.faults().hold(Operation::Create, 2);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    let halted = Instant::now();
    let report = does(&site, &["halt", "--all", "--reason", REASON]);
    let ended = run.ended();
    assert!(halted.elapsed() < LIMIT, "{ended:?}");
    // One create was sent, and no other after the halt: nobody knows yet what became of it.
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(server.faults().count(Operation::Create), 3);
    assert_eq!(site.ledger().unsettled().len(), 1);
    let unsettled = report["left"]["unsettled"].as_array().expect("deliveries");
    assert_eq!(unsettled.len(), 1, "{report}");
    given_up(&hold, halted);
    drop(hold);
    server.faults().clear();
    assert_ne!(site.objects(), [""; 0]);
    // No run is let through any more, and what the last one left is settled all the same.
    assert_eq!(site.run().code, Some(3));
    assert_eq!(site.ledger().unsettled(), []);
    assert!(site.deliveries().is_empty());
    assert_eq!(site.releases(GRANT), (1, 0, 1));
    // A store may apply the create later: it would name nothing.
    assert_eq!(site.objects(), [""; 0]);
    lift(&site);
    assert!(site.run().delivered());
    assert_eq!(site.releases(GRANT), (2, 1, 1));
}

#[test]
fn what_a_grant_left_is_settled_though_its_file_is_gone() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    let hold = server.faults().hold(Operation::Create, 2);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    let halted = Instant::now();
    does(&site, &["halt", "--all", "--reason", REASON]);
    let ended = run.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    given_up(&hold, halted);
    drop(hold);
    server.faults().clear();
    assert_eq!(site.ledger().unsettled().len(), 1);
    std::fs::remove_file(site.path(&format!("grants/{GRANT}.toml"))).expect("the grant's file");
    assert_ne!(site.run().code, Some(0));
    assert_eq!(site.ledger().unsettled(), []);
    assert_eq!(site.releases(GRANT), (1, 0, 1));
    assert_eq!(site.objects(), [""; 0]);
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
    let lift = |scope: &[&str], key: &str| {
        let key = site.private_key(key);
        let key = key.to_str().expect("a path of text");
        let signed = ["--lift", "--reason", "查明", "--key", key];
        site.json([&["halt"][..], scope, &signed[..]].concat())
    };
    let provider = ["--provider", "public-security"];
    lift(&["--all"], "approver").expect_code(3); // nothing of that name is halted
    // Who halts is anybody; who lifts is an approver of the provider.
    let nobody = ["halt", "--provider", "public-security", "--lift"];
    site.json([&nobody[..], &["--reason", "查明"]].concat())
        .expect_code(2);
    site.pair("stranger", "approver");
    lift(&provider, "stranger").expect_code(3);
    let run = site.json(["run", "G-1", "--again"]).expecting(3);
    assert_eq!(run.refusals(), ["halted"]);
    let lifted = lift(&provider, "approver").expecting(0).document();
    assert_eq!(lifted["by"], "data-office");
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
    let lifted = entries.iter().find(|entry| entry["event"] == "halt-lifted");
    let sha256 = lifted.expect("an entry")["document_sha256"].as_str();
    let document = format!("state/approvals/{}.json", sha256.expect("a hash"));
    assert!(site.path(&document).exists(), "what the approver signed");
}
