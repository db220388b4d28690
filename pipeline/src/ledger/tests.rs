//! Appending, reopening, and every way of tampering that must be found.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::DateTime;
use tempfile::TempDir;

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn keys() -> Vec<VerifyingKey> {
    vec![key(1).verifying_key()]
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn event(number: u64) -> Event {
    Event::Previewed {
        grant: format!("G-{number}"),
        rows: number,
        profiled: None,
        before: false,
    }
}

fn events(count: u64) -> Vec<Event> {
    (0..count).map(event).collect()
}

/// A ledger of `count` entries, made in a few appends.
fn ledger(count: u64) -> (TempDir, Ledger) {
    let directory = TempDir::new().unwrap();
    let ledger = Ledger::open(directory.path(), key(1)).unwrap();
    let all = events(count);
    for part in all.chunks(usize::try_from(count / 2 + 1).unwrap()) {
        ledger.append_all(part, now()).unwrap();
    }
    (directory, ledger)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(directory).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn problems(directory: &Path) -> Vec<LedgerProblem> {
    let report = verify(directory, Some(&keys()));
    assert_eq!(report.valid, report.problems.is_empty());
    report.problems
}

#[test]
fn nothing_is_created_before_the_first_append() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state/ledger");
    let ledger = Ledger::open(&path, key(1)).unwrap();
    assert!(ledger.entries().unwrap().is_empty());
    assert!(verify(&path, Some(&keys())).valid);
    assert!(!path.exists());
    ledger.append(&event(0), now()).unwrap();
    assert_eq!(Ledger::reader(&path).unwrap().size(), 1);
}

#[test]
fn appended_events_are_read_back_and_proved() {
    let directory = TempDir::new().unwrap();
    let mut proofs = Vec::new();
    for number in 0..5 {
        // Reopened each time, as each run does.
        let ledger = Ledger::open(directory.path(), key(1)).unwrap();
        let appended = ledger.append(&event(number), now()).unwrap();
        assert_eq!(appended.index, number);
        assert_eq!(appended.proof.size, number + 1);
        proofs.push(appended.proof);
    }
    let reader = Ledger::reader(directory.path()).unwrap();
    let history = reader.entries().unwrap();
    assert_eq!(history.len(), 5);
    for (entry, proof) in history.iter().zip(&proofs) {
        assert_eq!(entry.at, now());
        assert_eq!(proof.verify(Some(&keys())).unwrap(), *entry);
        let later = reader.prove(entry.index).unwrap().unwrap();
        assert_eq!(later.verify(Some(&keys())).unwrap(), *entry);
    }
    assert_eq!(reader.prove(5).unwrap(), None);
    assert!(problems(directory.path()).is_empty());
}

#[test]
fn every_size_around_full_tiles_is_valid_and_leaves_one_form_of_each_tile() {
    let directory = TempDir::new().unwrap();
    let ledger = Ledger::open(directory.path(), key(1)).unwrap();
    ledger.append_all(&events(254), now()).unwrap();
    for _ in 0..4 {
        ledger.append(&event(9), now()).unwrap();
        assert!(problems(directory.path()).is_empty());
        let bundles = files(&directory.path().join("tile/entries"));
        let size = ledger.snapshot().unwrap().size();
        assert_eq!(
            u64::try_from(bundles.len()).unwrap(),
            size.div_ceil(256),
            "size {size}"
        );
    }
    assert!(directory.path().join("tile/1/000.p/1").exists());
    assert!(directory.path().join("tile/0/000").exists());
    assert!(!directory.path().join("tile/0/000.p").exists());
}

#[test]
fn a_hundred_thousand_entries_work() {
    let directory = TempDir::new().unwrap();
    let ledger = Ledger::open(directory.path(), key(1)).unwrap();
    let all = events(100_000);
    for part in all.chunks(20_011) {
        ledger.append_all(part, now()).unwrap();
    }
    let appended = ledger.append(&event(7), now()).unwrap();
    assert_eq!(appended.index, 100_000);
    let reader = ledger.snapshot().unwrap();
    assert_eq!(reader.entries().unwrap().len(), 100_001);
    for index in [0, 255, 256, 65_535, 65_536, 99_999] {
        let proof = reader.prove(index).unwrap().unwrap();
        assert_eq!(proof.verify(Some(&keys())).unwrap().event, event(index));
    }
}

#[test]
fn opening_and_appending_read_only_the_edge() {
    let (directory, ledger) = ledger(1_500);
    // Removing what an open does not need: old bundles and old tiles of hashes.
    for number in ["000", "002", "004"] {
        fs::remove_file(directory.path().join("tile/entries").join(number)).unwrap();
        fs::remove_file(directory.path().join("tile/0").join(number)).unwrap();
    }
    Ledger::open(directory.path(), key(1)).unwrap();
    ledger.append(&event(1), now()).unwrap();
    assert!(!problems(directory.path()).is_empty());
}

#[test]
fn threads_and_handles_append_side_by_side() {
    let directory = TempDir::new().unwrap();
    let shared = Arc::new(Ledger::open(directory.path(), key(1)).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let shared = Arc::clone(&shared);
            let path = directory.path();
            scope.spawn(move || {
                let own = Ledger::open(path, key(1)).unwrap();
                for number in 0..8 {
                    let through = if number % 2 == 0 { &own } else { &*shared };
                    through
                        .append(&event(thread * 100 + number), now())
                        .unwrap();
                    through.entries().unwrap();
                }
            });
        }
    });
    let history = shared.entries().unwrap();
    assert_eq!(history.len(), 32);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other event was recorded"
    )]
    for thread in 0..4u64 {
        let of_thread: Vec<u64> = history
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Previewed { rows, .. } if rows / 100 == thread => Some(rows % 100),
                _ => None,
            })
            .collect();
        assert_eq!(of_thread, (0..8).collect::<Vec<_>>());
    }
    assert!(problems(directory.path()).is_empty());
}

