//! Files of a site in every kind of disorder. `check` says what is wrong with them, and where.

use std::fs;
use std::path::Path;
use std::time::Instant;

use lockgate::site::{Problem, SiteError};
use lockgate_acceptance::site::{Finished, Site};
use serde_json::json;

use super::{Chance, rounds, survives};
use crate::PROGRAM;

/// The files of the example site of the design, whole but for the keys.
const FILES: [&str; 6] = [
    "lockgate.toml",
    "policy.toml",
    "catalogue/residents.toml",
    "grants/G-2026-0117.toml",
    "recipients/civil-affairs.toml",
    "jobs/nightly.toml",
];

fn example() -> Site {
    let site = Site::new(PROGRAM);
    site.write(
        "lockgate.toml",
        &include_str!("toml/lockgate.toml").replace("APPROVER", site.approver_key()),
    );
    site.write("policy.toml", include_str!("toml/policy.toml"));
    site.write(
        "catalogue/residents.toml",
        include_str!("toml/residents.toml"),
    );
    site.write("grants/G-2026-0117.toml", include_str!("toml/grant.toml"));
    let key = site.pair("civil-affairs", "recipient");
    site.write(
        "recipients/civil-affairs.toml",
        &include_str!("toml/recipient.toml").replace("RECIPIENT", &key),
    );
    site.write("jobs/nightly.toml", include_str!("toml/job.toml"));
    site.json(["check"]).expect_code(0);
    site
}

/// Every problem of a site, read in this process.
fn problems(root: &Path) -> Vec<Problem> {
    let began = Instant::now();
    let problems = match lockgate::site::Site::load(root) {
        Ok(site) => site.problems,
        Err(SiteError::Unusable { problems }) => problems,
        Err(error) => panic!("{error}"),
    };
    let seconds = began.elapsed().as_secs();
    assert!(seconds < 60, "took {seconds} s");
    for problem in &problems {
        assert!(problem.line > 0 && problem.column > 0, "{problem:?}");
        assert!(
            !problem.what.is_empty() && !problem.file.is_empty(),
            "{problem:?}"
        );
        assert!(problem.what.len() < 1000, "{problem:?}");
        let text = problem.to_string();
        assert!(!text.chars().any(char::is_control), "{problem:?}");
    }
    problems
}

