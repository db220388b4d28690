//! Reasons: sentences that go into the ledger, where nothing can be taken out again.

use crate::error::RunError;

/// Most characters of a reason or a legal basis.
const CHARACTERS_MAX: usize = 500;

/// Digits in a row from which a number may be that of a person: a mobile number has 11.
const DIGITS_OF_A_PERSON: usize = 11;

/// A reason as it is recorded: without white space around it.
///
/// # Errors
/// A text that is empty, longer than 500 characters, has control characters, or holds a number as
/// long as those that name persons, written in one or in groups.
pub fn check_reason<'a>(text: &'a str, at: &str) -> Result<&'a str, RunError> {
    let text = text.trim();
    let refuse = |what: &str, remedy: &str| {
        Err(RunError::Invalid {
            what: what.to_owned(),
            at: at.to_owned(),
            remedy: remedy.to_owned(),
        })
    };
    if text.is_empty() || text.chars().count() > CHARACTERS_MAX {
        let what = "the text is empty or longer than 500 characters";
        return refuse(what, "say in a sentence why, without personal data");
    }
    if text.chars().any(char::is_control) {
        return refuse("the text has control characters", "write it in one line");
    }
    if holds_long_number(text) {
        let what = "the text holds a number of 11 digits or more, as persons have";
        let remedy = "what the ledger holds stays there: leave personal data out, and name files by \
                      shorter numbers";
        return refuse(what, remedy);
    }
    Ok(text)
}

/// Whether so many digits stand in a row as number persons, also in groups, as telephone numbers are
/// written: one blank, hyphen or dot between two digits does not end the number.
fn holds_long_number(text: &str) -> bool {
    let mut digits: usize = 0;
    let mut is_parted = false;
    for character in text.chars() {
        let parts =
            character.is_whitespace() || matches!(character, '-' | '.' | '\u{2013}' | '\u{b7}');
        if character.is_numeric() {
            digits += 1;
            is_parted = false;
        } else if parts && !is_parted {
            is_parted = true;
        } else {
            digits = 0;
            is_parted = false;
        }
        if digits >= DIGITS_OF_A_PERSON {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_pass_and_what_could_name_a_person_does_not() {
        let passes = |text: &str| check_reason(text, "--reason").is_ok();
        assert_eq!(
            check_reason("  misuse reported  ", "--reason").unwrap(),
            "misuse reported"
        );
        assert!(passes(
            "《政务数据共享条例》第二十条, 2026-01-31, 国办发〔2026〕12号"
        ));
        assert!(passes("ticket 1234567890"));
        assert!(!passes("用户 13800138000 投诉"));
        assert!(!passes("身份证11010519491231002X"));
        assert!(!passes("电话１３８００１３８０００"));
        for grouped in [
            "138-0013-8000",
            "138 0013 8000",
            "138.0013.8000",
            "110105 19491231 002X",
        ] {
            assert!(!passes(grouped), "{grouped}");
        }
        assert!(passes("2026-01-31, 2026-02-28"));
        assert!(passes("2026-01-31 - 2026-02-28"));
        assert!(!passes(" "));
        assert!(!passes("two\nlines"));
        assert!(!passes(&"长".repeat(501)));
        assert!(passes(&"长".repeat(500)));
    }
}
