//! An edge's answer, from the wire. It never goes back, so a value without a word here shows as unknown.

use headland_proto::v1::{self, explanation::Verdict, freshness_sum::LifetimeSource, key_part::Kind};

use super::document::time;
use crate::spec::explanation::{
    ExplainedBehavior, ExplainedDistribution, ExplainedKey, ExplainedRequest, ExplainedVerdict,
    ExplainedViewer, ExplainingEdge, ExplanationDocument, FreshnessSum, KeyPart, Seconds, StaleWindows,
    StoredVariant, VaryField,
};

impl From<v1::ExplainResponse> for ExplanationDocument {
    fn from(wire: v1::ExplainResponse) -> Self {
        let told = wire.explanation.unwrap_or_default();
        Self {
            edge: ExplainingEdge {
                id: wire.edge_id,
                location: wire.edge_location,
                viewer_url: wire.edge_viewer_url,
            },
            verdict: verdict(told.verdict()),
            status: (told.status > 0).then_some(told.status),
            time: time(told.time.as_ref()),
            applied_revision: told.applied_revision,
            request: told.request.map(request).unwrap_or_default(),
            viewer: told.viewer.map(viewer).unwrap_or_default(),
            distribution: told.distribution.map(|d| ExplainedDistribution {
                id: d.id,
                revision: d.revision,
                enabled: d.enabled,
            }),
            behavior: told.behavior.map(|b| ExplainedBehavior {
                index: b.index,
                path_pattern: b.path_pattern,
                target_origin_id: b.target_origin_id,
                semantics: b.semantics,
                trusted_key_group_ids: b.trusted_key_group_ids,
            }),
            key: told.key.map(|key| ExplainedKey {
                hash: key.hash,
                parts: key.parts.into_iter().map(key_part).collect(),
            }),
            variants: told.variants.into_iter().map(variant).collect(),
            variants_omitted: told.variants_omitted,
            cache_status: (!told.cache_status.is_empty()).then_some(told.cache_status),
            origin_down: told.origin_down,
            reason: told.reason,
            detail: told.detail,
        }
    }
}

fn verdict(wire: Verdict) -> ExplainedVerdict {
    match wire {
        Verdict::Unspecified => ExplainedVerdict::Unknown,
        Verdict::Hit => ExplainedVerdict::Hit,
        Verdict::Stale => ExplainedVerdict::Stale,
        Verdict::Revalidate => ExplainedVerdict::Revalidate,
        Verdict::Miss => ExplainedVerdict::Miss,
        Verdict::Bypass => ExplainedVerdict::Bypass,
        Verdict::Refused => ExplainedVerdict::Refused,
        Verdict::Answered => ExplainedVerdict::Answered,
    }
}

fn request(wire: v1::ExplainedRequest) -> ExplainedRequest {
    ExplainedRequest {
        method: wire.method,
        host: wire.host,
        path: wire.path,
        query: wire.query,
        forwarded_query: wire.forwarded_query,
    }
}

fn viewer(wire: v1::ExplainedViewer) -> ExplainedViewer {
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    ExplainedViewer { address: known(wire.address), scheme: wire.scheme, country: known(wire.country) }
}

fn key_part(wire: v1::KeyPart) -> KeyPart {
    let kind = match wire.kind() {
        Kind::Unspecified => "unknown",
        Kind::Distribution => "distribution",
        Kind::Path => "path",
        Kind::Query => "query",
        Kind::Header => "header",
        Kind::Cookie => "cookie",
        Kind::Host => "host",
        Kind::Method => "method",
    };
    KeyPart { kind, name: wire.name, value: wire.value }
}

