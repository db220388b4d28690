//! Every sample does what its `expected.toml` says.

use std::collections::BTreeSet;
use std::sync::Arc;

use lockgate::approval_record::sign_and_record;
use lockgate::clock::Clock;
use lockgate::demo::sample;
use lockgate::engine::Progress;
use lockgate::error::RunError;
use lockgate::installation::Installation;
use lockgate::plan::Refusal;
use lockgate::run::{RunRequest, run};
use lockgate::site::dataset::Mode;
use tokio_util::sync::CancellationToken;

use super::*;

fn expected(sample: &Path) -> Expected {
    toml::from_str(&fs::read_to_string(sample.join("expected.toml")).unwrap()).unwrap()
}

fn codes(refusals: &[Refusal]) -> BTreeSet<String> {
    refusals
        .iter()
        .map(|refusal| refusal.code.to_string())
        .collect()
}

#[test]
fn there_are_samples_and_each_has_its_readme_in_both_languages() {
    let samples = samples().unwrap();
    assert!(samples.len() >= 3);
    for sample in samples {
        for readme in ["README.md", "README.zh.md"] {
            assert!(
                sample.join(readme).is_file(),
                "{} lacks {readme}",
                sample.display()
            );
        }
    }
}

#[test]
fn samples_hold_no_private_key() {
    fn walk(directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path);
            } else {
                let bytes = fs::read(&path).unwrap();
                let holds = bytes.windows(13).any(|part| part == b"lockgate-key:");
                assert!(!holds, "{} holds a private key", path.display());
            }
        }
    }
    for sample in samples().unwrap() {
        walk(&sample);
    }
}

#[test]
fn samples_check_without_a_problem_as_they_are() {
    for sample in samples().unwrap() {
        let site = lockgate::site::Site::load(&sample).unwrap();
        assert!(
            site.problems.is_empty(),
            "{}: {:#?}",
            sample.display(),
            site.problems
        );
    }
}

#[test]
fn data_is_what_the_generator_makes() {
    for sample in samples().unwrap() {
        let directory = tempfile::tempdir().unwrap();
        for data in expected(&sample).data {
            data.write(directory.path()).unwrap();
            let generated = fs::read(directory.path().join(&data.file)).unwrap();
            let kept = fs::read(sample.join("data").join(&data.file)).unwrap();
            assert!(
                generated == kept,
                "{} of {} differs",
                data.file,
                sample.display()
            );
        }
    }
}

/// `cargo test -p lockgate-samples -- --ignored` after a change of the generator.
#[test]
#[ignore = "rewrites the files of data/ in the source tree"]
fn rewrite_data() {
    for sample in samples().unwrap() {
        for data in expected(&sample).data {
            data.write(&sample.join("data")).unwrap();
        }
    }
}

#[test]
fn every_grant_of_a_sample_is_expected() {
    for sample in samples().unwrap() {
        let site = lockgate::site::Site::load(&sample).unwrap();
        let grants: BTreeSet<&str> = site.grants.keys().map(String::as_str).collect();
        let expected = expected(&sample);
        let expected: BTreeSet<&str> = expected.grants.iter().map(|g| g.id.as_str()).collect();
        assert_eq!(grants, expected, "{}", sample.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_do_what_is_expected() {
    for sample in samples().unwrap() {
        let directory = tempfile::tempdir().unwrap();
        let site = directory.path().join("site");
        let keys = sample::prepare(&sample, &site).unwrap();
        for grant in expected(&sample).grants {
            let place = format!("{}, {}", sample.display(), grant.id);
            let refusals: BTreeSet<String> = grant.refusals.iter().cloned().collect();
            let installation = Installation::open(&site, Clock::System).unwrap();
            match sign_and_record(&installation, &grant.id, &keys.approver) {
                Ok(_) => assert!(refusals.is_empty(), "{place} was signed"),
                Err(RunError::Refused(found)) => assert_eq!(codes(&found), refusals, "{place}"),
                Err(error) => panic!("{place}: {error}"),
            }
            Box::pin(holds(&site, &grant, &place)).await;
        }
    }
}

async fn holds(site: &Path, grant: &ExpectedGrant, place: &str) {
    let installation = Installation::open(site, Clock::System).unwrap();
    let compiled = installation.compile(&grant.id, Mode::Batch).unwrap();
    let withheld: Vec<&str> = compiled
        .plan()
        .withheld
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    assert_eq!(withheld, grant.withheld, "{place}");
    let warnings: BTreeSet<&str> = compiled.warnings().iter().map(|w| w.code).collect();
    assert_eq!(
        warnings,
        grant.warnings.iter().map(String::as_str).collect(),
        "{place}"
    );

    let request = RunRequest {
        grant: &grant.id,
        output: None,
        again: false,
    };
    let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
    let report = Box::pin(run(&installation, &request, progress, &cancel))
        .await
        .unwrap();
    assert_eq!(report.status.as_str(), grant.status, "{place}");
    let rows = report.rows.map(|rows| Rows {
        read: rows.read,
        filtered: rows.filtered,
        rejected: rows.rejected,
        delivered: rows.delivered,
    });
    assert_eq!(rows, grant.rows, "{place}");
    let refused = codes(&report.refusals);
    assert!(
        grant.refusals.iter().all(|code| refused.contains(code)),
        "{place}: {refused:?}"
    );
    assert_eq!(
        report.refusals.is_empty(),
        grant.refusals.is_empty(),
        "{place}"
    );
    assert!(
        report
            .refusals
            .iter()
            .all(|r| r.code.to_string() != "prohibited" || r.basis.is_some())
    );
}
