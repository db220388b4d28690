//! `fake-org`: the name of an organisation that doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{Divisions, Edition, Level};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::address;
use crate::persona::organisation::{self, FORMS, Form};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts the name of an organisation in the place of one: a place, an invented name, a trade, and an
/// end such as 有限公司.
///
/// Place and form are those of the organisation's credit code (`fake-uscc`). Where a kept province or
/// type can't be read, the value is invalid. A name never becomes itself; two may share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeOrg {
    /// Consistency domain: fields of one domain write facets of the same
    /// organisations (`"org.id"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the organisation's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What stays of the original: `"province"` (by the place the name begins with), `"type"` (by
    /// how it ends).
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
}

/// What stays of the name of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The province.
    Province,
    /// How the name ends: 有限公司, 医院, …
    Type,
}

impl Surrogate for FakeOrg {
    const KIND: &'static str = "fake-org";
    const SUMMARY: &'static str = "writes the name of an organisation that doesn't exist";
    const EXAMPLE: &'static str = r#"{ kind = "fake-org", domain = "org.id", by = "org_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "63 bytes";
    const ENTITY: &'static str = "organisation";

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            divisions: Divisions::new(),
            keeps_province: self.keep.contains(&Keep::Province),
            keeps_type: self.keep.contains(&Keep::Type),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        surrogate::subset(&self.keep, &floor.keep)
    }

    fn width(&self) -> Option<usize> {
        Some(organisation::NAME_BYTES_MAX)
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        self.keep.is_empty().then_some("某公司")
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        let kept = |what, part, said| Fact {
            what,
            kept: self.keep.contains(&part).then_some(said),
            from: None,
        };
        vec![
            kept("division", Keep::Province, "province"),
            kept("form", Keep::Type, "type"),
        ]
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    keeps_province: bool,
    keeps_type: bool,
}

impl Kernel {
    /// The province that the name begins with, by its own name or by that of a prefecture, full or
    /// without its last character (`杭州`).
    fn province(&self, name: &str) -> Option<u32> {
        if let Some(code) = address::read(&self.divisions, name, Level::Province)
            .or_else(|| address::read(&self.divisions, name, Level::City))
        {
            return Some(code);
        }
        let found = self.divisions.all().iter().find(|own| {
            let short = own.prefecture.strip_suffix('市').unwrap_or(own.prefecture);
            !short.is_empty() && name.starts_with(short)
        });
        found.map(|own| own.code)
    }
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let value = original.value.trim();
        let kept = if self.keeps_province {
            Some((self.province(value).ok_or(Case::Invalid)?, Level::Province))
        } else {
            None
        };
        let form: Option<&Form> = if self.keeps_type {
            FORMS.iter().find(|form| value.ends_with(form.suffix))
        } else {
            organisation::form_of(&original.draw)
        };
        let form = form.ok_or(Case::Invalid)?;
        let division = organisation::division(&original.draw, &self.divisions, kept);
        let division = division.ok_or(Case::Invalid)?;
        organisation::write_name(&original.draw, division, form, value, out);
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        42
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persona::organisation::CreditCode;
    use crate::surrogate::testing::{alone, texts, treat_texts};

    #[test]
    fn a_kept_province_and_type_stay() {
        let spec = "{ kind = 'fake-org', domain = 'd', keep = ['province', 'type'] }";
        let names = [
            "浙江省某某股份有限公司",
            "杭州某某贸易有限公司",
            "宁波市第一医院",
            "某某公司",
        ];
        let written = alone(spec, "organisation-name", &names);
        let kernel = Kernel {
            divisions: Divisions::new(),
            keeps_province: true,
            keeps_type: true,
        };
        for (name, suffix) in written.iter().zip(["股份有限公司", "有限公司", "医院"]) {
            let name = name.as_deref().unwrap();
            assert!(name.ends_with(suffix) && !name.contains("某某"), "{name}");
            assert_eq!(kernel.province(name).unwrap() / 10_000, 33, "{name}");
        }
        assert_eq!(written[3].as_deref(), Some("****"));
    }

    #[test]
    fn name_and_credit_code_are_of_one_organisation() {
        let keys: Vec<String> = (0..200).map(|key| format!("K{key}")).collect();
        let by = || ("org_id", "other", texts(keys.iter().map(Some)));
        let codes = (
            "code",
            "credit-code",
            texts(keys.iter().map(|_| Some("91110000600037341L"))),
        );
        let names = (
            "name",
            "organisation-name",
            texts(keys.iter().map(|_| Some("某某公司"))),
        );
        let facet = |kind: &str| format!("{{ kind = '{kind}', domain = 'd', by = 'org_id' }}");
        let codes = treat_texts(&facet("fake-uscc"), &[codes, by()]);
        let names = treat_texts(&facet("fake-org"), &[names, by()]);
        let divisions = Divisions::new();
        for (code, name) in codes.iter().zip(&names) {
            let code = CreditCode::read(code.as_deref().unwrap()).unwrap();
            let division = divisions.find(code.region()).unwrap();
            let name = name.as_deref().unwrap();
            assert!(name.starts_with(division.prefecture));
            let form = FORMS
                .iter()
                .find(|form| name.ends_with(form.suffix))
                .unwrap();
            assert_eq!(form.code, code.form());
        }
    }
}
