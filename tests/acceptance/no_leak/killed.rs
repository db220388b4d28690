//! Runs killed at any moment, sealed or not, in every format: no value that was treated is left
//! anywhere, and of a sealed one no value at all; and no key in anything that was written or said.
//!
//! Some are killed as soon as part of a file is on the disk, the others at moments drawn from the whole of
//! an undisturbed run. `LOCKGATE_KILLS` says how many of these there are for each kind of delivery,
//! `LOCKGATE_SEED` which. Parquet is written uncompressed, so that half a file, which has no footer yet
//! and so no pages, can be searched as it stands; of half an archive each member is unpacked as far as it
//! goes. What unsealed runs deliver, half of that, and what one had written when it was killed are the
//! control that this finds something.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lockgate_acceptance::site::{Dataset, Grant, Site, write_parquet};
use lockgate_connectors::keyring::Purpose;

use super::scanner::{Canaries, files_below};
use crate::PROGRAM;
use crate::exchange_site::number;
use crate::pseudonym::master;

/// Files and rows of a source: each file is a group of rows of its own in what is delivered.
const GROUPS: (usize, usize) = (2, 33_000);

/// The same for archives, which are packed row by row, and slowly.
const PACKED: (usize, usize) = (1, 30_000);

/// Bytes from which a file counts as half written: less than a full buffer of the program's, of which
/// the whole delivery has several.
const HALF_WRITTEN: u64 = 512 << 10;

const KILLS: u64 = 1;
const SEED: u64 = 20_260_101;

/// Values that a treatment takes away.
fn treated() -> Canaries {
    let mut canaries = Canaries::default();
    for text in ["CANARY-PERSON", "ANARY-NAME", "CANARY-GONE"] {
        canaries.text(text);
    }
    canaries
}

/// Values that are delivered as they are: to be found in what isn't sealed, and nowhere else.
fn delivered() -> Canaries {
    let mut canaries = Canaries::default();
    canaries.text("CANARY-CLEAR");
    canaries
}

/// Keys of a site and of its people.
fn keys(site: &Site) -> Canaries {
    let mut canaries = Canaries::default();
    for purpose in Purpose::all() {
        canaries.key(purpose.as_str(), &master(site, purpose.as_str(), 1));
    }
    canaries.people(site, &["approver", "recipient"]);
    canaries
}

/// Rows of a file, of which what is delivered clear fills most, and doesn't become small when packed.
fn rows(numbers: Range<usize>) -> RecordBatch {
    let some = |name: &str, each: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter(numbers.clone().map(|row| {
            (row % each == 0).then(|| format!("CANARY-{name}-{row}"))
        })))
    };
    let clear = numbers.clone().map(|row| {
        let mut mixed = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(row as u64 + 1);
        let mut text = format!("CANARY-CLEAR-{row}-");
        for _ in 0..4 {
            mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            text.push_str(&format!("{mixed:016x}"));
        }
        text
    });
    let clear: ArrayRef = Arc::new(StringArray::from_iter_values(clear));
    RecordBatch::try_from_iter_with_nullable([
        ("person", some("PERSON", 8), true),
        ("name", some("NAME", 1), true),
        ("gone", some("GONE", 8), true),
        ("open", clear, true),
    ])
    .expect("columns of one length")
}

fn site(delivery: &str, (files, each): (usize, usize)) -> Site {
    let site = Site::new(PROGRAM);
    let mut dataset = Dataset::new("secret");
    for name in ["person", "name", "gone", "open"] {
        dataset = dataset.plain(name, "utf8");
    }
    site.dataset(&dataset);
    for file in 0..files {
        let path = site.path(&format!("lake/secret/{file:02}.parquet"));
        write_parquet(&path, &rows(file * each..(file + 1) * each), each);
    }
    site.signed(
        &Grant::new("G-1", "secret", &["person", "name", "gone", "open"])
            .treatment("person", "{ kind = 'hmac', domain = 'person.id' }")
            .treatment("name", "{ kind = 'keep-ends', first = 1, last = 1 }")
            .treatment("gone", "{ kind = 'null' }")
            .delivery(delivery),
    );
    fs::create_dir_all(site.beside().join("temporary")).expect("a directory");
    site
}

/// Searches all that the site holds but its source, and what runs said.
fn search(site: &Site, is_sealed: bool) {
    let mut places = vec![treated()];
    if is_sealed {
        places.push(delivered());
    }
    for canaries in &places {
        for place in ["outbox", "state", "grants", "keys"] {
            canaries.absent_below(&site.path(place));
        }
        canaries.absent_below(&site.beside().join("temporary"));
        canaries.absent_below(&site.beside().join("log"));
    }
    let keys = keys(site);
    for place in [
        site.path("outbox"),
        site.path("state"),
        site.beside().join("temporary"),
        site.beside().join("log"),
    ] {
        keys.absent_below(&place);
    }
    // Nothing that is said holds a value, delivered or not.
    delivered().absent_below(&site.beside().join("log"));
}

/// Files at the destination that may hold rows.
fn large_files(site: &Site) -> BTreeSet<PathBuf> {
    let files = files_below(&site.path("outbox")).into_iter();
    let large = files.filter(|path| {
        path.metadata()
            .is_ok_and(|found| found.len() >= HALF_WRITTEN)
    });
    large.collect()
}

