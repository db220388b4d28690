//! Encrypted Parquet of a provider as a source.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_acceptance::site::Finished;
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;

use super::*;

const FOOTER: [u8; 32] = [7; 32];
const NAMES: [u8; 16] = [9; 16];
const PREFIX: &str = "psb/people/2026";

/// How a provider wrote its file.
#[derive(Clone, Copy)]
enum Written {
    Plain,
    /// Every column under the footer's key.
    Uniform,
    /// The same, with the prefix in the file.
    PrefixStored,
    /// Names under a key of their own, all others under the footer's.
    Keyed,
    /// Names encrypted, the other columns left plain.
    NamesOnly,
    /// Encrypted, the footer plain.
    PlainFooter,
}

fn write(site: &Site, written: Written) {
    let batch = people::people(0..300);
    let properties = FileEncryptionProperties::builder(FOOTER.to_vec())
        .with_aad_prefix(PREFIX.as_bytes().to_vec());
    let properties = match written {
        Written::Plain => None,
        Written::Uniform => Some(properties),
        Written::PrefixStored => Some(properties.with_aad_prefix_storage(true)),
        Written::Keyed => Some(FIELDS.iter().fold(properties, |properties, field| {
            let key = if *field == "name" {
                NAMES.to_vec()
            } else {
                FOOTER.to_vec()
            };
            properties.with_column_key(field, key)
        })),
        Written::NamesOnly => Some(properties.with_column_key("name", NAMES.to_vec())),
        Written::PlainFooter => Some(properties.with_plaintext_footer(true)),
    };
    let mut settings = WriterProperties::builder().set_max_row_group_row_count(Some(100));
    if let Some(properties) = properties {
        settings = settings.with_file_encryption_properties(properties.build().unwrap());
    }
    fs::create_dir_all(site.path("lake/people")).unwrap();
    let file = fs::File::create(site.path("lake/people/1.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(settings.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn site(written: Written, keys: &str) -> Site {
    let site = people::bare_site();
    write(&site, written);
    site.write("footer.key", &STANDARD.encode(FOOTER));
    site.write("names.key", &STANDARD.encode(NAMES));
    site.write("other.key", &STANDARD.encode([8; 32]));
    let columns: Vec<String> = FIELDS
        .iter()
        .map(|field| {
            let key = if *field == "name" { "names" } else { "footer" };
            format!("{field} = {{ file = \"{key}.key\" }}")
        })
        .collect();
    let keys = keys.replace("COLUMNS", &columns.join(", "));
    let source = format!(
        "store = \"lake\", path = \"people/\", format = \"parquet\", decryption = {{ {keys} }}"
    );
    site.dataset(&people::dataset().source(&source));
    site.signed(&people::grant(GRANT, &FIELDS));
    site
}

const KEYS: &str = "footer_key = { file = \"footer.key\" }, aad_prefix = \"psb/people/2026\"";
const KEYED: &str = "footer_key = { file = \"footer.key\" }, columns = { COLUMNS }, \
                     aad_prefix = \"psb/people/2026\"";

#[test]
fn an_encrypted_source_delivers_what_a_plain_one_does() {
    let plain = people::site(300);
    plain.signed(&people::grant(GRANT, &FIELDS));
    let expected = plain.deliver(GRANT).rows();
    for (written, keys) in [
        (Written::Uniform, KEYS),
        (Written::PrefixStored, KEYS),
        (Written::Keyed, KEYED),
    ] {
        let site = site(written, keys);
        let delivered = site.deliver(GRANT).rows();
        // Pseudonyms are of another site's key.
        for field in FIELDS.iter().filter(|field| **field != "person_id") {
            assert_eq!(
                delivered.column_by_name(field),
                expected.column_by_name(field),
                "{field}"
            );
        }
        assert_eq!(delivered.num_rows(), 300);
    }
}

fn assert_fails(site: &Site, what: &str) -> Finished {
    let failed = site.run(GRANT);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stdout.contains(what), "{failed:?}");
    for key in [STANDARD.encode(FOOTER), STANDARD.encode(NAMES)] {
        assert!(!failed.stdout.contains(&key) && !failed.stderr.contains(&key));
    }
    failed
}

#[test]
fn a_source_with_keys_takes_no_plain_file_footer_or_column() {
    assert_fails(&site(Written::Plain, KEYS), "not encrypted");
    assert_fails(&site(Written::PlainFooter, KEYS), "not encrypted");
    assert_fails(&site(Written::NamesOnly, KEYED), "a column is plain");
}

#[test]
fn wrong_keys_and_prefixes_open_nothing() {
    for keys in [
        "footer_key = { file = \"other.key\" }, aad_prefix = \"psb/people/2026\"",
        "footer_key = { file = \"footer.key\" }, aad_prefix = \"psb/people/2025\"",
        "footer_key = { file = \"footer.key\" }",
    ] {
        assert_fails(&site(Written::Uniform, keys), "footer");
    }
    let plain = people::bare_site();
    write(&plain, Written::Uniform);
    plain.signed(&people::grant(GRANT, &FIELDS));
    assert_fails(&plain, "footer");
}

#[test]
fn a_prefix_that_a_file_holds_is_not_taken_from_it() {
    let keys = "footer_key = { file = \"footer.key\" }";
    let site = site(Written::PrefixStored, keys);
    assert_fails(&site, "state that beside the keys as aad_prefix");
}

/// The length of a module is not authenticated, and the decoder takes memory for as much as it states.
#[test]
fn a_module_of_an_impossible_length_is_refused_before_it_is_decoded() {
    for length in [0, 27, 1 << 20, u32::MAX - 3, u32::MAX] {
        let site = site(Written::Uniform, KEYS);
        let path = site.path("lake/people/1.parquet");
        let mut bytes = fs::read(&path).unwrap();
        // The first module of the first column follows the magic.
        bytes[4..8].copy_from_slice(&u32::to_le_bytes(length));
        fs::write(&path, bytes).unwrap();
        assert_fails(&site, "a module ");
    }
}
