use lockgate_connectors::seal::{Release, Suite};

use super::*;
use crate::approval::test_site::{TestSite, codes, day};
use crate::plan::Origin;
use crate::site::grant::{DeliveryFormat, Seal};

mod reveals;

fn of(code: RefusalCode, field: &str) -> (RefusalCode, Option<String>) {
    (code, Some(field.to_owned()))
}

fn whole(code: RefusalCode) -> (RefusalCode, Option<String>) {
    (code, None)
}

#[test]
fn a_signed_grant_compiles_to_a_plan() {
    let site = TestSite::signed();
    let compiled = site.compile();
    assert_eq!(compiled.refusals(), []);
    assert!(compiled.warnings().is_empty());
    assert_eq!(compiled.approver(), Some("office"));
    assert_eq!(compiled.rows_left(), None);
    let sha256 = compiled.plan().sha256();
    let plan = compiled.into_plan().unwrap();
    let fields: Vec<_> = plan
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.treatment.summary(), field.origin))
        .collect();
    assert_eq!(
        fields,
        [
            ("id", "keep-ends(first=3, last=2)".to_owned(), Origin::Floor),
            (
                "name",
                "keep-ends(first=1, last=0)".to_owned(),
                Origin::Floor
            ),
            ("region", "clear".to_owned(), Origin::Floor),
        ]
    );
    assert_eq!(plan.compression, "zstd(1)");
    assert_eq!(plan.source_fields.len(), 9);
    assert_eq!(sha256.len(), 64);
    assert_eq!(site.compile().plan().sha256(), sha256);
    site.grant("purpose = \"review\"", "purpose = \"another\"");
    assert_ne!(site.compile().plan().sha256(), sha256);
}

#[test]
fn an_unknown_grant_is_an_error_that_names_the_nearest() {
    let site = TestSite::new();
    let error = site
        .compile_with(|request| request.grant = "G-11")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no grant `G-11`; did you mean `G-1`?"
    );
    let error = site
        .compile_with(|request| request.grant = "../../etc")
        .unwrap_err();
    assert!(matches!(error, CompileError::UnknownGrant { .. }));
}

#[test]
fn problems_of_files_in_use_are_errors_and_of_others_are_not() {
    let site = TestSite::signed();
    site.write("grants/other.toml", "nonsense");
    site.write("catalogue/other.toml", "id = 5");
    assert!(site.compile().refusals().is_empty());
    for (file, from, to) in [
        ("policy.toml", "kind = \"null\"", "kind = \"nul\""),
        (
            "catalogue/residents.toml",
            "type = \"utf8\"",
            "type = \"varchar\"",
        ),
        (
            "grants/G-1.toml",
            "dataset = \"residents\"",
            "dataset = \"resident\"",
        ),
        ("grants/G-1.toml", "\"region\"]", "\"regional\"]"),
        ("recipients/civil-affairs.toml", "name =", "nmae ="),
    ] {
        let site = TestSite::signed();
        site.edit(file, from, to);
        let error = site.compile_with(|_| {}).unwrap_err();
        assert!(
            matches!(error, CompileError::Problems { .. }),
            "{file}: {error}"
        );
    }
    let site = TestSite::new();
    site.grant("fields =", "rows = \"statu = 'active'\"\nfields =");
    let CompileError::Problems { problems } = site.compile_with(|_| {}).unwrap_err() else {
        panic!("a reference to nothing is a problem of the file")
    };
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].to_string().contains("did you mean `status`?"),
        "{}",
        problems[0]
    );
    assert!(!problems[0].to_string().contains("active"));
}

#[test]
fn an_unsigned_grant_is_refused() {
    assert_eq!(TestSite::new().codes(), [whole(RefusalCode::Unsigned)]);
}

#[test]
fn a_prohibited_dataset_is_refused_with_its_legal_basis() {
    let site = TestSite::new();
    site.catalogue(
        "sharing = \"conditional\"",
        "sharing = \"prohibited\"\nbasis = \"article 9\"",
    );
    let compiled = site.compile();
    let refusal = compiled
        .refusals()
        .iter()
        .find(|refusal| refusal.code == RefusalCode::Prohibited)
        .unwrap();
    assert_eq!(refusal.basis.as_deref(), Some("article 9"));
}