/// Reads the site with one file's bytes replaced. What is no TOML has a problem within that file.
#[track_caller]
fn with(site: &Site, file: &str, bytes: &[u8]) -> Vec<Problem> {
    fs::write(site.path(file), bytes).expect("a file of the site");
    let problems = problems(&site.root());
    let text = str::from_utf8(bytes);
    let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let own: Vec<&Problem> = problems
        .iter()
        .filter(|problem| problem.file == file)
        .collect();
    assert!(own.iter().all(|problem| problem.line <= lines), "{own:?}");
    if text.is_err() || text.is_ok_and(|text| text.parse::<toml::Table>().is_err()) {
        assert!(
            !own.is_empty(),
            "{file}: {:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    problems
}

/// The program over the site as it is: exit code 2, and each problem with its place.
#[track_caller]
fn refused(site: &Site, file: &str) -> Finished {
    let finished = survives(site.command().args(["--site", "site", "--json", "check"]));
    assert_eq!(finished.code, 2, "{file}: {finished:?}");
    let document = finished.document();
    let problems = document["problems"].as_array().expect("problems");
    let of_file = |problem: &&serde_json::Value| problem["file"] == file;
    let problem = problems
        .iter()
        .find(of_file)
        .unwrap_or_else(|| panic!("{file}: {document:#}"));
    let (line, column) = (problem["line"].as_u64(), problem["column"].as_u64());
    assert!(line > Some(0) && column > Some(0), "{problem}");
    let text = survives(site.command().args(["--site", "site", "check"]));
    assert_eq!(text.code, 2, "{text:?}");
    let place = format!("{file}:{}:{}: ", line.unwrap_or(0), column.unwrap_or(0));
    assert!(text.stdout.contains(&place), "{place} {text:?}");
    finished
}

#[test]
fn a_file_that_ends_anywhere_is_read_or_has_a_problem() {
    let site = example();
    for file in FILES {
        let whole = site.read(file).into_bytes();
        let step = 23_usize.checked_div(rounds()).unwrap_or(1).max(1);
        for length in (0..whole.len()).step_by(step) {
            with(&site, file, &whole[..length]);
        }
        assert_eq!(with(&site, file, &whole), [], "{file}");
    }
}

#[test]
fn a_file_with_bytes_changed_is_read_or_has_a_problem() {
    let site = example();
    let mut chance = Chance::new(1);
    for file in FILES {
        let whole = site.read(file).into_bytes();
        for _ in 0..40 * rounds() {
            with(&site, file, &chance.mutate(&whole));
        }
        for _ in 0..5 * rounds() {
            let length = chance.below(300);
            with(&site, file, &chance.bytes(length));
        }
        fs::write(site.path(file), &whole).expect("a file of the site");
    }
}

/// Every entry of every file, with a value of each other type in its place.
#[test]
fn a_value_of_another_type_has_its_place() {
    let site = example();
    let wrong: toml::Table = include_str!("toml/wrong.toml").parse().expect("values");
    let mut silent = Vec::new();
    let mut turn = 0;
    for file in FILES {
        let whole = site.read(file);
        let table: toml::Table = whole.parse().expect("a valid file");
        for path in entries(&toml::Value::Table(table.clone())) {
            for (name, value) in &wrong {
                turn += 1;
                if turn % 5_usize.saturating_sub(rounds()).max(1) != 0 {
                    continue;
                }
                let mut changed = toml::Value::Table(table.clone());
                let entry = at(&mut changed, &path);
                if entry.type_str() == value.type_str() {
                    continue;
                }
                entry.clone_from(value);
                let text = toml::to_string(&changed).expect("TOML");
                if with(&site, file, text.as_bytes()).is_empty() {
                    silent.push(format!("{file} {} {name}", path.join(".")));
                }
            }
        }
        fs::write(site.path(file), &whole).expect("a file of the site");
    }
    // A level is a number or a word; a treatment's values are of the field's type.
    let either = |place: &String| place.contains("level") || place.contains("treatment");
    silent.retain(|place| !either(place));
    assert_eq!(silent, Vec::<String>::new());
}

type Steps = Vec<String>;

fn entries(value: &toml::Value) -> Vec<Steps> {
    let below: Vec<(String, &toml::Value)> = match value {
        toml::Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        toml::Value::Array(array) => array
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (step, value) in below {
        all.push(vec![step.clone()]);
        all.extend(entries(value).into_iter().map(|rest| {
            let mut path = vec![step.clone()];
            path.extend(rest);
            path
        }));
    }
    all
}

fn at<'v>(mut value: &'v mut toml::Value, path: &[String]) -> &'v mut toml::Value {
    for step in path {
        value = match value {
            toml::Value::Array(array) => &mut array[step.parse::<usize>().expect("an index")],
            table => &mut table[step.as_str()],
        };
    }
    value
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let site = example();
    let deep = 50_000;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "arrays in arrays",
            format!("a = {}", "[".repeat(deep)).into(),
        ),
        (
            "closed arrays",
            format!("a = {}{}", "[".repeat(deep), "]".repeat(deep)).into(),
        ),
        (
            "tables in tables",
            format!("a = {}", "{a=".repeat(deep)).into(),
        ),
        (
            "closed tables",
            format!("a = {}1{}", "{a=".repeat(deep), "}".repeat(deep)).into(),
        ),
        ("a dotted key", format!("{}a = 1", "a.".repeat(deep)).into()),
        (
            "a dotted header",
            format!("[{}a]", "a.".repeat(deep)).into(),
        ),
        (
            "many headers",
            (0..20_000)
                .map(|n| format!("[a{n}]\n"))
                .collect::<String>()
                .into(),
        ),
        (
            "a huge integer",
            format!("level = {}", "9".repeat(400_000)).into(),
        ),
        (
            "a huge float",
            format!("level = 1e{}", "9".repeat(1000)).into(),
        ),
        (
            "an unclosed string",
            format!("id = \"{}", "x".repeat(100_000)).into(),
        ),
        ("an unclosed block", b"id = '''".to_vec()),
        ("a NUL", b"id = \"a\0b\"".to_vec()),
        ("half a character", b"id = \"\xe4\xbd".to_vec()),
        (
            "UTF-16",
            "id = \"a\"\n"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        ("GB 18030", b"title = \"\xb3\xa3\xd7\xa1\"".to_vec()),
        ("a surrogate", b"title = \"\xed\xa0\x80\"".to_vec()),
        ("an overlong form", b"title = \"\xc0\xaf\"".to_vec()),
        ("a bare control", b"title = \"\x1b[2J\"".to_vec()),
        ("an escaped surrogate", b"title = \"\\ud800\"".to_vec()),
        ("one key twice", b"id = \"a\"\nid = \"b\"".to_vec()),
        ("one table twice", b"[a]\nb = 1\n[a]\nb = 2".to_vec()),
        ("a table over a value", b"a = 1\n[a]\nb = 2".to_vec()),
        (
            "an array over a table",
            b"[a]\nb = 1\n[[a]]\nb = 2".to_vec(),
        ),
        (
            "a day that is none",
            b"valid = { from = 2026-02-30, until = 2026-99-99 }".to_vec(),
        ),
        ("only a mark", b"\xef\xbb\xbf".to_vec()),
        ("nothing", Vec::new()),
        ("white space", b" \t\r\n\n".to_vec()),
        (
            "a lone carriage return",
            b"id = \"a\"\rname = \"b\"".to_vec(),
        ),
        ("two mebibytes", format!("# {}", "x".repeat(2 << 20)).into()),
        ("JSON", b"{\"id\": \"a\"}".to_vec()),
        (
            "a program",
            fs::read(PROGRAM).expect("a program")[..4096].to_vec(),
        ),
    ];
    for (index, (name, bytes)) in cases.iter().enumerate() {
        // A policy without rules is a policy.
        let file = match FILES[index % FILES.len()] {
            "policy.toml" if bytes.trim_ascii().is_empty() => "lockgate.toml",
            file => file,
        };
        let whole = site.read(file);
        fs::write(site.path(file), bytes).expect("a file of the site");
        println!("{name} as {file}");
        refused(&site, file);
        fs::write(site.path(file), whole).expect("a file of the site");
    }
    site.json(["check"]).expect_code(0);
}

