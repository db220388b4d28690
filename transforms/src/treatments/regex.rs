//! `regex`: groups of a pattern hidden, or the value rewritten from them.
//!
//! The pattern describes the whole value. A pattern that is searched for within the value lets
//! through whatever stands beside the match, and everything where nothing matches: so a value that
//! the pattern doesn't describe from its first to its last character is invalid.
//!
//! The `regex` crate matches in time linear in the value, whatever the pattern, so a policy can't
//! make a run hang; limits on the pattern and on what it compiles to bound memory. Where the places of the
//! groups follow without trying, they are found without it (`placed`).

mod placed;
mod template;

use std::ops::Range;

use ::regex::{CaptureLocations, Regex as Pattern, RegexBuilder};
use arrow::datatypes::DataType;
use regex_syntax::ParserBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clusters;
use crate::error::{Case, Misfit};
use crate::fill::{Filler, Length, default_fill, default_length};
use crate::key::DerivedKey;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{self, MaskTreatment, Output, TextKernel, Written};
use crate::treatment::Treatment;
use placed::{Found, Placed, Places, Row};
use template::{Piece, Template};

/// Most bytes of a pattern or a replacement.
const TEXT_BYTES_MAX: usize = 1_000;

/// Most bytes of a compiled pattern: a few thousand states.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// Most bytes of the states a thread remembers while it matches.
const CACHE_BYTES_MAX: usize = 2 << 20;

/// Deepest nesting of a pattern.
const NESTING_MAX: u32 = 50;

/// Hides groups of a pattern, or rewrites the value from them.
///
/// The pattern must match the whole value; a value that it doesn't match is invalid. So is one in
/// which a group to hide is absent or empty, one that the replacement would give again character by
/// character, in whatever order, and one where a group would cut a character in two.
///
/// With `groups`, a result has as many characters as its value, unless `length` is a number; with
/// `replacement`, what the replacement says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regex {
    /// The pattern of the whole value, in the syntax of the Rust crate `regex`: no look-around, no
    /// back-references. At most 1,000 bytes.
    pub pattern: String,
    /// What takes the place of the value: text, with `$1`, `${1}` or `${name}` for a group and `$$`
    /// for a dollar sign. Either this or `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// The numbers of the groups that are hidden, from 1; the rest of the value stays. Either this
    /// or `replacement`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<usize>,
    /// The character written over hidden ones.
    #[serde(default = "default_fill")]
    pub fill: String,
    /// Number of fills for each hidden stretch: `"same"` as was hidden, or a number, which hides
    /// its length too.
    #[serde(default = "default_length")]
    pub length: Length,
}

impl Regex {
    fn compile(&self) -> Result<Pattern, Misfit> {
        let refused = |what: String| Misfit::of_parameter("pattern", what);
        if self.pattern.len() > TEXT_BYTES_MAX {
            let what = format!("`pattern` is above its limit of {TEXT_BYTES_MAX} bytes");
            return Err(refused(what));
        }
        let compile = |pattern: &str| {
            RegexBuilder::new(pattern)
                .size_limit(PROGRAM_BYTES_MAX)
                .dfa_size_limit(CACHE_BYTES_MAX)
                .nest_limit(NESTING_MAX)
                .build()
                .map_err(|error| refused(format!("`pattern` is refused: {}", reason(&error))))
        };
        // Alone first, so that `a)|(b` can't step out of what is put around it.
        compile(&self.pattern)?;
        compile(&format!(r"\A(?:{})\z", self.pattern))
    }

