//! Watches: every change in order, signs of life, and an end with an error on any doubt.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use etcd_client::{
    Event, EventType, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream, WatchStream,
};
use futures::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use headland_proto::revision::Revision;
use tokio::time::{Instant, timeout_at};

use super::{
    REPLY_BYTES_MAX,
    members::Members,
    trouble::Trouble,
    wire::{self, Keys, etcd_revision, revision},
};
use crate::store::{Change, Entry, StoreError};

/// How long a watch is silent before etcd is asked for a sign of life.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// How long that sign may take.
const SILENCE_MAX: Duration = Duration::from_secs(5);

struct Watch {
    requests: WatchRequestSender,
    responses: WatchResponseStream,
    keys: Keys,
    /// What the caller asked for.
    from: Revision,
    /// Everything up to here was delivered.
    delivered: Revision,
    ready: VecDeque<Change>,
    /// When etcd is asked for a sign of life.
    ask_at: Instant,
    /// When it has had time enough to give it.
    silent_at: Option<Instant>,
    watch_id: i64,
}

/// The changes to keys that begin with `prefix`, from the given revision on.
pub(super) async fn watch(
    members: &Members,
    keys: &Keys,
    prefix: &str,
    from: Revision,
) -> Result<BoxStream<'static, Result<Change, StoreError>>, StoreError> {
    // To etcd, revision zero means now.
    let from = from.max(Revision(1));
    let (stream, created) = open(members, keys, prefix, from).await?;
    let (requests, responses) = stream.split();
    let mut watch = Watch {
        requests,
        responses,
        keys: keys.clone(),
        from,
        delivered: Revision(from.0 - 1),
        ready: VecDeque::new(),
        ask_at: Instant::now() + PROGRESS_INTERVAL,
        silent_at: None,
        watch_id: created.watch_id(),
    };
    watch.take_in(&created)?;
    let stream = stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await {
            Ok(change) => Some((Ok(change), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(stream.boxed())
}

/// Opens the stream and waits until etcd says that it watches.
async fn open(
    members: &Members,
    keys: &Keys,
    prefix: &str,
    from: Revision,
) -> Result<(WatchStream, WatchResponse), StoreError> {
    let (start, end) = keys.range(prefix, None);
    let options = WatchOptions::new()
        .with_range(end)
        .with_start_revision(etcd_revision(from))
        .with_progress_notify()
        // Otherwise a burst of changes becomes one message of any size.
        .with_fragment();
    let opened = members.read(members.budget(), |client| {
        let (start, options) = (start.clone(), options.clone());
        async move {
            let mut watches = client.watch_client().max_decoding_message_size(REPLY_BYTES_MAX);
            let mut stream = watches.watch(start, Some(options)).await?;
            let first = stream.message().await?;
            Ok((stream, first))
        }
        .boxed()
    });
    match opened.await.map_err(Trouble::of_a_read)? {
        (stream, Some(created)) if created.created() => Ok((stream, created)),
        _ => Err(unavailable("etcd did not begin the watch")),
    }
}

impl Watch {
    async fn next(&mut self) -> Result<Change, StoreError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                self.ask_at = Instant::now() + PROGRESS_INTERVAL;
                return Ok(change);
            }
            let deadline = self.silent_at.unwrap_or(self.ask_at);
            // What has already arrived is read even if the deadline has passed while nobody was reading.
            match timeout_at(deadline, self.responses.message()).await {
                Ok(Ok(Some(response))) => {
                    self.silent_at = None;
                    self.take_in(&response)?;
                    if response.events().is_empty() {
                        self.ask_at = Instant::now() + PROGRESS_INTERVAL;
                        return Ok(Change::Progress(self.delivered));
                    }
                }
                Ok(Ok(None)) => return Err(unavailable("etcd ended the watch")),
                Ok(Err(error)) => return Err(Trouble::of(&error).of_a_read()),
                Err(_) if self.silent_at.is_some() => return Err(unavailable("the watch has fallen silent")),
                Err(_) => {
                    self.requests
                        .request_progress()
                        .await
                        .map_err(|error| Trouble::of(&error).of_a_read())?;
                    self.silent_at = Some(Instant::now() + SILENCE_MAX);
                }
            }
        }
    }

    /// Reads one message: events, or why there will be no more, or a sign of life.
    fn take_in(&mut self, response: &WatchResponse) -> Result<(), StoreError> {
        if response.compact_revision() > 0 {
            // The compacted revision itself keeps its puts but loses its deletes.
            let oldest = revision(response.compact_revision()).next();
            return Err(StoreError::Compacted { asked: self.from.max(self.delivered.next()), oldest });
        }
        if response.canceled() {
            return Err(unavailable(&format!("etcd cancelled the watch: {}", response.cancel_reason())));
        }
        for event in response.events() {
            self.take_in_event(event)?;
        }
        // A sign of life that was asked for may overtake changes (etcd before 3.4.25 and 3.5.8), so its revision says
        // nothing. Those that etcd sends by itself are in order and name the watch.
        let by_itself = response.watch_id() == self.watch_id && !response.created();
        if response.events().is_empty() && by_itself {
            let header = response.header().map_or(0, etcd_client::ResponseHeader::revision);
            self.delivered = self.delivered.max(revision(header));
        }
        Ok(())
    }

    fn take_in_event(&mut self, event: &Event) -> Result<(), StoreError> {
        let stored = event.kv().ok_or_else(|| unavailable("etcd sent a change without a key"))?;
        let modified = revision(stored.mod_revision());
        if modified < self.from {
            // A member that lags behind may send what was not asked for.
            return Ok(());
        }
        if modified < self.delivered {
            return Err(unavailable(&format!(
                "the watch went back from revision {} to {modified}",
                self.delivered
            )));
        }
        self.delivered = modified;
        let change = match event.event_type() {
            EventType::Put => {
                let value = wire::unwrap(Bytes::copy_from_slice(stored.value()));
                let (_, value) = value.ok_or_else(|| wire::foreign(stored.key()))?;
                Change::Put(Entry { key: self.keys.in_store(stored.key())?, value, modified })
            }
            EventType::Delete => {
                Change::Deleted { key: self.keys.in_store(stored.key())?, revision: modified }
            }
        };
        self.ready.push_back(change);
        Ok(())
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned() }
}