#[test]
fn a_mode_needs_dataset_and_grant() {
    let site = TestSite::signed();
    let download = |site: &TestSite| {
        codes(
            &site
                .compile_with(|request| request.mode = Mode::Download)
                .unwrap(),
        )
    };
    assert_eq!(download(&site), [whole(RefusalCode::Mode)]);
    let site = TestSite::new();
    site.catalogue("[\"batch\"]", "[\"batch\", \"download\"]");
    site.sign("office").unwrap();
    assert_eq!(download(&site), [whole(RefusalCode::Mode)]);
    site.grant("modes = [\"batch\"]", "modes = [\"batch\", \"download\"]");
    site.sign("office").unwrap();
    assert_eq!(download(&site), []);
}

#[test]
fn both_days_of_validity_are_included() {
    let site = TestSite::signed();
    for (today, expected) in [
        ("2025-12-31", vec![whole(RefusalCode::NotYetValid)]),
        ("2026-01-01", vec![]),
        ("2026-12-31", vec![]),
        ("2027-01-01", vec![whole(RefusalCode::Expired)]),
    ] {
        let compiled = site
            .compile_with(|request| request.today = day(today))
            .unwrap();
        assert_eq!(codes(&compiled), expected, "{today}");
    }
}

#[test]
fn a_quota_is_used_up_by_runs_or_rows() {
    let site = TestSite::new();
    site.grant("modes =", "quota = { runs = 2, rows = 100 }\nmodes =");
    site.sign("office").unwrap();
    for (runs, rows, refusals, left) in [
        (0, 0, 0, 100),
        (1, 99, 0, 1),
        (2, 99, 1, 1),
        (1, 100, 1, 0),
        (3, 101, 2, 0),
    ] {
        let compiled = site
            .compile_with(|request| request.quota = QuotaUse { runs, rows })
            .unwrap();
        assert_eq!(
            codes(&compiled),
            vec![whole(RefusalCode::Quota); refusals],
            "{runs} {rows}"
        );
        assert_eq!(compiled.rows_left(), Some(left));
    }
}

#[test]
fn a_treatment_below_the_floor_is_refused_and_above_it_passes() {
    for (treatment, expected) in [
        (
            "{ kind = \"clear\" }",
            vec![of(RefusalCode::BelowFloor, "name")],
        ),
        (
            "{ kind = \"keep-ends\", first = 1, last = 1 }",
            vec![of(RefusalCode::BelowFloor, "name")],
        ),
        ("{ kind = \"keep-ends\", first = 0, last = 0 }", vec![]),
        ("{ kind = \"null\" }", vec![]),
    ] {
        let site = TestSite::new();
        site.grant_table(&format!("[treatments]\nname = {treatment}"));
        assert_eq!(site.codes_but_unsigned(), expected, "{treatment}");
    }
}

#[test]
fn the_first_matching_rule_is_the_floor() {
    let site = TestSite::new();
    site.grant("\"region\"]", "\"income\"]");
    let kind = |site: &TestSite| site.compile().plan().fields[2].treatment.kind();
    assert_eq!(kind(&site), "null");
    site.catalogue(
        "category = \"income\", level = 3",
        "category = \"income\", level = 2",
    );
    assert_eq!(kind(&site), "clear");
}

#[test]
fn what_no_rule_matches_or_a_rule_withholds_is_withheld_with_its_reason() {
    let site = TestSite::new();
    site.grant("\"region\"]", "\"note\", \"region\"]");
    site.policy(
        "{ kind = \"keep-ends\", first = 1, last = 0 }",
        "{ kind = \"withhold\" }",
    );
    site.grant_table("[treatments]\nregion = { kind = \"withhold\" }");
    let compiled = site.compile();
    let withheld: Vec<_> = compiled
        .plan()
        .withheld
        .iter()
        .map(|field| (field.name.as_str(), field.reason.as_str()))
        .collect();
    assert_eq!(
        withheld,
        [
            ("name", "policy withholds it"),
            (
                "note",
                "no policy rule matches category `unruled` at level 1"
            ),
            ("region", "the grant withholds it"),
        ]
    );
    assert_eq!(site.codes_but_unsigned(), []);
}

