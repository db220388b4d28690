//! JSON documents as text fields hold them: a strict scanner, paths, and how text is written.
//!
//! Strict, because what one reader takes for a stray byte or a second key of the same name another
//! reads as data: a document is treated only if every reader agrees on what it says. Numbers are
//! kept as their text, since a parser's numbers would be written back differently; that is why this
//! isn't done with `serde_json`, whose numbers are.

mod path;
mod tape;
mod write;

pub(crate) use path::Paths;
pub(crate) use tape::{Span, Tape, Token};
pub(crate) use write::write_text;
