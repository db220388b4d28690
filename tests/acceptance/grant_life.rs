//! A grant's life through the command line: who may take which step, what each lets through and what
//! it refuses, and that nothing signed before counts where it must not.

use std::fs;

use lockgate::approval::SignRequest;
use lockgate::ledger::{Event, Ledger};
use lockgate::plan::QuotaUse;
use lockgate_acceptance::site::{Finished, Site};
use lockgate_connectors::keyring::{LocalKeyring, Purpose};
use serde_json::{Value, json};

use super::exchange_site::{ExchangeSite, GRANT, server};
use crate::people::{self, grant};

const REASON: &str = "核查中发现超范围使用";

/// A site with one grant of some fields, written and unsigned.
fn site() -> Site {
    let site = people::site(20);
    site.grant(&grant("G-1", &["id", "region"]));
    site
}

fn step(site: &Site, arguments: &[&str]) -> Finished {
    site.json(["grant"].iter().chain(arguments))
}

/// A step with the key of somebody in `people/`.
fn step_as(site: &Site, name: &str, arguments: &[&str]) -> Finished {
    let key = site.private_key(name);
    let key = key.to_str().expect("a path of text");
    step(site, &[arguments, &["--key", key]].concat())
}

fn listed(site: &Site) -> Value {
    let listed = site.json(["grant", "list"]).expecting(0).document();
    listed["grants"][0].clone()
}

fn shown(site: &Site) -> Value {
    let shown = site.json(["grant", "show", "G-1"]).expecting(0).document();
    shown["standing"].clone()
}

#[track_caller]
fn refused(site: &Site, code: &str) {
    let run = site.run("G-1").expecting(3);
    assert!(run.refusals().contains(&code.to_owned()), "{run:?}");
    let plan = site.json(["plan", "G-1"]).expecting(3);
    assert!(plan.refusals().contains(&code.to_owned()), "{plan:?}");
}

/// Events of one kind, as the ledger lists them.
fn events(site: &Site, kind: &str) -> Vec<Value> {
    let ledger = site.json(["ledger", "list"]).expecting(0).document();
    let entries = ledger["entries"].as_array().expect("entries");
    let of_kind = entries.iter().filter(|entry| entry["event"] == kind);
    of_kind.cloned().collect()
}

#[test]
fn a_request_starts_the_clock_and_a_signature_answers_it() {
    let site = site();
    assert_eq!(listed(&site)["state"], "draft");
    let asked = step(&site, &["request", "G-1"]).expecting(0).document();
    assert_eq!(asked["state"], "requested");
    let standing = shown(&site);
    assert_eq!(standing["state"], "requested");
    assert_eq!(standing["answer_by"], asked["answer_by"]);
    assert_eq!(standing["days_left"], 10, "{standing}");
    assert_eq!(standing["overdue"], false);
    step(&site, &["request", "G-1"]).expect_code(3);
    site.sign("G-1").expect_code(0);
    let standing = shown(&site);
    assert_eq!(standing["state"], "approved");
    assert_eq!(standing["by"], "data-office");
    assert_eq!(standing["answer_by"], Value::Null);
    site.run("G-1").expect_code(0);
}

#[test]
fn the_days_for_an_answer_are_those_of_the_site() {
    let site = site();
    site.configure_more("[approval]\nanswer_within_days = 0");
    let asked = step(&site, &["request", "G-1"]).expecting(0).document();
    let standing = shown(&site);
    assert_eq!(standing["days_left"], 0);
    assert_eq!(standing["answer_by"], asked["answer_by"]);
    site.configure_more("[approval]\nanswer_within_days = -1");
    site.json(["check"]).expect_code(2);
}

#[test]
fn a_refusal_states_its_basis_and_an_earlier_signature_does_not_count() {
    let site = site();
    step(&site, &["request", "G-1"]).expect_code(0);
    let without = ["refuse", "G-1", "--reason", REASON];
    step(&site, &without).expect_code(2);
    let basis = "《政务数据共享条例》第九条";
    let refuse = ["refuse", "G-1", "--basis", basis, "--reason", REASON];
    let blank = ["refuse", "G-1", "--basis", " ", "--reason", REASON];
    step(&site, &blank).expect_code(2);
    assert_ne!(step_as(&site, "recipient", &refuse).code, 0);
    let answered = step_as(&site, "approver", &refuse).expecting(0).document();
    assert_eq!(answered["by"], "data-office");
    let standing = shown(&site);
    assert_eq!(
        (&standing["state"], &standing["basis"], &standing["reason"]),
        (&json!("refused"), &json!(basis), &json!(REASON))
    );
    refused(&site, "unsigned");
    let plan = site.json(["plan", "G-1"]).document();
    let bases: Vec<&Value> = plan["refusals"]
        .as_array()
        .expect("refusals")
        .iter()
        .filter_map(|refusal| refusal.get("basis"))
        .collect();
    assert_eq!(bases, [basis]);
    step(&site, &refuse).expect_code(3);
    // An approver may think better of it, and so may the recipient.
    step(&site, &["request", "G-1"]).expect_code(0);
    site.sign("G-1").expect_code(0);
    site.run("G-1").expect_code(0);
}

