//! Same input, same output: threads and batch sizes change when something happens, and no byte of
//! what is delivered.

use lockgate_acceptance::site::{Delivery, write_parquet};

use crate::people::{self, FIELDS, grant, people};

/// Files of the source: rows, and rows of a row group. One is large enough for a row group of its
/// own, the others are joined; row groups and batches never end together.
const FILES: [(std::ops::Range<usize>, usize); 4] = [
    (0..70_000, 20_000),
    (70_000..71_500, 333),
    (71_500..99_000, 9_000),
    (99_000..112_000, 50_000),
];

#[test]
fn threads_and_batch_sizes_change_no_byte() {
    let site = people::bare_site();
    for (number, (rows, group_rows)) in FILES.into_iter().enumerate() {
        let path = site.path(&format!("lake/people/{number}.parquet"));
        write_parquet(&path, &people(rows), group_rows);
    }
    // Rejected, filtered and null rows; columns that repeat and columns that do not.
    let signed = grant("G-1", &FIELDS)
        .treatment(
            "name",
            "{ kind = 'keep-ends', first = 1, last = 0, on_short = 'reject' }",
        )
        .treatment("income", "{ kind = 'round', to = '1000' }")
        .treatment("seen", "{ kind = 'date-trunc', unit = 'hour' }")
        .rows("id <> 13 AND income < 19000.00");
    site.signed(&signed);
    let mut first: Option<(Delivery, serde_json::Value)> = None;
    for threads in [1, 2, 4] {
        for batch_rows in [1_000, 7_777, 16_384, 100_000] {
            let run = format!("{threads} threads, batches of {batch_rows}");
            site.configure_more(&format!(
                "[limits]\nthreads = {threads}\nbatch_rows = {batch_rows}"
            ));
            let document = site.json(["run", "G-1", "--again"]).expecting(5).document();
            let delivery = Delivery::of_run(&document);
            let Some((expected, earlier)) = &first else {
                assert_shape(&delivery, &document);
                first = Some((delivery, document));
                continue;
            };
            assert_eq!(document["rows"], earlier["rows"], "{run}");
            assert_eq!(delivery.row_groups(), expected.row_groups(), "{run}");
            for stated in ["treatment_counts", "rows", "plan_sha256", "fields"] {
                assert_eq!(
                    delivery.manifest()[stated],
                    expected.manifest()[stated],
                    "{run}: {stated}"
                );
            }
            let hashes = |delivery: &Delivery| -> Vec<String> {
                let files = delivery.manifest()["files"]
                    .as_array()
                    .expect("files")
                    .clone();
                files
                    .iter()
                    .map(|file| file["sha256"].to_string())
                    .collect()
            };
            assert_eq!(hashes(&delivery), hashes(expected), "{run}");
            assert!(
                delivery.bytes() == expected.bytes(),
                "{run}: the bytes differ"
            );
        }
    }
}

/// The data is such that there is something to get wrong.
fn assert_shape(delivery: &Delivery, document: &serde_json::Value) {
    let rows = &document["rows"];
    for fate in ["read", "filtered", "rejected", "delivered"] {
        assert!(rows[fate].as_u64().is_some_and(|count| count > 0), "{rows}");
    }
    let groups = delivery.row_groups();
    assert_eq!(groups.len(), 1);
    assert!(groups[0].len() > 1, "several row groups: {groups:?}");
    let bytes = delivery.bytes().remove(0);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes);
    let reader = reader.expect("a part in Parquet");
    let dictionaries: Vec<bool> = reader
        .metadata()
        .row_group(0)
        .columns()
        .iter()
        .map(|column| column.dictionary_page_offset().is_some())
        .collect();
    assert!(
        dictionaries.contains(&true) && dictionaries.contains(&false),
        "{dictionaries:?}"
    );
}

#[test]
fn two_sites_with_the_same_keys_deliver_the_same_bytes() {
    let deliver = || {
        let site = people::site(2_000);
        let key = "lockgate-key:v1:pseudonym:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
        site.write("keys/pseudonym.v1.key", key);
        site.signed(&grant("G-1", &FIELDS));
        site.deliver("G-1").bytes()
    };
    assert!(deliver() == deliver());
}

#[test]
fn pseudonyms_follow_the_key_the_domain_and_the_grant() {
    let site = people::site(50);
    let of = |id: &str, domain: &str| {
        let treatment = format!("{{ kind = 'hmac', domain = '{domain}' }}");
        site.policy(
            &people::POLICY.replace("domain = 'person.id'", &format!("domain = '{domain}'")),
        );
        site.signed(&grant(id, &["person_id"]).treatment("person_id", &treatment));
        crate::cell::texts(&site.deliver(id).rows(), "person_id")
    };
    let first = of("G-1", "person.id");
    assert_ne!(first, of("G-2", "person.id"), "grants do not join");
    assert_ne!(first, of("G-1", "another"), "domains do not join");
    assert_eq!(first, of("G-1", "person.id"));
    site.json(["keys", "new", "pseudonym"]).expect_code(0);
    let run = site.json(["run", "G-1", "--again"]).expecting(0).document();
    let rotated = crate::cell::texts(&Delivery::of_run(&run).rows(), "person_id");
    assert_ne!(first, rotated, "the highest version is used");
    let key = crate::pseudonym::derived(&site, 2, "person.id", "grant:G-1");
    let expected: Vec<Option<String>> = (0..50)
        .map(|row| Some(crate::pseudonym::pseudonym(&key, &people::person_id(row))))
        .collect();
    assert_eq!(rotated, expected);
}
