//! Treatments that read more of a row than their own field, keys that change, grants that share
//! pseudonyms, and what operators see of all that before anything leaves.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::Date32Type;
use lockgate_acceptance::site::{Delivery, Site, write_parquet};
use serde_json::{Value, json};

use crate::people::{self, grant, person_id, region, status};

fn texts(delivery: &Delivery, field: usize) -> Vec<Option<String>> {
    let rows = delivery.rows();
    let column = rows.column(field).as_string::<i32>().clone();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn a_condition_over_the_original_row_chooses_the_treatment() {
    let site = people::site(90);
    let when = "{ kind = 'when', condition = \"status = 'active'\", then = { kind = 'keep-ends', \
                first = 1, last = 0 }, else = { kind = 'null' } }";
    site.signed(&grant("G-1", &["name", "status"]).treatment("name", when));
    let delivery = site.deliver("G-1");
    let names = texts(&delivery, 0);
    assert_eq!(names.len(), 90);
    for (row, name) in names.iter().enumerate() {
        // A status that is null is not active.
        assert_eq!(name.is_some(), status(row) == Some("active"), "row {row}");
        assert!(
            name.as_ref()
                .is_none_or(|name| name.contains('*') || name == "李"),
            "{name:?}"
        );
    }
}

#[test]
fn a_condition_may_read_a_field_that_is_not_delivered_and_the_approver_sees_it() {
    let site = people::site(30);
    let drop = "{ kind = 'drop-row', when = \"status = 'left'\", reason = 'moved away' }";
    site.signed(&grant("G-1", &["id"]).treatment("id", drop));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(plan["filter_only"], serde_json::json!(["status"]));
    let run = site.run("G-1").expecting(0).document();
    // A row whose status is null has no answer, and does not leave either.
    assert_eq!(run["rows"]["delivered"], 10);
    assert_eq!(run["rows"]["filtered"], 20);
    assert_eq!(run["rows"]["rejected"], 0);
    // What a treatment leaves out is told apart from what is out of scope.
    assert_eq!(
        run["dropped"],
        serde_json::json!({ "id": { "moved away": 20 } })
    );
    let manifest = Delivery::of_run(&run).manifest().clone();
    let counts = &manifest["treatment_counts"]["id"];
    assert_eq!(counts["dropped"], serde_json::json!({ "moved away": 20 }));
    let preview = site.json(["preview", "G-1"]).expecting(0).document();
    assert_eq!(preview["counts"][0]["dropped"], counts["dropped"]);
    let shown = site.text(["run", "G-1", "--again"]).expecting(0).stdout;
    assert!(
        shown.contains("left out  20 of them for id: moved away"),
        "{shown}"
    );
    // The level of what decides is part of the approval.
    let graded = |level: u8| format!("category = \"status\"\nlevel = {level}");
    site.edit("catalogue/people.toml", &graded(2), &graded(1));
    assert_eq!(site.run("G-1").expecting(3).refusals(), ["approval-stale"]);
}

#[test]
fn dates_of_one_person_move_together_and_by_no_day_of_another() {
    let site = people::site(60);
    let shift = "{ kind = 'date-shift', domain = 'person.id', by = 'person_id', min_days = -30, \
                 max_days = 30 }";
    site.policy("[[rules]]\ntreatment = { kind = 'clear' }\n");
    site.signed(&grant("G-1", &["birth"]).treatment("birth", shift));
    let delivery = site.deliver("G-1");
    let rows = delivery.rows();
    let dates = rows.column(0).as_primitive::<Date32Type>();
    let moved: Vec<i64> = (0..60)
        .map(|row| i64::from(dates.value(row)) - row as i64)
        .collect();
    assert!(
        moved.iter().all(|days| *days != 0 && days.abs() <= 30),
        "{moved:?}"
    );
    assert!(
        moved.iter().collect::<BTreeSet<_>>().len() > 10,
        "{moved:?}"
    );
}

#[test]
fn pseudonyms_of_two_grants_join_only_in_a_group_that_both_list() {
    let site = people::site(20);
    let joined = "{ kind = 'hmac', domain = 'person.id', join = 'families' }";
    site.policy(&people::POLICY.replace("{ kind = 'hmac', domain = 'person.id' }", joined));
    let shared = |id: &str| {
        grant(id, &["person_id"])
            .more("joins = [\"families\"]")
            .treatment("person_id", joined)
    };
    site.signed(&shared("G-1"));
    site.signed(&shared("G-2"));
    site.signed(
        &grant("G-3", &["person_id"])
            .treatment("person_id", "{ kind = 'hmac', domain = 'person.id' }"),
    );
    let of = |id: &str| {
        texts(&site.deliver(id), 0)
            .into_iter()
            .flatten()
            .collect::<BTreeSet<_>>()
    };
    let (one, two, three) = (of("G-1"), of("G-2"), of("G-3"));
    assert_eq!((one.len(), &one), (20, &two));
    assert!(one.is_disjoint(&three));
    let entries = site.json(["ledger", "list"]).expecting(0).document();
    let entries = entries["entries"].as_array().expect("entries").clone();
    let groups: Vec<_> = entries
        .iter()
        .filter(|entry| entry["event"] == "release-intended")
        .map(|entry| entry["join_groups"].clone())
        .collect();
    let families = serde_json::json!(["families"]);
    assert_eq!(groups, [families.clone(), families, serde_json::json!([])]);
    site.grant(&grant("G-4", &["person_id"]));
    let plan = site.json(["plan", "G-4"]).expecting(3);
    assert!(plan.refusals().contains(&"linkage".to_owned()), "{plan:?}");
}

#[test]
fn an_older_key_stays_in_use_until_its_day_and_the_manifest_names_the_version() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["person_id"]));
    let version =
        |delivery: &Delivery| delivery.manifest()["fields"][0]["key_versions"]["pseudonym"].clone();
    let first = site.deliver("G-1");
    assert_eq!(version(&first), 1);
    site.json(["keys", "new", "pseudonym"]).expect_code(0);
    let again = |site: &Site| {
        let run = site.json(["run", "G-1", "--again"]).expecting(0);
        Delivery::of_run(&run.document())
    };
    site.configure_more("[keys.hold]\npseudonym = { version = 1, until = 2099-12-31 }");
    let held = again(&site);
    assert_eq!(
        (version(&held), texts(&held, 0)),
        (1.into(), texts(&first, 0))
    );
    site.configure_more("[keys.hold]\npseudonym = { version = 1, until = 2020-01-01 }");
    let renewed = again(&site);
    assert_eq!(version(&renewed), 2);
    assert_ne!(texts(&renewed, 0), texts(&first, 0));
}

