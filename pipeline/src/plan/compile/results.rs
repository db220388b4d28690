//! What a recipient can rely on of the delivered fields, and whether the dataset's key is still one.
//!
//! Known from the treatments alone, before any data is read. A key that treatments make ambiguous is
//! no reason to refuse, because less is released and not more; but joins over it would be wrong, so
//! it is said. So are pseudonyms of one domain that are as wide as no other's, treatments that have
//! results for fewer values than the catalogue or the quota lets come, and results that are wider than
//! what they are delivered in.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use lockgate_connectors::format::write::XLSX_TEXT_MAX;
use lockgate_transforms::marks::tag::{TagForm, TagRoom};
use lockgate_transforms::{Options, Uniqueness};

use super::Subject;
use super::fields::{Resolved, domain_size};
use crate::plan::{PlannedField, Results, Warning};
use crate::site::FieldType;
use crate::site::dataset::Constraint;
use crate::site::grant::DeliveryFormat;

/// Rows assumed where the quota sets no limit.
const ROWS_ASSUMED: u64 = 1_000_000_000;

/// Collisions of a key are warned about where the odds of a single one are worse than one in this.
const ODDS: u128 = 1_000_000;

/// How many different values of a field there may be.
#[derive(Clone, Copy)]
struct Expected {
    values: u64,
    /// Whether catalogue or quota say so.
    declared: bool,
    why: &'static str,
}

impl Expected {
    /// By what the quota allows and the field can have.
    fn new(rows: Option<u64>, size: Option<u64>) -> Self {
        let (values, declared, why) = match (rows, size) {
            (rows, Some(size)) if size <= rows.unwrap_or(ROWS_ASSUMED) => {
                (size, true, "as many as the field can have")
            }
            (Some(rows), _) => (rows, true, "as many rows as the quota allows"),
            (None, _) => (ROWS_ASSUMED, false, "as no quota limits the rows"),
        };
        Self {
            values,
            declared,
            why,
        }
    }
}

