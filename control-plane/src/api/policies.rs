//! The operator's API over policies, public keys and key groups: one service for each kind, all of one shape.

use std::{sync::Arc, time::SystemTime};

use headland_proto::{
    id::ResourceId,
    model::{Violations, resources::Kind, tags},
    v1::{self, ResourceConfig, resource_config::Kind as Wire},
};
use tonic::{Request, Response, Status};

use super::{answer, status};
use crate::{
    etag::Etag,
    metrics::Metrics,
    page::Page,
    resources::{Error, Listed, Resources, Stored},
};

/// What all these services do.
#[derive(Debug, Clone)]
pub(crate) struct PolicyApi {
    pub(crate) resources: Resources,
    pub(crate) metrics: Arc<Metrics>,
}

impl PolicyApi {
    fn answer<T>(&self, method: &'static str, result: Result<T, Error>) -> Result<Response<T>, Status> {
        answer(&self.metrics, method, result.map_err(|error| status::from_resources(&error)))
    }

    async fn list(
        &self,
        kind: Kind,
        (size, token): (i32, &str),
        wanted: i32,
        filter: Option<v1::PolicyFilter>,
    ) -> Result<Listed, Error> {
        let page = Page::<ResourceId>::parse(size, token);
        let wanted = v1::PolicyType::try_from(wanted);
        let filter = filter.unwrap_or_default();
        let mut in_filter = Violations::default();
        tags::check_filter(&filter.tags, &mut in_filter);
        match (page, wanted, in_filter.into_result(())) {
            (Ok(page), Ok(wanted), Ok(())) => self.resources.list(kind, &page, wanted, &filter).await,
            (page, wanted, in_filter) => {
                let mut found = page.err().unwrap_or_default();
                if wanted.is_err() {
                    found.add("type", "is unknown; use MANAGED or CUSTOM, or leave it out");
                }
                for violation in in_filter.err().unwrap_or_default().list() {
                    found.add(&violation.field, &violation.description);
                }
                Err(Error::Invalid(found))
            }
        }
    }
}