#[test]
fn the_manifest_states_the_version_of_every_key_that_a_field_was_treated_with() {
    let site = people::site(10);
    let two = "{ kind = 'when', condition = \"status = 'active'\", then = { kind = 'hmac', \
               domain = 'status' }, else = { kind = 'encrypt-rand', domain = 'status', \
               encoding = 'base64url' } }";
    site.signed(&grant("G-1", &["status", "person_id", "id"]).treatment("status", two));
    site.json(["keys", "new", "pseudonym"]).expect_code(0);
    let delivery = site.deliver("G-1");
    let fields = &delivery.manifest()["fields"];
    let expected = serde_json::json!({ "encryption": 1, "pseudonym": 2 });
    assert_eq!(fields[0]["key_versions"], expected);
    assert_eq!(
        fields[1]["key_versions"],
        serde_json::json!({ "pseudonym": 2 })
    );
    assert!(fields[2].get("key_versions").is_none(), "{fields}");
}

#[test]
fn a_guard_keeps_a_row_from_failing_whatever_rows_share_a_chunk() {
    // Nearly all rows pass the guard, so that kernels look at both sides of it for every row.
    for condition in [
        "id <> 7 AND 100 / (id - 7) >= 2",
        "NOT (id = 7 OR 100 / (id - 7) < 2)",
    ] {
        let site = people::site(300);
        let when = format!(
            "{{ kind = 'when', condition = \"{condition}\", then = {{ kind = 'constant', \
             value = 'near' }}, else = {{ kind = 'constant', value = 'far' }} }}"
        );
        site.signed(&grant("G-1", &["id", "region"]).treatment("region", &when));
        let delivered = texts(&site.deliver("G-1"), 1);
        // A region that is null stays null, whatever the arm.
        let expected = (0..300).map(|id| {
            let near = (8..=57).contains(&id);
            region(id).map(|_| if near { "near" } else { "far" }.to_owned())
        });
        let expected: Vec<Option<String>> = expected.collect();
        assert_eq!(delivered, expected, "{condition}");
        let preview = site.json(["preview", "G-1", "--rows", "60"]).expecting(0);
        let rows = preview.document()["rows"].as_array().expect("rows").clone();
        assert_eq!(rows.len(), 60);
        for (row, expected) in rows.iter().zip(expected) {
            assert_eq!(row[1].as_str(), expected.as_deref());
        }
    }
}

