//! How a pattern is read as rows of stretches, in the order in which the engine would prefer them.
//!
//! The engine prefers by the first choice at which two ways to match part: the first of alternatives, more of
//! what is repeated, or less where that is lazy. A choice is made a row for each outcome, where that comes to
//! few. Rows in the order of their outcomes are in that of the engine, as long as nothing before such a choice
//! can be of one length in the one row and of another in the other. That is looked after here: what can't be
//! read in this way is left to the engine.

use std::ops::Range;
use std::sync::Arc;

use regex_syntax::hir::{Capture, Class as HirClass, ClassUnicode, ClassUnicodeRange};
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

use super::class::Class;
use super::{Row, STRETCHES_MAX, Stretch};

/// Most rows of a pattern.
const ROWS_MAX: usize = 8;

/// Most lengths of a stretch that are made a row each.
const LENGTHS_MAX: usize = 4;

/// The rows of a pattern with that many groups, the whole counted; `None` for one that can't be read so.
pub(super) fn rows(pattern: &Hir, groups: usize) -> Option<Vec<Row>> {
    let empty = Draft {
        groups: vec![None; groups],
        ..Draft::default()
    };
    let mut rows = Vec::new();
    for mut draft in append(empty, pattern)? {
        *draft.groups.first_mut()? = Some(0..draft.stretches.len());
        settle(draft, &mut rows)?;
    }
    Some(rows)
}

/// A row as far as it is read.
#[derive(Debug, Clone, Default)]
struct Draft {
    stretches: Vec<Part>,
    groups: Vec<Option<Range<usize>>>,
    /// How many stretches stand before the last choice by which this row parts from others.
    chosen: usize,
    /// Whether the pattern says that nothing follows.
    is_ended: bool,
}

/// A stretch as the pattern has it.
#[derive(Debug, Clone)]
struct Part {
    /// What it is of, to be compared with others.
    letters: Arc<ClassUnicode>,
    /// The same, to match with: the rows of a pattern share it.
    class: Arc<Class>,
    least: usize,
    most: usize,
    /// Whether more of it is preferred.
    is_greedy: bool,
}

impl Part {
    fn new(class: ClassUnicode, (least, most): (usize, usize), is_greedy: bool) -> Self {
        Self {
            class: Arc::new(Class::new(&class)),
            letters: Arc::new(class),
            least,
            most,
            is_greedy,
        }
    }

    fn one(class: ClassUnicode) -> Self {
        Self::new(class, (1, 1), true)
    }

    fn is_fixed(&self) -> bool {
        self.least == self.most
    }

    /// Whether no character that can stand beside it is of its class, given what follows on that side, the
    /// nearest first.
    fn is_apart_from<'a>(&self, neighbours: impl Iterator<Item = &'a Self>) -> bool {
        for other in neighbours {
            let mut common = ClassUnicode::clone(&self.letters);
            common.intersect(&other.letters);
            if !common.ranges().is_empty() {
                return false;
            }
            if other.least > 0 {
                break;
            }
        }
        true
    }
}

/// Appends what a pattern says to a row: as many rows as it has alternatives.
fn append(mut draft: Draft, pattern: &Hir) -> Option<Vec<Draft>> {
    match pattern.kind() {
        HirKind::Empty => {}
        HirKind::Literal(text) => {
            let text = std::str::from_utf8(&text.0).ok()?;
            for character in text.chars() {
                draft.push(Part::one(only(character)))?;
            }
        }
        HirKind::Class(class) => draft.push(Part::one(code_points_of(class)?))?,
        HirKind::Look(Look::Start) if draft.stretches.is_empty() => {}
        HirKind::Look(Look::End) => draft.is_ended = true,
        HirKind::Look(_) => return None,
        HirKind::Repetition(repetition) => return repeat(draft, repetition),
        HirKind::Capture(Capture { index, sub, .. }) => {
            let (group, start) = (usize::try_from(*index).ok()?, draft.stretches.len());
            let mut rows = append(draft, sub)?;
            for row in &mut rows {
                *row.groups.get_mut(group)? = Some(start..row.stretches.len());
            }
            return Some(rows);
        }
        HirKind::Concat(parts) => {
            return parts.iter().try_fold(vec![draft], |rows, part| {
                all(rows.into_iter().map(|row| append(row, part)))
            });
        }
        HirKind::Alternation(parts) => {
            let chosen = draft.choose();
            return all(parts.iter().map(|part| append(chosen.clone(), part)));
        }
    }
    Some(vec![draft])
}

/// All rows, if there are few.
fn all(rows: impl Iterator<Item = Option<Vec<Draft>>>) -> Option<Vec<Draft>> {
    let mut all = Vec::new();
    for rows in rows {
        all.extend(rows?);
        if all.len() > ROWS_MAX {
            return None;
        }
    }
    Some(all)
}

