//! The ledger's files in every kind of disorder: verification says so, and no run goes on over it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockgate_acceptance::site::{Finished, Site};
use lockgate_connectors::keyring::{LocalKeyring, Purpose};

use super::{Chance, rounds, survives};
use crate::people::{self, grant};

fn site() -> Site {
    let site = people::site(20);
    for version in 1..=3 {
        site.signed(&grant("G-1", &["id"]).version(version));
    }
    site.run("G-1").expect_code(0);
    site
}

fn command(site: &Site, arguments: &[&str]) -> Finished {
    survives(
        site.command()
            .args(["--site", "site", "--json"])
            .args(arguments),
    )
}

/// Every file of the ledger, but for the lock, which holds nothing.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("the ledger") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if fs::metadata(&path).expect("a file").len() > 0 {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Neither does the ledger verify, nor does anything more leave.
#[track_caller]
fn stopped(site: &Site, what: &str) {
    let verified = command(site, &["ledger", "verify"]);
    assert_eq!(verified.code, 4, "{what}: {verified:?}");
    assert_eq!(verified.document()["valid"], false, "{what}");
    let run = command(site, &["run", "G-1", "--again"]);
    assert_eq!(run.code, 1, "{what}: {run:?}");
}

#[test]
fn a_ledger_file_that_is_cut_lost_or_altered_is_found_and_stops_the_run() {
    let site = site();
    let mut chance = Chance::new(21);
    let ledger = site.path("state/ledger");
    for file in files(&ledger) {
        let whole = fs::read(&file).expect("a file");
        let name = file
            .strip_prefix(&ledger)
            .expect("a name")
            .display()
            .to_string();
        let mut forms = vec![whole[..whole.len() / 2].to_vec(), vec![0; whole.len()]];
        forms.extend((0..2 * rounds()).map(|_| chance.mutate(&whole)));
        for form in forms {
            if form == whole {
                continue;
            }
            fs::write(&file, &form).expect("a file");
            stopped(&site, &name);
        }
        fs::remove_file(&file).expect("removed");
        stopped(&site, &format!("{name} lost"));
        fs::write(&file, &whole).expect("a file");
    }
    let verified = command(&site, &["ledger", "verify"]);
    assert_eq!(verified.code, 0, "restored: {verified:?}");
    command(&site, &["run", "G-1", "--again"]).expect_code(0);
}

#[test]
fn any_flipped_byte_of_a_ledger_is_found() {
    let site = site();
    let directory = site.path("state/ledger");
    let keyring = LocalKeyring::open(site.path("keys"));
    let keys = keyring.verifying_keys(Purpose::Ledger).expect("keys");
    let is_valid = || lockgate::ledger::verify(&directory, Some(&keys)).valid;
    assert!(is_valid());
    let files = files(&directory);
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        let whole = fs::read(&file).expect("a file");
        for position in 0..whole.len() {
            let mut altered = whole.clone();
            altered[position] ^= 1 << (position % 8);
            fs::write(&file, altered).expect("a file");
            assert!(!is_valid(), "{}, byte {position}", file.display());
        }
        fs::write(&file, &whole).expect("a file");
    }
    assert!(is_valid());
    command(&site, &["ledger", "verify"]).expect_code(0);
}

#[test]
fn something_else_in_place_of_a_ledger_file_is_an_error_with_a_place() {
    let site = site();
    for file in files(&site.path("state/ledger")) {
        let aside = site.path("aside");
        fs::rename(&file, &aside).expect("moved away");
        let made = Command::new("mkfifo").arg(&file).status();
        assert!(made.expect("mkfifo").success(), "a pipe");
        let run = command(&site, &["run", "G-1", "--again"]);
        assert_eq!(run.code, 1, "{run:?}");
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("a directory");
        let run = command(&site, &["run", "G-1", "--again"]);
        assert_eq!(run.code, 1, "{run:?}");
        let shown = run.document();
        assert!(
            shown["error"]["what"]
                .as_str()
                .is_some_and(|what| !what.is_empty()),
            "{shown}"
        );
        fs::remove_dir(&file).expect("removed");
        fs::rename(&aside, &file).expect("moved back");
    }
    command(&site, &["run", "G-1", "--again"]).expect_code(0);
}

#[test]
fn a_file_in_place_of_the_state_ends_every_command_that_needs_it() {
    let site = site();
    fs::rename(site.path("state"), site.path("aside")).expect("moved away");
    fs::write(site.path("state"), "no directory").expect("a file");
    for arguments in [
        &["run", "G-1"][..],
        &["preview", "G-1"],
        &["ledger", "verify"],
        &["ledger", "list"],
    ] {
        let finished = command(&site, arguments);
        assert!(
            matches!(finished.code, 1 | 2 | 4),
            "{arguments:?}: {finished:?}"
        );
    }
    let outbox = fs::read_dir(site.path("outbox").join("G-1")).expect("deliveries");
    assert_eq!(outbox.count(), 1, "the one of before");
}
