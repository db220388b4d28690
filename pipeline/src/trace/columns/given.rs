//! Columns that the operator names, where the operator knows better than the search.

use std::collections::BTreeSet;

use super::Search;
use crate::error::RunError;
use crate::marks::Scheme;

impl Search<'_> {
    /// Refuses given columns for fields that no scheme has.
    ///
    /// # Errors
    /// There is one.
    pub(in crate::trace) fn check_fields<'s>(
        &self,
        schemes: impl Iterator<Item = &'s Scheme>,
    ) -> Result<(), RunError> {
        let mut fields = BTreeSet::new();
        for scheme in schemes {
            fields.extend(scheme.fields.iter().map(|field| field.name.as_str()));
            let anchors = scheme.anchors.iter().flat_map(|anchor| &anchor.fields);
            fields.extend(anchors.map(String::as_str));
        }
        match self.given.keys().find(|field| !fields.contains(**field)) {
            None => Ok(()),
            Some(field) => Err(RunError::Invalid {
                what: format!("field `{field}` neither carries marks nor finds them"),
                at: "--column".to_owned(),
                remedy: format!("name one of {}", some_of(&Vec::from_iter(fields))),
            }),
        }
    }
}

/// The place of a column that the operator names: by its header, or where no header says so as `column
/// 3`.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn place_of(column: &str, names: &[String]) -> Result<usize, RunError> {
    // What was taken for headers may be a row of the leak, so that none is shown.
    let refused = |what: String, remedy: &str| RunError::Invalid {
        what,
        at: "--column".to_owned(),
        remedy: remedy.to_owned(),
    };
    let mut named = (0..).zip(names).filter(|(_, name)| *name == column);
    match (named.next(), named.count()) {
        (Some((place, _)), 0) => return Ok(place),
        (Some(_), others) => {
            return Err(refused(
                format!("the file has {} columns `{column}`", others + 1),
                "say which by its place, counted from 1, such as `column 3`",
            ));
        }
        (None, _) => {}
    }
    let place = column.strip_prefix("column ");
    let place = place.and_then(|number| number.parse::<usize>().ok());
    let place = place.and_then(|number| number.checked_sub(1));
    place.filter(|place| *place < names.len()).ok_or_else(|| {
        refused(
            format!("the file has no column `{column}`"),
            "write the header as it stands in the file, or `column 3` for the third",
        )
    })
}

/// Some names, for a message.
fn some_of<N: AsRef<str>>(names: &[N]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", name.as_ref().escape_debug()))
        .collect();
    let rest = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{rest}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_column_is_found_by_its_header_or_its_place() {
        let names = ["id", "名", "id", "column 1"].map(str::to_owned);
        let place = |column: &str| place_of(column, &names);
        assert_eq!(place("名").unwrap(), 1);
        assert_eq!(place("column 3").unwrap(), 2);
        // A header that says so comes first.
        assert_eq!(place("column 1").unwrap(), 3);
        for (column, remedy) in [
            ("id", "by its place"),
            ("name", "as it stands"),
            ("column 0", "as it stands"),
            ("column 5", "as it stands"),
        ] {
            let Err(RunError::Invalid { remedy: told, .. }) = place(column) else {
                panic!("{column} is there");
            };
            assert!(told.contains(remedy), "{column}: {told}");
        }
    }
}
