//! The extract for a competent authority: usage records as a table that any program opens.

use super::UsageRecord;

/// Columns, in order.
const COLUMNS: [&str; 19] = [
    "entry",
    "at",
    "process",
    "outcome",
    "grant",
    "version",
    "provider",
    "recipient",
    "dataset",
    "scenario",
    "purpose",
    "basis",
    "delivery",
    "rows",
    "storage",
    "retention",
    "destroyed",
    "by",
    "reason",
];

/// Records as CSV (RFC 4180) with a header, in UTF-8 with the mark by which spreadsheets know it. A
/// text that a spreadsheet would take for a formula begins with an apostrophe.
#[must_use]
pub fn to_csv(records: &[UsageRecord]) -> String {
    let mut text = format!("\u{feff}{}\r\n", COLUMNS.join(","));
    for record in records {
        let number = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
        let cells = [
            record.entry.to_string(),
            record.at.clone(),
            record.process.to_owned(),
            record.outcome.clone(),
            record.grant.clone(),
            number(record.version.map(u64::from)),
            known(record.provider.as_ref()),
            known(record.recipient.as_ref()),
            known(record.dataset.as_ref()),
            known(record.scenario.as_ref()),
            known(record.purpose.as_ref()),
            known(record.basis.as_ref()),
            known(record.delivery.as_ref()),
            number(record.rows),
            known(record.storage.as_ref()),
            known(record.retention.as_ref()),
            known(record.destroyed.as_ref()),
            known(record.by.as_ref()),
            known(record.reason.as_ref()),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn known(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formula_is_left() {
        assert_eq!(quoted("plain 文本"), "plain 文本");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(quoted(""), "");
    }

    #[test]
    fn the_header_has_a_column_for_every_member() {
        assert_eq!(to_csv(&[]), format!("\u{feff}{}\r\n", COLUMNS.join(",")));
    }
}
