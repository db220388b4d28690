//! `fake-uscc`: the unified social credit code of an organisation that doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{Divisions, Edition, Level};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::organisation::{self, CreditCode};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a valid unified social credit code (GB 32100) in the place of one; the organisation code in
/// it is valid too (GB 11714).
///
/// Original codes must have both check characters right, and may begin with letters. A code never
/// becomes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeUscc {
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
    /// What stays of the original: `"dept"` (registering department), `"category"`, both one
    /// character; `"region"` (six digits of division).
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
}

/// What stays of a credit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The registering department, the first character.
    Dept,
    /// The category of organisation, the second character; kept only with the department, which it
    /// means nothing without.
    Category,
    /// The division.
    Region,
}

impl Surrogate for FakeUscc {
    const KIND: &'static str = "fake-uscc";
    const SUMMARY: &'static str = "writes the credit code of an organisation that doesn't exist";
    const EXAMPLE: &'static str = r#"{ kind = "fake-uscc", domain = "org.id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 29 };
    const WIDTH: &'static str = "18 bytes";
    const ENTITY: &'static str = "organisation";
    const SPELT_AS: Option<&'static str> = Some("credit-code");

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            divisions: Divisions::new(),
            keeps_department: self.keep.contains(&Keep::Dept),
            keeps_category: self.keep.contains(&Keep::Category),
            keeps_region: self.keep.contains(&Keep::Region),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)?;
        if self.keep.contains(&Keep::Category) && !self.keep.contains(&Keep::Dept) {
            let what = "`keep` lists \"category\", which means nothing without \"dept\"";
            return Err(Misfit::of_parameter("keep", what).with_hint("list \"dept\" too"));
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        surrogate::subset(&self.keep, &floor.keep)
    }

    fn width(&self) -> Option<usize> {
        Some(18)
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        self.keep.is_empty().then_some("91110000600037341L")
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        let kept = |part, said| self.keep.contains(&part).then_some(said);
        let form = kept(Keep::Category, "category");
        vec![
            Fact {
                what: "division",
                kept: kept(Keep::Region, "district"),
                from: None,
            },
            Fact {
                what: "form",
                kept: form.or_else(|| kept(Keep::Dept, "department")),
                from: None,
            },
        ]
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    keeps_department: bool,
    keeps_category: bool,
    keeps_region: bool,
}

impl Kernel {
    /// Department and category: as kept, the rest as drawn where the department has it.
    fn form(&self, original: &Original<'_>, own: [u8; 2]) -> Option<[u8; 2]> {
        let drawn = organisation::form_of(&original.draw)?.code;
        match (self.keeps_department, self.keeps_category, own, drawn) {
            (true, true, own, _) => Some(own),
            (true, false, [department, _], [other, _]) if department != other => {
                Some([department, b'1'])
            }
            _ => Some(drawn),
        }
    }
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let text = surrogate::identifier(original.value).to_ascii_uppercase();
        let own = CreditCode::read(&text).ok_or(Case::Invalid)?;
        let form = self.form(original, own.form()).ok_or(Case::Invalid)?;
        let region = if self.keeps_region {
            own.region()
        } else {
            let kept: Option<(u32, Level)> = None;
            let division = organisation::division(&original.draw, &self.divisions, kept);
            division.ok_or(Case::Invalid)?.code
        };
        let drawn = organisation::credit_code(&original.draw, form, region, Some(&own));
        out.extend_from_slice(drawn.ok_or(Case::Invalid)?.written());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        18
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surrogate::testing::alone;
    use crate::testing::misfit;

    const CODE: &str = "91110000600037341L";

    #[test]
    fn codes_are_valid_and_keep_what_is_kept() {
        for (keep, start) in [
            ("", ""),
            ("'dept'", "9"),
            ("'dept', 'category'", "91"),
            ("'dept', 'category', 'region'", "91110000"),
        ] {
            for domain in ["a", "b", "c", "d"] {
                let spec =
                    format!("{{ kind = 'fake-uscc', domain = '{domain}', keep = [{keep}] }}");
                let codes = alone(&spec, "credit-code", &[CODE, "91110000600037342L", "9111"]);
                let code = codes[0].as_deref().unwrap();
                assert!(CreditCode::read(code).is_some(), "{code}");
                assert!(code.starts_with(start) && code != CODE, "{code}");
                assert_eq!(codes[1].as_deref(), Some("******************"));
                assert_eq!(codes[2].as_deref(), Some("****"));
            }
        }
    }

    #[test]
    fn a_category_without_its_department_is_refused() {
        let spec = "{ kind = 'fake-uscc', domain = 'd', keep = ['category'] }";
        assert_eq!(misfit(spec).parameter, Some("keep"));
    }
}
