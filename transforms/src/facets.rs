//! Facets of one person or organisation, and which of them can't agree.
//!
//! Every facet of a person that doesn't exist is read from one draw, so that name, sex, birth date,
//! number and division fit together. What is kept of the original is not drawn: facets fit only if
//! all of them keep the same of it.

use crate::key::KeyUse;
use crate::spec::{Strength, TreatmentSpec};

/// What a fact keeps that is neither drawn for a person nor kept of one: it fits no other.
pub(crate) const PERMUTED: &str = "a permuted part";

/// What one treatment writes of a person or organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet<'a> {
    /// What is drawn: `person`, `organisation`.
    pub entity: &'static str,
    /// The key it is drawn under; absent where the fact isn't drawn for the entity: what is kept of
    /// the original is of whoever that is, and what is permuted of no one.
    pub key: Option<KeyUse>,
    /// The field that tells whose facet it is; absent for the treated field itself.
    pub by: Option<&'a str>,
    /// The fact that it only follows, and doesn't show.
    pub follows: Option<&'static str>,
    /// What it shows that other facets show too, or follows.
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
            Some(PERMUTED) => format!("a permuted {}", self.what),
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

/// A delivered field, with what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Delivered<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its category.
    pub category: &'a str,
    /// Its treatment.
    pub treatment: &'a TreatmentSpec,
}

/// The facets among these fields that keep something else than the first facet of the same person or
/// organisation that shows it too, or read it from another field.
///
/// Fields that are delivered clear show what their category says of someone. A number says of whom
/// by itself; a sex or a birth date is taken for the persons' whose facets stand beside it, if those
/// are all of one.
pub fn differences(fields: &[Delivered<'_>]) -> Vec<Difference> {
    let person = only_person(fields);
    let mut seen: Vec<(&str, Facet<'_>)> = Vec::new();
    let mut found = Vec::new();
    for field in fields {
        let shown = shown_in_clear(field, person);
        for facet in field.treatment.facets().into_iter().chain(shown) {
            for fact in &facet.facts {
                let first = seen.iter().find_map(|(other, of)| {
                    let is_same =
                        *other != field.name && is_of_one((field.name, &facet), (other, of));
                    // What isn't drawn for the person contradicts only what shows.
                    let both_drawn = of.key.is_some() && facet.key.is_some();
                    let shows = |facet: &Facet<'_>| both_drawn || facet.follows != Some(fact.what);
                    let compares = is_same && shows(of) && shows(&facet);
                    let facts = of.facts.iter().filter(|_| compares);
                    let same = facts.into_iter().find(|own| own.what == fact.what);
                    same.map(|own| (*other, own))
                });
                let what =
                    first.and_then(|other| difference((field.name, fact), other, facet.entity));
                found.extend(what.map(|what| Difference {
                    field: field.name.to_owned(),
                    what,
                }));
            }
            seen.push((field.name, facet));
        }
    }
    found
}

/// Who the drawn facets of persons are of: the field of the key that all of them name.
fn only_person<'a>(fields: &[Delivered<'a>]) -> Option<&'a str> {
    let mut only = None;
    for field in fields {
        for facet in field.treatment.facets() {
            if facet.entity != "person" || facet.key.is_none() {
                continue;
            }
            let by = facet.by.unwrap_or(field.name);
            if only.is_some_and(|other| other != by) {
                return None;
            }
            only = Some(by);
        }
    }
    only
}

/// What a field that is delivered clear shows of a person or organisation.
fn shown_in_clear<'a>(field: &Delivered<'a>, person: Option<&'a str>) -> Option<Facet<'a>> {
    if field.treatment.strength() != Strength::CLEAR || field.treatment.kind() != "clear" {
        return None;
    }
    let fact = |what, kept| Fact {
        what,
        kept: Some(kept),
        from: None,
    };
    let of = |entity, by, facts| {
        Some(Facet {
            entity,
            key: None,
            by,
            follows: None,
            facts,
        })
    };
    match field.category {
        "resident-id" => {
            let facts = [
                ("sex", "sex"),
                ("birth year", "birth date"),
                ("division", "district"),
            ];
            of(
                "person",
                None,
                facts.map(|(what, kept)| fact(what, kept)).to_vec(),
            )
        }
        "credit-code" => {
            let facts = vec![fact("division", "district"), fact("form", "category")];
            of("organisation", None, facts)
        }
        _ => {
            let fact = match field.category {
                "gender" => fact("sex", "sex"),
                "birth-date" => fact("birth year", "birth date"),
                "birth-year" => fact("birth year", "birth year"),
                "age" => fact("birth year", "age"),
                "division-code" => fact("division", "district"),
                _ => return None,
            };
            of("person", Some(person?), vec![fact])
        }
    }
}

/// Whether two facets are of the same persons, and one of them at least was drawn for them: what the
/// source says of one person needs no warning.
fn is_of_one((field, one): (&str, &Facet<'_>), (other_field, other): (&str, &Facet<'_>)) -> bool {
    let same_key = match (&one.key, &other.key) {
        (Some(own), Some(theirs)) => own == theirs,
        (None, None) => false,
        (None, Some(_)) | (Some(_), None) => true,
    };
    same_key
        && one.entity == other.entity
        && one.by.unwrap_or(field) == other.by.unwrap_or(other_field)
}

