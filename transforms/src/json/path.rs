//! Paths to the values of a document, compiled to one machine that follows all of them at once.
//!
//! A path begins with `$`, the document, and goes on with any number of these:
//!
//! - `.name`: the member of that name; a name has no white space and none of `.[]*'"`
//! - `['any name']`: the member of that name, whatever it has but `'`
//! - `.*`: every member
//! - `[*]`: every element of an array
//!
//! Where several paths lead to one value, the one written first counts.

use std::collections::{BTreeSet, HashMap};

/// Most states of the machine: paths with many wild cards multiply.
const STATES_MAX: usize = 4096;

/// Most steps of one path.
const STEPS_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    AnyMember,
    Elements,
}

/// Where the machine stands after some steps, and where it can go.
#[derive(Debug, Default)]
struct State {
    /// By name, in order.
    members: Vec<(String, usize)>,
    other_member: Option<usize>,
    elements: Option<usize>,
    /// The first path that ends here.
    path: Option<usize>,
}

/// Paths, compiled.
#[derive(Debug)]
pub(crate) struct Paths {
    states: Vec<State>,
}

/// Progress in the paths: path and step, of all that still match.
type Places = BTreeSet<(usize, usize)>;

impl Paths {
    /// Compiles paths.
    ///
    /// # Errors
    /// What is wrong, with the number of the path.
    pub(crate) fn parse(paths: &[&str]) -> Result<Self, (usize, String)> {
        let mut parsed = Vec::with_capacity(paths.len());
        for (number, path) in paths.iter().enumerate() {
            let steps = parse(path).ok_or_else(|| (number, format!("`{path}` is not a path")))?;
            if parsed.contains(&steps) {
                return Err((number, format!("`{path}` is written twice")));
            }
            parsed.push(steps);
        }
        Self::compile(&parsed).ok_or_else(|| (0, "the paths have too many wild cards".to_owned()))
    }

    fn compile(paths: &[Vec<Step>]) -> Option<Self> {
        let start: Places = (0..paths.len()).map(|path| (path, 0)).collect();
        let mut numbers: HashMap<Places, usize> = HashMap::from([(start.clone(), 0)]);
        let mut queue = vec![start];
        let mut states: Vec<State> = Vec::new();
        while let Some(places) = queue.get(states.len()).cloned() {
            let mut number_of = |next: Places| -> Option<usize> {
                if next.is_empty() {
                    return None;
                }
                Some(*numbers.entry(next.clone()).or_insert_with(|| {
                    queue.push(next);
                    queue.len() - 1
                }))
            };
            let step_of = |(path, step): &(usize, usize)| paths.get(*path)?.get(*step);
            let follow = |matches: &dyn Fn(&Step) -> bool| -> Places {
                let matching = places
                    .iter()
                    .filter(|place| step_of(place).is_some_and(matches));
                matching.map(|(path, step)| (*path, step + 1)).collect()
            };
            let names: BTreeSet<&String> = places
                .iter()
                .filter_map(|place| match step_of(place)? {
                    Step::Member(name) => Some(name),
                    Step::AnyMember | Step::Elements => None,
                })
                .collect();
            let members = names.into_iter().filter_map(|name| {
                let next = follow(&|step| match step {
                    Step::Member(own) => own == name,
                    Step::AnyMember => true,
                    Step::Elements => false,
                });
                Some((name.clone(), number_of(next)?))
            });
            let members = members.collect();
            states.push(State {
                members,
                other_member: number_of(follow(&|step| *step == Step::AnyMember)),
                elements: number_of(follow(&|step| *step == Step::Elements)),
                path: places
                    .iter()
                    .find(|place| step_of(place).is_none())
                    .map(|place| place.0),
            });
            if states.len() > STATES_MAX {
                return None;
            }
        }
        Some(Self { states })
    }

    /// The state of the document itself.
    pub(crate) fn start(&self) -> Option<usize> {
        Some(0)
    }

