//! Grants of an earlier time, put back with the good signature that they had: nothing is compiled, begun,
//! read on or released by one. What a grant's files say again, the ledger knows to be over.

use std::fs;
use std::path::PathBuf;

use lockgate::ledger::{Event, Ledger};
use lockgate_connectors::keyring::Purpose;

use super::*;

/// A grant's file and signature, as they were.
struct Kept {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Kept {
    fn of(site: &ExchangeSite) -> Self {
        let names = ["toml", "toml.sig"];
        let paths = names.map(|end| site.path(&format!("grants/{GRANT}.{end}")));
        let files = paths.map(|path| {
            let bytes = fs::read(&path).expect("a file of a signed grant");
            (path, bytes)
        });
        Self {
            files: files.into(),
        }
    }

    fn put_back(&self) {
        for (path, bytes) in &self.files {
            fs::write(path, bytes).expect("put back");
        }
    }

    fn remove(&self) {
        for (path, _) in &self.files {
            fs::remove_file(path).expect("removed");
        }
    }
}

/// A way to use what is over.
struct Replay {
    name: &'static str,
    /// What comes before the run.
    before: fn(&ExchangeSite),
    /// What is done at the point that is tried, with the files of the first version.
    then: fn(&ExchangeSite, &Kept),
    /// What refuses it.
    code: &'static str,
}

const REPLAYS: [Replay; 3] = [
    Replay {
        name: "an older version put back",
        before: approve_second,
        then: put_back,
        code: "approval-stale",
    },
    Replay {
        name: "a version that stays when a later one was approved",
        before: nothing,
        then: record_second,
        code: "approval-stale",
    },
    Replay {
        name: "a terminated grant put back",
        before: nothing,
        then: terminate_and_put_back,
        code: "terminated",
    },
];

fn nothing(_: &ExchangeSite) {}

fn put_back(_: &ExchangeSite, first: &Kept) {
    first.put_back();
}

fn approve_second(site: &ExchangeSite) {
    let file = format!("grants/{GRANT}.toml");
    site.edit(&file, "version = 1\n", "version = 2\n");
    site.sign(GRANT);
}

/// As `grant sign` records it at another place of the same site; the files are those of before.
fn record_second(site: &ExchangeSite, _: &Kept) {
    let key = site.keyring().signing_key(Purpose::Ledger);
    let ledger = Ledger::open(&site.path("state/ledger"), key.expect("a key"));
    let event = Event::GrantSigned {
        grant: GRANT.to_owned(),
        version: 2,
        recipient: "statistics".to_owned(),
        grant_index: 7,
        approver: "data-office".to_owned(),
        approval_sha256: "0d".repeat(32),
        about: None,
    };
    let appended = ledger.expect("a ledger").append(&event, chrono::Utc::now());
    appended.expect("an entry");
}

fn terminate_and_put_back(site: &ExchangeSite, first: &Kept) {
    does(site, &["grant", "terminate", GRANT, "--reason", REASON]);
    first.remove();
    first.put_back();
}

/// Has a replay prepared at a site; gives the files to put back.
fn prepared(site: &ExchangeSite, replay: &Replay) -> Kept {
    let first = Kept::of(site);
    (replay.before)(site);
    first
}

#[test]
fn a_replayed_grant_is_neither_compiled_nor_run() {
    for replay in &REPLAYS {
        let site = ExchangeSite::on_files();
        let first = prepared(&site, replay);
        let plan = site.start(&["plan", GRANT]).ended();
        assert_eq!(plan.code, Some(0), "{}: {plan:?}", replay.name);
        (replay.then)(&site, &first);
        let plan = site.start(&["plan", GRANT]).ended();
        assert_eq!(plan.code, Some(3), "{}: {plan:?}", replay.name);
        let refusals = &plan.document()["refusals"];
        assert_eq!(refusals[0]["code"], replay.code, "{}", replay.name);
        stopped(&site, site.start_run(), Instant::now(), replay.code);
        assert_eq!(site.releases(GRANT), (0, 0, 0), "{}", replay.name);
    }
}

#[test]
fn a_grant_that_is_replayed_between_splits_stops_the_run() {
    let server = server();
    for replay in &REPLAYS {
        let site = ExchangeSite::new(Some(&server), None);
        let first = prepared(&site, replay);
        let (run, hold) = reading(&site, &server);
        let replayed = Instant::now();
        (replay.then)(&site, &first);
        // The splits that are left could be read by now.
        drop(hold);
        stopped(&site, run, replayed, replay.code);
        assert_eq!(site.releases(GRANT), (0, 0, 0), "{}", replay.name);
        server.faults().clear();
    }
}

#[test]
fn no_manifest_is_created_by_a_grant_that_is_replayed_at_the_commit() {
    let server = server();
    for replay in &REPLAYS {
        let site = ExchangeSite::new(None, Some(&server));
        let first = prepared(&site, replay);
        // Files are looked for once more before the manifest is created, behind the intent.
        let hold = server.faults().hold(Operation::Head, 0);
        let mut run = site.start_run();
        assert!(run.reaches(|| hold.holds_one()), "{}", replay.name);
        let creates = server.faults().count(Operation::Create);
        let replayed = Instant::now();
        (replay.then)(&site, &first);
        drop(hold);
        stopped(&site, run, replayed, replay.code);
        let after = server.faults().count(Operation::Create);
        assert_eq!(after, creates, "{}", replay.name);
        assert_eq!(site.releases(GRANT), (1, 0, 1), "{}", replay.name);
        server.faults().clear();
    }
}