#[test]
fn a_row_that_an_earlier_arm_took_cannot_fail_a_later_one() {
    let site = people::site(300);
    let arms = |first: &str| {
        format!(
            "{{ kind = 'case', arms = [{{ when = \"{first}\", then = {{ kind = 'null' }} }}, \
             {{ when = \"100 / (id - 7) >= 2\", then = {{ kind = 'constant', value = 'near' }} }}], \
             else = {{ kind = 'constant', value = 'far' }} }}"
        )
    };
    site.signed(&grant("G-1", &["region"]).treatment("region", &arms("id < 8")));
    let delivered = texts(&site.deliver("G-1"), 0);
    for (id, text) in delivered.iter().enumerate() {
        let expected = match id {
            0..8 => None,
            _ if region(id).is_none() => None,
            8..=57 => Some("near"),
            _ => Some("far"),
        };
        assert_eq!(text.as_deref(), expected, "row {id}");
    }
    // Where no arm takes it, the run says which field and which row want an answer.
    site.signed(&grant("G-2", &["id", "region"]).treatment("region", &arms("id < 7")));
    let failed = site.run("G-2").expecting(1);
    let error = &failed.document()["error"];
    assert_eq!(error["class"], "data");
    let what = error["what"].as_str().expect("what");
    assert!(
        what.contains("`region`") && what.contains("row 8") && what.contains("no value"),
        "{what}"
    );
}

#[test]
fn encrypted_cells_differ_every_time_and_hold_no_original() {
    let site = people::site(40);
    site.signed(&grant("G-1", &["person_id", "name"]).treatment(
        "person_id",
        "{ kind = 'encrypt-rand', domain = 'person.id', encoding = 'base64url' }",
    ));
    let first = site.deliver("G-1");
    let run = site.json(["run", "G-1", "--again"]).expecting(0).document();
    let second = Delivery::of_run(&run);
    let of = |delivery: &Delivery| {
        texts(delivery, 0)
            .into_iter()
            .flatten()
            .collect::<BTreeSet<_>>()
    };
    let (one, two) = (of(&first), of(&second));
    assert_eq!((one.len(), two.len()), (40, 40));
    assert!(one.is_disjoint(&two), "no cell is ever written twice");
    for bytes in first.bytes() {
        for row in 0..40 {
            let original = person_id(row).into_bytes();
            assert!(
                !bytes
                    .windows(original.len())
                    .any(|window| window == original),
                "row {row}"
            );
        }
    }
    site.json(["preview", "G-1"]).expect_code(0);
}

#[test]
fn a_preview_counts_and_draws_what_becomes_of_the_values() {
    let site = people::site(50);
    site.signed(&grant("G-1", &["name", "region"]));
    let preview = site
        .json(["preview", "G-1", "--rows", "3"])
        .expecting(0)
        .document();
    assert_eq!(preview["rows"].as_array().map(Vec::len), Some(3));
    assert_eq!(preview["profiled"], 50);
    assert_eq!(preview["distinct"][0]["before"], 5);
    assert_eq!(preview["counts"][1]["nulls"], 10);
    assert!(
        preview["histograms"]["before"].is_null(),
        "originals are not for this site"
    );
    let bars = preview["histograms"]["after"][1]
        .as_array()
        .expect("bars")
        .clone();
    let rows: u64 = bars.iter().filter_map(|bar| bar["rows"].as_u64()).sum();
    assert_eq!(rows, 40, "{bars:?}");
    let text = site.text(["preview", "G-1"]).expecting(0).stdout;
    assert!(text.contains("fallback") && text.contains('▇'), "{text}");
}

