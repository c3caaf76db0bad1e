//! Commits whose request or answer is lost on the way: found again, sent again where that is safe, or said to be unknown.

use std::time::Duration;

use headland_control_plane::store::{Committed, Precondition, SharedStore, StoreError, Write};
use headland_proto::revision::Revision;
use tokio::{task::JoinHandle, time::sleep};

use super::{absent, modified_at, put};
use crate::support::{
    etcd::Etcd,
    places::open_etcd,
    relay::{Mode, Relay},
    wait::within,
};

/// Larger than anything else that passes, so that the loss of it shows.
const LARGE: &[u8] = &[b'x'; 10_000];

type Outcome = Result<Committed, StoreError>;

/// One etcd with a store whose connection can be spoilt, and another whose cannot.
struct Line {
    _etcd: Etcd,
    relay: Relay,
    behind: SharedStore,
    direct: SharedStore,
    /// When `there` was put.
    before: Revision,
}

impl Line {
    async fn new() -> Self {
        let etcd = Etcd::start().await;
        let relay = Relay::to(etcd.client_port()).await;
        let behind = open_etcd(vec![relay.endpoint()]).await;
        let direct = open_etcd(vec![etcd.endpoint()]).await;
        // Also makes the connection, so that what is lost later is a request and not a greeting.
        let Committed::Applied(before) = behind.commit(vec![], vec![put("there", "before")]).await.unwrap()
        else {
            panic!()
        };
        Self { _etcd: etcd, relay, behind, direct, before }
    }

    fn commit(&self, preconditions: Vec<Precondition>, writes: Vec<Write>) -> JoinHandle<Outcome> {
        let store = self.behind.clone();
        tokio::spawn(async move { store.commit(preconditions, writes).await })
    }

    /// Commits with the answer lost, but not the request.
    async fn without_answer(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> (Revision, Outcome) {
        let before = self.revision().await;
        self.relay.set(Mode::LoseAnswers);
        let commit = self.commit(preconditions, writes);
        within("the commit to be applied", async {
            while self.revision().await == before {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        let applied = self.revision().await;
        self.relay.cut();
        (applied, within("the commit", commit).await.unwrap())
    }

    async fn revision(&self) -> Revision {
        self.direct.list("", None, None).await.unwrap().revision
    }
}

/// Whether a key exists, and its last write.
async fn written(store: &SharedStore, key: &str) -> Option<Revision> {
    store.get(key).await.unwrap().map(|entry| entry.modified)
}

fn applied(outcome: Outcome) -> Revision {
    match outcome {
        Ok(Committed::Applied(revision)) => revision,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_found_again() {
    let line = Line::new().await;
    let delete_there = Write::Delete { key: "there".to_owned() };
    // An update guards itself, so it is sent again, refused, and found.
    let (at, outcome) =
        line.without_answer(modified_at("there", line.before), vec![put("there", "after")]).await;
    assert_eq!(applied(outcome), at);
    // A creation is not sent again, but found.
    let (at, outcome) = line.without_answer(absent("new"), vec![put("new", "x")]).await;
    assert_eq!(applied(outcome), at);
    let (at, outcome) = line.without_answer(vec![], vec![put("new", "y"), put("newer", "x")]).await;
    assert_eq!(applied(outcome), at);
    // A delete that leaves a note is found by the note.
    let there = written(&line.direct, "there").await.unwrap();
    let writes = vec![delete_there.clone(), put("note", "x")];
    let (at, outcome) = line.without_answer(modified_at("there", there), writes).await;
    assert_eq!(applied(outcome), at);
    assert_eq!(line.revision().await, at, "something was written twice");
    // A delete without a trace cannot be told from somebody else's.
    let (_, outcome) = line.without_answer(vec![], vec![Write::Delete { key: "new".to_owned() }]).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_found_commit_is_found_below_later_writes() {
    let line = Line::new().await;
    let before = line.revision().await;
    line.relay.set(Mode::LoseAnswers);
    let commit = line.commit(modified_at("there", line.before), vec![put("there", "mine")]);
    let mine = within("the commit to be applied", async {
        loop {
            match written(&line.direct, "there").await {
                Some(revision) if revision > before => return revision,
                _ => sleep(Duration::from_millis(2)).await,
            }
        }
    })
    .await;
    for value in ["theirs", "theirs again"] {
        line.direct.commit(vec![], vec![put("there", value)]).await.unwrap();
    }
    line.relay.cut();
    assert_eq!(applied(within("the commit", commit).await.unwrap()), mine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guarded_commit_whose_request_was_lost_is_sent_again() {
    let line = Line::new().await;
    line.relay.set(Mode::LoseRequests);
    let commit = line.commit(modified_at("there", line.before), vec![put("there", LARGE)]);
    line.relay.has_lost(LARGE.len()).await;
    line.relay.cut();
    let at = applied(within("the commit", commit).await.unwrap());
    assert_eq!(written(&line.direct, "there").await, Some(at));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guarded_commit_that_a_rival_overtook_is_refused() {
    let line = Line::new().await;
    line.relay.set(Mode::LoseRequests);
    let commit = line.commit(modified_at("there", line.before), vec![put("there", LARGE)]);
    // The rival even writes the same value.
    let rival = line.direct.commit(modified_at("there", line.before), vec![put("there", LARGE)]).await;
    let rival = applied(rival);
    line.relay.has_lost(LARGE.len()).await;
    line.relay.cut();
    assert_eq!(within("the commit", commit).await.unwrap().unwrap(), Committed::Refused);
    assert_eq!(written(&line.direct, "there").await, Some(rival));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unguarded_commit_whose_request_was_lost_is_unknown_and_not_sent_again() {
    let line = Line::new().await;
    for (preconditions, key) in [(vec![], "free"), (absent("created"), "created")] {
        line.relay.set(Mode::LoseRequests);
        let commit = line.commit(preconditions, vec![put(key, LARGE)]);
        line.relay.has_lost(LARGE.len()).await;
        line.relay.cut();
        let outcome = within("the commit", commit).await.unwrap();
        assert!(matches!(outcome, Err(StoreError::OutcomeUnknown { .. })), "{outcome:?}");
        assert_eq!(written(&line.direct, key).await, None);
    }
}
