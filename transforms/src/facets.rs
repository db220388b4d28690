//! Facets of one person or organisation, and which of them can't agree.
//!
//! Every facet of a person that doesn't exist is read from one draw, so that name, sex, birth date,
//! number and division fit together. What is kept of the original is not drawn: facets fit only if
//! all of them keep the same of it.

use crate::key::KeyUse;
use crate::spec::TreatmentSpec;

/// What one treatment writes of a drawn person or organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet<'a> {
    /// What is drawn: `person`, `organisation`.
    pub entity: &'static str,
    /// The key it is drawn under.
    pub key: KeyUse,
    /// The field that tells whose facet it is; absent for the treated field itself.
    pub by: Option<&'a str>,
    /// What it shows that other facets show too.
    pub facts: Vec<Fact<'a>>,
}

/// What a facet shows of a person, or follows: `division`, `sex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact<'a> {
    /// The fact.
    pub what: &'static str,
    /// How much of it is kept; absent where it is drawn.
    pub kept: Option<&'static str>,
    /// The field that a kept part is read from; absent for the treated field itself.
    pub from: Option<&'a str>,
}

impl Fact<'_> {
    /// What is shown in `field`, in words.
    fn said(&self, field: &str) -> String {
        let from = self.from.unwrap_or(field);
        match self.kept {
            None => format!("a drawn {}", self.what),
            Some(part) if part == self.what => format!("the {part} of field `{from}`"),
            Some(part) => format!(
                "the {} of field `{from}`, of which it keeps {part}",
                self.what
            ),
        }
    }
}

/// Two facets that can't agree, or may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field of the later of them.
    pub field: String,
    /// About what, and the remedy.
    pub what: String,
}

/// The facets among these fields that keep something else than the first facet of the same person or
/// organisation that shows it too, or read it from another field.
pub fn differences(fields: &[(&str, &TreatmentSpec)]) -> Vec<Difference> {
    let mut seen: Vec<(&str, Facet<'_>)> = Vec::new();
    let mut found = Vec::new();
    for (field, treatment) in fields {
        for facet in treatment.facets() {
            for fact in &facet.facts {
                let first = seen.iter().find_map(|(other, of)| {
                    let is_same = *other != *field && is_of_one((field, &facet), (other, of));
                    let facts = of.facts.iter().filter(|_| is_same);
                    let same = facts.into_iter().find(|own| own.what == fact.what);
                    same.map(|own| (*other, own))
                });
                let what = first.and_then(|other| difference((field, fact), other, facet.entity));
                found.extend(what.map(|what| Difference {
                    field: (*field).to_owned(),
                    what,
                }));
            }
            seen.push((field, facet));
        }
    }
    found
}

/// Whether two facets are of the same persons.
fn is_of_one((field, one): (&str, &Facet<'_>), (other_field, other): (&str, &Facet<'_>)) -> bool {
    one.entity == other.entity
        && one.key == other.key
        && one.by.unwrap_or(field) == other.by.unwrap_or(other_field)
}

/// Why two facets of one entity don't agree about a fact; none where they do.
fn difference(
    (field, fact): (&str, &Fact<'_>),
    (other_field, other): (&str, &Fact<'_>),
    entity: &str,
) -> Option<String> {
    let remedy = if fact.kept != other.kept {
        "they won't agree; keep the same of both, read from the same field"
    } else if fact.kept.is_some() && fact.from.unwrap_or(field) != other.from.unwrap_or(other_field)
    {
        "they agree only where both fields say the same; read it from one"
    } else {
        return None;
    };
    Some(format!(
        "it shows {}, and `{other_field}`, of the same {entity}, {}: {remedy}",
        fact.said(field),
        other.said(other_field)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;

    /// The fields that are said to differ from another.
    fn differing(fields: &[(&str, &str)]) -> Vec<(String, bool)> {
        let specs: Vec<_> = fields
            .iter()
            .map(|(name, text)| (*name, spec(text)))
            .collect();
        let fields: Vec<_> = specs.iter().map(|(name, spec)| (*name, spec)).collect();
        let found = differences(&fields).into_iter();
        found
            .map(|own| (own.field, own.what.contains("won't")))
            .collect()
    }

    fn facet(kind: &str, rest: &str) -> String {
        format!("{{ kind = 'fake-{kind}', domain = 'd', by = 'person_id'{rest} }}")
    }

    #[test]
    fn facets_that_keep_the_same_of_the_same_fields_agree() {
        let kept = ", keep = ['city', 'birth-year'], region = 'person_id', birth = 'person_id'";
        let id = "{ kind = 'fake-id', domain = 'd', keep = ['birth-year', 'city', 'sex'] }";
        let fields = [
            ("person_id", id.to_owned()),
            ("name", facet("name", ", keep = ['sex'], sex = 'person_id'")),
            ("birth", facet("birth-date", kept)),
            ("age", facet("age", &format!("{kept}, as_of = 2026-01-01"))),
            ("region", facet("region", kept)),
            ("home", facet("address", kept)),
            ("phone", facet("phone", ", keep = ['carrier']")),
            ("email", facet("email", "")),
        ];
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        assert_eq!(differing(&fields), []);
    }

    #[test]
    fn facets_that_keep_different_parts_differ() {
        let id = "{ kind = 'fake-id', domain = 'd', keep = ['province', 'sex'] }";
        let region = |rest: &str| facet("region", rest);
        let of = |name: &'static str, text: &str| differing(&[("person_id", id), (name, text)]);
        let differs = |name: &str| vec![(name.to_owned(), true)];
        assert_eq!(of("region", &region("")), differs("region"));
        let city = region(", keep = ['city'], region = 'person_id'");
        assert_eq!(of("region", &city), differs("region"));
        let own = region(", keep = ['province']");
        assert_eq!(of("region", &own), [("region".to_owned(), false)]);
        assert_eq!(of("sex", &facet("sex", "")), differs("sex"));
        assert_eq!(of("birth", &facet("birth-date", "")), differs("birth"));
        // Other persons, and what no other facet shows.
        let other = region("").replace("'d'", "'e'");
        assert_eq!(of("region", &other), []);
        assert_eq!(of("email", &facet("email", "")), []);
        let name = facet("name", ", keep = ['length']");
        let email = facet("email", "");
        let names = [("name", name.as_str()), ("email", email.as_str())];
        assert_eq!(differing(&names), differs("email"));
        let wrapped = format!(
            "{{ kind = 'when', condition = 'a = 1', then = {}, else = {{ kind = 'null' }} }}",
            region("")
        );
        assert_eq!(of("region", &wrapped), differs("region"));
    }

    #[test]
    fn a_difference_says_about_what_and_the_remedy() {
        let id = spec("{ kind = 'fake-id', domain = 'd', keep = ['city'] }");
        let region = spec(&facet("region", ""));
        let found = differences(&[("person_id", &id), ("region", &region)]);
        let said: Vec<&str> = found.iter().map(|own| own.what.as_str()).collect();
        let expected = "it shows a drawn division, and `person_id`, of the same person, the division of \
                        field `person_id`, of which it keeps city: they won't agree; keep the same of \
                        both, read from the same field";
        assert_eq!(said, [expected]);
    }
}
