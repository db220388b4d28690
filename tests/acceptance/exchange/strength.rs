//! What counts as "at least the floor", and what an approval covers, when a treatment reads more of
//! the row than its own field.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use lockgate_acceptance::site::{Delivery, Site};

use crate::people::{self, grant, status};

/// Constants for a field of text, chosen by whether a person is active.
const BY_STATUS: &str = "{ kind = 'case', arms = [{ when = \"status = 'active'\", then = { kind = \
                         'constant', value = 'A' } }], else = { kind = 'constant', value = 'B' } }";

/// A policy that withholds the status.
fn withholding() -> String {
    let status = "[[rules]]\ncategory = 'status'\ntreatment = { kind = 'withhold' }\n";
    format!("{status}{}", people::POLICY)
}

fn texts(delivery: &Delivery) -> Vec<String> {
    let rows = delivery.rows();
    let column = rows.column(0).as_string::<i32>();
    column.iter().flatten().map(str::to_owned).collect()
}

fn reasons(site: &Site, grant: &str) -> String {
    let plan = site.json(["plan", grant]).expecting(3).document();
    plan["refusals"].to_string()
}

#[test]
fn constants_chosen_by_a_withheld_field_are_not_delivered() {
    let site = people::site(30);
    site.policy(&withholding());
    site.grant(&grant("G-1", &["name"]).treatment("name", BY_STATUS));
    site.sign("G-1").expect_code(3);
    let run = site.run("G-1").expecting(3);
    assert!(
        run.refusals().contains(&"below-floor".to_owned()),
        "{run:?}"
    );
    let reasons = reasons(&site, "G-1");
    assert!(
        reasons.contains("field `status`") && reasons.contains("exemption for `name`"),
        "{reasons}"
    );

    // The approver may let it pass, by name and reason.
    site.grant(&grant("G-1", &["name"]).exemption("name", BY_STATUS));
    site.sign("G-1").expect_code(0);
    let delivered = texts(&site.deliver("G-1"));
    let expected: Vec<_> = (0..30)
        .map(|row| match status(row) {
            Some("active") => "A",
            _ => "B",
        })
        .collect();
    assert_eq!(delivered, expected);
}

#[test]
fn a_condition_cannot_spell_out_the_treated_field() {
    let site = people::site(30);
    let spelled = BY_STATUS.replace("status = 'active'", "name = '张三'");
    site.grant(&grant("G-1", &["name"]).treatment("name", &spelled));
    site.sign("G-1").expect_code(3);
    let reasons = reasons(&site, "G-1");
    assert!(reasons.contains("what field `name` holds"), "{reasons}");
    assert!(!reasons.contains("张三"), "{reasons}");
}

#[test]
fn a_rule_edited_to_spell_out_a_value_is_stale() {
    let site = people::site(30);
    site.signed(&grant("G-1", &["income"]));
    site.json(["plan", "G-1"]).expect_code(0);
    let constant = |value: &str| format!("{{ kind = 'constant', value = '{value}' }}");
    let arms: Vec<String> = ["100.00", "200.00", "300.00"]
        .iter()
        .map(|bound| {
            let then = constant(bound);
            format!("{{ when = 'income < {bound}', then = {then} }}")
        })
        .collect();
    let exact = format!(
        "{{ kind = 'case', arms = [{}], else = {} }}",
        arms.join(", "),
        constant("0.00")
    );
    site.edit("policy.toml", "{ kind = 'round', to = '1000' }", &exact);
    let run = site.run("G-1").expecting(3);
    assert_eq!(run.refusals(), ["approval-stale"]);
    assert!(reasons(&site, "G-1").contains("reads `income`"));
}

#[test]
fn the_plan_says_what_a_treatment_reads_of_delivered_fields() {
    let site = people::site(30);
    site.signed(&grant("G-1", &["name", "status"]).treatment("name", BY_STATUS));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(plan["fields"][0]["reads"], serde_json::json!(["status"]));
    assert_eq!(plan["fields"][0]["strength"], 2);
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    assert!(text.contains("reads       name: status"), "{text}");
    let delivered = texts(&site.deliver("G-1"));
    let distinct: BTreeSet<_> = delivered.iter().map(String::as_str).collect();
    assert_eq!(distinct, BTreeSet::from(["A", "B"]));
}

#[test]
fn a_policy_rule_cannot_leave_out_rows() {
    let site = people::site(10);
    site.edit(
        "policy.toml",
        "{ kind = 'keep-ends', first = 1, last = 0 }",
        "{ kind = 'drop-row', when = \"status = 'left'\" }",
    );
    site.grant(&grant("G-1", &["id"]));
    let checked = site.json(["check"]).expecting(2).document();
    let problem = &checked["problems"][0];
    assert_eq!(problem["file"], "policy.toml", "{checked}");
    assert!(
        problem["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("`rows`")),
        "{checked}"
    );
    site.json(["plan", "G-1"]).expect_code(2);
}