#[test]
fn a_signature_made_before_a_refusal_is_no_answer_to_it() {
    let site = site();
    site.sign("G-1").expect_code(0);
    let signature = fs::read(site.path("grants/G-1.toml.sig")).expect("a signature");
    site.grant(&grant("G-1", &["id", "region"]).version(2));
    step(&site, &["request", "G-1"]).expect_code(0);
    let refuse = ["refuse", "G-1", "--basis", "law", "--reason", REASON];
    step(&site, &refuse).expect_code(0);
    refused(&site, "unsigned");
    // The version that was approved still is.
    site.grant(&grant("G-1", &["id", "region"]));
    fs::write(site.path("grants/G-1.toml.sig"), signature).expect("put back");
    site.run("G-1").expect_code(0);
}

#[test]
fn only_an_approver_resumes_what_an_operator_suspended() {
    let site = site();
    site.sign("G-1").expect_code(0);
    site.pair("stranger", "approver");
    let suspend = ["suspend", "G-1", "--reason", REASON];
    step(&site, &["suspend", "G-1"]).expect_code(2);
    let suspended = step(&site, &suspend).expecting(0).document();
    assert_eq!(suspended["by"], "operator");
    refused(&site, "suspended");
    site.json(["preview", "G-1"]).expect_code(3);
    step(&site, &suspend).expect_code(3);
    // Signing anew does not get around it.
    site.sign("G-1").expect_code(3);
    let resume = ["resume", "G-1", "--reason", "整改完成"];
    step(&site, &resume).expect_code(2);
    step_as(&site, "stranger", &resume).expect_code(3);
    refused(&site, "suspended");
    let resumed = step_as(&site, "approver", &resume).expecting(0).document();
    assert_eq!(resumed["by"], "data-office");
    assert_eq!(shown(&site)["state"], "approved");
    site.run("G-1").expect_code(0);
    step_as(&site, "approver", &resume).expect_code(3);
}

#[test]
fn a_resumption_without_its_document_or_with_an_earlier_one_counts_for_nothing() {
    let site = site();
    site.sign("G-1").expect_code(0);
    let suspend = ["suspend", "G-1", "--reason", REASON];
    let resume = ["resume", "G-1", "--reason", "整改完成"];
    step(&site, &suspend).expect_code(0);
    step_as(&site, "approver", &resume).expect_code(0);
    let moved = events(&site, "grant-moved");
    let sha256 = moved[1]["document_sha256"].as_str().expect("a hash");
    let document = site.path(&format!("state/approvals/{sha256}.json"));
    let signed = fs::read(&document).expect("what the approver signed");
    fs::remove_file(&document).expect("removed");
    refused(&site, "suspended");
    fs::write(&document, b"{}").expect("altered");
    refused(&site, "suspended");
    fs::write(&document, &signed).expect("put back");
    site.run("G-1").expect_code(0);
    // The approver is struck off the list: nobody who may resume it did.
    let pair = site.pair("other", "approver");
    site.edit("lockgate.toml", site.approver_key(), &pair);
    refused(&site, "suspended");
}

#[test]
fn a_terminated_grant_comes_back_as_a_higher_version_alone() {
    let site = site();
    site.sign("G-1").expect_code(0);
    let signature = fs::read(site.path("grants/G-1.toml.sig")).expect("a signature");
    site.run("G-1").expect_code(0);
    let terminate = ["terminate", "G-1", "--reason", "目的已实现"];
    step_as(&site, "approver", &terminate).expect_code(0);
    assert_eq!(shown(&site)["state"], "terminated");
    refused(&site, "terminated");
    for again in [&terminate[..], &["request", "G-1"]] {
        step(&site, again).expect_code(3);
    }
    let signed = site.sign("G-1").expecting(3);
    assert!(signed.stdout.contains("terminated"), "{signed:?}");
    site.grant(&grant("G-1", &["id", "region"]).version(2));
    refused(&site, "unsigned");
    site.sign("G-1").expect_code(0);
    site.run("G-1").expect_code(0);
    // Neither the old file nor the old signature is of any use.
    site.grant(&grant("G-1", &["id", "region"]));
    fs::write(site.path("grants/G-1.toml.sig"), signature).expect("put back");
    refused(&site, "terminated");
}

#[test]
fn an_older_version_and_an_older_signature_are_stale() {
    let site = site();
    site.sign("G-1").expect_code(0);
    let signature = site.path("grants/G-1.toml.sig");
    let first = fs::read(&signature).expect("a signature");
    // Policy becomes stricter, and the approver signs again.
    let strict = "[[rules]]\ncategory = 'division-code'\ntreatment = { kind = 'null' }\n";
    let policy = format!("{}{}", strict, people::POLICY);
    let policy = policy.replacen("[marking]\nmin_carriers = 0\n", "", 1);
    site.policy(&format!("[marking]\nmin_carriers = 0\n{policy}"));
    site.sign("G-1").expect_code(0);
    site.run("G-1").expect_code(0);
    // The operator puts back both.
    site.policy(people::POLICY);
    fs::write(&signature, &first).expect("put back");
    refused(&site, "approval-stale");
    // Signed anew the same approval is the last, whatever was in between.
    site.sign("G-1").expect_code(0);
    assert_eq!(fs::read(&signature).expect("a signature"), first);
    site.run("G-1").expect_code(0);
    site.signed(&grant("G-1", &["id"]).version(2));
    site.run("G-1").expect_code(0);
    site.grant(&grant("G-1", &["id", "region"]));
    fs::write(&signature, &first).expect("put back");
    refused(&site, "approval-stale");
}

