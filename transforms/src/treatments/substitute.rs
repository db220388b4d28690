//! `substitute`: a value of a list in the place of each value, chosen under a key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel, subset};
use crate::text;

/// Most values of a list: what one configuration file can reasonably say and an approver read.
const VALUES_MAX: usize = 10_000;

/// Most bytes of a value of a list.
const VALUE_BYTES_MAX: usize = 1_000;

/// Puts a value of a list in the place of each value: the same for the same value under one key, or
/// for the same values of the field that `by` names.
///
/// Which value of the list it is depends on the key alone and on no other value, so it may by chance
/// be the original itself: of a list of two, any other choice could be undone. Many values become the
/// same one where the list is short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Substitute {
    /// Consistency domain: fields of one domain and one list replace values alike
    /// (`"org.name"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that decides, read from the original row; absent means the value itself. A row
    /// where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The list, 2 to 10,000 values, none twice. Each is as likely as any other; another order or
    /// length is another choice.
    pub values: Vec<String>,
}

impl Surrogate for Substitute {
    const KIND: &'static str = "substitute";
    const SUMMARY: &'static str = "puts a value of a list in the place of each value, by a key";
    const EXAMPLE: &'static str = "{ kind = \"substitute\", domain = \"org.name\", \
        values = [\"甲公司\", \"乙公司\", \"丙公司\", \"丁公司\"] }";
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "that of the longest value listed";
    const ENTITY: &'static str = "substitute";

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        let bytes: usize = self.values.iter().map(String::len).sum();
        Kernel {
            usual_bytes: bytes / self.values.len().max(1) + 1,
            values: self.values.clone(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        let refused = |what: String, hint: &str| {
            Err(Misfit::of_parameter("values", what).with_hint(hint.to_owned()))
        };
        if !(2..=VALUES_MAX).contains(&self.values.len()) {
            let what = format!("`values` lists {} values", self.values.len());
            return refused(
                what,
                "list 2 to 10,000; for a single one there is `constant`",
            );
        }
        let mut sorted: Vec<&str> = self.values.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
            let what = "`values` lists a value twice".to_owned();
            return refused(what, "list each once: all are equally likely");
        }
        if sorted.iter().any(|value| value.trim().is_empty()) {
            let what = "`values` lists an empty value".to_owned();
            return refused(what, "leave it out");
        }
        if sorted.iter().any(|value| value.len() > VALUE_BYTES_MAX) {
            let what = format!("a value of `values` is above its limit of {VALUE_BYTES_MAX} bytes");
            return refused(what, "shorten it");
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        false
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        subset(&self.values, &floor.values)
    }

    fn width(&self) -> Option<usize> {
        self.values.iter().map(String::len).max()
    }
}

#[derive(Debug)]
struct Kernel {
    values: Vec<String>,
    usual_bytes: usize,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let chosen = original.draw.below(0, self.values.len());
        let value = self.values.get(chosen).ok_or(Case::Invalid)?;
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        self.usual_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::surrogate::testing::{Field, alone, texts, treat_texts};
    use crate::testing::{misfit, spec};

    fn listed(values: &str, rest: &str) -> String {
        format!("{{ kind = 'substitute', domain = 'd', values = [{values}]{rest} }}")
    }

    #[test]
    fn values_of_the_list_are_equally_likely_and_equal_values_stay_equal() {
        let originals: Vec<String> = (0..4_000).map(|number| format!("单位{number}")).collect();
        let values: Vec<&str> = originals.iter().map(String::as_str).collect();
        let text = listed("'甲', '乙', '丙', '丁'", "");
        let written = alone(&text, "organisation-name", &values);
        assert_eq!(written, alone(&text, "organisation-name", &values));
        let mut counts = BTreeMap::new();
        for value in written.iter().flatten() {
            *counts.entry(value.as_str()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 4);
        assert!(
            counts.values().all(|count| (880..1_120).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_value_of_the_list_may_stay_itself() {
        // Were it never itself, a list of two would be a swap that anyone can undo.
        let values = ["男", "女"];
        let itself = (0..64).filter(|number| {
            let text = listed("'男', '女'", ", by = 'k'");
            let table: Vec<Field> = vec![
                ("sex", "gender", texts([Some(values[0])])),
                ("k", "other", texts([Some(number.to_string())])),
            ];
            treat_texts(&text, &table)[0].as_deref() == Some(values[0])
        });
        assert!((16..48).contains(&itself.count()));
    }

    #[test]
    fn the_field_by_decides_where_one_is_named() {
        let table: Vec<Field> = vec![
            (
                "name",
                "other",
                texts([Some("a"), Some("b"), Some("a"), Some("c")]),
            ),
            ("k", "other", texts([Some("1"), Some("1"), Some("1"), None])),
        ];
        let many: Vec<String> = (0..500).map(|number| format!("'v{number}'")).collect();
        let written = treat_texts(&listed(&many.join(", "), ", by = 'k'"), &table);
        assert!(written[0] == written[1] && written[0] == written[2]);
        assert_eq!(written[3].as_deref(), Some("*"), "nothing decides");
    }

    #[test]
    fn lists_that_decide_nothing_are_refused() {
        for values in ["", "'甲'", "'甲', '乙', '甲'", "'甲', ' '"] {
            assert_eq!(
                misfit(&listed(values, "")).parameter,
                Some("values"),
                "{values}"
            );
        }
        let long = format!("'甲', '{}'", "x".repeat(VALUE_BYTES_MAX + 1));
        assert_eq!(misfit(&listed(&long, "")).parameter, Some("values"));
    }

    #[test]
    fn a_floor_is_met_by_part_of_its_list() {
        let of = |values: &str| spec(&listed(values, ""));
        let floor = of("'甲', '乙', '丙'");
        assert!(of("'丙', '甲'").meets(&floor) && floor.meets(&floor));
        assert!(!of("'甲', '丁'").meets(&floor));
        assert!(!spec(&listed("'甲', '乙'", ", by = 'k'")).meets(&floor));
    }

    proptest! {
        #[test]
        fn nothing_but_the_list_is_delivered(value in "\\PC{1,12}", size in 2_usize..40) {
            let list: Vec<String> = (0..size).map(|number| format!("'v{number}'")).collect();
            let text = listed(&list.join(", "), "");
            let written = alone(&text, "other", &[&value]).remove(0).unwrap();
            let empty = value.trim().is_empty();
            prop_assert!(empty || list.contains(&format!("'{written}'")), "{}", written);
        }
    }
}
