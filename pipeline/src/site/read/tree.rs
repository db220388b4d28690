//! Ways through a parse tree: by path, and by the bytes an error names.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A way from the root.
pub(super) type Path = Vec<Step>;

/// One step: into a table by key, into an array by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Where an error points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At a key.
    Key(Path),
    /// At a value.
    Value(Path),
}

/// The entry whose key or value has exactly these bytes; of several, the outermost table.
pub(super) fn find(table: &DeTable<'_>, span: &Range<usize>) -> Option<Place> {
    let mut path = Path::new();
    let is_key = find_in_table(table, span, &mut path)?;
    Some(if is_key {
        Place::Key(path)
    } else {
        Place::Value(path)
    })
}

/// Leaves the way to the entry in `path`; true for its key, false for its value.
fn find_in_table(table: &DeTable<'_>, span: &Range<usize>, path: &mut Path) -> Option<bool> {
    for (key, value) in table {
        path.push(Step::Key(key.get_ref().to_string()));
        if key.span() == *span {
            return Some(true);
        }
        if let found @ Some(_) = find_in_value(value, span, path) {
            return found;
        }
        path.pop();
    }
    None
}

fn find_in_value(
    value: &Spanned<DeValue<'_>>,
    span: &Range<usize>,
    path: &mut Path,
) -> Option<bool> {
    // Elements first: an array of tables has the bytes of its first element's header.
    if let DeValue::Array(array) = value.get_ref() {
        for (index, element) in array.iter().enumerate() {
            path.push(Step::Index(index));
            if let found @ Some(_) = find_in_value(element, span, path) {
                return found;
            }
            path.pop();
        }
    }
    if value.span() == *span {
        return Some(false);
    }
    value
        .get_ref()
        .as_table()
        .and_then(|table| find_in_table(table, span, path))
}

/// The value at a path, and the bytes of its key where it has one; `None` for the root.
pub(super) fn at<'t, 'i>(
    root: &'t DeTable<'i>,
    path: &[Step],
) -> Option<(Option<Range<usize>>, &'t Spanned<DeValue<'i>>)> {
    let (Step::Key(first), rest) = path.split_first()? else {
        return None;
    };
    let (key, mut value) = root.get_key_value(first.as_str())?;
    let mut key = Some(key.span());
    for step in rest {
        match (step, value.get_ref()) {
            (Step::Key(name), DeValue::Table(table)) => {
                let (next_key, next) = table.get_key_value(name.as_str())?;
                key = Some(next_key.span());
                value = next;
            }
            (Step::Index(index), DeValue::Array(array)) => {
                key = None;
                value = array.get(*index)?;
            }
            _ => return None,
        }
    }
    Some((key, value))
}

/// The value at a path, to be changed; `None` for the root.
pub(super) fn at_mut<'t, 'i>(
    root: &'t mut DeTable<'i>,
    path: &[Step],
) -> Option<&'t mut Spanned<DeValue<'i>>> {
    let (Step::Key(first), rest) = path.split_first()? else {
        return None;
    };
    let mut value = root.get_mut(first.as_str())?;
    for step in rest {
        value = match (step, value.get_mut()) {
            (Step::Key(name), DeValue::Table(table)) => table.get_mut(name.as_str())?,
            (Step::Index(index), DeValue::Array(array)) => array.get_mut(*index)?,
            _ => return None,
        };
    }
    Some(value)
}

/// The table at a path.
pub(super) fn table<'t, 'i>(root: &'t DeTable<'i>, path: &[Step]) -> Option<&'t DeTable<'i>> {
    match path {
        [] => Some(root),
        path => at(root, path).and_then(|(_, value)| value.get_ref().as_table()),
    }
}

/// The table at a path, to be changed.
pub(super) fn table_mut<'t, 'i>(
    root: &'t mut DeTable<'i>,
    path: &[Step],
) -> Option<&'t mut DeTable<'i>> {
    if path.is_empty() {
        return Some(root);
    }
    match at_mut(root, path)?.get_mut() {
        DeValue::Table(table) => Some(table),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => None,
    }
}

/// Takes an entry out; false if there is none.
pub(super) fn remove(root: &mut DeTable<'_>, path: &[Step]) -> bool {
    match path.split_last() {
        None => false,
        Some((Step::Key(key), parent)) => {
            table_mut(root, parent).is_some_and(|table| table.remove(key.as_str()).is_some())
        }
        Some((Step::Index(index), parent)) => match at_mut(root, parent).map(Spanned::get_mut) {
            Some(DeValue::Array(array)) if *index < array.len() => {
                let old = std::mem::replace(array, DeArray::new());
                let kept = old
                    .into_iter()
                    .enumerate()
                    .filter(|(other, _)| other != index);
                for (_, element) in kept {
                    array.push(element);
                }
                true
            }
            _ => false,
        },
    }
}

/// The steps from a value to what is directly below it.
pub(super) fn children(root: &DeTable<'_>, path: &[Step]) -> Vec<Step> {
    if let Some(table) = table(root, path) {
        return table
            .keys()
            .map(|key| Step::Key(key.get_ref().to_string()))
            .collect();
    }
    match at(root, path).map(|(_, value)| value.get_ref()) {
        Some(DeValue::Array(array)) => (0..array.len()).map(Step::Index).collect(),
        _ => Vec::new(),
    }
}
