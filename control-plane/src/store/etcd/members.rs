//! Calls to a cluster of which some members may be away.
//!
//! Each member has a client of its own, and all calls go to one member until it fails: the client library's own
//! balancing takes a dead member for a ready one and fails every n-th call on it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use etcd_client::{Client, ConnectOptions, Error};
use futures::future::BoxFuture;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

use super::{options::EtcdOptions, trouble::Trouble};
use crate::store::StoreError;

/// The pause after every member has failed once.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// A call may try this many members that do not answer at all.
const SILENT_MEMBERS_PER_CALL: u32 = 3;

/// The members of one cluster.
pub(super) struct Members {
    list: Vec<Member>,
    /// Which member all calls go to.
    current: AtomicUsize,
    options: ConnectOptions,
    request_timeout: Duration,
}

struct Member {
    endpoint: String,
    client: OnceCell<Client>,
}

/// One call's time, and how it went so far.
pub(super) struct Budget {
    deadline: Instant,
    failures: usize,
    /// What a member last said, or why it could not be reached. Says more than that time ran out in the end.
    telling: Option<String>,
}

impl Budget {
    fn of(time: Duration) -> Self {
        Self { deadline: Instant::now() + time, failures: 0, telling: None }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn timed_out(&self, what: &str, patience: Duration) -> String {
        let before = self.telling.as_ref().map(|telling| format!(", after {telling}")).unwrap_or_default();
        format!("{what} within {} ms{before}", patience.as_millis())
    }
}

impl Members {
    pub(super) fn new(options: &EtcdOptions) -> Result<Self, StoreError> {
        let list = options.endpoints.iter().cloned();
        Ok(Self {
            list: list.map(|endpoint| Member { endpoint, client: OnceCell::new() }).collect(),
            current: AtomicUsize::new(0),
            options: options.connect_options()?,
            request_timeout: options.request_timeout,
        })
    }

    /// The time for one whole call.
    pub(super) fn budget(&self) -> Budget {
        Budget::of(self.request_timeout)
    }

    /// The time to look after a call that has used up its own.
    pub(super) fn budget_to_look_up(&self) -> Budget {
        Budget::of(self.share())
    }

    /// How long to wait for one member when the call can be repeated on another.
    pub(super) fn share(&self) -> Duration {
        self.request_timeout / SILENT_MEMBERS_PER_CALL
    }

    /// A call that changes nothing, repeated on other members while there is time.
    pub(super) async fn read<T>(
        &self,
        mut budget: Budget,
        ask: impl Fn(Client) -> BoxFuture<'static, Result<T, Error>> + Send + Sync,
    ) -> Result<T, Trouble> {
        loop {
            match self.attempt(&mut budget, self.share(), &ask).await {
                Err(trouble) if trouble.may_pass() => self.pause(&mut budget, trouble).await?,
                other => return other,
            }
        }
    }

    /// One attempt with the current member. If it fails there, the next attempt goes to another.
    pub(super) async fn attempt<T>(
        &self,
        budget: &mut Budget,
        at_most: Duration,
        ask: impl Fn(Client) -> BoxFuture<'static, Result<T, Error>> + Send + Sync,
    ) -> Result<T, Trouble> {
        let index = self.current.load(Ordering::Relaxed);
        let member = &self.list[index];
        let patience = at_most.min(budget.left());
        let answer = timeout(patience, async {
            let client = member.connected(&self.options).await?;
            ask(client).await.map_err(|error| Trouble::of(&error))
        });
        let trouble = match answer.await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(trouble)) => {
                budget.telling = trouble.reason().map(str::to_owned);
                trouble
            }
            Err(_) if !member.client.initialized() => {
                Trouble::NotDone(budget.timed_out("not connected", patience))
            }
            Err(_) => Trouble::Lost(budget.timed_out("no answer", patience)),
        };
        if trouble.may_pass() {
            self.turn_away_from(index);
        }
        tracing::debug!(endpoint = %member.endpoint, ?trouble, "a call to etcd failed");
        Err(trouble.at(&member.endpoint))
    }

    /// Waits before the next attempt if every member had its turn; gives the trouble back if there is no time for one.
    pub(super) async fn pause(&self, budget: &mut Budget, trouble: Trouble) -> Result<(), Trouble> {
        budget.failures += 1;
        let pause =
            if budget.failures.is_multiple_of(self.list.len()) { ROUND_PAUSE } else { Duration::ZERO };
        if Instant::now() + pause >= budget.deadline {
            return Err(trouble);
        }
        sleep(pause).await;
        Ok(())
    }

    /// Many calls may fail on one member at once: they turn away from it together.
    fn turn_away_from(&self, index: usize) {
        let next = (index + 1) % self.list.len();
        let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Member {
    /// The client, which connects when it is used; with a user it must first log in.
    async fn connected(&self, options: &ConnectOptions) -> Result<Client, Trouble> {
        let connect = || Client::connect([&self.endpoint], Some(options.clone()));
        let client = self.client.get_or_try_init(connect).await.cloned();
        client.map_err(|error| match Trouble::of(&error) {
            // Whatever became of the login, the call itself was never sent.
            Trouble::Lost(reason) => Trouble::NotDone(reason),
            trouble => trouble,
        })
    }
}
