//! Policies: the operator's API over them, over real gRPC, and what edges are told.

use headland_proto::v1::{
    self, CachePolicy, CachePolicyConfig, PolicyType, cache_policy_service_client::CachePolicyServiceClient,
    origin_request_policy_service_client::OriginRequestPolicyServiceClient,
    response_headers_policy_service_client::ResponseHeadersPolicyServiceClient,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::health::page;
use crate::plane::{
    Plane, assert_refused, config,
    edge::{TestEdge, hello},
    within,
};

const OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const ALL_VIEWER: &str = "216adef6-5c7f-47e4-b989-5492eafa07d3";

async fn client(plane: &Plane) -> CachePolicyServiceClient<Channel> {
    CachePolicyServiceClient::new(plane.channel().await)
}

fn policy(name: &str, min_seconds: i64) -> CachePolicyConfig {
    let min_ttl = Some(prost_types::Duration { seconds: min_seconds, nanos: 0 });
    CachePolicyConfig { name: name.into(), min_ttl, ..Default::default() }
}

async fn create(plane: &Plane, config: CachePolicyConfig) -> Result<CachePolicy, Status> {
    let request = v1::CreateCachePolicyRequest { config: Some(config) };
    within(client(plane).await.create_cache_policy(request)).await.map(tonic::Response::into_inner)
}

async fn get(plane: &Plane, id: &str) -> Result<CachePolicy, Status> {
    let request = v1::GetCachePolicyRequest { id: id.into() };
    within(client(plane).await.get_cache_policy(request)).await.map(tonic::Response::into_inner)
}

async fn update(
    plane: &Plane,
    before: &CachePolicy,
    config: CachePolicyConfig,
) -> Result<CachePolicy, Status> {
    let (id, etag) = (before.id.clone(), before.etag.clone());
    let request = v1::UpdateCachePolicyRequest { id, etag, config: Some(config) };
    within(client(plane).await.update_cache_policy(request)).await.map(tonic::Response::into_inner)
}

async fn delete(plane: &Plane, before: &CachePolicy) -> Result<(), Status> {
    let request = v1::DeleteCachePolicyRequest { id: before.id.clone(), etag: before.etag.clone() };
    within(client(plane).await.delete_cache_policy(request)).await.map(tonic::Response::into_inner)
}

/// Names of one page, and the token of the next.
async fn list(plane: &Plane, size: i32, token: &str, wanted: PolicyType) -> (Vec<String>, String) {
    let request = v1::ListCachePoliciesRequest {
        page_size: size,
        page_token: token.into(),
        r#type: wanted.into(),
        filter: None,
    };
    let page = within(client(plane).await.list_cache_policies(request)).await.unwrap().into_inner();
    let name = |policy: CachePolicy| policy.config.unwrap().name;
    (page.cache_policies.into_iter().map(name).collect(), page.next_page_token)
}

/// A config whose default behavior refers to these.
fn using(reference: &str, cache_policy: &str, origin_request_policy: &str) -> v1::DistributionConfig {
    let mut config = config(reference, &[]);
    let behavior = config.default_cache_behavior.as_mut().unwrap();
    behavior.cache_policy_id = cache_policy.into();
    behavior.origin_request_policy_id = origin_request_policy.into();
    config
}

#[tokio::test]
async fn a_policy_is_created_read_changed_and_deleted() {
    let plane = Plane::start().await;
    let created = create(&plane, policy("p", 60)).await.unwrap();
    assert!(!created.managed && created.revision > 0);
    let (_, figures) = page(plane.handle.admin_address(), "/metrics").await;
    let counted = "headland_control_plane_api_calls_total{method=\"CreateCachePolicy\",code=\"OK\"} 1";
    assert!(figures.contains(counted), "{figures}");
    assert_eq!(created.config, Some(policy("p", 60)));
    assert_eq!(get(&plane, &created.id).await.unwrap(), created);
    let changed = update(&plane, &created, policy("q", 90)).await.unwrap();
    assert!(changed.revision > created.revision && changed.etag != created.etag);
    assert_refused(update(&plane, &created, policy("r", 1)).await, Code::Aborted, "ETAG_STALE");
    assert_refused(delete(&plane, &created).await, Code::Aborted, "ETAG_STALE");
    let second = create(&plane, policy("p", 1)).await.expect("the old name is free");
    assert_refused(create(&plane, policy("q", 1)).await, Code::AlreadyExists, "NAME_TAKEN");
    assert_refused(update(&plane, &second, policy("q", 1)).await, Code::AlreadyExists, "NAME_TAKEN");
    delete(&plane, &changed).await.unwrap();
    assert_refused(get(&plane, &created.id).await, Code::NotFound, "NOT_FOUND");
    assert_refused(delete(&plane, &changed).await, Code::NotFound, "NOT_FOUND");
    update(&plane, &second, policy("q", 1)).await.expect("the name of the deleted one is free");
}

#[tokio::test]
async fn every_violation_of_a_policy_is_listed_at_once() {
    let plane = Plane::start().await;
    let created = create(&plane, policy("p", 60)).await.unwrap();
    let mut bad = policy("", -1);
    bad.headers = Some(v1::HeaderSelection { names: vec!["Accept-Encoding".into()] });
    let request = v1::UpdateCachePolicyRequest { id: created.id, etag: String::new(), config: Some(bad) };
    let refused = client(&plane).await.update_cache_policy(request).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    let details = status.get_error_details();
    let fields: Vec<_> =
        details.bad_request().unwrap().field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["etag", "config.name", "config.min_ttl", "config.headers.names[0]"]);
    let name = policy("Managed-CachingOptimized", 1);
    assert_refused(create(&plane, name).await, Code::InvalidArgument, "INVALID");
}