    fn kernel(&self) -> Result<Kernel, Misfit> {
        let pattern = self.compile()?;
        let filler = Filler::new(&self.fill, self.length)?;
        let placed = self.placed(pattern.captures_len());
        let action = match (&self.replacement, self.groups.is_empty()) {
            (Some(replacement), true) => {
                Action::Replace(Template::parse(replacement, &pattern, TEXT_BYTES_MAX)?)
            }
            (None, false) => {
                let groups = self.hidden_groups(&pattern)?;
                let rows = placed.iter().flat_map(Placed::rows);
                let hidden = rows.map(|row| Hidden::new(&groups, row, self.length));
                Action::Hide(hidden.collect(), groups)
            }
            (Some(_), false) => {
                return Err(Misfit::of_parameter(
                    "groups",
                    "`groups` and `replacement` exclude each other",
                )
                .with_hint("`groups` hides parts of the value, `replacement` writes another"));
            }
            (None, true) => {
                return Err(Misfit::of_parameter(
                    "groups",
                    "neither `groups` nor `replacement` is given",
                )
                .with_hint("name the groups of the pattern to hide, such as [1]"));
            }
        };
        Ok(Kernel {
            pattern,
            placed,
            action,
            filler,
        })
    }

    /// The pattern, which has that many groups, where these have their places.
    fn placed(&self, groups: usize) -> Option<Placed> {
        let mut parser = ParserBuilder::new().nest_limit(NESTING_MAX).build();
        Placed::read(&parser.parse(&self.pattern).ok()?, groups)
    }

    fn hidden_groups(&self, pattern: &Pattern) -> Result<Vec<usize>, Misfit> {
        let last = pattern.captures_len() - 1;
        if self.groups.iter().any(|group| !(1..=last).contains(group)) {
            let misfit =
                Misfit::of_parameter("groups", "`groups` names a group that `pattern` lacks");
            return Err(misfit.with_hint(match last {
                0 => "put what is to be hidden in parentheses".to_owned(),
                last => format!("its groups are 1 to {last}, by their opening parentheses"),
            }));
        }
        let mut groups = self.groups.clone();
        groups.sort_unstable();
        groups.dedup();
        if groups.len() < self.groups.len() {
            return Err(
                Misfit::of_parameter("groups", "`groups` names a group twice")
                    .with_hint("name each once"),
            );
        }
        Ok(groups)
    }
}

/// What is wrong with a pattern, without the many lines that show where.
fn reason(error: &::regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.trim_start_matches("error: ")
        .trim_end_matches('.')
        .to_owned()
}

impl Definition for Regex {
    const KIND: &'static str = "regex";
    const SUMMARY: &'static str = "hides groups of a pattern, or rewrites the value from them";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str =
        "{ kind = \"regex\", pattern = '(\\d{6})(\\d{8})(\\d{3}[\\dX])', groups = [2, 3] }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    /// Patterns are not compared but as text. Every group of the floor is hidden here too; since a
    /// value must fill all of them, whatever this hides in part the floor hides no more of.
    fn at_least(&self, floor: &Self) -> bool {
        self.pattern == floor.pattern
            && self.replacement == floor.replacement
            && floor.groups.iter().all(|group| self.groups.contains(group))
            && self.length.at_least(floor.length)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        text::only(Self::KIND, column)?;
        self.kernel()?;
        Ok(Some(DataType::Utf8))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        text::only(Self::KIND, column)?;
        Ok(Box::new(MaskTreatment::new(
            self.kernel()?,
            options,
            column,
        )?))
    }
}

#[derive(Debug)]
enum Action {
    /// By row of a placed pattern, what is hidden of it, `None` if it lacks a group to hide; and the groups
    /// to hide, in ascending order.
    Hide(Vec<Option<Hidden>>, Vec<usize>),
    Replace(Template),
}

#[derive(Debug)]
struct Kernel {
    pattern: Pattern,
    /// The same, where its groups have their places.
    placed: Option<Placed>,
    action: Action,
    filler: Filler,
}

/// The groups to hide, as stretches of a row.
#[derive(Debug)]
struct Hidden {
    /// All groups in order, none over another: each gets its own fills. Neighbours are one where there is
    /// a fill for each character anyway.
    parts: Vec<Range<usize>>,
    /// The groups in which there may be nothing.
    may_lack: Vec<Range<usize>>,
}

