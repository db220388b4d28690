//! `preview`: treated rows of a grant, and beside them the originals where the site allows it.

use std::path::Path;

use serde_json::{Value, json};

use super::output::{Answer, table};
use crate::cli::PreviewArgs;
use crate::clock::Clock;
use crate::engine::OverLimit;
use crate::error::RunError;
use crate::installation::Installation;
use crate::preview::{Bar, Preview, Profile, preview as preview_rows};

/// Widest bar of a histogram, in characters.
const BAR_CHARACTERS: u64 = 24;

/// Shows the first rows a grant would deliver.
pub(super) async fn preview(root: &Path, args: &PreviewArgs) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let preview = Box::pin(preview_rows(
        &installation,
        &args.grant,
        args.rows,
        args.before,
    ))
    .await?;
    let width = comfy_table::Table::new().width().map(usize::from);
    Answer::new(text(&preview, width), &document(&args.grant, &preview))
}

fn document(grant: &str, preview: &Preview) -> Value {
    json!({
        "grant": grant,
        "fields": preview.fields,
        "rows": preview.treated,
        "before": preview.originals,
        "profiled": preview.profiled,
        "counts": preview.counts,
        "fallback": preview.fallback(),
        "warnings": preview.over_limit.iter().map(warning).collect::<Vec<_>>(),
        "notes": preview.notes,
        "distinct": preview
            .distinct_before
            .iter()
            .zip(&preview.after)
            .map(|(before, after)| json!({ "before": before, "after": after.distinct }))
            .collect::<Vec<_>>(),
        "histograms": {
            "before": preview.before.as_ref().map(|profiles| histograms(profiles)),
            "after": histograms(&preview.after),
        },
    })
}

/// Everything there is to see, for a terminal of that many columns; absent where there is none.
fn text(preview: &Preview, width: Option<usize>) -> String {
    let mut text = shown_rows(preview, width);
    text.push_str(&format!("the first {} rows in scope\n", preview.profiled));
    let profiles = preview.distinct_before.iter().zip(&preview.after);
    let cases = preview
        .fields
        .iter()
        .zip(&preview.counts)
        .zip(preview.fallback())
        .zip(profiles)
        .map(|(((field, counts), fallback), (before, after))| {
            [
                field.clone(),
                counts.nulls.to_string(),
                counts.empty.to_string(),
                counts.short.to_string(),
                counts.invalid.to_string(),
                fallback.to_string(),
                counts.sentinels.to_string(),
                format!("{before} → {}", after.distinct),
            ]
        });
    text.push_str(&table(
        &[
            "field", "null", "empty", "short", "invalid", "fallback", "sentinel", "distinct",
        ],
        cases,
    ));
    text.push_str(&told(preview));
    for (index, field) in preview.fields.iter().enumerate() {
        let of =
            |profiles: &[Profile]| profiles.get(index).map(|profile| profile.histogram.clone());
        if let Some(before) = preview.before.as_deref().and_then(of) {
            text.push_str(&histogram(&format!("{field}, original"), &before));
        }
        if let Some(after) = of(&preview.after) {
            text.push_str(&histogram(field, &after));
        }
    }
    text
}

/// The treated rows, each value beside its original where those are shown and the terminal is wide
/// enough; else the originals in a table of their own.
fn shown_rows(preview: &Preview, width: Option<usize>) -> String {
    let cells = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>();
    let treated: Vec<Vec<String>> = preview.treated.iter().map(cells).collect();
    let header: Vec<&str> = preview.fields.iter().map(String::as_str).collect();
    let Some(originals) = &preview.originals else {
        return table(&header, treated);
    };
    let originals: Vec<Vec<String>> = originals.iter().map(cells).collect();
    let original = |field: &String| [field.clone(), format!("{field} (original)")];
    let both: Vec<String> = preview.fields.iter().flat_map(original).collect();
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    let pairs = treated.iter().zip(&originals);
    let pairs: Vec<Vec<String>> = pairs
        .map(|(treated, original)| {
            let pairs = treated.iter().zip(original);
            pairs
                .flat_map(|(one, other)| [one, other])
                .cloned()
                .collect()
        })
        .collect();
    if width.is_none_or(|width| needed(&both, &pairs) <= width) {
        return table(&both, pairs);
    }
    format!(
        "{}originals of the same rows\n{}",
        table(&header, treated),
        table(&header, originals)
    )
}

/// Columns of a terminal that a table needs so that no cell is broken.
fn needed(header: &[&str], rows: &[Vec<String>]) -> usize {
    // Space on both sides of each cell.
    const AROUND: usize = 2;
    let widest = |(column, name): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| columns(cell));
        AROUND + cells.max().unwrap_or(0).max(columns(name))
    };
    header.iter().enumerate().map(widest).sum()
}

/// Columns of a terminal that text takes at most: Han characters and many others take two.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| if c < '\u{1100}' { 1 } else { 2 })
        .sum()
}

