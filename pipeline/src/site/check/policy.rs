//! Checks of `policy.toml`, and of its rules against the fields they decide about.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, TimeUnit};
use lockgate_transforms::{Column, Misfit};

use super::Checker;
use crate::id::is_category;
use crate::site::policy::Rule;

pub(super) fn check(checker: &mut Checker<'_>) {
    let site = checker.site;
    let policy = &site.policy;
    for (number, rule) in policy.rules.iter().enumerate() {
        let number = number.to_string();
        let at = |key: &'static str| ["rules", number.as_str(), key];
        if let Some(category) = &rule.category
            && !is_category(category)
        {
            let hint = Some("a category is lower-case letters, digits and -".to_owned());
            checker.at(policy, &at("category"), "not a category", hint);
        }
        if let (Some(least), Some(most)) = (rule.min_level, rule.max_level)
            && least > most
        {
            let what = format!("min_level {least} is above max_level {most}: nothing matches");
            checker.at(policy, &at("min_level"), what, None);
        }
        if let Some(fields) = &rule.fields {
            if fields.is_empty() {
                let hint = Some("take `fields` out to match every field".to_owned());
                checker.at(policy, &at("fields"), "an empty list matches nothing", hint);
            }
            checker.no_duplicates(policy, &at("fields"), fields);
        }
        if rule.treatment.leaves_out_rows() {
            let what = format!(
                "`{}` leaves out rows, and a rule would do so only for grants that ask for its \
                 field",
                rule.treatment.kind()
            );
            let hint = "write the condition as `rows` of each grant, or the treatment in the grant";
            checker.at(policy, &at("treatment"), what, Some(hint.to_owned()));
        }
    }
    let mut deciding = BTreeSet::new();
    for dataset in site.datasets.values() {
        for field in &dataset.fields {
            if let Some((number, rule)) = policy.rule_for(field) {
                deciding.insert(number);
                let number = number.to_string();
                let path = ["rules", number.as_str(), "treatment"];
                let of = (&**dataset, field);
                checker.fits(policy, &path, &rule.treatment, of, Some(&dataset.file));
            }
        }
    }
    // Operators write rules before there are fields to decide about.
    let rules = policy.rules.iter().enumerate();
    for (number, rule) in rules.filter(|(number, _)| !deciding.contains(number)) {
        if let Some(misfit) = misfit(rule) {
            let number = number.to_string();
            let mut path = vec!["rules", number.as_str(), "treatment"];
            path.extend(misfit.parameter);
            checker.at(policy, &path, misfit.what, misfit.hint);
        }
    }
}

/// The parameter that keeps the treatment of a rule from fitting any field, as far as that shows without one.
fn misfit(rule: &Rule) -> Option<Misfit> {
    // What it reads of a row is checked where there is one.
    if !rule.treatment.reads().is_empty() {
        return None;
    }
    let category = rule.category.as_deref().unwrap_or("other");
    let mut of_parameter = None;
    for data_type in TYPES {
        let column = Column::alone("field", &data_type, category);
        match rule.treatment.output_type(column) {
            Ok(_) => return None,
            Err(misfit) if misfit.parameter.is_some() => {
                of_parameter.get_or_insert(misfit);
            }
            Err(_) => {}
        }
    }
    of_parameter
}

/// A type of each sort that fields have.
const TYPES: [DataType; 7] = [
    DataType::Utf8,
    DataType::Int64,
    DataType::Decimal128(18, 2),
    DataType::Float64,
    DataType::Date32,
    DataType::Timestamp(TimeUnit::Microsecond, None),
    DataType::Boolean,
];
