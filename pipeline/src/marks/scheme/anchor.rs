//! What rows are found by. Fields are named, so that a leak may have them in any order.

use lockgate_transforms::marks::anchor::Family;
use serde::{Deserialize, Serialize};

/// What identifies the rows of a dataset, in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Of which kind.
    pub family: AnchorFamily,
    /// The dataset's names of the fields it is made of, as released, in an order that stays.
    pub fields: Vec<String>,
    /// Marked fields of which it is made, too: of what marks leave of their values. After the others, in an
    /// order that stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
}

impl Anchor {
    /// All fields it is made of, in their order.
    pub fn parts(&self) -> impl Iterator<Item = &String> {
        self.fields.iter().chain(&self.blocks)
    }
}

/// Of which kind an anchor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorFamily {
    /// The dataset's key.
    Key,
    /// Other fields, which marks leave alone, or what they leave of the values of some.
    Content,
}

impl AnchorFamily {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Key => Family::Key,
            Self::Content => Family::Content,
        }
    }
}
