//! What happens to a run while it is under way: signals, changed grants, changed sources. Nothing
//! is published that the site, as it is when the release is due, would not release.
//!
//! The run is held in its middle by an S3 server that keeps a request waiting: of the source, while
//! rows are read, or of the destination, while a part is written.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_acceptance::s3::{Fault, Hold, Operation, Server};
use rustix::process::Signal;

use super::exchange_site::{ExchangeSite, GRANT, Running, put, rows, server, write_payments};

/// How long a run may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// A run that waits for rows of its source, its attempt begun. `site` reads from `server`.
fn held_while_reading(site: &ExchangeSite, server: &Server) -> (Running, Hold) {
    // Of each file the footer is read before the attempt begins, and the rows after.
    let hold = server.faults().hold(Operation::Get, 8);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    (run, hold)
}

/// A run that waits for the answer of its first part. `site` delivers to `server`.
fn held_while_writing(site: &ExchangeSite, server: &Server) -> (Running, Hold) {
    let hold = server.faults().hold(Operation::Put, 0);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    (run, hold)
}

fn stops(run: Running, signal: Signal) {
    let signalled = Instant::now();
    run.signal(signal);
    let ended = run.ended();
    assert!(
        signalled.elapsed() < STOP,
        "took {:?}: {ended:?}",
        signalled.elapsed()
    );
    assert!(ended.failed(130, "interrupted"), "{ended:?}");
}

#[test]
fn signals_stop_a_run_that_delivers_to_a_directory() {
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    for signal in [Signal::INT, Signal::TERM] {
        let (run, hold) = held_while_reading(&site, &server);
        assert!(site.path("outbox").exists(), "the attempt has not begun");
        stops(run, signal);
        drop(hold);
        site.assert_nothing_left();
    }
    assert!(site.run().delivered());
    site.assert_delivered_once();
}

#[test]
fn signals_stop_a_run_that_delivers_to_s3() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    for signal in [Signal::INT, Signal::TERM] {
        let (run, hold) = held_while_writing(&site, &server);
        stops(run, signal);
        drop(hold);
        site.assert_nothing_left();
    }
    assert!(site.run().delivered());
    site.assert_delivered_once();
}

#[test]
fn signals_stop_a_run_that_computes() {
    let site = ExchangeSite::on_files();
    for signal in [Signal::INT, Signal::TERM] {
        let mut run = site.start_run();
        assert!(run.reaches(|| site.path("outbox").join(GRANT).exists()));
        stops(run, signal);
        site.assert_nothing_left();
    }
}

#[test]
fn a_signal_stops_a_run_whose_source_does_not_answer() {
    let site = ExchangeSite::on_files();
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    site.use_store("lake", "s3://lake/silent", &endpoint);
    site.sign(GRANT);
    let run = site.start_run();
    drop(silent.accept().unwrap());
    let (_connection, _) = silent.accept().unwrap();
    stops(run, Signal::INT);
    site.assert_nothing_left();
}

#[test]
fn a_signal_stops_a_run_that_waits_for_another() {
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    let (first, hold) = held_while_reading(&site, &server);
    let second = site.start_run();
    std::thread::sleep(Duration::from_millis(300));
    stops(second, Signal::INT);
    drop(hold);
    assert!(first.ended().delivered());
    site.assert_delivered_once();
}

/// Runs while `change` happens to the site; the run must end so, and publish nothing.
fn changed(server: &Arc<Server>, change: impl Fn(&ExchangeSite), code: i32, expected: &str) {
    let site = ExchangeSite::new(Some(server), None);
    let (run, hold) = held_while_reading(&site, server);
    change(&site);
    drop(hold);
    let ended = run.ended();
    server.faults().clear();
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stdout.contains(expected), "{ended:?}");
    site.assert_nothing_left();
}