#[test]
fn a_grant_whose_files_are_gone_can_be_stopped_all_the_same() {
    let site = site();
    site.sign("G-1").expect_code(0);
    fs::remove_file(site.path("grants/G-1.toml")).expect("removed");
    step(&site, &["suspend", "G-1", "--reason", REASON]).expect_code(0);
    step(&site, &["terminate", "G-1", "--reason", REASON]).expect_code(0);
    step(&site, &["suspend", "G-2", "--reason", REASON]).expect_code(2);
    site.grant(&grant("G-1", &["id", "region"]));
    refused(&site, "terminated");
}

#[test]
fn reasons_are_recorded_and_personal_data_is_kept_out() {
    let site = site();
    site.sign("G-1").expect_code(0);
    let number = ["suspend", "G-1", "--reason", "用户13800138000投诉"];
    step(&site, &number).expect_code(2);
    step(&site, &["suspend", "G-1", "--reason", REASON]).expect_code(0);
    let moved = events(&site, "grant-moved");
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0]["reason"], REASON);
    assert_eq!(moved[0]["to"], "suspended");
    assert_eq!(moved[0]["about"]["recipient"], "civil-affairs");
}

/// Has a grant signed as `grant sign` did on an earlier day, while it was in force.
fn signed_on(site: &Site, id: &str, day: &str) {
    let loaded = lockgate::site::Site::load(&site.root()).expect("a site");
    let request = SignRequest {
        grant: id,
        key: &site.private_key("approver"),
        today: day.parse().expect("a day"),
        quota: QuotaUse::default(),
    };
    let signed = lockgate::approval::sign(&loaded, &request).expect("a signature");
    let key = LocalKeyring::open(site.path("keys")).signing_key(Purpose::Ledger);
    let ledger = Ledger::open(&site.path("state/ledger"), key.expect("a key"));
    let event = Event::GrantSigned {
        grant: signed.grant,
        version: signed.version,
        recipient: signed.recipient,
        grant_index: 1,
        approver: signed.approver,
        approval_sha256: signed.approval_sha256,
        about: None,
    };
    let at = format!("{day}T08:00:00Z").parse().expect("a time");
    let appended = ledger.expect("a ledger").append(&event, at);
    appended.expect("an entry");
}

#[test]
fn an_expired_grant_says_so() {
    let site = site();
    site.grant(&grant("G-1", &["id"]).valid("from = 2026-01-01, until = 2026-01-02"));
    signed_on(&site, "G-1", "2026-01-01");
    let listed = listed(&site);
    assert_eq!(listed["state"], "expired");
    assert_eq!(listed["since"], "2026-01-02");
    // It stands as it was signed: nothing but its last day is against it.
    for command in ["plan", "run"] {
        let ended = site.json([command, "G-1"]).expecting(3);
        assert_eq!(ended.refusals(), ["expired"], "{command}");
    }
}

#[test]
fn runs_of_one_grant_to_several_places_share_its_quota() {
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    let hold = server
        .faults()
        .hold(lockgate_acceptance::s3::Operation::Get, 8);
    let elsewhere = site.path("elsewhere");
    let mut first = site.start_run();
    assert!(first.reaches(|| hold.holds_one()));
    // Somebody removes the lock by which runs of a grant follow one another.
    fs::remove_file(site.path(&format!("state/runs/{GRANT}.lock"))).expect("a lock");
    let output = elsewhere.to_str().expect("a path of text");
    let second = site.start(&["run", GRANT, "--output", output]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(hold);
    let ended = [first.ended(), second.ended()];
    let delivered = ended.iter().filter(|ended| ended.delivered()).count();
    let refused = ended.iter().filter(|ended| {
        ended.code == Some(3) && ended.document()["refusals"][0]["code"] == "quota"
    });
    assert_eq!((delivered, refused.count()), (1, 1), "{ended:#?}");
    assert_eq!(site.ledger().quota_use()[GRANT].0, 1);
    assert!(site.ledger().reserved(GRANT).is_empty());
}

#[test]
fn what_a_killed_run_had_set_aside_is_free_again() {
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    let hold = server
        .faults()
        .hold(lockgate_acceptance::s3::Operation::Get, 8);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    run.kill();
    drop(hold);
    assert_eq!(site.ledger().reserved(GRANT).len(), 1);
    server.faults().clear();
    assert!(site.run().delivered());
    assert!(site.ledger().reserved(GRANT).is_empty());
    site.assert_delivered_once();
}
