//! Stores that fail in the middle: a run either delivers everything all the same, or fails in
//! bounded time and publishes nothing.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lockgate::demo::generate::Table;
use lockgate_acceptance::s3::{Fault, Operation};
use parquet::arrow::ArrowWriter;

use super::exchange_site::{ExchangeSite, GRANT, server};

/// How long a run may try a store that has gone.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Conditional creates of the probe, before that of the manifest.
const PROBE: u64 = 2;

#[test]
fn passing_faults_of_s3_do_not_fail_a_run() {
    let server = server();
    let calm = {
        let site = ExchangeSite::on_s3(&server);
        assert!(site.run().delivered());
        site.assert_delivered_once().content
    };
    let lost = Fault::CutAnswer { after: 0 };
    for faults in [
        &[
            (Operation::Get, 1, 2, Fault::Refuse),
            (Operation::List, 0, 1, Fault::Refuse),
        ][..],
        &[
            (Operation::Get, 2, 1, Fault::Drop),
            (Operation::Get, 9, 2, lost),
        ],
        &[(Operation::Get, 8, 2, Fault::CutAnswer { after: 10_000 })],
        &[(Operation::Put, 0, 2, Fault::Refuse)],
        &[
            (Operation::Put, 0, 1, Fault::Drop),
            (Operation::Head, 0, 1, Fault::Drop),
        ],
        &[(Operation::Put, 0, 1, lost), (Operation::List, 0, 1, lost)],
        &[(Operation::Create, PROBE, 2, Fault::Refuse)],
        &[(Operation::Create, PROBE, 1, Fault::Drop)],
    ] {
        let site = ExchangeSite::on_s3(&server);
        for (operation, skip, times, fault) in faults {
            server.faults().inject(*operation, *skip, *times, *fault);
        }
        let ended = site.run();
        server.faults().clear();
        assert!(ended.delivered(), "{faults:?}: {ended:?}");
        assert_eq!(site.assert_delivered_once().content, calm, "{faults:?}");
    }
}

#[test]
fn a_manifest_whose_answer_is_lost_is_settled_by_reading_it_back() {
    let server = server();
    for times in [1, 1_000] {
        let site = ExchangeSite::new(None, Some(&server));
        server.faults().inject(
            Operation::Create,
            PROBE,
            times,
            Fault::CutAnswer { after: 0 },
        );
        let ended = site.run();
        server.faults().clear();
        assert!(ended.delivered(), "{ended:?}");
        site.assert_delivered_once();
        assert!(site.run().unchanged());
    }
}

#[test]
fn a_manifest_that_cannot_be_read_back_is_settled_by_the_next_run() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    // One read of the destination finds no manifest, one reads the part back; all others fail.
    server.faults().inject(
        Operation::Create,
        PROBE,
        1_000,
        Fault::CutAnswer { after: 0 },
    );
    server
        .faults()
        .inject(Operation::Get, 2, 1_000, Fault::Refuse);
    let ended = site.run();
    server.faults().clear();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.after < GIVE_UP, "{ended:?}");
    // The delivery is there, and the program has not claimed that it isn't.
    assert!(!ended.stdout.contains("nothing was published"), "{ended:?}");
    assert_eq!(site.deliveries().len(), 1);
    assert_eq!(site.releases(GRANT), (1, 0, 0));
    let ended = site.run();
    assert!(ended.unchanged(), "{ended:?}");
    site.assert_delivered_once();
}

#[test]
fn a_manifest_that_cannot_be_created_leaves_nothing_visible() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    server
        .faults()
        .inject(Operation::Create, PROBE, 1_000, Fault::Refuse);
    let ended = site.run();
    server.faults().clear();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.after < GIVE_UP, "{ended:?}");
    assert!(site.deliveries().is_empty());
    assert_eq!(site.releases(GRANT).1, 0);
    let ended = site.run();
    assert!(ended.delivered(), "{ended:?}");
    site.assert_delivered_once();
}

