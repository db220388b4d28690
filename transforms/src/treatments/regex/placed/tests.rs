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
    r"(\d{2}|\d{3})(\d{1,2})(\d*)",
    r"(?U)(\d{1,2})(\d+)(-)",
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
        Found::Unread => {
            // Of the values here none else has characters of several code points.
            prop_assert!(value.contains('\u{301}'), "{} {:?}", pattern, value);
            return Ok(());
        }
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
        number in r"(\+86-?)?(19|20)?[0-9]{4,12}X?",
        mailbox in r"[a-c]{1,3}@[ab]\.c|张[三ab]{0,3}",
    ) {
        for value in [any, likely, mail, han, dotted, letters, long, number, mailbox] {
            for (engine, placed) in READ.iter() {
                check(engine, placed, &value)?;
            }
        }
    }

    #[test]
    fn any_pattern_that_is_read_is_matched_as_the_engine_does(pattern in any_pattern()) {
        if let Some(placed) = read(&pattern) {
            let engine = engine(&pattern);
            for value in SHORT.iter() {
                check(&engine, &placed, value)?;
            }
        }
    }
}

/// Every text of at most five of three characters.
static SHORT: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..5 {
        let until = all.len();
        for at in from..until {
            let longer = ["a", "b", "张"].map(|last| format!("{}{last}", all[at]));
            all.extend(longer);
        }
        from = until;
    }
    all
});

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
        "(?:a|bc){1,2}",
        "(?:^a){0,2}",
        r"\bab",
        r"a\b",
        "(?m)^a",
        "(?m)a$",
        "(?mR)a$",
        "$a*",
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

/// What is found of a value, without the places.
fn is_match(pattern: &str, value: &str) -> Option<bool> {
    match read(pattern).unwrap().find(value) {
        Found::Match(_) => Some(true),
        Found::NoMatch => Some(false),
        Found::Unread => None,
    }
}

#[test]
fn values_are_read_up_to_the_longest_that_has_places() {
    let (ascii, han) = ("a".repeat(65_535), "张".repeat(21_845));
    for value in [&ascii, &han] {
        let placed = read("(.)(.*)(.)").unwrap();
        let Found::Match(places) = placed.find(value) else {
            panic!("a value of 65,535 bytes");
        };
        let first = value.chars().next().unwrap().len_utf8();
        assert_eq!(places.group(3), Some(65_535 - first..65_535));
        assert_eq!(is_match("(.)(.*)", &format!("{value}a")), None);
    }
    for value in ["张三", "é𠮷", "", "\n"] {
        assert_eq!(
            is_match("(.{0,2})", value),
            Some(value != "\n"),
            "{value:?}"
        );
    }
}

#[test]
fn plain_text_is_read_whole_whatever_its_length() {
    for bytes in 58..70 {
        let text = format!("{}{}", "a".repeat(bytes % 3), "张".repeat(bytes / 3));
        for pattern in ["(.)(.*)(张)", "a*(张*)", "[a张]*(张{2})", ".{64}"] {
            check(&engine(pattern), &read(pattern).unwrap(), &text).unwrap();
        }
    }
}

#[test]
fn a_row_has_32_stretches_and_a_pattern_eight_rows() {
    let row = format!("{}(b*)", "a".repeat(31));
    let placed = read(&row).unwrap();
    for value in [format!("{}bb", "a".repeat(31)), "a".repeat(31)] {
        check(&engine(&row), &placed, &value).unwrap();
    }
    assert!(read(&format!("a{row}")).is_none());
    let rows = "aa|bb|cc|dd|ee|ff|gg|hh";
    assert_eq!(is_match(rows, "hh"), Some(true));
    assert!(read(&format!("{rows}|ii")).is_none());
}

#[test]
fn a_class_is_asked_at_the_bounds_of_plain_text() {
    for pattern in [
        "[ -~一-鿿]+",
        "[ -~\u{4000}-\u{9FFF}]+",
        "[ -~\u{4000}-\u{9FFE}]+",
        r"\p{Han}+",
        r"\w+",
        r"\W+",
    ] {
        let engine = engine(pattern);
        for value in [
            "\u{4000}", "\u{4DFF}", "一", "\u{9FFE}", "\u{9FFF}", "~", " ",
        ] {
            let expected = Some(engine.is_match(value));
            assert_eq!(is_match(pattern, value), expected, "{pattern} {value}");
        }
    }
}