#[test]
fn a_conditional_append_records_after_the_entries_it_was_told_of_and_no_others() {
    let (_directory, ledger) = ledger(3);
    assert_eq!(ledger.append_if(2, &event(9), now()).unwrap(), None);
    assert_eq!(ledger.append_if(4, &event(9), now()).unwrap(), None);
    assert_eq!(ledger.entries().unwrap().len(), 3);
    let appended = ledger.append_if(3, &event(9), now()).unwrap().unwrap();
    assert_eq!(appended.index, 3);
    assert_eq!(
        appended.proof.verify(Some(&keys())).unwrap().event,
        event(9)
    );
    let empty = TempDir::new().unwrap();
    let empty = Ledger::open(empty.path(), key(1)).unwrap();
    assert_eq!(empty.append_if(1, &event(0), now()).unwrap(), None);
    assert!(empty.append_if(0, &event(0), now()).unwrap().is_some());
}

/// Flips bytes of every file of a ledger, `step` apart, and looks whether it is found.
fn flip_bytes(directory: &Path, step: usize) {
    assert!(problems(directory).is_empty());
    for path in files(directory) {
        let original = fs::read(&path).unwrap();
        for position in (0..original.len()).step_by(step) {
            let mut altered = original.clone();
            altered[position] ^= 1 << (position % 8);
            fs::write(&path, altered).unwrap();
            assert!(
                !problems(directory).is_empty(),
                "{}, byte {position}",
                path.display()
            );
        }
        fs::write(&path, original).unwrap();
    }
    assert!(problems(directory).is_empty());
}

#[test]
fn any_flipped_byte_of_any_file_is_found() {
    let (small, _) = ledger(3);
    flip_bytes(small.path(), 1);
    let (larger, _) = ledger(259);
    flip_bytes(larger.path(), 331);
}