#[test]
fn a_grant_of_withheld_fields_only_is_refused() {
    let site = TestSite::new();
    site.grant("[\"id\", \"name\", \"region\"]", "[\"note\"]");
    assert_eq!(site.codes_but_unsigned(), [whole(RefusalCode::BelowFloor)]);
}

#[test]
fn core_never_leaves_and_important_needs_its_own_approval() {
    let site = TestSite::new();
    site.grant("\"region\"]", "\"secret\", \"weighty\"]");
    assert_eq!(
        site.codes_but_unsigned(),
        [
            of(RefusalCode::LevelCore, "secret"),
            of(RefusalCode::LevelImportant, "weighty")
        ]
    );
    site.grant("modes =", "important = true\nmodes =");
    assert_eq!(
        site.codes_but_unsigned(),
        [of(RefusalCode::LevelCore, "secret")]
    );
    site.policy(
        "category = \"secret\"\ntreatment = { kind = \"null\" }",
        "category = \"secret\"\ntreatment = { kind = \"withhold\" }",
    );
    assert_eq!(
        site.codes_but_unsigned(),
        [of(RefusalCode::LevelCore, "secret")]
    );
}

#[test]
fn rows_chosen_by_core_or_important_fields_are_gated_too() {
    let site = TestSite::new();
    site.grant(
        "fields =",
        "rows = \"secret = 'x' OR weighty = 'y' OR status = 'z'\"\nfields =",
    );
    assert_eq!(
        site.codes_but_unsigned(),
        [
            of(RefusalCode::LevelCore, "secret"),
            of(RefusalCode::LevelImportant, "weighty")
        ]
    );
    assert_eq!(
        site.compile().plan().filter_only,
        ["secret", "status", "weighty"]
    );
}

/// Puts keys into the policy's `[sealing]`.
fn sealing(site: &TestSite, keys: &str) {
    let policy = site.read("policy.toml");
    site.write("policy.toml", &format!("[sealing]\n{keys}\n{policy}"));
}

#[test]
fn a_grant_that_says_nothing_is_sealed_as_strongly_as_its_format_can_be() {
    let site = TestSite::new();
    site.grant("seal = \"none\"", "");
    assert_eq!(site.codes_but_unsigned(), []);
    let compiled = site.compile();
    let plan = compiled.plan();
    assert_eq!(plan.seal, Seal::Parquet);
    let sealing = plan.sealing.as_ref().unwrap();
    assert_eq!(sealing.suite, Suite::Aes256GcmSha256);
    assert_eq!(sealing.release, Release::Offline);
    assert_eq!(sealing.keyed_fields, Vec::<String>::new());
    let sha256 = plan.sha256();
    site.grant("[delivery]", "[delivery]\nrelease = \"online\"");
    assert_ne!(site.compile().plan().sha256(), sha256);
    for format in [
        DeliveryFormat::Csv,
        DeliveryFormat::Xlsx,
        DeliveryFormat::Jsonl,
    ] {
        assert_eq!(Seal::strongest_of(format), Seal::Envelope);
    }
}

#[test]
fn a_plain_delivery_has_neither_suite_nor_keys_in_its_plan() {
    let site = TestSite::new();
    let plan = serde_json::to_value(site.compile().plan()).unwrap();
    assert_eq!(plan["seal"], "none");
    assert!(plan.get("sealing").is_none());
    site.grant("[delivery]", "[delivery]\nrelease = \"offline\"");
    assert_eq!(site.codes_but_unsigned(), [whole(RefusalCode::Seal)]);
}

#[test]
fn policy_demands_sealing_from_a_level() {
    let site = TestSite::new();
    sealing(&site, "from_level = 3");
    assert_eq!(site.codes_but_unsigned(), [of(RefusalCode::Seal, "id")]);
    for seal in ["seal = \"parquet\"", "seal = \"envelope\"", ""] {
        let site = TestSite::new();
        sealing(&site, "from_level = 3");
        site.grant("seal = \"none\"", seal);
        assert_eq!(site.codes_but_unsigned(), [], "{seal}");
    }
    site.grant("\"id\", ", "");
    assert_eq!(site.codes_but_unsigned(), []);
}

