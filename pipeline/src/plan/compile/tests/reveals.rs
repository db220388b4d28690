//! What a grant's treatment may show of other fields than its own.

use super::*;

/// The reasons that refuse a field for being below the floor.
fn below_floor(site: &TestSite, field: &str) -> Vec<String> {
    let compiled = site.compile();
    let refusals = compiled.refusals().iter();
    refusals
        .filter(|refusal| refusal.code == RefusalCode::BelowFloor)
        .filter(|refusal| refusal.field.as_deref() == Some(field))
        .map(|refusal| refusal.reason.clone())
        .collect()
}

/// Constants for `field`, chosen by a condition.
fn chosen(field: &str, condition: &str) -> String {
    format!(
        "{field} = {{ kind = \"case\", arms = [{{ when = \"{condition}\", then = {{ kind = \
         \"constant\", value = \"A\" }} }}], else = {{ kind = \"constant\", value = \"B\" }} }}"
    )
}

fn treated(treatment: &str) -> TestSite {
    let site = TestSite::new();
    site.grant_table(&format!("[treatments]\n{treatment}"));
    site
}

#[test]
fn constants_chosen_by_a_condition_do_not_meet_a_floor() {
    for (condition, shown, least) in [
        ("income > 1000", "income", "null"),
        ("note = 'x'", "note", "withhold"),
        ("id LIKE '3301%'", "id", "keep-ends(first=3, last=2)"),
        ("status = 'active' AND income > 1000", "income", "null"),
    ] {
        let site = treated(&chosen("name", condition));
        let reasons = below_floor(&site, "name");
        assert_eq!(reasons.len(), 1, "{condition}: {reasons:?}");
        let expected = format!("can show what field `{shown}` holds, whose floor is {least}");
        assert!(reasons[0].contains(&expected), "{}", reasons[0]);
        assert!(
            reasons[0].contains("exemption for `name`"),
            "{}",
            reasons[0]
        );
        assert!(!reasons[0].contains("3301"), "{}", reasons[0]);
    }
    let two = treated(&chosen("name", "income > 1000 OR note = 'x'"));
    assert_eq!(below_floor(&two, "name").len(), 2);
    let site = treated(&chosen("name", "status = 'active' OR region = '3301'"));
    assert_eq!(site.codes_but_unsigned(), [], "both may pass clear");
}

#[test]
fn a_condition_over_the_treated_field_itself_needs_a_clear_floor() {
    let site = treated(&chosen("name", "name LIKE '张%'"));
    let reasons = below_floor(&site, "name");
    assert!(
        reasons[0].contains("what field `name` holds"),
        "{reasons:?}"
    );
    let site = treated(&chosen("region", "region = '3301'"));
    assert_eq!(site.codes_but_unsigned(), []);
}

#[test]
fn what_is_kept_of_another_field_needs_its_floor_and_an_entity_does_not() {
    let name = |keep: &str| {
        format!("name = {{ kind = \"fake-name\", domain = \"d\", by = \"id\"{keep} }}")
    };
    assert_eq!(treated(&name("")).codes_but_unsigned(), []);
    let site = treated(&name(", keep = [\"sex\"], sex = \"gender\""));
    site.policy(
        "{ kind = \"keep-ends\", first = 1, last = 0 }",
        "{ kind = \"clear\" }",
    );
    assert_eq!(below_floor(&site, "name"), Vec::<String>::new());
    site.catalogue(
        "name = \"gender\", type = \"utf8\", category = \"code\"",
        "name = \"gender\", type = \"utf8\", category = \"weighty\"",
    );
    let reasons = below_floor(&site, "name");
    assert!(
        reasons[0].contains("what field `gender` holds"),
        "{reasons:?}"
    );
}

#[test]
fn an_exemption_of_the_treated_field_lifts_what_it_shows() {
    let site = TestSite::new();
    let (_, treatment) = chosen("name", "income > 1000")
        .split_once(" = ")
        .map(|(field, treatment)| (field.to_owned(), treatment.to_owned()))
        .unwrap();
    site.grant_table(&format!(
        "[[exemptions]]\nfield = \"name\"\ntreatment = {treatment}\nreason = \"statute\"\n\
         approver = \"office\""
    ));
    site.sign("office").unwrap();
    assert_eq!(site.codes(), []);
    assert_eq!(site.compile().plan().fields[1].origin, Origin::Exemption);
}

#[test]
fn what_the_floor_itself_shows_may_be_shown() {
    let when = |condition: &str, first: u8| {
        format!(
            "{{ kind = \"when\", condition = \"{condition}\", then = {{ kind = \"keep-ends\", \
             first = {first}, last = 0 }}, else = {{ kind = \"null\" }} }}"
        )
    };
    let site = treated(&format!("name = {}", when("income > 1000", 0)));
    site.policy(
        "{ kind = \"keep-ends\", first = 1, last = 0 }",
        &when("income > 1000", 1),
    );
    assert_eq!(site.codes_but_unsigned(), []);
    site.policy("income > 1000", "income > 2000");
    assert_eq!(
        below_floor(&site, "name").len(),
        2,
        "weaker, and shows income"
    );
}

#[test]
fn rows_may_be_left_out_by_a_field_that_does_not_pass_clear() {
    let site = treated(
        "name = { kind = \"drop-row\", when = \"income > 1000\", then = { kind = \"keep-ends\", \
         first = 1, last = 0 } }",
    );
    assert_eq!(site.codes_but_unsigned(), []);
    assert_eq!(site.compile().plan().filter_only, ["income"]);
}

#[test]
fn the_plan_names_what_each_treatment_reads_delivered_or_not() {
    let site = treated(&chosen("name", "status = 'active' AND region = '3301'"));
    let compiled = site.compile();
    let reads: Vec<_> = compiled
        .plan()
        .fields
        .iter()
        .map(|field| field.reads.join(" "))
        .collect();
    assert_eq!(reads, ["", "region status", ""]);
    assert_eq!(compiled.plan().filter_only, ["status"]);
}
