//! The command line itself: documents and their shapes, flags, exit codes, located errors, what is
//! shown to people and what to programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lockgate_acceptance::site::{Finished, Site, finish, write_parquet};
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::people::{self, FIELDS, grant, people};

/// The names of a document's members, sorted.
#[track_caller]
fn members(document: &Value) -> Vec<&str> {
    document
        .as_object()
        .unwrap_or_else(|| panic!("{document}"))
        .keys()
        .map(String::as_str)
        .collect()
}

/// The document has at least those members.
#[track_caller]
fn has(document: &Value, names: &[&str]) {
    let found = members(document);
    for name in names {
        assert!(found.contains(name), "no `{name}` in {document}");
    }
}

/// An error document of that class, every part of which is text.
#[track_caller]
fn error(finished: &Finished, code: i32, class: &str) -> Value {
    let document = finished.expect_code(code).document();
    assert_eq!(members(&document), ["error"]);
    let error = document["error"].clone();
    for part in ["class", "what", "where", "remedy"] {
        assert!(error[part].is_string(), "{part}: {error}");
    }
    assert_eq!(error["class"], class, "{error}");
    assert!(
        !error["what"].as_str().unwrap_or_default().is_empty(),
        "{error}"
    );
    error
}

fn signed_site() -> Site {
    let site = people::site(300);
    site.signed(
        &grant("G-1", &FIELDS)
            .divisions(&["33"])
            .rows("status = 'active'"),
    );
    site
}