/// The name of a method, by that of its request.
fn method(request: &'static str) -> &'static str {
    request.strip_suffix("Request").unwrap_or(request)
}

/// The service of one kind. `$Wire` is also its message, `$Config` what the operator writes. Of `created` ones none are managed.
macro_rules! policy_service {
    (created $($rest:tt)*) => {
        policy_service!(@ [] [] $($rest)*);
    };
    (@ [$($managed:ident)?] [$($type:ident)?] $Api:ident, $Wire:ident, $Config:ident, $module:ident, $Service:ident, $many:ident, $List:ident, $Listed:ident:
     $create:ident $Create:ident, $get:ident $Get:ident, $list:ident, $update:ident $Update:ident, $delete:ident $Delete:ident) => {
        /// The service.
        #[derive(Debug)]
        pub(crate) struct $Api(pub(crate) PolicyApi);

        impl $Api {
            fn encode(stored: Stored) -> v1::$Wire {
                let Stored { record, revision } = stored;
                v1::$Wire {
                    id: record.id,
                    etag: revision.map_or_else(String::new, |revision| Etag(revision).to_string()),
                    revision: revision.map_or(0, |revision| revision.0),
                    create_time: record.create_time,
                    update_time: record.update_time,
                    $($managed: revision.is_none(),)?
                    config: match record.config.and_then(|config| config.kind) {
                        Some(Wire::$Wire(config)) => Some(config),
                        _ => None,
                    },
                }
            }

            fn config(config: Option<v1::$Config>) -> ResourceConfig {
                ResourceConfig { kind: Some(Wire::$Wire(config.unwrap_or_default())) }
            }
        }

        #[tonic::async_trait]
        impl v1::$module::$Service for $Api {
            async fn $create(&self, request: Request<v1::$Create>) -> Result<Response<v1::$Wire>, Status> {
                let config = Self::config(request.into_inner().config);
                let result = self.0.resources.create(Kind::$Wire, &config, SystemTime::now()).await;
                self.0.answer(method(stringify!($Create)), result.map(Self::encode))
            }

            async fn $get(&self, request: Request<v1::$Get>) -> Result<Response<v1::$Wire>, Status> {
                let result = self.0.resources.get(Kind::$Wire, &request.get_ref().id).await;
                self.0.answer(method(stringify!($Get)), result.map(Self::encode))
            }

            async fn $list(&self, request: Request<v1::$List>) -> Result<Response<v1::$Listed>, Status> {
                let v1::$List { page_size, page_token, filter, $($type)? } = request.into_inner();
                let wanted = [$($type)?].first().copied().unwrap_or_default();
                let page = (page_size, page_token.as_str());
                let result = self.0.list(Kind::$Wire, page, wanted, filter).await;
                let response = result.map(|listed| v1::$Listed {
                    $many: listed.resources.into_iter().map(Self::encode).collect(),
                    next_page_token: listed.next_page_token.unwrap_or_default(),
                });
                self.0.answer(method(stringify!($List)), response)
            }

            async fn $update(&self, request: Request<v1::$Update>) -> Result<Response<v1::$Wire>, Status> {
                let v1::$Update { id, etag, config } = request.into_inner();
                let (config, now) = (Self::config(config), SystemTime::now());
                let result = self.0.resources.update(Kind::$Wire, &id, &etag, &config, now).await;
                self.0.answer(method(stringify!($Update)), result.map(Self::encode))
            }

            async fn $delete(&self, request: Request<v1::$Delete>) -> Result<Response<()>, Status> {
                let v1::$Delete { id, etag } = request.into_inner();
                let result = self.0.resources.delete(Kind::$Wire, &id, &etag).await;
                self.0.answer(method(stringify!($Delete)), result)
            }
        }
    };
    ($Api:ident, $($rest:tt)*) => {
        policy_service!(@ [managed] [r#type] $Api, $($rest)*);
    };
}

policy_service!(
    CachePolicyApi, CachePolicy, CachePolicyConfig, cache_policy_service_server, CachePolicyService, cache_policies,
    ListCachePoliciesRequest, ListCachePoliciesResponse:
    create_cache_policy CreateCachePolicyRequest, get_cache_policy GetCachePolicyRequest, list_cache_policies,
    update_cache_policy UpdateCachePolicyRequest, delete_cache_policy DeleteCachePolicyRequest
);

policy_service!(
    OriginRequestPolicyApi, OriginRequestPolicy, OriginRequestPolicyConfig, origin_request_policy_service_server,
    OriginRequestPolicyService, origin_request_policies, ListOriginRequestPoliciesRequest,
    ListOriginRequestPoliciesResponse:
    create_origin_request_policy CreateOriginRequestPolicyRequest,
    get_origin_request_policy GetOriginRequestPolicyRequest, list_origin_request_policies,
    update_origin_request_policy UpdateOriginRequestPolicyRequest,
    delete_origin_request_policy DeleteOriginRequestPolicyRequest
);

policy_service!(
    ResponseHeadersPolicyApi, ResponseHeadersPolicy, ResponseHeadersPolicyConfig,
    response_headers_policy_service_server, ResponseHeadersPolicyService, response_headers_policies,
    ListResponseHeadersPoliciesRequest, ListResponseHeadersPoliciesResponse:
    create_response_headers_policy CreateResponseHeadersPolicyRequest,
    get_response_headers_policy GetResponseHeadersPolicyRequest, list_response_headers_policies,
    update_response_headers_policy UpdateResponseHeadersPolicyRequest,
    delete_response_headers_policy DeleteResponseHeadersPolicyRequest
);

policy_service!(
    created PublicKeyApi, PublicKey, PublicKeyConfig, public_key_service_server, PublicKeyService, public_keys,
    ListPublicKeysRequest, ListPublicKeysResponse:
    create_public_key CreatePublicKeyRequest, get_public_key GetPublicKeyRequest, list_public_keys,
    update_public_key UpdatePublicKeyRequest, delete_public_key DeletePublicKeyRequest
);

policy_service!(
    created KeyGroupApi, KeyGroup, KeyGroupConfig, key_group_service_server, KeyGroupService, key_groups,
    ListKeyGroupsRequest, ListKeyGroupsResponse:
    create_key_group CreateKeyGroupRequest, get_key_group GetKeyGroupRequest, list_key_groups,
    update_key_group UpdateKeyGroupRequest, delete_key_group DeleteKeyGroupRequest
);
