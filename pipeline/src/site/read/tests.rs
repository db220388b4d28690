use proptest::prelude::*;

use super::*;
use crate::site::{Dataset, Grant, Job, Loaded, Policy, Recipient, SiteFile};

/// Problems as `LINE:COLUMN WHAT | HINT`.
fn problems<T: DeserializeOwned>(text: &str) -> Vec<String> {
    let (value, _, problems) = read::<T>(text, "file.toml");
    assert_eq!(value.is_none(), !problems.is_empty());
    problems
        .into_iter()
        .map(|problem| {
            let hint = problem
                .hint
                .map(|hint| format!(" | {hint}"))
                .unwrap_or_default();
            format!("{}:{} {}{hint}", problem.line, problem.column, problem.what)
        })
        .collect()
}

const GRANT: &str = r#"id = "G-1"
version = 1
dataset = "residents"
recipient = "civil-affairs"
purpose = "核查"
basis = "条例"
fields = ["person_id", "income"]
modes = ["batch"]
valid = { from = 2026-01-01, until = 2099-12-31 }
quota = { runs = 400, rows = 50_000_000 }
[treatments]
income = { kind = "round", to = "1000" }
[[exemptions]]
field = "birth_date"
treatment = { kind = "clear" }
reason = "…"
approver = "data-office"
[delivery]
format = "parquet"
"#;

const POLICY: &str = r#"[[rules]]
category = "resident-id"
treatment = { kind = "hmac", domain = "person.id" }
[[rules]]
category = "person-name"
treatment = { kind = "keep-ends", first = 1, last = 0 }
"#;

const DATASET: &str = r#"id = "residents"
provider = "public-security"
source = { store = "lake", path = "residents/", format = "parquet" }
sharing = "conditional"
modes = ["batch"]
[[fields]]
name = "person_id"
type = "utf8"
category = "resident-id"
level = 3
"#;

#[test]
fn good_files_have_no_problems() {
    assert_eq!(problems::<Grant>(GRANT), Vec::<String>::new());
    assert_eq!(problems::<Policy>(POLICY), Vec::<String>::new());
    assert_eq!(problems::<Dataset>(DATASET), Vec::<String>::new());
}

#[test]
fn an_unknown_key_names_the_nearest_and_hides_the_missing_one() {
    let text = POLICY.replacen("treatment =", "treatmnt =", 1);
    assert_eq!(
        problems::<Policy>(&text),
        ["3:1 unknown key `treatmnt` | did you mean `treatment`?"]
    );
}

#[test]
fn an_unknown_key_far_from_all_lists_them() {
    let text = POLICY.replacen("category =", "colour =", 1);
    assert_eq!(
        problems::<Policy>(&text),
        [
            "2:1 unknown key `colour` | known keys: `category`, `min_level`, `max_level`, \
             `fields`, `treatment`"
        ]
    );
}

#[test]
fn columns_count_characters() {
    let text = "id = \"G\" # 身份\nname = \"名\"\npublic_keys = [\"一二三\", 4]\n";
    assert_eq!(
        problems::<Recipient>(text),
        ["3:23 expected text in quotes, found a whole number"]
    );
    let text = "\u{feff}iid = \"a\"\ngrant = \"b\"\n";
    assert_eq!(
        problems::<Job>(text),
        ["1:1 unknown key `iid` | did you mean `id`?"]
    );
    let text = "id = \"a\"\r\ngrnt = \"b\"\r\n";
    assert_eq!(
        problems::<Job>(text),
        ["2:1 unknown key `grnt` | did you mean `grant`?"]
    );
}

#[test]
fn every_fault_of_a_file_is_reported_at_once() {
    let text = GRANT
        .replace("version = 1", "version = \"one\"")
        .replace("basis = ", "bases = ")
        .replace("[\"batch\"]", "[\"batch\", \"bacth\"]")
        .replace("until = 2099-12-31", "untill = 2099-12-31")
        .replace(
            "from = 2026-01-01",
            "from = 2026-02-30x".trim_end_matches('x'),
        )
        .replace("runs = 400", "runs = -4")
        .replace("approver = \"data-office\"\n", "");
    let text = text.replace("2026-02-30", "\"2026-02-30\"");
    assert_eq!(
        problems::<Grant>(&text),
        [
            "2:11 expected a whole number from 0 to 4294967295, found text",
            "6:1 unknown key `bases` | did you mean `basis`?",
            "8:19 unknown value `bacth` | did you mean `batch`? known values: `batch`, `download`",
            "9:18 not a calendar day; write a date such as 2026-01-31",
            "9:32 unknown key `untill` | did you mean `until`?",
            "10:18 expected a whole number, 0 or more, found one out of range",
            "13:1 `approver` is missing",
        ]
    );
}