#[test]
fn documents_have_the_members_that_are_promised() {
    let site = signed_site();
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    has(
        &plan,
        &[
            "grant",
            "refusals",
            "fields",
            "filter_only",
            "withheld",
            "warnings",
            "source",
            "residual_candidates",
        ],
    );
    for field in plan["fields"].as_array().expect("fields") {
        has(
            field,
            &["name", "category", "level", "treatment", "strength"],
        );
    }
    // The days of a year: of birth dates that is left.
    assert_eq!(plan["residual_candidates"]["birth"], 365);
    let run = site.run("G-1").expecting(0).document();
    has(
        &run,
        &[
            "run", "grant", "status", "rows", "delivery", "manifest", "refusals", "seconds",
        ],
    );
    assert_eq!(
        members(&run["rows"]),
        ["delivered", "filtered", "pruned", "read", "rejected"]
    );
    assert!(run["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    let (delivery, manifest) = (run["delivery"].as_str(), run["manifest"].as_str());
    assert_eq!(
        format!("{}/manifest.json", delivery.expect("a URL")),
        manifest.expect("a URL")
    );
    let verified = site
        .json(["verify", delivery.expect("a URL")])
        .expecting(0)
        .document();
    has(&verified, &["valid", "files", "rows", "problems", "notes"]);
    assert_eq!(
        members(&site.json(["check"]).expecting(0).document()),
        ["problems"]
    );
    let preview = site
        .json(["preview", "G-1", "--rows", "2"])
        .expecting(0)
        .document();
    has(&preview, &["grant", "fields", "rows", "before"]);
    let listed = site.json(["grant", "list"]).expecting(0).document();
    has(
        &listed["grants"][0],
        &[
            "grant",
            "version",
            "dataset",
            "recipient",
            "until",
            "state",
            "since",
            "by",
            "ready",
            "refusals",
            "runs",
            "rows",
        ],
    );
    assert_eq!(listed["grants"][0]["state"], "approved");
    assert_eq!(listed["grants"][0]["by"], "data-office");
    assert_eq!(listed["grants"][0]["ready"], true);
    assert_eq!(
        (&listed["grants"][0]["runs"], &listed["grants"][0]["rows"]),
        (&json!(1), &run["rows"]["delivered"])
    );
    let shown = site.json(["grant", "show", "G-1"]).expecting(0).document();
    has(&shown, &["grant", "approver", "refusals", "fields", "used"]);
    assert_eq!(shown["approver"], "data-office");
    let keys = site.json(["keys", "list"]).expecting(0).document();
    let purposes: Vec<&str> = keys["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .filter_map(|key| key["purpose"].as_str())
        .collect();
    assert_eq!(
        purposes,
        [
            "pseudonym",
            "encryption",
            "fpe",
            "mark",
            "manifest",
            "ledger"
        ]
    );
    let ledger = site.json(["ledger", "list"]).expecting(0).document();
    has(&ledger["entries"][0], &["index", "at", "event"]);
    has(
        &site.json(["ledger", "verify"]).expecting(0).document(),
        &["valid", "size", "problems"],
    );
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    let site = signed_site();
    let root = site.root();
    let root = root.to_str().expect("a path");
    let orders: [&[&str]; 4] = [
        &["--site", root, "--json", "plan", "G-1"],
        &["plan", "--site", root, "--json", "G-1"],
        &["plan", "G-1", "--json", "--site", root],
        &["--json", "plan", "G-1", "--site", root],
    ];
    let answers: Vec<Value> = orders
        .iter()
        .map(|order| site.bare(*order).expecting(0).document())
        .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    for order in [
        &["--json", "grant", "list", "--site", root],
        &["grant", "--site", root, "list", "--json"],
    ] {
        site.bare(order).expecting(0).document();
    }
    // Without --site, it is the working directory.
    let here = finish(
        site.command()
            .current_dir(site.root())
            .args(["--json", "check"]),
    );
    assert_eq!(here.expecting(0).document(), json!({ "problems": [] }));
}

#[test]
fn errors_are_a_document_with_json_and_text_on_standard_error_without() {
    let site = signed_site();
    let unknown = error(&site.json(["run", "G-7"]), 2, "config");
    assert!(unknown["what"].as_str().expect("what").contains("G-7"));
    let text = site.text(["run", "G-7"]).expecting(2);
    assert!(
        text.stdout.is_empty() && text.stderr.contains("G-7"),
        "{text:?}"
    );
    let nowhere = site.bare(["--json", "--site", "nowhere", "check"]);
    error(&nowhere, 2, "config");
    for command in ["check", "plan", "run", "preview"] {
        let arguments: &[&str] = if command == "check" { &[] } else { &["G-1"] };
        let mut command = vec!["--json", "--site", "nowhere", command];
        command.extend(arguments);
        error(&site.bare(command), 2, "config");
    }
}

#[test]
fn usage_errors_exit_with_2_and_say_what() {
    let site = Site::new(PROGRAM);
    let wrong: [(&[&str], &str); 6] = [
        (&["--json", "run", "G-1", "--bogus"], "--bogus"),
        (&["--json", "frobnicate"], "frobnicate"),
        (&["--json", "preview", "G-1", "--rows", "many"], "many"),
        (&["--json", "keys", "pair", "x", "--kind", "king"], "king"),
        (&["--json", "run"], "required"),
        (&["--json"], ""),
    ];
    for (arguments, part) in wrong {
        let finished = site.bare(arguments);
        let found = error(&finished, 2, "usage");
        assert!(
            found["what"].as_str().expect("what").contains(part),
            "{arguments:?}: {found}"
        );
        assert!(!finished.stderr.is_empty(), "people are told too");
    }
    let plain = site.bare(["run", "G-1", "--bogus"]).expecting(2);
    assert!(
        plain.stdout.is_empty() && !plain.stderr.contains('\u{1b}'),
        "{plain:?}"
    );
}

#[test]
fn help_and_version_are_plain_text_on_standard_output() {
    let site = Site::new(PROGRAM);
    let help = site.bare(["--help"]).expecting(0);
    assert!(
        !help.stdout.contains('\u{1b}'),
        "no colours in a pipe: {help:?}"
    );
    for word in [
        "Exit codes",
        "130 interrupted",
        "--site",
        "--json",
        "LOCKGATE_LOG",
    ] {
        assert!(help.stdout.contains(word), "{word}: {help:?}");
    }
    let commands = [
        "demo",
        "init",
        "check",
        "schema",
        "plan",
        "preview",
        "run",
        "verify",
        "keys",
        "grant",
        "ledger",
        "completions",
    ];
    for command in commands {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{command}"
        );
        site.bare([command, "--help"]).expect_code(0);
    }
    assert!(
        site.bare(["--version"])
            .expecting(0)
            .stdout
            .starts_with("lockgate ")
    );
}

#[test]
fn completions_are_scripts() {
    let site = Site::new(PROGRAM);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = site.bare(["completions", shell]).expecting(0).stdout;
        assert!(
            script.contains("lockgate") && script.contains("ledger"),
            "{shell}"
        );
    }
    // The one that can be tried everywhere parses.
    let script = site.bare(["completions", "bash"]).expecting(0).stdout;
    let path = site.beside().join("completion.bash");
    fs::write(&path, script).expect("a script");
    let parsed = finish(std::process::Command::new("bash").arg("-n").arg(&path));
    assert_eq!(parsed.code, 0, "{parsed:?}");
}

#[test]
fn every_kind_of_file_has_a_schema() {
    let site = Site::new(PROGRAM);
    for kind in ["site", "dataset", "policy", "grant", "recipient", "job"] {
        let schema = site.bare(["schema", kind]).expecting(0).document();
        assert_eq!(
            schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
            "{kind}"
        );
        assert_eq!(schema["additionalProperties"], false, "{kind}");
        has(&schema, &["properties"]);
        assert_eq!(
            site.bare(["--json", "schema", kind])
                .expecting(0)
                .document(),
            schema
        );
    }
    let unknown = error(&site.bare(["--json", "schema", "gant"]), 2, "config");
    assert!(
        unknown["what"].as_str().expect("what").contains("grant"),
        "{unknown}"
    );
    let categories =
        site.bare(["schema", "dataset"]).expecting(0).document()["x-categories"].clone();
    assert!(categories.to_string().contains("resident-id"));
}

#[test]
fn check_lists_every_problem_with_its_place() {
    let site = people::site(10);
    site.edit(
        "catalogue/people.toml",
        "type = \"int64\"",
        "type = \"bigint\"",
    );
    site.edit(
        "policy.toml",
        "category = 'person-name'",
        "categoy = 'person-name'",
    );
    site.grant(
        &grant("G-1", &["id", "nmae"])
            .treatment("birth", "{ kind = 'keep-ends', first = 1, last = 1 }"),
    );
    site.write("grants/G-2.toml", "id = 'G-2'\nversion = [1\n");
    site.write("grants/G-3.toml", "id = 'another'\n");
    site.write("jobs/j.toml", "id = 'j'\ngrant = 'G-9'\n");
    let document = site.json(["check"]).expecting(2).document();
    let problems = document["problems"].as_array().expect("problems");
    for problem in problems {
        assert_eq!(members(problem), ["column", "file", "hint", "line", "what"]);
        assert!(
            problem["line"].as_u64().is_some_and(|line| line > 0),
            "{problem}"
        );
        assert!(
            problem["column"].as_u64().is_some_and(|column| column > 0),
            "{problem}"
        );
    }
    let expected = [
        ("catalogue/people.toml", "unknown type", "int64"),
        ("policy.toml", "categoy", "category"),
        ("grants/G-1.toml", "keep-ends", "utf8"),
        ("grants/G-2.toml", "", ""),
        ("grants/G-3.toml", "", ""),
        ("jobs/j.toml", "G-9", ""),
    ];
    for (file, what, hint) in expected {
        let found = problems.iter().any(|problem| {
            problem["file"] == file
                && problem["what"]
                    .as_str()
                    .is_some_and(|text| text.contains(what))
                && (hint.is_empty() || problem.to_string().contains(hint))
        });
        assert!(found, "{file}: {what}: {document:#}");
    }
    // People see file:line:column, a line each.
    let text = site.text(["check"]).expecting(2);
    let line = problems
        .iter()
        .find(|problem| problem["file"] == "policy.toml")
        .expect("a problem");
    let place = format!("policy.toml:{}:{}", line["line"], line["column"]);
    assert!(text.stdout.contains(&place), "{place}: {text:?}");
}

#[test]
fn check_finds_keys_that_are_missing_or_cannot_be_used() {
    let site = people::site(10);
    site.signed(&grant("G-1", &FIELDS));
    let kept = site.read("keys/pseudonym.v1.key");
    let problems = || {
        let document = site.json(["check"]).expecting(2).document();
        document["problems"].as_array().expect("problems").clone()
    };
    fs::remove_file(site.path("keys/pseudonym.v1.key")).expect("a key");
    let found = problems();
    assert!(
        found[0]["what"]
            .as_str()
            .expect("what")
            .contains("`pseudonym`"),
        "{found:?}"
    );
    assert!(
        found[0]["hint"]
            .as_str()
            .expect("a hint")
            .contains("keys new pseudonym"),
        "{found:?}"
    );
    assert_eq!(found[0]["file"], "grants/G-1.toml");
    for (name, text, mode) in [
        ("loose", kept.as_str(), 0o644),
        ("cut", &kept[..30], 0o600),
        (
            "of another purpose",
            &kept.replace("pseudonym", "mark"),
            0o600,
        ),
    ] {
        site.write("keys/pseudonym.v1.key", text);
        fs::set_permissions(
            site.path("keys/pseudonym.v1.key"),
            fs::Permissions::from_mode(mode),
        )
        .expect("a mode");
        let found = problems();
        assert!(
            found[0].to_string().contains("pseudonym.v1.key"),
            "{name}: {found:?}"
        );
        assert!(
            !found[0].to_string().contains(&kept[30..50]),
            "{name}: a key is never shown"
        );
        let run = site.run("G-1");
        assert!(run.code == 1 || run.code == 2, "{name}: {run:?}");
        assert!(!run.stdout.contains(&kept[30..50]));
        assert!(
            !site.path("outbox/G-1").exists()
                || site
                    .json(["ledger", "list"])
                    .stdout
                    .matches("released")
                    .count()
                    == 0
        );
    }
}

#[test]
fn an_unsigned_grants_plan_shows_everything_and_refuses() {
    let site = people::site(300);
    site.grant(
        &grant("G-1", &FIELDS)
            .divisions(&["33"])
            .rows("income > 100"),
    );
    let plan = site.json(["plan", "G-1"]).expecting(3).document();
    assert_eq!(plan["refusals"][0]["code"], "unsigned");
    assert_eq!(plan["fields"].as_array().map(Vec::len), Some(FIELDS.len()));
    assert_eq!(plan["fields"][1]["treatment"]["kind"], "hmac");
    assert_eq!(
        (&plan["source"]["rows"], &plan["source"]["files"]),
        (&json!(300), &json!(1))
    );
    let text = site.text(["plan", "G-1"]).expecting(3).stdout;
    for shown in [
        "[unsigned]",
        "person_id",
        "hmac",
        "keep-ends",
        "income > 100",
        "divisions",
        "300 rows",
        "marks",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    // Planning needs no rows: a source that is not there is a warning.
    fs::remove_dir_all(site.path("lake")).expect("the lake");
    let plan = site.json(["plan", "G-1"]).expecting(3).document();
    assert!(plan["source"].is_null());
    assert_eq!(plan["warnings"][0]["code"], "source-unavailable");
    assert_eq!(
        site.json(["ledger", "list"]).document()["entries"],
        json!([]),
        "a plan is no event"
    );
}

#[test]
fn preview_shows_treated_rows_and_originals_only_where_the_site_allows_it() {
    let site = people::site(300);
    let previewed = grant("G-1", &["id", "person_id", "name"]).rows("id >= 5");
    site.grant(&previewed);
    // Without an approval, an edited policy would show what nobody approved.
    let unsigned = error(&site.json(["preview", "G-1"]), 3, "refused");
    assert_eq!(unsigned["refusals"][0]["code"], "unsigned");
    site.sign("G-1").expect_code(0);
    let preview = site
        .json(["preview", "G-1", "--rows", "3"])
        .expecting(0)
        .document();
    assert_eq!(preview["fields"], json!(["id", "person_id", "name"]));
    let rows = preview["rows"].as_array().expect("rows");
    let ids: Vec<&str> = rows.iter().filter_map(|row| row[0].as_str()).collect();
    assert_eq!(ids, ["5", "6", "7"]);
    assert_eq!(rows[0][2], "张*");
    assert!(preview["before"].is_null());
    let original = people::person_id(5);
    let everything = format!(
        "{}{}",
        preview,
        site.text(["preview", "G-1"]).expecting(0).stdout
    );
    assert!(!everything.contains(&original));
    let denied = site.json(["preview", "G-1", "--before"]);
    let found = error(&denied, 3, "refused");
    assert!(
        found["remedy"]
            .as_str()
            .expect("a remedy")
            .contains("before = true"),
        "{found}"
    );
    site.configure_more("[preview]\nbefore = true");
    // Who may see originals may tune what is not signed yet.
    site.grant(&previewed.version(2));
    let preview = site
        .json(["preview", "G-1", "--before", "--rows", "1"])
        .expecting(0)
        .document();
    assert_eq!(preview["before"][0][1], original.as_str());
    assert_ne!(preview["rows"][0][1], preview["before"][0][1]);
    let entries = site.json(["ledger", "list"]).expecting(0).document();
    let looks: Vec<(u64, bool)> = entries["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["event"] == "previewed")
        .map(|entry| {
            (
                entry["rows"].as_u64().expect("rows"),
                entry["before"].as_bool().expect("before"),
            )
        })
        .collect();
    assert_eq!(looks, [(3, false), (10, false), (1, true)]);
    // What policy refuses for other reasons is not previewed either.
    site.grant(&grant("G-2", &["name"]).treatment("name", "{ kind = 'clear' }"));
    let refused = site.json(["preview", "G-2"]);
    let found = error(&refused, 3, "refused");
    assert_eq!(found["refusals"][0]["code"], "below-floor");
}

#[test]
fn init_makes_a_site_that_checks_and_overwrites_nothing() {
    let site = Site::new(PROGRAM);
    let made = site
        .bare(["--json", "init", "fresh"])
        .expecting(0)
        .document();
    has(&made, &["site", "files"]);
    assert_eq!(
        site.bare(["--json", "--site", "fresh", "check"])
            .expecting(0)
            .document(),
        json!({ "problems": [] })
    );
    let fresh = site.beside().join("fresh");
    for folder in ["catalogue", "grants", "recipients", "jobs", "keys"] {
        assert!(fresh.join(folder).is_dir(), "{folder}");
    }
    for purpose in [
        "pseudonym",
        "encryption",
        "fpe",
        "mark",
        "manifest",
        "ledger",
    ] {
        let path = fresh.join(format!("keys/{purpose}.v1.key"));
        assert_eq!(mode(&path), 0o600, "{purpose}");
        let text = fs::read_to_string(&path).expect("a key");
        assert!(
            text.starts_with(&format!("lockgate-key:v1:{purpose}:")) && text.lines().count() == 1
        );
    }
    for purpose in ["manifest", "ledger"] {
        let text = fs::read_to_string(fresh.join(format!("keys/{purpose}.pub"))).expect("a key");
        assert!(text.starts_with("ed25519:"), "{text}");
    }
    let before = fs::read_to_string(fresh.join("keys/mark.v1.key")).expect("a key");
    error(&site.bare(["--json", "init", "fresh"]), 2, "config");
    assert_eq!(
        fs::read_to_string(fresh.join("keys/mark.v1.key")).expect("a key"),
        before
    );
    let next = site
        .bare(["--json", "--site", "fresh", "keys", "new", "mark"])
        .expecting(0)
        .document();
    assert_eq!(next["version"], 2);
    assert!(fresh.join("keys/mark.v2.key").is_file() && fresh.join("keys/mark.v1.key").is_file());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn pairs_need_no_site_and_are_never_overwritten() {
    let site = Site::new(PROGRAM);
    for (kind, prefix) in [("approver", "ed25519:"), ("recipient", "x25519:")] {
        let name = format!("new-{kind}");
        let made = site
            .bare(["--json", "keys", "pair", &name, "--kind", kind])
            .expecting(0)
            .document();
        let key = made["public_key"].as_str().expect("a key");
        assert!(key.starts_with(prefix), "{key}");
        let public = fs::read_to_string(site.beside().join(format!("{name}.pub"))).expect("a key");
        assert_eq!(public.trim_end(), key);
        assert_eq!(public.lines().count(), 1);
        let private = site.beside().join(format!("{name}.key"));
        assert_eq!(mode(&private), 0o600);
        let before = fs::read(&private).expect("a key");
        let again = site.bare(["--json", "keys", "pair", &name, "--kind", kind]);
        assert!(again.code != 0, "{again:?}");
        assert_eq!(fs::read(&private).expect("a key"), before);
    }
    let outside = site.bare(["--json", "keys", "pair", "../x", "--kind", "approver"]);
    assert!(outside.code != 0, "{outside:?}");
}

#[test]
fn logs_go_to_standard_error_as_the_level_says() {
    let site = people::site(50);
    site.signed(&grant("G-1", &["id"]));
    let quiet = site.run("G-1").expecting(0);
    assert!(quiet.stderr.is_empty(), "{quiet:?}");
    let mut command = site.command();
    command.env("LOCKGATE_LOG", "debug");
    let loud = finish(
        command
            .arg("--site")
            .arg(site.root())
            .args(["--json", "run", "G-1", "--again"]),
    );
    let log = loud.expecting(0).stderr;
    assert!(
        log.contains("Run begins") && !log.contains('\u{1b}'),
        "{log}"
    );
    // Only the program speaks: its dependencies cannot know what is secret.
    let targets = log
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2));
    assert!(
        targets
            .into_iter()
            .all(|target| target.starts_with("lockgate")),
        "{log}"
    );
}

#[test]
fn a_signal_stops_a_run_and_leaves_nothing() {
    let site = people::bare_site();
    write_parquet(
        &site.path("lake/people/1.parquet"),
        &people(0..60_000),
        20_000,
    );
    site.signed(&grant("G-1", &FIELDS));
    let mut command = site.command();
    let child = command
        .arg("--site")
        .arg(site.root())
        .args(["--json", "run", "G-1"])
        .spawn();
    let mut child = child.expect("a run");
    while !site.path("outbox/G-1").exists() {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "the run is still under way"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("a signal");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(130));
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["error"]["class"], "interrupted");
    let left = fs::read_dir(site.path("outbox/G-1"))
        .into_iter()
        .flatten()
        .any(|delivery| {
            fs::read_dir(delivery.expect("an entry").path())
                .is_ok_and(|mut files| files.next().is_some())
        });
    assert!(!left, "nothing is left behind");
    assert_eq!(site.deliver("G-1").rows().num_rows(), 60_000);
}

/// Runs every `sh` block of README.md in order, in one empty directory instead of /tmp, as a reader
/// would: `cargo
/// run --release --` and `lockgate` are the program under test (a demo of fewer rows), any other
/// use of cargo is left out.
#[test]
fn the_commands_of_the_readme_work_as_written() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let Ok(text) = fs::read_to_string(readme) else {
        println!("skipped: there is no README.md");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let tools = directory.path().join("tools");
    let work = directory.path().join("work");
    let mut script = String::from("set -eu\n");
    let mut within = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => within = true,
            "```" => within = false,
            _ if within => {
                script.push_str(&line.replace("/tmp/", &format!("{}/", work.display())));
                script.push('\n');
            }
            _ => {}
        }
    }
    fs::create_dir(&tools).expect("a directory");
    fs::create_dir(&work).expect("a directory");
    let tool = |name: &str, text: String| {
        let path = tools.join(name);
        fs::write(&path, text).expect("a tool");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    };
    tool(
        "lockgate",
        format!(
            "#!/bin/sh\ncase \"$*\" in *demo*--rows*) ;; demo*|*' demo'*) set -- \"$@\" --rows 2000 ;; \
             esac\nexec '{PROGRAM}' \"$@\"\n"
        ),
    );
    tool(
        "cargo",
        "#!/bin/sh\nif [ \"$1 $2 $3\" = 'run --release --' ]; then shift 3; exec lockgate \"$@\"; fi\n\
         echo \"left out: cargo $*\"\n"
            .to_owned(),
    );
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", tools.display());
    let mut bash = std::process::Command::new("bash");
    let done = finish(
        bash.arg("-c")
            .arg(&script)
            .current_dir(&work)
            .env("PATH", path),
    );
    // The last command decides; one that stops the script shows where.
    assert!(done.code == 0, "{script}\n{done:?}");
    let refused = "exit code 3";
    assert!(done.stdout.contains(refused), "{script}\n{done:?}");
}