#[test]
fn keys_of_graded_data_are_not_given_out_ahead_where_policy_forbids_it() {
    for (release, codes) in [
        ("", vec![of(RefusalCode::Seal, "id")]),
        ("release = \"offline\"", vec![of(RefusalCode::Seal, "id")]),
        ("release = \"online\"", vec![]),
    ] {
        let site = TestSite::new();
        sealing(&site, "offline_below_level = 3");
        site.grant("seal = \"none\"", release);
        assert_eq!(site.codes_but_unsigned(), codes, "{release}");
    }
    let site = TestSite::new();
    sealing(&site, "offline_below_level = 4");
    site.grant("seal = \"none\"", "");
    assert_eq!(site.codes_but_unsigned(), []);
}

#[test]
fn a_suite_that_a_seal_lacks_is_refused_and_not_replaced() {
    let site = TestSite::new();
    sealing(&site, "suite = \"SM4GCM-SM3\"");
    assert_eq!(site.codes_but_unsigned(), [], "plain needs no suite");
    site.grant("seal = \"none\"", "");
    let compiled = site.compile();
    assert_eq!(site.codes_but_unsigned(), [whole(RefusalCode::Seal)]);
    let refusal = compiled
        .refusals()
        .iter()
        .find(|refusal| refusal.code == RefusalCode::Seal)
        .unwrap();
    assert!(refusal.reason.contains("SM4GCM-SM3"), "{}", refusal.reason);
    site.grant("[delivery]", "[delivery]\nseal = \"envelope\"");
    assert_eq!(site.codes_but_unsigned(), []);
    let sealing = site.compile().plan().sealing.clone().unwrap();
    assert_eq!(sealing.suite, Suite::Sm4GcmSm3);
    site.grant("[delivery]", "[delivery]\nrelease = \"online\"");
    assert_eq!(site.codes_but_unsigned(), [whole(RefusalCode::Seal)]);
}

#[test]
fn a_recipient_without_a_key_to_seal_to_is_refused() {
    let site = TestSite::new();
    let office = site.read("office.pub");
    let recipient = site.read("recipients/civil-affairs.toml");
    let (before, _) = recipient.split_once("public_keys").unwrap();
    let only_signs = format!("{before}public_keys = [\"{}\"]\n", office.trim());
    site.write("recipients/civil-affairs.toml", &only_signs);
    assert_eq!(site.codes_but_unsigned(), [], "a plain delivery needs none");
    for release in ["offline", "online"] {
        let site = TestSite::new();
        site.write("recipients/civil-affairs.toml", &only_signs);
        site.grant("seal = \"none\"", &format!("release = \"{release}\""));
        assert_eq!(site.codes_but_unsigned(), [whole(RefusalCode::Seal)]);
    }
}

#[test]
fn columns_from_a_level_have_keys_of_their_own() {
    let site = TestSite::new();
    sealing(&site, "column_keys_from_level = 2");
    site.grant("seal = \"none\"", "");
    let keyed = |site: &TestSite| site.compile().plan().sealing.clone().unwrap().keyed_fields;
    assert_eq!(keyed(&site), ["id", "name"]);
    site.grant("[delivery]", "[delivery]\nseal = \"envelope\"");
    assert!(keyed(&site).is_empty(), "an envelope has one key");
}

#[test]
fn what_the_predicate_language_lacks_is_refused_without_its_literals() {
    for rows in [
        "random() > 0.5",
        "status = '4711' OR status",
        "status LIKE region",
        "id =",
    ] {
        let site = TestSite::new();
        site.grant("fields =", &format!("rows = \"{rows}\"\nfields ="));
        let compiled = site.compile();
        assert_eq!(
            site.codes_but_unsigned(),
            [whole(RefusalCode::Predicate)],
            "{rows}"
        );
        assert!(!format!("{compiled:?}").contains("4711"));
    }
}

#[test]
fn fields_read_for_rows_only_are_named() {
    let site = TestSite::new();
    site.grant(
        "fields =",
        "rows = \"status = 'active' AND name IS NOT NULL\"\ndivisions = [\"33\"]\nfields =",
    );
    site.grant("\"region\"]", "\"note\"]");
    site.sign("office").unwrap();
    let compiled = site.compile();
    assert_eq!(compiled.refusals(), []);
    let plan = compiled.plan();
    assert_eq!(plan.filter_only, ["region", "status"]);
    assert_eq!(plan.rows.division_field.as_deref(), Some("region"));
    assert_eq!(plan.rows.divisions, ["33"]);
}

