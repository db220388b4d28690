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
    Answer::new(text(&preview), &document(&args.grant, &preview))
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

fn text(preview: &Preview) -> String {
    let header: Vec<&str> = preview.fields.iter().map(String::as_str).collect();
    let shown = |rows: &[Vec<Option<String>>]| {
        table(
            &header,
            rows.iter()
                .map(|row| row.iter().map(cell).collect::<Vec<_>>()),
        )
    };
    let mut text = shown(&preview.treated);
    if let Some(originals) = &preview.originals {
        text.push_str("originals of the same rows\n");
        text.push_str(&shown(originals));
    }
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
        assert!(text(&preview).contains(&line), "{}", text(&preview));
        assert!(text(&preview).contains("note: 3 tokens are provisional\n"));
        assert_eq!(
            document("G-1", &preview)["warnings"],
            json!([{ "code": "max-invalid", "field": "phone", "what": what }])
        );
    }
}
