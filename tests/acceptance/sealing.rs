//! Sealed deliveries, end to end: what leaves is sealed, opens to what a plain delivery holds with the
//! recipient's key alone, and shows when anything of it was changed, exchanged or left plain.

mod approvals;
mod attacks;
mod keys;
mod readers;
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

use crate::people::{self, FIELDS};

/// The grant of every test here.
const GRANT: &str = "G-1";

/// A grant of the register's fields, sealed as the strongest seal of its format is.
fn sealed_grant(delivery: &str) -> Grant {
    people::grant(GRANT, &FIELDS).delivery(delivery)
}

/// A site, and two deliveries of the same rows: one plain, one sealed.
struct Pair {
    site: Site,
    plain: Delivery,
    sealed: Delivery,
}

impl Pair {
    fn new(rows: usize, delivery: &str, policy: &str) -> Self {
        let site = people::bare_site();
        let source = site.path("lake/people/1.parquet");
        // Few row groups where there are many rows: the writer calls itself once for each.
        let group_rows = (rows / 4).max(100);
        write_parquet(&source, &people::people(0..rows), group_rows);
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

    fn opened(&self) -> Opened {
        Opened::of(&self.sealed, &self.site.private_key("recipient")).expect("the KEK")
    }
}

/// A delivery with its keys.
struct Opened {
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

/// All rows of row groups.
fn rows(groups: &[Vec<RecordBatch>]) -> RecordBatch {
    let batches: Vec<&RecordBatch> = groups.iter().flatten().collect();
    concat_batches(&batches[0].schema(), batches).expect("batches of one schema")
}

#[test]
fn a_sealed_delivery_opens_to_what_the_plain_one_holds() {
    let rows_read = crate::exchange_site::number("LOCKGATE_SEALED_ROWS", 140_000);
    let pair = Pair::new(usize::try_from(rows_read).unwrap(), "", "");
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
    let groups = pair.opened().delivery(&pair.sealed);
    let sizes: Vec<Vec<i64>> = groups
        .iter()
        .map(|file| file.iter().map(|group| group.num_rows() as i64).collect())
        .collect();
    assert_eq!(sizes, pair.plain.row_groups());
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
