//! The cluster id: chosen once, by whichever control plane starts first on an empty store.

use headland_proto::v1::ClusterRecord;
use uuid::Uuid;

use crate::store::{
    Committed, Precondition, Store, StoreError, Write,
    bounded::BoundedStore,
    keys::{Key, Record},
};

/// Tries while others choose at the same time; one of them wins in the first round.
const ATTEMPTS_MAX: usize = 3;

/// The id of the cluster that the store belongs to, if it says so.
///
/// # Errors
/// When the store does not answer, or holds something else under the key.
pub(super) async fn read(store: &BoundedStore) -> Result<Option<String>, StoreError> {
    let key = Key::Cluster.to_string();
    let Some(entry) = store.get(&key).await? else { return Ok(None) };
    let record = ClusterRecord::from_value(&key, &entry.value);
    record
        .map(|record| Some(record.cluster_id))
        .map_err(|error| StoreError::Failed { reason: error.to_string() })
}

/// The id of the cluster that the store belongs to, chosen now if it belongs to none.
///
/// # Errors
/// When the store does not answer, or holds something else under the key.
pub(super) async fn ensure(store: &BoundedStore) -> Result<String, StoreError> {
    let key = Key::Cluster.to_string();
    let mut last = StoreError::Unavailable { reason: "the cluster id could not be agreed on".into() };
    for _ in 0..ATTEMPTS_MAX {
        if let Some(cluster_id) = read(store).await? {
            return Ok(cluster_id);
        }
        let cluster_id = Uuid::new_v4().to_string();
        let value = ClusterRecord { cluster_id: cluster_id.clone() }.to_value();
        let absent = Precondition::Absent { key: key.clone() };
        match store.commit(vec![absent], vec![Write::Put { key: key.clone(), value }]).await {
            Ok(Committed::Applied(_)) => return Ok(cluster_id),
            Ok(Committed::Refused) => {}
            Err(error @ StoreError::OutcomeUnknown { .. }) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