#[test]
fn thousands_of_faults_in_one_file_take_no_longer_than_one_may_wait() {
    let site = example();
    let fields = |count: usize| -> String {
        let field = |n| format!("[[fields]]\nname = \"f{n}\"\ntype = \"utf9\"\nlevle = 1\n");
        (0..count).map(field).collect()
    };
    let head = site.read("catalogue/residents.toml");
    let head = head.split("[[fields]]").next().expect("a head");
    let text = format!("{head}{}", fields(15_000));
    site.write("catalogue/residents.toml", &text);
    refused(&site, "catalogue/residents.toml");
    let unknown: String = (0..60_000)
        .map(|n| format!("unknown-{n} = {n}\n"))
        .collect();
    site.write("catalogue/residents.toml", &unknown);
    refused(&site, "catalogue/residents.toml");
}

#[test]
fn marks_and_line_ends_of_another_system_are_read() {
    let site = example();
    for file in FILES {
        let whole = site.read(file);
        site.write(file, &format!("\u{feff}{}", whole.replace('\n', "\r\n")));
        site.json(["check"]).expect_code(0);
        site.write(
            file,
            &format!("\u{feff}\r\nwhat = 1\r\n{}", whole.replace('\n', "\r\n")),
        );
        let found = refused(&site, file).document();
        let unknown = json!({
            "file": file, "line": 2, "column": 1, "what": "unknown key `what`",
            "hint": found["problems"].as_array().and_then(|problems| {
                problems.iter().find(|problem| problem["file"] == file)?.get("hint")
            }),
        });
        let problems = found["problems"].as_array().expect("problems");
        assert!(problems.contains(&unknown), "{found:#}");
        site.write(file, &whole);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_none_is_refused() {
    use std::os::unix::fs::symlink;

    let site = example();
    let outside = site.beside().join("outside.toml");
    for file in FILES {
        let (whole, path) = (site.read(file), site.path(file));
        fs::write(&outside, &whole).expect("a file outside");
        let instead = |make: &dyn Fn()| {
            fs::remove_file(&path).expect("a file to remove");
            make();
            refused(&site, file);
            match fs::symlink_metadata(&path).expect("what was made").is_dir() {
                true => fs::remove_dir(&path).expect("an empty directory"),
                false => fs::remove_file(&path).expect("a link"),
            }
            fs::write(&path, &whole).expect("a file of the site");
        };
        instead(&|| fs::create_dir(&path).expect("a directory"));
        instead(&|| symlink(&outside, &path).expect("a link that leaves"));
        instead(&|| symlink("/dev/zero", &path).expect("a link to a device"));
        instead(&|| symlink("/nonexistent", &path).expect("a dangling link"));
        instead(&|| symlink(&path, &path).expect("a link to itself"));
        instead(&|| {
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.expect("mkfifo").success());
        });
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_none_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let site = example();
    for folder in ["catalogue", "grants", "recipients", "jobs"] {
        let (path, aside) = (site.path(folder), site.beside().join(folder));
        fs::rename(&path, &aside).expect("a folder to move");
        symlink(&aside, &path).expect("a link that leaves");
        refused(&site, folder);
        fs::remove_file(&path).expect("a link");
        fs::write(&path, "").expect("a file in its place");
        refused(&site, folder);
        fs::remove_file(&path).expect("a file");
        fs::rename(&aside, &path).expect("a folder to move back");
        let odd = path.join(std::ffi::OsStr::from_bytes(b"\xff\x1b[2J.toml"));
        fs::write(&odd, "id = 1").expect("a file of an odd name");
        let found = survives(site.command().args(["--site", "site", "check"]));
        assert_eq!(found.code, 2, "{found:?}");
        assert!(!found.stdout.contains('\u{1b}'), "{found:?}");
        fs::remove_file(&odd).expect("a file of an odd name");
    }
    site.json(["check"]).expect_code(0);
}

/// What a grant says is repeated in documents and on terminals; none of it may steer one.
#[test]
fn a_grant_of_odd_but_valid_words_is_shown_as_it_is() {
    let site = example();
    site.edit(
        "grants/G-2026-0117.toml",
        "最低生活保障资格核查",
        "\\u001b[2J\\u0007最低",
    );
    site.json(["check"]).expect_code(0);
    for arguments in [
        ["grant", "show", "G-2026-0117"],
        ["grant", "list", "--json"],
    ] {
        let shown = survives(site.command().args(["--site", "site"]).args(arguments));
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(!shown.stdout.contains('\u{1b}'), "{shown:?}");
    }
}
