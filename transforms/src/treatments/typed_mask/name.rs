//! Names of persons in Han characters.

use std::borrow::Cow;

use super::forms::Shown;
use super::surnames::is_compound;
use crate::classes::is_han;
use crate::clusters::Clusters;
use crate::error::Case;
use crate::fill::Filler;
use crate::text::Output;

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
    out: &mut impl Output,
    scratch: &mut Vec<usize>,
) -> Result<(), Case> {
    if let Some(characters) = common(value) {
        return mask_plain(value, Clusters::Wide(value, characters), shown, filler, out);
    }
    let start = out.length();
    match mask_dotted(value, shown, filler, out) {
        Some(()) => return Ok(()),
        None => out.truncate(start),
    }
    let text = spelling(value);
    if !text.contains(DOT) {
        let clusters = han_clusters(&text, scratch)?;
        return mask_plain(&text, clusters, shown, filler, out);
    }
    let mut left = PARTS_MAX;
    for part in text.split(DOT) {
        if left < PARTS_MAX {
            out.push("·");
        }
        left = left.checked_sub(1).ok_or(Case::Invalid)?;
        let clusters = match common(part) {
            Some(characters) => Clusters::Wide(part, characters),
            None => han_clusters(part, scratch)?,
        };
        let count = clusters.count();
        if !(1..=PART_MAX).contains(&count) {
            return Err(Case::Invalid);
        }
        let kept = if count > 1 { shown.first } else { 0 };
        write(part, clusters.offset(kept), count - kept, filler, out);
    }
    Ok(())
}

/// Masks a name of nothing but characters from U+4E00 to U+9FFF and `·`, as [`mask`] does; `None`
/// for what is no such name, of which something may have been appended.
fn mask_dotted(value: &str, shown: Shown, filler: &Filler, out: &mut impl Output) -> Option<()> {
    let mut rest = value;
    for place in 0..PARTS_MAX {
        let dot = rest.as_bytes().iter().position(|byte| *byte == 0xC2);
        let part = rest.get(..dot.unwrap_or(rest.len()))?;
        let count = common(part).filter(|count| (1..=PART_MAX).contains(count))?;
        if place > 0 {
            out.push("·");
        }
        let kept = if count > 1 { shown.first } else { 0 };
        write(part, 3 * kept, count - kept, filler, out);
        let Some(dot) = dot else {
            return Some(());
        };
        rest = rest.get(dot..)?.strip_prefix("·")?;
    }
    None
}

/// The characters of text of nothing but those from U+4E00 to U+9FFF, of three bytes each; `None`
/// for other text.
#[inline]
fn common(text: &str) -> Option<usize> {
    let (characters, rest) = text.as_bytes().as_chunks::<3>();
    (rest.is_empty() && characters.iter().all(is_common)).then_some(characters.len())
}

/// Whether three bytes, of which the first begins a character, are one from U+4E00 to U+9FFF.
#[inline(always)]
fn is_common([lead, second, _]: &[u8; 3]) -> bool {
    match lead {
        0xE4 => *second >= 0xB8,
        _ => matches!(lead, 0xE5..=0xE9),
    }
}

/// A surname of one or two characters and a given name of one to three. A compound surname alone is
/// taken for a surname of one character.
fn mask_plain(
    text: &str,
    clusters: Clusters<'_>,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    let mut characters = text.chars();
    characters.next();
    characters.next();
    let third = text.len() - characters.as_str().len();
    let compound = third < text.len() && is_compound(text.get(..third).unwrap_or_default());
    let surname = if compound { 2 } else { 1 };
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

fn write(text: &str, head: usize, hidden: usize, filler: &Filler, out: &mut impl Output) {
    out.push(text.get(..head).unwrap_or_default());
    filler.write(hidden, out);
}

/// The characters of text, each of which must be a Han character.
fn han_clusters<'a>(text: &'a str, scratch: &'a mut Vec<usize>) -> Result<Clusters<'a>, Case> {
    let clusters = Clusters::of(text, scratch);
    let all_han = match &clusters {
        Clusters::Bytes(_) => text.is_empty(),
        Clusters::CodePoints(text, _) | Clusters::Wide(text, _) => text.chars().all(is_han),
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
