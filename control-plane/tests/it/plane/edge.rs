//! An edge that speaks the sync protocol and nothing else.

use headland_proto::v1::{
    ControlMessage, EdgeMessage, Explain, Explained, Explanation, Hello, Peer, Report, Update, Welcome,
    control_message, edge_message, sync_service_client::SyncServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::{Plane, channel, within};

pub(crate) struct TestEdge {
    pub(crate) welcome: Welcome,
    /// The edges that can be asked, as it was told last.
    pub(crate) peers: Vec<Peer>,
    outgoing: mpsc::Sender<EdgeMessage>,
    incoming: Streaming<ControlMessage>,
}

/// The greeting of a new edge.
pub(crate) fn hello() -> Hello {
    Hello {
        edge_id: Uuid::new_v4().to_string(),
        location: "lab".into(),
        viewer_url: "http://127.0.0.1:8080".into(),
        agent_version: "0.0.0".into(),
        ..Default::default()
    }
}

impl TestEdge {
    pub(crate) async fn connect(plane: &Plane, hello: Hello) -> Result<Self, Status> {
        Self::open(plane, edge_message::Message::Hello(hello)).await
    }

    /// Opens a stream with this as its first message.
    pub(crate) async fn open(plane: &Plane, first: edge_message::Message) -> Result<Self, Status> {
        let (outgoing, messages) = mpsc::channel(8);
        outgoing.send(EdgeMessage { message: Some(first) }).await.unwrap();
        let mut client = SyncServiceClient::new(channel(plane.handle.sync_address()).await);
        let mut incoming = within(client.sync(ReceiverStream::new(messages))).await?.into_inner();
        let first = within(incoming.message()).await?.and_then(|m| m.message);
        match first {
            Some(control_message::Message::Welcome(welcome)) => {
                Ok(Self { welcome, peers: Vec::new(), outgoing, incoming })
            }
            other => panic!("the first message is {other:?}"),
        }
    }

    /// The next message that does not only name other edges.
    async fn message(&mut self) -> Result<Option<Option<control_message::Message>>, Status> {
        loop {
            match within(self.incoming.message()).await?.map(|m| m.message) {
                Some(Some(control_message::Message::Peers(peers))) => self.peers = peers.peers,
                other => return Ok(other),
            }
        }
    }

    /// The next message, which must be a part of an update; `None` when the stream has ended well.
    pub(crate) async fn part(&mut self) -> Result<Option<Update>, Status> {
        match self.message().await? {
            None => Ok(None),
            Some(Some(control_message::Message::Update(update))) => Ok(Some(update)),
            other => panic!("instead of an update came {other:?}"),
        }
    }

    /// The parts of the next update.
    pub(crate) async fn parts(&mut self) -> Vec<Update> {
        let mut parts: Vec<Update> = Vec::new();
        loop {
            let part = self.part().await.unwrap().expect("an update");
            let last = part.last;
            if let Some(first) = parts.first() {
                assert_eq!(
                    (part.from_revision, part.to_revision, part.whole, part.rewind),
                    (first.from_revision, first.to_revision, first.whole, first.rewind)
                );
            }
            parts.push(part);
            if last {
                return parts;
            }
        }
    }

    /// The next update, put together.
    pub(crate) async fn update(&mut self) -> Update {
        let mut parts = self.parts().await.into_iter();
        let mut update = parts.next().unwrap();
        for part in parts {
            update.distributions.extend(part.distributions);
            update.deleted_distribution_ids.extend(part.deleted_distribution_ids);
        }
        update
    }

    pub(crate) async fn send(&self, message: edge_message::Message) {
        self.outgoing.send(EdgeMessage { message: Some(message) }).await.unwrap();
    }

    /// The next message, which must be a question.
    pub(crate) async fn question(&mut self) -> Explain {
        match self.message().await.unwrap().flatten() {
            Some(control_message::Message::Explain(explain)) => explain,
            other => panic!("instead of a question came {other:?}"),
        }
    }

    /// Answers a question.
    pub(crate) async fn explained(&self, id: u64, explanation: Explanation) {
        let explained = Explained { id, explanation: Some(explanation) };
        self.send(edge_message::Message::Explanation(explained)).await;
    }

    pub(crate) async fn report(&self, report: Report) {
        self.send(edge_message::Message::Report(report)).await;
    }

    /// Reports that this revision is applied and served.
    pub(crate) async fn applied(&self, revision: u64) {
        self.report(self.report_of(revision)).await;
    }

    pub(crate) fn report_of(&self, revision: u64) -> Report {
        Report {
            applied_revision: revision,
            cluster_id: self.welcome.cluster_id.clone(),
            serving: true,
            ..Default::default()
        }
    }
}

/// The ids of an update's distributions.
pub(crate) fn ids(update: &Update) -> Vec<&str> {
    update.distributions.iter().map(|d| d.id.as_str()).collect()
}
