//! Health checks of origins off the serving threads: whoever asks for one gets one, as long as a distribution has it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use headland_proto::model::{HealthCheck, Origin, OriginKind};
use tokio::{
    sync::{Semaphore, watch},
    task::AbortHandle,
    time::sleep,
};

use crate::{
    origin::{
        breaker::{Breakers, Unwell},
        health::{self, Health},
        http::name_of,
        tls::OriginTlsConfigs,
    },
    routing::{Routing, Table},
};

/// Questions under way at once.
const QUESTIONS_MAX: usize = 64;

/// Least time between two looks at what origins there are, which costs as much as there are distributions.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// A server, and what it is asked: however many distributions have it, once.
type Question = (String, HealthCheck);

/// The asking of one question, until it is dropped.
struct Asking {
    origin: Arc<Origin>,
    task: AbortHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Asks origins how they are until `changed` ends. Those that are not well are named to `breakers`.
pub(crate) async fn run<S>(
    mut changed: watch::Receiver<S>,
    routing: Arc<Routing>,
    tls: Arc<OriginTlsConfigs>,
    breakers: Arc<Breakers>,
) {
    let at_once = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let mut asking: HashMap<Question, Asking> = HashMap::new();
    loop {
        let wanted = questions(&routing.current());
        asking.retain(|question, under_way| {
            wanted.get(question).is_some_and(|origins| origins.contains(&under_way.origin))
        });
        for (question, origins) in wanted {
            let Some(origin) = origins.first() else { continue };
            asking.entry(question.clone()).or_insert_with(|| {
                let origin = Arc::clone(origin);
                let (tls, breakers) = (Arc::clone(&tls), Arc::clone(&breakers));
                let task = ask_for_ever(question, Arc::clone(&origin), tls, breakers, Arc::clone(&at_once));
                Asking { origin, task: tokio::spawn(task).abort_handle() }
            });
        }
        sleep(LOOK_PAUSE).await;
        if changed.changed().await.is_err() {
            return;
        }
    }
}

async fn ask_for_ever(
    (name, check): Question,
    origin: Arc<Origin>,
    tls: Arc<OriginTlsConfigs>,
    breakers: Arc<Breakers>,
    at_once: Arc<Semaphore>,
) {
    let OriginKind::Custom(server) = &origin.kind else { return };
    let mut health = Health::default();
    let mut unwell: Option<Unwell> = None;
    loop {
        // Not all edges and all origins at the same moment.
        sleep(check.interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        let result = {
            let _one = at_once.acquire().await;
            health::ask(&origin, server, &check, &tls).await
        };
        match (health.observe(result.is_ok()), result) {
            (Some(true), _) => {
                unwell = None;
                tracing::info!(origin = name.as_str(), "an origin is well again");
            }
            (Some(false), Err(reason)) => {
                unwell.get_or_insert_with(|| breakers.unwell(&name));
                tracing::warn!(origin = name.as_str(), path = %check.path, reason, "an origin is not well");
            }
            _ => {}
        }
    }
}

/// What is to be asked, and the origins of which: all the same server, but perhaps with different headers.
fn questions(table: &Table) -> HashMap<Question, Vec<Arc<Origin>>> {
    let mut found: HashMap<Question, Vec<Arc<Origin>>> = HashMap::new();
    for distribution in table.distributions().filter(|d| d.enabled) {
        for origin in distribution.origins() {
            if let Some(check) = &origin.health_check {
                found.entry((name_of(origin), check.clone())).or_default().push(Arc::clone(origin));
            }
        }
    }
    found
}
