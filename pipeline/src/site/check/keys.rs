//! Keys that exchanges need and the keyring does not hold, by the names of its files.
//!
//! Apart from the other checks, because a site may be checked, planned and signed for where its
//! keys are not.

use std::collections::BTreeSet;

use lockgate_connectors::keyring::plain_key_files;

use super::Checker;
use crate::marks::carrier_of;
use crate::site::grant::OwnTreatment;
use crate::site::lockgate_toml::{KeyProvider, SecretRef};
use crate::site::{FieldType, Grant, Loaded, Problem, Site, SiteFile};

/// Purpose of the key of marks.
const MARK: &str = "mark";

/// Purposes of the keys that every run needs: it signs a manifest and records itself.
const OF_EVERY_RUN: [&str; 2] = ["manifest", "ledger"];

/// Checks `[keys]`: that what opens the keyring is named, and nothing that does not belong to it.
pub(super) fn check_section(checker: &mut Checker<'_>, file: &Loaded<SiteFile>) {
    let keys = &file.keys;
    let secret_file = |key: &str| Some(format!("write {key} = {{ file = \"path\" }}"));
    if keys.passphrase.is_some() && keys.key_file.is_some() {
        let what = "a keyring is protected by a passphrase or by a key file, not by both";
        checker.at_key(file, &["keys", "key_file"], what, None);
    }
    if matches!(keys.key_file, Some(SecretRef::Env(_))) {
        let hint = secret_file("key_file");
        checker.at(file, &["keys", "key_file"], "a key file is a file", hint);
    }
    match keys.provider {
        KeyProvider::Pkcs11 => {
            let missing = [
                ("module", keys.module.is_none()),
                ("token", keys.token.is_none()),
                ("pin", keys.pin.is_none()),
            ];
            let missing = missing.into_iter().filter(|(_, missing)| *missing);
            let missing: Vec<&str> = missing.map(|(key, _)| key).collect();
            if !missing.is_empty() {
                let what = format!("provider `pkcs11` needs {} beside it", missing.join(", "));
                checker.at(file, &["keys", "provider"], what, None);
            }
            for (key, given) in [
                ("passphrase", keys.passphrase.is_some()),
                ("key_file", keys.key_file.is_some()),
            ] {
                if given {
                    let what = format!("`{key}` is for provider `local`: a token has a pin");
                    checker.at_key(file, &["keys", key], what, None);
                }
            }
        }
        // A local keyring may name the token that it is about to move to.
        KeyProvider::Local => {}
    }
}

impl Site {
    /// Plain key files beside a protected keyring, or what is left of another root: nothing uses them, and
    /// they protect nothing.
    pub fn plain_key_problems(&self) -> Vec<Problem> {
        let keys = &self.file.keys;
        let is_plain = keys.provider == KeyProvider::Local
            && keys.passphrase.is_none()
            && keys.key_file.is_none();
        if is_plain {
            return Vec::new();
        }
        let found = plain_key_files(&self.root.join(&keys.path)).unwrap_or_default();
        let problem = |path: &std::path::Path| {
            let what = format!(
                "{} is a plain key file beside a protected keyring, or left of an earlier root",
                path.display()
            );
            let hint = "`lockgate keys protect` finishes what was interrupted and removes it";
            self.file
                .problem(&["keys", "path"], what, Some(hint.to_owned()))
        };
        found.iter().map(|path| problem(path)).collect()
    }