#[test]
fn truncated_lengthened_and_missing_files_are_found() {
    let (directory, _) = ledger(259);
    for path in files(directory.path()) {
        let original = fs::read(&path).unwrap();
        if original.is_empty() {
            continue;
        }
        for altered in [
            &original[..original.len() - 1],
            &original[..0],
            &[&original[..], b"x"].concat(),
        ] {
            fs::write(&path, altered).unwrap();
            assert!(!problems(directory.path()).is_empty(), "{}", path.display());
        }
        fs::remove_file(&path).unwrap();
        assert!(!problems(directory.path()).is_empty(), "{}", path.display());
        fs::write(&path, original).unwrap();
    }
    assert!(problems(directory.path()).is_empty());
}

/// Rewrites the bundle of a ledger of a few entries.
fn rewrite(directory: &Path, change: impl Fn(&mut Vec<Vec<u8>>)) -> Vec<LedgerProblem> {
    let files = Files::new(directory);
    let tile = |width| tiles::Tile {
        kind: tiles::Kind::Entries,
        number: 0,
        width,
    };
    let mut entries = files.read_entries(tile(5)).unwrap();
    change(&mut entries);
    let mut bytes = Vec::new();
    for entry in &entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    fs::write(directory.join(tile(5).path()), bytes).unwrap();
    problems(directory)
}

#[test]
fn deleted_altered_reordered_and_inserted_entries_are_found() {
    type Change = fn(&mut Vec<Vec<u8>>);
    let changes: [(&str, Change); 5] = [
        ("deleted", |entries| drop(entries.remove(2))),
        ("altered", |entries| {
            let text = String::from_utf8(entries[2].clone()).unwrap();
            entries[2] = text.replace("\"rows\":2", "\"rows\":1").into_bytes();
        }),
        ("reordered", |entries| entries.swap(1, 3)),
        ("inserted", |entries| entries.insert(1, entries[0].clone())),
        ("replaced", |entries| entries[4] = entries[0].clone()),
    ];
    for (name, change) in changes {
        let (directory, ledger) = ledger(5);
        assert!(!rewrite(directory.path(), change).is_empty(), "{name}");
        // Nor is anything recorded on top of it.
        assert!(
            ledger.append(&event(9), now()).unwrap_err().is_integrity(),
            "{name}"
        );
        assert!(ledger.entries().unwrap_err().is_integrity(), "{name}");
        assert!(Ledger::open(directory.path(), key(1)).is_err(), "{name}");
    }
}

#[test]
fn a_ledger_rewritten_with_its_tiles_is_found_by_the_checkpoint() {
    let (directory, _) = ledger(5);
    let (other, _) = ledger(5);
    for part in ["tile/entries/000.p/5", "tile/0/000.p/5"] {
        fs::copy(other.path().join(part), directory.path().join(part)).unwrap();
    }
    let kinds: Vec<ProblemKind> = problems(directory.path()).iter().map(|p| p.kind).collect();
    assert_eq!(kinds, [ProblemKind::Root]);
    assert!(Ledger::reader(directory.path()).is_err());
}

#[test]
fn a_checkpoint_signed_with_another_key_is_refused() {
    let (directory, ledger) = ledger(5);
    let report = verify(directory.path(), Some(&[key(2).verifying_key()]));
    assert_eq!(report.problems[0].kind, ProblemKind::Checkpoint);
    assert!(matches!(
        Ledger::open(directory.path(), key(2)),
        Err(LedgerError::Checkpoint(NoteError::UnknownKey))
    ));
    // Re-signed by somebody else, such as the holder of the manifest key.
    let checkpoint = ledger.snapshot().unwrap().checkpoint().unwrap().clone();
    fs::write(directory.path().join(CHECKPOINT), checkpoint.sign(&key(3))).unwrap();
    assert_eq!(problems(directory.path())[0].kind, ProblemKind::Checkpoint);
    assert!(ledger.append(&event(1), now()).is_err());
    // Without a key the signature is not judged, and the report says so.
    let report = verify(directory.path(), None);
    assert!(report.valid && report.notes[0].contains("not checked"));
}