#[test]
fn a_preview_with_originals_draws_what_they_were() {
    let site = people::site(50);
    site.configure_more("[preview]\nbefore = true");
    let fields = ["name", "region", "birth"];
    site.signed(&grant("G-1", &fields));
    let command = ["preview", "G-1", "--before", "--rows", "1"];
    let preview = site.json(command).expecting(0).document();
    let (before, after) = (
        &preview["histograms"]["before"],
        &preview["histograms"]["after"],
    );
    let names = ["Ana", "张三", "李", "欧阳修", "王小明"];
    let bars = names.map(|name| json!({ "label": name, "rows": 10 }));
    assert_eq!(before[0], json!(bars));
    assert!(!after[0].to_string().contains("张三"), "{after}");
    let rows = |bars: &Value| -> Option<u64> {
        let bars = bars.as_array()?;
        bars.iter().map(|bar| bar["rows"].as_u64()).sum()
    };
    // A region in five is null.
    assert_eq!((rows(&before[1]), rows(&before[2])), (Some(40), Some(50)));
    assert!(before[2].as_array().map(Vec::len) > after[2].as_array().map(Vec::len));
    let text = site.text(command).expecting(0).stdout;
    for field in fields {
        assert!(text.contains(&format!("{field}, original")), "{text}");
    }
    let mut lines = text
        .lines()
        .skip_while(|line| !line.contains("name, original"))
        .skip(1);
    for name in names {
        let line = lines.next().expect("a bar for each name");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..2], [name, "10"], "{text}");
        assert!(words[2].chars().all(|bar| bar == '▇'), "{text}");
    }
}

#[test]
fn a_preview_says_of_each_field_how_many_values_fell_back_on_an_option() {
    let site = people::bare_site();
    // Of six names one is empty, two have one character, and three are treated as names are.
    with_names(&site, 6, |row| {
        ["", "张", "李", "张三", "李四", "王五"][row].to_owned()
    });
    site.signed(&grant("G-1", &["name", "id"]));
    let preview = site.json(["preview", "G-1"]).expecting(0).document();
    let counts = &preview["counts"][0];
    assert_eq!((&counts["empty"], &counts["short"]), (&json!(1), &json!(2)));
    assert_eq!(preview["fallback"], json!([3, 0]));
    let text = site.text(["preview", "G-1"]).expecting(0).stdout;
    let header = text
        .lines()
        .find(|line| line.contains("fallback"))
        .expect("a header");
    let place = header
        .split_whitespace()
        .position(|word| word == "fallback");
    let place = place.expect("a column");
    let row = text
        .lines()
        .skip_while(|line| *line != header)
        .nth(1)
        .expect("a row");
    assert_eq!(row.split_whitespace().nth(place), Some("3"), "{text}");
}

#[test]
fn a_plan_says_how_many_originals_a_treated_value_fits() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["person_id", "name", "birth"]));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    // A date of which the year is left. Of a number that is a pseudonym nothing is, and names have
    // no shape to count by.
    assert_eq!(plan["residual_candidates"], json!({ "birth": 365 }));
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    let lines = text.lines().map(|line| line.split_whitespace().collect());
    let lines: Vec<Vec<&str>> = lines.collect();
    let last = |first: &str| {
        let line = lines.iter().find(|words| words.first() == Some(&first));
        line.and_then(|words| words.last().copied())
    };
    assert_eq!(last("field"), Some("candidates"), "{text}");
    assert_eq!(last("birth"), Some("365"), "{text}");
    assert_ne!(last("name"), Some("365"), "{text}");
}

