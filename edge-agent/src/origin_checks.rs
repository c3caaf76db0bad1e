//! Checking buckets off the serving threads: when a distribution brings a new one, and again while there is something wrong with it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use headland_proto::model::{OriginKind, S3Origin};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    origin::{check, credentials::CredentialsStore},
    origin_problems::OriginProblems,
    routing::{Routing, Table},
};

/// Checks at once.
const CHECKS_MAX: usize = 8;
/// How often a bucket with a problem is looked at again.
const RECHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Least time between two looks at what buckets there are, which costs as much as there are distributions.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// A bucket as one distribution uses it.
type Use = (String, String);

/// Checks buckets until `changed` ends. What is found goes into `problems`.
pub(crate) async fn run<S>(
    mut changed: watch::Receiver<S>,
    routing: Arc<Routing>,
    credentials: CredentialsStore,
    problems: Arc<OriginProblems>,
) {
    let mut sound: HashMap<Use, S3Origin> = HashMap::new();
    loop {
        let buckets = buckets(&routing.current());
        sound.retain(|usage, bucket| buckets.get(usage) == Some(bucket));
        // What is no longer used has no problems.
        for old in problems.list() {
            if !buckets.contains_key(&(old.distribution_id.clone(), old.origin_id.clone())) {
                problems.clear(&old.distribution_id, &old.origin_id);
            }
        }
        let unsure: Vec<_> = buckets.into_iter().filter(|(usage, _)| !sound.contains_key(usage)).collect();
        let results: Vec<_> = stream::iter(unsure)
            .map(|(usage, bucket)| async {
                let result = check::bucket(&bucket, &credentials).await;
                (usage, bucket, result)
            })
            .buffer_unordered(CHECKS_MAX)
            .collect()
            .await;
        for ((distribution, origin), bucket, result) in results {
            match result {
                Ok(()) => {
                    problems.clear(&distribution, &origin);
                    sound.insert((distribution, origin), bucket);
                }
                Err(reason) => {
                    tracing::warn!(distribution, origin, reason, "an origin cannot be used as configured");
                    problems.set(&distribution, &origin, &reason);
                }
            }
        }
        sleep(LOOK_PAUSE).await;
        // A problem may go away by itself: the bucket is created, the credentials arrive.
        if let Ok(Err(_)) = timeout(RECHECK_INTERVAL, changed.changed()).await {
            return;
        }
    }
}

fn buckets(table: &Table) -> HashMap<Use, S3Origin> {
    let mut buckets = HashMap::new();
    for distribution in table.distributions().filter(|d| d.enabled) {
        for origin in distribution.origins() {
            if let OriginKind::S3(bucket) = &origin.kind {
                buckets.insert((distribution.id.to_string(), origin.id.clone()), bucket.clone());
            }
        }
    }
    buckets
}