#[tokio::test]
async fn managed_policies_are_there_and_cannot_be_changed() {
    let plane = Plane::start().await;
    let managed = get(&plane, OPTIMIZED).await.unwrap();
    assert!(managed.managed && managed.etag.is_empty());
    assert_eq!(managed.config.as_ref().unwrap().name, "Managed-CachingOptimized");
    let changed = update(&plane, &managed, policy("x", 1)).await;
    assert_refused(changed, Code::FailedPrecondition, "MANAGED");
    assert_refused(delete(&plane, &managed).await, Code::FailedPrecondition, "MANAGED");
    assert_refused(get(&plane, ALL_VIEWER).await, Code::NotFound, "NOT_FOUND");
    let mut others = OriginRequestPolicyServiceClient::new(plane.channel().await);
    let request = v1::GetOriginRequestPolicyRequest { id: ALL_VIEWER.into() };
    assert!(others.get_origin_request_policy(request).await.unwrap().into_inner().managed);
}

#[tokio::test]
async fn lists_begin_with_the_managed_ones_and_can_be_read_in_pages() {
    let plane = Plane::start().await;
    for name in ["a", "b", "c"] {
        create(&plane, policy(name, 1)).await.unwrap();
    }
    let (all, token) = list(&plane, 0, "", PolicyType::Unspecified).await;
    assert_eq!((all[0].as_str(), token.as_str()), ("Managed-CachingOptimized", ""));
    let (managed, _) = list(&plane, 0, "", PolicyType::Managed).await;
    let (mut custom, _) = list(&plane, 0, "", PolicyType::Custom).await;
    assert_eq!(all, [managed.clone(), custom.clone()].concat());
    for size in 1..=i32::try_from(all.len()).unwrap() {
        for (wanted, expected) in
            [(PolicyType::Unspecified, &all), (PolicyType::Managed, &managed), (PolicyType::Custom, &custom)]
        {
            let (mut listed, mut token) = list(&plane, size, "", wanted).await;
            while !token.is_empty() {
                let (page, next) = list(&plane, size, &token, wanted).await;
                assert!(!page.is_empty(), "a token leads to something");
                listed.extend(page);
                token = next;
            }
            assert_eq!(listed, *expected, "{size} at a time");
        }
    }
    custom.sort();
    assert_eq!(custom, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_distribution_can_refer_only_to_what_there_is() {
    let plane = Plane::start().await;
    let missing = "00000000-0000-4000-8000-000000000000";
    let refused = plane.create(using("r", missing, OPTIMIZED)).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    let details = status.get_error_details();
    let fields: Vec<_> =
        details.bad_request().unwrap().field_violations.iter().map(|v| v.field.as_str()).collect();
    let behavior = "config.default_cache_behavior";
    assert_eq!(
        fields,
        [format!("{behavior}.cache_policy_id"), format!("{behavior}.origin_request_policy_id")],
        "a cache policy is not an origin request policy"
    );
    plane.create(using("r", OPTIMIZED, ALL_VIEWER)).await.expect("managed ones are there");
}

#[tokio::test]
async fn what_is_used_cannot_be_deleted() {
    let plane = Plane::start().await;
    let first = create(&plane, policy("p", 60)).await.unwrap();
    let second = create(&plane, policy("q", 60)).await.unwrap();
    let distribution = plane.create(using("r", &first.id, "")).await.unwrap();
    let status = assert_refused(delete(&plane, &first).await, Code::FailedPrecondition, "IN_USE");
    assert!(status.message().contains(&distribution.id), "{status}");
    let moved = plane
        .update(&distribution, |c| {
            c.default_cache_behavior.as_mut().unwrap().cache_policy_id.clone_from(&second.id);
            c.enabled = false;
        })
        .await
        .unwrap();
    delete(&plane, &first).await.expect("nobody uses it any more");
    assert_refused(delete(&plane, &second).await, Code::FailedPrecondition, "IN_USE");
    plane.delete(&moved).await.unwrap();
    delete(&plane, &second).await.expect("nobody uses it any more");
}

#[tokio::test]
async fn of_a_use_and_a_deletion_at_once_one_wins() {
    let plane = Plane::start().await;
    for round in 0..20 {
        let policy = create(&plane, policy("p", 60)).await.unwrap();
        let (used, deleted) =
            tokio::join!(plane.create(using(&format!("r{round}"), &policy.id, "")), delete(&plane, &policy),);
        assert!(used.is_ok() != deleted.is_ok(), "{used:?} and {deleted:?}");
        if let Ok(distribution) = used {
            let disabled = plane.update(&distribution, |c| c.enabled = false).await.unwrap();
            plane.delete(&disabled).await.unwrap();
            delete(&plane, &policy).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_changed_policy_is_told_once_and_its_users_are_not() {
    let plane = Plane::start().await;
    let policy_before = create(&plane, policy("p", 60)).await.unwrap();
    let mut last = 0;
    for number in 0..5 {
        last = plane.create(using(&format!("r{number}"), &policy_before.id, "")).await.unwrap().revision;
    }
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|update: &v1::Update| update.to_revision < last) {
        told.push(edge.update().await);
    }
    let resources: Vec<_> = told.iter().flat_map(|update| &update.resources).collect();
    assert_eq!(resources.len(), 1);
    assert_eq!((&resources[0].id, resources[0].revision), (&policy_before.id, policy_before.revision));
    let changed = update(&plane, &policy_before, policy("p", 90)).await.unwrap();
    let delta = edge.update().await;
    assert!(delta.distributions.is_empty() && !delta.whole);
    assert_eq!(delta.to_revision, changed.revision);
    assert_eq!(delta.resources.len(), 1);
    let kind = delta.resources[0].config.as_ref().unwrap().kind.clone();
    assert_eq!(kind, Some(v1::resource_config::Kind::CachePolicy(policy("p", 90))));
    let unused = create(&plane, policy("q", 1)).await.unwrap();
    assert_eq!(edge.update().await.resources[0].id, unused.id);
    delete(&plane, &unused).await.unwrap();
    assert_eq!(edge.update().await.deleted_resource_ids, [unused.id]);
}

#[tokio::test]
async fn a_response_headers_policy_lives_as_the_others_do() {
    let plane = Plane::start().await;
    let mut client = ResponseHeadersPolicyServiceClient::new(plane.channel().await);
    let config = |removed: &[&str]| v1::ResponseHeadersPolicyConfig {
        name: "p".into(),
        removed_headers: removed.iter().map(|&name| name.to_owned()).collect(),
        ..Default::default()
    };
    let create = |config| v1::CreateResponseHeadersPolicyRequest { config: Some(config) };
    let refused = client.create_response_headers_policy(create(config(&["via"]))).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID");
    let created =
        client.create_response_headers_policy(create(config(&["server"]))).await.unwrap().into_inner();
    let list = v1::ListResponseHeadersPoliciesRequest::default();
    let listed = client.list_response_headers_policies(list).await.unwrap().into_inner();
    let names = |p: &v1::ResponseHeadersPolicy| p.config.clone().unwrap_or_default().name;
    let names: Vec<_> = listed.response_headers_policies.iter().map(names).collect();
    assert_eq!((names.len(), names[0].as_str(), names[5].as_str()), (6, "Managed-SimpleCORS", "p"));

    let mut using = using("uses", "", "");
    using.default_cache_behavior.as_mut().unwrap().response_headers_policy_id = created.id.clone();
    plane.create(using).await.unwrap();
    let delete = v1::DeleteResponseHeadersPolicyRequest { id: created.id, etag: created.etag };
    let refused = client.delete_response_headers_policy(delete).await;
    assert_refused(refused, Code::FailedPrecondition, "IN_USE");
}
