//! Every way a last-good file can be wrong, and that the one before it is used instead.

use super::*;

fn record(revision: u64) -> v1::LastGood {
    v1::LastGood { cluster_id: "c".into(), revision, ..Default::default() }
}

/// A ring with the revisions 1, 2 and 3, and its files, oldest first.
fn three() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut ring, loaded) = Ring::open(dir.path());
    assert!(loaded.newest.is_none() && loaded.skipped.is_empty());
    for revision in 1..=3 {
        ring.save(&record(revision)).unwrap();
    }
    let files = list(&ring.dir).into_iter().map(|(_, path)| path).collect();
    (dir, files)
}

fn newest(loaded: &Loaded) -> Option<u64> {
    loaded.newest.as_ref().map(|(_, record)| record.revision)
}

#[test]
fn the_newest_is_loaded_and_five_are_kept() {
    let (dir, _) = three();
    let (mut ring, loaded) = Ring::open(dir.path());
    assert_eq!(newest(&loaded), Some(3));
    for revision in 4..=12 {
        ring.save(&record(revision)).unwrap();
    }
    assert_eq!(list(&ring.dir).len(), FILES_KEPT);
    assert_eq!(newest(&Ring::open(dir.path()).1), Some(12));
}

#[test]
fn what_cannot_be_used_is_skipped() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage); 8] = [
        ("is not a last-good file", |file| file.clear()),
        ("is not a last-good file", |file| file[0] = b'h'),
        ("is cut off", |file| file.truncate(HEADER_BYTES - 1)),
        ("is cut off", |file| _ = file.pop()),
        ("something added", |file| file.push(0)),
        ("checksum", |file| *file.last_mut().unwrap() ^= 1),
        ("checksum", |file| file[HEADER_BYTES - 1] ^= 1),
        ("newer program (format 2)", |file| file[8] = 2),
    ];
    for (expected, damage) in cases {
        let (dir, files) = three();
        let mut file = fs::read(&files[2]).unwrap();
        damage(&mut file);
        fs::write(&files[2], file).unwrap();
        let (mut ring, loaded) = Ring::open(dir.path());
        assert_eq!(newest(&loaded), Some(2), "{expected}");
        let (path, reason) = &loaded.skipped[0];
        assert!(*path == files[2] && reason.to_string().contains(expected), "{expected}: {reason}");
        ring.save(&record(4)).unwrap();
        assert_eq!(newest(&Ring::open(dir.path()).1), Some(4), "a new save is newer than the damaged one");
    }
}

#[test]
fn content_that_is_no_record_is_skipped() {
    let (dir, files) = three();
    for (file, content) in [(&files[2], &b"\xff\xff\xff"[..]), (&files[1], b"")] {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&Sha256::digest(content));
        bytes.extend_from_slice(content);
        fs::write(file, bytes).unwrap();
    }
    let (_, loaded) = Ring::open(dir.path());
    assert_eq!((newest(&loaded), loaded.skipped.len()), (Some(1), 2));
}

#[test]
fn other_things_in_the_directory_do_no_harm() {
    let (dir, files) = three();
    let ring = files[0].parent().unwrap();
    fs::write(ring.join("99999999999999999999.lastgood.tmp"), "unfinished").unwrap();
    fs::write(ring.join("notes.txt"), "by hand").unwrap();
    fs::create_dir(ring.join("00000000000000000007.lastgood")).unwrap();
    let (_, loaded) = Ring::open(dir.path());
    assert_eq!((newest(&loaded), loaded.skipped.len()), (Some(3), 1));
}

#[test]
fn a_disk_that_takes_nothing_is_an_error_that_names_the_place() {
    // The kernel lets nobody create files there.
    let (mut ring, loaded) = Ring::open(Path::new("/proc/headland"));
    assert!(loaded.newest.is_none());
    let error = ring.save(&record(1)).unwrap_err().to_string();
    assert!(error.contains("/proc/headland/last-good"), "{error}");
}

