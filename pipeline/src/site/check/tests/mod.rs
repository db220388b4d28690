mod single_faults;

use std::fs;
use std::path::Path;

use super::*;
use crate::site::SiteError;

const APPROVER: &str = "ed25519:WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";

/// The files of design.md, with what they refer to.
const SITE: &str = r#"# lockgate.toml
[site]
name = "hangzhou-data-hub"
tier = "regional"                       # national | regional | sector
timezone = "Asia/Shanghai"
[stores.lake]
url = "file:///srv/lake"                # file, s3, az, gs, http(s)
[databases.psb]
url = "postgres://reader@db.internal/psb"
password = { env = "PSB_PASSWORD" }
max_connections = 4
[keys]
provider = "local"                      # local | pkcs11
path = "keys"
[delivery]
store = "outbox"                        # batch deliveries land here
[approvers.data-office]
public_key = "ed25519:…"
providers = ["public-security"]         # whose data this approver may release
[limits]
memory = "512MiB"
threads = 0                             # 0 = all cores
[preview]
before = false                          # may operators of this site see originals
[stores.outbox]
url = "file:outbox"
"#;

const DATASET: &str = r#"# catalogue/residents.toml
id = "residents"
title = "常住人口基本信息"
provider = "public-security"
source = { store = "lake", path = "residents/", format = "parquet" }   # or { database = "psb", table = "public.residents" }
sharing = "conditional"                 # unconditional | conditional | prohibited (then `basis` is required)
modes = ["batch", "download"]
update = "daily"
key = ["person_id"]
division = "region_code"                # the column that carries the GB/T 2260 code
cursor = "updated_at"                   # for incremental runs
[[fields]]
name = "person_id"
type = "utf8"
title = "公民身份号码"
category = "resident-id"
level = 3
[[fields]]
name = "income"
type = "decimal(12,2)"
category = "income"
level = 3
tolerance = "5.00"                      # how far the provider lets a mark move a value; absent = never
[[fields]]
name = "name"
type = "utf8"
category = "person-name"
level = 3
[[fields]]
name = "birth_date"
type = "date"
category = "birth-date"
level = 2
[[fields]]
name = "region_code"
type = "utf8"
category = "division-code"
level = 1
[[fields]]
name = "status"
type = "utf8"
category = "status"
level = 1
[[fields]]
name = "updated_at"
type = "timestamp(us)"
category = "timestamp"
level = 1
"#;

const POLICY: &str = r#"# policy.toml — the first rule that matches wins; a field that no rule matches is withheld
[sealing]
from_level = 3                          # a delivery with a field at or above it must be sealed; absent = never demanded
[[rules]]
category = "resident-id"                # category, min_level, max_level, fields: all optional, absent matches all
min_level = 3
treatment = { kind = "hmac", domain = "person.id" }
[[rules]]
category = "person-name"
treatment = { kind = "keep-ends", first = 1, last = 0 }
"#;

const GRANT: &str = r#"# grants/G-2026-0117.toml  (+ G-2026-0117.toml.sig)
id = "G-2026-0117"
version = 1
dataset = "residents"
recipient = "civil-affairs"
purpose = "最低生活保障资格核查"
basis = "…"
scenario = "…"
fields = ["person_id", "name", "birth_date", "income", "region_code", "updated_at"]   # delivered in this order
rows = "status = 'active'"              # a predicate over the dataset's fields
divisions = ["3301"]                    # only rows whose division code starts so (text prefix)
modes = ["batch"]
valid = { from = 2026-01-01, until = 2099-12-31 }   # both days inclusive, in the site's zone
quota = { runs = 400, rows = 50_000_000 }
retention = "180d"
[treatments]
income = { kind = "round", to = "1000" }   # numbers of decimal fields are text, so that nothing is lost
[[exemptions]]
field = "birth_date"
treatment = { kind = "clear" }
reason = "…"
approver = "data-office"
[delivery]
format = "parquet"                      # parquet | csv | xlsx | jsonl | arrow
compression = "zstd(1)"
seal = "parquet"                        # parquet (modular encryption) | envelope | none; absent = the strongest the format has
"#;

