//! The sync protocol, as proto/headland/v1/sync.proto tells it: one stream per edge, desired state down, reports up,
//! and questions with their answers beside them.

use std::{sync::Arc, time::Duration};

use headland_proto::{
    model::Violations,
    v1::{
        ControlMessage, EdgeMessage, Peers, Welcome, control_message, edge_message,
        sync_service_server::SyncService,
    },
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info};

use super::status::{self, SyncEnd};
use crate::{
    fleet::{Connection, Fleet, Greeting, Moment, Questions},
    metrics::Metrics,
    snapshot::{Cursor, Parts, Position, Snapshot},
};

/// Longest wait for the first message of a stream.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stream may wait for the first listing of the store.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two attempts to list the store anew for an edge that is ahead.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);
/// Messages queued for an edge, besides the one being made: a slow edge costs one part, not all.
const OUTGOING_MAX: usize = 1;

/// The service.
#[derive(Debug)]
pub(crate) struct SyncApi {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl SyncService for SyncApi {
    type SyncStream = ReceiverStream<Result<ControlMessage, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<EdgeMessage>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let mut incoming = request.into_inner();
        let greeting = read_hello(&mut incoming).await?;
        let complete = timeout(SNAPSHOT_TIMEOUT, self.snapshot.complete()).await;
        complete.map_err(|_| status::from_sync_end(SyncEnd::SnapshotIncomplete))?;
        let mut position = self.snapshot.watch();
        position.mark_changed();
        let (cluster_id, cursor) = self.snapshot.read(|state| {
            let cluster_id = state.cluster_id().clone();
            let applied = greeting.applied_of(&cluster_id);
            (cluster_id, Cursor::new(state, applied, greeting.resend.clone()))
        });
        info!(edge = %greeting.edge_id, location = greeting.location, "an edge connected");
        let connection = self.fleet.connect(greeting, &cluster_id, Moment::now());
        let (connection, questions) = connection.map_err(status::from_fleet_full)?;
        let mut peers = self.fleet.peers();
        peers.mark_changed();
        let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
        let session = Session {
            snapshot: self.snapshot.clone(),
            metrics: self.metrics.clone(),
            shutdown: self.shutdown.clone(),
            report_interval: self.fleet.report_interval(),
            cluster_id,
            cursor,
            position,
            peers,
            connection,
            questions,
            incoming,
            outgoing,
        };
        tokio::spawn(session.run());
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

async fn read_hello(incoming: &mut Streaming<EdgeMessage>) -> Result<Greeting, Status> {
    let first = timeout(HELLO_TIMEOUT, incoming.message()).await.unwrap_or(Ok(None))?;
    match first.and_then(|message| message.message) {
        Some(edge_message::Message::Hello(hello)) => {
            Greeting::try_from(hello).map_err(|violations| status::invalid(&violations))
        }
        _ => Err(misplaced("hello", "must be the first message of the stream")),
    }
}

/// Returns once the snapshot is as new as this call, however long that takes: the edge has something to serve meanwhile.
async fn ask_the_store(snapshot: &Snapshot) {
    while !snapshot.refresh().await {
        sleep(REFRESH_PAUSE).await;
    }
}

fn misplaced(field: &str, description: &str) -> Status {
    let mut violations = Violations::default();
    violations.add(field, description);
    status::invalid(&violations)
}

/// One stream.
struct Session {
    snapshot: Arc<Snapshot>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    report_interval: Duration,
    cluster_id: Arc<str>,
    cursor: Cursor,
    position: watch::Receiver<Position>,
    peers: watch::Receiver<Arc<Peers>>,
    connection: Connection,
    questions: Questions,
    incoming: Streaming<EdgeMessage>,
    outgoing: mpsc::Sender<Result<ControlMessage, Status>>,
}

impl Session {
    async fn run(mut self) {
        self.metrics.sync_streams.inc();
        let end = self.pump().await;
        self.metrics.sync_streams.dec();
        match end {
            Ok(()) => debug!("an edge closed its stream"),
            Err(status) => {
                info!(reason = status.message(), "a sync stream ended");
                // With a full queue the edge learns less: only that the stream has ended.
                let _ = self.outgoing.try_send(Err(status));
            }
        }
    }

    /// Moves messages both ways until either side has had enough.
    async fn pump(&mut self) -> Result<(), Status> {
        let outgoing = self.outgoing.clone();
        let mut next = Some(self.welcome());
        let mut parts: Option<Parts> = None;
        // Another control plane may have told the edge more than this one has heard yet.
        let mut asking = self.cursor.is_in_doubt();
        let snapshot = self.snapshot.clone();
        let asked = ask_the_store(&snapshot);
        tokio::pin!(asked);
        loop {
            if next.is_none() {
                next = parts.as_mut().and_then(Iterator::next).map(control_message::Message::Update);
            }
            tokio::select! {
                permit = outgoing.reserve(), if next.is_some() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    if matches!(next, Some(control_message::Message::Update(_))) {
                        self.metrics.sync_parts.inc();
                    }
                    permit.send(Ok(ControlMessage { message: next.take() }));
                }
                changed = self.position.changed(), if next.is_none() => {
                    changed.map_err(|_| status::from_sync_end(SyncEnd::ShuttingDown))?;
                    parts = self.next_update()?;
                }
                // These, too, between updates.
                Ok(()) = self.peers.changed(), if next.is_none() => {
                    let peers = Arc::clone(&self.peers.borrow_and_update());
                    next = Some(control_message::Message::Peers((*peers).clone()));
                }
                // Between updates, never between the parts of one.
                Some(question) = self.questions.recv(), if next.is_none() => {
                    next = Some(control_message::Message::Explain(question));
                }
                () = &mut asked, if asking => {
                    asking = false;
                    self.cursor.resolve();
                    self.position.mark_changed();
                }
                message = self.incoming.message() => match message {
                    Ok(Some(message)) => self.take(message)?,
                    // The edge went away, politely or not.
                    Ok(None) | Err(_) => return Ok(()),
                },
                () = self.connection.superseded() => {
                    return Err(status::from_sync_end(SyncEnd::Superseded));
                }
                () = self.shutdown.cancelled() => {
                    return Err(status::from_sync_end(SyncEnd::ShuttingDown));
                }
            }
        }
    }

    fn welcome(&self) -> control_message::Message {
        control_message::Message::Welcome(Welcome {
            cluster_id: self.cluster_id.to_string(),
            report_interval: prost_types::Duration::try_from(self.report_interval).ok(),
        })
    }

    /// Everything that changed since the update before; several changes make one update.
    fn next_update(&mut self) -> Result<Option<Parts>, Status> {
        let cursor = &mut self.cursor;
        let cluster_id = &self.cluster_id;
        self.snapshot.read(|state| {
            if state.cluster_id() != cluster_id {
                return Err(status::from_sync_end(SyncEnd::ClusterChanged));
            }
            Ok(cursor.next(state).map(Parts::new))
        })
    }

    fn take(&self, message: EdgeMessage) -> Result<(), Status> {
        match message.message {
            Some(edge_message::Message::Report(report)) => {
                self.metrics.sync_reports.inc();
                self.connection.report(report, Moment::now());
                Ok(())
            }
            Some(edge_message::Message::Explanation(explained)) => {
                self.connection.answer(explained);
                Ok(())
            }
            Some(edge_message::Message::Hello(_)) => {
                Err(misplaced("hello", "must be the first message of the stream only"))
            }
            // A kind of message from a newer edge.
            None => Ok(()),
        }
    }
}