#[test]
fn a_keyed_pseudonym_of_a_tiny_domain_is_warned_about_and_refused_from_level_3() {
    let site = TestSite::new();
    site.grant("\"region\"]", "\"gender\"]");
    site.grant_table("[treatments]\ngender = { kind = \"hmac\", domain = \"gender\" }");
    let compiled = site.compile();
    let warnings: Vec<_> = compiled
        .warnings()
        .iter()
        .map(|warning| (warning.code, warning.field.as_deref()))
        .collect();
    assert_eq!(warnings, [("tiny-domain", Some("gender"))]);
    assert_eq!(site.codes_but_unsigned(), []);
    site.catalogue("level = 2, domain_size", "level = 3, domain_size");
    assert_eq!(
        site.codes_but_unsigned(),
        [of(RefusalCode::TinyDomain, "gender")]
    );
    site.catalogue("domain_size = 3", "domain_size = 1000000");
    assert_eq!(site.codes_but_unsigned(), []);
}

#[test]
fn a_sex_drawn_for_a_person_is_none_that_counting_undoes() {
    let site = TestSite::new();
    site.grant("\"region\"]", "\"gender\"]");
    site.catalogue("level = 2, domain_size", "level = 3, domain_size");
    let fake = "[treatments]\ngender = { kind = \"fake-sex\", domain = \"person.id\" }";
    site.grant_table(fake);
    assert_eq!(
        site.codes_but_unsigned(),
        [of(RefusalCode::TinyDomain, "gender")]
    );
    site.grant("\"fake-sex\",", "\"fake-sex\", by = \"id\",");
    assert_eq!(site.codes_but_unsigned(), []);
    assert!(site.compile().warnings().is_empty());
    // A sex for each sex would be one for all men.
    site.grant("by = \"id\"", "by = \"gender\"");
    assert_eq!(
        site.codes_but_unsigned(),
        [of(RefusalCode::TinyDomain, "gender")]
    );
}

#[test]
fn facets_of_one_person_that_keep_different_parts_are_warned_about() {
    let site = TestSite::new();
    let kept = "{ kind = \"fake-id\", domain = \"person.id\", keep = [\"sex\"] }";
    site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", kept);
    site.grant("\"region\"]", "\"gender\"]");
    let fake =
        "[treatments]\ngender = { kind = \"fake-sex\", domain = \"person.id\", by = \"id\" }";
    site.grant_table(fake);
    assert_eq!(site.codes_but_unsigned(), []);
    let compiled = site.compile();
    let warnings: Vec<_> = compiled
        .warnings()
        .iter()
        .map(|warning| (warning.code, warning.field.as_deref()))
        .collect();
    assert_eq!(warnings, [("facets-differ", Some("gender"))]);
    site.policy(", keep = [\"sex\"] }", " }");
    assert!(site.compile().warnings().is_empty());
}

#[test]
fn what_is_delivered_clear_beside_surrogates_of_a_person_is_warned_about() {
    let site = TestSite::new();
    let fake = "{ kind = \"fake-id\", domain = \"person.id\" }";
    site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", fake);
    site.catalogue("category = \"division\"", "category = \"division-code\"");
    site.policy("category = \"division\"", "category = \"division-code\"");
    let warned = |site: &TestSite| -> Vec<_> {
        let compiled = site.compile();
        let warnings = compiled.warnings().iter();
        warnings
            .map(|warning| (warning.code, warning.field.clone()))
            .collect()
    };
    assert_eq!(
        warned(&site),
        [("facets-differ", Some("region".to_owned()))]
    );
    let permuted = "{ kind = \"structured-id\", of = \"resident-id\", domain = \"person.id\" }";
    site.policy(fake, permuted);
    assert_eq!(warned(&site), []);
    site.grant_table(
        "[treatments]\nname = { kind = \"fake-name\", domain = \"person.id\", by = \"id\" }",
    );
    assert_eq!(warned(&site), [("facets-differ", Some("name".to_owned()))]);
}