fn variant(wire: v1::StoredVariant) -> StoredVariant {
    let vary = |field: v1::VaryField| VaryField {
        name: field.name,
        stored_values: field.stored_values,
        request_values: field.request_values,
        matches: field.matches,
    };
    StoredVariant {
        selected: wire.selected,
        reuse: wire.reuse,
        blocks: wire.blocks,
        kept_until: time(wire.kept_until.as_ref()),
        status: wire.status,
        vary: wire.vary.into_iter().map(vary).collect(),
        etag: wire.etag,
        last_modified: wire.last_modified,
        cache_control: wire.cache_control,
        body_bytes: wire.body_bytes,
        must_revalidate: wire.must_revalidate,
        no_cache: wire.no_cache,
        freshness: freshness(&wire.freshness.unwrap_or_default()),
        stale: wire.stale.map(|stale| windows(&stale)).unwrap_or_default(),
    }
}

fn freshness(wire: &v1::FreshnessSum) -> FreshnessSum {
    FreshnessSum {
        date: wire.date.map(|date| time(Some(&date))),
        receive_time: wire.receive_time.map(|received| time(Some(&received))),
        apparent_age_seconds: wire.apparent_age.map(seconds),
        age_value_seconds: wire.age_value.map(seconds),
        response_delay_seconds: wire.response_delay.map(seconds),
        corrected_initial_age_seconds: wire.corrected_initial_age.map(seconds),
        resident_time_seconds: wire.resident_time.map(seconds),
        current_age_seconds: wire.current_age.map(seconds),
        lifetime_seconds: wire.lifetime.map(seconds),
        lifetime_source: match wire.lifetime_source() {
            LifetimeSource::Unspecified => "unknown",
            LifetimeSource::SMaxage => "s-maxage",
            LifetimeSource::MaxAge => "max-age",
            LifetimeSource::Expires => "expires",
            LifetimeSource::Heuristic => "heuristic",
            LifetimeSource::DefaultTtl => "default-ttl",
            LifetimeSource::MinTtl => "min-ttl",
            LifetimeSource::MaxTtl => "max-ttl",
            LifetimeSource::ErrorTtl => "error-ttl",
            LifetimeSource::Nothing => "nothing",
        },
        origin_lifetime_seconds: wire.origin_lifetime.map(seconds),
        initial_age_counts: wire.initial_age_counts,
        left_seconds: wire.left.map(seconds),
        purged: wire.purged,
    }
}

fn windows(wire: &v1::StaleWindows) -> StaleWindows {
    StaleWindows {
        while_revalidate_left_seconds: wire.while_revalidate_left.map(seconds),
        if_error_left_seconds: wire.if_error_left.map(seconds),
        if_unreachable_left_seconds: wire.if_unreachable_left.map(seconds),
        on_request: wire.on_request,
        hold_left_seconds: wire.hold_left.map(seconds),
    }
}

fn seconds(wire: prost_types::Duration) -> Seconds {
    let millis = wire.seconds.saturating_mul(1000).saturating_add(i64::from(wire.nanos) / 1_000_000);
    Seconds::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_where_they_can_be_and_keep_their_sign() {
        let check = |(whole, nanos), text: &str, json: &str| {
            let seconds = seconds(prost_types::Duration { seconds: whole, nanos });
            assert_eq!(seconds.to_string(), text);
            assert_eq!(serde_json::to_string(&seconds).expect("JSON"), json);
        };
        check((60, 0), "60 s", "60");
        check((0, 120_000_000), "0.12 s", "0.12");
        check((-4, -500_000_000), "-4.5 s", "-4.5");
        // What no duration can be is shown as a long one.
        assert!(seconds(prost_types::Duration { seconds: i64::MIN, nanos: i32::MIN }).is_negative());
    }

    #[test]
    fn an_answer_without_anything_in_it_is_shown_as_unknown() {
        let document = ExplanationDocument::from(v1::ExplainResponse::default());
        assert_eq!((document.verdict, document.status), (ExplainedVerdict::Unknown, None));
        let part = key_part(v1::KeyPart { kind: 99, ..Default::default() });
        assert_eq!(part.kind, "unknown");
    }
}
