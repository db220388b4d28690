//! What a recipient can rely on of the delivered fields, and whether the dataset's key is still one.
//!
//! Known from the treatments alone, before any data is read. A key that treatments make ambiguous is
//! no reason to refuse, because less is released and not more; but joins over it would be wrong, so
//! it is said.

use std::collections::BTreeMap;

use lockgate_transforms::Uniqueness;

use super::Subject;
use super::fields::Resolved;
use crate::plan::{PlannedField, Results, Warning};
use crate::site::FieldType;

/// Rows assumed where the quota sets no limit.
const ROWS_ASSUMED: u64 = 1_000_000_000;

/// Collisions of a key are warned about where the odds of a single one are worse than one in this.
const ODDS: u128 = 1_000_000;

/// What can be relied on, by field, and a warning (`key-not-unique`) for every field of the
/// dataset's key whose results don't tell rows apart.
pub(super) fn check(
    subject: &Subject<'_>,
    resolved: &Resolved,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<String, Results> {
    let rows = subject.grant.quota.rows;
    let mut found = BTreeMap::new();
    for field in &resolved.fields {
        let Some(results) = results(field, rows.unwrap_or(ROWS_ASSUMED)) else {
            continue;
        };
        if subject.dataset.key.contains(&field.name)
            && let Some(why) = ambiguous(field, &results, rows)
        {
            warnings.push(Warning {
                code: "key-not-unique",
                field: Some(field.name.clone()),
                what: format!("it is part of the dataset's key, and {why}"),
            });
        }
        found.insert(field.name.clone(), results);
    }
    found
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
fn ambiguous(field: &PlannedField, results: &Results, rows: Option<u64>) -> Option<String> {
    let treatment = field.treatment.summary();
    match results.uniqueness {
        Uniqueness::Bijective => None,
        Uniqueness::Probabilistic { bits } => {
            let assumed = rows.unwrap_or(ROWS_ASSUMED);
            let odds = pairs(assumed).saturating_mul(ODDS);
            let said = match rows {
                Some(_) => "as many rows as the quota allows",
                None => "as no quota limits the rows",
            };
            (odds > values(bits)).then(|| {
                let bound = collisions(bits, assumed);
                format!(
                    "{treatment} may give two values one result: {bound} ({said}); use more bits"
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
