//! Which columns of a dataset are read for a plan: what nobody looks at stays where it is.

use std::collections::BTreeSet;

use super::ExchangePlan;
use super::row_filter::RowFilter;

/// The columns that are read, in this order: those delivered, then those that only decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    columns: Vec<String>,
    /// By delivered field, in the order of delivery, its place among the columns.
    delivered: Vec<Option<usize>>,
}

impl Projection {
    /// Every column that the plan names.
    pub fn all(plan: &ExchangePlan) -> Self {
        Self::of(plan, |_| true)
    }

    /// Without the fields of which every value becomes null, unless a row's other fields or its
    /// scope depend on them. One column at least, which says how many rows there are.
    pub fn needed(plan: &ExchangePlan, filter: &RowFilter) -> Self {
        let mut looked_at = filter.columns();
        let reads = plan.fields.iter().flat_map(|field| &field.reads);
        looked_at.extend(reads.cloned());
        let always_null: BTreeSet<&str> = plan
            .fields
            .iter()
            .filter(|field| field.treatment.is_always_null() && !looked_at.contains(&field.name))
            .map(|field| field.name.as_str())
            .collect();
        let needed = Self::of(plan, |name| !always_null.contains(name));
        if needed.columns.is_empty() {
            return Self::all(plan);
        }
        needed
    }

    fn of(plan: &ExchangePlan, is_read: impl Fn(&str) -> bool) -> Self {
        let mut columns = Vec::new();
        let mut delivered = Vec::with_capacity(plan.fields.len());
        for field in &plan.fields {
            let read = is_read(&field.name);
            delivered.push(read.then_some(columns.len()));
            if read {
                columns.push(field.name.clone());
            }
        }
        columns.extend(plan.filter_only.iter().cloned());
        Self { columns, delivered }
    }

    /// Names of the columns, in the order in which they are read.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Where a column stands among those read.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Where the columns of the delivered fields stand, in the order of delivery; none for a field
    /// that isn't read.
    pub fn delivered(&self) -> &[Option<usize>] {
        &self.delivered
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::approval::test_site::TestSite;
    use crate::site::field_type::FieldType;

    /// All that is read of the site's grant over name and income, and what is needed.
    fn projections(site: &TestSite) -> (Vec<String>, Projection) {
        site.grant(
            "fields = [\"id\", \"name\", \"region\"]",
            "fields = [\"income\", \"name\"]",
        );
        let compiled = site.compile();
        let plan = compiled.plan();
        let fields = plan.source_fields.iter().map(|field| {
            let data_type = FieldType::parse(&field.data_type).unwrap();
            Field::new(&field.name, data_type.to_arrow(), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let filter = RowFilter::new(&plan.rows, &schema).unwrap();
        let all = Projection::all(plan).columns().to_vec();
        (all, Projection::needed(plan, &filter))
    }

    #[test]
    fn a_field_that_is_always_null_is_not_read() {
        let (all, needed) = projections(&TestSite::new());
        assert_eq!(all, ["income", "name"]);
        assert_eq!(needed.columns(), ["name"]);
        assert_eq!(needed.delivered(), [None, Some(0)]);
    }

    #[test]
    fn it_is_read_where_values_decide() {
        let scope = TestSite::new();
        scope.grant(
            "purpose = \"review\"",
            "purpose = \"review\"\nrows = \"income > 1000\"",
        );
        let condition = TestSite::new();
        condition.policy(
            "{ kind = \"keep-ends\", first = 1, last = 0 }",
            "{ kind = \"when\", condition = \"status = 'a'\", then = { kind = \"null\" }, else = { kind = \"clear\" } }",
        );
        let option = TestSite::new();
        option.policy(
            "treatment = { kind = \"null\" }",
            "treatment = { kind = \"null\", on_null = \"reject\" }",
        );
        for site in [scope, option] {
            let (all, needed) = projections(&site);
            assert_eq!(needed.columns(), all);
            assert_eq!(needed.delivered(), [Some(0), Some(1)]);
        }
        let (all, needed) = projections(&condition);
        assert_eq!(all, ["income", "name", "status"]);
        assert_eq!(needed.columns(), ["name", "status"]);
        assert_eq!(
            (needed.position("status"), needed.position("income")),
            (Some(1), None)
        );
    }
}