    /// The state of a member of that name; `None` where no path goes there.
    pub(crate) fn member(&self, state: Option<usize>, name: &str) -> Option<usize> {
        let state = self.states.get(state?)?;
        match state
            .members
            .binary_search_by(|(own, _)| own.as_str().cmp(name))
        {
            Ok(found) => state.members.get(found).map(|(_, next)| *next),
            Err(_) => state.other_member,
        }
    }

    /// The state of an element; `None` where no path goes there.
    pub(crate) fn element(&self, state: Option<usize>) -> Option<usize> {
        self.states.get(state?)?.elements
    }

    /// The path that ends at a state.
    pub(crate) fn ending(&self, state: Option<usize>) -> Option<usize> {
        self.states.get(state?)?.path
    }

    /// Whether any path goes on from a state.
    pub(crate) fn goes_on(&self, state: Option<usize>) -> bool {
        state
            .and_then(|state| self.states.get(state))
            .is_some_and(|state| {
                !state.members.is_empty()
                    || state.other_member.is_some()
                    || state.elements.is_some()
            })
    }

    /// Whether a path names members that it doesn't know.
    pub(crate) fn has_any_member(&self) -> bool {
        self.states.iter().any(|state| state.other_member.is_some())
    }
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, tail) = if let Some(tail) = rest.strip_prefix("[*]") {
            (Step::Elements, tail)
        } else if let Some(tail) = rest.strip_prefix(".*") {
            (Step::AnyMember, tail)
        } else if let Some(tail) = rest.strip_prefix("['") {
            let (name, tail) = tail.split_once("']")?;
            if name.contains('\'') {
                return None;
            }
            (Step::Member(name.to_owned()), tail)
        } else {
            let tail = rest.strip_prefix('.')?;
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (name, tail) = tail.split_at_checked(end)?;
            let plain = |c: char| !c.is_whitespace() && !matches!(c, ']' | '*' | '\'' | '"');
            if name.is_empty() || !name.chars().all(plain) {
                return None;
            }
            (Step::Member(name.to_owned()), tail)
        };
        steps.push(step);
        rest = tail;
    }
    (1..=STEPS_MAX).contains(&steps.len()).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str], steps: &[&str]) -> Option<usize> {
        let paths = Paths::parse(paths).unwrap();
        let mut state = paths.start();
        for step in steps {
            state = match *step {
                "[]" => paths.element(state),
                name => paths.member(state, name),
            };
        }
        paths.ending(state)
    }

    #[test]
    fn paths_lead_to_members_and_elements() {
        let paths = [
            "$.a.b",
            "$.tags[*]",
            "$.list[*].c",
            "$.*.d",
            "$['x y']",
            "$.身份证",
        ];
        for (steps, path) in [
            (&["a", "b"][..], Some(0)),
            (&["tags", "[]"], Some(1)),
            (&["list", "[]", "c"], Some(2)),
            (&["a", "d"], Some(3)),
            (&["anything", "d"], Some(3)),
            (&["x y"], Some(4)),
            (&["身份证"], Some(5)),
            (&["a"], None),
            (&["a", "b", "c"], None),
            (&["tags", "0"], None),
            (&["[]"], None),
        ] {
            assert_eq!(found(&paths, steps), path, "{steps:?}");
        }
    }

    #[test]
    fn the_path_written_first_counts() {
        assert_eq!(found(&["$.*.c", "$.a.c"], &["a", "c"]), Some(0));
        assert_eq!(found(&["$.a.c", "$.*.c"], &["a", "c"]), Some(0));
        assert_eq!(found(&["$.a.c", "$.*.c"], &["b", "c"]), Some(1));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            "",
            "$",
            "a",
            ".a",
            "$a",
            "$.",
            "$..a",
            "$.a.",
            "$[0]",
            "$.a[0]",
            "$[*",
            "$['a]",
            "$.a b",
            "$.a*",
            "$['it's']",
            "$.a]",
            "$.a\"",
        ] {
            assert!(Paths::parse(&[path]).is_err(), "{path}");
        }
        assert_eq!(Paths::parse(&["$.a", "$['a']"]).unwrap_err().0, 1);
    }
}