#[test]
fn faults_within_treatments_are_located_there() {
    let cases = [
        (
            "{ kind = \"keep-end\", first = 1, last = 0 }",
            "6:22 unknown value `keep-end` | did you mean `keep-ends`?",
        ),
        (
            "{ kind = \"keep-ends\", frist = 1, last = 0 }",
            "6:35 unknown key `frist` | did you mean `first`? known keys: `first`, `last`, `fill`, `length`, \
             `on_null`, `on_empty`, `on_short`, `on_invalid`, `sentinels`, `max_invalid`",
        ),
        (
            "{ kind = \"keep-ends\", first = 1 }",
            "6:13 `last` is missing",
        ),
        ("{ first = 1, last = 0 }", "6:13 `kind` is missing"),
        (
            "{ kind = \"keep-ends\", first = 1, last = 0, on_short = \"keep\" }",
            "6:67 unknown value `keep` | known values: `null`, `mask-all`, `fail`, `reject`",
        ),
        (
            "{ kind = \"mask-around\", side = \"befor\" }",
            "6:44 unknown value `befor` | did you mean `before`? known values: `before`, `after`",
        ),
        (
            "\"clear\"",
            "6:13 expected a treatment such as { kind = \"clear\" }, found text",
        ),
    ];
    for (treatment, expected) in cases {
        let text = POLICY.replace("{ kind = \"keep-ends\", first = 1, last = 0 }", treatment);
        assert_eq!(problems::<Policy>(&text), [expected], "{treatment}");
    }
    for (parameter, column) in [
        ("first = -1, last = 0", 43),
        ("first = 1, last = \"0\"", 53),
    ] {
        let text = POLICY.replace("first = 1, last = 0", parameter);
        let found = problems::<Policy>(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("6:{column} ")), "{found:?}");
    }
    let text = POLICY.replace("first = 1, last = 0", "first = \"x\", last = \"x\"");
    let found = problems::<Policy>(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("6:43 ") && found[1].starts_with("6:55 "),
        "{found:?}"
    );
}

#[test]
fn every_allowed_word_of_a_parameter_is_told() {
    let typed = "{ kind = \"typed-mask\", of = \"mobile\", keep = \"last-5\" }";
    let text = POLICY.replace("{ kind = \"keep-ends\", first = 1, last = 0 }", typed);
    let found = problems::<Policy>(&text).concat();
    for word in ["did you mean `last-4`?", "`nothing`", "`three-parts`"] {
        assert!(found.contains(word), "{found}");
    }
    let kind = "{ kind = \"no such treatment\" }";
    let text = POLICY.replace("{ kind = \"keep-ends\", first = 1, last = 0 }", kind);
    let found = problems::<Policy>(&text).concat();
    for kind in lockgate_transforms::treatments::catalogue() {
        assert!(found.contains(&format!("`{}`", kind.kind)), "{found}");
    }
}

#[test]
fn missing_keys_are_each_reported_once() {
    assert_eq!(
        problems::<Dataset>(""),
        [
            "1:1 `fields` is missing",
            "1:1 `id` is missing",
            "1:1 `modes` is missing",
            "1:1 `provider` is missing",
            "1:1 `sharing` is missing",
            "1:1 `source` is missing",
        ]
    );
    assert_eq!(
        problems::<SiteFile>("# nothing\n"),
        ["1:1 `site` is missing"]
    );
    assert_eq!(
        problems::<SiteFile>("[preview]\nbefore = 1\n[site]\nname = \"a\"\ntier = \"region\"\n"),
        [
            "2:10 expected true or false, found a whole number",
            "5:8 unknown value `region` | did you mean `regional`? known values: `national`, \
             `regional`, `sector`",
        ]
    );
    assert_eq!(
        problems::<Policy>("[[rules]]\ncategory = \"a\"\n[[rules]]\ncategory = 1\n"),
        [
            "1:1 `treatment` is missing",
            "3:1 `treatment` is missing",
            "4:12 expected text in quotes, found a whole number",
        ]
    );
}

