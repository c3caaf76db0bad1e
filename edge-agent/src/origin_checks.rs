//! Checking origins off the serving threads: when a distribution brings a new one, again while there is something wrong with it, and
//! those with certificates from time to time, which expire.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use headland_proto::model::{Origin, OriginKind};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    origin::{check, credentials::CredentialsStore, tls::OriginTlsConfigs},
    origin_problems::OriginProblems,
    routing::{Routing, Table},
};

/// Checks at once.
const CHECKS_MAX: usize = 8;
/// How often an origin with a problem is looked at again.
const RECHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How often an origin without one is, if it has a certificate.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(600);

/// Least time between two looks at what origins there are, which costs as much as there are distributions.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// An origin as one distribution uses it.
type Use = (String, String);

/// Checks origins until `changed` ends. What is found goes into `problems`.
pub(crate) async fn run<S>(
    mut changed: watch::Receiver<S>,
    routing: Arc<Routing>,
    (credentials, tls): (CredentialsStore, Arc<OriginTlsConfigs>),
    problems: Arc<OriginProblems>,
) {
    let mut sound: HashMap<Use, (Arc<Origin>, Instant)> = HashMap::new();
    loop {
        let origins = origins(&routing.current());
        sound.retain(|usage, (origin, found)| {
            let still_so = !origin.uses_tls() || found.elapsed() < CERTIFICATE_INTERVAL;
            still_so && origins.get(usage) == Some(origin)
        });
        // What is no longer used has no problems.
        for old in problems.list() {
            if !origins.contains_key(&(old.distribution_id.clone(), old.origin_id.clone())) {
                problems.clear(&old.distribution_id, &old.origin_id);
            }
        }
        let unsure: Vec<_> = origins.into_iter().filter(|(usage, _)| !sound.contains_key(usage)).collect();
        let results: Vec<_> = stream::iter(unsure)
            .map(|(usage, origin)| async {
                let result = check(&origin, &credentials, &tls).await;
                (usage, origin, result)
            })
            .buffer_unordered(CHECKS_MAX)
            .collect()
            .await;
        for ((distribution, id), origin, result) in results {
            match result {
                Ok(()) => {
                    problems.clear(&distribution, &id);
                    sound.insert((distribution, id), (origin, Instant::now()));
                }
                Err(reason) => {
                    tracing::warn!(
                        distribution,
                        origin = id,
                        reason,
                        "an origin cannot be used as configured"
                    );
                    problems.set(&distribution, &id, &reason);
                }
            }
        }
        sleep(LOOK_PAUSE).await;
        // A problem may go away by itself: the bucket is created, the credentials arrive, the certificate is renewed.
        if let Ok(Err(_)) = timeout(RECHECK_INTERVAL, changed.changed()).await {
            return;
        }
    }
}

async fn check(
    origin: &Origin,
    credentials: &CredentialsStore,
    tls: &OriginTlsConfigs,
) -> Result<(), String> {
    match &origin.kind {
        // The SDK would make connections of its own, in a way of its own.
        OriginKind::S3(bucket) if origin.tls.is_none() => check::bucket(bucket, credentials).await,
        _ => check::server(origin, tls).await,
    }
}

/// The origins of which something can be known beforehand.
fn origins(table: &Table) -> HashMap<Use, Arc<Origin>> {
    let mut found = HashMap::new();
    for distribution in table.distributions().filter(|d| d.enabled) {
        for origin in distribution.origins() {
            if matches!(origin.kind, OriginKind::S3(_)) || origin.always_uses_tls() {
                found.insert((distribution.id.to_string(), origin.id.clone()), Arc::clone(origin));
            }
        }
    }
    found
}