#[test]
fn a_replaced_key_continues_the_ledger() {
    let (directory, _) = ledger(3);
    let earlier = [key(1).verifying_key()];
    let ledger = Ledger::open_accepting(directory.path(), key(2), &earlier).unwrap();
    ledger.append(&event(4), now()).unwrap();
    assert!(verify(directory.path(), Some(&[key(2).verifying_key()])).valid);
    assert_eq!(ledger.entries().unwrap().len(), 4);
}

/// Copies a directory.
fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for path in files(from) {
        let target = to.path().join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
    to
}

fn restore(from: &Path, to: &Path) {
    for item in fs::read_dir(to).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
        .unwrap();
    }
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

fn kept(note: String) -> Remembered {
    Remembered {
        path: "kept/checkpoint".to_owned(),
        note,
    }
}

#[test]
fn a_remembered_checkpoint_that_cannot_be_used_is_told_with_where_it_is_from() {
    let (directory, _) = ledger(5);
    let unusable = [kept("no checkpoint".to_owned())];
    let report = verify_remembering(directory.path(), Some(&keys()), &unusable);
    assert!(!report.valid);
    assert_eq!(report.problems[0].kind, ProblemKind::Checkpoint);
    assert_eq!(report.problems[0].path, "kept/checkpoint");
}

#[test]
fn a_ledger_set_back_is_found_by_a_remembered_checkpoint() {
    let (directory, ledger) = ledger(5);
    let before = copy(directory.path());
    let proof = ledger.append(&event(6), now()).unwrap().proof;
    let remembered = [kept(proof.checkpoint)];
    assert!(verify_remembering(directory.path(), Some(&keys()), &remembered).valid);

    restore(before.path(), directory.path());
    assert!(
        problems(directory.path()).is_empty(),
        "consistent in itself"
    );
    let report = verify_remembering(directory.path(), Some(&keys()), &remembered);
    assert_eq!(report.problems[0].kind, ProblemKind::NotContinued);
    // An open ledger remembers by itself.
    assert!(matches!(
        ledger.append(&event(7), now()),
        Err(LedgerError::NotContinued {
            remembered: 6,
            found: 5
        })
    ));
    restore(TempDir::new().unwrap().path(), directory.path());
    assert!(matches!(
        ledger.append(&event(7), now()),
        Err(LedgerError::NotContinued {
            remembered: 6,
            found: 0
        })
    ));
    assert!(!verify_remembering(directory.path(), Some(&keys()), &remembered).valid);
}

#[test]
fn two_ledgers_of_one_size_are_told_apart() {
    let (directory, ledger) = ledger(5);
    let before = copy(directory.path());
    let remembered = [kept(
        ledger.append(&event(6), now()).unwrap().proof.checkpoint,
    )];
    let earlier = ledger.snapshot().unwrap().checkpoint().unwrap().clone();
    restore(before.path(), directory.path());
    // The key's holder records something else in its place.
    let fork = Ledger::open(directory.path(), key(1)).unwrap();
    fork.append(&event(66), now()).unwrap();
    assert!(problems(directory.path()).is_empty());
    let report = verify_remembering(directory.path(), Some(&keys()), &remembered);
    assert_eq!(report.problems[0].kind, ProblemKind::NotContinued);
    assert!(fork.snapshot().unwrap().check_continues(&earlier).is_err());
    assert!(ledger.append(&event(7), now()).unwrap_err().is_integrity());
}