/// What can be relied on, by field, and warnings: `key-not-unique` for every field of the dataset's
/// key whose results don't tell rows apart, and for one declared unique if a mark is why,
/// `too-few-results` where there are more values than results, `too-wide` where a result may not fit into a
/// cell of the delivery, `forms-differ` where the results of one domain can't equal each other.
pub(super) fn check(
    subject: &Subject<'_>,
    resolved: &Resolved,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<String, Results> {
    let rows = subject.grant.quota.rows;
    let mut found = BTreeMap::new();
    for field in &resolved.fields {
        let size = subject.dataset.field(&field.name).and_then(domain_size);
        let expected = Expected::new(rows, size);
        let Some(results) = results(field, expected.values) else {
            continue;
        };
        if let Some(what) = too_few(field, expected) {
            warnings.push(Warning {
                code: "too-few-results",
                field: Some(field.name.clone()),
                what,
            });
        }
        if subject.grant.delivery.format == DeliveryFormat::Xlsx
            && let Some(what) = too_wide(field, &results)
        {
            warnings.push(Warning {
                code: "too-wide",
                field: Some(field.name.clone()),
                what,
            });
        }
        if let Some(role) = keeps_apart(subject, field)
            && let Some(why) = ambiguous(field, &results, expected)
        {
            warnings.push(Warning {
                code: "key-not-unique",
                field: Some(field.name.clone()),
                what: format!("it {role}, and {why}"),
            });
        }
        found.insert(field.name.clone(), results);
    }
    warn_of_forms(&resolved.fields, warnings);
    found
}

/// What a field is that has to tell rows apart in the delivery, too: part of the dataset's key; or declared
/// unique, where what is left of its values would, but for the digits that a mark takes.
fn keeps_apart(subject: &Subject<'_>, field: &PlannedField) -> Option<&'static str> {
    if subject.dataset.key.contains(&field.name) {
        return Some("is part of the dataset's key");
    }
    let declared = subject.dataset.field(&field.name);
    let is_unique = declared.is_some_and(|own| own.constraint == Some(Constraint::Unique));
    let tag = field.treatment.treatment().tag();
    let takes_digits = tag.is_some_and(|tag| matches!(tag.form, TagForm::Id(_)));
    (is_unique && takes_digits).then_some("is declared unique, and its tag takes digits")
}

/// Why a treatment may run out of results, with the remedy.
fn too_few(field: &PlannedField, expected: Expected) -> Option<String> {
    let room = field.treatment.treatment().room()?;
    let Expected { values, why, .. } = expected;
    (expected.declared && u128::from(values) > room).then(|| {
        let treatment = field.treatment.summary();
        format!(
            "{treatment} has results for {room} different values, and there may be {values} ({why}); \
             give it a longer or wider form, or state a smaller `domain_size` or quota"
        )
    })
}

/// Why a result may be longer than a cell of a workbook, with the remedy: such a value fails the run,
/// once it comes. Where no width is declared, that is for the values to tell.
fn too_wide(field: &PlannedField, results: &Results) -> Option<String> {
    let bytes = results.width?.bytes;
    let output = FieldType::parse(&field.data_type).ok()?.to_arrow();
    // Binary is written in base64. No text has more characters than bytes.
    let characters = match output == DataType::Binary {
        true => bytes.div_ceil(3).saturating_mul(4),
        false => bytes,
    };
    (characters > XLSX_TEXT_MAX).then(|| {
        // What is so long is a literal, which its summary may quote.
        let kind = field.treatment.kind();
        format!(
            "results of `{kind}` may have up to {characters} characters, as far as their bytes tell, and \
             a cell of xlsx holds {XLSX_TEXT_MAX}; of a longer one the run fails; deliver another format, \
             or write shorter results"
        )
    })
}

/// Pseudonyms of one domain are meant to join. Where their declared types, widths or tags differ, not one
/// result of a field equals one of the other.
fn warn_of_forms(fields: &[PlannedField], warnings: &mut Vec<Warning>) {
    for (place, field) in fields.iter().enumerate() {
        let Some(form) = Form::of(field) else {
            continue;
        };
        let earlier = fields.iter().take(place);
        let other = earlier
            .filter(|other| other.category == field.category)
            .filter(|other| other.treatment.key_uses() == field.treatment.key_uses())
            .filter(|other| other.treatment.kind() == field.treatment.kind())
            .find(|other| Form::of(other).is_some_and(|other| other.is_apart_from(&form)));
        if let Some(other) = other {
            let (one, two) = (other.treatment.summary(), field.treatment.summary());
            warnings.push(Warning {
                code: "forms-differ",
                field: Some(field.name.clone()),
                what: format!(
                    "it has the key of field `{}` and never its results, because {two} and {one} give \
                     them other forms; write both alike, or name another domain",
                    other.name
                ),
            });
        }
    }
}

/// What every result of a pseudonym is like.
struct Form<'a> {
    source_type: &'a str,
    data_type: &'a str,
    bytes: usize,
    tag: Option<TagRoom>,
}

impl<'a> Form<'a> {
    /// None for results that join nothing, for those that follow the value, and for facets, which
    /// differ by what they show of a person.
    fn of(field: &'a PlannedField) -> Option<Self> {
        let treatment = field.treatment.treatment();
        let joins = match treatment.uniqueness() {
            Uniqueness::Bijective | Uniqueness::Probabilistic { .. } => true,
            Uniqueness::Lossy | Uniqueness::Randomised => false,
        };
        if !joins || treatment.facet().is_some() || treatment.key_uses().is_empty() {
            return None;
        }
        let source = FieldType::parse(&field.source_type).ok()?.to_arrow();
        // What sentinels and covers are like tells nothing of the rest.
        let width = treatment.width_with(&source, &Options::default())?;
        Some(Self {
            source_type: &field.source_type,
            data_type: &field.data_type,
            bytes: width.bytes,
            tag: treatment.tag(),
        })
    }

    /// Whether no result of one is a result of the other, as far as types, widths and tags tell.
    fn is_apart_from(&self, other: &Self) -> bool {
        self.source_type == other.source_type
            && (self.data_type != other.data_type
                || self.bytes != other.bytes
                || self.tag != other.tag)
    }
}

/// `None` if a type can't be read, which is a problem of the catalogue.
fn results(field: &PlannedField, rows: u64) -> Option<Results> {
    let source = FieldType::parse(&field.source_type).ok()?.to_arrow();
    let output = FieldType::parse(&field.data_type).ok()?.to_arrow();
    let uniqueness = field.treatment.uniqueness(&source);
    let collisions = match uniqueness {
        Uniqueness::Probabilistic { bits } => Some(collisions(bits, rows)),
        Uniqueness::Bijective | Uniqueness::Lossy | Uniqueness::Randomised => None,
    };
    Some(Results {
        uniqueness,
        collisions,
        width: field.treatment.width(&source, &output),
    })
}

/// Why the results of a key's field don't tell rows apart, with the remedy; `None` if they do.
fn ambiguous(field: &PlannedField, results: &Results, expected: Expected) -> Option<String> {
    let treatment = field.treatment.summary();
    match results.uniqueness {
        Uniqueness::Bijective => None,
        Uniqueness::Probabilistic { bits } => {
            let odds = pairs(expected.values).saturating_mul(ODDS);
            (odds > values(bits)).then(|| {
                let (bound, why) = (collisions(bits, expected.values), expected.why);
                format!(
                    "{treatment} may give two values one result: {bound} ({why}); use more bits"
                )
            })
        }
        Uniqueness::Lossy => {
            let own = field.treatment.treatment().uniqueness();
            Some(match own {
                Uniqueness::Bijective | Uniqueness::Probabilistic { .. } => format!(
                    "the options of {treatment} give malformed values one result, or keep sentinels \
                     that may equal another's; write on_short and on_invalid as \"reject\" or \
                     \"fail\", and no sentinels"
                ),
                Uniqueness::Lossy | Uniqueness::Randomised => format!(
                    "{treatment} may give any number of values one result; a pseudonym would keep \
                     them apart"
                ),
            })
        }
        Uniqueness::Randomised => Some(format!(
            "{treatment} gives one value another result every time, so that nothing joins by it"
        )),
    }
}

/// How many pairs there are of so many values.
fn pairs(values: u64) -> u128 {
    let values = u128::from(values);
    values * values.saturating_sub(1) / 2
}

/// How many values so many bits have, as far as that can be counted.
fn values(bits: u32) -> u128 {
    1_u128.checked_shl(bits).unwrap_or(u128::MAX)
}

/// How often different values meet among `rows`, at most, in words.
fn collisions(bits: u32, rows: u64) -> String {
    let (pairs, values) = (pairs(rows).max(1), values(bits));
    match pairs.checked_div(values) {
        Some(expected) if expected > 0 => {
            format!("among {rows} different values, about {expected} pairs are expected to meet")
        }
        _ => format!(
            "among {rows} different values, the odds that any two meet are at most 1 in {}",
            values / pairs
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::test_site::TestSite;

    /// Warnings about the key `id` with this treatment, where the quota allows so many rows.
    fn warned(treatment: &str, quota: &str) -> Option<String> {
        let site = TestSite::new();
        site.catalogue("modes =", "key = [\"id\"]\nmodes =");
        site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", treatment);
        if !quota.is_empty() {
            site.grant("purpose =", &format!("{quota}\npurpose ="));
        }
        let compiled = site.compile();
        let mut found = compiled
            .warnings()
            .iter()
            .filter(|warning| warning.code == "key-not-unique");
        let warning = found.next()?;
        assert!(found.next().is_none(), "{warning:?}");
        assert_eq!(warning.field.as_deref(), Some("id"));
        Some(warning.what.clone())
    }

    #[test]
    fn a_key_that_treatments_make_ambiguous_is_warned_of_before_any_data_is_read() {
        let masked = warned("{ kind = \"keep-ends\", first = 3, last = 2 }", "");
        assert!(masked.unwrap().contains("any number of values"));
        let random = warned("{ kind = \"encrypt-rand\", domain = \"d\" }", "");
        assert!(random.unwrap().contains("every time"));
        let permuted = "{ kind = \"structured-id\", of = \"resident-id\", domain = \"d\" }";
        assert!(warned(permuted, "").unwrap().contains("on_invalid"));
        let strict = permuted.replace(" }", ", on_invalid = \"reject\" }");
        assert_eq!(warned(&strict, ""), None);
        assert_eq!(warned("{ kind = \"hmac\", domain = \"d\" }", ""), None);
    }

    #[test]
    fn a_shortened_pseudonym_suffices_for_as_many_rows_as_the_quota_allows() {
        let short = "{ kind = \"hmac\", domain = \"d\", length = 20 }";
        assert_eq!(warned(short, ""), None);
        assert_eq!(warned(short, "quota = { rows = 1000000 }"), None);
        let many = warned(short, "quota = { rows = 100000000000 }").unwrap();
        assert!(many.contains("1 in 241"), "{many}");
        assert!(many.contains("quota"), "{many}");
    }

    #[test]
    fn a_tag_in_identifiers_that_are_declared_unique_is_warned_of_and_a_mask_is_not() {
        let warnings = |treatment: &str| {
            let site = TestSite::new();
            let declared = "category = \"resident-id\", level = 3";
            site.catalogue(declared, &format!("{declared}, constraint = \"unique\""));
            site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", treatment);
            coded("key-not-unique", &site)
        };
        let permuted = "{ kind = \"structured-id\", of = \"resident-id\", domain = \"d\", \
                        on_invalid = \"reject\" }";
        let tagged = warnings(&permuted.replace(" }", ", tag = 2 }"));
        assert_eq!(tagged.len(), 1, "{tagged:?}");
        assert!(
            tagged[0].0 == "id" && tagged[0].1.contains("declared unique"),
            "{tagged:?}"
        );
        assert_eq!(warnings(permuted), []);
        assert_eq!(
            warnings("{ kind = \"keep-ends\", first = 1, last = 1 }"),
            []
        );
    }

    /// Warnings of that code, by field, of a grant of the fields `id` and `name`.
    fn coded(code: &str, site: &TestSite) -> Vec<(String, String)> {
        let compiled = site.compile();
        let found = compiled
            .warnings()
            .iter()
            .filter(|warning| warning.code == code);
        found
            .map(|warning| {
                (
                    warning.field.clone().unwrap_or_default(),
                    warning.what.clone(),
                )
            })
            .collect()
    }

    #[test]
    fn more_values_than_results_are_warned_of_before_any_data_is_read() {
        let tokens = |length: u32, quota: &str| {
            let site = TestSite::new();
            let rule = format!(
                "{{ kind = \"tokenize\", domain = \"d\", alphabet = \"digits\", length = {length} }}"
            );
            site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", &rule);
            if !quota.is_empty() {
                site.grant("purpose =", &format!("{quota}\npurpose ="));
            }
            coded("too-few-results", &site)
        };
        // Half of the tokens of seven digits, of which the first isn't 0, are given, and no more.
        let few = tokens(7, "quota = { rows = 4500001 }");
        assert_eq!(few.len(), 1, "{few:?}");
        assert!(few[0].0 == "id" && few[0].1.contains("4500000"), "{few:?}");
        assert_eq!(tokens(7, "quota = { rows = 4500000 }"), []);
        assert_eq!(tokens(8, "quota = { rows = 4500001 }"), []);
        assert_eq!(tokens(7, ""), [], "nothing says how many rows there are");
    }

    #[test]
    fn results_wider_than_a_cell_of_a_workbook_are_warned_of_before_any_data_is_read() {
        let of = |format: &str, characters: usize| {
            let site = TestSite::new();
            let text = "x".repeat(characters);
            let constant = format!("{{ kind = \"constant\", value = \"{text}\" }}");
            site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", &constant);
            let delivery = format!("[delivery]\nformat = \"{format}\"");
            site.grant("[delivery]", &delivery);
            coded("too-wide", &site)
        };
        let wide = of("xlsx", XLSX_TEXT_MAX + 1);
        assert_eq!(wide.len(), 1, "{wide:?}");
        assert!(
            wide[0].0 == "id" && wide[0].1.contains("32768 characters"),
            "{wide:?}"
        );
        assert_eq!(of("xlsx", XLSX_TEXT_MAX), []);
        assert_eq!(of("csv", XLSX_TEXT_MAX + 1), []);
    }

    #[test]
    fn as_many_values_are_expected_as_the_field_can_have_and_the_quota_allows() {
        let expected = |rows, size| Expected::new(rows, size).values;
        assert_eq!(expected(None, None), ROWS_ASSUMED);
        assert_eq!(expected(Some(10), Some(5)), 5);
        assert_eq!(expected(Some(10), Some(50)), 10);
        assert_eq!(expected(None, Some(50)), 50);
        assert_eq!(expected(None, Some(u64::MAX)), ROWS_ASSUMED);
    }

    #[test]
    fn results_of_one_domain_in_two_forms_are_warned_of() {
        let of = |own: &str| {
            let site = TestSite::new();
            let domain = "{ kind = \"hmac\", domain = \"d\" }";
            site.catalogue("category = \"person-name\"", "category = \"resident-id\"");
            site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", domain);
            site.grant(
                "purpose =",
                &format!("treatments = {{ name = {own} }}\npurpose ="),
            );
            coded("forms-differ", &site)
        };
        let short = "{ kind = \"hmac\", domain = \"d\", length = 20 }";
        let differing = of(short);
        assert_eq!(differing.len(), 1, "{differing:?}");
        assert!(
            differing[0].0 == "name" && differing[0].1.contains("`id`"),
            "{differing:?}"
        );
        assert_eq!(
            of("{ kind = \"hmac\", domain = \"d\", on_empty = \"null\" }"),
            []
        );
        assert_eq!(of("{ kind = \"hmac\", domain = \"e\", length = 20 }"), []);
    }

    #[test]
    fn collisions_are_told_as_odds_or_as_pairs() {
        assert!(collisions(256, 1_000_000_000).contains("1 in 680"));
        assert!(collisions(20, 1_000_000).contains("476836 pairs"));
        assert!(collisions(80, 1).contains("1 in 1208925819614629174706176"));
        assert!(collisions(0, u64::MAX).contains("pairs"));
    }

    #[test]
    fn what_can_be_relied_on_is_known_of_every_field() {
        let site = TestSite::new();
        let pseudonym = "{ kind = \"hmac\", domain = \"d\", on_empty = \"null\" }";
        site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", pseudonym);
        let compiled = site.compile();
        let of = |name: &str| compiled.results().get(name).unwrap();
        let width = of("id").width.unwrap();
        assert_eq!((width.bytes, width.strict), (64, true));
        assert!(of("id").collisions.as_ref().unwrap().contains("1 in"));
        assert_eq!(of("name").uniqueness, Uniqueness::Lossy);
        assert_eq!(of("region").uniqueness, Uniqueness::Bijective);
        assert!(compiled.warnings().is_empty());
    }
}