fn change(revision: u64, put: &[(&str, u64)], deleted: &[&str]) -> v1::LastGoodChange {
    let put = put.iter().map(|&(id, revision)| v1::DesiredDistribution {
        id: id.into(),
        revision,
        ..Default::default()
    });
    let deleted_distribution_ids = deleted.iter().map(|&id| id.into()).collect();
    v1::LastGoodChange {
        revision,
        distributions: put.collect(),
        deleted_distribution_ids,
        ..Default::default()
    }
}

/// A ring whose newest file is large enough for a few changes, and its directory.
fn with_room() -> (tempfile::TempDir, Ring) {
    let dir = tempfile::tempdir().unwrap();
    let (mut ring, _) = Ring::open(dir.path());
    let distributions = ["a", "b", "c"].map(|id| v1::DesiredDistribution {
        id: id.into(),
        revision: 1,
        domain_name: "d".repeat(60),
        ..Default::default()
    });
    ring.save(&v1::LastGood { distributions: distributions.into(), ..record(1) }).unwrap();
    (dir, ring)
}

/// Revision, and the distributions with theirs, that are loaded.
fn held(dir: &tempfile::TempDir) -> (u64, Vec<(String, u64)>, usize) {
    let (_, loaded) = Ring::open(dir.path());
    let (_, record) = loaded.newest.unwrap();
    let held = record.distributions.into_iter().map(|d| (d.id, d.revision)).collect();
    (record.revision, held, loaded.skipped.len())
}

fn owned(held: &[(&str, u64)]) -> Vec<(String, u64)> {
    held.iter().map(|&(id, revision)| (id.to_owned(), revision)).collect()
}

#[test]
fn what_was_appended_is_loaded_with_the_rest() {
    let (dir, mut ring) = with_room();
    assert!(ring.append(&change(2, &[("b", 2), ("d", 2)], &["a"])).unwrap());
    assert!(ring.append(&change(3, &[("a", 3)], &["d"])).unwrap());
    assert_eq!(held(&dir), (3, owned(&[("a", 3), ("b", 2), ("c", 1)]), 0));
    // There is room for as much as there was at first.
    let mut revision = 4;
    while ring.append(&change(revision, &[("a", revision)], &[])).unwrap() {
        revision += 1;
        assert!(revision < 20);
    }
    assert_eq!(held(&dir).0, revision - 1);
    ring.save(&record(revision)).unwrap();
    assert_eq!(held(&dir), (revision, vec![], 0), "an older journal says nothing of a newer file");
}

#[test]
fn a_change_that_was_cut_off_or_damaged_is_the_end() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(Damage, u64); 5] = [
        (|file| _ = file.pop(), 2),
        (|file| file.truncate(file.len() / 2 + 3), 2),
        (|file| *file.last_mut().unwrap() ^= 1, 2),
        (|file| file.extend_from_slice(&[0; 7]), 3),
        (|file| file[5] ^= 1, 1),
    ];
    for (damage, expected) in cases {
        let (dir, mut ring) = with_room();
        ring.append(&change(2, &[("a", 2)], &[])).unwrap();
        ring.append(&change(3, &[("a", 3)], &[])).unwrap();
        let path = journal::path(&ring.dir, 0);
        let mut file = fs::read(&path).unwrap();
        damage(&mut file);
        fs::write(&path, file).unwrap();
        let (revision, distributions, skipped) = held(&dir);
        assert_eq!((revision, distributions[0].1, skipped), (expected, expected, 1));
        // Nothing is added behind it.
        let (mut again, _) = Ring::open(dir.path());
        assert!(!again.append(&change(4, &[], &[])).unwrap());
        again.save(&record(4)).unwrap();
        assert_eq!(held(&dir).0, 4);
    }
}

#[test]
fn a_journal_goes_with_its_file() {
    let (dir, mut ring) = with_room();
    ring.append(&change(2, &[], &[])).unwrap();
    for revision in 3..=12 {
        ring.save(&record(revision)).unwrap();
    }
    let left = fs::read_dir(&ring.dir).unwrap().count();
    assert_eq!((left, held(&dir).0), (FILES_KEPT, 12));
}
