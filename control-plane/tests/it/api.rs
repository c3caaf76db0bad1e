//! The operator's API, over real gRPC.

use std::sync::{Arc, atomic::Ordering};

use headland_proto::v1;
use tonic::Code;
use tonic_types::StatusExt;

use crate::plane::{Plane, assert_refused, config, embedded, faulty::FaultyStore, large_config, within};

#[tokio::test]
async fn what_is_created_can_be_read() {
    let plane = Plane::start().await;
    let created = plane.create(config("r1", &["Img.Example.com"])).await.unwrap();
    assert!(created.id.starts_with('E') && created.id.len() == 14, "{}", created.id);
    assert!(created.domain_name.starts_with('d') && created.domain_name.ends_with(".cdn.test"));
    assert!(created.revision > 0);
    assert_eq!(created.create_time, created.update_time);
    assert_eq!(created.config, Some(config("r1", &["Img.Example.com"])));
    let status = created.status.clone().unwrap();
    assert_eq!(status.state(), v1::distribution_status::State::InProgress);
    assert_eq!(plane.get(&created.id).await.unwrap(), created);
}

#[tokio::test]
async fn the_same_caller_reference_creates_once() {
    let plane = Plane::start().await;
    let first = plane.create(config("r1", &["a.example.com"])).await.unwrap();
    let again = plane.create(config("r1", &["a.example.com"])).await.unwrap();
    assert_eq!(again, first);
    let other = plane.create(config("r1", &["b.example.com"])).await;
    assert_refused(other, Code::AlreadyExists, "CALLER_REFERENCE_TAKEN");

    let updated = plane.update(&first, |c| c.comment = "new".into()).await.unwrap();
    let again = plane.create(config("r1", &["a.example.com"])).await.unwrap();
    assert_eq!(again, updated, "repeating the creation gives it as it is now");
}

#[tokio::test]
async fn a_host_name_belongs_to_one_distribution() {
    let plane = Plane::start().await;
    let first = plane.create(config("r1", &["a.example.com", "*.example.com"])).await.unwrap();
    let refused = plane.create(config("r2", &["free.example.org", "A.example.com."])).await;
    let status = assert_refused(refused, Code::AlreadyExists, "HOST_NAME_TAKEN");
    assert!(status.message().contains("a.example.com") && status.message().contains(&first.id), "{status}");
    let details = status.get_error_details();
    let resource = details.resource_info().unwrap();
    assert_eq!(
        (resource.resource_name.as_str(), resource.owner.as_str()),
        ("a.example.com", first.id.as_str())
    );

    // Nothing of the refused creation stays, and a name below a wildcard is another claim.
    let second = plane.create(config("r2", &["free.example.org", "b.example.com"])).await.unwrap();
    let refused = plane.update(&second, |c| c.aliases.push("*.example.com".into())).await;
    assert_refused(refused, Code::AlreadyExists, "HOST_NAME_TAKEN");
    let stolen_domain = plane.create(config("r3", &[&first.domain_name])).await;
    assert_refused(stolen_domain, Code::AlreadyExists, "HOST_NAME_TAKEN");
}

#[tokio::test]
async fn an_update_moves_aliases() {
    let plane = Plane::start().await;
    let first = plane.create(config("r1", &["a.example.com", "b.example.com"])).await.unwrap();
    let updated = plane
        .update(&first, |c| c.aliases = vec!["b.example.com".into(), "c.example.com".into()])
        .await
        .unwrap();
    assert!(updated.revision > first.revision);
    assert_ne!(updated.etag, first.etag);
    assert_eq!(updated.create_time, first.create_time);
    assert_eq!(plane.get(&first.id).await.unwrap(), updated);
    plane.create(config("r2", &["a.example.com"])).await.unwrap();
    let refused = plane.create(config("r3", &["c.example.com"])).await;
    assert_refused(refused, Code::AlreadyExists, "HOST_NAME_TAKEN");
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let plane = Plane::start().await;
    let first = plane.create(config("r1", &[])).await.unwrap();
    let updated = plane.update(&first, |c| c.enabled = false).await.unwrap();
    let refused = plane.update(&first, |c| c.comment = "lost".into()).await;
    assert_refused(refused, Code::Aborted, "ETAG_STALE");
    assert_refused(plane.delete(&first).await, Code::Aborted, "ETAG_STALE");
    assert_eq!(plane.get(&first.id).await.unwrap(), updated);
}

#[tokio::test]
async fn deletion_wants_it_disabled_and_frees_everything() {
    let plane = Plane::start().await;
    let first = plane.create(config("r1", &["a.example.com"])).await.unwrap();
    let status = assert_refused(plane.delete(&first).await, Code::FailedPrecondition, "DISTRIBUTION_ENABLED");
    let details = status.get_error_details();
    assert_eq!(details.precondition_failure().unwrap().violations[0].subject, first.id);
    let disabled = plane.update(&first, |c| c.enabled = false).await.unwrap();
    plane.delete(&disabled).await.unwrap();
    assert_refused(plane.get(&first.id).await, Code::NotFound, "NOT_FOUND");
    assert_refused(plane.delete(&disabled).await, Code::NotFound, "NOT_FOUND");
    let successor = plane.create(config("r1", &["a.example.com"])).await.unwrap();
    assert_ne!(successor.id, first.id);
}

