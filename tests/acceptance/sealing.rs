//! Sealed deliveries, end to end: what leaves is sealed, opens to what a plain delivery holds with the
//! recipient's key alone, and shows when anything of it was changed, exchanged or left plain.

mod approvals;
pub(crate) mod attacks;
mod keys;
mod readers;
mod recipients;
mod released_last;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use lockgate_acceptance::site::{Delivery, Grant, Site, write_parquet};
use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::parquet::encryption::{SealedReader, decryption_properties};
use lockgate_connectors::keyring::read_private;
use lockgate_connectors::seal::{DekSource, KeyFile};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::exchange::nested;
use crate::people::{self, FIELDS};

/// The grant of every test here.
const GRANT: &str = "G-1";

/// Rows from which a source file has a row group of its own in what is delivered.
const GROUP_ROWS: usize = 33_000;

/// Files of a source of many rows.
const FILES: usize = 4;

/// A grant of the register's fields, sealed as the strongest seal of its format is.
fn sealed_grant(delivery: &str) -> Grant {
    people::grant(GRANT, &FIELDS).delivery(delivery)
}

/// A site, and two deliveries of the same rows: one plain, one sealed.
pub(crate) struct Pair {
    pub(crate) site: Site,
    plain: Delivery,
    pub(crate) sealed: Delivery,
}

impl Pair {
    pub(crate) fn new(rows: usize, delivery: &str, policy: &str) -> Self {
        let site = people::bare_site();
        // Splits are never joined over files, and one of so many rows has a row group of its own.
        let files = if rows < FILES * GROUP_ROWS { 1 } else { FILES };
        for file in 0..files {
            let path = site.path(&format!("lake/people/{file}.parquet"));
            let rows = rows * file / files..rows * (file + 1) / files;
            write_parquet(&path, &people::people(rows), 100_000);
        }
        site.policy(&format!("{policy}\n{}", people::POLICY));
        site.signed(&people::grant(GRANT, &FIELDS));
        let plain = site.deliver(GRANT);
        site.signed(&sealed_grant(delivery).version(2));
        let sealed = site.deliver(GRANT);
        Self {
            site,
            plain,
            sealed,
        }
    }

    pub(crate) fn opened(&self) -> Opened {
        Opened::of(&self.sealed, &self.site.private_key("recipient")).expect("the KEK")
    }
}

/// A delivery with its keys.
pub(crate) struct Opened {
    file: KeyFile,
    keys: Arc<dyn DekSource>,
}

impl Opened {
    fn of(delivery: &Delivery, identity: &Path) -> Result<Self, ConnectorError> {
        let bytes = fs::read(keys_path(delivery)).expect("keys.json");
        let file = KeyFile::parse(&bytes)?;
        let keys = file.unwrap(&read_private(identity)?)?;
        Ok(Self {
            file,
            keys: Arc::new(keys),
        })
    }

    /// The row groups of a sealed Parquet file.
    fn groups(&self, bytes: Bytes, name: &str) -> Result<Vec<RecordBatch>, ConnectorError> {
        let binding = self.file.binding()?;
        let properties = decryption_properties(Arc::clone(&self.keys), &binding, name)?;
        let reader = SealedReader::open(bytes, &properties, name)?;
        let schema = Arc::clone(reader.schema());
        (0..reader.group_rows().len())
            .map(|group| {
                let batches = reader
                    .read_group(group)?
                    .collect::<Result<Vec<_>, ConnectorError>>()?;
                Ok(concat_batches(&schema, &batches).expect("batches of one schema"))
            })
            .collect()
    }

    /// What the footer of a sealed Parquet file says, as the crate beneath reads it.
    pub(crate) fn footer(&self, bytes: &Bytes, name: &str) -> ParquetMetaData {
        let binding = self.file.binding().expect("a binding");
        let properties = decryption_properties(Arc::clone(&self.keys), &binding, name);
        ParquetMetaDataReader::new()
            .with_decryption_properties(Some(properties.expect("a suite of Parquet")))
            .parse_and_finish(bytes)
            .expect("a footer")
    }

