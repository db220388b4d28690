//! Where each entry of a file stands, so that a check made long after reading can point at it.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of a file and the places of its entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Bytes of the key; empty for elements of arrays.
    key: Range<usize>,
    /// Bytes of the value; of a table with a header, those of the header.
    value: Range<usize>,
    below: Below,
}

#[derive(Debug, Clone, Default)]
enum Below {
    #[default]
    Nothing,
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
}

impl Document {
    pub(super) fn new(text: &str, root: Option<&Spanned<DeTable<'_>>>) -> Self {
        let below = root.map_or(Below::Nothing, |root| Below::table(root.get_ref()));
        Self {
            text: text.to_owned(),
            root: Node {
                key: 0..0,
                value: 0..0,
                below,
            },
        }
    }

    /// A document of which only the text is known.
    pub(crate) fn of_text(text: &str) -> Self {
        Self::new(text, None)
    }

    /// Line and column, both from 1, the column in characters, of a byte of the text.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let bytes = self.text.as_bytes();
        let before = bytes.get(..offset.min(bytes.len())).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        let in_line = in_line
            .strip_prefix("\u{feff}".as_bytes())
            .unwrap_or(in_line);
        // Every byte of UTF-8 but those that continue a character begins one.
        (
            line,
            in_line.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1,
        )
    }

    /// Place of the value at a path of keys and indices (`["fields", "3", "category"]`); where the
    /// path ends early, of the deepest entry that exists.
    pub(crate) fn value(&self, path: &[&str]) -> (usize, usize) {
        let (node, _) = self.descend(path);
        self.position(node.value.start)
    }

    /// Place of the key at a path; where the path ends early, of the deepest value that exists.
    pub(crate) fn key(&self, path: &[&str]) -> (usize, usize) {
        let (node, whole) = self.descend(path);
        let range = if whole && !node.key.is_empty() {
            &node.key
        } else {
            &node.value
        };
        self.position(range.start)
    }

    fn descend(&self, path: &[&str]) -> (&Node, bool) {
        let mut node = &self.root;
        for step in path {
            let next = match &node.below {
                Below::Nothing => None,
                Below::Table(entries) => entries.get(*step),
                Below::Array(elements) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| elements.get(index)),
            };
            match next {
                Some(next) => node = next,
                None => return (node, false),
            }
        }
        (node, true)
    }
}

impl Below {
    fn table(table: &DeTable<'_>) -> Self {
        let entries = table.iter().map(|(key, value)| {
            (
                key.get_ref().to_string(),
                Node {
                    key: key.span(),
                    ..Node::of(value)
                },
            )
        });
        Self::Table(entries.collect())
    }
}

impl Node {
    fn of(value: &Spanned<DeValue<'_>>) -> Self {
        let below = match value.get_ref() {
            DeValue::Table(table) => Below::table(table),
            DeValue::Array(array) => Below::Array(array.iter().map(Self::of).collect()),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => Below::Nothing,
        };
        Self {
            key: 0..0,
            value: value.span(),
            below,
        }
    }
}