#[test]
fn a_floor_of_candidates_refuses_a_field_that_others_give_away() {
    let site = people::site(10);
    let kept = "{ kind = 'keep-ends', first = 6, last = 4 }";
    let rules = people::POLICY.replace("{ kind = 'hmac', domain = 'person.id' }", kept);
    let floor = |least: u64| {
        site.policy(&format!(
            "[residual]\nmin_candidates = {least}\nbelow = 'refuse'\n{rules}"
        ));
    };
    floor(33);
    site.signed(&grant("G-1", &["person_id"]));
    site.signed(&grant("G-2", &["person_id", "birth"]));
    // The dates of a century that the check digit fits; and beside the year of birth, of a year.
    let alone = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(alone["residual_candidates"], json!({ "person_id": 3_320 }));
    floor(34);
    site.json(["plan", "G-1"]).expect_code(0);
    for command in ["plan", "run"] {
        let refused = site.json([command, "G-2"]).expecting(3);
        assert_eq!(refused.refusals(), ["below-floor"], "{command}");
        let refusal = &refused.document()["refusals"][0];
        assert_eq!(refusal["field"], "person_id", "{command}");
        let reason = refusal["reason"].as_str().expect("a reason");
        assert!(
            reason.contains("leaves 33 possible originals") && reason.contains("at least 34"),
            "{reason}"
        );
    }
    floor(33);
    let passed = site.json(["plan", "G-2"]).expecting(0).document();
    assert_eq!(
        passed["residual_candidates"],
        json!({ "birth": 365, "person_id": 33 })
    );
    assert_eq!(
        site.run("G-2").expecting(0).document()["status"],
        "delivered"
    );
}

#[test]
fn a_condition_reads_the_original_of_a_field_that_is_masked_itself() {
    // Greenmask asks the record as it was modified so far, so that the order of rules decides.
    let when = "{ kind = 'when', condition = \"status = 'active'\", then = { kind = 'keep-ends', \
                first = 1, last = 0 }, else = { kind = 'null' } }";
    for fields in [["name", "status"], ["status", "name"]] {
        let site = people::site(30);
        let masked = grant("G-1", &fields).treatment("name", when);
        site.signed(&masked.treatment("status", "{ kind = 'constant', value = 'active' }"));
        let delivery = site.deliver("G-1");
        let place = |name| {
            fields
                .iter()
                .position(|field| *field == name)
                .expect("a field")
        };
        let names = texts(&delivery, place("name"));
        for (row, name) in names.iter().enumerate() {
            assert_eq!(name.is_some(), status(row) == Some("active"), "row {row}");
        }
        let statuses = texts(&delivery, place("status"));
        assert!(statuses.iter().flatten().all(|status| status == "active"));
    }
}

#[test]
fn a_file_that_is_added_to_a_source_is_treated_like_the_others() {
    // PostgreSQL Anonymizer: the rules of a table don't hold for its partitions.
    let site = people::site(20);
    site.signed(&grant("G-1", &["id", "name", "person_id"]));
    site.deliver("G-1");
    let later = people::people(20..40);
    write_parquet(&site.path("lake/people/2.parquet"), &later, 8);
    let delivery = site.deliver("G-1");
    let names = texts(&delivery, 1);
    assert_eq!(names.len(), 40);
    let shown = |name: &String| name.chars().filter(|shown| *shown != '*').count();
    assert!(
        names.iter().flatten().all(|name| shown(name) <= 1),
        "{names:?}"
    );
    for bytes in delivery.bytes() {
        for row in 0..40 {
            let original = person_id(row).into_bytes();
            assert!(
                !bytes.windows(original.len()).any(|part| part == original),
                "row {row}"
            );
        }
    }
}

#[test]
fn a_difference_of_sites_says_what_becomes_of_each_grant() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["name", "birth"]));
    site.signed(&grant("G-2", &["id"]));
    let old = site.beside().join("old");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(site.root())
        .arg(&old)
        .status();
    assert!(copied.expect("cp").success());
    let old = old.to_str().expect("a path");
    let nothing = site.text(["plan", "--diff", old]).expecting(0).stdout;
    assert_eq!(nothing, "no live grant changes\n");
    site.edit("policy.toml", "first = 1, last = 0", "first = 2, last = 0");
    let diff = site.json(["plan", "--diff", old]).expecting(0).document();
    let grants = diff["grants"].as_array().expect("grants").clone();
    assert_eq!(grants.len(), 1, "{diff}");
    assert_eq!(grants[0]["grant"], "G-1");
    let kinds: Vec<_> = grants[0]["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|change| change["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["refused", "weaker"]);
    let text = site
        .text(["plan", "G-1", "--diff", old])
        .expecting(0)
        .stdout;
    assert!(
        text.contains("approval-stale") && text.contains("weaker"),
        "{text}"
    );
    site.text(["plan", "G-9", "--diff", old]).expect_code(2);
}

