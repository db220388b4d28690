//! Checks of `policy.toml`, and of its rules against the fields they decide about.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, TimeUnit};
use lockgate_transforms::{Column, Misfit, TreatmentSpec};

use super::Checker;
use crate::id::is_category;

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
    // While a dataset can't be read, it isn't known which rules decide about nothing.
    if site.lacks_datasets() {
        return;
    }
    // Operators write rules before there are fields to decide about.
    let rules = policy.rules.iter().enumerate();
    for (number, rule) in rules.filter(|(number, _)| !deciding.contains(number)) {
        if let Some(misfit) = misfit(&rule.treatment) {
            let number = number.to_string();
            let mut path = vec!["rules", number.as_str(), "treatment"];
            path.extend(misfit.parameter);
            let problem = policy.problem(&path, misfit.what, misfit.hint);
            checker.checked.idle.insert(problem);
        }
    }
}

/// What is wrong with a parameter whatever field the treatment is for, as far as that shows without one: what
/// every sort of field that complains of a parameter complains of in the same words.
fn misfit(treatment: &TreatmentSpec) -> Option<Misfit> {
    // What it reads of a row is checked where there is one.
    if !treatment.reads().is_empty() {
        return None;
    }
    let mut common: Option<Misfit> = None;
    for data_type in sorts() {
        let column = Column::alone("field", &data_type, "other");
        let Err(misfit) = treatment.output_type(column) else {
            return None;
        };
        if misfit.parameter.is_none() {
            continue;
        }
        let is_same =
            |common: &Misfit| (common.parameter, &common.what) == (misfit.parameter, &misfit.what);
        if !common.as_ref().is_none_or(is_same) {
            return None;
        }
        common = Some(misfit);
    }
    common
}

/// Types of every sort that fields have, but for lists, structs and maps: which places there are in them, only
/// they say.
fn sorts() -> Vec<DataType> {
    let mut sorts = vec![
        DataType::Utf8,
        DataType::Int64,
        DataType::UInt64,
        DataType::Int8,
        DataType::Float64,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Boolean,
        DataType::Binary,
        DataType::Decimal256(76, 0),
        DataType::Decimal256(76, 38),
    ];
    sorts.extend((0..=37).map(|scale| DataType::Decimal128(38, scale)));
    sorts
}

#[cfg(test)]
mod tests {
    use lockgate_transforms::treatments::catalogue;

    use super::*;

    fn spec(text: &str) -> TreatmentSpec {
        #[derive(serde::Deserialize)]
        struct Written {
            treatment: TreatmentSpec,
        }
        let written: Written = toml::from_str(&format!("treatment = {text}")).unwrap();
        written.treatment
    }

    /// Treatments that fit few types.
    const NARROW: &[&str] = &[
        "{ kind = 'bucket', width = '0.005', as = 'any' }",
        "{ kind = 'bucket', width = '0.0000000000000001' }",
        "{ kind = 'permute-int', domain = 'd', from = '1000000000000000000', to = '9999999999999999999' }",
        "{ kind = 'permute-int', domain = 'd', from = 0, to = 99999999, sentinels = ['18446744073709551615'] }",
        "{ kind = 'rank-preserving', domain = 'd', lower = '0', upper = '1', width = '0.001', reveals_order = true }",
        "{ kind = 'rank-preserving', domain = 'd', lower = '0', upper = '10000000000000000000', width = '10', \
         reveals_order = true }",
        "{ kind = 'round', significant = 20 }",
        "{ kind = 'round', to = '0.0000000000000001' }",
        "{ kind = 'pipeline', steps = [{ kind = 'permute-int', domain = 'd', from = '1000000000000000000', \
         to = '9999999999999999999' }, { kind = 'keep-ends', first = 1, last = 0 }] }",
        "{ kind = 'pipeline', steps = [{ kind = 'nested', fields = { '[]' = { kind = 'null' } } }, { kind = 'null' }] }",
        "{ kind = 'nested', fields = { '{key}' = { kind = 'clear' }, '{value}' = { kind = 'null' } } }",
        "{ kind = 'geo-coarsen', grid = '0.01', order = 'lng-lat', datum = 'WGS84' }",
        "{ kind = 'time-part', keep = ['hour', 'minute'] }",
        "{ kind = 'constant', value = 7 }",
    ];

    #[test]
    fn a_treatment_that_fits_some_field_has_no_wrong_parameter() {
        let examples = catalogue().into_iter().map(|entry| entry.example);
        for text in examples.chain(NARROW.iter().copied()) {
            assert_eq!(misfit(&spec(text)), None, "{text}");
        }
    }

    #[test]
    fn a_parameter_that_is_wrong_for_every_field_is_found() {
        for (text, parameter) in [
            ("{ kind = 'bucket', width = '0' }", "width"),
            (
                "{ kind = 'age-band', as_of = 2026-01-01, width = 0 }",
                "width",
            ),
            (
                "{ kind = 'typed-mask', of = 'mobile', keep = 'surname' }",
                "keep",
            ),
            (
                "{ kind = 'regex', pattern = '(a', groups = [1] }",
                "pattern",
            ),
            (
                "{ kind = 'keep-ends', first = 1, last = 0, fill = 'ab' }",
                "fill",
            ),
        ] {
            let found = misfit(&spec(text)).unwrap();
            assert_eq!(found.parameter, Some(parameter), "{text}");
        }
    }
}
