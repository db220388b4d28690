//! Records: one key in one file, sealed under the root and bound to its name.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Headed, KEKS, Store, kek_id, names, remove};
use crate::keyring::cipher::{self, length_prefixed};
use crate::keyring::head::put;
use crate::keyring::pair::open_private;
use crate::keyring::{KEY_BYTES, KekId, KeyringError, durable_error};

/// What a record's line begins with.
const RECORD: &str = "lockgate-record:v1:";

/// Most bytes of a record.
const RECORD_BYTES_MAX: u64 = 512;

impl Store {
    /// The record of a delivery's key.
    pub(super) fn kek_path(&self, headed: &Headed, id: &KekId) -> PathBuf {
        let directory = self.root_directory(headed.head.root).join(KEKS);
        directory.join(format!("{id}.key"))
    }

    /// Ids of the keys that have a record.
    pub(super) fn kek_records(&self, headed: &Headed) -> Result<Vec<KekId>, KeyringError> {
        let directory = self.root_directory(headed.head.root).join(KEKS);
        let mut ids: Vec<KekId> = names(&directory)?
            .iter()
            .filter_map(|name| name.strip_suffix(".key")?.parse().ok())
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads the record of a delivery's key; `None` if there is none.
    pub(super) fn read_kek(
        &self,
        headed: &Headed,
        id: &KekId,
    ) -> Result<Option<Zeroizing<[u8; KEY_BYTES]>>, KeyringError> {
        let path = self.kek_path(headed, id);
        if !path.try_exists().map_err(durable_error("read", &path))? {
            return Ok(None);
        }
        self.read_record(headed, &path, &kek_id(id)).map(Some)
    }

    /// Writes the record of a delivery's key.
    pub(super) fn write_kek(
        &self,
        headed: &Headed,
        id: &KekId,
        key: &[u8; KEY_BYTES],
    ) -> Result<(), KeyringError> {
        self.write_record(headed, &self.kek_path(headed, id), &kek_id(id), key)
    }

    /// Deletes a record or a key file.
    pub(super) fn delete(&self, path: &Path) -> Result<(), KeyringError> {
        remove(path)?;
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        self.sync(directory)
    }

    pub(super) fn read_record(
        &self,
        headed: &Headed,
        path: &Path,
        id: &str,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
        let altered = || KeyringError::Altered {
            path: path.to_owned(),
        };
        let mut text = String::new();
        open_private(path)?
            .take(RECORD_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| {
                // Not UTF-8.
                if error.kind() == io::ErrorKind::InvalidData {
                    altered()
                } else {
                    durable_error("read", path)(error)
                }
            })?;
        let sealed = text
            .strip_prefix(RECORD)
            .and_then(|rest| rest.strip_suffix('\n'))
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .ok_or_else(altered)?;
        let opened = headed.root.open(&sealed, &aad(id, headed.head.root))?;
        opened
            .and_then(|opened| cipher::key_of(&opened))
            .ok_or_else(altered)
    }

    pub(super) fn write_record(
        &self,
        headed: &Headed,
        path: &Path,
        id: &str,
        key: &[u8; KEY_BYTES],
    ) -> Result<(), KeyringError> {
        let sealed = headed.root.seal(key, &aad(id, headed.head.root))?;
        put(
            path,
            format!("{RECORD}{}\n", STANDARD.encode(sealed)).as_bytes(),
        )
    }
}

/// What binds a record to its name and its root.
fn aad(id: &str, root: u32) -> Vec<u8> {
    length_prefixed(&["lockgate/v1", "record", id, &root.to_string()])
}
