//! Whether cells that are bound to their row can be restored by what is delivered of it.
//!
//! A cell is bound to the original values of fields beside it. Where one of them is delivered otherwise,
//! nobody who has the delivery has what it takes to restore the cell.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use lockgate_transforms::Action;
use lockgate_transforms::treatments::AnyTreatment;

use super::fields::Resolved;
use crate::marks::Layout;
use crate::plan::{PlannedField, Refusal, RefusalCode};
use crate::site::FieldType;

/// Refuses fields that are bound to one that isn't delivered, is treated, or is moved by marks.
pub(super) fn check(resolved: &Resolved, marks: Option<&Layout>, refusals: &mut Vec<Refusal>) {
    for field in &resolved.fields {
        let names: BTreeSet<&str> = field.treatment.bound_to().into_iter().collect();
        for name in names {
            let Some(fault) = fault(resolved, marks, name) else {
                continue;
            };
            let what = format!(
                "its treatment {} binds it to field `{name}`, {fault}, so that nobody could restore it; \
                 bind it to fields that are delivered as they are",
                field.treatment.summary()
            );
            refusals.push(Refusal::new(RefusalCode::Beside, what).of_field(&field.name));
        }
    }
}

/// Why values of a field aren't delivered exactly as they are; absent where they are.
fn fault(resolved: &Resolved, marks: Option<&Layout>, name: &str) -> Option<&'static str> {
    let mut fields = resolved.fields.iter();
    let Some(field) = fields.find(|field| field.name == name) else {
        return Some("which is not delivered");
    };
    if !leaves_all(field) {
        return Some("which is not delivered clear");
    }
    let mut marked = marks.into_iter().flat_map(|layout| &layout.fields);
    marked
        .any(|scheme| scheme.name == name)
        .then_some("which marks may move")
}

/// Whether every value of a row that is delivered is left as it is, nulls and empty ones included.
fn leaves_all(field: &PlannedField) -> bool {
    let options = field.treatment.options();
    let leaves = |action| matches!(action, Action::Keep | Action::Fail | Action::Reject);
    // Of what a cell can be bound to, texts alone can be empty.
    let is_never_empty = FieldType::parse(&field.source_type)
        .is_ok_and(|source| source.to_arrow() != DataType::Utf8);
    matches!(field.treatment.treatment(), AnyTreatment::Clear(_))
        && (leaves(options.on_null) || options.on_null == Action::Null)
        && (is_never_empty || leaves(options.on_empty))
}

#[cfg(test)]
mod tests {
    use crate::approval::test_site::TestSite;
    use crate::plan::RefusalCode;

    /// A site that delivers `name` bound to that field.
    fn bound_to(field: &str) -> TestSite {
        let site = TestSite::new();
        site.grant_table(&format!(
            "[treatments]\nname = {{ kind = \"encrypt-rand\", domain = \"d\", beside = [\"{field}\"] }}"
        ));
        site
    }

    fn refused(site: &TestSite) -> bool {
        let codes = site.codes_but_unsigned();
        let expected = [(RefusalCode::Beside, Some("name".to_owned()))];
        assert!(codes.is_empty() || codes == expected, "{codes:?}");
        !codes.is_empty()
    }

    #[test]
    fn a_field_is_bound_to_what_is_delivered_as_it_is_and_to_nothing_else() {
        assert!(!refused(&bound_to("region")));
        assert!(refused(&bound_to("id")), "treated");
        assert!(refused(&bound_to("status")), "not delivered");
        for (options, is_refused) in [
            ("on_null = \"fail\", on_empty = \"reject\"", false),
            ("on_empty = \"null\"", true),
            ("on_empty = \"mask-all\"", true),
            ("on_null = \"null\"", false),
            ("on_null = \"mask-all\"", true),
        ] {
            let site = bound_to("region");
            site.grant_table(&format!("region = {{ kind = \"clear\", {options} }}"));
            assert_eq!(refused(&site), is_refused, "{options}");
        }
    }

    #[test]
    fn what_is_done_to_empty_texts_matters_for_texts_alone() {
        let site = bound_to("status");
        site.catalogue(
            "name = \"status\", type = \"utf8\"",
            "name = \"status\", type = \"int64\"",
        );
        site.grant(
            "fields = [\"id\", \"name\", \"region\"]",
            "fields = [\"id\", \"name\", \"status\"]",
        );
        site.grant_table("status = { kind = \"clear\", on_empty = \"null\" }");
        assert!(!refused(&site));
    }

    #[test]
    fn a_field_is_not_bound_to_one_that_is_withheld() {
        let site = bound_to("region");
        site.grant_table("region = { kind = \"withhold\" }");
        assert!(refused(&site));
    }

    #[test]
    fn a_field_is_not_bound_to_what_marks_may_move() {
        let site = bound_to("region");
        // No mark may move the division that rows are found by.
        site.catalogue("division = \"region\"\n", "");
        site.catalogue("modes =", "key = [\"id\"]\nmodes =");
        site.grant_table("id = { kind = \"hmac\", domain = \"person.id\" }");
        assert!(!refused(&site));
        site.catalogue(
            "category = \"division\", level = 1",
            "category = \"division\", level = 1, synonyms = [[\"a\", \"b\"]]",
        );
        assert!(refused(&site));
    }

    #[test]
    fn treatments_within_others_are_held_to_the_same() {
        let site = TestSite::new();
        site.grant_table(
            "[treatments]\nname = { kind = \"when\", condition = \"region = '3301'\", \
             then = { kind = \"null\" }, \
             else = { kind = \"encrypt-rand\", domain = \"d\", encoding = \"base64url\", \
             beside = [\"id\"] } }",
        );
        assert!(refused(&site));
    }

    #[test]
    fn a_field_that_there_is_not_is_a_problem_of_the_grant() {
        let site = bound_to("nobody");
        let problems = site.compile_with(|_| {}).unwrap_err().to_string();
        assert!(problems.contains("`nobody`"), "{problems}");
    }
}