#[test]
fn an_identifier_typed_as_a_number_is_warned_about() {
    let site = TestSite::new();
    let keyed = "{ kind = \"hmac\", domain = \"d\" }";
    site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", keyed);
    assert!(site.compile().warnings().is_empty());
    site.catalogue(
        "{ name = \"id\", type = \"utf8\"",
        "{ name = \"id\", type = \"int64\"",
    );
    let compiled = site.compile();
    let warnings: Vec<_> = compiled
        .warnings()
        .iter()
        .map(|warning| (warning.code, warning.field.as_deref()))
        .collect();
    assert_eq!(warnings, [("numeric-identifier", Some("id"))]);
    site.catalogue("category = \"resident-id\"", "category = \"serial\"");
    site.policy("category = \"resident-id\"", "category = \"serial\"");
    assert!(site.compile().warnings().is_empty());
}

#[test]
fn a_join_group_is_refused_unless_the_grant_lists_it() {
    let site = TestSite::new();
    site.grant_table(
        "[treatments]\nid = { kind = \"hmac\", domain = \"person\", join = \"families\" }",
    );
    assert_eq!(site.codes_but_unsigned(), [of(RefusalCode::Linkage, "id")]);
    site.grant("modes =", "joins = [\"neighbours\"]\nmodes =");
    assert_eq!(site.codes_but_unsigned(), [of(RefusalCode::Linkage, "id")]);
    site.grant("[\"neighbours\"]", "[\"families\"]");
    assert_eq!(site.codes_but_unsigned(), []);
    let compiled = site.compile();
    assert!(compiled.warnings().is_empty(), "{:?}", compiled.warnings());
}

#[test]
fn a_join_group_that_no_treatment_uses_is_warned_about() {
    let site = TestSite::new();
    site.grant("modes =", "joins = [\"families\"]\nmodes =");
    assert_eq!(site.codes_but_unsigned(), []);
    let codes: Vec<_> = site
        .compile()
        .warnings()
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(codes, ["unused-join"]);
}

#[test]
fn a_policy_that_adds_a_join_group_needs_a_new_approval() {
    let site = TestSite::new();
    let hmac = "{ kind = \"hmac\", domain = \"person\" }";
    site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", hmac);
    site.sign("office").unwrap();
    assert_eq!(site.codes(), []);
    site.policy(
        "domain = \"person\"",
        "domain = \"person\", join = \"families\"",
    );
    let codes = site.codes();
    assert!(
        codes.contains(&whole(RefusalCode::ApprovalStale)),
        "{codes:?}"
    );
    assert!(codes.contains(&of(RefusalCode::Linkage, "id")), "{codes:?}");
}

#[test]
fn residual_candidates_are_counted_and_a_floor_refuses_too_few() {
    let site = TestSite::new();
    let found = site.compile();
    // keep-ends 3 and 2 of an identity number: half the division, dates, two digits of the sequence.
    assert_eq!(found.residuals().get("id"), Some(&33_204_545));
    assert_eq!(found.residuals().get("name"), None);
    let policy = site.read("policy.toml");
    let with = |floor: &str| site.write("policy.toml", &format!("{floor}\n{policy}"));
    with("[residual]\nmin_candidates = 30000000\nbelow = \"refuse\"");
    assert_eq!(site.codes_but_unsigned(), []);
    with("[residual]\nmin_candidates = 40000000\nbelow = \"refuse\"");
    assert_eq!(
        site.codes_but_unsigned(),
        [of(RefusalCode::BelowFloor, "id")]
    );
    with("[residual]\nmin_candidates = 40000000\nfrom_level = \"important\"\nbelow = \"refuse\"");
    assert_eq!(site.codes_but_unsigned(), []);
    with("[residual]\nmin_candidates = 40000000\nbelow = \"warn\"");
    assert_eq!(site.codes_but_unsigned(), []);
    let compiled = site.compile();
    let codes: Vec<_> = compiled
        .warnings()
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(codes, ["few-candidates"]);
}