impl Hidden {
    /// `None` where the row lacks one of the groups.
    fn new(groups: &[usize], row: &Row, length: Length) -> Option<Self> {
        let groups = groups.iter().map(|group| row.group(*group).cloned());
        let groups: Vec<_> = groups.collect::<Option<_>>()?;
        let mut parts = merged(groups.clone());
        if length == Length::Same {
            parts.dedup_by(|next, part| {
                let follows = part.end == next.start;
                if follows {
                    part.end = next.end;
                }
                follows
            });
        }
        let may_lack = |group: &Range<usize>| row.can_be_empty(group);
        Some(Self {
            parts,
            may_lack: groups.into_iter().filter(may_lack).collect(),
        })
    }
}

/// Where the groups of a pattern stand in a value.
#[derive(Debug)]
enum Groups<'a> {
    Placed(Places<'a>),
    ByEngine(CaptureLocations),
}

impl Groups<'_> {
    /// The bytes of a group, if the pattern matched with it.
    fn get(&self, group: usize) -> Option<(usize, usize)> {
        match self {
            Self::Placed(places) => places.group(group).map(|span| (span.start, span.end)),
            Self::ByEngine(locations) => locations.get(group),
        }
    }
}

impl Kernel {
    /// The places of the groups by the engine, where the pattern matches the whole value.
    fn locate(&self, value: &str) -> Result<CaptureLocations, Case> {
        let mut locations = self.pattern.capture_locations();
        let found = self
            .pattern
            .captures_read(&mut locations, value)
            .ok_or(Case::Invalid)?;
        match found.range() == (0..value.len()) {
            true => Ok(locations),
            false => Err(Case::Invalid),
        }
    }

    /// Hides parts of a value whose places are known.
    #[inline]
    fn hide_placed(
        &self,
        hidden: &Hidden,
        places: &Places<'_>,
        value: &str,
        out: &mut impl Output,
    ) -> Result<(), Case> {
        let lacks = |group: &Range<usize>| places.of(group).is_empty();
        if hidden.may_lack.iter().any(lacks) {
            return Err(Case::Invalid);
        }
        if let [part] = hidden.parts.as_slice() {
            let span = places.of(part);
            let characters = places.characters(value, &span);
            let written = self
                .filler
                .write_over(value, span.start, span.end, characters, out);
            return written.map_err(|_| Case::Invalid);
        }
        let (start, mut at) = (out.length(), 0);
        for part in &hidden.parts {
            let span = places.of(part);
            out.push(value.get(at..span.start).unwrap_or_default());
            self.filler.write(places.characters(value, &span), out);
            at = span.end;
        }
        out.push(value.get(at..).unwrap_or_default());
        if out.ends_with(start, value) {
            out.truncate(start);
            return Err(Case::Invalid);
        }
        Ok(())
    }

    /// Appends a value rewritten.
    fn rewrite(
        &self,
        template: &Template,
        found: Found<'_>,
        value: &str,
        out: &mut impl Output,
    ) -> Result<(), Case> {
        if !template.has_groups() {
            out.push(template.literal());
            let is_match = match found {
                Found::Match(_) => true,
                Found::NoMatch => false,
                Found::Unread => self.pattern.is_match(value),
            };
            return if is_match { Ok(()) } else { Err(Case::Invalid) };
        }
        let groups = match found {
            Found::Match(places) => Groups::Placed(places),
            Found::NoMatch => return Err(Case::Invalid),
            Found::Unread => Groups::ByEngine(self.locate(value)?),
        };
        Self::replace(template, &groups, value, out)
    }

    /// Hides the groups that the engine found, each with its own fills.
    fn hide(
        &self,
        groups: &[usize],
        locations: &CaptureLocations,
        value: &str,
        out: &mut impl Output,
    ) -> Result<(), Case> {
        let spans = groups
            .iter()
            .map(|group| hidden_span(locations.get(*group), value));
        let mut at = 0;
        for span in merged(spans.collect::<Result<_, _>>()?) {
            out.push(value.get(at..span.start).unwrap_or_default());
            at = span.end;
            let characters = clusters::count(value.get(span).unwrap_or_default());
            self.filler.write(characters, out);
        }
        out.push(value.get(at..).unwrap_or_default());
        Ok(())
    }