/// Why two facets of one entity don't agree about a fact; none where they do.
fn difference(
    (field, fact): (&str, &Fact<'_>),
    (other_field, other): (&str, &Fact<'_>),
    entity: &str,
) -> Option<String> {
    let permuted = [fact, other].iter().any(|own| own.kept == Some(PERMUTED));
    let remedy = if permuted {
        "they won't agree; `fake-id` and its like write numbers that do"
    } else if fact.kept != other.kept {
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
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, text)| (*name, "other", *text))
            .collect();
        differing_of(&fields)
    }

    /// The same of fields with their categories.
    fn differing_of(fields: &[(&str, &str, &str)]) -> Vec<(String, bool)> {
        let specs = fields
            .iter()
            .map(|(name, category, text)| (*name, *category, spec(text)));
        let specs: Vec<_> = specs.collect();
        let fields: Vec<Delivered<'_>> = specs
            .iter()
            .map(|(name, category, treatment)| Delivered {
                name,
                category,
                treatment,
            })
            .collect();
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
    fn a_permuted_number_fits_no_drawn_facet_of_its_person() {
        let id = |keep: &str| {
            format!(
                "{{ kind = 'structured-id', of = 'resident-id', domain = 'p', keep = [{keep}] }}"
            )
        };
        let of = |keep: &str, name: &'static str, text: &str| {
            differing(&[("person_id", &id(keep)), (name, text)])
        };
        let differs = |name: &str| vec![(name.to_owned(), true)];
        assert_eq!(of("", "sex", &facet("sex", "")), differs("sex"));
        assert_eq!(of("", "name", &facet("name", "")), differs("name"));
        let kept = facet("name", ", keep = ['sex'], sex = 'person_id'");
        assert_eq!(of("", "name", &kept), differs("name"));
        assert_eq!(of("'sex'", "name", &kept), []);
        let region = facet("region", ", keep = ['city'], region = 'person_id'");
        assert_eq!(of("'region4'", "region", &region), differs("region"));
        let region = facet("region", ", keep = ['district'], region = 'person_id'");
        assert_eq!(of("'region6'", "region", &region), []);
        // Another person's, and what the number doesn't show.
        let spouse = facet("sex", "").replace("person_id", "spouse_id");
        assert_eq!(of("", "sex", &spouse), []);
        assert_eq!(of("", "phone", &facet("email", "")), []);
        let code = "{ kind = 'structured-id', of = 'credit-code', domain = 'o' }";
        let org = "{ kind = 'fake-org', domain = 'd', by = 'code' }";
        assert_eq!(differing(&[("code", code), ("org", org)])[0].0, "org");
    }

    #[test]
    fn what_is_delivered_clear_may_differ_from_what_is_drawn_beside_it() {
        let clear = "{ kind = 'clear' }";
        let name = facet("name", "");
        let sex = ("sex", "gender", clear);
        let beside = |text: &str| differing_of(&[sex, ("name", "person-name", text)]);
        assert_eq!(beside(&name), [("name".to_owned(), true)]);
        let turned = differing_of(&[("name", "person-name", &name), sex]);
        assert_eq!(turned, [("sex".to_owned(), true)]);
        let kept = facet("name", ", keep = ['sex'], sex = 'sex'");
        assert_eq!(beside(&kept), []);
        let elsewhere = facet("name", ", keep = ['sex'], sex = 'person_id'");
        assert_eq!(beside(&elsewhere), [("name".to_owned(), false)]);
        let id = "{ kind = 'fake-id', domain = 'd', keep = ['district', 'birth-year'] }";
        let clear_of = |field: &'static str, category: &'static str| {
            differing_of(&[("person_id", "resident-id", id), (field, category, clear)])
        };
        assert_eq!(clear_of("born", "birth-date"), [("born".to_owned(), true)]);
        assert_eq!(clear_of("year", "birth-year"), [("year".to_owned(), false)]);
        assert_eq!(
            clear_of("code", "division-code"),
            [("code".to_owned(), false)]
        );
        assert_eq!(clear_of("status", "status"), []);
        let number = differing_of(&[
            ("person_id", "resident-id", clear),
            ("name", "other", &name),
        ]);
        assert_eq!(number, [("name".to_owned(), true)]);
        // Nothing is drawn here, and there are two persons there.
        let masked = "{ kind = 'keep-ends', first = 1, last = 0 }";
        assert_eq!(differing_of(&[sex, ("name", "person-name", masked)]), []);
        let spouse = name.replace("person_id", "spouse_id");
        let two = [
            ("name", "other", name.as_str()),
            ("spouse", "other", &spouse),
            sex,
        ];
        assert_eq!(differing_of(&two), []);
    }

    #[test]
    fn a_difference_says_about_what_and_the_remedy() {
        let id = spec("{ kind = 'fake-id', domain = 'd', keep = ['city'] }");
        let region = spec(&facet("region", ""));
        let delivered = |name, treatment| Delivered {
            name,
            category: "other",
            treatment,
        };
        let found = differences(&[delivered("person_id", &id), delivered("region", &region)]);
        let said: Vec<&str> = found.iter().map(|own| own.what.as_str()).collect();
        let expected = "it shows a drawn division, and `person_id`, of the same person, the division of \
                        field `person_id`, of which it keeps city: they won't agree; keep the same of \
                        both, read from the same field";
        assert_eq!(said, [expected]);
    }
}
