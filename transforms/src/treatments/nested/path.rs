//! Places within a type, and the tree they make.

use std::collections::BTreeMap;

use crate::error::Misfit;
use crate::spec::TreatmentSpec;

/// One step into a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A member of a struct.
    Member(String),
    /// The elements of a list.
    Elements,
    /// The keys of a map.
    Key,
    /// The values of a map.
    Value,
}

/// The places below one place.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    /// Number, place and treatment of what is written for this very place.
    pub(super) treatment: Option<(usize, &'a str, &'a TreatmentSpec)>,
    pub(super) below: BTreeMap<Step, Self>,
}

impl<'a> Tree<'a> {
    /// Any place written below, for messages.
    pub(super) fn any_place(&self) -> &'a str {
        match &self.treatment {
            Some((_, place, _)) => place,
            None => self.below.values().next().map_or("", Tree::any_place),
        }
    }
}

/// The tree of all places.
///
/// # Errors
/// A place that is none, is written twice, or lies within another.
pub(super) fn tree(fields: &BTreeMap<String, TreatmentSpec>) -> Result<Tree<'_>, Misfit> {
    let mut root = Tree::default();
    let refused = |what: String| {
        Misfit::of_parameter("fields", what).with_hint(
            "write places such as \"name\", \"name.inner\", \"tags[]\", \"{key}\", \"{value}\"",
        )
    };
    if fields.is_empty() {
        return Err(refused("`fields` names no place".to_owned()));
    }
    for (number, (place, spec)) in fields.iter().enumerate() {
        let steps = parse(place).ok_or_else(|| refused(format!("`{place}` is not a place")))?;
        let mut node = &mut root;
        for step in steps {
            if let Some((_, outer, _)) = node.treatment {
                return Err(refused(format!("`{place}` lies within `{outer}`")));
            }
            node = node.below.entry(step).or_default();
        }
        if node.treatment.is_some() || !node.below.is_empty() {
            let other = node.any_place();
            return Err(refused(format!(
                "`{other}` lies within `{place}`, or is the same"
            )));
        }
        node.treatment = Some((number, place, spec));
    }
    Ok(root)
}

fn parse(place: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = place;
    while !rest.is_empty() {
        let suffixes = [
            ("[]", Step::Elements),
            ("{key}", Step::Key),
            ("{value}", Step::Value),
        ];
        let suffix = suffixes
            .into_iter()
            .find(|(text, _)| rest.starts_with(text));
        if let Some((text, step)) = suffix {
            steps.push(step);
            rest = rest.strip_prefix(text)?;
            continue;
        }
        let tail = match steps.is_empty() {
            true => rest,
            false => rest.strip_prefix('.')?,
        };
        let (name, tail) = name(tail)?;
        steps.push(Step::Member(name));
        rest = tail;
    }
    (!steps.is_empty()).then_some(steps)
}

/// A name and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.chars();
    loop {
        let rest = characters.as_str();
        match characters.next() {
            Some('\\') => name.push(characters.next()?),
            Some('.' | '[' | '{') | None => {
                return (!name.is_empty()).then_some((name, rest));
            }
            Some(']' | '}') => return None,
            Some(character) => name.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    #[test]
    fn places_are_read() {
        assert_eq!(parse("a"), Some(vec![member("a")]));
        assert_eq!(parse("[]"), Some(vec![Step::Elements]));
        assert_eq!(
            parse("people[].身份.id"),
            Some(vec![
                member("people"),
                Step::Elements,
                member("身份"),
                member("id")
            ])
        );
        assert_eq!(
            parse("m{value}[]{key}"),
            Some(vec![member("m"), Step::Value, Step::Elements, Step::Key])
        );
        assert_eq!(parse(r"a\.b\[\]"), Some(vec![member("a.b[]")]));
        for place in [
            "", ".a", "a.", "a..b", "a[", "a]", "a[0]", "{x}", "a{key}b", "[]a", "a\\",
        ] {
            assert_eq!(parse(place), None, "{place}");
        }
    }

    #[test]
    fn places_within_each_other_are_refused() {
        let fields = |places: &[&str]| -> BTreeMap<String, TreatmentSpec> {
            let clear = || spec("{ kind = 'clear' }");
            places
                .iter()
                .map(|place| ((*place).to_owned(), clear()))
                .collect()
        };
        assert!(tree(&fields(&["a", "b.c", "b.d"])).is_ok());
        for places in [&["a", "a.b"][..], &["a[]", "a"], &["a.b", r"a.\b"], &[]] {
            assert_eq!(
                tree(&fields(places)).unwrap_err().parameter,
                Some("fields"),
                "{places:?}"
            );
        }
    }
}
