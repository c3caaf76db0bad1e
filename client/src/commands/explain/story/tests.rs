//! Stories, word for word.

use headland::v1::{self, explanation::Verdict, freshness_sum::LifetimeSource, key_part::Kind};

use super::*;

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn part(kind: Kind, name: &str, value: &str) -> v1::KeyPart {
    v1::KeyPart { kind: kind.into(), name: name.into(), value: value.into() }
}

fn response(explanation: v1::Explanation) -> v1::ExplainResponse {
    v1::ExplainResponse {
        edge_id: "0198c0de".into(),
        edge_location: "fra1".into(),
        explanation: Some(explanation),
        ..Default::default()
    }
}

fn told(response: v1::ExplainResponse) -> String {
    tell(&ExplanationDocument::from(response))
}

#[test]
fn a_refusal_is_one_sentence_and_the_request() {
    let mut refused = v1::Explanation {
        reason: "unknown-host".into(),
        detail: "no distribution answers to this host name".into(),
        status: 404,
        request: Some(v1::ExplainedRequest {
            method: "GET".into(),
            host: "a\u{1b}[2J".into(),
            path: "/".into(),
            forwarded_query: None,
            query: None,
        }),
        ..Default::default()
    };
    refused.set_verdict(Verdict::Refused);
    assert_eq!(
        told(response(refused)),
        "edge fra1 (0198c0de) would answer with an error, REFUSED, status 404: no distribution answers to this host name \
         (unknown-host)

Request
  method  GET
  host    a\\u{1b}[2J
  path    /"
    );
}

#[test]
fn a_hit_tells_everything() {
    let freshness = v1::FreshnessSum {
        date: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        apparent_age: seconds(4),
        age_value: seconds(2),
        response_delay: Some(prost_types::Duration { seconds: 0, nanos: 120_000_000 }),
        corrected_initial_age: seconds(4),
        resident_time: seconds(10),
        current_age: seconds(14),
        lifetime: seconds(60),
        lifetime_source: LifetimeSource::MaxTtl.into(),
        origin_lifetime: seconds(600),
        initial_age_counts: true,
        left: seconds(46),
        ..Default::default()
    };
    let vary = |stored: &[&str], asked: &str, matches| v1::VaryField {
        name: "accept-language".into(),
        stored_values: stored.iter().map(|&s| s.to_owned()).collect(),
        request_values: vec![asked.into()],
        matches,
    };
    let variant = v1::StoredVariant {
        reuse: "fresh".into(),
        kept_until: Some(prost_types::Timestamp { seconds: 1_700_000_100, nanos: 0 }),
        selected: true,
        status: 200,
        vary: vec![vary(&["de"], "de", true)],
        etag: "\"v1\"".into(),
        cache_control: "max-age=600".into(),
        body_bytes: 123,
        freshness: Some(freshness),
        stale: Some(v1::StaleWindows { if_error_left: seconds(90), on_request: true, ..Default::default() }),
        must_revalidate: true,
        ..Default::default()
    };
    let stale = v1::FreshnessSum { left: seconds(-4), ..Default::default() };
    let other = v1::StoredVariant {
        selected: false,
        status: 404,
        vary: vec![vary(&[], "de", false)],
        freshness: Some(stale),
        blocks: 12,
        ..Default::default()
    };
    let mut hit = v1::Explanation {
        reason: "fresh".into(),
        detail: "what is stored is fresh for another 46 s".into(),
        cache_status: "edge; hit; ttl=46".into(),
        origin_down: true,
        status: 200,
        applied_revision: 12,
        request: Some(v1::ExplainedRequest {
            method: "GET".into(),
            host: "www.example.com".into(),
            path: "/img/a.jpg".into(),
            forwarded_query: Some("v=1".into()),
            query: Some("v=1&w".into()),
        }),
        distribution: Some(v1::ExplainedDistribution { id: "E1".into(), revision: 7, enabled: true }),
        behavior: Some(v1::ExplainedBehavior {
            index: Some(1),
            path_pattern: "/img/*".into(),
            target_origin_id: "photos".into(),
            semantics: "rfc9111".into(),
            trusted_key_group_ids: Vec::new(),
        }),
        key: Some(v1::ExplainedKey {
            hash: "ab12".into(),
            parts: vec![part(Kind::Path, "", "/img/a.jpg"), part(Kind::Header, "accept-language", "de")],
        }),
        variants: vec![variant, other],
        variants_omitted: 1,
        ..Default::default()
    };
    hit.set_verdict(Verdict::Hit);
    assert_eq!(
        told(response(hit)),
        "edge fra1 (0198c0de) would answer with a HIT, status 200: what is stored is fresh for another 46 s (fresh)
cache-status: edge; hit; ttl=46

Request
  method           GET
  host             www.example.com
  path             /img/a.jpg
  query            v=1&w
  forwarded_query  v=1

Distribution
  id            E1
  enabled       true
  revision      7 (the edge has applied 12)
  behavior      cache_behaviors[1], /img/*
  origin        photos
  semantics     rfc9111
  origin_state  known to be down: what may be served without it is

Cache key
  path                    /img/a.jpg
  header accept-language  de
  hash                    ab12

Stored, 1 of 3: selected
  status                200
  body                  123 bytes
  reuse                 fresh
  cache_control         max-age=600
  etag                  \"v1\"
  last_modified         -
  vary accept-language  \"de\": the same
  date                  2023-11-14T22:13:20Z
  initial_age           4 s (4 s after Date, Age 2 s, 0.12 s on the way)
  age                   14 s, of which 10 s here
  lifetime              60 s since the origin made it, by max-ttl; the origin said 600 s
  left                  46 s
  stale_use             not without asking the origin (must-revalidate)
  stale_use             if the origin answers with an error, for another 90 s
  stale_use             if the request asks for it (max-stale)
  kept_until            2023-11-14T22:15:00Z

Stored, 2 of 3: differs in accept-language
  status                404
  body                  0 bytes
  blocks                12
  cache_control         -
  etag                  -
  last_modified         -
  vary accept-language  absent stored, \"de\" asked for: differs
  left                  stale for 4 s

and 1 more"
    );
}