    fn replace(
        template: &Template,
        groups: &Groups<'_>,
        value: &str,
        out: &mut impl Output,
    ) -> Result<(), Case> {
        let mut given = 0;
        for piece in template.pieces() {
            match piece {
                Piece::Literal(text) => out.push(text),
                Piece::Group(group) => {
                    if let Some(place) = groups.get(*group) {
                        let span = span_of(Some(place), value)?;
                        given += span.len();
                        out.push(value.get(span).unwrap_or_default());
                    }
                }
            }
        }
        // Groups may lie one over another, or be given twice.
        if given >= value.len() && Self::gives_whole(template, groups, value) {
            Err(Case::Invalid)
        } else {
            Ok(())
        }
    }

    /// Whether a replacement gives every character of a value.
    #[cold]
    fn gives_whole(template: &Template, groups: &Groups<'_>, value: &str) -> bool {
        let given = template.pieces().iter().filter_map(|piece| match piece {
            Piece::Group(group) => groups.get(*group),
            Piece::Literal(_) => None,
        });
        let given = merged(given.map(|(from, to)| from..to).collect());
        given.iter().map(ExactSizeIterator::len).sum::<usize>() == value.len()
    }
}

/// The place of a group; invalid where it is absent or would cut a character in two.
fn span_of(place: Option<(usize, usize)>, value: &str) -> Result<Range<usize>, Case> {
    let (from, to) = place.ok_or(Case::Invalid)?;
    let apart = clusters::is_boundary(value, from) && clusters::is_boundary(value, to);
    if apart {
        Ok(from..to)
    } else {
        Err(Case::Invalid)
    }
}

/// The place of a group to be hidden; invalid where there is nothing in it, too.
fn hidden_span(place: Option<(usize, usize)>, value: &str) -> Result<Range<usize>, Case> {
    span_of(place, value).and_then(|span| match span.is_empty() {
        true => Err(Case::Invalid),
        false => Ok(span),
    })
}

/// The same places in ascending order, overlapping ones joined.
fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    spans.dedup_by(|next, last| {
        let is_over = next.start < last.end;
        if is_over {
            last.end = last.end.max(next.end);
        }
        is_over
    });
    spans
}

impl<O: Output> TextKernel<O> for Kernel {
    fn treat(&self, value: &str, out: &mut O, _: &mut Vec<usize>) -> Result<Written, Case> {
        let placed = self.placed.as_ref();
        let found = placed.map_or(Found::Unread, |placed| placed.find(value));
        // By reference: places are large to move.
        if let (Action::Hide(hidden, _), Found::Match(places)) = (&self.action, &found) {
            let hidden = hidden.get(places.row()).and_then(Option::as_ref);
            self.hide_placed(hidden.ok_or(Case::Invalid)?, places, value, out)?;
            return Ok(Written::Text);
        }
        let start = out.length();
        let written = match (&self.action, found) {
            (Action::Hide(..), Found::Match(_) | Found::NoMatch) => Err(Case::Invalid),
            (Action::Hide(_, groups), Found::Unread) => self
                .locate(value)
                .and_then(|locations| self.hide(groups, &locations, value, out)),
            (Action::Replace(template), found) => self.rewrite(template, found, value, out),
        };
        if written.is_ok() && !out.ends_with(start, value) {
            return Ok(Written::Text);
        }
        out.truncate(start);
        Err(Case::Invalid)
    }

    fn cover(&self, characters: usize, out: &mut O) {
        self.filler.write(characters, out);
    }

    fn output_bytes(&self, rows: usize, bytes: usize) -> usize {
        self.filler.output_bytes(rows, bytes)
    }
}

#[cfg(test)]
mod tests;
