//! What the treatments on top of FF1 share: how they name their key, and the tweak.

use super::Ff1;
use crate::error::Misfit;
use crate::key::{DerivedKey, KeyUse};
use crate::spec::Column;

/// Who can restore a value that FF1 permuted.
pub(crate) const REVERSIBLE: &str = "the holder of the `fpe` key can restore the value";

/// The key of a domain and join group.
pub(crate) fn key_use(domain: &str, join: Option<&String>) -> KeyUse {
    KeyUse {
        purpose: "fpe",
        domain: domain.to_owned(),
        join: join.cloned(),
    }
}

/// Refuses names that name nothing.
///
/// # Errors
/// A domain or join group of white space only.
pub(crate) fn check(domain: &str, join: Option<&String>) -> Result<(), Misfit> {
    if domain.trim().is_empty() {
        return Err(Misfit::of_parameter("domain", "`domain` is empty")
            .with_hint("name what is encrypted, such as \"person.id\""));
    }
    if join.is_some_and(|join| join.trim().is_empty()) {
        return Err(Misfit::of_parameter("join", "`join` is empty")
            .with_hint("name an approved join group, or leave it out"));
    }
    Ok(())
}

/// FF1 under the key of a field's treatment.
///
/// # Errors
/// There is no key.
pub(crate) fn cipher(
    kind: &str,
    column: Column<'_>,
    key: Option<&DerivedKey>,
) -> Result<Ff1, Misfit> {
    key.map(Ff1::new).ok_or_else(|| Misfit {
        parameter: None,
        what: format!("treatment `{kind}` of field `{}` has no key", column.name),
        hint: Some("make one with `lockgate keys new fpe`".to_owned()),
    })
}

/// A tweak's context: each part as a 4-byte big-endian length and its UTF-8 bytes, so that no two
/// lists of parts read the same.
pub(crate) fn context(parts: &[&str]) -> Vec<u8> {
    let mut context = Vec::new();
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        context.extend(length.to_be_bytes());
        context.extend(part.as_bytes());
    }
    context
}
