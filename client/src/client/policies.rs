//! Policies, public keys and key groups: the calls of each kind, all of one shape.

use headland_proto::v1;

use super::{
    Client,
    call::Repeat,
    pages::{PAGE_SIZE, Position},
};
use crate::error::Error;

/// Of `created` ones none are managed.
macro_rules! policy_calls {
    (@list managed $nouns:literal, $field:ident, $Wire:ident, $many:ident, $list:ident $List:ident) => {
        policy_calls!(@list [wanted: v1::PolicyType] [r#type: wanted.into(),] $nouns, $field, $Wire, $many, $list $List);
    };
    (@list created $nouns:literal, $field:ident, $Wire:ident, $many:ident, $list:ident $List:ident) => {
        policy_calls!(@list [] [] $nouns, $field, $Wire, $many, $list $List);
    };
    (@list [$($wanted:ident: $Type:ty)?] [$($type:tt)*] $nouns:literal, $field:ident, $Wire:ident, $many:ident, $list:ident $List:ident) => {
        #[doc = concat!("All ", $nouns, " that the filter is about: those that come with the program first, then in order of id.")]
        ///
        /// # Errors
        /// Failures of a call.
        pub async fn $list(
            &self,
            $($wanted: $Type,)?
            filter: v1::PolicyFilter,
        ) -> Result<Vec<v1::$Wire>, Error> {
            let (mut all, mut position) = (Vec::new(), Position::default());
            while !position.is_done() {
                let request = v1::$List {
                    page_size: PAGE_SIZE,
                    page_token: position.token().to_owned(),
                    $($type)*
                    filter: Some(filter.clone()),
                };
                let send = |request| {
                    let mut stub = self.$field.clone();
                    async move { stub.$list(request).await }
                };
                let page = self.call(concat!("list ", $nouns), Repeat::WhenTransient, request, send).await?;
                position.advance(page.next_page_token)?;
                all.extend(page.$many);
            }
            Ok(all)
        }
    };
    (created $($rest:tt)*) => {
        policy_calls!(@calls created $($rest)*);
    };
    (@calls $managed:ident $noun:literal, $nouns:literal, $field:ident, $Wire:ident, $Config:ident, $many:ident: $create:ident $Create:ident, $get:ident $Get:ident,
     $list:ident $List:ident, $update:ident $Update:ident, $delete:ident $Delete:ident) => {
        impl Client {
            #[doc = concat!("Creates a ", $noun, ".")]
            ///
            /// # Errors
            /// All violations of the config at once; a name that is taken; failures of the call. After a failure on the way the
            /// outcome is unknown; the call is not repeated by itself.
            pub async fn $create(&self, config: v1::$Config) -> Result<v1::$Wire, Error> {
                let request = v1::$Create { config: Some(config) };
                let doing = concat!("create the ", $noun);
                self.call(doing, Repeat::WhenNotDone, request, |request| {
                    let mut stub = self.$field.clone();
                    async move { stub.$create(request).await }
                })
                .await
            }

            #[doc = concat!("One ", $noun, ".")]
            ///
            /// # Errors
            /// When there is none with this id; failures of the call.
            pub async fn $get(&self, id: &str) -> Result<v1::$Wire, Error> {
                let request = v1::$Get { id: id.to_owned() };
                let doing = format!(concat!("get ", $noun, " {}"), id);
                self.call(&doing, Repeat::WhenTransient, request, |request| {
                    let mut stub = self.$field.clone();
                    async move { stub.$get(request).await }
                })
                .await
            }

            policy_calls!(@list $managed $nouns, $field, $Wire, $many, $list $List);

            #[doc = concat!("Replaces the whole config of a ", $noun, ". `etag` is the one of the config that the change was made against.")]
            ///
            /// # Errors
            /// All violations of the config at once; a stale etag; a name that is taken; a managed one; failures of the call, after which
            /// the outcome is unknown.
            pub async fn $update(&self, id: &str, etag: &str, config: v1::$Config) -> Result<v1::$Wire, Error> {
                let request = v1::$Update { id: id.to_owned(), etag: etag.to_owned(), config: Some(config) };
                let doing = format!(concat!("update ", $noun, " {}"), id);
                self.call(&doing, Repeat::WhenNotDone, request, |request| {
                    let mut stub = self.$field.clone();
                    async move { stub.$update(request).await }
                })
                .await
            }

            #[doc = concat!("Deletes a ", $noun, " that nobody uses.")]
            ///
            /// # Errors
            /// When it is used; a stale etag; a managed one; failures of the call, after which the outcome is unknown.
            pub async fn $delete(&self, id: &str, etag: &str) -> Result<(), Error> {
                let request = v1::$Delete { id: id.to_owned(), etag: etag.to_owned() };
                let doing = format!(concat!("delete ", $noun, " {}"), id);
                self.call(&doing, Repeat::WhenNotDone, request, |request| {
                    let mut stub = self.$field.clone();
                    async move { stub.$delete(request).await }
                })
                .await
            }
        }
    };
    ($noun:literal, $($rest:tt)*) => {
        policy_calls!(@calls managed $noun, $($rest)*);
    };
}

policy_calls!(
    "cache policy", "cache policies", cache_policies, CachePolicy, CachePolicyConfig, cache_policies:
    create_cache_policy CreateCachePolicyRequest, get_cache_policy GetCachePolicyRequest,
    list_cache_policies ListCachePoliciesRequest, update_cache_policy UpdateCachePolicyRequest,
    delete_cache_policy DeleteCachePolicyRequest
);

policy_calls!(
    "origin request policy", "origin request policies", origin_request_policies, OriginRequestPolicy,
    OriginRequestPolicyConfig, origin_request_policies:
    create_origin_request_policy CreateOriginRequestPolicyRequest,
    get_origin_request_policy GetOriginRequestPolicyRequest,
    list_origin_request_policies ListOriginRequestPoliciesRequest,
    update_origin_request_policy UpdateOriginRequestPolicyRequest,
    delete_origin_request_policy DeleteOriginRequestPolicyRequest
);

policy_calls!(
    "response headers policy", "response headers policies", response_headers_policies, ResponseHeadersPolicy,
    ResponseHeadersPolicyConfig, response_headers_policies:
    create_response_headers_policy CreateResponseHeadersPolicyRequest,
    get_response_headers_policy GetResponseHeadersPolicyRequest,
    list_response_headers_policies ListResponseHeadersPoliciesRequest,
    update_response_headers_policy UpdateResponseHeadersPolicyRequest,
    delete_response_headers_policy DeleteResponseHeadersPolicyRequest
);

policy_calls!(
    created "public key", "public keys", public_keys, PublicKey, PublicKeyConfig, public_keys:
    create_public_key CreatePublicKeyRequest, get_public_key GetPublicKeyRequest,
    list_public_keys ListPublicKeysRequest, update_public_key UpdatePublicKeyRequest,
    delete_public_key DeletePublicKeyRequest
);

policy_calls!(
    created "key group", "key groups", key_groups, KeyGroup, KeyGroupConfig, key_groups:
    create_key_group CreateKeyGroupRequest, get_key_group GetKeyGroupRequest,
    list_key_groups ListKeyGroupsRequest, update_key_group UpdateKeyGroupRequest,
    delete_key_group DeleteKeyGroupRequest
);