const RECIPIENT: &str = r#"id = "civil-affairs"
name = "民政局"
tier = "regional"
division = "330100"
public_keys = ["x25519:CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
"#;

const JOB: &str = r#"id = "nightly"
grant = "G-2026-0117"
schedule = "30 2 * * *"
"#;

/// The files of a site, to be changed before it is written.
struct Files(Vec<(&'static str, String)>);

impl Files {
    fn good() -> Self {
        Self(vec![
            ("lockgate.toml", SITE.replace("ed25519:…", APPROVER)),
            ("policy.toml", POLICY.to_owned()),
            ("catalogue/residents.toml", DATASET.to_owned()),
            ("grants/G-2026-0117.toml", GRANT.to_owned()),
            ("recipients/civil-affairs.toml", RECIPIENT.to_owned()),
            ("jobs/nightly.toml", JOB.to_owned()),
        ])
    }

    /// Replaces a text that stands in a file once or more.
    fn with(mut self, file: &str, from: &str, to: &str) -> Self {
        let (_, text) = self.0.iter_mut().find(|(name, _)| *name == file).unwrap();
        assert!(text.contains(from), "{from}");
        *text = text.replacen(from, to, 1);
        self
    }

    fn and(mut self, file: &'static str, text: &str) -> Self {
        self.0.push((file, text.to_owned()));
        self
    }

    fn without(mut self, file: &str) -> Self {
        self.0.retain(|(name, _)| *name != file);
        self
    }

    fn write(&self, root: &Path) {
        for (file, text) in &self.0 {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn load(&self) -> Site {
        let root = tempfile::tempdir().unwrap();
        self.write(root.path());
        Site::load(root.path()).unwrap()
    }

    /// Problems as `FILE:LINE:COLUMN: WHAT; HINT`.
    fn problems(&self) -> Vec<String> {
        self.load()
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

#[test]
fn the_files_of_the_contract_have_no_problems() {
    assert_eq!(Files::good().problems(), Vec::<String>::new());
    let site = Files::good().load();
    assert_eq!(site.datasets["residents"].fields.len(), 7);
    assert_eq!(site.file.sha256.len(), 64);
    assert_eq!(site.grants["G-2026-0117"].file, "grants/G-2026-0117.toml");
}

#[test]
fn refusals_are_no_problems() {
    let problems = Files::good()
        .with(
            "grants/G-2026-0117.toml",
            "until = 2099-12-31",
            "until = 2026-01-01",
        )
        .with("grants/G-2026-0117.toml", "runs = 400", "runs = 0")
        .with("grants/G-2026-0117.toml", "[\"batch\"]", "[\"download\"]")
        .with(
            "catalogue/residents.toml",
            "modes = [\"batch\", \"download\"]",
            "modes = []",
        )
        .with(
            "catalogue/residents.toml",
            "\"conditional\"",
            "\"prohibited\"\nbasis = \"法\"",
        )
        .with("catalogue/residents.toml", "level = 3", "level = \"core\"")
        .problems();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_rule_that_does_not_fit_concerns_only_that_dataset() {
    let site = Files::good()
        .with(
            "policy.toml",
            "category = \"person-name\"",
            "fields = [\"birth_date\", \"none\"]",
        )
        .load();
    let [problem] = site.problems.as_slice() else {
        panic!("{:?}", site.problems)
    };
    assert_eq!(
        (problem.file.as_str(), problem.line, problem.column),
        ("policy.toml", 10, 13)
    );
    assert!(
        problem
            .what
            .contains("field `birth_date` of catalogue/residents.toml")
    );
    assert_eq!(
        site.problems_of(&["policy.toml", "catalogue/other.toml"])
            .len(),
        0
    );
    assert_eq!(
        site.problems_of(&["policy.toml", "catalogue/residents.toml"])
            .len(),
        1
    );
    assert_eq!(site.problems_of(&["catalogue/residents.toml"]).len(), 0);
}

#[test]
fn a_later_rule_that_does_not_fit_is_no_problem() {
    let rules = "[[rules]]\nfields = [\"birth_date\"]\ntreatment = { kind = \"null\" }\n\
                 [[rules]]\ncategory = \"birth-date\"\n\
                 treatment = { kind = \"keep-ends\", first = 1, last = 0 }\n";
    let text = format!("{POLICY}{rules}");
    let problems = Files::good()
        .without("policy.toml")
        .and("policy.toml", &text)
        .problems();
    assert_eq!(problems, Vec::<String>::new());
}

/// The problems of a policy whose last rule decides about no field.
fn problems_of_idle_rule(treatment: &str) -> Vec<String> {
    let rule = format!("[[rules]]\nfields = [\"nowhere\"]\ntreatment = {treatment}\n");
    Files::good()
        .without("policy.toml")
        .and("policy.toml", &format!("{POLICY}{rule}"))
        .problems()
}

#[test]
fn the_parameters_of_a_rule_that_decides_about_no_field_are_checked() {
    for (treatment, expected) in [
        ("{ kind = \"bucket\", width = \"0\" }", "`width`"),
        (
            "{ kind = \"age-band\", as_of = 2026-01-01, width = 0 }",
            "`width`",
        ),
        (
            "{ kind = \"typed-mask\", of = \"mobile\", keep = \"surname\" }",
            "`keep`",
        ),
        (
            "{ kind = \"regex\", pattern = \"(a\", groups = [1] }",
            "`pattern`",
        ),
    ] {
        let found = problems_of_idle_rule(treatment);
        assert_eq!(found.len(), 1, "{treatment}: {found:?}");
        assert!(found[0].starts_with("policy.toml:"), "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn a_rule_that_decides_about_no_field_stops_no_exchange() {
    let rule =
        "[[rules]]\nfields = [\"nowhere\"]\ntreatment = { kind = \"bucket\", width = \"0\" }\n";
    let files = || {
        let policy = format!("{POLICY}{rule}");
        Files::good()
            .without("policy.toml")
            .and("policy.toml", &policy)
    };
    let site = files().load();
    assert_eq!(site.problems.len(), 1);
    let used = [
        "policy.toml",
        "catalogue/residents.toml",
        "grants/G-2026-0117.toml",
    ];
    assert_eq!(site.problems_of(&used), Vec::<&Problem>::new());
    // What it decides about may stand in a file that can't be read.
    let site = files().and("catalogue/other.toml", "id = ").load();
    assert!(site.problems_of(&["policy.toml"]).is_empty());
    assert!(
        site.problems
            .iter()
            .all(|problem| problem.file != "policy.toml")
    );
}

#[test]
fn files_that_do_not_parse_are_absent_and_what_uses_them_says_so() {
    let site = Files::good()
        .with(
            "catalogue/residents.toml",
            "id = \"residents\"",
            "id = \"residents",
        )
        .load();
    assert!(site.datasets.is_empty());
    assert_eq!(site.problems_of(&["catalogue/residents.toml"]).len(), 1);
    let of_grant = site.problems_of(&["grants/G-2026-0117.toml"]);
    assert_eq!(of_grant[0].what, "dataset `residents` cannot be read");
    assert_eq!(site.problems.len(), 2);
}

#[test]
fn two_files_with_one_id_are_both_named() {
    let site = Files::good().and("grants/a.toml", GRANT).load();
    let whats: Vec<String> = site.problems.iter().map(ToString::to_string).collect();
    assert_eq!(whats.len(), 3, "{whats:?}");
    assert!(whats[0].starts_with("grants/G-2026-0117.toml:2:6: id `G-2026-0117` is also"));
    assert!(whats[1].starts_with("grants/a.toml:2:6: id `G-2026-0117` is also the id of"));
    assert!(whats[2].starts_with("grants/a.toml:2:6: the file is not named after"));
    assert_eq!(site.grants["G-2026-0117"].file, "grants/G-2026-0117.toml");
}

#[test]
fn other_files_are_ignored() {
    let problems = Files::good()
        .and("grants/G-2026-0117.toml.sig", "not toml")
        .and("grants/README.md", "[")
        .and("catalogue/.#residents.toml", "[")
        .problems();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_directory_named_like_a_file_is_a_problem() {
    let root = tempfile::tempdir().unwrap();
    Files::good().write(root.path());
    fs::create_dir(root.path().join("jobs/x.toml")).unwrap();
    fs::write(root.path().join("jobs/y.toml"), b"id = \"\xff\"").unwrap();
    let site = Site::load(root.path()).unwrap();
    let found: Vec<String> = site.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "jobs/x.toml:1:1: not a regular file",
            "jobs/y.toml:1:7: the file is not UTF-8 text; save it as UTF-8",
        ]
    );
}

#[test]
#[cfg(unix)]
fn links_that_leave_the_site_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    Files::good()
        .without("jobs/nightly.toml")
        .write(root.path());
    fs::write(outside.path().join("nightly.toml"), JOB).unwrap();
    fs::create_dir(root.path().join("jobs")).unwrap();
    let link = root.path().join("jobs/nightly.toml");
    std::os::unix::fs::symlink(outside.path().join("nightly.toml"), link).unwrap();
    let site = Site::load(root.path()).unwrap();
    assert!(site.jobs.is_empty());
    assert_eq!(
        site.problems[0].what,
        "the file is a link that leaves the site"
    );

    fs::remove_dir_all(root.path().join("jobs")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.path().join("jobs")).unwrap();
    let site = Site::load(root.path()).unwrap();
    assert_eq!(
        site.problems[0].what,
        "the folder is a link that leaves the site"
    );
}

#[test]
fn no_site_and_an_unusable_one_are_errors() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(
        Site::load(root.path()),
        Err(SiteError::NotASite { .. })
    ));
    fs::write(root.path().join("lockgate.toml"), "[site]\nname = 3\n").unwrap();
    let Err(SiteError::Unusable { problems }) = Site::load(root.path()) else {
        panic!()
    };
    assert_eq!(problems.len(), 2);
}

#[test]
fn keys_that_grants_need_are_missed() {
    let root = tempfile::tempdir().unwrap();
    Files::good().write(root.path());
    let found: Vec<String> = Site::load(root.path())
        .unwrap()
        .key_problems()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "lockgate.toml:14:8: no key of purpose `manifest` in keys; `lockgate keys new manifest` makes one",
            "lockgate.toml:14:8: no key of purpose `ledger` in keys; `lockgate keys new ledger` makes one",
            "grants/G-2026-0117.toml:9:11: the treatment of field `person_id` needs a key of purpose `pseudonym`, and there is none in keys; `lockgate keys new pseudonym` makes one",
        ]
    );
    fs::create_dir(root.path().join("keys")).unwrap();
    for file in [
        "manifest.v1.key",
        "ledger.v1.key",
        "pseudonym.v3.key",
        "pseudonym.pub",
    ] {
        fs::write(root.path().join("keys").join(file), "").unwrap();
    }
    assert_eq!(Site::load(root.path()).unwrap().key_problems(), []);
}

#[test]
fn predicates_are_checked_by_whoever_knows_them() {
    let root = tempfile::tempdir().unwrap();
    Files::good().write(root.path());
    let hooks = Hooks {
        predicate: Some(|text, fields| {
            assert_eq!(text, "status = 'active'");
            assert_eq!(fields.fields().len(), 7);
            vec![PredicateFault {
                what: "no field `x`".to_owned(),
                hint: None,
            }]
        }),
    };
    let site = Site::load_with(root.path(), &hooks).unwrap();
    assert_eq!(
        site.problems[0].to_string(),
        "grants/G-2026-0117.toml:10:8: no field `x`"
    );
}

#[test]
fn a_field_in_a_predicate_that_does_not_exist_is_a_problem() {
    let problems = Files::good()
        .with(
            "grants/G-2026-0117.toml",
            "status = 'active'",
            "stats = 'hunter2'",
        )
        .problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("grants/G-2026-0117.toml:10:8: "),
        "{problems:?}"
    );
    assert!(!problems[0].contains("hunter2"));
}
