//! How types that hold others are written: `list(T)`, `struct(name: T, …)`, `map(K, V)`.
//!
//! A member's name stands in double quotes where it holds a character of the notation or begins or
//! ends in white space; in quotes, a backslash takes the next character as it is.

use std::fmt;

use crate::id;

use super::{FieldType, TypeError};

/// Deepest nesting: deeper than data is, and shallow enough for every walk over a type.
const DEPTH_MAX: usize = 16;

/// Most members of a struct.
const MEMBERS_MAX: usize = 1_000;

/// Longest text of a type, in bytes.
const BYTES_MAX: usize = 64 << 10;

/// Characters that end a name which stands without quotes.
const RESERVED: [char; 6] = [',', ':', '(', ')', '"', '\\'];

/// Reads a type that may hold others, within `depth` others.
pub(super) fn read(text: &str, depth: usize) -> Result<FieldType, TypeError> {
    if text.len() > BYTES_MAX {
        return Err(TypeError::new(
            "the type is too long",
            format!("a type has at most {BYTES_MAX} bytes"),
        ));
    }
    let Some((name, arguments)) = arguments(text) else {
        return FieldType::read_plain(text);
    };
    if !matches!(name, "list" | "struct" | "map") {
        return FieldType::read_plain(text);
    }
    if depth >= DEPTH_MAX {
        return Err(TypeError::new(
            "the type is nested too deeply",
            format!("types stand at most {DEPTH_MAX} deep within each other"),
        ));
    }
    let parts = split(arguments, ',').ok_or_else(|| unbalanced(name))?;
    let within = |text: &str| read(text.trim(), depth + 1);
    match (name, parts.as_slice()) {
        ("list", [element]) => Ok(FieldType::List(Box::new(within(element)?))),
        ("map", [key, value]) => {
            let key = within(key)?;
            if key.is_nested() {
                return Err(TypeError::new(
                    "keys of a map are single values",
                    "write map(utf8, T), with a key that is no list, struct or map",
                ));
            }
            Ok(FieldType::Map(Box::new((key, within(value)?))))
        }
        ("struct", members) => structs(members, within),
        ("list", _) => Err(TypeError::new(
            "a list has elements of one type",
            "write list(T), such as list(utf8)",
        )),
        _ => Err(TypeError::new(
            "a map has keys and values",
            "write map(K, V), such as map(utf8, int64)",
        )),
    }
}

fn structs(
    members: &[&str],
    within: impl Fn(&str) -> Result<FieldType, TypeError>,
) -> Result<FieldType, TypeError> {
    let refused = |what: &str| {
        TypeError::new(
            what.to_owned(),
            "write struct(name: T, …), such as struct(street: utf8, rooms: int32)",
        )
    };
    if members.len() > MEMBERS_MAX {
        return Err(refused("a struct has too many members"));
    }
    let mut read: Vec<(String, FieldType)> = Vec::with_capacity(members.len());
    for member in members {
        let parts = split(member, ':').unwrap_or_default();
        let (Some((first, _)), true) = (parts.split_first(), parts.len() > 1) else {
            return Err(refused(
                "a member of a struct is written with name and type",
            ));
        };
        let name = unquoted(first.trim()).ok_or_else(|| refused("a member's name is malformed"))?;
        id::check_field_name(&name)
            .map_err(|what| refused(&format!("a member's name cannot be used: {what}")))?;
        if read.iter().any(|(other, _)| *other == name) {
            return Err(refused("two members of a struct have one name"));
        }
        let rest = member.get(first.len() + 1..).unwrap_or_default();
        read.push((name, within(rest)?));
    }
    Ok(FieldType::Struct(read))
}

fn unbalanced(name: &str) -> TypeError {
    TypeError::new(
        format!("a `{name}` has a bracket or quote that is never closed, or closed twice"),
        "write list(T), struct(name: T, …), map(K, V)",
    )
}

/// `name(arguments)`, taken apart.
fn arguments(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('(')?;
    Some((name.trim_end(), rest.strip_suffix(')')?))
}

/// Parts between separators that stand in no brackets and no quotes; `None` where those don't
/// match.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0_usize, false, false);
    for (at, character) in text.char_indices() {
        if quoted {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match character {
            '"' => quoted = true,
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ if character == separator && depth == 0 => {
                parts.push(text.get(start..at)?);
                start = at + separator.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (depth == 0 && !quoted).then_some(parts)
}

/// A member's name as it is.
fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.contains(RESERVED)).then(|| text.to_owned());
    };
    let mut name = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    loop {
        match characters.next()? {
            '\\' => name.push(characters.next()?),
            '"' => return characters.as_str().is_empty().then_some(name),
            character => name.push(character),
        }
    }
}

/// A member's name as it is written.
pub(super) fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if !name.contains(RESERVED) && name.trim() == name {
        return f.write_str(name);
    }
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    write!(f, "\"{escaped}\"")
}