    /// A problem for every key that a run of one of the grants would look for in vain.
    pub fn key_problems(&self) -> Vec<Problem> {
        let held = self.held_purposes();
        let directory = self.file.keys.path.display();
        let mut problems = Vec::new();
        for purpose in OF_EVERY_RUN
            .into_iter()
            .filter(|purpose| !held.contains(*purpose))
        {
            let what = format!("no key of purpose `{purpose}` in {directory}");
            problems.push(
                self.file
                    .problem(&["keys", "path"], what, Some(make(purpose))),
            );
        }
        for grant in self.grants.values() {
            if !held.contains(MARK)
                && let Some(field) = self.marked_field(grant)
            {
                let what = format!(
                    "the marks of field `{field}` need a key of purpose `{MARK}`, and there is none \
                     in {directory}"
                );
                problems.push(grant.problem(&["fields"], what, Some(make(MARK))));
            }
            let needed = self.needed_purposes(grant);
            for (purpose, field, index) in needed {
                if !held.contains(purpose) {
                    let what = format!(
                        "the treatment of field `{field}` needs a key of purpose `{purpose}`, \
                         and there is none in {directory}"
                    );
                    let path = ["fields", &index.to_string()];
                    problems.push(grant.problem(&path, what, Some(make(purpose))));
                }
            }
        }
        problems
    }

    /// Purposes of which a file `PURPOSE.vN.key` is there: beside the others, or among the records of
    /// a root.
    fn held_purposes(&self) -> BTreeSet<String> {
        let directory = self.root.join(&self.file.keys.path);
        let of = |directory: &std::path::Path| {
            let entries = std::fs::read_dir(directory).into_iter().flatten();
            entries.filter_map(Result::ok).collect::<Vec<_>>()
        };
        let beside = of(&directory);
        let is_root = |name: &str| {
            let version = name.strip_prefix("root-");
            version.is_some_and(|version| version.parse::<u32>().is_ok())
        };
        let records = beside
            .iter()
            .filter(|entry| entry.file_name().to_str().is_some_and(is_root))
            .flat_map(|entry| of(&entry.path()));
        let records: Vec<_> = records.collect();
        let names = beside
            .iter()
            .chain(&records)
            .filter_map(|entry| entry.file_name().into_string().ok());
        let purpose = |name: String| {
            let (purpose, version) = name.strip_suffix(".key")?.rsplit_once(".v")?;
            version.parse::<u32>().ok()?;
            Some(purpose.to_owned())
        };
        names.filter_map(purpose).collect()
    }

    /// The first field of a grant that is delivered clear and offers marks something to move.
    fn marked_field<'s>(&'s self, grant: &'s Loaded<Grant>) -> Option<&'s str> {
        let dataset = self.datasets.get(&grant.dataset)?;
        let mut names = grant.fields.iter().map(String::as_str);
        names.find(|name| {
            dataset.field(name).is_some_and(|field| {
                let offers = FieldType::parse(&field.data_type)
                    .is_ok_and(|found| matches!(carrier_of(field, &found), Ok(Some(_))));
                let own = grant.own_treatment(name).map(OwnTreatment::spec);
                let floor = self.policy.rule_for(field).map(|(_, rule)| &rule.treatment);
                let treatment = floor.map(|floor| own.unwrap_or(floor));
                let is_clear = treatment.is_some_and(|spec| spec.kind() == "clear");
                offers && is_clear
            })
        })
    }

    /// Purposes of the keys a grant's treatments need, with the first field that needs each.
    fn needed_purposes<'s>(
        &'s self,
        grant: &'s Loaded<Grant>,
    ) -> Vec<(&'static str, &'s str, usize)> {
        let Some(dataset) = self.datasets.get(&grant.dataset) else {
            return Vec::new();
        };
        let mut needed: Vec<(&'static str, &str, usize)> = Vec::new();
        for (index, name) in grant.fields.iter().enumerate() {
            let Some(field) = dataset.field(name) else {
                continue;
            };
            // What no rule matches is withheld, whatever the grant says.
            let Some((_, rule)) = self.policy.rule_for(field) else {
                continue;
            };
            let own = grant.own_treatment(name);
            let treatment = own.map_or(&rule.treatment, OwnTreatment::spec);
            for key in treatment.key_uses() {
                if needed.iter().all(|(purpose, ..)| *purpose != key.purpose) {
                    needed.push((key.purpose, name, index));
                }
            }
        }
        needed
    }
}

fn make(purpose: &str) -> String {
    format!("`lockgate keys new {purpose}` makes one")
}
