//! What a replacement writes: text and groups, resolved against the pattern before any value is
//! seen. A group that the pattern lacks is an error here, where the `regex` crate would write
//! nothing.

use regex::Regex;

use crate::error::Misfit;

/// A piece of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text, written as it is.
    Literal(String),
    /// The group of that number, as it was matched.
    Group(usize),
}

/// A replacement, resolved.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// Reads a replacement of a pattern.
    ///
    /// # Errors
    /// A dollar sign that begins no group, a group that the pattern lacks, the whole match, or
    /// more than `bytes_max` bytes.
    pub(super) fn parse(text: &str, pattern: &Regex, bytes_max: usize) -> Result<Self, Misfit> {
        let refused = |what: String, hint: &str| {
            Err(Misfit::of_parameter("replacement", what).with_hint(hint))
        };
        if text.len() > bytes_max {
            let what = format!("`replacement` is above its limit of {bytes_max} bytes");
            return refused(what, "shorten it");
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let Some((name, after)) = reference(after) else {
                let what = "`replacement` has a `$` without the name of a group".to_owned();
                return refused(
                    what,
                    "write `$1`, `${1}`, `${name}`, or `$$` for the sign itself",
                );
            };
            let Some(group) = group_of(name, pattern) else {
                let what = format!("`replacement` names a group `{name}`, which `pattern` lacks");
                return refused(
                    what,
                    "write `${1}a` where a letter follows the number of a group",
                );
            };
            if group == 0 {
                let what = "`replacement` gives the whole value again".to_owned();
                return refused(what, "name the groups that may be shown");
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Group(group));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let template = Self { pieces };
        if template.gives_all(pattern) {
            let what = "`replacement` gives the whole value again".to_owned();
            return refused(what, "leave out what may not be shown");
        }
        Ok(template)
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether anything of the value is written.
    pub(super) fn has_groups(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Group(_)))
    }

    /// The text, where nothing of the value is written.
    pub(super) fn literal(&self) -> &str {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => text,
            _ => "",
        }
    }

    /// Whether the pattern is seen to consist of nothing but groups that are all given: the
    /// parentheses of each outermost group stand side by side. What this doesn't see is found out
    /// value by value.
    fn gives_all(&self, pattern: &Regex) -> bool {
        let inner = pattern.as_str();
        let inner = inner
            .strip_prefix(r"\A(?:")
            .and_then(|text| text.strip_suffix(r")\z"));
        let Some(outermost) = inner.and_then(outermost_groups) else {
            return false;
        };
        let given = |group: &usize| self.pieces.contains(&Piece::Group(*group));
        !outermost.is_empty() && outermost.iter().all(given)
    }
}

/// The name of a group after a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(name, _)| !name.is_empty())
}

/// The number of a group, by number or name.
fn group_of(name: &str, pattern: &Regex) -> Option<usize> {
    match name.parse::<usize>() {
        Ok(number) => (number < pattern.captures_len()).then_some(number),
        Err(_) => pattern
            .capture_names()
            .position(|known| known == Some(name)),
    }
}

/// Whether a group that begins with `?` has a name, `(?P<name>` or `(?<name>`, and so captures; what
/// is read of it is taken.
fn is_named(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    characters.next();
    if characters.peek() == Some(&'P') {
        characters.next();
    }
    characters.peek() == Some(&'<')
}

/// The numbers of the groups a pattern consists of, where it is nothing but capturing groups side
/// by side, each once. `None` for everything else, and for what this simple reader doesn't know.
fn outermost_groups(pattern: &str) -> Option<Vec<usize>> {
    let mut outermost = Vec::new();
    let mut groups = 0;
    let mut depth = 0_usize;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if depth > 0 => {
                characters.next()?;
            }
            // A class may hold parentheses, and classes nest: not worth reading here.
            '[' if depth > 0 => {
                for inside in characters.by_ref() {
                    match inside {
                        ']' => break,
                        '[' | '\\' | '(' | ')' => return None,
                        _ => {}
                    }
                }
            }
            '(' => {
                let captures = match characters.peek() {
                    Some('?') => is_named(&mut characters),
                    _ => true,
                };
                if captures {
                    groups += 1;
                }
                match (depth, captures) {
                    (0, true) => outermost.push(groups),
                    (0, false) => return None,
                    _ => {}
                }
                depth += 1;
            }
            // The beginning and the end of the value, which is matched whole anyway.
            '^' | '$' if depth == 0 => {}
            ')' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    Some(outermost)
}
