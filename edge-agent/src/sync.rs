//! Sync: desired state comes down from the control planes and is put in force, observed state goes up, and so do the answers
//! to questions.

pub mod edge_id;

pub(crate) mod contact;
pub(crate) mod explain;
pub(crate) mod last_good;
pub(crate) mod owner;
pub(crate) mod saver;
pub(crate) mod state;

mod assembly;
mod backoff;
mod holdings;
mod report;
mod sessions;
mod stream;
mod unsaved;

use std::{path::Path, sync::Arc, time::Instant};

use http::Uri;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    contact::Contacts,
    explain::Explainer,
    last_good::Ring,
    owner::{OFFERS_MAX, Owner, OwnerFigures},
    report::{Identity, Sources},
    saver::{Saver, SaverFigures},
    sessions::Sessions,
    state::State,
    stream::Shared,
    unsaved::Unsaved,
};
use crate::{
    cache::Cache, metrics::Metrics, origin_problems::OriginProblems, peers::Peers, routing::Routing,
};

/// What sync works on; shared with whoever serves.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) routing: Arc<Routing>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) origin_problems: Arc<OriginProblems>,
    pub(crate) peers: Arc<Peers>,
}

/// Who this edge is and whom it asks.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) edge_id: String,
    pub(crate) location: String,
    pub(crate) viewer_url: String,
    pub(crate) peer_url: String,
    pub(crate) control_planes: Vec<Uri>,
    pub(crate) started: Instant,
}

/// What was loaded from disk, before any contact with a control plane.
#[derive(Debug)]
pub(crate) struct Start {
    ring: Ring,
    state: State,
}

impl Start {
    /// Loads the newest usable last-good state and puts it in force. Nothing on the disk makes this fail.
    pub(crate) fn load(data_dir: &Path, routing: &Routing) -> Self {
        let (ring, loaded) = Ring::open(data_dir);
        for (path, reason) in loaded.skipped {
            tracing::warn!(path = %path.display(), %reason, "skipped a last-good file");
        }
        let state = match loaded.newest {
            Some((path, record)) => {
                let state = State::from_record(record);
                routing.publish(state.table());
                tracing::info!(
                    path = %path.display(),
                    revision = %state.applied(),
                    distributions = state.len(),
                    refused = state.refused().len(),
                    "serving the last-good state"
                );
                state
            }
            None => State::default(),
        };
        Self { ring, state }
    }
}

/// Sync at work: its tasks, and what can be observed of them.
#[derive(Debug)]
pub(crate) struct Sync {
    pub(crate) view: View,
    leaving: CancellationToken,
    saving_ends: CancellationToken,
    sessions: JoinSet<()>,
    saver: JoinSet<()>,
}

/// What can be observed of sync.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) owner: Arc<OwnerFigures>,
    pub(crate) saver: Arc<SaverFigures>,
}

impl View {
    /// Waits until a configuration is in force; false if sync ended before.
    pub(crate) async fn ready(&mut self) -> bool {
        self.state.wait_for(|state| state.is_serving()).await.is_ok()
    }
}

impl Sync {
    /// Starts all tasks on the current runtime.
    pub(crate) fn start(
        settings: Settings,
        start: Start,
        serving: Serving,
        explainer: Arc<dyn Explainer>,
    ) -> Self {
        let Serving { routing, cache, metrics, origin_problems, peers } = serving;
        let (state_sender, state) = watch::channel(Arc::new(start.state));
        let view = View {
            state: state.clone(),
            contacts: Arc::default(),
            owner: Arc::default(),
            saver: Arc::default(),
        };
        let (offers, requests) = mpsc::channel(OFFERS_MAX);
        let unsaved = Arc::new(Mutex::new(Unsaved::default()));
        let owner = Owner {
            state: state_sender,
            routing,
            origin_problems: Arc::clone(&origin_problems),
            unsaved: Arc::clone(&unsaved),
            figures: Arc::clone(&view.owner),
        };
        // Ends when the last session is gone and with it the last sender.
        tokio::spawn(owner.run(requests));

        let saving_ends = CancellationToken::new();
        let mut saver = JoinSet::new();
        let ring = Arc::new(Mutex::new(start.ring));
        let figures = Arc::clone(&view.saver);
        let task = Saver { ring, state: state.clone(), unsaved, figures };
        saver.spawn(task.run(saving_ends.clone()));

        let Settings { edge_id, location, viewer_url, peer_url, control_planes, started } = settings;
        let identity = Identity { edge_id, location, viewer_url, peer_url };
        let leaving = CancellationToken::new();
        let sources = Sources { identity, cache, metrics, origin_problems, started };
        let shared = Arc::new(Shared { sources, explainer, state, offers, peers, leaving: leaving.clone() });
        let mut sessions = JoinSet::new();
        for url in control_planes {
            let of_url = Sessions::new(url, Arc::clone(&shared), Arc::clone(&view.contacts));
            sessions.spawn(of_url.run());
        }
        Self { view, leaving, saving_ends, sessions, saver }
    }

    /// Tells every control plane that this edge leaves, and closes the streams.
    pub(crate) async fn leave(&mut self) {
        self.leaving.cancel();
        while self.sessions.join_next().await.is_some() {}
    }

    /// Saves what is still unsaved. After [`Self::leave`].
    pub(crate) async fn finish(mut self) {
        self.saving_ends.cancel();
        while self.saver.join_next().await.is_some() {}
    }
}
