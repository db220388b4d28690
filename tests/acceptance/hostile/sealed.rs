//! Sealed deliveries and encrypted sources in which lengths, keys and documents are forged, by somebody
//! who may sign them too: whatever they say about themselves, nothing is opened or delivered, and what they
//! say is large takes no memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lockgate_acceptance::site::{Grant, RECIPIENT, Site};
use lockgate_connectors::seal::KeyFile;
use parquet::arrow::ArrowWriter;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;

use super::exchange::{Exchange, GRANT};
use super::watched;
use crate::people::{self, FIELDS};
use crate::sealing::attacks::Copy;
use crate::sealing::{Opened, Pair};

/// What a command may hold more over a forged file of some kilobytes than over the file as it was. The
/// lengths in these files say up to 4 GiB.
const MEMORY_MORE: u64 = 32 << 20;

/// Lengths that no module has, or not this one.
const LENGTHS: [u32; 6] = [0, 11, 27, 1 << 20, 1 << 31, u32::MAX];

/// Where the modules of a column chunk stand: each begins with its length.
fn modules(file: &[u8], footer: &ParquetMetaData, group: usize, column: usize) -> Vec<usize> {
    let (start, length) = footer.row_group(group).column(column).byte_range();
    let (mut at, end) = (start as usize, (start + length) as usize);
    let mut modules = Vec::new();
    while at < end {
        modules.push(at);
        at += 4 + u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    }
    assert_eq!(at, end, "modules fill their chunk");
    modules
}

fn with_length(file: &[u8], at: usize, length: [u8; 4]) -> Vec<u8> {
    let mut forged = file.to_vec();
    forged[at..at + 4].copy_from_slice(&length);
    forged
}

const FOOTER_KEY: [u8; 32] = [7; 32];
const PREFIX: &str = "psb/people/2026";
const PART: &str = "lake/people/1.parquet";

/// Three row groups of people, as a provider encrypts them.
fn encrypted() -> Vec<u8> {
    let batch = people::people(0..300);
    let keys = FileEncryptionProperties::builder(FOOTER_KEY.to_vec())
        .with_aad_prefix(PREFIX.as_bytes().to_vec())
        .build()
        .expect("keys");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .set_data_page_row_count_limit(40)
        .set_write_batch_size(20)
        .with_file_encryption_properties(keys)
        .build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows in Parquet");
    writer.close().expect("a Parquet footer");
    bytes
}

fn exchange() -> Exchange {
    let source = format!(
        "store = \"lake\", path = \"people/\", format = \"parquet\", decryption = {{ footer_key = {{ \
         file = \"footer.key\" }}, aad_prefix = \"{PREFIX}\" }}"
    );
    let dataset = people::dataset().source(&source);
    let grant = Grant::new(GRANT, "people", &FIELDS);
    let key = STANDARD.encode(FOOTER_KEY);
    let files = [
        ("footer.key", key.as_str()),
        ("policy.toml", people::POLICY),
    ];
    Exchange::prepared(&dataset, &grant, &[&key], &files)
}

