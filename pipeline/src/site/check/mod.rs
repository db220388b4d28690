//! Checks of files against each other and against what this version can do.
//!
//! What makes a file unusable is a problem: a reference to nothing, a treatment that does not fit
//! its field, a text that cannot be read. What the law, the approval or the policy forbids is not:
//! that is a refusal, and the plan's to give.

mod dataset;
mod grant;
mod keys;
mod policy;
mod site_file;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use lockgate_transforms::{Column, Misfit, Read, Row, TreatmentSpec};

use super::suggest::did_you_mean;
use super::{Dataset, Field, FieldType, Loaded, Problem, Site};
use crate::plan::predicate::{self, Predicate};

/// What is wrong with a predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredicateFault {
    /// What is wrong; never a literal of the predicate.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Finds what makes a predicate unusable over the fields of a dataset: above all, fields that do
/// not exist. What the language does not allow is a refusal, not a fault.
pub type PredicateCheck = fn(text: &str, fields: &SchemaRef) -> Vec<PredicateFault>;

/// Checks that other modules bring.
#[derive(Debug, Clone, Copy)]
pub struct Hooks {
    /// Checks `rows` of a grant; not checked where absent.
    pub predicate: Option<PredicateCheck>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            predicate: Some(predicate::faults),
        }
    }
}

/// What checking found.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) problems: Vec<Problem>,
    /// Problems that arise together with another file.
    pub(super) joint: BTreeMap<Problem, String>,
    /// Problems of what no exchange uses.
    pub(super) idle: BTreeSet<Problem>,
}

/// Checks everything that could be read.
pub(super) fn check(site: &Site, hooks: &Hooks) -> Checked {
    let mut checker = Checker {
        site,
        hooks,
        checked: Checked::default(),
    };
    site_file::check(&mut checker);
    policy::check(&mut checker);
    for dataset in site.datasets.values() {
        dataset::check(&mut checker, dataset);
    }
    for recipient in site.recipients.values() {
        site_file::check_recipient(&mut checker, recipient);
    }
    for grant in site.grants.values() {
        grant::check(&mut checker, grant);
    }
    for job in site.jobs.values() {
        grant::check_job(&mut checker, job);
    }
    checker.checked
}

struct Checker<'a> {
    site: &'a Site,
    hooks: &'a Hooks,
    checked: Checked,
}

impl Checker<'_> {
    /// A problem at a value.
    fn at<T>(
        &mut self,
        file: &Loaded<T>,
        path: &[&str],
        what: impl Into<String>,
        hint: Option<String>,
    ) {
        self.checked.problems.push(file.problem(path, what, hint));
    }

    /// A problem at a key.
    fn at_key<T>(
        &mut self,
        file: &Loaded<T>,
        path: &[&str],
        what: impl Into<String>,
        hint: Option<String>,
    ) {
        self.checked
            .problems
            .push(file.problem_at_key(path, what, hint));
    }

    /// A problem of a reference to nothing, unless `known` has it.
    fn refers<'k, T>(
        &mut self,
        file: &Loaded<T>,
        path: &[&str],
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k String>,
    ) {
        let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
        if !known.contains(&name) {
            let hint = did_you_mean(name, "known", known);
            self.at(file, path, format!("{what} `{name}` does not exist"), hint);
        }
    }

    /// A problem of a reference to an entity in a file of its own, unless it could be read.
    fn refers_to_file<'k, T>(
        &mut self,
        file: &Loaded<T>,
        path: &[&str],
        (what, folder): (&str, &str),
        name: &str,
        known: impl IntoIterator<Item = &'k String>,
    ) {
        let other = format!("{folder}/{name}.toml");
        let known: Vec<&String> = known.into_iter().collect();
        if self.site.unreadable.contains(&other) && !known.iter().any(|known| *known == name) {
            let hint = Some(format!("see the problems of {other}"));
            self.at(file, path, format!("{what} `{name}` cannot be read"), hint);
        } else {
            self.refers(file, path, what, name, known);
        }
    }

    /// A problem for every word that stands twice in a list.
    fn no_duplicates<T, W: PartialEq>(&mut self, file: &Loaded<T>, path: &[&str], words: &[W]) {
        for (index, word) in words.iter().enumerate() {
            if words.iter().take(index).any(|earlier| earlier == word) {
                let index = index.to_string();
                let mut path = path.to_vec();
                path.push(&index);
                let hint = Some("take one of them out".to_owned());
                self.at(file, &path, "stands in this list twice", hint);
            }
        }
    }

    /// A problem if a required text is blank.
    fn not_blank<T>(&mut self, file: &Loaded<T>, path: &[&str], text: &str) {
        if text.trim().is_empty() {
            self.at(
                file,
                path,
                "is empty",
                Some("write what it asks for".to_owned()),
            );
        }
    }

    /// A problem if a treatment does not fit a field, at the parameter at fault; true if it fits.
    /// `with` is the dataset's file where that is not `file` and the treatment would fit others.
    fn fits<T>(
        &mut self,
        file: &Loaded<T>,
        path: &[&str],
        treatment: &TreatmentSpec,
        (dataset, field): (&Dataset, &Field),
        with: Option<&str>,
    ) {
        // A type that cannot be read has its own problem, in the catalogue.
        let Ok(field_type) = FieldType::parse(&field.data_type) else {
            return;
        };
        let row = dataset.row();
        let fields = row.fields();
        let column = Column {
            name: &field.name,
            data_type: &field_type.to_arrow(),
            category: &field.category,
            row: Row(&fields),
        };
        let output = treatment.output_type(column).map(drop);
        let Err(misfit) = output.and_then(|()| conditions_fit(treatment, dataset)) else {
            return;
        };
        let mut path = path.to_vec();
        path.extend(misfit.parameter);
        let place = with.map_or_else(String::new, |file| format!(" of {file}"));
        let what = format!("field `{}`{place}: {}", field.name, misfit.what);
        let problem = file.problem(&path, what, misfit.hint);
        if let Some(with) = with {
            self.checked.joint.insert(problem.clone(), with.to_owned());
        }
        self.checked.problems.push(problem);
    }
}

/// Whether the conditions of a treatment are in the predicate language, over fields there are.
fn conditions_fit(treatment: &TreatmentSpec, dataset: &Dataset) -> Result<(), Misfit> {
    let Some(schema) = dataset.schema() else {
        return Ok(()); // its types have problems of their own
    };
    for read in treatment.reads() {
        if let Read::Condition(text) = read
            && let Err(error) = Predicate::parse(&text, &schema)
        {
            return Err(Misfit {
                parameter: None,
                what: format!("a condition of its treatment: {}", error.what_and_where()),
                hint: Some(error.remedy),
            });
        }
    }
    Ok(())
}
