//! No key meets a nonce twice, over attempts that were killed and repeated: read from what they left at
//! the destination, half-written files included.
//!
//! Each test delivers the same rows again and again, kills some of the runs while a file is on the disk, and
//! takes what lies at the destination after each, before the next run removes what was left. A file of
//! an attempt is never written again, so that each path is one file, as far as it came.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lockgate_acceptance::site::{Dataset, Grant, Site, write_parquet};
use lockgate_connectors::keyring::read_private;
use lockgate_connectors::seal::envelope::MAGIC;
use lockgate_connectors::seal::{DekSource as _, DekUse, KeyFile, UnwrappedKek, WRAPPED_BYTES};

use super::killed::{killed_while_writing, whole};
use super::scanner::files_below;
use crate::PROGRAM;

/// Rows of each of two files: a group of rows of its own in what is delivered.
const ROWS: usize = 33_000;

/// Runs that are killed.
const KILLS: usize = 3;

/// Fields whose values are encrypted one by one.
const ENCRYPTED: [&str; 2] = ["person", "contact"];

/// Few values to encrypt, the same in both fields, and much beside them that fills files.
fn rows(file: usize) -> RecordBatch {
    let numbers = file * ROWS..(file + 1) * ROWS;
    let few = || -> ArrayRef {
        Arc::new(StringArray::from_iter(numbers.clone().map(|row| {
            (row % 16 == 0).then(|| format!("person {}", row % 64))
        })))
    };
    let wide = numbers.clone().map(|row| format!("{row:064}"));
    let wide: ArrayRef = Arc::new(StringArray::from_iter_values(wide));
    let columns = [
        ("person", few(), true),
        ("contact", few(), true),
        ("wide", wide, true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn site(delivery: &str) -> Site {
    let site = Site::new(PROGRAM);
    let fields = ["person", "contact", "wide"];
    let dataset = fields.iter().fold(Dataset::new("secret"), |dataset, name| {
        dataset.plain(name, "utf8")
    });
    site.dataset(&dataset);
    for file in 0..2 {
        let path = site.path(&format!("lake/secret/{file}.parquet"));
        write_parquet(&path, &rows(file), ROWS);
    }
    let encrypted = "{ kind = 'encrypt-rand', domain = 'person', encoding = 'base64url' }";
    let grant = Grant::new("G-1", "secret", &fields).delivery(delivery);
    let grant = ENCRYPTED
        .iter()
        .fold(grant, |grant, name| grant.treatment(name, encrypted));
    site.signed(&grant);
    fs::create_dir_all(site.beside().join("temporary")).expect("a directory");
    site
}

/// What several attempts left, by path, and which of it runs were writing when they were killed.
struct Left {
    site: Site,
    files: BTreeMap<PathBuf, Vec<u8>>,
    half_written: BTreeSet<PathBuf>,
}

impl Left {
    /// Delivers whole, killed several times, and whole again.
    fn by_attempts(delivery: &str) -> Self {
        let mut left = Self {
            site: site(delivery),
            files: BTreeMap::new(),
            half_written: BTreeSet::new(),
        };
        whole(&left.site);
        left.take();
        for _ in 0..KILLS {
            let begun = killed_while_writing(&left.site);
            assert!(!begun.is_empty(), "nothing was on the disk");
            left.half_written.extend(begun);
            left.take();
        }
        whole(&left.site);
        left.take();
        left
    }

    fn take(&mut self) {
        for path in files_below(&self.site.path("outbox")) {
            let bytes = fs::read(&path).expect("a file");
            self.files.entry(path).or_insert(bytes);
        }
    }

    /// The files whose names end so.
    fn ending(&self, end: &str) -> impl Iterator<Item = (&Path, &[u8])> {
        let files = self.files.iter();
        let of_kind = files.filter(move |(path, _)| path.to_string_lossy().ends_with(end));
        of_kind.map(|(path, bytes)| (path.as_path(), bytes.as_slice()))
    }

    /// The keys of the attempt that made a file, if it got so far as to write them beside it.
    fn keys(&self, path: &Path) -> Option<(KeyFile, UnwrappedKek)> {
        let bytes = self.files.get(&path.with_file_name("keys.json"))?;
        let file = KeyFile::parse(bytes).ok()?;
        let identity = read_private(&self.site.private_key("recipient")).expect("a key");
        let keys = file.unwrap(&identity).expect("the recipient's");
        Some((file, keys))
    }

    /// That no two attempts wrapped their KEK with one HPKE key.
    fn assert_encapsulations_differ(&self) {
        let mut seen = HashSet::new();
        for (path, bytes) in self.ending("keys.json") {
            let Ok(file) = KeyFile::parse(bytes) else {
                continue; // killed before it was on the disk
            };
            for entry in file.recipients {
                assert!(seen.insert(entry.enc), "{}", path.display());
            }
        }
        assert!(seen.len() >= 2, "two whole deliveries");
    }
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("a name")
}

/// The cells of a field in JSON lines, cut off or not.
fn cells(lines: &[u8], field: &str) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(lines);
    let key = format!("\"{field}\":\"");
    let values = text.split(&key).skip(1);
    let whole = values.filter_map(|value| Some(value.split_once('"')?.0));
    whole
        .map(|value| URL_SAFE_NO_PAD.decode(value).expect("base64url"))
        .collect()
}

/// Within a field, attempt and place of a cell are one to one with its key and nonce, as the
/// format of cells has them: bytes 5 to 37.
#[test]
fn no_cell_of_any_attempt_has_key_and_nonce_of_another() {
    let left = Left::by_attempts("seal = \"none\"\nformat = \"jsonl\"");
    let mut seen = HashSet::new();
    let mut killed_with_cells = 0;
    for (path, bytes) in left.ending(".jsonl") {
        let before = seen.len();
        for field in ENCRYPTED {
            for cell in cells(bytes, field) {
                assert!(cell.len() > 37 && cell[0] == 1, "a cell of AES");
                let place: [u8; 32] = cell[5..37].try_into().expect("32 bytes");
                assert!(seen.insert((field, place)), "{}", path.display());
            }
        }
        if left.half_written.contains(path) && seen.len() > before {
            killed_with_cells += 1;
        }
    }
    assert!(
        killed_with_cells >= 2,
        "{killed_with_cells} killed runs wrote cells"
    );
    // Two whole runs, a value in 16 rows of two fields.
    assert!(seen.len() > 2 * 2 * 2 * ROWS / 16, "{}", seen.len());
}

/// Each file in an envelope has a data key and a salt of its own, of which the keys of its chunks are
/// made: their numbers are nonces under no other key.
#[test]
fn no_envelope_of_any_attempt_has_the_key_of_another() {
    let left = Left::by_attempts("seal = \"envelope\"\nformat = \"csv\"");
    let (mut salts, mut wrapped_keys, mut deks) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut half_written = 0;
    for (path, bytes) in left.ending(".gdx") {
        if bytes.len() < MAGIC.len() + 4 {
            continue; // killed before its first bytes were on the disk
        }
        assert_eq!(bytes[..MAGIC.len()], MAGIC);
        let header = u32::from_be_bytes(bytes[8..12].try_into().expect("four bytes")) as usize;
        let wrapped = &bytes[header - WRAPPED_BYTES..header];
        let salt: [u8; 24] = bytes[header..header + 24].try_into().expect("24 bytes");
        assert!(salts.insert(salt), "{}", path.display());
        assert!(wrapped_keys.insert(wrapped.to_vec()), "{}", path.display());
        half_written += usize::from(left.half_written.contains(path));
        if let Some((file, keys)) = left.keys(path) {
            let aad = file
                .binding()
                .expect("a binding")
                .wrap_aad(name(path), DekUse::File);
            let dek = keys.dek(wrapped, &aad).expect("the file's key");
            assert!(deks.insert(*dek.expose()), "{}", path.display());
        }
    }
    assert!(
        half_written >= 2,
        "{half_written} killed runs wrote envelopes"
    );
    assert!(deks.len() >= 2, "two whole deliveries were opened");
    left.assert_encapsulations_differ();
}

/// Nonces of the modules of a sealed Parquet file, as far as it was written: a length of four bytes, the
/// nonce, what is encrypted. Behind them comes the footer, which doesn't begin with a length.
fn module_nonces(file: &[u8]) -> Vec<[u8; 12]> {
    const LENGTH_MAX: usize = 8 << 20;
    let tail = file.len().saturating_sub(8);
    let is_whole = file[tail..].ends_with(b"PARE") && file.len() > 12;
    let end = match is_whole {
        true => {
            let length = u32::from_le_bytes(file[tail..tail + 4].try_into().expect("four bytes"));
            tail - length as usize
        }
        false => file.len(),
    };
    let (mut at, mut nonces) = (4, Vec::new());
    while at + 16 <= end {
        let length = u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        if length > LENGTH_MAX {
            assert!(!is_whole, "no module at {at}");
            return nonces; // where the footer begins
        }
        nonces.push(file[at + 4..at + 16].try_into().expect("twelve bytes"));
        at += 4 + length;
    }
    assert!(!is_whole || at == end, "modules end at {at}, not {end}");
    nonces
}

#[test]
fn no_module_of_any_attempt_has_the_nonce_of_another() {
    let left = Left::by_attempts("seal = \"parquet\"\ncompression = \"none\"");
    let (mut nonces, mut deks) = (HashSet::new(), HashSet::new());
    let mut half_written = 0;
    for (path, bytes) in left.ending(".parquet") {
        let own = module_nonces(bytes);
        half_written += usize::from(left.half_written.contains(path) && !own.is_empty());
        for nonce in own {
            // Drawn for each column of each row group, and counted up from there: they differ whatever
            // the keys are.
            assert!(nonces.insert(nonce), "{}", path.display());
        }
        let marker = b"\"wrappedDEK\":\"footer.";
        let found = bytes
            .windows(marker.len())
            .rposition(|window| window == marker);
        if let (Some(at), Some((file, keys))) = (found, left.keys(path)) {
            let rest = &bytes[at + marker.len()..];
            let length = rest.iter().position(|byte| *byte == b'"').expect("its end");
            let wrapped = STANDARD.decode(&rest[..length]).expect("base64");
            let aad = file
                .binding()
                .expect("a binding")
                .wrap_aad(name(path), DekUse::Footer);
            let dek = keys.dek(&wrapped, &aad).expect("the footer's key");
            assert!(deks.insert(*dek.expose()), "{}", path.display());
        }
    }
    assert!(
        half_written >= 2,
        "{half_written} killed runs wrote modules"
    );
    assert!(nonces.len() > 40, "{}", nonces.len());
    assert!(deks.len() >= 2, "two whole deliveries were opened");
    left.assert_encapsulations_differ();
}
