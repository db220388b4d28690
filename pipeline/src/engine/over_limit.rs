//! Fields with more invalid values than their treatment bears: what ends a run, and what a preview
//! warns of.

use lockgate_transforms::{Counts, Share};

use crate::plan::PlannedField;

/// A field with a larger share of invalid values than `max_invalid` bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverLimit {
    /// The field.
    pub field: String,
    /// Invalid values.
    pub invalid: u64,
    /// Values that are not null.
    pub values: u64,
    /// The share that the treatment bears.
    pub limit: Share,
}

impl OverLimit {
    /// What `counts` say of a field; absent where the limit is kept, or there is none.
    pub(crate) fn of(field: &PlannedField, counts: &Counts) -> Option<Self> {
        let limit = field.treatment.options().max_invalid;
        let limit = limit.filter(|limit| counts.exceeds(*limit))?;
        Some(Self {
            field: field.name.clone(),
            invalid: counts.invalid,
            values: counts.rows.saturating_sub(counts.nulls),
            limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::test_site::TestSite;

    #[test]
    fn a_share_of_invalid_values_above_the_limit_is_found() {
        let site = TestSite::new();
        let limited = "last = 2, max_invalid = \"0.1\"";
        site.policy("last = 2", limited);
        let compiled = site.compile();
        let field = &compiled.plan().fields[0];
        let counts = |invalid| Counts {
            rows: 12,
            nulls: 2,
            invalid,
            ..Counts::default()
        };
        assert_eq!(OverLimit::of(field, &counts(1)), None);
        let found = OverLimit::of(field, &counts(2)).unwrap();
        assert_eq!((found.field.as_str(), found.invalid), ("id", 2));
        assert_eq!(
            (found.values, found.limit.to_string().as_str()),
            (10, "0.1")
        );
        let unlimited = &compiled.plan().fields[1];
        assert_eq!(OverLimit::of(unlimited, &counts(10)), None);
    }
}