#[test]
fn an_older_checkpoint_put_back_alone_is_found_and_nothing_goes_on_over_it() {
    for count in [5, 255, 257, 300] {
        let (directory, ledger) = ledger(count);
        let file = directory.path().join(CHECKPOINT);
        let (older, earlier) = (
            fs::read(&file).unwrap(),
            ledger.snapshot().unwrap().checkpoint().unwrap().clone(),
        );
        ledger.append(&event(6), now()).unwrap();
        ledger.append_all(&events(3), now()).unwrap();
        let later = fs::read(&file).unwrap();
        fs::write(&file, &older).unwrap();
        let kinds: Vec<ProblemKind> = problems(directory.path()).iter().map(|p| p.kind).collect();
        assert_eq!(kinds, [ProblemKind::NotContinued], "{count}");
        assert!(Ledger::reader(directory.path()).unwrap_err().is_integrity());
        assert!(Ledger::open(directory.path(), key(1)).is_err(), "{count}");
        assert!(ledger.append(&event(7), now()).unwrap_err().is_integrity());
        // Put in order again, it goes on.
        fs::write(&file, later).unwrap();
        assert!(problems(directory.path()).is_empty());
        ledger.append(&event(7), now()).unwrap();
        ledger
            .snapshot()
            .unwrap()
            .check_continues(&earlier)
            .unwrap();
    }
}

#[test]
fn an_older_checkpoint_of_full_tiles_alone_is_noted_and_found_by_memory() {
    let (directory, ledger) = ledger(256);
    let note = fs::read(directory.path().join(CHECKPOINT)).unwrap();
    let remembered = [kept(
        ledger.append(&event(6), now()).unwrap().proof.checkpoint,
    )];
    fs::write(directory.path().join(CHECKPOINT), note).unwrap();
    let report = verify_remembering(directory.path(), Some(&keys()), &remembered);
    assert!(!report.valid);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("beyond the checkpoint"))
    );
}

