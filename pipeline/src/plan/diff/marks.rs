//! What a change does to the marks of fields that are delivered before and after.

use lockgate_transforms::marks::key::PrfSuite;

use super::{Change, ChangeKind, ExchangePlan};
use crate::marks::forecast::freedom;
use crate::marks::{Anchor, CarrierSpec, Density, FieldScheme};

/// Fields that carry marks now, carry none any more, or carry other ones.
pub(super) fn changes(old: &ExchangePlan, new: &ExchangePlan) -> Vec<Change> {
    let kept = new.fields.iter().filter(|field| {
        let mut earlier = old.fields.iter();
        earlier.any(|earlier| earlier.name == field.name)
    });
    let changed = kept.filter_map(|field| {
        let what = match (mark(old, &field.name), mark(new, &field.name)) {
            (None, Some(is)) => format!("marked now: {}", freedom(is.0)),
            (Some(_), None) => "no longer marked".to_owned(),
            (Some(was), Some(is)) if what_moves(was) != what_moves(is) => format!(
                "marked otherwise ({}), so that results no longer equal those of earlier deliveries",
                freedom(is.0)
            ),
            (None, None) | (Some(_), Some(_)) => return None,
        };
        Some(Change {
            kind: ChangeKind::Different,
            field: Some(field.name.clone()),
            what,
        })
    });
    changed.collect()
}

/// The mark of a field, what its rows are found by, and what it is made by.
type Mark<'a> = (&'a FieldScheme, Option<&'a Anchor>, PrfSuite);

fn mark<'a>(plan: &'a ExchangePlan, name: &str) -> Option<Mark<'a>> {
    let layout = plan.marks.as_ref()?;
    let field = layout.of(name)?;
    Some((field, layout.anchor_of(field), layout.suite))
}

/// What decides how the values of a field move.
fn what_moves<'a>(
    (field, anchor, suite): Mark<'a>,
) -> (&'a CarrierSpec, Density, Option<&'a Anchor>, PrfSuite) {
    (&field.carrier, field.density, anchor, suite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::test_site::{GRANT, TestSite, day};
    use crate::plan::diff::diff;

    #[test]
    fn what_becomes_of_marks_is_said() {
        let income =
            "name = \"income\", type = \"decimal(12,2)\", category = \"income\", level = 3";
        let free = |tolerance: &str| {
            let level = income.replace("level = 3", "level = 1");
            format!("{level}, tolerance = \"{tolerance}\"")
        };
        let site = TestSite::new();
        site.catalogue(income, &income.replace("level = 3", "level = 1"));
        site.grant(
            "fields = [\"id\", \"name\", \"region\"]",
            "fields = [\"id\", \"income\"]",
        );
        let unmarked = site.site();
        site.catalogue(&income.replace("level = 3", "level = 1"), &free("5.00"));
        let marked = site.site();
        site.catalogue("tolerance = \"5.00\"", "tolerance = \"1.00\"");
        let narrower = site.site();
        for (old, new, what) in [
            (&unmarked, &marked, "marked now: within 5"),
            (&marked, &narrower, "marked otherwise (within 1)"),
            (&marked, &unmarked, "no longer marked"),
        ] {
            let found = diff(old, new, Some(GRANT), day("2026-06-01"));
            let [found] = found.as_slice() else {
                panic!("{found:?}");
            };
            let changes = &found.changes;
            let [change] = changes.as_slice() else {
                panic!("{changes:?}");
            };
            assert_eq!(change.kind, ChangeKind::Different);
            assert_eq!(change.field.as_deref(), Some("income"));
            assert!(change.what.starts_with(what), "{change:?}");
        }
        assert!(diff(&marked, &marked, None, day("2026-06-01")).is_empty());
    }
}