#[test]
fn a_server_that_falls_silent_at_the_release_leaves_it_to_the_next_run() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    // The manifest's create waits, and so does each read after those of key and part.
    let holds = [
        server.faults().hold(Operation::Create, PROBE),
        server.faults().hold(Operation::Get, 2),
    ];
    let ended = site.run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.after < GIVE_UP, "{ended:?}");
    drop(holds);
    let published = !site.deliveries().is_empty();
    let ended = site.run();
    assert!(
        if published {
            ended.unchanged()
        } else {
            ended.delivered()
        },
        "{ended:?}"
    );
    site.assert_delivered_once();
}

/// A grant over two pseudonyms, uncompressed, so that its one part is uploaded in pieces.
pub(crate) fn make_large(site: &ExchangeSite) {
    const ROWS: u64 = 90_000;
    let directory = site.path("lake/residents");
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    let file = fs::File::create(directory.join("part.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, Table::Residents.schema(), None).unwrap();
    writer
        .write(&Table::Residents.rows(0..ROWS, 3).unwrap())
        .unwrap();
    writer.close().unwrap();
    let grant = r#"
        id = "G-large"
        version = 1
        dataset = "residents"
        recipient = "civil-affairs"
        purpose = "test"
        basis = "test"
        fields = ["person_id", "bank_card"]
        modes = ["batch"]
        valid = { from = 2026-01-01, until = 2099-12-31 }
        [delivery]
        compression = "none"
        seal = "none"
    "#;
    fs::write(site.path("grants/G-large.toml"), grant).unwrap();
    site.sign("G-large");
}

#[test]
fn faults_of_a_multipart_upload_do_not_fail_a_run_or_leave_half_a_part() {
    let server = server();
    let lost = Fault::CutAnswer { after: 0 };
    let site = ExchangeSite::new(None, Some(&server));
    make_large(&site);
    let mut contents = Vec::new();
    for faults in [
        &[][..],
        &[
            (Operation::BeginUpload, Fault::Refuse),
            (Operation::UploadPart, Fault::Refuse),
        ],
        &[
            (Operation::UploadPart, Fault::Drop),
            (Operation::CompleteUpload, Fault::Drop),
        ],
        &[
            (Operation::UploadPart, lost),
            (Operation::CompleteUpload, Fault::Refuse),
        ],
        &[(Operation::CompleteUpload, lost)],
    ] {
        let completed = server.faults().count(Operation::CompleteUpload);
        for (operation, fault) in faults {
            server.faults().inject(*operation, 0, 1, *fault);
        }
        let ended = site.start(&["run", "G-large", "--again"]).ended();
        server.faults().clear();
        assert!(ended.delivered(), "{faults:?}: {ended:?}");
        assert!(
            server.faults().count(Operation::CompleteUpload) > completed,
            "no multipart upload"
        );
        contents = site
            .deliveries()
            .into_iter()
            .map(|delivery| delivery.content)
            .collect();
        assert!(
            contents.iter().all(|content| *content == contents[0]),
            "{faults:?}"
        );
    }
    assert_eq!(contents.len(), 5);
}

#[test]
fn an_upload_that_cannot_be_completed_fails_the_run() {
    let server = server();
    let site = ExchangeSite::new(None, Some(&server));
    make_large(&site);
    server
        .faults()
        .inject(Operation::CompleteUpload, 0, 1_000, Fault::Drop);
    let ended = site.start(&["run", "G-large"]).ended();
    server.faults().clear();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.after < GIVE_UP, "{ended:?}");
    site.assert_nothing_left();
    assert!(site.start(&["run", "G-large"]).ended().delivered());
}

#[test]
fn an_endpoint_where_nobody_listens_fails_the_run() {
    for store in ["lake", "outbox"] {
        let port = {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        fails_with_endpoint(store, &format!("http://127.0.0.1:{port}"));
    }
}

#[test]
fn an_endpoint_that_does_not_answer_fails_the_run() {
    // The system accepts connections, and nobody ever reads from them.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    std::thread::scope(|scope| {
        for store in ["lake", "outbox"] {
            let endpoint = &endpoint;
            scope.spawn(move || fails_with_endpoint(store, endpoint));
        }
    });
}

