//! Names of persons in Han characters.

use std::borrow::Cow;

use super::forms::Shown;
use super::surnames::is_compound;
use crate::classes::is_han;
use crate::clusters::Clusters;
use crate::error::Case;
use crate::fill::Filler;

/// The dot between the parts of a name.
const DOT: char = '·';

/// Most characters of a given name.
const GIVEN_MAX: usize = 3;

/// Most parts of a name with dots, and most characters of each.
const PARTS_MAX: usize = 6;
const PART_MAX: usize = 12;

/// Masks a name: the surname or nothing stays. Of a name with dots, the first character of each
/// part; a part of one character goes.
pub(super) fn mask(
    value: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut Vec<u8>,
    scratch: &mut Vec<usize>,
) -> Result<(), Case> {
    if value
        .chars()
        .all(|character| matches!(character, '\u{4E00}'..='\u{9FFF}'))
    {
        return mask_plain(value, shown, filler, out, scratch);
    }
    let text = spelling(value);
    if !text.contains(DOT) {
        return mask_plain(&text, shown, filler, out, scratch);
    }
    if text.split(DOT).count() > PARTS_MAX {
        return Err(Case::Invalid);
    }
    for (place, part) in text.split(DOT).enumerate() {
        if place > 0 {
            out.extend_from_slice("·".as_bytes());
        }
        let clusters = han_clusters(part, scratch)?;
        let count = clusters.count();
        if !(1..=PART_MAX).contains(&count) {
            return Err(Case::Invalid);
        }
        let kept = if count > 1 { shown.first } else { 0 };
        write(part, clusters.offset(kept), count - kept, filler, out);
    }
    Ok(())
}

/// A surname of one or two characters and a given name of one to three. A compound surname alone is
/// taken for a surname of one character.
fn mask_plain(
    text: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut Vec<u8>,
    scratch: &mut Vec<usize>,
) -> Result<(), Case> {
    let mut characters = text.chars();
    let compound = match (characters.next(), characters.next(), characters.next()) {
        (Some(first), Some(second), Some(_)) => is_compound(first, second),
        _ => false,
    };
    let surname = if compound { 2 } else { 1 };
    let clusters = han_clusters(text, scratch)?;
    let count = clusters.count();
    let given = count
        .checked_sub(surname)
        .filter(|given| *given > 0)
        .ok_or(Case::Short)?;
    if given > GIVEN_MAX {
        return Err(Case::Invalid);
    }
    let kept = if shown.first > 0 { surname } else { 0 };
    write(text, clusters.offset(kept), count - kept, filler, out);
    Ok(())
}

fn write(text: &str, head: usize, hidden: usize, filler: &Filler, out: &mut Vec<u8>) {
    out.extend_from_slice(text.get(..head).unwrap_or_default().as_bytes());
    filler.write(hidden, out);
}

/// The characters of text, each of which must be a Han character.
fn han_clusters<'a>(text: &'a str, scratch: &'a mut Vec<usize>) -> Result<Clusters<'a>, Case> {
    let clusters = Clusters::of(text, scratch);
    let all_han = match &clusters {
        Clusters::Bytes(_) => text.is_empty(),
        Clusters::CodePoints(text, _) => text.chars().all(is_han),
        Clusters::Offsets(offsets, _) => offsets.iter().all(|offset| {
            text.get(*offset..)
                .and_then(|rest| rest.chars().next())
                .is_some_and(is_han)
        }),
    };
    if all_han {
        Ok(clusters)
    } else {
        Err(Case::Invalid)
    }
}

/// Without white space, with one kind of dot.
fn spelling(value: &str) -> Cow<'_, str> {
    let is_dot =
        |character: char| matches!(character, '.' | '．' | '•' | '‧' | '∙' | '⋅' | '・' | '･');
    if !value.contains(|character: char| is_dot(character) || character.is_whitespace()) {
        return Cow::Borrowed(value);
    }
    let kept = value.chars().filter(|character| !character.is_whitespace());
    Cow::Owned(
        kept.map(|character| if is_dot(character) { DOT } else { character })
            .collect(),
    )
}