#[tokio::test]
async fn every_violation_is_listed_at_once() {
    let plane = Plane::start().await;
    let first = plane.create(config("r1", &[])).await.unwrap();
    let mut bad = config("", &["http://x"]);
    bad.comment = "x".repeat(129);
    bad.origins[0].connection_attempts = 9;
    let status = assert_refused(plane.create(bad.clone()).await, Code::InvalidArgument, "INVALID");
    let in_config = [
        "config.caller_reference",
        "config.comment",
        "config.aliases[0]",
        "config.origins[0].connection_attempts",
    ];
    assert_eq!(fields(&status), in_config);

    let request = v1::UpdateDistributionRequest { id: first.id.clone(), etag: "?".into(), config: Some(bad) };
    let refused = plane.distributions().await.update_distribution(request).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    assert_eq!(fields(&status)[0], "etag");
    assert_eq!(fields(&status)[1..], in_config);

    let request = v1::DeleteDistributionRequest { id: first.id.clone(), etag: String::new() };
    let refused = plane.distributions().await.delete_distribution(request).await;
    assert_eq!(fields(&assert_refused(refused, Code::InvalidArgument, "INVALID")), ["etag"]);

    let refused = plane.update(&first, |c| c.caller_reference = "r2".into()).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    assert_eq!(fields(&status), ["config.caller_reference"]);

    let none =
        plane.distributions().await.create_distribution(v1::CreateDistributionRequest::default()).await;
    assert_refused(none, Code::InvalidArgument, "INVALID");
}

fn fields(status: &tonic::Status) -> Vec<String> {
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations.iter().map(|v| v.field.clone()).collect()
}

#[tokio::test]
async fn more_aliases_than_one_commit_takes_are_refused_with_advice() {
    let plane = Plane::start().await;
    let names = |of: &str| -> Vec<String> { (0..100).map(|i| format!("{of}{i}.example.com")).collect() };
    let mut wire = config("r1", &[]);
    wire.aliases = names("a");
    let first = plane.create(wire).await.unwrap();
    let refused = plane.update(&first, |c| c.aliases = names("b")).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    assert_eq!(fields(&status), ["config.aliases"]);
    let halfway = plane.update(&first, |c| c.aliases = names("b")[..20].to_vec()).await.unwrap();
    plane.update(&halfway, |c| c.aliases = names("b")).await.unwrap();
}

#[tokio::test]
async fn a_distribution_that_never_was_is_not_found() {
    let plane = Plane::start().await;
    for id in ["EAAAAAAAAAAAAA", "", "../cluster", "E\u{0}"] {
        assert_refused(plane.get(id).await, Code::NotFound, "NOT_FOUND");
    }
}

async fn list(plane: &Plane, page_size: i32, page_token: &str) -> v1::ListDistributionsResponse {
    let request =
        v1::ListDistributionsRequest { page_size, page_token: page_token.into(), ..Default::default() };
    within(plane.distributions().await.list_distributions(request)).await.unwrap().into_inner()
}

