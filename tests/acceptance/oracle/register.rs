//! The register of people, with the treatments it has: every value recomputed.

use std::ffi::OsString;

use lockgate_acceptance::site::{Delivery, Finished, Site, TextForm, in_form, write_parquet};
use serde_json::json;

use super::{ask, python};
use crate::people::{self, FIELDS, grant, people};

/// Lets Python check a delivery of the register against its source, as one of a grant.
fn judge(python: &OsString, site: &Site, delivery: &Delivery, grant: &str) -> Finished {
    let request = json!({
        "source": site.path("lake/people"),
        "keys": site.path("keys"),
        "delivery": delivery.folder(),
        "grant": grant,
    });
    ask(python, "register.py", "check", &request)
}

#[track_caller]
fn agrees(python: &OsString, site: &Site, delivery: &Delivery) {
    let done = judge(python, site, delivery, "G-1");
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
    agrees(&python, &site, &site.deliver("G-1"));
}

#[test]
fn an_empty_delivery_opens_too() {
    let Some(python) = python() else { return };
    let site = people::site(100);
    site.signed(&grant("G-1", &FIELDS).rows("id < 0").divisions(&["33"]));
    let delivery = site.deliver("G-1");
    // Nothing of the source is in scope for the script either.
    let source = site.path("lake/people/1.parquet");
    std::fs::remove_file(&source).expect("a file");
    write_parquet(&source, &people(0..0), 100);
    agrees(&python, &site, &delivery);
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
    let verdict = |grant: &str| judge(&python, &site, &delivery, grant);
    verdict("G-1").expect_code(0);
    assert_ne!(verdict("G-2").code, 0);
    write_parquet(&site.path("lake/people/1.parquet"), &people(1..201), 100);
    assert_ne!(verdict("G-1").code, 0);
    write_parquet(&site.path("lake/people/1.parquet"), &people(0..200), 100);
    verdict("G-1").expect_code(0);
    site.json(["keys", "new", "pseudonym"]).expect_code(0);
    std::fs::rename(
        site.path("keys/pseudonym.v2.key"),
        site.path("keys/pseudonym.v1.key"),
    )
    .expect("another key in the place of the first");
    assert_ne!(verdict("G-1").code, 0);
}
