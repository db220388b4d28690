//! The site of `lockgate demo`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::DemoError;
use super::generate::{Defect, EMPLOYERS, Table, write_parquet};
use super::keys::{self, PeopleKeys};
use super::sample::require_empty;

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("site/", $path)))),+]
    };
}

/// The site's files. Keys are put in when a site is made.
const FILES: [(&str, &str); 14] = files![
    "lockgate.toml",
    "policy.toml",
    "catalogue/residents.toml",
    "catalogue/enterprises.toml",
    "catalogue/payments.toml",
    "catalogue/health-records.toml",
    "recipients/civil-affairs.toml",
    "recipients/statistics.toml",
    "grants/G-residents.toml",
    "grants/G-enterprises.toml",
    "grants/G-payments.toml",
    "grants/G-exempted.toml",
    "grants/G-prohibited.toml",
    "jobs/residents-nightly.toml",
];

/// A grant of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoGrant {
    /// Id of the grant.
    pub id: &'static str,
    /// What it shows, for people.
    pub shows: &'static str,
    /// Whether it can be signed and run; otherwise signing and running are refused, which is what
    /// it shows.
    pub runs: bool,
}

/// The grants of the demo; the first is the one to begin with.
pub const GRANTS: [DemoGrant; 5] = [
    DemoGrant {
        id: "G-residents",
        shows: "conditional sharing",
        runs: true,
    },
    DemoGrant {
        id: "G-enterprises",
        shows: "unconditional sharing",
        runs: true,
    },
    DemoGrant {
        id: "G-payments",
        shows: "conditional sharing of payments",
        runs: true,
    },
    DemoGrant {
        id: "G-exempted",
        shows: "an approved exemption from the policy",
        runs: true,
    },
    DemoGrant {
        id: "G-prohibited",
        shows: "a refusal, with its legal basis",
        runs: false,
    },
];

/// What was made.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The site's directory.
    pub root: PathBuf,
    /// Keys of the approver and the recipients.
    pub keys: PeopleKeys,
    /// Rows of each dataset, by id.
    pub rows: BTreeMap<&'static str, u64>,
    /// How many residents have which defect.
    pub defects: BTreeMap<Defect, u64>,
}

/// Makes `directory`, which must be absent or empty, a complete site over `rows` invented
/// residents: its files, its six keys, pairs for the approver and the recipients, its data. Grants
/// are left unsigned.
///
/// # Errors
/// A directory that holds something; a file that cannot be written.
pub fn prepare(directory: &Path, rows: u64, seed: u64) -> Result<Prepared, DemoError> {
    require_empty(directory)?;
    for folder in ["catalogue", "grants", "recipients", "jobs", "lake"] {
        let path = directory.join(folder);
        fs::create_dir(&path).map_err(DemoError::io(&path))?;
    }
    for (name, text) in FILES {
        let path = directory.join(name);
        fs::write(&path, text).map_err(DemoError::io(&path))?;
    }
    let keys = keys::make(directory)?;
    let datasets = [
        ("residents", Table::Residents, rows),
        (
            "enterprises",
            Table::Enterprises,
            rows.min(u64::from(EMPLOYERS)),
        ),
        ("payments", Table::Payments, rows / 4),
        ("health-records", Table::HealthRecords, rows / 10),
    ];
    let lake = directory.join("lake");
    for (id, table, rows) in datasets {
        write_parquet(&lake.join(id), table, rows, seed)?;
    }
    Ok(Prepared {
        root: directory.to_owned(),
        keys,
        rows: datasets
            .into_iter()
            .map(|(id, _, rows)| (id, rows))
            .collect(),
        defects: Defect::count(0..rows, seed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;

    fn prepared(rows: u64) -> (tempfile::TempDir, Prepared) {
        let directory = tempfile::tempdir().unwrap();
        let prepared = prepare(&directory.path().join("site"), rows, 42).unwrap();
        (directory, prepared)
    }

    #[test]
    fn the_site_has_no_problem() {
        let (_directory, prepared) = prepared(100);
        let site = Site::load(&prepared.root).unwrap();
        assert_eq!(site.problems, []);
        let mut granted: Vec<&str> = site.grants.keys().map(String::as_str).collect();
        granted.sort_unstable();
        let mut listed: Vec<&str> = GRANTS.iter().map(|grant| grant.id).collect();
        listed.sort_unstable();
        assert_eq!(granted, listed);
    }

    #[test]
    fn the_catalogue_describes_what_is_generated() {
        use crate::site::FieldType;
        let (_directory, prepared) = prepared(10);
        let site = Site::load(&prepared.root).unwrap();
        for (id, table) in [
            ("residents", Table::Residents),
            ("enterprises", Table::Enterprises),
            ("payments", Table::Payments),
            ("health-records", Table::HealthRecords),
        ] {
            let schema = table.schema();
            let catalogued: Vec<_> = site.datasets[id]
                .fields
                .iter()
                .map(|field| {
                    (
                        field.name.clone(),
                        FieldType::parse(&field.data_type).unwrap().to_arrow(),
                    )
                })
                .collect();
            let generated: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect();
            assert_eq!(catalogued, generated, "{id}");
        }
    }

    #[test]
    fn keys_are_made_and_none_but_public_ones_stand_in_files() {
        let (_directory, prepared) = prepared(10);
        assert!(
            prepared
                .keys
                .approver
                .starts_with(prepared.root.join("approver"))
        );
        for (name, _) in FILES {
            let text = fs::read_to_string(prepared.root.join(name)).unwrap();
            assert!(
                !text.contains("@KEY@") && !text.contains("lockgate-key"),
                "{name}"
            );
        }
        assert!(prepared.root.join("keys/pseudonym.v1.key").exists());
    }

    #[test]
    fn a_directory_that_holds_something_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mine"), "").unwrap();
        let refused = prepare(directory.path(), 10, 42);
        assert!(matches!(refused, Err(DemoError::NotEmpty { .. })));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