fn repeat(mut draft: Draft, repetition: &Repetition) -> Option<Vec<Draft>> {
    let Repetition {
        min,
        max,
        greedy,
        sub,
    } = repetition;
    let least = usize::try_from(*min).ok()?;
    let most = max.map_or(Some(usize::MAX), |max| usize::try_from(max).ok())?;
    if let Some(class) = class_of(sub) {
        draft.push(Part::new(class, (least, most), *greedy))?;
        return Some(vec![draft]);
    }
    // Which of its matches a repeated group keeps is left to the engine.
    if most > 1 && sub.properties().explicit_captures_len() > 0 || most - least >= LENGTHS_MAX {
        return None;
    }
    let before = draft.stretches.len();
    let is_choice = least < most;
    let draft = if is_choice { draft.choose() } else { draft };
    let times = |times: usize| {
        let mut rows = vec![draft.clone()];
        for _ in 0..times {
            rows = all(rows.into_iter().map(|row| append(row, sub)))?;
        }
        // Whether to go on is chosen after each time: a choice within it would come first.
        let parts = rows
            .iter()
            .flat_map(|row| row.stretches.iter().skip(before));
        let is_one = rows.len() == 1 && parts.into_iter().all(Part::is_fixed);
        (!is_choice || most == 1 || is_one).then_some(rows)
    };
    match greedy {
        true => all((least..=most).rev().map(times)),
        false => all((least..=most).map(times)),
    }
}

/// Makes rows of what was read, a row for each length of what has no bound of its own. `None` where those would
/// be too many, or not in the order of the engine.
fn settle(draft: Draft, rows: &mut Vec<Row>) -> Option<()> {
    // What stands before the last choice has one length whatever is chosen; else the order of rows
    // wouldn't be that of the engine.
    let before = draft.stretches.get(..draft.chosen)?;
    let mut before = before.iter().enumerate();
    if !before.all(|(place, part)| part.is_fixed() || draft.is_apart_ahead(place)) {
        return None;
    }
    if let Some(free) = draft.free() {
        rows.push(draft.row(free));
        return (rows.len() <= ROWS_MAX).then_some(());
    }
    let mut parts = draft.stretches.iter().enumerate();
    let (place, part) =
        parts.find(|(place, part)| !part.is_fixed() && !draft.is_apart_ahead(*place))?;
    if part.most - part.least >= LENGTHS_MAX {
        return None;
    }
    let mut lengths: Vec<usize> = (part.least..=part.most).collect();
    if part.is_greedy {
        lengths.reverse();
    }
    for length in lengths {
        let mut draft = draft.clone();
        draft.chosen = place + 1;
        let part = draft.stretches.get_mut(place)?;
        (part.least, part.most) = (length, length);
        settle(draft, rows)?;
    }
    Some(())
}

impl Draft {
    fn push(&mut self, part: Part) -> Option<()> {
        let has_room = self.stretches.len() < STRETCHES_MAX && !self.is_ended;
        has_room.then(|| self.stretches.push(part))
    }

    /// The same row, from which others part here.
    fn choose(self) -> Self {
        Self {
            chosen: self.stretches.len(),
            ..self
        }
    }

    /// Whether a stretch ends where what comes next begins.
    fn is_apart_ahead(&self, place: usize) -> bool {
        let next = self.stretches.get(place + 1..).unwrap_or_default();
        let part = self.stretches.get(place);
        part.is_some_and(|part| part.is_apart_from(next.iter()))
    }

    /// Whether a stretch begins where what comes before ends.
    fn is_apart_behind(&self, place: usize) -> bool {
        let before = self.stretches.get(..place).unwrap_or_default();
        let part = self.stretches.get(place);
        part.is_some_and(|part| part.is_apart_from(before.iter().rev()))
    }

    /// Which stretch has what the others leave; none where none is of free length. `None` where more than
    /// one would need to.
    fn free(&self) -> Option<Option<usize>> {
        let places = 0..self.stretches.len();
        let is_free = |place: &usize| !self.stretches.get(*place).is_some_and(Part::is_fixed);
        let mut free = places.filter(is_free);
        let mut last = None;
        for place in free.by_ref() {
            last = Some(place);
            if !self.is_apart_ahead(place) {
                break;
            }
        }
        free.all(|place| self.is_apart_behind(place))
            .then_some(last)
    }

    fn row(self, free: Option<usize>) -> Row {
        let stretches = self.stretches.iter().map(|part| Stretch {
            class: Arc::clone(&part.class),
            least: part.least,
            most: part.most,
        });
        Row {
            stretches: stretches.collect(),
            free,
            groups: self.groups,
        }
    }
}

/// The class of a pattern of one character.
fn class_of(pattern: &Hir) -> Option<ClassUnicode> {
    match pattern.kind() {
        HirKind::Class(class) => code_points_of(class),
        HirKind::Literal(text) => {
            let mut characters = std::str::from_utf8(&text.0).ok()?.chars();
            let first = characters.next()?;
            characters.next().is_none().then(|| only(first))
        }
        HirKind::Empty
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Capture(_)
        | HirKind::Concat(_)
        | HirKind::Alternation(_) => None,
    }
}

/// The class of one character.
fn only(character: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(character, character)])
}

/// A class as one of code points.
fn code_points_of(class: &HirClass) -> Option<ClassUnicode> {
    match class {
        HirClass::Unicode(class) => Some(class.clone()),
        HirClass::Bytes(class) => class.to_unicode_class(),
    }
}