#[test]
fn a_grant_edited_during_the_run_is_not_delivered_under() {
    let server = server();
    let grant = format!("grants/{GRANT}.toml");
    changed(
        &server,
        |site| site.edit(&grant, "amount > 0", "amount > 1"),
        3,
        "unsigned",
    );
    changed(
        &server,
        |site| site.edit(&grant, "version = 1", "version = "),
        2,
        "config",
    );
    // Edited and approved anew: valid, but not what this run does. Both at once, since a run that
    // sees the one without the other stops there.
    let stronger = |site: &ExchangeSite| {
        let twin = site.twin();
        twin.edit(&grant, "to = \"1000\"", "to = \"10000\"");
        twin.sign(GRANT);
        for file in [format!("{grant}.sig"), grant.clone()] {
            std::fs::rename(twin.path(&file), site.path(&file)).unwrap();
        }
    };
    changed(&server, stronger, 2, "changed during the run");
}

#[test]
fn a_grant_that_loses_its_approval_during_the_run_is_not_delivered_under() {
    let server = server();
    let remove = |site: &ExchangeSite| {
        std::fs::remove_file(site.path(&format!("grants/{GRANT}.toml.sig"))).unwrap();
    };
    changed(&server, remove, 3, "unsigned");
    let other_key = |site: &ExchangeSite| {
        let other = std::fs::read_to_string(site.path("recipients/civil-affairs.toml")).unwrap();
        let line = |text: &str| {
            text.lines()
                .find(|line| line.starts_with("public_keys"))
                .unwrap()
                .to_owned()
        };
        let own = std::fs::read_to_string(site.path("recipients/statistics.toml")).unwrap();
        site.edit("recipients/statistics.toml", &line(&own), &line(&other));
    };
    changed(&server, other_key, 3, "approval-stale");
    let weaker = |site: &ExchangeSite| {
        let strict = "treatment = { kind = \"hmac\", domain = \"org.code\" }";
        site.edit("policy.toml", strict, "treatment = { kind = \"clear\" }");
    };
    changed(&server, weaker, 3, "approval-stale");
}

#[test]
fn a_source_file_replaced_during_the_run_fails_it() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    let (run, hold) = held_while_writing(&site, &server);
    // All of it has been read, and nothing of it may be published.
    let file = site.path("lake/payments/part-03.parquet");
    std::fs::remove_file(&file).unwrap();
    write_payments(&file, 0..rows() / 6, 99);
    drop(hold);
    let ended = run.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("part-03.parquet"), "{ended:?}");
    site.assert_nothing_left();
}

#[test]
fn a_source_file_replaced_on_s3_during_the_run_fails_it() {
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    let (run, hold) = held_while_reading(&site, &server);
    let file = site.path("replaced.parquet");
    write_payments(&file, 0..rows() / 6, 99);
    for number in 0..6 {
        put(
            &site.lake(&server),
            &format!("payments/part-{number:02}.parquet"),
            &file,
        );
    }
    drop(hold);
    let ended = run.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    site.assert_nothing_left();
}

#[test]
fn a_source_file_added_during_the_run_waits_for_the_next() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    let (run, hold) = held_while_writing(&site, &server);
    write_payments(&site.path("lake/payments/part-99.parquet"), 0..100, 99);
    drop(hold);
    let ended = run.ended();
    // The snapshot decides what a run is of: it is refused as a change, or delivered without.
    if ended.delivered() {
        site.assert_delivered_once();
    } else {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        site.assert_nothing_left();
    }
}

/// How often a run reads from its destination before it creates the manifest.
fn reads_before_the_manifest() -> u64 {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    let hold = server.faults().hold(Operation::Create, 2);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    run.kill();
    server.faults().count(Operation::Get)
}

