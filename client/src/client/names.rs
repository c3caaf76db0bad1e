//! The names of what distributions refer to, as they are now.

use headland_proto::{model::Kind, v1};

use super::Client;
use crate::{error::Error, spec::Names};

impl Client {
    /// The names of all policies, managed and created.
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
        Ok(names)
    }
}