#[test]
fn leftovers_of_a_killed_append_are_overwritten() {
    let (directory, _) = ledger(254);
    let after = copy(directory.path());
    let other = Ledger::open(after.path(), key(1)).unwrap();
    other.append_all(&events(400), now()).unwrap();
    // All files of the append but the checkpoint reached the disk.
    for part in ["tile/entries", "tile/0", "tile/1"] {
        for path in files(&after.path().join(part)) {
            let target = directory
                .path()
                .join(path.strip_prefix(after.path()).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(path, target).unwrap();
        }
    }
    fs::write(directory.path().join("checkpoint.tmp"), "half").unwrap();
    let ledger = Ledger::open(directory.path(), key(1)).unwrap();
    assert_eq!(ledger.entries().unwrap().len(), 254);
    for number in 0..300 {
        ledger.append(&event(number), now()).unwrap();
        if number % 37 == 0 || number < 4 {
            assert!(problems(directory.path()).is_empty(), "after {number}");
        }
    }
    assert_eq!(ledger.entries().unwrap().len(), 554);
    assert!(problems(directory.path()).is_empty());
}

#[test]
fn a_lost_checkpoint_is_damage_and_a_killed_beginning_is_not() {
    let (directory, _) = ledger(5);
    fs::remove_file(directory.path().join(CHECKPOINT)).unwrap();
    assert!(
        Ledger::open(directory.path(), key(1))
            .unwrap_err()
            .is_integrity()
    );
    assert_eq!(problems(directory.path())[0].kind, ProblemKind::Checkpoint);

    let begun = TempDir::new().unwrap();
    fs::write(
        begun.path().join(ORIGIN),
        "lockgate.local/0123456789abcdef\n",
    )
    .unwrap();
    let ledger = Ledger::open(begun.path(), key(1)).unwrap();
    ledger.append(&event(1), now()).unwrap();
    let reader = ledger.snapshot().unwrap();
    assert_eq!(
        reader.checkpoint().unwrap().origin,
        "lockgate.local/0123456789abcdef"
    );
}

#[test]
fn origins_differ_between_ledgers() {
    let origin = |ledger: &Ledger| {
        ledger
            .snapshot()
            .unwrap()
            .checkpoint()
            .unwrap()
            .origin
            .clone()
    };
    let ((_one, first), (_two, second)) = (ledger(1), ledger(1));
    assert_ne!(origin(&first), origin(&second));
    assert!(origin(&first).starts_with("lockgate.local/"));
}

#[test]
fn an_older_reader_keeps_reading_while_others_append() {
    let (_directory, ledger) = ledger(250);
    let reader = ledger.snapshot().unwrap();
    for number in 0..10 {
        ledger.append(&event(number), now()).unwrap();
        assert_eq!(reader.entries().unwrap().len(), 250);
        assert!(reader.prove(249).unwrap().is_some());
    }
    let earlier = reader.checkpoint().unwrap();
    let later = ledger.snapshot().unwrap();
    later.check_continues(earlier).unwrap();
    let hashes = later.prove_continuation(250).unwrap().unwrap();
    let now = later.checkpoint().unwrap();
    assert!(tree::verify_consistency(
        250,
        &earlier.root,
        now.size,
        &now.root,
        &hashes
    ));
    assert_eq!(later.prove_continuation(999).unwrap(), None);
}

#[test]
fn a_forged_proof_proves_nothing() {
    let (_directory, ledger) = ledger(9);
    let proof = ledger.append(&event(42), now()).unwrap().proof;
    assert!(proof.verify(Some(&keys())).is_ok());
    assert_eq!(
        proof.verify(Some(&[key(2).verifying_key()])),
        Err(ProofError::Checkpoint(NoteError::UnknownKey))
    );
    let forge = |change: &dyn Fn(&mut InclusionProof)| {
        let mut forged = proof.clone();
        change(&mut forged);
        forged.verify(Some(&keys()))
    };
    assert!(forge(&|proof| proof.entry = proof.entry.replace("G-42", "G-43")).is_err());
    assert!(forge(&|proof| proof.index -= 1).is_err());
    assert!(forge(&|proof| proof.size += 1).is_err());
    assert!(forge(&|proof| drop(proof.hashes.pop())).is_err());
    assert!(forge(&|proof| proof.hashes.swap(0, 1)).is_err());
    assert!(forge(&|proof| proof.hashes = vec![String::new(); 100]).is_err());
    assert!(
        forge(&|proof| proof.checkpoint = proof.checkpoint.replace("\n10\n", "\n11\n")).is_err()
    );
}

#[test]
fn an_event_too_long_records_nothing() {
    let (directory, ledger) = ledger(1);
    let long = Event::ReleaseIntended {
        run: String::new(),
        delivery: String::new(),
        attempt: String::new(),
        grant: String::new(),
        grant_version: 1,
        plan_sha256: String::new(),
        destination: String::new(),
        rows: 0,
        config: BTreeMap::from([("x".repeat(70_000), String::new())]),
        join_groups: Vec::new(),
        cell_attempt: None,
        about: None,
    };
    assert!(matches!(
        ledger.append_all(&[event(1), long], now()),
        Err(LedgerError::EntryTooLarge(_))
    ));
    assert_eq!(ledger.entries().unwrap().len(), 1);
    assert!(problems(directory.path()).is_empty());
}

#[test]
fn hostile_checkpoints_and_bundles_do_not_panic_or_exhaust() {
    let (directory, _) = ledger(3);
    let origin = fs::read_to_string(directory.path().join(ORIGIN)).unwrap();
    for size in [4, 255, 256, 257, 65_536, 1 << 40, u64::MAX] {
        let claim = Checkpoint {
            origin: origin.trim().to_owned(),
            size,
            root: [0; 32],
        };
        fs::write(directory.path().join(CHECKPOINT), claim.sign(&key(1))).unwrap();
        assert!(
            Ledger::open(directory.path(), key(1)).is_err(),
            "size {size}"
        );
        assert!(!problems(directory.path()).is_empty(), "size {size}");
    }
}

#[test]
fn errors_and_debug_show_no_key() {
    let directory = TempDir::new().unwrap();
    let ledger = Ledger::open(directory.path(), SigningKey::from_bytes(&[0xab; 32])).unwrap();
    let shown = format!("{ledger:?}");
    assert!(
        !shown.contains("171, 171") && !shown.to_lowercase().contains("abababab"),
        "{shown}"
    );
}
