//! A line of a list of values: the value alone, or with what its row holds beside it.

/// What a line holds.
pub(super) struct Line {
    /// The value, as it was delivered.
    pub(super) value: String,
    /// The values of the fields that it is bound to, in the order of the fields' names, as texts, absent for
    /// a null; none at all where the line holds none.
    pub(super) row: Vec<Option<String>>,
}

impl Line {
    /// Reads a line of a field that is bound to so many others: a record of CSV (RFC 4180), in which
    /// nothing between commas is a null, and `""` an empty text. Where it is bound to none, the line is the
    /// value, and one with a comma, which no cell has, is of when it was bound. Absent where the line is none
    /// of this.
    pub(super) fn read(line: &str, bound: usize) -> Option<Self> {
        if bound == 0 {
            let is_alone = !line.contains(',');
            return is_alone.then(|| Self {
                value: line.to_owned(),
                row: Vec::new(),
            });
        }
        let mut cells = record(line)?.into_iter();
        let value = cells.next().flatten()?;
        let row: Vec<Option<String>> = cells.collect();
        (row.is_empty() || row.len() == bound).then_some(Self { value, row })
    }
}

/// The cells of a record; absent where a quote stands where none may.
fn record(line: &str) -> Option<Vec<Option<String>>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(text) => {
                let (text, after) = quoted(text)?;
                (Some(text), after)
            }
            None => plain(rest)?,
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(cells),
        }
    }
}

/// A cell without quotes, and what follows it.
fn plain(text: &str) -> Option<(Option<String>, &str)> {
    let end = text.find(',').unwrap_or(text.len());
    let (cell, after) = text.split_at_checked(end)?;
    if cell.contains('"') {
        return None;
    }
    let cell = (!cell.is_empty()).then(|| cell.to_owned());
    Some((cell, after))
}

/// A cell whose first quote was read, and what follows its last.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        cell.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Some((cell, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &str, bound: usize) -> Option<Vec<Option<String>>> {
        Line::read(line, bound).map(|line| line.row)
    }

    #[test]
    fn a_line_of_a_field_that_is_bound_to_none_is_the_value() {
        for line in ["AAAA", "\"", " x "] {
            let read = Line::read(line, 0).unwrap();
            assert_eq!((read.value.as_str(), read.row.len()), (line, 0));
        }
        for line in ["AAAA,P1", "AAAA,"] {
            assert_eq!(row(line, 0), None, "{line}");
        }
    }

    #[test]
    fn nulls_and_empty_texts_of_a_row_stay_apart() {
        let some = |text: &str| Some(text.to_owned());
        for (line, expected) in [
            ("AAAA,P1,3301", [some("P1"), some("3301")]),
            ("AAAA,,\"\"", [None, some("")]),
            (
                "\"AAAA\",\"a,b\",\"say \"\"no\"\"\"",
                [some("a,b"), some("say \"no\"")],
            ),
            ("AAAA, 张三 ,", [some(" 张三 "), None]),
        ] {
            let read = Line::read(line, 2).unwrap();
            assert_eq!(read.value, "AAAA", "{line}");
            assert_eq!(read.row, expected, "{line}");
        }
    }

    #[test]
    fn a_line_holds_all_of_its_row_or_none_of_it() {
        assert_eq!(row("AAAA", 2), Some(Vec::new()));
        for line in ["AAAA,P1", "AAAA,P1,3301,x", ",P1,3301", ""] {
            assert_eq!(row(line, 2), None, "{line}");
        }
    }

    #[test]
    fn quotes_that_are_out_of_place_make_no_record() {
        for line in ["AAAA,\"P1", "AAAA,P\"1", "AAAA,\"P1\"x", "AAAA,\"P1\"\""] {
            assert_eq!(row(line, 1), None, "{line}");
        }
    }
}