#[test]
fn levels_are_one_to_four_important_or_core() {
    for (level, rest) in [
        (
            "5",
            "expected a level: 1 to 4, \"important\" or \"core\", found one out of range",
        ),
        (
            "\"imporant\"",
            "unknown value `imporant` | did you mean `important`? known values: `important`, `core`",
        ),
        (
            "1.5",
            "expected a level: 1 to 4, \"important\" or \"core\", found a number with a point",
        ),
    ] {
        let text = DATASET.replace("level = 3", &format!("level = {level}"));
        assert_eq!(problems::<Dataset>(&text), [format!("10:9 {rest}")]);
    }
}

#[test]
fn a_secret_by_value_is_not_repeated() {
    let text = "[site]\nname = \"a\"\ntier = \"sector\"\n[databases.psb]\nurl = \"postgres://h/d\"\n\
                password = \"hunter2\"\n";
    assert_eq!(
        problems::<SiteFile>(text),
        [
            "6:12 a secret is given by reference, never by value | write { env = \"NAME\" } or { \
             file = \"path\" }"
        ]
    );
    for secret in [
        "{ value = \"hunter2\" }",
        "[\"hunter2\"]",
        "{ env = [\"hunter2\"] }",
    ] {
        let text = text.replace("\"hunter2\"", secret);
        let found = problems::<SiteFile>(&text).join("\n");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn syntax_errors_are_located() {
    for (text, place) in [
        ("id = \n", "1:"),
        ("id = \"a\"\ngrant = \"b\n", "2:"),
        ("id = \"a\"\nid = \"b\"\ngrant = \"c\"\n", "2:1 "),
        ("id = \"a\"\n[x\n", "2:"),
        ("id = 'a' grant = 'b'", "1:"),
    ] {
        let found = problems::<Job>(text);
        assert!(found[0].starts_with(place), "{text}: {found:?}");
        assert!(found[0].contains("not valid TOML"), "{found:?}");
    }
}

#[test]
fn hostile_files_are_errors() {
    for (name, text) in [
        (
            "nested arrays",
            format!("id = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        (
            "nested tables",
            "id = ".to_owned() + &"{ a = ".repeat(100_000),
        ),
        ("long dotted key", format!("{}a = 1", "a.".repeat(100_000))),
        ("long header", format!("[{}a]", "a.".repeat(100_000))),
        ("nul", "id = \"a\0\"".to_owned()),
        ("huge integer", format!("id = {}", "9".repeat(100_000))),
        ("huge float", "id = 1e999999".to_owned()),
        (
            "many unknown keys",
            (0..20_000).map(|n| format!("k{n} = {n}\n")).collect(),
        ),
        ("long unknown key", format!("{} = 1", "k".repeat(1_000_000))),
        ("too large", "#".repeat(FILE_BYTES_MAX + 1)),
    ] {
        let found = problems::<Job>(&text);
        assert!(!found.is_empty() && found.len() <= PROBLEMS_MAX, "{name}");
        assert!(found.iter().all(|problem| problem.len() < 400), "{name}");
    }
}

#[test]
fn entries_can_be_located_later() {
    let (value, document, _) = read::<Grant>(GRANT, "file.toml");
    assert!(value.is_some());
    assert_eq!(document.value(&["fields", "1"]), (7, 24));
    assert_eq!(document.value(&["valid", "until"]), (9, 38));
    assert_eq!(document.key(&["valid", "until"]), (9, 30));
    assert_eq!(document.value(&["treatments", "income", "to"]), (12, 33));
    assert_eq!(document.value(&["treatments", "income", "none"]), (12, 10));
    assert_eq!(document.value(&["exemptions", "0", "approver"]), (17, 12));
    assert_eq!(document.value(&["exemptions", "0", "none"]), (13, 1));
    assert_eq!(document.value(&["delivery", "none"]), (18, 1));
    assert_eq!(document.value(&["none"]), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        problems::<Grant>(&text);
        problems::<SiteFile>(&text);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (value, problems) = Loaded::<Grant>::parse(&bytes, "file.toml");
        assert_eq!(value.is_none(), !problems.is_empty());
    }

    #[test]
    fn mutated_files_never_panic(
        file in prop::sample::select(vec![GRANT, POLICY, DATASET]),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..6),
    ) {
        let mut bytes = file.as_bytes().to_vec();
        for (index, how, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, byte),
            }
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            problems::<Grant>(text);
            problems::<Policy>(text);
            problems::<Dataset>(text);
        }
    }

    #[test]
    fn swapped_lines_never_panic(lines in prop::collection::vec(0..19_usize, 1..30)) {
        let all: Vec<&str> = GRANT.lines().collect();
        let text: String = lines.iter().filter_map(|line| all.get(*line)).fold(
            String::new(), |text, line| text + line + "\n");
        problems::<Grant>(&text);
    }
}