#[test]
fn what_a_killed_run_published_is_settled_though_its_grant_ended_since() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    // The manifest is made and its answer lost; the run is killed before it can read it back.
    let reads = reads_before_the_manifest();
    let lost = Fault::CutAnswer { after: 0 };
    server.faults().inject(Operation::Create, 2, 1, lost);
    let hold = server.faults().hold(Operation::Get, reads);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    run.kill();
    drop(hold);
    server.faults().clear();
    assert_eq!(site.releases(GRANT), (1, 0, 0));
    let end = ["grant", "terminate", GRANT, "--reason", "目的已实现"];
    assert_eq!(site.start(&end).ended().code, Some(0));
    let ended = site.run();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(site.ledger().unsettled(), []);
    assert_eq!(site.releases(GRANT), (1, 1, 0));
    assert_eq!(site.only_delivery().grant, GRANT);
}

#[test]
fn what_a_killed_run_held_is_given_up_though_its_grant_is_suspended_since() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    let (run, hold) = held_while_writing(&site, &server);
    run.kill();
    drop(hold);
    server.faults().clear();
    assert_eq!(site.ledger().reserved(GRANT).len(), 1);
    let suspend = ["grant", "suspend", GRANT, "--reason", "核查"];
    assert_eq!(site.start(&suspend).ended().code, Some(0));
    assert_eq!(site.run().code, Some(3));
    assert!(site.ledger().reserved(GRANT).is_empty());
}

/// What is changed while a run waits for another of its grant, before it has read anything.
#[test]
fn a_grant_taken_back_while_its_run_waits_is_refused_at_the_start() {
    type Change = fn(&ExchangeSite);
    fn step(site: &ExchangeSite, arguments: &[&str]) {
        assert_eq!(site.start(arguments).ended().code, Some(0));
    }
    let table: [(Change, &str); 6] = [
        (
            |site| site.edit(&format!("grants/{GRANT}.toml"), "amount > 0", "amount > 1"),
            "unsigned",
        ),
        (
            |site| {
                let strict = "treatment = { kind = \"hmac\", domain = \"org.code\" }";
                site.edit("policy.toml", strict, "treatment = { kind = \"clear\" }");
            },
            "approval-stale",
        ),
        (
            |site| {
                site.edit(
                    "catalogue/payments.toml",
                    "payments/",
                    "payments/part-00.parquet",
                );
            },
            "approval-stale",
        ),
        (
            |site| step(site, &["grant", "suspend", GRANT, "--reason", "核查"]),
            "suspended",
        ),
        (
            |site| step(site, &["grant", "terminate", GRANT, "--reason", "核查"]),
            "terminated",
        ),
        (
            |site| step(site, &["halt", "--all", "--reason", "核查"]),
            "halted",
        ),
    ];
    for (change, code) in table {
        let server = server();
        let site = ExchangeSite::new(None, Some(&server));
        let runs = site.path("state/runs");
        std::fs::create_dir_all(&runs).unwrap();
        let lock = std::fs::File::create(runs.join(format!("{GRANT}.lock"))).unwrap();
        lock.lock().unwrap();
        let run = site.start_run();
        // Compiled by now, and let through so far.
        std::thread::sleep(Duration::from_millis(700));
        change(&site);
        drop(lock);
        let ended = run.ended();
        assert_eq!(ended.code, Some(3), "{code}: {ended:?}");
        assert_eq!(ended.document()["refusals"][0]["code"], code, "{ended:?}");
        assert_eq!(server.faults().count(Operation::Create), 0, "{code}");
    }
}

#[test]
fn a_signal_after_the_release_began_leaves_it_whole() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    // After the two creates of the probe comes that of the manifest, whose answer is lost.
    server
        .faults()
        .inject(Operation::Create, 2, 1, Fault::CutAnswer { after: 0 });
    let hold = server.faults().hold(Operation::Create, 3);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one() || !site.deliveries().is_empty()));
    run.signal(Signal::INT);
    drop(hold);
    let ended = run.ended();
    assert!(ended.delivered(), "{ended:?}");
    site.assert_delivered_once();
}
