use std::sync::LazyLock;

use ::regex::Regex;
use proptest::prelude::*;
use regex_syntax::Parser;

use super::*;

fn read(pattern: &str) -> Option<Placed> {
    let groups = Regex::new(pattern).unwrap().captures_len();
    Placed::read(&Parser::new().parse(pattern).unwrap(), groups)
}

/// Patterns that are read, of every form.
const PATTERNS: &[&str] = &[
    "",
    r"(\d{3})(\d{4})",
    r"((\d)\d{2})-(\d{4})",
    r"^(\d{3})(-)()\d{3}[\dX]$",
    r"(?i)\d{3}(?P<mark>-)\d{4}(K)",
    r"(.{3}).{4}",
    r"(?s).(.)[^a](?-u:[0-9])",
    // One stretch of free length.
    "(.)(.*)",
    "(.)(.*)(.)",
    "(?s)(.)(.+?)(..)",
    r"(\d{3})(\d{2,4})(\d)",
    r"(\d{3})-?(\d{4})",
    "(张|李|a)(.{1,3})",
    r"(\p{Han})(\p{Han}+)",
    r"[^·]{1,2}(·)(\p{Han}*)",
    r"(?i)(?:ab){2}(x*)",
    "张(三)a*",
    // Stretches that end where others begin.
    r"(\w)(\w*)@([\w.]+)",
    r"(\d*)-(\d*)([Xk]?)",
    r"([^-]*)-([^-]*)-(.*)",
    r"(.*)-([^-]*)",
    r"(a*)(b*)(c?)张",
    r"(.*)c(张?)(b*)(a{2,3})",
    r"(\D*)(\d*)",
    r"(a{0,2})(.)c",
    r"[^\s\S](.*)",
    // A row for each alternative.
    r"(\d{6}|\d{2})((?:19|20)?\d{2})(\d[\dX]?)",
    r"(?:\+86-?)?(\d{3})(\d{2,4})",
    r"(0\d{1,2})-?(\d{3,4})",
    "(张|李三?|(a+))(b)?(c*)",
    r"(\w+)@(a|b)\.c|(张)(.+)",
    "(?:ab){0,2}(.*)",
    "(?:ab){1,3}?(a*)",
    "(a{1,2}?)(a{1,3})b*",
    "(?:(a)|(b)|)([ab]?)(a{0,3})",
    "(a){0}(b)",
    "((a*)b)?(a*)",
];

/// The engine and the places of each.
static READ: LazyLock<Vec<(Regex, Placed)>> = LazyLock::new(|| {
    let patterns = PATTERNS.iter();
    let both = patterns.map(|pattern| (engine(pattern), read(pattern).unwrap()));
    both.collect()
});

fn engine(pattern: &str) -> Regex {
    Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap()
}

fn check(engine: &Regex, placed: &Placed, value: &str) -> Result<(), TestCaseError> {
    let pattern = engine.as_str();
    let found = engine.captures(value);
    let places = match placed.find(value) {
        Found::Match(places) => Some(places),
        Found::NoMatch => None,
        Found::Unread => return Ok(()),
    };
    prop_assert_eq!(places.is_some(), found.is_some(), "{} {:?}", pattern, value);
    let (Some(places), Some(found)) = (places, found) else {
        return Ok(());
    };
    for (number, group) in found.iter().enumerate() {
        let own = places.group(number);
        let expected = group.map(|group| group.range());
        prop_assert_eq!(&own, &expected, "{} {:?}", pattern, value);
        let own = own.unwrap_or_default();
        let characters = clusters::count(value.get(own.clone()).unwrap());
        prop_assert_eq!(places.characters(value, &own), characters);
    }
    Ok(())
}

proptest! {
    #[test]
    fn groups_stand_where_the_engine_finds_them(
        any in "[0-9aAbk \\nX-]{0,9}",
        likely in "[0-9]{3}-?[0-9]{3,4}[0-9Xk]?",
        mail in "[a-c]{1,3}@[a-c.]{0,5}",
        han in "[一-丄张李三·ab-]{0,5}",
        dotted in "[张李]{1,3}·[三𠮷鿰]{0,2}[a\n\u{301}]?",
        letters in "a{0,3}b{0,2}c?张?[ab]{0,3}",
        long in "[张ab-]{20,40}",
    ) {
        for value in [any, likely, mail, han, dotted, letters, long] {
            for (engine, placed) in READ.iter() {
                check(engine, placed, &value)?;
            }
        }
    }

    #[test]
    fn any_pattern_that_is_read_is_matched_as_the_engine_does(
        pattern in any_pattern(),
        values in prop::collection::vec("[abc张]{0,6}", 16),
    ) {
        if let Some(placed) = read(&pattern) {
            let engine = engine(&pattern);
            for value in values {
                check(&engine, &placed, &value)?;
            }
        }
    }
}

/// Patterns of few characters, so that many match, and in many ways.
fn any_pattern() -> impl Strategy<Value = String> {
    let class = prop::sample::select(vec![
        "a", "b", "[ab]", ".", "张", "[^a]", "[a张]", r"\w", "ab", "", "^", "$",
    ]);
    let times = prop::sample::select(vec![
        "", "", "*", "+?", "{2}", "{1,2}", "?", "??", "{0,3}", "{1,3}?", "{0}",
    ]);
    let one = (class, times.clone()).prop_map(|(class, times)| match class {
        "" | "^" | "$" => class.to_owned(),
        "ab" => format!("(?:ab){times}"),
        class => format!("{class}{times}"),
    });
    one.prop_recursive(3, 12, 4, move |inner| {
        let row = prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat());
        let choice = prop::collection::vec(inner, 1..4).prop_map(|parts| parts.join("|"));
        let either = prop_oneof![3 => row.clone(), 1 => choice];
        let group = (either, any::<bool>(), times.clone()).prop_map(|(inner, is_group, times)| {
            format!("({}{inner}){times}", if is_group { "" } else { "?:" })
        });
        prop_oneof![row, group]
    })
}

#[test]
fn what_takes_an_engine_is_left_to_it() {
    for pattern in [
        "(a){2}",
        "(a)*b",
        "(?:ab)*",
        "(?:ab){0,4}",
        "(?:aa|a){1,2}",
        r"\bab",
        "a^b",
        "a$b",
        // Two stretches that both may have what lies between them.
        "a*a*",
        "(.*)(.*)",
        r"(\w*)(\d*)",
        r"(\w*)-?(\w*)",
        r"(.+)@(.+)",
        "(?:a*b*){2}",
        &"a".repeat(33),
        // What comes before a choice may be of another length with another outcome.
        "(a*)(?:ab|b)",
        "(a{1,2})(ab)?",
        // More alternatives than are worth it.
        "a|bc|de|fg|hi|jk|lm|no|pq",
        "(?:ab|c)(?:ab|c)(?:ab|c)(?:ab|c)",
    ] {
        assert!(read(pattern).is_none(), "{pattern}");
    }
}

#[test]
fn a_value_that_the_engine_has_to_look_at_is_left_to_it() {
    let placed = read("(.)(.*)").unwrap();
    let long = "a".repeat(70_000);
    for value in ["张e\u{301}", "a\r\n", "👨‍👩‍👧张", "🇨🇳", long.as_str()] {
        assert!(matches!(placed.find(value), Found::Unread), "{value:?}");
    }
}
