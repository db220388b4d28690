//! The rules of names: ids, names of fields, categories, paths within a store.
//!
//! Ids become file and directory names and parts of URLs, so their alphabet is small; names of
//! fields are the provider's own and only need to be unambiguous text.

use std::ops::RangeInclusive;

use unicode_normalization::is_nfc;

/// Most characters of an id.
const ID_CHARACTERS_MAX: usize = 64;

/// Most bytes of a field's name.
const FIELD_NAME_BYTES_MAX: usize = 128;

/// What an id looks like, for messages.
pub const ID_RULE: &str = "1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit";

/// Whether `text` matches `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
pub fn is_id(text: &str) -> bool {
    text.len() <= ID_CHARACTERS_MAX
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether `text` matches `[a-z][a-z0-9-]*`.
pub fn is_category(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Digits of a division code or of the beginning of one (GB/T 2260 and the longer codes built on
/// it): province 2, prefecture 4, county 6, township 9, village 12.
pub const DIVISION_DIGITS: RangeInclusive<usize> = 2..=12;

/// What a division code looks like, for messages.
pub const DIVISION_RULE: &str = "2 to 12 digits (GB/T 2260)";

/// Whether `text` is a division code, or the beginning of one: [`DIVISION_DIGITS`] ASCII digits.
pub fn is_division(text: &str) -> bool {
    DIVISION_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks the name of a field: NFC, 1 to 128 bytes, no control characters.
///
/// # Errors
/// What is wrong with it.
pub fn check_field_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("the name of a field is empty")
    } else if text.len() > FIELD_NAME_BYTES_MAX {
        Err("the name of a field is longer than 128 bytes")
    } else if text.chars().any(char::is_control) {
        Err("the name of a field contains a control character")
    } else if !is_nfc(text) {
        Err("the name of a field is not in Unicode normal form C")
    } else {
        Ok(())
    }
}

/// Checks a path of a catalogue, manifest or bundle: relative, `/`-separated, without `..`, `.`,
/// empty parts, drives, backslashes or control characters. One `/` at the end is allowed and means
/// a directory.
///
/// # Errors
/// What is wrong with it.
pub fn check_path(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("the path is empty");
    }
    if text.starts_with('/') {
        return Err("the path is absolute");
    }
    if text.contains('\\') {
        return Err("the path contains a backslash");
    }
    if text.chars().any(char::is_control) {
        return Err("the path contains a control character");
    }
    let mut parts = text.strip_suffix('/').unwrap_or(text).split('/');
    if parts
        .clone()
        .next()
        .is_some_and(|first| first.contains(':'))
    {
        return Err("the path begins with a drive or a scheme");
    }
    if parts.clone().any(str::is_empty) {
        return Err("the path contains an empty part");
    }
    if parts.any(|part| part == ".." || part == ".") {
        return Err("the path contains `.` or `..`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_their_alphabet() {
        for good in ["a", "G-2026-0117", "9.x_y-Z", &"a".repeat(64)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "..", "居民", &"a".repeat(65)] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn categories_are_lower_case_words() {
        assert!(is_category("resident-id") && is_category("x2"));
        assert!(!is_category("Resident") && !is_category("2x") && !is_category(""));
    }

    #[test]
    fn divisions_are_two_to_twelve_digits() {
        assert!(is_division("33") && is_division("330106002001"));
        assert!(!is_division("3") && !is_division("33010600200100") && !is_division("33a"));
    }

    #[test]
    fn field_names_are_normalised_text() {
        assert_eq!(check_field_name("公民身份号码"), Ok(()));
        assert_eq!(check_field_name("caf\u{e9}"), Ok(()));
        assert!(check_field_name("cafe\u{301}").is_err());
        assert!(check_field_name("a\tb").is_err());
        assert!(check_field_name("").is_err());
        assert!(check_field_name(&"字".repeat(43)).is_err());
    }

    #[test]
    fn paths_stay_below_their_root() {
        for good in ["residents/", "a/b.parquet", "数据/一.csv", "a..b/c"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in [
            "", "/", "/etc", "a//b", "a/../b", "..", "./a", "C:/x", "a\\b", "a\0b", "a//", "s3://b",
        ] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
