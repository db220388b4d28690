//! The folder of a delivery: what stands in it, how its files are opened, and what stands there without
//! belonging to the delivery.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{GetResult, ObjectStore, ObjectStoreExt as _};

use super::error::failed;
use super::{Check, VerifyError};
use crate::manifest::{FILE_NAME, Manifest};

/// Most files of a folder that are looked at.
const LISTED_MAX: usize = 1_000_000;

/// Most foreign files that a note names.
const NAMED_MAX: usize = 5;

impl Check<'_> {
    /// Location of a file of the delivery. Names were checked to need no encoding.
    pub(super) fn location(&self, relative: &str) -> Path {
        self.folder
            .parts()
            .chain(Path::from(relative).parts())
            .collect()
    }

    /// Opens a file of the delivery; `None` if it is not there. A local pipe or device is not listed
    /// and is never opened: it would keep its reader waiting.
    pub(super) async fn open(&self, relative: &str) -> Result<Option<GetResult>, VerifyError> {
        let location = self.location(relative);
        if self
            .listed
            .as_ref()
            .is_some_and(|listed| !listed.contains(&location))
        {
            return Ok(None);
        }
        match self.store.get(&location).await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(relative, source)),
        }
    }

    /// Notes what stands beside the delivery without belonging to it.
    pub(super) fn bystanders(&mut self, manifest: &Manifest) {
        let mut named: BTreeSet<Path> = manifest
            .files
            .iter()
            .map(|file| self.location(&file.path))
            .collect();
        named.insert(self.location(FILE_NAME));
        named.extend(
            manifest
                .seal
                .keys
                .iter()
                .map(|keys| self.location(&keys.path)),
        );
        let Some(listed) = &self.listed else {
            self.note(
                "the folder could not be listed: files beside the delivery were not looked for",
            );
            return;
        };
        let foreign: Vec<&Path> = listed.difference(&named).collect();
        if foreign.is_empty() {
            return;
        }
        let shown = foreign.iter().take(NAMED_MAX).map(|location| {
            let parts: Option<Path> = location.prefix_match(self.folder).map(Iterator::collect);
            format!("`{}`", parts.as_ref().unwrap_or(location))
        });
        self.note(format!(
            "{} files that the manifest does not name do not belong to the delivery: {}",
            foreign.len(),
            shown.collect::<Vec<_>>().join(", ")
        ));
    }
}

/// What stands in a folder, links followed; `None` if the store does not say, or of too much.
pub(super) async fn listing(store: &Arc<dyn ObjectStore>, folder: &Path) -> Option<BTreeSet<Path>> {
    let mut listed = BTreeSet::new();
    let mut listing = store.list(Some(folder));
    while let Some(item) = listing.next().await {
        listed.insert(item.ok()?.location);
        if listed.len() > LISTED_MAX {
            return None;
        }
    }
    Some(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_are_joined_once() {
        let parts: Path = Path::from("a/b")
            .parts()
            .chain(Path::from("c/d").parts())
            .collect();
        assert_eq!(parts, Path::from("a/b/c/d"));
    }
}