    /// The row groups of all files of a delivery.
    fn delivery(&self, delivery: &Delivery) -> Vec<Vec<RecordBatch>> {
        let files = delivery.files();
        files
            .iter()
            .zip(delivery.bytes())
            .map(|(path, bytes)| self.groups(bytes, file_name(path)).expect("a sealed file"))
            .collect()
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("a name")
}

fn keys_path(delivery: &Delivery) -> PathBuf {
    let path = delivery.manifest()["seal"]["keys"]["path"].as_str();
    delivery.folder().join(path.expect("a key file"))
}

/// Every column chunk is encrypted, whatever it is a leaf of, and none has a bloom filter, which would
/// stand there plain. Gives the paths of the leaves.
fn assert_all_encrypted(opened: &Opened, delivery: &Delivery) -> Vec<String> {
    let mut paths = Vec::new();
    for (path, bytes) in delivery.files().iter().zip(delivery.bytes()) {
        let footer = opened.footer(&bytes, file_name(path));
        for column in footer.row_groups().iter().flat_map(|group| group.columns()) {
            let path = column.column_path().string();
            assert!(column.crypto_metadata().is_some(), "{path} is plain");
            assert!(column.bloom_filter_offset().is_none(), "{path}");
            paths.push(path);
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// All rows of row groups.
fn rows(groups: &[Vec<RecordBatch>]) -> RecordBatch {
    let batches: Vec<&RecordBatch> = groups.iter().flatten().collect();
    concat_batches(&batches[0].schema(), batches).expect("batches of one schema")
}

#[test]
fn a_sealed_delivery_opens_to_what_the_plain_one_holds() {
    let rows_read = crate::exchange_site::number("LOCKGATE_SEALED_ROWS", 140_000);
    let rows_read = usize::try_from(rows_read).unwrap();
    let pair = Pair::new(rows_read, "", "");
    let manifest = pair.sealed.manifest();
    let seal = &manifest["seal"];
    assert_eq!(seal["kind"], "parquet");
    assert_eq!(seal["suite"], "AES256GCM-SHA256");
    assert_eq!(seal["release"], "offline");
    let attempt = manifest["attempt"].as_str().unwrap();
    let delivery = manifest["delivery"].as_str().unwrap();
    assert_eq!(
        seal["aad_prefix"],
        format!("lockgate/{delivery}/{attempt}/{{file}}")
    );
    let opened = pair.opened();
    assert_eq!(
        assert_all_encrypted(&opened, &pair.sealed).len(),
        FIELDS.len()
    );
    let groups = opened.delivery(&pair.sealed);
    let sizes: Vec<Vec<i64>> = groups
        .iter()
        .map(|file| file.iter().map(|group| group.num_rows() as i64).collect())
        .collect();
    assert_eq!(sizes, pair.plain.row_groups());
    // Row groups behind the first are bound to their numbers.
    assert!(
        rows_read < FILES * GROUP_ROWS || sizes[0].len() >= FILES,
        "{sizes:?}"
    );
    assert_eq!(rows(&groups), pair.plain.rows());
    for path in pair.sealed.files() {
        let bytes = fs::read(path).unwrap();
        assert!(bytes.starts_with(b"PARE") && bytes.ends_with(b"PARE"));
    }
    let folder = pair.sealed.folder().to_str().unwrap();
    let verified = pair.site.json(["verify", folder]);
    verified.expect_code(0);
    assert_eq!(verified.document()["valid"], true);
    // Run again, nothing is due; asked again, everything is other bytes and the same rows.
    assert_eq!(pair.site.run(GRANT).document()["status"], "unchanged");
    let again = pair.site.json(["run", GRANT, "--again"]).expecting(0);
    let again = Delivery::of_run(&again.document());
    let opened = Opened::of(&again, &pair.site.private_key("recipient")).unwrap();
    assert_eq!(rows(&opened.delivery(&again)), rows(&groups));
    assert_ne!(again.bytes(), pair.sealed.bytes());
}

#[test]
fn lists_structs_and_maps_are_sealed_leaf_by_leaf() {
    let site = nested::site();
    site.signed(&Grant::new(GRANT, "families", &nested::FIELDS));
    let plain = site.deliver(GRANT);
    for (version, sealing) in [(2, ""), (3, "[sealing]\ncolumn_keys_from_level = 1\n")] {
        let rules = "[[rules]]\ntreatment = { kind = 'clear' }\n";
        site.policy(&format!("{sealing}{rules}"));
        let grant = Grant::new(GRANT, "families", &nested::FIELDS);
        site.signed(&grant.version(version).delivery("seal = \"parquet\""));
        let sealed = site.deliver(GRANT);
        let opened = Opened::of(&sealed, &site.private_key("recipient")).unwrap();
        assert_eq!(
            assert_all_encrypted(&opened, &sealed),
            [
                "amounts.key_value.key",
                "amounts.key_value.value",
                "children.list.element.age",
                "children.list.element.name",
                "home.street",
                "home.tags.list.element",
                "id",
            ]
        );
        assert_eq!(rows(&opened.delivery(&sealed)), plain.rows(), "{sealing}");
        let folder = sealed.folder().to_str().unwrap();
        site.json(["verify", folder]).expect_code(0);
    }
}

#[test]
fn a_delivery_without_rows_is_sealed_too() {
    let site = people::site(50);
    site.signed(&sealed_grant("").rows("id < 0"));
    let delivery = site.deliver(GRANT);
    let opened = Opened::of(&delivery, &site.private_key("recipient")).unwrap();
    let groups = opened.delivery(&delivery);
    assert_eq!(groups.len(), 1);
    assert!(groups[0].is_empty());
    let folder = delivery.folder().to_str().unwrap();
    site.json(["verify", folder]).expect_code(0);
}

#[test]
fn an_envelope_holds_the_very_bytes_of_the_plain_file() {
    use lockgate_connectors::seal::envelope::EnvelopeReader;
    use std::io::Read as _;
    for suite in ["AES256GCM-SHA256", "SM4GCM-SM3"] {
        let policy = format!("[sealing]\nsuite = \"{suite}\"");
        let pair = Pair::new(300, "seal = \"envelope\"", &policy);
        let manifest = pair.sealed.manifest();
        assert_eq!(manifest["seal"]["suite"], suite);
        assert!(manifest["seal"].get("aad_prefix").is_none());
        let opened = pair.opened();
        for (path, plain) in pair.sealed.files().iter().zip(pair.plain.bytes()) {
            let name = file_name(path);
            assert!(name.ends_with(".parquet.gdx"), "{name}");
            let file = fs::File::open(path).unwrap();
            let binding = opened.file.binding().unwrap();
            let keys = opened.keys.as_ref();
            let mut reader = EnvelopeReader::open(file, &binding, name, keys).unwrap();
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, plain, "{suite}");
        }
        let folder = pair.sealed.folder().to_str().unwrap();
        pair.site.json(["verify", folder]).expect_code(0);
    }
}
