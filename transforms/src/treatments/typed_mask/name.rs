//! Names of persons in Han characters.

use std::borrow::Cow;

use super::forms::Shown;
use super::surnames::is_compound;
use crate::classes::is_han;
use crate::clusters::Clusters;
use crate::error::Case;
use crate::fill::Filler;
use crate::text::Output;
use crate::words;

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
    if let Some(parts) = Parts::read(value) {
        return parts.mask(value, shown, filler, out);
    }
    let text = spelling(value);
    if !text.contains(DOT) {
        let clusters = han_clusters(&text, scratch)?;
        return mask_plain(&text, clusters, shown, filler, out);
    }
    let mut left = PARTS_MAX;
    let mut shows_all = true;
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
        let (first, hidden) = part
            .split_at_checked(clusters.offset(kept))
            .ok_or(Case::Invalid)?;
        shows_all &= filler.is_as_written(hidden, count - kept);
        out.push(first);
        filler.write(count - kept, out);
    }
    match shows_all {
        true => Err(Case::Short),
        false => Ok(()),
    }
}

/// The parts of a name of nothing but characters from U+4E00 to U+9FFF, of three bytes each, and `·`
/// between them: where each begins, and its characters.
struct Parts {
    parts: [(usize, usize); PARTS_MAX],
    count: usize,
}

impl Parts {
    /// `None` for what is no such name, or a long one.
    fn read(value: &str) -> Option<Self> {
        let mut dots = words::dots_between_han(value)?;
        let (mut parts, mut count) = ([(0, 0); PARTS_MAX], 0);
        let mut begin = 0;
        loop {
            let end = words::first(dots).min(value.len());
            let characters = (end - begin) / 3;
            if !(1..=PART_MAX).contains(&characters) {
                return None;
            }
            *parts.get_mut(count)? = (begin, characters);
            count += 1;
            if dots == 0 {
                return Some(Self { parts, count });
            }
            dots &= dots - 1;
            begin = end + DOT.len_utf8();
        }
    }

    fn mask(
        &self,
        value: &str,
        shown: Shown,
        filler: &Filler,
        out: &mut impl Output,
    ) -> Result<(), Case> {
        let parts = self.parts.get(..self.count).unwrap_or_default();
        // The characters of a part that stay, where they end, and the hidden ones.
        let of = |(begin, characters): &(usize, usize)| {
            let kept = if *characters > 1 { shown.first } else { 0 };
            (begin + 3 * kept, characters - kept)
        };
        let shows = |part: &(usize, usize)| {
            let (head, hidden) = of(part);
            let covered = value.get(head..head + 3 * hidden);
            covered.is_none_or(|covered| filler.is_as_written(covered, hidden))
        };
        if parts.iter().all(shows) {
            return Err(Case::Short);
        }
        // What stays is one piece with the dot before it.
        let mut from = 0;
        for part in parts {
            let (head, hidden) = of(part);
            out.push_final(value.get(from..head).unwrap_or_default());
            filler.write_final(hidden, out);
            from = head + 3 * hidden;
        }
        Ok(())
    }
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
    let head = clusters.offset(kept);
    filler.write_over(text, head, text.len(), count - kept, out)
}

/// The characters of text, each of which must be a Han character.
fn han_clusters<'a>(text: &'a str, scratch: &'a mut Vec<usize>) -> Result<Clusters<'a>, Case> {
    let clusters = Clusters::of(text, scratch);
    let all_han = match &clusters {
        Clusters::Bytes(_) => text.is_empty(),
        Clusters::CodePoints(text, _) | Clusters::Beginnings(text, _) | Clusters::Wide(text, _) => {
            text.chars().all(is_han)
        }
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