#[test]
fn a_floor_sees_what_documents_of_other_fields_show() {
    let site = TestSite::new();
    site.policy("first = 3, last = 2", "first = 6, last = 4");
    let policy = site.read("policy.toml");
    let floor = "[residual]\nmin_candidates = 1000\nbelow = \"refuse\"\n";
    site.write("policy.toml", &format!("{floor}{policy}"));
    site.grant("\"region\"]", "\"region\", \"status\"]");
    assert_eq!(site.codes_but_unsigned(), []);
    site.catalogue(
        "\"status\", type = \"utf8\", category = \"code\"",
        "\"status\", type = \"utf8\", category = \"documents\"",
    );
    let document = "[[rules]]\ncategory = \"documents\"\ntreatment = { kind = \"json\", paths = \
                    [{ path = \"$.born\", category = \"birth-date\", treatment = { kind = \"clear\" } }] }";
    site.write("policy.toml", &format!("{floor}{policy}\n{document}"));
    let codes = site.codes_but_unsigned();
    assert!(
        codes.contains(&of(RefusalCode::BelowFloor, "id")),
        "{codes:?}"
    );
    assert_eq!(site.compile().residuals().get("id"), Some(&1));
}

#[test]
fn candidates_are_counted_within_the_divisions_of_the_grant() {
    let site = TestSite::new();
    site.policy("first = 3, last = 2", "first = 0, last = 12");
    let counted = |site: &TestSite| site.compile().residuals().get("id").copied();
    // The regions of the country, one in eleven of which the check digit fits.
    assert_eq!(counted(&site), Some(272));
    site.grant("fields =", "divisions = [\"33\", \"34\"]\nfields =");
    assert_eq!(counted(&site), Some(18));
    site.grant("\"33\", \"34\"", "\"330102\"");
    assert_eq!(counted(&site), Some(1));
}

#[test]
fn conditions_on_unconditional_data_are_warned_about() {
    let site = TestSite::new();
    site.grant(
        "fields =",
        "rows = \"status = 'a'\"\ndivisions = [\"33\"]\nfields =",
    );
    site.grant_table("[treatments]\nname = { kind = \"null\" }\nid = { kind = \"keep-ends\", first = 3, last = 2 }");
    assert!(site.compile().warnings().is_empty());
    site.catalogue("sharing = \"conditional\"", "sharing = \"unconditional\"");
    let compiled = site.compile();
    let warnings: Vec<_> = compiled
        .warnings()
        .iter()
        .map(|warning| (warning.code, warning.field.as_deref()))
        .collect();
    assert_eq!(
        warnings,
        [
            ("added-condition", None),
            ("added-condition", None),
            ("added-condition", Some("name"))
        ]
    );
}

#[test]
fn every_refusal_is_reported_at_once() {
    let site = TestSite::new();
    site.catalogue(
        "sharing = \"conditional\"",
        "sharing = \"prohibited\"\nbasis = \"article 9\"",
    );
    sealing(&site, "suite = \"SM4GCM-SM3\"");
    site.grant("seal = \"none\"", "");
    site.grant("until = 2026-12-31", "until = 2026-02-01");
    site.grant("\"region\"]", "\"secret\"]");
    site.grant(
        "modes = [\"batch\"]",
        "modes = [\"download\"]\nquota = { runs = 0 }",
    );
    site.grant("fields =", "rows = \"now() > 1\"\nfields =");
    site.grant_table("[treatments]\nname = { kind = \"clear\" }");
    assert_eq!(
        site.codes(),
        [
            whole(RefusalCode::Unsigned),
            whole(RefusalCode::Prohibited),
            whole(RefusalCode::Mode),
            whole(RefusalCode::Expired),
            whole(RefusalCode::Quota),
            of(RefusalCode::BelowFloor, "name"),
            of(RefusalCode::LevelCore, "secret"),
            whole(RefusalCode::Predicate),
            whole(RefusalCode::Seal),
        ]
    );
    assert!(site.compile().into_plan().is_err());
}

#[test]
fn credentials_of_a_store_stay_out_of_the_plan() {
    for (url, expected) in [
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("s3://user:pw@bucket/prefix?sig=1#x", "s3://bucket/prefix"),
        ("https://a:b@c@host", "https://host"),
        ("file:///srv/a@b?c", "file:///srv/a@b?c"),
        ("file:lake", "file:lake"),
    ] {
        assert_eq!(without_credentials(url), expected);
    }
}