#[test]
fn an_encrypted_source_with_a_forged_length_is_damaged_and_takes_no_memory() {
    let exchange = exchange();
    let file = encrypted();
    fs::write(exchange.site.path(PART), &file).expect("a source");
    let report = exchange.run().expect("a delivery");
    assert_eq!(report.rows.expect("rows").delivered, 300);
    let keys = FileDecryptionProperties::builder(FOOTER_KEY.to_vec())
        .with_aad_prefix(PREFIX.as_bytes().to_vec())
        .build()
        .expect("keys");
    let footer = ParquetMetaDataReader::new()
        .with_decryption_properties(Some(keys))
        .parse_and_finish(&Bytes::from(file.clone()))
        .expect("a footer");
    // The first, a middle and the last module of columns of several kinds.
    let mut places = vec![file.len() - 8];
    for (group, column) in [(0, 0), (1, 4), (2, 7)] {
        let modules = modules(&file, &footer, group, column);
        let last = modules.len() - 1;
        places.extend([modules[0], modules[modules.len() / 2], modules[last]]);
    }
    for at in &places {
        for length in LENGTHS {
            let forged = with_length(&file, *at, length.to_le_bytes());
            fs::write(exchange.site.path(PART), forged).expect("a source");
            let error = exchange.run().expect_err("damage");
            let text = error.to_string();
            assert!(text.contains("1.parquet"), "{length} at {at}: {text}");
            assert_eq!(error.class(), "data", "{length} at {at}: {text}");
        }
    }
    // And as it is shipped, with what it costs.
    let run = || {
        let mut command = exchange.site.command();
        watched(command.args(["--site", "site", "run", GRANT, "--again"]))
    };
    fs::write(exchange.site.path(PART), &file).expect("a source");
    let usual = (0..3).map(|_| {
        let (finished, memory) = run();
        finished.expect_code(0);
        memory
    });
    let usual = usual.max().unwrap_or_default();
    for at in [places[0], places[1], places[9]] {
        for length in [5, u32::MAX] {
            let forged = with_length(&file, at, length.to_le_bytes());
            fs::write(exchange.site.path(PART), forged).expect("a source");
            let (finished, memory) = run();
            finished.expect_code(1);
            let said = format!("{}{}", finished.stdout, finished.stderr);
            assert!(said.contains("damaged"), "{finished:?}");
            assert!(memory < usual + MEMORY_MORE, "{memory} after {usual}");
        }
    }
}

/// A delivery in a place of its own, of which files are forged and signed for again.
struct Forged {
    site: Site,
    copy: Copy,
    /// The part and its bytes as they were.
    path: String,
    file: Vec<u8>,
    /// Directories that were opened into.
    opened: usize,
}

impl Forged {
    fn new(pair: Pair) -> Self {
        let copy = Copy::of(&pair.site, &pair.sealed);
        let path = copy.manifest().files[0].path.clone();
        let file = fs::read(copy.path(&path)).expect("a part");
        Self {
            site: pair.site,
            copy,
            path,
            file,
            opened: 0,
        }
    }

    /// Puts another part in the place of the first, and says so in the manifest.
    fn put(&self, part: &[u8]) {
        let mut manifest = self.copy.manifest();
        fs::write(self.copy.path(&self.path), part).expect("a part");
        manifest.files[0].bytes = part.len() as u64;
        manifest.files[0].sha256 = lockgate::digest::sha256_hex(part);
        self.copy.sign(&manifest);
    }

    /// Puts another key file in the place of its own, and says so in the manifest.
    fn put_keys(&self, bytes: &[u8]) {
        let mut manifest = self.copy.manifest();
        let keys = manifest.seal.keys.as_mut().expect("a key file");
        fs::write(self.copy.path(&keys.path), bytes).expect("a key file");
        keys.bytes = bytes.len() as u64;
        keys.sha256 = lockgate::digest::sha256_hex(bytes);
        self.copy.sign(&manifest);
    }

    /// Opens it; gives the exit code and the most memory held. Nothing may stay where it fails.
    #[track_caller]
    fn open(&mut self, release: Option<&Path>) -> (i32, u64) {
        self.opened += 1;
        let to: PathBuf = self.site.beside().join(format!("opened-{}", self.opened));
        let mut command: Command = self.site.command();
        command
            .args(["--json", "open"])
            .arg(self.copy.folder())
            .arg("--identity")
            .arg(self.site.private_key("recipient"))
            .arg("--key")
            .arg(self.site.path("keys/manifest.pub"))
            .arg("--to")
            .arg(&to);
        if let Some(release) = release {
            command.arg("--release").arg(release);
        }
        let (finished, memory) = watched(&mut command);
        let left = fs::read_dir(&to).map_or(0, Iterator::count);
        assert_eq!(left > 0, finished.code == 0, "{finished:?}");
        (finished.code, memory)
    }

    /// Opens the delivery as it was, for what that costs.
    #[track_caller]
    fn usual(&mut self) -> u64 {
        let usual = (0..3).map(|_| {
            let (code, memory) = self.open(None);
            assert_eq!(code, 0);
            memory
        });
        usual.max().unwrap_or_default()
    }

    #[track_caller]
    fn refused(&mut self, what: &str, codes: &[i32], usual: u64) {
        let (code, memory) = self.open(None);
        assert!(codes.contains(&code), "{what}: {code}");
        assert!(
            memory < usual + MEMORY_MORE,
            "{what}: {memory} after {usual}"
        );
    }
}

