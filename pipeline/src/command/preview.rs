//! `preview`: treated rows of a grant, and beside them the originals where the site allows it.

use std::path::Path;

use serde_json::json;

use super::output::{Answer, table};
use crate::cli::PreviewArgs;
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::preview::{Preview, preview as preview_rows};

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
    let document = json!({
        "grant": args.grant,
        "fields": preview.fields,
        "rows": preview.treated,
        "before": preview.originals,
        "counts": preview.counts,
    });
    Answer::new(text(&preview), &document)
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
    let cases = preview
        .fields
        .iter()
        .zip(&preview.counts)
        .map(|(field, counts)| {
            [
                field.clone(),
                counts.nulls.to_string(),
                counts.empty.to_string(),
                counts.short.to_string(),
                counts.invalid.to_string(),
                counts.sentinels.to_string(),
            ]
        });
    text.push_str(&table(
        &["field", "null", "empty", "short", "invalid", "sentinel"],
        cases,
    ));
    text
}

fn cell(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "∅".to_owned())
}