#[tokio::test]
async fn pages_hold_everything_once_in_order_of_id() {
    let plane = Plane::start().await;
    let mut created = Vec::new();
    for i in 0..7 {
        created.push(plane.create(config(&format!("r{i}"), &[])).await.unwrap().id);
    }
    created.sort();
    let mut listed = Vec::new();
    let mut sizes = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(&plane, 3, &token).await;
        sizes.push(page.distributions.len());
        listed.extend(page.distributions.into_iter().map(|d| d.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, created);
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(list(&plane, 0, "").await.distributions.len(), 7);
    let request =
        v1::ListDistributionsRequest { page_size: -1, page_token: "x".into(), ..Default::default() };
    let refused = plane.distributions().await.list_distributions(request).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    assert_eq!(fields(&status), ["page_size", "page_token"]);
}

#[tokio::test]
async fn a_filtered_page_may_be_short_and_the_next_goes_on() {
    let plane = Plane::start().await;
    let tag = |i: usize| ("n".to_owned(), (i % 3).to_string());
    let mut wanted = Vec::new();
    for i in 0..7 {
        let config = v1::DistributionConfig { tags: [tag(i)].into(), ..config(&format!("r{i}"), &[]) };
        let created = plane.create(config).await.unwrap();
        wanted.extend((i % 3 == 1).then_some(created.id));
    }
    wanted.sort();
    let filter = v1::TagFilter { key: "n".into(), value: Some("1".into()) };
    let filter = v1::DistributionFilter { tags: vec![filter], ..Default::default() };
    let (mut listed, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let filter = Some(filter.clone());
        let request = v1::ListDistributionsRequest { page_size: 2, page_token: token, filter };
        let page =
            within(plane.distributions().await.list_distributions(request)).await.unwrap().into_inner();
        assert!(page.distributions.len() <= 2);
        listed.extend(page.distributions.into_iter().map(|d| d.id));
        (pages, token) = (pages + 1, page.next_page_token);
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((listed, pages), (wanted, 4), "every page looks at no more than were asked for");
    let filter = v1::DistributionFilter { tags: vec![v1::TagFilter::default()], ..Default::default() };
    let request = v1::ListDistributionsRequest { page_size: -1, filter: Some(filter), ..Default::default() };
    let refused = plane.distributions().await.list_distributions(request).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID");
    assert_eq!(fields(&status), ["page_size", "filter.tags[0].key"]);
}

#[tokio::test]
async fn many_tags_are_the_same_content_when_they_come_again() {
    let plane = Plane::start().await;
    let tags = |order: &mut dyn Iterator<Item = usize>| {
        order.map(|i| (format!("key{i}"), format!("v{i}"))).collect()
    };
    let with = |tags| v1::DistributionConfig { tags, ..config("r1", &[]) };
    let first = plane.create(with(tags(&mut (0..50)))).await.unwrap();
    assert_eq!(plane.create(with(tags(&mut (0..50).rev()))).await.unwrap(), first);
    let too_many = plane.update(&first, |c| drop(c.tags.insert("one more".into(), String::new()))).await;
    let status = assert_refused(too_many, Code::InvalidArgument, "INVALID");
    assert_eq!(fields(&status), ["config.tags"]);
}

#[tokio::test]
async fn a_page_of_large_distributions_fits_into_a_message() {
    let plane = Plane::start().await;
    for i in 0..6 {
        plane.create(large_config(&format!("r{i}"), 900_000)).await.unwrap();
    }
    let mut count = 0;
    let mut token = String::new();
    loop {
        let page = list(&plane, 1000, &token).await;
        count += page.distributions.len();
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(count, 6);
}

#[tokio::test]
async fn of_two_control_planes_on_one_store_one_gets_the_alias() {
    let (store, _dir) = embedded();
    let planes = [Plane::start_on(store.clone()).await, Plane::start_on(store).await];
    for round in 0..10 {
        let alias = format!("race{round}.example.com");
        let (reference_a, reference_b) = (format!("a{round}"), format!("b{round}"));
        let (a, b) = tokio::join!(
            planes[0].create(config(&reference_a, &[&alias])),
            planes[1].create(config(&reference_b, &[&alias])),
        );
        let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
        let won = won.unwrap();
        let status = assert_refused(lost, Code::AlreadyExists, "HOST_NAME_TAKEN");
        assert!(status.message().contains(&won.id), "{status}");
        assert_eq!(planes[1].get(&won.id).await.unwrap().etag, won.etag);
    }
}

#[tokio::test]
async fn of_many_creations_with_one_caller_reference_one_happens() {
    let plane = Plane::start().await;
    let creations = (0..8).map(|_| plane.create(config("r1", &["a.example.com"])));
    let created = futures::future::join_all(creations).await;
    let ids: Vec<String> = created.into_iter().map(|d| d.unwrap().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(list(&plane, 0, "").await.distributions.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_found_out_by_reading_again() {
    let (store, _dir) = embedded();
    let store = FaultyStore::new(store);
    let plane = Plane::start_on(store.clone()).await;
    within(plane.handle.ready()).await;
    store.answers_lost.store(true, Ordering::SeqCst);
    let created = plane.create(config("r1", &["a.example.com"])).await.unwrap();
    let updated = plane.update(&created, |c| c.enabled = false).await.unwrap();
    assert!(updated.revision > created.revision);
    plane.delete(&updated).await.unwrap();
    assert_refused(plane.get(&created.id).await, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn without_the_store_calls_are_refused_and_nothing_is_written() {
    let (store, _dir) = embedded();
    let store = FaultyStore::new(store);
    let plane = Plane::start_on(Arc::clone(&store) as _).await;
    within(plane.handle.ready()).await;
    let created = plane.create(config("r1", &[])).await.unwrap();
    store.down.store(true, Ordering::SeqCst);
    assert_refused(plane.get(&created.id).await, Code::Unavailable, "STORE_UNAVAILABLE");
    assert_refused(plane.create(config("r2", &[])).await, Code::Unavailable, "STORE_UNAVAILABLE");
    let refused = plane.update(&created, |c| c.comment = "x".into()).await;
    assert_refused(refused, Code::Unavailable, "STORE_UNAVAILABLE");
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(plane.get(&created.id).await.unwrap(), created);
    assert_eq!(list(&plane, 0, "").await.distributions.len(), 1);
}
