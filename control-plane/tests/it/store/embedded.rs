//! What the embedded store must also withstand: being killed, damaged files, a second opener.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write as _},
    panic::catch_unwind,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use futures::StreamExt;
use headland_control_plane::store::{
    Committed, Precondition, SharedStore, Store, StoreError, Write, embedded::EmbeddedStore,
};
use headland_proto::revision::Revision;

use crate::support::{places::EmbeddedPlace, wait::within};

/// Set for the process that writes until it is killed: the file it writes to.
const WRITE_TO: &str = "HEADLAND_TEST_WRITE_TO";

/// How the writing process begins each line about a commit that was acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";

fn put(key: &str, value: impl Into<bytes::Bytes>) -> Write {
    Write::Put { key: key.to_owned(), value: value.into() }
}

fn refusal(path: &Path) -> String {
    match EmbeddedStore::open(path) {
        Err(StoreError::Failed { reason }) => reason,
        other => panic!("{} should not open: {other:?}", path.display()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_sigkill() {
    if let Some(path) = env::var_os(WRITE_TO) {
        return write_until_killed(Path::new(&path)).await;
    }
    let place = EmbeddedPlace::new().await;
    let mut acknowledged = BTreeMap::new();
    let mut newest = Revision::ZERO;
    for round in 0..15 {
        // From right after the first commit to well into the writing.
        let commits = 1 + round * 17 % 160;
        for (key, revision) in kill_writer_after(&place.path(), commits) {
            newest = newest.max(revision);
            acknowledged.insert(key, revision);
        }
        let store = EmbeddedStore::open(&place.path()).unwrap();
        let listing = store.list("", None, None).await.unwrap();
        assert!(listing.revision >= newest, "round {round}: the revision went back");
        let kept: BTreeMap<_, _> =
            listing.entries.into_iter().map(|entry| (entry.key, (entry.modified, entry.value))).collect();
        for (key, revision) in &acknowledged {
            let (modified, value) = kept.get(key).unwrap_or_else(|| panic!("round {round}: {key} is lost"));
            assert_eq!(modified, revision, "round {round}: {key}");
            assert_eq!(value, key.as_bytes(), "round {round}: {key}");
        }
        // Each commit writes a pair: half a commit would show.
        for key in kept.keys() {
            let (commit, which) = key.rsplit_once('/').unwrap();
            let pair = format!("{commit}/{}", if which == "1" { "2" } else { "1" });
            assert_eq!(
                kept.get(&pair).map(|(modified, _)| modified),
                kept.get(key).map(|(modified, _)| modified)
            );
        }
    }
    assert!(acknowledged.len() > 500, "the writers were killed too early to tell: {}", acknowledged.len());
}

/// Starts the writer, kills it after so many acknowledged commits, and returns all it had printed until then.
fn kill_writer_after(path: &Path, commits: usize) -> Vec<(String, Revision)> {
    let mut writer = Command::new(env::current_exe().unwrap())
        .args(["--exact", "store::embedded::acknowledged_commits_survive_sigkill", "--nocapture"])
        .env(WRITE_TO, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in BufReader::new(writer.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((_, said)) = line.split_once(ACKNOWLEDGED) else { continue };
        // The last line may have been cut off in the middle; its commit was acknowledged but is unreadable here.
        if let [revision, key, "."] = said.split(' ').collect::<Vec<_>>()[..] {
            acknowledged.push((format!("{key}/1"), Revision(revision.parse().unwrap())));
        }
        if acknowledged.len() >= commits && !killed {
            // SIGKILL. What was printed before is still read.
            writer.kill().unwrap();
            killed = true;
        }
    }
    let status = writer.wait().unwrap();
    assert!(killed, "the writer ended by itself: {status}");
    acknowledged
}

async fn write_until_killed(path: &Path) {
    let store: SharedStore = Arc::new(EmbeddedStore::open(path).unwrap());
    let begin = store.list("", None, None).await.unwrap().revision;
    let writers = (0..8).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for i in 0.. {
                let key = format!("{begin}/{writer}/{i}");
                let (first, second) = (format!("{key}/1"), format!("{key}/2"));
                let writes = vec![put(&first, first.clone()), put(&second, second.clone())];
                let Committed::Applied(revision) = store.commit(vec![], writes).await.unwrap() else {
                    panic!()
                };
                // One write, so that a line is printed whole or not at all.
                let line = format!("{ACKNOWLEDGED}{revision} {key} .\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    futures::future::join_all(writers).await;
}

#[tokio::test]
async fn a_file_has_one_opener_and_the_next_is_told() {
    let place = EmbeddedPlace::new().await;
    let first = EmbeddedStore::open(&place.path()).unwrap();
    first.commit(vec![], vec![put("a", "1")]).await.unwrap();
    let reason = refusal(&place.path());
    assert!(reason.contains(place.path().to_str().unwrap()), "{reason}");
    assert!(reason.contains("another control plane"), "{reason}");
    // The first is not disturbed.
    first.commit(vec![], vec![put("a", "2")]).await.unwrap();
    drop(first);
    let second = EmbeddedStore::open(&place.path()).unwrap();
    assert_eq!(second.get("a").await.unwrap().unwrap().value, "2");
}

#[tokio::test]
async fn closing_a_store_ends_its_watches_with_an_error() {
    let place = EmbeddedPlace::new().await;
    let store = EmbeddedStore::open(&place.path()).unwrap();
    let mut watch = store.watch("", Revision::ZERO).await.unwrap();
    store.commit(vec![], vec![put("a", "1")]).await.unwrap();
    drop(store);
    // A watch does not hold the file.
    EmbeddedStore::open(&place.path()).unwrap();
    assert!(within("the change", watch.next()).await.unwrap().is_ok());
    let end = within("the end", watch.next()).await.unwrap();
    assert!(matches!(end, Err(StoreError::Unavailable { .. })), "{end:?}");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let place = EmbeddedPlace::new().await;
    let path = place.path();
    let garbage: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty", b"", "is empty"),
        ("garbage", &garbage, "is damaged"),
        ("text", b"distributions: []\n", "is damaged"),
        ("zeros", &[0; 80_000], "is damaged"),
    ];
    for (name, bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        let reason = refusal(&path);
        assert!(reason.contains(path.to_str().unwrap()) && reason.contains(expected), "{name}: {reason}");
        assert!(fs::read(&path).unwrap() == bytes, "{name} was changed");
    }
    fs::remove_file(&path).unwrap();
    let reason = refusal(path.parent().unwrap());
    assert!(reason.contains("is not a file"), "{reason}");
    let reason = refusal(&path.join("missing/store.redb"));
    assert!(reason.contains("No such file") && reason.contains("missing"), "{reason}");
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    const TABLE: redb::TableDefinition<'static, &str, u64> = redb::TableDefinition::new("theirs");
    let place = EmbeddedPlace::new().await;
    let database = redb::Database::create(place.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TABLE).unwrap().insert("a", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let reason = refusal(&place.path());
    assert!(reason.contains("not a store of headland's"), "{reason}");
}

/// A store with enough in it for several levels of pages.
async fn filled(place: &EmbeddedPlace) -> (Vec<u8>, BTreeMap<String, bytes::Bytes>) {
    let store = EmbeddedStore::open(&place.path()).unwrap();
    for round in 0..20 {
        let writes = (0..100).map(|i| put(&format!("{round}/{i}"), vec![round; 200])).collect();
        store.commit(vec![], writes).await.unwrap();
    }
    let content = content(&store).await;
    drop(store);
    (fs::read(place.path()).unwrap(), content)
}

async fn content(store: &EmbeddedStore) -> BTreeMap<String, bytes::Bytes> {
    let listing = store.list("", None, None).await.unwrap();
    listing.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let place = EmbeddedPlace::new().await;
    let (whole, _) = filled(&place).await;
    for length in [1, 100, 4096, whole.len() / 4, whole.len() / 2] {
        fs::write(place.path(), &whole[..length]).unwrap();
        let reason = refusal(&place.path());
        assert!(reason.contains("is damaged"), "{length} of {}: {reason}", whole.len());
    }
}

#[tokio::test]
async fn a_changed_byte_is_noticed_or_harmless() {
    let place = EmbeddedPlace::new().await;
    let (whole, content_before) = filled(&place).await;
    let mut refused = 0;
    for offset in (0..whole.len()).step_by(whole.len() / 300) {
        let mut changed = whole.clone();
        changed[offset] ^= 0x55;
        fs::write(place.path(), &changed).unwrap();
        let opened = catch_unwind(|| EmbeddedStore::open(&place.path())).expect("opening must not panic");
        match opened {
            Ok(store) => {
                assert_eq!(content(&store).await, content_before, "byte {offset} changed the content")
            }
            Err(StoreError::Failed { reason }) => {
                assert!(reason.contains("store.redb"), "{reason}");
                refused += 1;
            }
            Err(other) => panic!("byte {offset}: {other}"),
        }
    }
    assert!(refused > 50, "only {refused} changes were noticed");
}

#[tokio::test]
async fn a_new_store_leaves_nothing_but_its_file_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let place = EmbeddedPlace::new().await;
    let store = EmbeddedStore::open(&place.path()).unwrap();
    let names: Vec<_> = fs::read_dir(place.path().parent().unwrap())
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["store.redb"]);
    let mode = fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(store);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_share_an_fsync_see_one_another() {
    let place = EmbeddedPlace::new().await;
    let store: SharedStore = Arc::new(EmbeddedStore::open(&place.path()).unwrap());
    // Far more at once than one transaction takes; each requires what the one before it wrote.
    let mut commits = Vec::new();
    for i in 0..500_u64 {
        let store = Arc::clone(&store);
        let previous = match i {
            0 => Precondition::Absent { key: "chain".to_owned() },
            // A new store's first commit is its second revision.
            _ => Precondition::ModifiedAt { key: "chain".to_owned(), revision: Revision(i + 1) },
        };
        let mut commit =
            Box::pin(async move { store.commit(vec![previous], vec![put("chain", i.to_string())]).await });
        // Polled once in order, so that they queue in order; the queue itself may be full for the later ones.
        let at_once = futures::poll!(&mut commit);
        commits.push((commit, at_once));
    }
    for (i, (commit, at_once)) in commits.into_iter().enumerate() {
        let committed = match at_once {
            std::task::Poll::Ready(done) => done,
            std::task::Poll::Pending => within("a commit", commit).await,
        };
        assert_eq!(committed.unwrap(), Committed::Applied(Revision(i as u64 + 2)), "commit {i}");
    }
}
