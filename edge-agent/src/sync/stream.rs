//! One stream to one control plane, from Hello to its end.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use headland_proto::{
    limits::GRPC_MESSAGE_BYTES_MAX,
    v1::{self, control_message::Message, sync_service_client::SyncServiceClient},
};
use http::Uri;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Streaming, transport::Endpoint};

use super::{
    assembly::{Assembly, AssemblyError, WholeUpdate},
    backoff::Ended,
    contact::Contact,
    explain::{Answers, Explainer},
    owner::{Request, Verdict},
    report::Sources,
    state::{Offer, State},
};
use crate::peers::Peers;

/// To connect, TCP and HTTP/2.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From Hello to Welcome. A control plane may have to wait for its store; keep-alive sees to those that are dead.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a connection is tried for life, and how long the answer may take: a dead peer is noticed within the sum.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// For the last report to reach the control plane.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Reports on their way. A control plane that does not read gets a newer one later, not more of them.
const OUTBOUND_MAX: usize = 2;
/// Range of the report interval, whatever the control plane asks for.
pub(crate) const REPORT_INTERVAL: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(60));
/// Report interval if the control plane does not say.
const REPORT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);

/// What every stream of this edge uses.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) sources: Sources,
    pub(crate) explainer: Arc<dyn Explainer>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) offers: mpsc::Sender<Request>,
    pub(crate) peers: Arc<Peers>,
    /// The edge stops on purpose: say so and close.
    pub(crate) leaving: CancellationToken,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("the edge is leaving")]
    Left,
    #[error("connect")]
    Connect(#[from] tonic::transport::Error),
    #[error("hear from the control plane within {WELCOME_TIMEOUT:?}")]
    Silent,
    #[error("keep the stream: {} ({:?})", .0.message(), .0.code())]
    Status(#[from] tonic::Status),
    #[error("keep the stream: the control plane closed it")]
    Closed,
    #[error("understand the control plane: {0}")]
    Protocol(&'static str),
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    #[error("go on: {reason}")]
    StartOver { reason: &'static str, progressed: bool },
}

impl End {
    /// What the next try has to know.
    pub(crate) fn ended(&self) -> Ended {
        match self {
            Self::StartOver { progressed, .. } => Ended::StartOver { progressed: *progressed },
            _ => Ended::Failed,
        }
    }
}

/// Holds one stream until it ends, always for a reason; and whether there was a Welcome.
pub(crate) async fn hold(shared: &Shared, url: &Uri, address: SocketAddr, contact: &Contact) -> (End, bool) {
    let mut stream = match Stream::open(shared, url, address).await {
        Ok(stream) => stream,
        Err(end) => return (end, false),
    };
    contact.set_connected(true);
    tracing::info!(control_plane = %url, %address, cluster = %stream.cluster_id, "connected");
    let end = stream.converse().await;
    contact.set_connected(false);
    (end, true)
}

/// An open stream after Welcome.
struct Stream<'s> {
    shared: &'s Shared,
    state: watch::Receiver<Arc<State>>,
    inbound: Streaming<v1::ControlMessage>,
    outbound: mpsc::Sender<v1::EdgeMessage>,
    cluster_id: String,
    report_interval: Duration,
    history: u64,
    assembly: Assembly,
    answers: Answers,
    progressed: bool,
}

impl<'s> Stream<'s> {
    async fn open(shared: &'s Shared, url: &Uri, address: SocketAddr) -> Result<Self, End> {
        let endpoint = endpoint(url, address)?;
        let channel = tokio::select! {
            channel = endpoint.connect() => channel?,
            () = shared.leaving.cancelled() => return Err(End::Left),
        };
        let mut client = SyncServiceClient::new(channel)
            .max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(GRPC_MESSAGE_BYTES_MAX);
        let mut state = shared.state.clone();
        let (hello, history) = {
            let state = state.borrow_and_update();
            (shared.sources.hello(&state), state.history())
        };
        let (outbound, messages) = mpsc::channel(OUTBOUND_MAX);
        outbound.try_send(hello).map_err(|_| End::Closed)?;
        let welcome = async {
            let mut inbound = client.sync(ReceiverStream::new(messages)).await?.into_inner();
            let first = inbound.message().await?;
            Ok::<_, tonic::Status>((inbound, first))
        };
        let (inbound, first) = tokio::select! {
            welcome = timeout(WELCOME_TIMEOUT, welcome) => welcome.map_err(|_| End::Silent)??,
            () = shared.leaving.cancelled() => return Err(End::Left),
        };
        let Some(Message::Welcome(welcome)) = first.ok_or(End::Closed)?.message else {
            return Err(End::Protocol("its first message is not Welcome"));
        };
        if welcome.cluster_id.is_empty() {
            return Err(End::Protocol("its Welcome names no cluster"));
        }
        let report_interval = report_interval(welcome.report_interval);
        let cluster_id = welcome.cluster_id;
        let (assembly, progressed) = (Assembly::default(), false);
        Ok(Self {
            shared,
            state,
            inbound,
            outbound,
            cluster_id,
            report_interval,
            history,
            assembly,
            answers: Answers::new(Arc::clone(&shared.explainer)),
            progressed,
        })
    }

    /// Takes updates and questions, sends reports and answers, until something ends it.
    async fn converse(&mut self) -> End {
        let mut timer = interval(self.report_interval);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first report goes up at once: it says which cluster and revision this edge is at.
        let mut report_due = true;
        loop {
            let message = tokio::select! {
                message = self.inbound.message() => message,
                permit = self.outbound.reserve(), if report_due || !self.answers.is_empty() => {
                    let Ok(permit) = permit else { return End::Closed };
                    // Reports first: questions can wait, and are forgotten without harm.
                    if !report_due {
                        if let Some(answer) = self.answers.next() {
                            permit.send(answer);
                        }
                        continue;
                    }
                    let state = Arc::clone(&self.state.borrow_and_update());
                    permit.send(self.shared.sources.report(&state, false));
                    report_due = false;
                    timer.reset();
                    continue;
                }
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return End::Left;
                    }
                    report_due = true;
                    continue;
                }
                _ = timer.tick() => {
                    report_due = true;
                    continue;
                }
                () = self.shared.leaving.cancelled() => break,
            };
            match self.take(message).await {
                Ok(settled) => report_due |= settled,
                Err(end) => return end,
            }
        }
        self.leave().await;
        End::Left
    }

    /// Takes one message; whether an update is settled with it.
    async fn take(
        &mut self,
        message: Result<Option<v1::ControlMessage>, tonic::Status>,
    ) -> Result<bool, End> {
        let part = match message?.ok_or(End::Closed)?.message {
            Some(Message::Update(part)) => part,
            Some(Message::Explain(question)) => {
                self.answers.take(question, &self.state.borrow());
                return Ok(false);
            }
            Some(Message::Peers(peers)) => {
                self.shared.peers.name(&peers, Instant::now());
                return Ok(false);
            }
            Some(Message::Welcome(_)) => return Err(End::Protocol("it sent a second Welcome")),
            // What a newer control plane adds is none of this program's business.
            None => return Ok(false),
        };
        match self.assembly.add(part)? {
            Some(update) => self.offer(update).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Hands a whole update to the owner of the state and waits for what becomes of it.
    async fn offer(&mut self, update: WholeUpdate) -> Result<(), End> {
        let offer = Offer { cluster_id: self.cluster_id.clone(), history: self.history, update };
        let (reply, verdict) = oneshot::channel();
        self.shared.offers.send(Request { offer, reply }).await.map_err(|_| End::Left)?;
        match verdict.await.map_err(|_| End::Left)? {
            Verdict::Applied { history } => self.history = history,
            Verdict::Ignored => {}
            Verdict::Gap(reason) => {
                return Err(End::StartOver { reason, progressed: self.progressed });
            }
        }
        self.progressed = true;
        Ok(())
    }

    /// Sends the last report, and stays until the control plane has read it.
    async fn leave(&mut self) {
        let report = self.shared.sources.report(&self.state.borrow().clone(), true);
        let said = async {
            if self.outbound.send(report).await.is_err() {
                return;
            }
            // Ends the stream from this side; the control plane then ends its own.
            self.outbound = mpsc::channel(1).0;
            while let Ok(Some(_)) = self.inbound.message().await {}
        };
        if timeout(LEAVE_TIMEOUT, said).await.is_err() {
            tracing::debug!("the control plane did not close the stream in time");
        }
    }
}

fn endpoint(url: &Uri, address: SocketAddr) -> Result<Endpoint, tonic::transport::Error> {
    let (every, patience) = KEEPALIVE;
    // Connects to this address, but asks for the configured name.
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .origin(url.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(every)
        .keep_alive_timeout(patience)
        .keep_alive_while_idle(true))
}

fn report_interval(asked: Option<prost_types::Duration>) -> Duration {
    let asked = asked.and_then(|asked| Duration::try_from(asked).ok()).filter(|asked| !asked.is_zero());
    asked.unwrap_or(REPORT_INTERVAL_DEFAULT).clamp(REPORT_INTERVAL.0, REPORT_INTERVAL.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_interval_stays_sane_whatever_is_asked() {
        let wire = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        for (asked, expected) in [
            (None, REPORT_INTERVAL_DEFAULT),
            (wire(0, 0), REPORT_INTERVAL_DEFAULT),
            (wire(-5, 0), REPORT_INTERVAL_DEFAULT),
            (wire(0, 1), REPORT_INTERVAL.0),
            (wire(3, 0), Duration::from_secs(3)),
            (wire(i64::MAX, 0), REPORT_INTERVAL.1),
        ] {
            assert_eq!(report_interval(asked), expected, "{asked:?}");
        }
    }
}
