use crate::approval::test_site::TestSite;
use crate::plan::RefusalCode;

/// A plain delivery of `name` and `region`, levels 2 and 1, under such a policy.
fn site(sealing: &str) -> TestSite {
    let site = TestSite::new();
    let policy = site.read("policy.toml");
    site.write("policy.toml", &format!("[sealing]\n{sealing}\n{policy}"));
    site.grant("\"id\", ", "");
    site
}

#[test]
fn a_field_that_decides_which_rows_leave_counts_as_a_delivered_one() {
    let refused = [(RefusalCode::Seal, Some("income".to_owned()))];
    let plain = site("from_level = 3");
    assert_eq!(plain.codes_but_unsigned(), []);
    plain.grant("fields =", "rows = \"income > 1000\"\nfields =");
    assert_eq!(plain.codes_but_unsigned(), refused);
    plain.grant("seal = \"none\"", "");
    assert_eq!(plain.codes_but_unsigned(), []);
    let ahead = site("offline_below_level = 3");
    ahead.grant("seal = \"none\"", "");
    assert_eq!(ahead.codes_but_unsigned(), []);
    ahead.grant("fields =", "rows = \"income > 1000\"\nfields =");
    assert_eq!(ahead.codes_but_unsigned(), refused);
    ahead.grant("[delivery]", "[delivery]\nrelease = \"online\"");
    assert_eq!(ahead.codes_but_unsigned(), []);
}

#[test]
fn a_field_that_a_treatment_reads_counts_as_a_delivered_one() {
    let site = site("from_level = 3");
    site.grant_table(
        "[treatments]\nregion = { kind = \"case\", arms = [{ when = \"income > 1000\", then = { kind = \
         \"constant\", value = \"A\" } }], else = { kind = \"constant\", value = \"B\" } }",
    );
    let codes = site.codes_but_unsigned();
    let refused = (RefusalCode::Seal, Some("income".to_owned()));
    assert!(codes.contains(&refused), "{codes:?}");
}

#[test]
fn encrypted_files_of_a_source_that_are_bound_to_nothing_are_warned_of() {
    let warned = |more: &str| {
        let site = TestSite::new();
        site.write("source.key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        let keys = format!("decryption = {{ footer_key = {{ file = \"source.key\" }}{more} }}");
        site.catalogue(
            "format = \"parquet\"",
            &format!("format = \"parquet\", {keys}"),
        );
        let compiled = site.compile();
        let mut warnings = compiled.warnings().iter();
        warnings.any(|warning| warning.code == "unbound-source")
    };
    assert!(warned(""));
    assert!(warned(", aad_prefix = \"\""));
    assert!(!warned(", aad_prefix = \"psb/2026\""));
}
