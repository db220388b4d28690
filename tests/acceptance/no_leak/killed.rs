//! Runs killed at any moment, sealed or not: no value that was treated is left anywhere, and of a
//! sealed one no value at all.
//!
//! Moments are drawn from the whole of an undisturbed run. `LOCKGATE_KILLS` says how many there are for
//! each kind of seal, `LOCKGATE_SEED` which.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lockgate_acceptance::site::{Dataset, Grant, Site, write_parquet};

use super::scanner::{Canaries, files_below, pages};
use crate::PROGRAM;
use crate::exchange_site::number;

const FILES: usize = 12;
const ROWS: usize = 2_000;
const KILLS: u64 = 3;
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

fn rows() -> RecordBatch {
    let of = |name: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            (0..ROWS).map(|row| format!("CANARY-{name}-{row}")),
        ))
    };
    RecordBatch::try_from_iter([
        ("person", of("PERSON")),
        ("name", of("NAME")),
        ("gone", of("GONE")),
        ("open", of("CLEAR")),
    ])
    .expect("columns of one length")
}

fn site(seal: &str) -> Site {
    let site = Site::new(PROGRAM);
    let mut dataset = Dataset::new("secret");
    for name in ["person", "name", "gone", "open"] {
        dataset = dataset.plain(name, "utf8");
    }
    site.dataset(&dataset);
    for file in 0..FILES {
        let path = site.path(&format!("lake/secret/{file:02}.parquet"));
        write_parquet(&path, &rows(), 500);
    }
    site.signed(
        &Grant::new("G-1", "secret", &["person", "name", "gone", "open"])
            .treatment("person", "{ kind = 'hmac', domain = 'person.id' }")
            .treatment("name", "{ kind = 'keep-ends', first = 1, last = 1 }")
            .treatment("gone", "{ kind = 'null' }")
            .delivery(&format!("seal = \"{seal}\"")),
    );
    site
}

/// Searches all that the site holds but its source.
fn search(site: &Site, seal: &str) {
    let mut places = vec![treated()];
    if seal != "none" {
        places.push(delivered());
    }
    for canaries in &places {
        for place in ["outbox", "state", "grants", "keys"] {
            canaries.absent_below(&site.path(place));
        }
        canaries.absent_below(&site.beside().join("temporary"));
    }
}

#[test]
fn a_run_killed_at_any_moment_leaves_no_value_that_it_was_to_take_away() {
    let kills = number("LOCKGATE_KILLS", KILLS);
    let mut state = number("LOCKGATE_SEED", SEED);
    // The control: the scanner finds them where they are.
    let source = lockgate_acceptance::site::parquet_bytes(&rows(), 500);
    let mut source_pages = source.clone();
    source_pages.extend(pages(&source).concat());
    assert_eq!(treated().found(&source_pages).len(), 3);
    assert_eq!(delivered().found(&source_pages).len(), 1);
    for seal in ["none", "parquet", "envelope"] {
        let site = site(seal);
        fs::create_dir_all(site.beside().join("temporary")).expect("a directory");
        let begun = Instant::now();
        run(&site, None);
        let whole = begun.elapsed();
        search(&site, seal);
        if seal == "none" {
            let files = files_below(&site.path("outbox"));
            let found = files.iter().any(|file| {
                let bytes = fs::read(file).expect("a file");
                pages(&bytes)
                    .iter()
                    .any(|page| !delivered().found(page).is_empty())
            });
            assert!(found, "what is delivered clear is in plain files");
        }
        for round in 0..kills {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let share = f64::from(u32::try_from(state >> 32).unwrap_or(0)) / f64::from(u32::MAX);
            let moment = whole.mul_f64(share);
            eprintln!("seal {seal}, round {round}: killed after {moment:?} of {whole:?}");
            run(&site, Some(moment));
            search(&site, seal);
        }
        run(&site, None);
        search(&site, seal);
    }
}

/// Delivers again, to the end or until it is killed.
fn run(site: &Site, moment: Option<Duration>) {
    let mut command = site.command();
    command
        .env("LOCKGATE_LOG", "trace")
        .env("TMPDIR", site.beside().join("temporary"))
        .arg("--site")
        .arg(site.root())
        .args(["run", "G-1", "--again"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("a run");
    let Some(moment) = moment else {
        assert!(child.wait().expect("an end").success());
        return;
    };
    std::thread::sleep(moment);
    child.kill().expect("a kill");
    child.wait().expect("an end");
}
