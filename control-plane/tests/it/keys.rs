//! Public keys and key groups: the operator's API over them, over real gRPC, and what edges are told.

use headland_proto::v1::{
    self, KeyGroup, KeyGroupConfig, PublicKey, PublicKeyConfig,
    key_group_service_client::KeyGroupServiceClient, public_key_service_client::PublicKeyServiceClient,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::plane::{
    Plane, assert_refused, config,
    edge::{TestEdge, hello},
    within,
};

const RSA: &str = include_str!("../../../proto/src/model/public_key/rsa2048.pem");
const P256: &str = include_str!("../../../proto/src/model/public_key/p256.pem");
const P384: &str = include_str!("../../../proto/src/model/public_key/p384.pem");

async fn keys(plane: &Plane) -> PublicKeyServiceClient<Channel> {
    PublicKeyServiceClient::new(plane.channel().await)
}

async fn groups(plane: &Plane) -> KeyGroupServiceClient<Channel> {
    KeyGroupServiceClient::new(plane.channel().await)
}

fn key(name: &str, pem: &str) -> PublicKeyConfig {
    PublicKeyConfig { name: name.into(), public_key_pem: pem.into(), ..Default::default() }
}

fn group(name: &str, keys: &[&PublicKey]) -> KeyGroupConfig {
    let public_key_ids = keys.iter().map(|key| key.id.clone()).collect();
    KeyGroupConfig { name: name.into(), public_key_ids, ..Default::default() }
}

async fn create_key(plane: &Plane, config: PublicKeyConfig) -> Result<PublicKey, Status> {
    let request = v1::CreatePublicKeyRequest { config: Some(config) };
    within(keys(plane).await.create_public_key(request)).await.map(tonic::Response::into_inner)
}

async fn update_key(plane: &Plane, before: &PublicKey, config: PublicKeyConfig) -> Result<PublicKey, Status> {
    let (id, etag) = (before.id.clone(), before.etag.clone());
    let request = v1::UpdatePublicKeyRequest { id, etag, config: Some(config) };
    within(keys(plane).await.update_public_key(request)).await.map(tonic::Response::into_inner)
}

async fn delete_key(plane: &Plane, before: &PublicKey) -> Result<(), Status> {
    let request = v1::DeletePublicKeyRequest { id: before.id.clone(), etag: before.etag.clone() };
    within(keys(plane).await.delete_public_key(request)).await.map(tonic::Response::into_inner)
}

async fn create_group(plane: &Plane, config: KeyGroupConfig) -> Result<KeyGroup, Status> {
    let request = v1::CreateKeyGroupRequest { config: Some(config) };
    within(groups(plane).await.create_key_group(request)).await.map(tonic::Response::into_inner)
}

async fn update_group(plane: &Plane, before: &KeyGroup, config: KeyGroupConfig) -> Result<KeyGroup, Status> {
    let (id, etag) = (before.id.clone(), before.etag.clone());
    let request = v1::UpdateKeyGroupRequest { id, etag, config: Some(config) };
    within(groups(plane).await.update_key_group(request)).await.map(tonic::Response::into_inner)
}

async fn delete_group(plane: &Plane, before: &KeyGroup) -> Result<(), Status> {
    let request = v1::DeleteKeyGroupRequest { id: before.id.clone(), etag: before.etag.clone() };
    within(groups(plane).await.delete_key_group(request)).await.map(tonic::Response::into_inner)
}

/// A config whose default behavior trusts these.
fn trusting(reference: &str, groups: &[&str]) -> v1::DistributionConfig {
    let mut config = config(reference, &[]);
    let behavior = config.default_cache_behavior.as_mut().unwrap();
    behavior.trusted_key_group_ids = groups.iter().map(|&id| id.into()).collect();
    config
}

/// The fields of all violations.
#[track_caller]
fn fields<T: std::fmt::Debug>(result: Result<T, Status>) -> Vec<String> {
    let status = assert_refused(result, Code::InvalidArgument, "INVALID");
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations.iter().map(|v| v.field.clone()).collect()
}

#[tokio::test]
async fn a_key_keeps_its_material_and_may_change_its_name() {
    let plane = Plane::start().await;
    let created = create_key(&plane, key("k", RSA)).await.unwrap();
    assert_eq!(created.config, Some(key("k", RSA)));
    let get = v1::GetPublicKeyRequest { id: created.id.clone() };
    assert_eq!(within(keys(&plane).await.get_public_key(get)).await.unwrap().into_inner(), created);
    assert_eq!(fields(update_key(&plane, &created, key("k", P256)).await), ["config.public_key_pem"]);
    let renamed = key("l", &RSA.replace('\n', "\r\n"));
    let renamed = update_key(&plane, &created, renamed).await.expect("the same key, written otherwise");
    assert_refused(update_key(&plane, &created, key("m", RSA)).await, Code::Aborted, "ETAG_STALE");
    assert_refused(create_key(&plane, key("l", P256)).await, Code::AlreadyExists, "NAME_TAKEN");
    create_key(&plane, key("k", P256)).await.expect("the old name is free");
    assert_eq!(
        fields(create_key(&plane, key("", P384)).await),
        ["config.name", "config.public_key_pem"],
        "all at once"
    );
    delete_key(&plane, &renamed).await.unwrap();
    assert_refused(delete_key(&plane, &renamed).await, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_group_refers_only_to_keys_that_there_are() {
    let plane = Plane::start().await;
    let one = create_key(&plane, key("k", RSA)).await.unwrap();
    let created = create_group(&plane, group("g", &[&one])).await.unwrap();
    assert_eq!(created.config, Some(group("g", &[&one])));
    let strange = |id: &str| {
        let mut config = group("h", &[&one]);
        config.public_key_ids.push(id.into());
        config
    };
    for id in ["00000000-0000-4000-8000-000000000000", created.id.as_str(), one.id.as_str(), "x"] {
        assert_eq!(fields(create_group(&plane, strange(id)).await), ["config.public_key_ids[1]"], "{id}");
        assert_eq!(fields(update_group(&plane, &created, strange(id)).await), ["config.public_key_ids[1]"]);
    }
    assert_eq!(fields(create_group(&plane, group("h", &[])).await), ["config.public_key_ids"]);
    let mut listed = Vec::new();
    let mut token = String::new();
    for name in ["a", "b"] {
        create_group(&plane, group(name, &[&one])).await.unwrap();
    }
    loop {
        let request = v1::ListKeyGroupsRequest { page_size: 2, page_token: token, filter: None };
        let page = within(groups(&plane).await.list_key_groups(request)).await.unwrap().into_inner();
        listed.extend(page.key_groups.into_iter().map(|group| group.config.unwrap().name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    listed.sort();
    assert_eq!(listed, ["a", "b", "g"]);
}

#[tokio::test]
async fn what_is_trusted_cannot_be_deleted() {
    let plane = Plane::start().await;
    let old = create_key(&plane, key("old", RSA)).await.unwrap();
    let new = create_key(&plane, key("new", P256)).await.unwrap();
    let trusted = create_group(&plane, group("g", &[&old])).await.unwrap();
    let missing = "00000000-0000-4000-8000-000000000000";
    let unknown = plane.create(trusting("r", &[missing, &old.id])).await;
    let field = |i: usize| format!("config.default_cache_behavior.trusted_key_group_ids[{i}]");
    assert_eq!(fields(unknown), [field(0), field(1)], "a public key is no key group");
    let distribution = plane.create(trusting("r", &[&trusted.id])).await.unwrap();

    let status = assert_refused(delete_key(&plane, &old).await, Code::FailedPrecondition, "IN_USE");
    assert!(status.message().contains(&trusted.id), "{status}");
    let status = assert_refused(delete_group(&plane, &trusted).await, Code::FailedPrecondition, "IN_USE");
    assert!(status.message().contains(&distribution.id), "{status}");

    let rotated = update_group(&plane, &trusted, group("g", &[&old, &new])).await.unwrap();
    assert_refused(delete_key(&plane, &new).await, Code::FailedPrecondition, "IN_USE");
    let rotated = update_group(&plane, &rotated, group("g", &[&new])).await.unwrap();
    delete_key(&plane, &old).await.expect("no group has it any more");
    let open = plane
        .update(&distribution, |c| {
            c.default_cache_behavior.as_mut().unwrap().trusted_key_group_ids.clear();
        })
        .await
        .unwrap();
    delete_group(&plane, &rotated).await.expect("nobody trusts it any more");
    delete_key(&plane, &new).await.expect("its group is gone");
    assert!(open.revision > distribution.revision);
}

#[tokio::test]
async fn of_a_group_that_takes_a_key_and_its_deletion_at_once_one_wins() {
    let plane = Plane::start().await;
    for _ in 0..20 {
        let key = create_key(&plane, key("k", P256)).await.unwrap();
        let (taken, deleted) =
            tokio::join!(create_group(&plane, group("g", &[&key])), delete_key(&plane, &key));
        assert!(taken.is_ok() != deleted.is_ok(), "{taken:?} and {deleted:?}");
        if let Ok(taken) = taken {
            delete_group(&plane, &taken).await.unwrap();
            delete_key(&plane, &key).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_changed_group_is_told_once_and_its_users_are_not() {
    let plane = Plane::start().await;
    let one = create_key(&plane, key("one", RSA)).await.unwrap();
    let two = create_key(&plane, key("two", P256)).await.unwrap();
    let trusted = create_group(&plane, group("g", &[&one])).await.unwrap();
    let mut last = 0;
    for number in 0..3 {
        last = plane.create(trusting(&format!("r{number}"), &[&trusted.id])).await.unwrap().revision;
    }
    let mut edge = TestEdge::connect(&plane, hello()).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|update: &v1::Update| update.to_revision < last) {
        told.push(edge.update().await);
    }
    assert_eq!(told.iter().flat_map(|update| &update.resources).count(), 3);
    let changed = update_group(&plane, &trusted, group("g", &[&one, &two])).await.unwrap();
    let delta = edge.update().await;
    assert!(delta.distributions.is_empty() && !delta.whole);
    assert_eq!((delta.to_revision, delta.resources.len()), (changed.revision, 1));
    assert_eq!(delta.resources[0].id, trusted.id, "and none of its keys");
    let renamed = update_key(&plane, &two, key("three", P256)).await.unwrap();
    let delta = edge.update().await;
    assert_eq!((delta.resources.len(), &delta.resources[0].id), (1, &renamed.id));
}