/// Delivers again.
fn start(site: &Site) -> Child {
    let directory = site.beside().join("log");
    fs::create_dir_all(&directory).expect("a directory");
    let count = files_below(&directory).len();
    let log = File::create(directory.join(format!("{count:02}"))).expect("a log");
    let said = log.try_clone().expect("a log");
    let mut command = site.command();
    command
        .env("LOCKGATE_LOG", "trace")
        .env("TMPDIR", site.beside().join("temporary"))
        .arg("--site")
        .arg(site.root())
        .args(["run", "G-1", "--again"])
        .stdout(said)
        .stderr(Stdio::from(log));
    command.spawn().expect("a run")
}

fn kill(mut run: Child) {
    run.kill().expect("a kill");
    run.wait().expect("an end");
}

/// Runs to the end; gives how long that takes.
pub(super) fn whole(site: &Site) -> Duration {
    let begun = Instant::now();
    assert!(start(site).wait().expect("an end").success());
    begun.elapsed()
}

/// Kills a run when part of a file is on the disk; gives the files that it had begun.
pub(super) fn killed_while_writing(site: &Site) -> BTreeSet<PathBuf> {
    let before = large_files(site);
    let mut run = start(site);
    while large_files(site).is_subset(&before) && run.try_wait().expect("a child").is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    kill(run);
    large_files(site).difference(&before).cloned().collect()
}

/// One kind of delivery: whole, killed while a file is written, and killed at drawn moments.
fn leaves_nothing(delivery: &str, source: (usize, usize)) {
    println!("{delivery}");
    let is_sealed = !delivery.contains("seal = \"none\"");
    let site = site(delivery, source);
    let whole_run = whole(&site);
    search(&site, is_sealed);
    for path in large_files(&site) {
        let bytes = fs::read(&path).expect("a file");
        for part in [&bytes[..], &bytes[..bytes.len() / 2]] {
            let found = delivered().occur_in(part);
            assert_eq!(found, !is_sealed, "{} bytes", part.len());
        }
    }
    let begun = killed_while_writing(&site);
    assert!(!begun.is_empty(), "nothing was on the disk");
    for path in &begun {
        let found = delivered().occur_in(&fs::read(path).expect("a file"));
        assert_eq!(found, !is_sealed, "{}", path.display());
    }
    search(&site, is_sealed);
    // Another moment for each kind.
    let kind = delivery.bytes().map(u64::from).sum::<u64>();
    let mut state = number("LOCKGATE_SEED", SEED).wrapping_add(kind);
    for round in 0..number("LOCKGATE_KILLS", KILLS) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = f64::from(u32::try_from(state >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        let moment = whole_run.mul_f64(share);
        println!("round {round}: killed after {moment:?} of {whole_run:?}");
        let run = start(&site);
        std::thread::sleep(moment);
        kill(run);
        search(&site, is_sealed);
    }
}

#[test]
fn the_scanner_finds_in_the_source_what_runs_must_not_leave() {
    let source = lockgate_acceptance::site::parquet_bytes(&rows(0..1000), 500);
    for canary in ["CANARY-PERSON", "ANARY-NAME", "CANARY-GONE", "CANARY-CLEAR"] {
        let mut canaries = Canaries::default();
        canaries.text(canary);
        assert!(canaries.occur_in(&source), "{canary}");
    }
}

#[test]
fn a_killed_run_of_plain_parquet_leaves_no_value_that_it_was_to_take_away() {
    leaves_nothing("seal = \"none\"\ncompression = \"none\"", GROUPS);
}

#[test]
fn a_killed_run_of_plain_text_leaves_no_value_that_it_was_to_take_away() {
    leaves_nothing("seal = \"none\"\nformat = \"csv\"", GROUPS);
}

#[test]
fn a_killed_run_of_plain_workbooks_leaves_no_value_that_it_was_to_take_away() {
    leaves_nothing("seal = \"none\"\nformat = \"xlsx\"", PACKED);
}

#[test]
fn a_killed_run_of_plain_bundles_leaves_no_value_that_it_was_to_take_away() {
    let bundle = "seal = \"none\"\nformat = \"jsonl\"\nbundle = true";
    leaves_nothing(bundle, PACKED);
}

#[test]
fn a_killed_run_of_sealed_parquet_leaves_no_value() {
    let sealed = "seal = \"parquet\"\ncompression = \"none\"";
    leaves_nothing(sealed, GROUPS);
    leaves_nothing(&format!("{sealed}\nrelease = \"online\""), GROUPS);
}

#[test]
fn a_killed_run_of_envelopes_leaves_no_value() {
    let sealed = "seal = \"envelope\"";
    leaves_nothing(&format!("{sealed}\ncompression = \"none\""), GROUPS);
    let online = format!("{sealed}\nformat = \"csv\"\nrelease = \"online\"");
    leaves_nothing(&online, GROUPS);
    leaves_nothing(
        &format!("{sealed}\nformat = \"jsonl\"\nbundle = true"),
        PACKED,
    );
}
