//! `dispose`: destroys what the site holds of a delivery, and says what that covers.

use std::path::Path;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::files::read_file;
use super::output::Answer;
use super::verify::delivery_store;
use crate::cli::DisposeArgs;
use crate::clock::Clock;
use crate::dispose::{self, DisposeRequest, Disposed};
use crate::error::RunError;
use crate::installation::Installation;
use crate::receipt;

pub(super) async fn dispose(
    root: &Path,
    args: &DisposeArgs,
    cancel: &CancellationToken,
) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let folder = delivery_store(Some(&installation), &args.delivery)?;
    let statement = args.statement.as_ref();
    let statement = statement
        .map(|file| read_file(file, receipt::BYTES_MAX))
        .transpose()?;
    let request = DisposeRequest {
        folder: &folder,
        statement: statement.as_deref(),
        backups_until: args.backups_until,
        destination_gone: args.gone,
    };
    let disposed = Box::pin(dispose::dispose(&installation, &request, cancel)).await?;
    let document = json!({
        "unchanged": disposed.unchanged,
        "record_sha256": disposed.record_sha256,
        "record": disposed.record,
    });
    Answer::new(text(&disposed), &document)
}

fn text(disposed: &Disposed) -> String {
    let record = &disposed.record;
    let mut text = match disposed.unchanged {
        true => format!("was disposed of on {}: {}\n", record.at, record.delivery),
        false => format!("disposed of: {}\n", record.delivery),
    };
    if let Some(key) = &record.key {
        text.push_str(&format!(
            "  key      {} destroyed: {}\n  trial    {}\n",
            key.kek, key.answer, key.trial
        ));
    }
    let removed = record.files.iter().filter(|file| file.was_there).count();
    text.push_str(&format!(
        "  files    {removed} removed, {} gone before\n",
        record.files.len().saturating_sub(removed)
    ));
    for covered in &record.covers {
        text.push_str(&format!("  covers   {covered}\n"));
    }
    for not in &record.does_not_cover {
        text.push_str(&format!("  not      {not}\n"));
    }
    text
}
