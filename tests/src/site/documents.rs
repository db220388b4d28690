//! Catalogue entries and grants as TOML, with what a test does not care about filled in.

use std::fmt::Write as _;

use super::{APPROVER, PROVIDER, RECIPIENT};

/// `catalogue/ID.toml` of a dataset in the store `lake`.
#[derive(Debug, Clone)]
pub struct Dataset {
    id: String,
    source: String,
    sharing: String,
    modes: String,
    more: String,
    fields: String,
}

impl Dataset {
    /// A conditionally shared dataset of Parquet files in the folder of its name.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            source: format!("store = \"lake\", path = \"{id}/\", format = \"parquet\""),
            sharing: "conditional".to_owned(),
            modes: "\"batch\"".to_owned(),
            more: String::new(),
            fields: String::new(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Another source: the inside of an inline table.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    /// Another sharing attribute.
    #[must_use]
    pub fn sharing(mut self, sharing: &str) -> Self {
        sharing.clone_into(&mut self.sharing);
        self
    }

    /// Other modes: the inside of an array.
    #[must_use]
    pub fn modes(mut self, modes: &str) -> Self {
        modes.clone_into(&mut self.modes);
        self
    }

    /// More top-level keys.
    #[must_use]
    pub fn more(mut self, line: &str) -> Self {
        self.more.push_str(line);
        self.more.push('\n');
        self
    }

    /// One more field; `level` is written as in TOML.
    #[must_use]
    pub fn field(mut self, name: &str, data_type: &str, category: &str, level: &str) -> Self {
        write!(
            self.fields,
            "[[fields]]\nname = {name:?}\ntype = {data_type:?}\ncategory = {category:?}\nlevel = \
             {level}\n"
        )
        .expect("writing to a string");
        self
    }

    /// One more field of level 1, of no known category.
    #[must_use]
    pub fn plain(self, name: &str, data_type: &str) -> Self {
        self.field(name, data_type, "other", "1")
    }

    /// One more key of the last field: a line of TOML.
    #[must_use]
    pub fn declaring(mut self, line: &str) -> Self {
        self.fields.push_str(line);
        self.fields.push('\n');
        self
    }

    /// The file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self {
            id,
            source,
            sharing,
            modes,
            more,
            fields,
        } = self;
        format!(
            "id = \"{id}\"\nprovider = \"{PROVIDER}\"\nsource = {{ {source} }}\nsharing = \
             \"{sharing}\"\nmodes = [{modes}]\n{more}{fields}"
        )
    }
}

/// `grants/ID.toml`.
#[derive(Debug, Clone)]
pub struct Grant {
    id: String,
    version: u32,
    dataset: String,
    fields: Vec<String>,
    modes: String,
    valid: String,
    more: String,
    treatments: String,
    exemptions: String,
    delivery: String,
}

impl Grant {
    /// A grant of those fields, valid until the end of the century, delivered unsealed.
    #[must_use]
    pub fn new(id: &str, dataset: &str, fields: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            version: 1,
            dataset: dataset.to_owned(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            modes: "\"batch\"".to_owned(),
            valid: "from = 2026-01-01, until = 2099-12-31".to_owned(),
            more: String::new(),
            treatments: String::new(),
            exemptions: String::new(),
            delivery: "seal = \"none\"".to_owned(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Another version.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Other modes: the inside of an array.
    #[must_use]
    pub fn modes(mut self, modes: &str) -> Self {
        modes.clone_into(&mut self.modes);
        self
    }

    /// Another validity: the inside of an inline table.
    #[must_use]
    pub fn valid(mut self, valid: &str) -> Self {
        valid.clone_into(&mut self.valid);
        self
    }

    /// A predicate over rows.
    #[must_use]
    pub fn rows(self, predicate: &str) -> Self {
        self.more(&format!("rows = {predicate:?}"))
    }

    /// Divisions.
    #[must_use]
    pub fn divisions(self, divisions: &[&str]) -> Self {
        self.more(&format!("divisions = {divisions:?}"))
    }

    /// More top-level keys.
    #[must_use]
    pub fn more(mut self, line: &str) -> Self {
        self.more.push_str(line);
        self.more.push('\n');
        self
    }

    /// A treatment: an inline table.
    #[must_use]
    pub fn treatment(mut self, field: &str, treatment: &str) -> Self {
        writeln!(self.treatments, "{field:?} = {treatment}").expect("writing to a string");
        self
    }

    /// An exemption that names the approver of every site here.
    #[must_use]
    pub fn exemption(self, field: &str, treatment: &str) -> Self {
        self.exemption_by(field, treatment, APPROVER)
    }

    /// An exemption that names an approver.
    #[must_use]
    pub fn exemption_by(mut self, field: &str, treatment: &str, approver: &str) -> Self {
        write!(
            self.exemptions,
            "[[exemptions]]\nfield = {field:?}\ntreatment = {treatment}\nreason = \"核对\"\napprover \
             = \"{approver}\"\n"
        )
        .expect("writing to a string");
        self
    }

    /// Another body of `[delivery]`.
    #[must_use]
    pub fn delivery(mut self, delivery: &str) -> Self {
        delivery.clone_into(&mut self.delivery);
        self
    }

    /// The file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self {
            id,
            version,
            dataset,
            fields,
            modes,
            valid,
            more,
            ..
        } = self;
        let Self {
            treatments,
            exemptions,
            delivery,
            ..
        } = self;
        format!(
            "id = \"{id}\"\nversion = {version}\ndataset = \"{dataset}\"\nrecipient = \
             \"{RECIPIENT}\"\npurpose = \"最低生活保障资格核查\"\nbasis = \"《社会救助暂行办法》\"\n\
             fields = {fields:?}\nmodes = [{modes}]\nvalid = {{ {valid} }}\n{more}\
             [treatments]\n{treatments}{exemptions}[delivery]\n{delivery}\n"
        )
    }
}
