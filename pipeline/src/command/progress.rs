//! The progress bar: rows, bytes, rate, time left, on a terminal's standard error.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::task::AbortOnDropHandle;

use crate::engine::Progress;

/// How often the bar is redrawn.
const REDRAW: Duration = Duration::from_millis(200);

/// Shows a run's progress until dropped; `None` where standard error is no terminal.
pub(super) fn show(progress: &Arc<Progress>) -> Option<AbortOnDropHandle<()>> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template(
        "{bar:30} {percent:>3}%  {msg}  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
    )
    .ok()?;
    let bar = ProgressBar::new(0).with_style(style);
    let progress = Arc::clone(progress);
    let task = tokio::runtime::Handle::current().spawn(async move {
        let clear = ClearOnDrop(bar);
        loop {
            let (bytes, total) = progress.bytes();
            let (rows, rows_total) = progress.rows();
            clear.0.set_length(total);
            clear.0.set_position(bytes);
            clear.0.set_message(match rows_total {
                0 => format!("{rows} rows"),
                total => format!("{rows}/{total} rows"),
            });
            tokio::time::sleep(REDRAW).await;
        }
    });
    Some(AbortOnDropHandle::new(task))
}

/// Leaves the terminal as it was.
struct ClearOnDrop(ProgressBar);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
