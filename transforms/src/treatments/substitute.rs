//! `substitute`: a value of a list in the place of each value, chosen under a key.

mod by;
mod values;

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

pub use by::By;
pub use values::{ValueFile, ValueLines, Values};

/// Most values of a list: what one configuration file can reasonably say and an approver read.
const VALUES_MAX: usize = 10_000;

/// Most values of a file.
const FILE_VALUES_MAX: usize = 100_000;

/// Most bytes of a value of a list.
const VALUE_BYTES_MAX: usize = 1_000;

/// Puts a value of a list in the place of each value: the same for the same value under one key, or
/// for the same values of the fields that `by` names.
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
    /// The field that decides, read from the original row, or several that decide together
    /// (`["province", "branch"]`), in an order that matters; absent means the value itself. A row
    /// where one of them is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// The list, 2 to 10,000 values, none twice. Each is as likely as any other; another order or
    /// length is another choice. Or the file they stand in, one a line in UTF-8, at most 100,000 and
    /// 1 MiB: `{ file = "lists/NAME.txt" }`, in the folder `lists/` of the site. The file is read
    /// whenever the site is; approved, and named in manifests, is the SHA-256 of its content, so that
    /// another content needs another approval; `sha256` may pin it.
    pub values: Values,
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
        let by = self.by.as_ref().map(By::fields).unwrap_or_default();
        Linkage::of_fields(&self.domain, &self.join, by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        let values = self.list();
        let bytes: usize = values.iter().map(String::len).sum();
        Kernel {
            usual_bytes: bytes / values.len().max(1) + 1,
            values: values.to_vec(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        self.by.as_ref().map_or(Ok(()), By::check)?;
        let refused = |what: String, hint: &str| {
            Err(Misfit::of_parameter("values", what).with_hint(hint.to_owned()))
        };
        let values = match self.values.list() {
            Ok(values) => values,
            Err(why) => {
                let hint = "put a file of UTF-8 text, one value a line, into the folder lists/ of \
                            the site";
                return refused(why, hint);
            }
        };
        let most = match self.values.file() {
            Some(_) => FILE_VALUES_MAX,
            None => VALUES_MAX,
        };
        if !(2..=most).contains(&values.len()) {
            let what = format!("`values` lists {} values", values.len());
            let hint = format!("list 2 to {most}; for a single one there is `constant`");
            return refused(what, &hint);
        }
        let mut sorted: Vec<&str> = values.iter().map(String::as_str).collect();
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
        // An approval that was read back knows a file by its content's hash alone.
        self.values == floor.values && self.values.file().is_some()
            || match (self.values.list(), floor.values.list()) {
                (Ok(own), Ok(floor)) => {
                    // Lists may have a hundred thousand values.
                    let floor: HashSet<&String> = floor.iter().collect();
                    own.iter().all(|value| floor.contains(value))
                }
                _ => false,
            }
    }

    fn width(&self) -> Option<usize> {
        self.list().iter().map(String::len).max()
    }
}

impl Substitute {
    /// The values; none where there is a reason to refuse them.
    fn list(&self) -> &[String] {
        self.values.list().unwrap_or_default()
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
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use arrow::datatypes::DataType;
    use proptest::prelude::*;

    use super::*;
    use crate::TreatmentSpec;
    use crate::surrogate::testing::{Field, alone, texts, treat_texts};
    use crate::testing::{key, misfit, spec, try_spec};

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
    fn several_fields_decide_together() {
        let column =
            |values: [Option<&str>; 5]| texts(values.map(|value| value.map(str::to_owned)));
        let table: Vec<Field> = vec![
            (
                "name",
                "other",
                column([Some("a"), Some("b"), Some("c"), Some("d"), Some("e")]),
            ),
            (
                "one",
                "other",
                column([Some("1"), Some("1"), Some("12"), Some("1"), Some(" ")]),
            ),
            (
                "two",
                "other",
                column([Some("23"), Some("23"), Some("3"), None, Some("1")]),
            ),
        ];
        let many: Vec<String> = (0..500).map(|number| format!("'v{number}'")).collect();
        let treated = |by: &str| treat_texts(&listed(&many.join(", "), by), &table);
        let both = treated(", by = ['one', 'two']");
        assert_eq!(both[0], both[1]);
        assert_ne!(
            both[0], both[2],
            "where one ends and the other begins matters"
        );
        for row in [3, 4] {
            assert_eq!(both[row].as_deref(), Some("*"), "nothing decides");
        }
        assert_ne!(treated(", by = ['two', 'one']")[0], both[0]);
        // One that stands in a list is one.
        let one = spec(&listed("'甲', '乙'", ", by = 'one'"));
        assert_eq!(spec(&listed("'甲', '乙'", ", by = ['one']")), one);
        assert_eq!(treated(", by = ['one']"), treated(", by = 'one'"));
        assert_eq!(one.keyed_fields(), [["one"]]);
        let two = spec(&listed("'甲', '乙'", ", by = ['one', 'two']"));
        assert_eq!(two.keyed_fields(), [["one", "two"]]);
        assert!(two.meets(&two) && !two.meets(&one) && !one.meets(&two));
        let written = serde_json::to_string(&two).unwrap();
        assert!(written.contains(r#""by":["one","two"]"#), "{written}");
        let written = serde_json::to_string(&one).unwrap();
        assert!(
            written.contains(r#""by":"one""#),
            "as it was written before: {written}"
        );
        for wrong in ["[]", "['one', 'one']"] {
            let text = listed("'甲', '乙'", &format!(", by = {wrong}"));
            assert_eq!(misfit(&text).parameter, Some("by"), "{wrong}");
        }
        assert!(try_spec(&listed("'甲', '乙'", ", by = 7")).is_err());
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

    fn of_file(content: &str, rest: &str) -> TreatmentSpec {
        let text = format!(
            "{{ kind = 'substitute', domain = 'd', values = {{ file = 'lists/names.txt'{rest} }} }}"
        );
        let spec = spec(&text);
        for file in spec.value_files() {
            assert_eq!(file.path(), "lists/names.txt");
            file.set(ValueLines::of(content.as_bytes()).ok_or_else(String::new));
        }
        spec
    }

    fn column() -> Column<'static> {
        Column::alone("field", &DataType::Utf8, "other")
    }

    #[test]
    fn values_of_a_file_are_those_of_a_list() {
        let file = of_file("\u{feff}甲\r\n乙\n丙\n", "");
        let listed = spec(&listed("'甲', '乙', '丙'", ""));
        let array: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..50).map(|number| format!("单位{number}")),
        ));
        let treated = |spec: &TreatmentSpec| {
            let built = spec.build(column(), Some(&key())).unwrap();
            built.apply(&array).unwrap().array
        };
        assert_eq!(&treated(&file), &treated(&listed));
        assert!(file.meets(&listed) && listed.meets(&file));
    }

    #[test]
    fn what_is_approved_of_a_file_is_its_content() {
        let file = of_file("甲\n乙\n丙\n", "");
        let written = serde_json::to_string(&file).unwrap();
        assert!(written.contains("\"sha256\":\""), "{written}");
        assert!(!written.contains('甲'));
        let approved: TreatmentSpec = serde_json::from_str(&written).unwrap();
        assert!(file.meets(&approved));
        assert_eq!(file, approved);
        let changed = of_file("甲\n乙\n丁\n", "");
        assert!(!changed.meets(&approved) && changed != approved);
        let fewer = of_file("甲\n乙\n", "");
        assert!(
            !fewer.meets(&approved),
            "what it holds is not known any more"
        );
        assert!(fewer.meets(&file));
    }

    #[test]
    fn a_file_that_is_absent_wrong_or_another_fits_nothing() {
        let unread =
            spec("{ kind = 'substitute', domain = 'd', values = { file = 'lists/a.txt' } }");
        let misfit = |spec: &TreatmentSpec| spec.output_type(column()).unwrap_err();
        assert!(misfit(&unread).what.contains("was not read"));
        unread.value_files()[0].set(Err("file `lists/a.txt` is not there".to_owned()));
        assert_eq!(misfit(&unread).what, "file `lists/a.txt` is not there");
        assert_eq!(misfit(&unread).parameter, Some("values"));
        for content in ["", "甲", "甲\n甲", "甲\n\n乙"] {
            assert_eq!(misfit(&of_file(content, "")).parameter, Some("values"));
        }
        let pinned = format!(", sha256 = '{}'", "0".repeat(64));
        assert!(misfit(&of_file("甲\n乙", &pinned)).what.contains("SHA-256"));
        assert!(ValueLines::of(&[b'a', b'\n', 0xE9]).is_none());
        for wrong in ["{ }", "{ path = 'a' }", "{ file = 7 }", "'lists/a.txt'"] {
            let text = format!("{{ kind = 'substitute', domain = 'd', values = {wrong} }}");
            assert!(try_spec(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn long_lists_are_compared_in_no_time() {
        let lines = |rest: &str| {
            let lines = (0..99_999).map(|number| format!("value {number}\n"));
            of_file(&(lines.collect::<String>() + rest), "")
        };
        let (own, floor) = (lines(""), lines("one more\n"));
        let begun = std::time::Instant::now();
        assert!(own.meets(&floor) && !floor.meets(&own));
        assert!(begun.elapsed().as_secs() < 10);
    }

    #[test]
    fn files_within_other_treatments_are_found() {
        let text = "{ kind = 'when', condition = 'a = 1', else = { kind = 'null' }, then = \
             { kind = 'substitute', domain = 'd', values = { file = 'lists/a.txt' } } }";
        assert_eq!(spec(text).value_files().len(), 1);
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
