//! Independent readers: pyarrow and duckdb open what was delivered, and Python recomputes every
//! value from the source with its own HMAC, HKDF, decimals and calendar.
//!
//! `LOCKGATE_ORACLES` names a Python that has both, as CI sets it. **Where it is not set, these
//! tests print that they were skipped, and pass**: a fresh machine needs no Python to build, use or
//! test the product. Set but unusable, they fail.

use std::path::Path;
use std::process::Command;

use lockgate_acceptance::site::{TextForm, finish, in_form, write_parquet};

use crate::people::{self, FIELDS, grant, people};

const SCRIPT: &str = include_str!("recompute.py");

/// The Python to ask, if there is one.
fn python() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("LOCKGATE_ORACLES");
    if python.is_none() {
        println!("skipped: LOCKGATE_ORACLES is not set to a Python with pyarrow and duckdb");
    }
    python
}

/// Lets Python check a delivery of the register against its source.
#[track_caller]
fn recompute(python: &std::ffi::OsStr, source: &Path, delivery: &Path, key: &Path, grant: &str) {
    let mut command = Command::new(python);
    command
        .arg("-c")
        .arg(SCRIPT)
        .arg(source)
        .arg(delivery)
        .arg(key)
        .arg(grant);
    let done = finish(&mut command);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.starts_with("agreed on "), "{done:?}");
}

#[test]
fn pyarrow_duckdb_and_python_agree_with_what_was_delivered() {
    let Some(python) = python() else { return };
    let site = people::bare_site();
    let forms = [
        (0..3_000, TextForm::Utf8),
        (3_000..4_000, TextForm::View),
        (4_000..4_100, TextForm::Dictionary),
    ];
    for (number, (rows, form)) in forms.into_iter().enumerate() {
        let path = site.path(&format!("lake/people/{number}.parquet"));
        write_parquet(&path, &in_form(&people(rows), form), 700);
    }
    site.signed(
        &grant("G-1", &FIELDS)
            .rows("status = 'active' OR status IS NULL")
            .divisions(&["33"]),
    );
    let delivery = site.deliver("G-1");
    let (source, key) = (site.path("lake/people"), site.path("keys/pseudonym.v1.key"));
    recompute(&python, &source, delivery.folder(), &key, "G-1");
}

#[test]
fn an_empty_delivery_opens_too() {
    let Some(python) = python() else { return };
    let site = people::site(100);
    site.signed(&grant("G-1", &FIELDS).rows("id < 0").divisions(&["33"]));
    let delivery = site.deliver("G-1");
    let (source, key) = (site.path("lake/people"), site.path("keys/pseudonym.v1.key"));
    // Nothing of the source is in scope for the script either.
    std::fs::remove_file(source.join("1.parquet")).expect("a file");
    write_parquet(&source.join("1.parquet"), &people(0..0), 100);
    recompute(&python, &source, delivery.folder(), &key, "G-1");
}

/// The oracle itself finds a difference, or its agreement would mean nothing.
#[test]
fn the_oracle_notices_another_key_and_another_source() {
    let Some(python) = python() else { return };
    let site = people::site(200);
    site.signed(
        &grant("G-1", &FIELDS)
            .rows("status = 'active' OR status IS NULL")
            .divisions(&["33"]),
    );
    let delivery = site.deliver("G-1");
    let source = site.path("lake/people");
    let run = |key: &Path, grant: &str| {
        let mut command = Command::new(&python);
        command
            .arg("-c")
            .arg(SCRIPT)
            .arg(&source)
            .arg(delivery.folder())
            .arg(key)
            .arg(grant);
        finish(&mut command)
    };
    let key = site.path("keys/pseudonym.v1.key");
    run(&key, "G-1").expect_code(0);
    assert_ne!(run(&site.path("keys/mark.v1.key"), "G-1").code, 0);
    assert_ne!(run(&key, "G-2").code, 0);
    write_parquet(&source.join("1.parquet"), &people(1..201), 100);
    assert_ne!(run(&key, "G-1").code, 0);
}
