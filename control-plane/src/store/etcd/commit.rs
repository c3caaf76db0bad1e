//! Commits, and finding out what became of one whose answer was lost.
//!
//! A lost commit is sent again only if it guards itself: it writes a key that it also requires to be at one
//! revision, so that at most one copy of it can ever be applied, however late another arrives. (Requiring that a key is
//! absent is no such guard: the key can come and go between two copies.) If the copy is refused, or the commit has no
//! guard, the commit's id in the stored values tells whether it was this commit that wrote them.

use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Client, Compare, CompareOp, Error, GetOptions, GetResponse, Txn, TxnOp, TxnResponse};
use futures::{FutureExt, future::BoxFuture};
use headland_proto::revision::Revision;
use uuid::Uuid;

use super::{
    members::Members,
    trouble::Trouble,
    wire::{self, Keys, etcd_revision, revision},
};
use crate::store::{
    Committed, Precondition, StoreError, Write,
    check::{check_commit, key_of},
};

/// How many versions of a key are looked at for a lost commit.
const LOOK_UP_VERSIONS_MAX: usize = 16;

/// One commit on its way.
pub(super) struct Commit<'a> {
    members: &'a Members,
    keys: &'a Keys,
    id: Uuid,
    txn: Txn,
    plan: Plan,
}

/// What can be done for a commit whose answer is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    /// It writes nothing.
    only_checks: bool,
    /// It writes a key that must have been last written by this commit.
    guard: Option<Revision>,
    /// A key that it puts, and where it can be recognised.
    trace: Option<String>,
}

/// Where a lost commit was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It was applied.
    At(Revision),
    /// The key's versions since the guard are all known, and this commit wrote none.
    Nowhere,
    /// The key does not exist now, or has too many versions.
    Unclear,
}

/// Applies all writes if all preconditions hold.
pub(super) async fn commit(
    members: &Members,
    keys: &Keys,
    preconditions: Vec<Precondition>,
    writes: Vec<Write>,
) -> Result<Committed, StoreError> {
    check_commit(&preconditions, &writes)?;
    // To etcd, revision zero means that the key does not exist.
    let never = |p: &Precondition| matches!(p, Precondition::ModifiedAt { revision: Revision::ZERO, .. });
    if preconditions.iter().any(never) {
        return Ok(Committed::Refused);
    }
    let id = Uuid::new_v4();
    let txn = transaction(keys, id, &preconditions, &writes);
    let commit = Commit { members, keys, id, txn, plan: Plan::of(&preconditions, &writes) };
    commit.run().await
}

impl Commit<'_> {
    async fn run(self) -> Result<Committed, StoreError> {
        let mut budget = self.members.budget();
        let mut lost = None;
        loop {
            let patience = if self.plan.can_repeat() { self.members.share() } else { Duration::MAX };
            let trouble = match self.members.attempt(&mut budget, patience, self.send()).await {
                Ok(answer) if answer.succeeded() => return Ok(Committed::Applied(answered_at(&answer))),
                Ok(_) => return self.refused(lost).await,
                Err(trouble) => trouble,
            };
            match &trouble {
                Trouble::NotDone(_) => {}
                Trouble::Lost(reason) if self.plan.can_repeat() => lost = Some(reason.clone()),
                Trouble::Lost(reason) => return self.unguarded(reason.clone()).await,
                Trouble::NoSpace(reason) => return self.no_space(reason.clone()).await,
                Trouble::Compacted | Trouble::Final(_) => return Err(self.in_the_end(lost, trouble)),
            }
            if let Err(trouble) = self.members.pause(&mut budget, trouble).await {
                return Err(self.in_the_end(lost, trouble));
            }
        }
    }

    fn send(
        &self,
    ) -> impl Fn(Client) -> BoxFuture<'static, Result<TxnResponse, Error>> + Send + Sync + use<> {
        let txn = self.txn.clone();
        move |client| {
            let txn = txn.clone();
            async move { client.kv_client().txn(txn).await }.boxed()
        }
    }

    /// A precondition does not hold, perhaps because an earlier copy of this very commit was applied.
    async fn refused(&self, lost: Option<String>) -> Result<Committed, StoreError> {
        let Some(reason) = lost.filter(|_| !self.plan.only_checks) else {
            return Ok(Committed::Refused);
        };
        match self.look_up().await {
            Ok(Seen::At(revision)) => Ok(Committed::Applied(revision)),
            // The guard is broken for good: no copy still on its way can be applied either.
            Ok(Seen::Nowhere) => Ok(Committed::Refused),
            Ok(Seen::Unclear) => Err(StoreError::OutcomeUnknown { reason }),
            Err(again) => Err(StoreError::OutcomeUnknown { reason: format!("{reason}, and then {again}") }),
        }
    }

    /// The answer is lost and the commit must not be sent twice.
    async fn unguarded(&self, reason: String) -> Result<Committed, StoreError> {
        match self.look_up().await {
            Ok(Seen::At(revision)) => Ok(Committed::Applied(revision)),
            // It may still be on its way.
            _ => Err(StoreError::OutcomeUnknown { reason }),
        }
    }

    /// etcd applies the commit that fills its quota and refuses it all the same.
    async fn no_space(&self, reason: String) -> Result<Committed, StoreError> {
        match self.look_up().await {
            Ok(Seen::At(revision)) => Ok(Committed::Applied(revision)),
            Ok(_) => Err(StoreError::Failed { reason }),
            Err(again) => Err(StoreError::OutcomeUnknown { reason: format!("{reason}, and then {again}") }),
        }
    }

    fn in_the_end(&self, lost: Option<String>, trouble: Trouble) -> StoreError {
        match lost {
            Some(reason) if !self.plan.only_checks => StoreError::OutcomeUnknown { reason },
            _ => trouble.of_a_read(),
        }
    }

    /// Goes back through the versions of a key that this commit puts.
    async fn look_up(&self) -> Result<Seen, StoreError> {
        let Some(key) = &self.plan.trace else {
            return Ok(Seen::Unclear);
        };
        let key = self.keys.in_etcd(key);
        let mut at = None;
        for _ in 0..LOOK_UP_VERSIONS_MAX {
            let version = match self.members.read(self.members.budget_to_look_up(), get(&key, at)).await {
                Ok(version) => version,
                Err(Trouble::Compacted) => return Ok(Seen::Unclear),
                Err(trouble) => return Err(trouble.of_a_read()),
            };
            let Some(found) = version.kvs().first() else {
                return Ok(Seen::Unclear);
            };
            let written = revision(found.mod_revision());
            if self.plan.guard.is_some_and(|guard| written <= guard) {
                return Ok(Seen::Nowhere);
            }
            let by = wire::unwrap(Bytes::copy_from_slice(found.value())).map(|(id, _)| id);
            if by == Some(self.id) {
                return Ok(Seen::At(written));
            }
            at = Some(found.mod_revision() - 1);
        }
        Ok(Seen::Unclear)
    }
}

