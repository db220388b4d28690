//! A small site in a temporary directory, for the tests of plan and approval: text files that a
//! test edits as an operator would.

use std::fs;
use std::path::PathBuf;

use chrono::NaiveDate;
use lockgate_connectors::keyring::{PairKind, write_pair};
use tempfile::TempDir;

use super::{SignError, SignRequest, Signed, sign};
use crate::plan::{CompileError, CompileRequest, Compiled, QuotaUse, RefusalCode, compile};
use crate::site::Site;
use crate::site::dataset::Mode;

/// Id of the one grant.
pub(crate) const GRANT: &str = "G-1";

const CATALOGUE: &str = r#"
id = "residents"
provider = "public-security"
source = { store = "lake", path = "residents/", format = "parquet" }
sharing = "conditional"
modes = ["batch"]
division = "region"
fields = [
  { name = "id", type = "utf8", category = "resident-id", level = 3 },
  { name = "name", type = "utf8", category = "person-name", level = 2 },
  { name = "gender", type = "utf8", category = "code", level = 2, domain_size = 3 },
  { name = "income", type = "decimal(12,2)", category = "income", level = 3 },
  { name = "region", type = "utf8", category = "division", level = 1 },
  { name = "status", type = "utf8", category = "code", level = 1 },
  { name = "secret", type = "utf8", category = "secret", level = "core" },
  { name = "weighty", type = "utf8", category = "weighty", level = "important" },
  { name = "note", type = "utf8", category = "unruled", level = 1 },
]
"#;

const POLICY: &str = r#"
[marking]
min_carriers = 0
[[rules]]
category = "resident-id"
treatment = { kind = "keep-ends", first = 3, last = 2 }
[[rules]]
category = "person-name"
treatment = { kind = "keep-ends", first = 1, last = 0 }
[[rules]]
category = "income"
min_level = 3
treatment = { kind = "null" }
[[rules]]
category = "income"
treatment = { kind = "clear" }
[[rules]]
category = "secret"
treatment = { kind = "null" }
[[rules]]
category = "weighty"
treatment = { kind = "null" }
[[rules]]
category = "code"
treatment = { kind = "clear" }
[[rules]]
category = "division"
treatment = { kind = "clear" }
"#;

const GRANT_FILE: &str = r#"
id = "G-1"
version = 1
dataset = "residents"
recipient = "civil-affairs"
purpose = "review"
basis = "regulation 1"
fields = ["id", "name", "region"]
modes = ["batch"]
valid = { from = 2026-01-01, until = 2026-12-31 }
[delivery]
seal = "none"
"#;

/// The site, and the keys of its approvers `office` (listed) and `stranger` (of another provider).
pub(crate) struct TestSite {
    directory: TempDir,
}

impl TestSite {
    /// A site whose grant compiles, not yet signed.
    pub(crate) fn new() -> Self {
        let site = Self {
            directory: TempDir::new().unwrap(),
        };
        let root = site.root();
        let mut keys = Vec::new();
        for (name, kind) in [
            ("office", PairKind::Approver),
            ("stranger", PairKind::Approver),
            ("outsider", PairKind::Approver),
            ("recipient", PairKind::Recipient),
            ("thief", PairKind::Recipient),
        ] {
            keys.push(write_pair(&root, name, kind).unwrap().key.to_string());
        }
        for folder in ["catalogue", "grants", "recipients"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        let file = format!(
            r#"
[site]
name = "hub"
tier = "regional"
[stores.lake]
url = "file:lake"
[stores.other]
url = "file:other"
[delivery]
store = "lake"
[approvers.office]
public_key = "{}"
providers = ["public-security"]
[approvers.stranger]
public_key = "{}"
providers = ["tax"]
"#,
            keys[0], keys[1]
        );
        site.write("lockgate.toml", &file);
        site.write("policy.toml", POLICY);
        site.write("catalogue/residents.toml", CATALOGUE);
        site.write("grants/G-1.toml", GRANT_FILE);
        let recipient = format!(
            "id = \"civil-affairs\"\nname = \"Civil affairs\"\npublic_keys = [\"{}\"]\n",
            keys[3]
        );
        site.write("recipients/civil-affairs.toml", &recipient);
        site
    }

    /// The same, with its grant signed by `office`.
    pub(crate) fn signed() -> Self {
        let site = Self::new();
        site.sign("office").unwrap();
        site
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.root().join(file), text).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file)).unwrap()
    }

    /// Replaces a text in a file, as an operator with an editor does.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) -> &Self {
        let text = self.read(file);
        assert!(text.contains(from), "{file} holds no {from}");
        self.write(file, &text.replacen(from, to, 1));
        self
    }

    pub(crate) fn catalogue(&self, from: &str, to: &str) -> &Self {
        self.edit("catalogue/residents.toml", from, to)
    }

    pub(crate) fn policy(&self, from: &str, to: &str) -> &Self {
        self.edit("policy.toml", from, to)
    }

    pub(crate) fn grant(&self, from: &str, to: &str) -> &Self {
        self.edit("grants/G-1.toml", from, to)
    }

    /// Puts a table at the end of the grant.
    pub(crate) fn grant_table(&self, table: &str) -> &Self {
        let text = self.read("grants/G-1.toml");
        self.write("grants/G-1.toml", &format!("{text}{table}\n"));
        self
    }

    pub(crate) fn site(&self) -> Site {
        Site::load(&self.root()).unwrap()
    }

    pub(crate) fn sign(&self, key: &str) -> Result<Signed, SignError> {
        let path = self.root().join(format!("{key}.key"));
        let request = SignRequest {
            grant: GRANT,
            key: &path,
            today: day("2026-06-01"),
            quota: QuotaUse::default(),
        };
        sign(&self.site(), &request)
    }

    pub(crate) fn compile_with(
        &self,
        change: impl FnOnce(&mut CompileRequest<'_>),
    ) -> Result<Compiled, CompileError> {
        let mut request = CompileRequest {
            grant: GRANT,
            mode: Mode::Batch,
            today: day("2026-06-01"),
            quota: QuotaUse::default(),
        };
        change(&mut request);
        compile(&self.site(), &request)
    }

    pub(crate) fn compile(&self) -> Compiled {
        self.compile_with(|_| {}).unwrap()
    }

    /// The codes that refuse the grant, with the field where there is one.
    pub(crate) fn codes(&self) -> Vec<(RefusalCode, Option<String>)> {
        codes(&self.compile())
    }

    /// The same but for the signature.
    pub(crate) fn codes_but_unsigned(&self) -> Vec<(RefusalCode, Option<String>)> {
        let mut codes = self.codes();
        codes.retain(|(code, _)| *code != RefusalCode::Unsigned);
        codes
    }
}

pub(crate) fn codes(compiled: &Compiled) -> Vec<(RefusalCode, Option<String>)> {
    compiled
        .refusals()
        .iter()
        .map(|refusal| (refusal.code, refusal.field.clone()))
        .collect()
}

pub(crate) fn day(text: &str) -> NaiveDate {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap()
}
