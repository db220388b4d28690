//! The keys of a delivery are staged last: what a run was killed over, or what the gates held back, opens
//! for nobody, whoever watched the destination meanwhile.

use lockgate_acceptance::s3::Operation;

use crate::exchange_site::{ExchangeSite, GRANT as PAYMENTS, server};

/// Makes the exchange a sealed one, whose keys go with it.
fn seal(site: &ExchangeSite) {
    let grant = format!("grants/{PAYMENTS}.toml");
    site.edit(&grant, "seal = \"none\"", "seal = \"parquet\"");
    site.sign(PAYMENTS);
}

#[test]
fn a_killed_run_leaves_no_keys_to_what_it_staged() {
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    seal(&site);
    // Of each file the footer is read before the attempt begins, and the rows after.
    let hold = server.faults().hold(Operation::Get, 8);
    let mut run = site.start_run();
    assert!(run.reaches(|| hold.holds_one()));
    assert!(site.path("outbox").join(PAYMENTS).exists());
    assert!(!site.has_file("keys.json"));
    run.kill();
    drop(hold);
    server.faults().clear();
    assert!(!site.has_file("keys.json"));
    assert!(site.run().delivered());
    assert!(site.has_file("keys.json"));
}

#[test]
fn what_the_quota_holds_back_never_had_keys() {
    let site = ExchangeSite::on_files();
    let grant = format!("grants/{PAYMENTS}.toml");
    site.edit(
        &grant,
        "quota = { runs = 1 }",
        "quota = { runs = 1, rows = 10 }",
    );
    seal(&site);
    let mut run = site.start_run();
    assert!(run.reaches(|| site.has_file(".parquet")));
    assert!(!run.reaches(|| site.has_file("keys.json")));
    let ended = run.ended();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.document()["refusals"][0]["code"], "quota");
}