impl Plan {
    fn of(preconditions: &[Precondition], writes: &[Write]) -> Self {
        let written = |key: &str| writes.iter().any(|write| written_key(write) == key);
        let guard = preconditions.iter().find_map(|precondition| match precondition {
            Precondition::ModifiedAt { key, revision } if written(key) => Some((key, *revision)),
            _ => None,
        });
        let puts = || writes.iter().filter(|write| matches!(write, Write::Put { .. })).map(written_key);
        // The guarded key itself existed before, so its versions tell most.
        let trace = guard.and_then(|(key, _)| puts().find(|put| put == key)).or_else(|| puts().next());
        Self {
            only_checks: writes.is_empty(),
            guard: guard.map(|(_, revision)| revision),
            trace: trace.map(str::to_owned),
        }
    }

    /// Whether a second copy can do no harm.
    fn can_repeat(&self) -> bool {
        self.only_checks || self.guard.is_some()
    }
}

fn written_key(write: &Write) -> &str {
    let (Write::Put { key, .. } | Write::Delete { key }) = write;
    key
}

fn transaction(keys: &Keys, id: Uuid, preconditions: &[Precondition], writes: &[Write]) -> Txn {
    let compares = preconditions.iter().map(|precondition| {
        let wanted = match precondition {
            Precondition::Absent { .. } => 0,
            Precondition::ModifiedAt { revision, .. } => etcd_revision(*revision),
        };
        Compare::mod_revision(keys.in_etcd(key_of(precondition)), CompareOp::Equal, wanted)
    });
    let operations = writes.iter().map(|write| match write {
        Write::Put { key, value } => TxnOp::put(keys.in_etcd(key), wire::wrap(id, value), None),
        Write::Delete { key } => TxnOp::delete(keys.in_etcd(key), None),
    });
    Txn::new().when(compares.collect::<Vec<_>>()).and_then(operations.collect::<Vec<_>>())
}

fn get(
    key: &[u8],
    at: Option<i64>,
) -> impl Fn(Client) -> BoxFuture<'static, Result<GetResponse, Error>> + Send + Sync + use<> {
    let key = key.to_vec();
    move |client| {
        let key = key.clone();
        let options = at.map(|at| GetOptions::new().with_revision(at));
        async move { client.kv_client().get(key, options).await }.boxed()
    }
}

fn answered_at(answer: &TxnResponse) -> Revision {
    revision(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Write {
        Write::Put { key: key.to_owned(), value: Bytes::new() }
    }

    fn delete(key: &str) -> Write {
        Write::Delete { key: key.to_owned() }
    }

    fn absent(key: &str) -> Precondition {
        Precondition::Absent { key: key.to_owned() }
    }

    fn at_5(key: &str) -> Precondition {
        Precondition::ModifiedAt { key: key.to_owned(), revision: Revision(5) }
    }

    #[test]
    fn only_a_commit_that_guards_itself_is_sent_twice() {
        let cases = [
            ("nothing to write", vec![absent("a")], vec![], true, None),
            ("an update", vec![at_5("a")], vec![put("a")], true, Some("a")),
            (
                "an update among others",
                vec![absent("b"), at_5("a")],
                vec![put("b"), put("a")],
                true,
                Some("a"),
            ),
            ("a delete", vec![at_5("a")], vec![delete("a")], true, None),
            ("a delete that leaves a note", vec![at_5("a")], vec![delete("a"), put("b")], true, Some("b")),
            ("a creation", vec![absent("a")], vec![put("a")], false, Some("a")),
            ("the guard is of another key", vec![at_5("a")], vec![put("b")], false, Some("b")),
            ("no precondition", vec![], vec![put("a")], false, Some("a")),
            ("a plain delete", vec![], vec![delete("a")], false, None),
        ];
        for (name, preconditions, writes, can_repeat, trace) in cases {
            let plan = Plan::of(&preconditions, &writes);
            assert_eq!((plan.can_repeat(), plan.trace.as_deref()), (can_repeat, trace), "{name}");
        }
    }
}
