//! The names of what distributions refer to, as they are now.

use headland_proto::{model::Kind, v1};

use super::Client;
use crate::{error::Error, spec::Names};

impl Client {
    /// The names of all policies, managed and created, and of all public keys and key groups.
    ///
    /// # Errors
    /// Failures of a call.
    pub async fn names(&self) -> Result<Names, Error> {
        let mut names = Names::managed();
        let created = (v1::PolicyType::Custom, v1::PolicyFilter::default());
        for policy in self.list_cache_policies(created.0, created.1.clone()).await? {
            names.insert(Kind::CachePolicy, &policy.config.unwrap_or_default().name, &policy.id);
        }
        for policy in self.list_origin_request_policies(created.0, created.1.clone()).await? {
            names.insert(Kind::OriginRequestPolicy, &policy.config.unwrap_or_default().name, &policy.id);
        }
        for policy in self.list_response_headers_policies(created.0, created.1.clone()).await? {
            names.insert(Kind::ResponseHeadersPolicy, &policy.config.unwrap_or_default().name, &policy.id);
        }
        for key in self.list_public_keys(created.1.clone()).await? {
            names.insert(Kind::PublicKey, &key.config.unwrap_or_default().name, &key.id);
        }
        for group in self.list_key_groups(created.1).await? {
            names.insert(Kind::KeyGroup, &group.config.unwrap_or_default().name, &group.id);
        }
        Ok(names)
    }
}
