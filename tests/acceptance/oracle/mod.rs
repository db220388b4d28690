//! Independent readers: pyarrow and duckdb open what was delivered, Python recomputes every value
//! from the source with its own HMAC, HKDF, decimals and calendar and with the ciphers of the
//! package `cryptography`, and python-stdnum judges the identifiers.
//!
//! `LOCKGATE_ORACLES` names a Python that has these packages, as CI sets it. **Where it is not set,
//! these tests print that they were skipped, and pass**: a fresh machine needs no Python to build,
//! use or test the product. Set but unusable, they fail.
//!
//! Each subject is a script here, which says what it expects and why, with a module of its name that
//! makes the site; `shared.py` and `recipes.py` are what the scripts have in common.

mod identifiers;
mod keyed;
mod nested;
mod output_types;
mod register;

use std::ffi::OsString;
use std::process::Command;

use lockgate_acceptance::site::{Dataset, Delivery, Finished, Grant, Site, finish};
use serde_json::{Value, json};

use crate::PROGRAM;

/// The Python to ask, if there is one.
pub(crate) fn python() -> Option<OsString> {
    let python = std::env::var_os("LOCKGATE_ORACLES");
    if python.is_none() {
        println!(
            "skipped: LOCKGATE_ORACLES is not set to a Python with the packages of .ci/install"
        );
    }
    python
}

/// One field of a dataset that Python makes, and how it is treated.
#[derive(Debug, Clone)]
struct Case {
    name: String,
    /// In the notation of the catalogue.
    data_type: String,
    category: &'static str,
    /// What the script fills the field with.
    values: &'static str,
    /// As a grant writes it.
    treatment: String,
    /// What the script takes the treatment for; the treatment, but where a test lies.
    judged_as: String,
}

impl Case {
    fn new(
        name: &str,
        (data_type, category, values): (&str, &'static str, &'static str),
        treatment: &str,
    ) -> Self {
        Self {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            category,
            values,
            treatment: treatment.to_owned(),
            judged_as: treatment.to_owned(),
        }
    }

    /// As the scripts read it.
    fn document(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.data_type,
            "category": self.category,
            "values": self.values,
            "treatment": document(&self.treatment),
            "as": document(&self.judged_as),
        })
    }
}

/// A treatment, written as in TOML, as the manifest has it.
fn document(treatment: &str) -> Value {
    fn of(value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => Value::from(text),
            toml::Value::Integer(number) => Value::from(number),
            toml::Value::Float(number) => Value::from(number),
            toml::Value::Boolean(truth) => Value::from(truth),
            toml::Value::Datetime(date) => Value::from(date.to_string()),
            toml::Value::Array(values) => values.into_iter().map(of).collect(),
            toml::Value::Table(table) => {
                Value::Object(table.into_iter().map(|(key, it)| (key, of(it))).collect())
            }
        }
    }
    let table: toml::Table = toml::from_str(&format!("treatment = {treatment}")).expect("TOML");
    of(table["treatment"].clone())
}

/// A script of this directory, with the site of its cases.
struct Oracle {
    python: OsString,
    script: &'static str,
    site: Site,
    cases: Vec<Case>,
    rows: usize,
    /// The format of the source.
    format: &'static str,
    /// The version of a purpose's key, where it isn't the first.
    versions: Value,
}

impl Oracle {
    /// Makes a site whose dataset Python has written, in Parquet.
    #[track_caller]
    fn new(python: OsString, script: &'static str, cases: Vec<Case>, rows: usize) -> Self {
        Self::over(python, script, cases, rows, "parquet")
    }

    /// Makes a site whose dataset Python has written.
    #[track_caller]
    fn over(
        python: OsString,
        script: &'static str,
        cases: Vec<Case>,
        rows: usize,
        format: &'static str,
    ) -> Self {
        let oracle = Self {
            python,
            script,
            site: Site::new(PROGRAM),
            cases,
            rows,
            format,
            versions: json!({}),
        };
        oracle.make(0);
        let source = format!("store = \"lake\", path = \"cases/\", format = \"{format}\"");
        let fields = oracle.cases.iter();
        let dataset = fields.fold(Dataset::new("cases").source(&source), |dataset, case| {
            dataset.field(&case.name, &case.data_type, case.category, "1")
        });
        oracle.site.dataset(&dataset);
        oracle
    }

    /// Has Python write the source, every value so many rows up, in the place of another.
    #[track_caller]
    fn make(&self, rotated: usize) {
        let source = self.site.path("lake/cases");
        if source.exists() {
            std::fs::remove_dir_all(&source).expect("the old source removed");
        }
        let mut request = self.request("G-1");
        request["rotated"] = rotated.into();
        self.start("make", &request).expect_code(0);
    }

    /// A grant of every case.
    fn grant(&self, id: &str) -> Grant {
        let names: Vec<&str> = self.cases.iter().map(|case| case.name.as_str()).collect();
        let grant = Grant::new(id, "cases", &names);
        let cases = self.cases.iter();
        cases.fold(grant, |grant, case| {
            grant.treatment(&case.name, &case.treatment)
        })
    }

    /// Signs and runs a grant of every case.
    #[track_caller]
    fn deliver(&self) -> Delivery {
        self.site.signed(&self.grant("G-1"));
        self.site.deliver("G-1")
    }

    fn request(&self, grant: &str) -> Value {
        let fields: Vec<Value> = self.cases.iter().map(Case::document).collect();
        json!({
            "source": self.site.path("lake/cases"),
            "keys": self.site.path("keys"),
            "grant": grant,
            "fields": fields,
            "rows": self.rows,
            "format": self.format,
            "versions": self.versions,
        })
    }

    /// Lets Python check a delivery of a grant.
    fn judge(&self, delivery: &Delivery, grant: &str) -> Finished {
        let mut request = self.request(grant);
        request["delivery"] = json!(delivery.folder());
        self.start("check", &request)
    }

    /// Fails the test unless Python agrees with a delivery of a grant.
    #[track_caller]
    fn agrees(&self, delivery: &Delivery, grant: &str) {
        let done = self.judge(delivery, grant);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.starts_with("agreed on "), "{done:?}");
        println!("{}: {}", self.script, done.stdout.trim());
    }

    /// What Python finds wrong with a delivery, a line for each field.
    #[track_caller]
    fn objections(&self, delivery: &Delivery, grant: &str) -> Vec<String> {
        let done = self.judge(delivery, grant);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(!done.stderr.contains("Traceback"), "{done:?}");
        done.stderr.lines().map(str::to_owned).collect()
    }

    fn start(&self, mode: &str, request: &Value) -> Finished {
        ask(&self.python, self.script, mode, request)
    }
}

/// Starts a script of this directory.
fn ask(python: &OsString, script: &str, mode: &str, request: &Value) -> Finished {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/acceptance/oracle");
    // -B: no compiled files beside the scripts.
    finish(
        Command::new(python)
            .arg("-B")
            .arg(format!("{directory}/{script}"))
            .arg(mode)
            .arg(request.to_string()),
    )
}