#[test]
fn a_condition_outside_the_language_is_a_problem_of_the_file_that_holds_it() {
    let site = people::site(10);
    let when = |condition: &str| {
        format!(
            "{{ kind = 'when', condition = \"{condition}\", then = {{ kind = 'null' }}, else = {{ kind = 'null' }} }}"
        )
    };
    for condition in ["statis = 'active'", "random() > 0.5", "status ="] {
        site.grant(&grant("G-1", &["name"]).treatment("name", &when(condition)));
        let checked = site.json(["check"]).expecting(2).document();
        let problem = &checked["problems"][0];
        assert_eq!(problem["file"], "grants/G-1.toml", "{checked}");
        assert!(
            problem["what"]
                .as_str()
                .is_some_and(|what| what.contains("condition")),
            "{checked}"
        );
        site.json(["plan", "G-1"]).expect_code(2);
    }
}

/// Writes the register's source with other names.
fn with_names(site: &Site, rows: usize, name: impl Fn(usize) -> String) {
    let people = people::people(0..rows);
    let names = StringArray::from_iter_values((0..rows).map(name));
    let mut columns = people.columns().to_vec();
    columns[2] = Arc::new(names);
    let people = RecordBatch::try_new(people.schema(), columns).expect("a batch of people");
    write_parquet(&site.path("lake/people/1.parquet"), &people, 8);
}

#[test]
fn a_preview_holds_a_few_chunks_however_long_values_are() {
    let site = people::bare_site();
    with_names(&site, 96, |row| format!("{row:04}").repeat(1 << 18));
    site.signed(&grant("G-1", &["name"]));
    let shown = ["preview", "G-1", "--rows", "1"];
    let preview = site.json(shown).expecting(0).document();
    let profiled = preview["profiled"].as_u64().expect("a count");
    // A mebibyte each: 32 of them are as many as a chunk of a run has.
    assert!((31..=64).contains(&profiled), "{profiled}");
    assert_eq!(preview["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(preview["distinct"][0]["before"], profiled);
    let entries = site.json(["ledger", "list"]).expecting(0).document();
    let entries = entries["entries"].as_array().expect("entries").clone();
    let entry = entries
        .iter()
        .find(|entry| entry["event"] == "previewed")
        .expect("an entry of the preview");
    assert_eq!(
        (&entry["rows"], &entry["profiled"]),
        (&json!(1), &json!(profiled))
    );
}

#[test]
fn a_value_that_is_too_long_for_a_run_fails_a_preview_too() {
    let site = people::bare_site();
    let long = (16 << 20) + 1;
    with_names(&site, 3, |row| "a".repeat(if row == 1 { long } else { 3 }));
    site.signed(&grant("G-1", &["id"]));
    let unread = site.json(["preview", "G-1"]).expecting(0).document();
    assert_eq!(
        unread["profiled"], 3,
        "a field that nothing reads may be long"
    );
    site.signed(&grant("G-2", &["name"]));
    for command in ["run", "preview"] {
        let failed = site.json([command, "G-2"]).expecting(1).document();
        let said = failed["error"].to_string();
        assert!(
            said.contains("name") && said.contains("row 2"),
            "{command}: {said}"
        );
    }
}

#[test]
fn a_plan_says_what_joins_over_a_field_can_rely_on() {
    let site = people::bare_site();
    site.dataset(&people::dataset().more("key = ['person_id', 'name']"));
    with_names(&site, 3, |row| row.to_string());
    site.signed(&grant("G-1", &["person_id", "name", "region"]));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    let field = |index: usize| &plan["fields"][index];
    assert_eq!(
        field(0)["uniqueness"],
        json!({ "probabilistic": { "bits": 256 } })
    );
    assert!(
        field(0)["collisions"]
            .as_str()
            .is_some_and(|odds| odds.contains("1 in"))
    );
    assert_eq!(field(0)["width"], json!({ "bytes": 64, "strict": false }));
    assert_eq!(field(1)["uniqueness"], "lossy");
    assert!(field(1)["width"].is_null());
    assert_eq!(field(2)["uniqueness"], "bijective");
    let warnings = plan["warnings"].as_array().expect("warnings");
    let codes: Vec<_> = warnings
        .iter()
        .map(|found| (&found["code"], &found["field"]))
        .collect();
    assert_eq!(codes, [(&json!("key-not-unique"), &json!("name"))]);
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    assert!(text.contains("256 bits") && text.contains("64+"), "{text}");
}
