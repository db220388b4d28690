//! `plan --diff`: what a change of the site does to its grants.

use std::path::Path;

use serde_json::json;

use super::output::Answer;
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::plan::diff::{GrantDiff, diff_of_live};
use crate::site::Site;

/// Compares the grants of the site with those of `old`, a copy of it from before a change.
pub(super) fn plan_diff(root: &Path, old: &Path, grant: Option<&str>) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let old = Site::load(old)?;
    if let Some(id) = grant
        && !installation.site.grants.contains_key(id)
        && !old.grants.contains_key(id)
    {
        return Err(RunError::Invalid {
            what: format!("there is no grant `{id}` in either site"),
            at: "command line".to_owned(),
            remedy: "`lockgate grant list` lists the grants".to_owned(),
        });
    }
    let history = installation.history()?;
    let sites = (&old, &installation.site);
    let grants = diff_of_live(&history, sites, grant, installation.today()?);
    Answer::new(text(&grants), &json!({ "grants": grants }))
}

fn text(grants: &[GrantDiff]) -> String {
    if grants.is_empty() {
        return "no live grant changes\n".to_owned();
    }
    let mut text = String::new();
    for grant in grants {
        let suspended = if grant.suspended { ", suspended" } else { "" };
        text.push_str(&format!("grant {}{suspended}\n", grant.grant));
        for change in &grant.changes {
            let field = change
                .field
                .as_ref()
                .map_or_else(String::new, |field| format!("`{field}` "));
            text.push_str(&format!("  {field}{}\n", change.what));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::diff::{Change, ChangeKind};

    #[test]
    fn the_heading_of_a_suspended_grant_says_so() {
        let grant = |id: &str, suspended| GrantDiff {
            grant: id.to_owned(),
            suspended,
            changes: vec![Change {
                kind: ChangeKind::Weaker,
                field: Some("name".to_owned()),
                what: "weaker".to_owned(),
            }],
        };
        assert_eq!(
            text(&[grant("G-1", false), grant("G-2", true)]),
            "grant G-1\n  `name` weaker\ngrant G-2, suspended\n  `name` weaker\n"
        );
    }
}