fn fails_with_endpoint(store: &str, endpoint: &str) {
    let site = ExchangeSite::on_files();
    site.use_store(store, &format!("s3://{store}/x"), endpoint);
    site.sign(GRANT);
    let ended = site.run();
    assert!(ended.failed(1, "unavailable"), "{ended:?}");
    assert!(ended.after < GIVE_UP, "{store}: {ended:?}");
    site.assert_nothing_left();
}

#[test]
fn a_server_that_goes_away_during_the_run_fails_it() {
    let (lake, outbox) = (server(), server());
    let site = ExchangeSite::new(Some(&lake), None);
    let hold = lake.faults().hold(Operation::Get, 8);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    drop(lake);
    drop(hold);
    let ended = run.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.after < GIVE_UP, "{ended:?}");
    site.assert_nothing_left();

    // A destination that is gone can't be cleaned. It comes back with what it had.
    let site = ExchangeSite::new(None, Some(&outbox));
    for operation in [
        Operation::Put,
        Operation::Get,
        Operation::Head,
        Operation::List,
        Operation::Delete,
    ] {
        outbox.faults().inject(
            operation,
            u64::from(operation == Operation::Get),
            10_000,
            Fault::Drop,
        );
    }
    let ended = site.run();
    outbox.faults().clear();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.after < GIVE_UP, "{ended:?}");
    site.assert_nothing_left();
    assert!(site.run().delivered());
    site.assert_delivered_once();
}

#[test]
fn a_destination_removed_during_the_run_fails_it() {
    let server = server();
    for what in ["outbox", "outbox/G-payments"] {
        let site = ExchangeSite::new(Some(&server), None);
        let hold = server.faults().hold(Operation::Get, 8);
        let mut run = site.start_run();
        assert!(run.reaches(|| hold.holds_one()));
        fs::remove_dir_all(site.path(what)).unwrap();
        drop(hold);
        let ended = run.ended();
        server.faults().clear();
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
        site.assert_nothing_left();
        assert!(site.run().delivered());
        site.assert_delivered_once();
    }
}

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this process may not mount.
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes}"),
                "lockgate-test",
            ])
            .arg(at)
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: this process may not mount a small file system");
        None
    }

    fn grow(&self) {
        let grown = Command::new("mount")
            .args(["-o", "remount,size=64m"])
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("--lazy")
            .arg(&self.0)
            .status()
            .unwrap();
    }
}

#[test]
fn a_full_disk_at_the_destination_fails_the_run() {
    let site = ExchangeSite::on_files();
    let Some(disk) = SmallDisk::mount(&site.path("outbox"), 64 << 10) else {
        return;
    };
    let ended = site.run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    site.assert_nothing_left();
    disk.grow();
    assert!(site.run().delivered());
    site.assert_delivered_once();
}

#[test]
fn a_full_disk_under_the_ledger_keeps_everything_back() {
    let site = ExchangeSite::on_files();
    let (state, kept) = (site.path("state"), site.path("kept"));
    fs::rename(&state, &kept).unwrap();
    let Some(disk) = SmallDisk::mount(&state, 256 << 10) else {
        return;
    };
    let copied = Command::new("cp")
        .arg("-a")
        .arg(kept.join("."))
        .arg(&state)
        .status()
        .unwrap();
    assert!(copied.success());
    fs::create_dir_all(state.join("runs")).unwrap();
    fs::write(state.join(format!("runs/{GRANT}.lock")), "").unwrap();
    let mut filler = fs::File::create(state.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    let ended = site.run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    site.assert_nothing_left();
    disk.grow();
    assert!(site.run().delivered());
    site.assert_delivered_once();
}
