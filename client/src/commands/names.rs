//! Names of policies and keys, which files and flags may say in place of ids.

use headland::{
    client::Client,
    error::Error,
    spec::{DistributionSpec, KeyGroupSpec, Names},
    v1,
};

/// What is sent: ids in place of names. The control plane is asked only for the names of what was created there.
pub(super) async fn resolved(
    spec: DistributionSpec,
    client: &Client,
) -> Result<v1::DistributionConfig, Error> {
    let managed = Names::managed();
    let all_managed = spec.names_used().into_iter().all(|(kind, name)| managed.id(kind, name).is_some());
    let names = if all_managed { managed } else { client.names().await? };
    Ok((&spec.with_ids(&names)?).into())
}

/// The same of a key group.
pub(super) async fn resolved_group(spec: KeyGroupSpec, client: &Client) -> Result<KeyGroupSpec, Error> {
    let names = if spec.uses_names() { client.names().await? } else { Names::default() };
    spec.with_ids(&names)
}
