//! Runs, run again: unchanged, again, elsewhere, until the quota is used up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use lockgate_acceptance::site::{Delivery, Site};

use crate::PROGRAM;
use crate::people::{self, FIELDS, grant};

/// Every folder of a grant in the outbox, sorted.
fn deliveries(site: &Site, grant: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(site.path("outbox").join(grant)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_demo_makes_a_site_that_delivers_verifies_and_stays_unchanged() {
    let site = Site::new(PROGRAM);
    let made = site.bare(["--json", "demo", "--rows", "3000", "--dir", "try"]);
    let document = made.expect_code(0).document();
    let run = &document["run"];
    let rows = &run["rows"];
    let count = |name: &str| rows[name].as_u64().unwrap_or_else(|| panic!("{rows}"));
    assert_eq!(
        count("read"),
        count("filtered") + count("rejected") + count("delivered")
    );
    assert!(count("delivered") > 0, "{document}");
    // The prohibited grant was refused with its basis.
    assert_eq!(document["refusals"][0]["code"], "prohibited");
    assert!(
        document["refusals"][0]["basis"]
            .as_str()
            .is_some_and(|basis| !basis.is_empty())
    );
    let delivery = Delivery::of_run(run);
    assert_eq!(delivery.rows().num_rows() as u64, count("delivered"));
    let folder = delivery.folder().to_str().expect("a path");
    let verified = site.bare(["--json", "verify", folder, "--key", "try/keys/manifest.pub"]);
    assert_eq!(verified.expect_code(0).document()["valid"], true);
    let id = run["grant"].as_str().expect("a grant");
    let again = site.bare(["--site", "try", "--json", "run", id]);
    assert_eq!(again.expect_code(0).document()["status"], "unchanged");
    assert_eq!(again.document()["delivery"], run["delivery"]);
    let exempted = site.bare(["--site", "try", "--json", "run", "G-exempted"]);
    assert!([0, 5].contains(&exempted.code), "{exempted:?}");
}

#[test]
fn the_same_run_is_unchanged_and_writes_nothing() {
    let site = people::site(500);
    site.signed(&grant("G-1", &FIELDS).more("quota = { runs = 2 }"));
    let first = site.run("G-1").expecting(0).document();
    assert_eq!(first["status"], "delivered");
    let before = deliveries(&site, "G-1");
    for _ in 0..3 {
        let second = site.run("G-1").expecting(0).document();
        assert_eq!(second["status"], "unchanged");
        for key in ["run", "delivery", "manifest", "grant"] {
            assert_eq!(second[key], first[key], "{key}");
        }
        assert!(second["rows"].is_null(), "nothing was read");
    }
    assert_eq!(deliveries(&site, "G-1"), before);
    // No quota was used: a second delivery is still allowed, a third is not.
    site.json(["run", "G-1", "--again"]).expect_code(0);
    let refused = site.json(["run", "G-1", "--again"]);
    assert_eq!(refused.expecting(3).refusals(), ["quota"]);
}

#[test]
fn again_raises_the_generation_and_delivers_the_same_content() {
    let site = people::site(500);
    site.signed(&grant("G-1", &FIELDS));
    let first = site.run("G-1").expecting(0).document();
    let second = site.json(["run", "G-1", "--again"]).expecting(0).document();
    let third = site.json(["run", "G-1", "--again"]).expecting(0).document();
    assert_eq!(second["status"], "delivered");
    let runs = [&first["run"], &second["run"], &third["run"]];
    assert!(
        runs[0] != runs[1] && runs[1] != runs[2] && runs[0] != runs[2],
        "{runs:?}"
    );
    assert_eq!(deliveries(&site, "G-1").len(), 3);
    let delivered = [&first, &second, &third].map(Delivery::of_run);
    assert_eq!(delivered[0].bytes(), delivered[1].bytes());
    assert_eq!(delivered[0].bytes(), delivered[2].bytes());
    // Each names the one before it.
    let previous = |delivery: &Delivery| delivery.manifest()["previous"].clone();
    assert!(previous(&delivered[0]).is_null());
    assert!(previous(&delivered[1]).is_string() && previous(&delivered[2]).is_string());
    assert_ne!(previous(&delivered[1]), previous(&delivered[2]));
    // Without `--again`, the latest is the one that is unchanged.
    let last = site.run("G-1").expecting(0).document();
    assert_eq!(
        (last["status"].as_str(), &last["run"]),
        (Some("unchanged"), &third["run"])
    );
}

/// BenchBox#1512: a second pass made pseudonyms of pseudonyms, so that one machine had two.
#[test]
fn a_run_started_again_gives_nobody_a_second_pseudonym() {
    let site = people::site(300);
    let source = site.path("lake/people/1.parquet");
    let original = fs::read(&source).expect("the source");
    site.signed(&grant("G-1", &["id", "person_id"]));
    let first = site.run("G-1").expecting(0).document();
    let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
    lockgate_acceptance::site::write_parquet(
        &site.path("lake/people/2.parquet"),
        &people::people(300..400),
        50,
    );
    let grown = site.run("G-1").expecting(0).document();
    // What a run reads is what was there before it, never what another made of it.
    assert_eq!(fs::read(&source).expect("the source"), original);
    let mut pseudonyms: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (run, rows) in [(&first, 300), (&again, 300), (&grown, 400)] {
        assert_eq!(run["status"], "delivered");
        let delivered = Delivery::of_run(run).rows();
        assert_eq!(delivered.num_rows(), rows);
        let ids = delivered.column(0).as_primitive::<Int64Type>().iter();
        for (id, pseudonym) in ids.zip(delivered.column(1).as_string::<i32>()) {
            let known = pseudonyms.entry(id.expect("an id")).or_default();
            known.insert(pseudonym.expect("a pseudonym").to_owned());
        }
    }
    assert_eq!(pseudonyms.len(), 400);
    let twice = pseudonyms.iter().find(|(_, known)| known.len() > 1);
    assert!(twice.is_none(), "{twice:?}");
    let distinct: BTreeSet<&String> = pseudonyms.values().flatten().collect();
    assert_eq!(distinct.len(), 400, "one for everybody");
}

#[test]
fn a_changed_source_is_a_new_delivery() {
    let site = people::site(300);
    site.signed(&grant("G-1", &["id"]));
    let first = site.run("G-1").expecting(0).document();
    lockgate_acceptance::site::write_parquet(
        &site.path("lake/people/2.parquet"),
        &people::people(300..400),
        50,
    );
    let second = site.run("G-1").expecting(0).document();
    assert_eq!(second["status"], "delivered");
    assert_ne!(first["run"], second["run"]);
    assert_eq!(second["rows"]["delivered"], 400);
}

#[test]
fn output_delivers_elsewhere_and_is_unchanged_there() {
    let site = people::site(300);
    site.signed(&grant("G-1", &["id", "name"]));
    let elsewhere = site.beside().join("elsewhere");
    let first = site
        .json(["run", "G-1", "--output", "elsewhere"])
        .expecting(0)
        .document();
    let url = first["delivery"].as_str().expect("a URL");
    assert!(
        url.starts_with(&format!("file://{}/G-1/", elsewhere.display())),
        "{url}"
    );
    assert_eq!(Delivery::of_run(&first).rows().num_rows(), 300);
    assert!(
        !site.path("outbox/G-1").exists(),
        "the site's own store stays untouched"
    );
    let second = site
        .json(["run", "G-1", "--output", "elsewhere"])
        .expecting(0)
        .document();
    assert_eq!(second["status"], "unchanged");
    // Another destination is another run.
    let third = site.run("G-1").expecting(0).document();
    assert_eq!(third["status"], "delivered");
    assert_ne!(third["run"], first["run"]);
    assert_eq!(
        Delivery::of_run(&third).bytes(),
        Delivery::of_run(&first).bytes()
    );
}

#[test]
fn a_job_runs_its_grant_into_its_directory() {
    let site = people::site(200);
    site.signed(&grant("G-1", &["id"]));
    site.write(
        "jobs/nightly.toml",
        "id = 'nightly'\ngrant = 'G-1'\noutput = 'nightly-out'\n",
    );
    let run = site.json(["run", "nightly"]).expecting(0).document();
    assert_eq!(run["grant"], "G-1");
    let url = run["delivery"].as_str().expect("a URL");
    assert!(url.contains("/site/nightly-out/G-1/"), "{url}");
}

#[test]
fn a_quota_of_rows_is_held_to_the_row() {
    let site = people::site(300);
    site.signed(&grant("G-1", &["id"]).more("quota = { rows = 600 }"));
    site.run("G-1").expect_code(0);
    site.json(["run", "G-1", "--again"]).expect_code(0);
    assert_eq!(
        site.json(["run", "G-1", "--again"]).expecting(3).refusals(),
        ["quota"]
    );
    // What would go beyond the quota is refused as a whole, and leaves nothing.
    site.signed(&grant("G-2", &["id"]).more("quota = { rows = 299 }"));
    let refused = site.run("G-2").expecting(3);
    assert_eq!(refused.refusals(), ["quota"]);
    assert_eq!(refused.document()["status"], "refused");
    for delivery in deliveries(&site, "G-2") {
        let folder = site.path("outbox/G-2").join(delivery);
        let left = fs::read_dir(folder).expect("a folder").count();
        assert_eq!(left, 0, "nothing staged is left");
    }
}

#[test]
fn a_new_version_of_a_grant_keeps_its_quota_and_delivers_anew() {
    let site = people::site(200);
    site.signed(&grant("G-1", &["id"]).more("quota = { runs = 2 }"));
    let first = site.run("G-1").expecting(0).document();
    site.signed(
        &grant("G-1", &["id"])
            .more("quota = { runs = 2 }")
            .version(2),
    );
    let second = site.run("G-1").expecting(0).document();
    assert_eq!(second["status"], "delivered");
    assert_ne!(first["run"], second["run"]);
    let refused = site.json(["run", "G-1", "--again"]);
    assert_eq!(refused.expecting(3).refusals(), ["quota"]);
}

#[test]
fn two_processes_deliver_one_grant_once() {
    let site = people::site(2_000);
    site.signed(&grant("G-1", &FIELDS));
    let runs = std::thread::scope(|scope| {
        let start = || scope.spawn(|| site.run("G-1"));
        let runs: Vec<_> = (0..3).map(|_| start()).collect();
        runs.into_iter()
            .map(|run| run.join().expect("a run"))
            .collect::<Vec<_>>()
    });
    let mut statuses: Vec<String> = runs
        .iter()
        .map(|run| {
            run.expect_code(0).document()["status"]
                .as_str()
                .expect("a status")
                .to_owned()
        })
        .collect();
    statuses.sort();
    assert_eq!(statuses, ["delivered", "unchanged", "unchanged"]);
    assert_eq!(deliveries(&site, "G-1").len(), 1);
}