#[test]
fn sealed_parquet_with_a_forged_length_opens_to_nothing_and_takes_no_memory() {
    let pair = Pair::new(300, "", "");
    let opened: Opened = pair.opened();
    let mut forged = Forged::new(pair);
    let file = forged.file.clone();
    let footer = opened.footer(&Bytes::from(file.clone()), "part-00000.parquet");
    let first = modules(&file, &footer, 0, 0);
    let last = modules(&file, &footer, 0, FIELDS.len() - 1);
    let usual = forged.usual();
    for at in [first[0], last[last.len() - 1], file.len() - 8] {
        for length in [0, 12, 27, 1 << 31, u32::MAX] {
            forged.put(&with_length(&file, at, length.to_le_bytes()));
            forged.refused(&format!("{length} at {at}"), &[4], usual);
        }
    }
    forged.put(&file);
    forged.usual();
}

#[test]
fn an_envelope_with_a_forged_length_opens_to_nothing_and_takes_no_memory() {
    let mut forged = Forged::new(Pair::new(300, "seal = \"envelope\"", ""));
    let file = forged.file.clone();
    let usual = forged.usual();
    // The header's length, and that of its first field, behind the magic.
    for at in [8, 12] {
        for length in [0, 11, 4097, 1 << 31, u32::MAX] {
            forged.put(&with_length(&file, at, length.to_be_bytes()));
            forged.refused(&format!("{length} at {at}"), &[4], usual);
        }
    }
    forged.put(&file);
    forged.usual();
}

#[test]
fn a_key_file_of_any_size_opens_nothing_and_takes_no_memory() {
    let mut forged = Forged::new(Pair::new(3, "", ""));
    let path = forged.copy.manifest().seal.keys.expect("keys").path;
    let bytes = fs::read(forged.copy.path(&path)).expect("keys.json");
    let file = KeyFile::parse(&bytes).expect("a key file");
    let usual = forged.usual();
    let to_many = |recipients: u32| {
        let mut many = file.clone();
        let entry = many.recipients.remove(0);
        let entries = (0..recipients).map(|number| {
            let mut entry = entry.clone();
            entry.kid = format!("{number:064x}");
            entry
        });
        many.recipients = entries.collect();
        serde_json::to_vec(&many).expect("JSON")
    };
    // As many recipients as a key file has room for, none of them this one; and far more.
    let most = to_many(3_500);
    assert!(most.len() < 1 << 20, "{}", most.len());
    forged.put_keys(&most);
    forged.refused("as many recipients as fit", &[2, 4], usual);
    for (what, bytes) in [
        ("fifty thousand recipients", to_many(50_000)),
        ("a mebibyte of brackets", b"[".repeat(1 << 20)),
        ("40 MiB", vec![b' '; 40 << 20]),
    ] {
        forged.put_keys(&bytes);
        forged.refused(what, &[4], usual);
    }
    forged.put_keys(&bytes);
    forged.usual();
}

#[test]
fn a_release_document_of_any_size_opens_nothing() {
    let pair = Pair::new(3, "release = \"online\"", "");
    let document = pair.site.beside().join("release.json");
    let released = pair.site.json([
        "release",
        pair.sealed.folder().to_str().expect("a path"),
        "--to",
        RECIPIENT,
        "--out",
        document.to_str().expect("a path"),
    ]);
    released.expect_code(0);
    let mut forged = Forged::new(pair);
    let whole = fs::read(&document).expect("a document");
    let (code, usual) = forged.open(Some(&document));
    assert_eq!(code, 0);
    for (what, bytes) in [
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("twice", whole.repeat(2)),
        ("a mebibyte of brackets", b"[".repeat(1 << 20)),
        ("nothing", Vec::new()),
        ("larger than one can be", vec![b'['; (64 << 20) + 1]),
    ] {
        fs::write(&document, bytes).expect("a document");
        let (code, memory) = forged.open(Some(&document));
        assert_eq!(code, 2, "{what}");
        // Of what may be a document, up to 64 MiB are read.
        assert!(
            memory < usual + 2 * MEMORY_MORE,
            "{what}: {memory} after {usual}"
        );
    }
}