/// What of the rows was left out, rejected, or more than a run bears.
fn told(preview: &Preview) -> String {
    let mut text = String::new();
    for (field, counts) in preview.fields.iter().zip(&preview.counts) {
        for (reason, rows) in &counts.dropped {
            text.push_str(&format!(
                "{rows} rows left out for {field}: {}\n",
                printable(reason)
            ));
        }
        if counts.widened > 0 {
            let rows = counts.widened;
            text.push_str(&format!(
                "{rows} results of {field} keep a wider part than asked for\n"
            ));
        }
        if counts.rejected > 0 {
            text.push_str(&format!("{} rows rejected for {field}\n", counts.rejected));
        }
    }
    for found in &preview.over_limit {
        let line = format!("warning: field {}: {}\n", found.field, over_limit(found));
        text.push_str(&line);
    }
    for note in &preview.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// What it means for a run that a limit is exceeded among the profiled rows.
fn over_limit(found: &OverLimit) -> String {
    let OverLimit {
        invalid,
        values,
        limit,
        ..
    } = found;
    format!(
        "{invalid} of the {values} values looked at are invalid, more than the share of {limit} that \
         `max_invalid` bears; a run fails if that goes for all rows"
    )
}

fn warning(found: &OverLimit) -> Value {
    json!({ "code": "max-invalid", "field": found.field, "what": over_limit(found) })
}

fn histograms(profiles: &[Profile]) -> Vec<&[Bar]> {
    profiles
        .iter()
        .map(|profile| profile.histogram.as_slice())
        .collect()
}

/// A histogram as bars of text; nothing where there is no value.
fn histogram(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.rows).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let rows = bars.iter().map(|bar| {
        let length = (bar.rows * BAR_CHARACTERS).div_ceil(most);
        let drawn = "▇".repeat(usize::try_from(length).unwrap_or(0));
        [printable(&bar.label), bar.rows.to_string(), drawn]
    });
    table(&[title, "rows", ""], rows)
}

/// Without the control characters by which a value could steer the terminal.
fn printable(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            '\u{FFFD}'
        } else {
            character
        }
    };
    text.chars().map(shown).collect()
}

fn cell(value: &Option<String>) -> String {
    value.as_deref().map_or_else(|| "∅".to_owned(), printable)
}

#[cfg(test)]
mod tests {
    use lockgate_transforms::Counts;

    use super::*;

    #[test]
    fn a_limit_that_a_run_would_exceed_is_warned_of_in_text_and_json() {
        let preview = Preview {
            fields: vec!["phone".to_owned()],
            treated: Vec::new(),
            originals: None,
            profiled: 3,
            counts: vec![Counts::default()],
            over_limit: vec![OverLimit {
                field: "phone".to_owned(),
                invalid: 2,
                values: 3,
                limit: serde_json::from_value(json!("0.5")).unwrap(),
            }],
            after: Vec::new(),
            before: None,
            distinct_before: Vec::new(),
            notes: vec!["3 tokens are provisional".to_owned()],
        };
        let what = "2 of the 3 values looked at are invalid, more than the share of 0.5 that \
                    `max_invalid` bears; a run fails if that goes for all rows";
        let line = format!("warning: field phone: {what}\n");
        let text = text(&preview, None);
        assert!(text.contains(&line), "{text}");
        assert!(text.contains("note: 3 tokens are provisional\n"));
        assert_eq!(
            document("G-1", &preview)["warnings"],
            json!([{ "code": "max-invalid", "field": "phone", "what": what }])
        );
    }

    #[test]
    fn originals_stand_beside_treated_values_where_the_terminal_is_wide_enough() {
        let row = |cells: [Option<&str>; 2]| cells.map(|cell| cell.map(str::to_owned)).to_vec();
        let preview = Preview {
            fields: vec!["phone".to_owned(), "name".to_owned()],
            treated: vec![row([Some("138****8000"), Some("张**")]), row([None, None])],
            originals: Some(vec![
                row([Some("13800138000"), Some("张三丰")]),
                row([None, Some("李四")]),
            ]),
            profiled: 2,
            counts: Vec::new(),
            over_limit: Vec::new(),
            after: Vec::new(),
            before: None,
            distinct_before: Vec::new(),
            notes: Vec::new(),
        };
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let lines = |width| {
            shown_rows(&preview, width)
                .lines()
                .map(words)
                .collect::<Vec<_>>()
        };
        // 13 + 18 + 6 + 17 columns are needed.
        for wide in [None, Some(54), Some(200)] {
            let beside = lines(wide);
            assert_eq!(
                beside,
                [
                    words("phone phone (original) name name (original)"),
                    words("138****8000 13800138000 张** 张三丰"),
                    words("∅ ∅ ∅ 李四"),
                ],
                "{wide:?}"
            );
        }
        let below = lines(Some(53));
        assert_eq!(below.len(), 7);
        assert_eq!(below[0], words("phone name"));
        assert_eq!(below[3], words("originals of the same rows"));
        assert_eq!(below[5], words("13800138000 张三丰"));
    }
}
