//! Checks of `policy.toml`, and of its rules against the fields they decide about.

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
    for dataset in site.datasets.values() {
        for field in &dataset.fields {
            if let Some((number, rule)) = policy.rule_for(field) {
                let number = number.to_string();
                let path = ["rules", number.as_str(), "treatment"];
                let of = (&**dataset, field);
                checker.fits(policy, &path, &rule.treatment, of, Some(&dataset.file));
            }
        }
    }
}
