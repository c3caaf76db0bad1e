//! A stored response as numbers: its age, its lifetime and where that comes from, and what it varies by.

use std::time::Duration;

use headland_proto::{
    limits::{EXPLANATION_TEXT_BYTES_MAX, EXPLANATION_VARIANTS_MAX},
    model::{CachePolicy, Semantics},
    v1::{self, freshness_sum::LifetimeSource},
};
use http::{HeaderMap, HeaderName, header};

use super::{Found, shown};
use crate::{
    cache::{
        blocks::Blocks,
        cache_control::Directives,
        freshness::{self, Source},
        object::{Head, Object},
        reuse::{Cause, Reuse},
        terms::Terms,
    },
    clock::Timestamp,
};

/// Tells of all that was found: the one that fits first, then the nearest.
pub(super) fn tell(
    found: &Found,
    request: &HeaderMap,
    policy: &CachePolicy,
    now: Timestamp,
    told: &mut v1::Explanation,
) {
    let selected = found.selected();
    let is_selected = |object: &Object| selected.is_some_and(|(s, _)| std::ptr::eq(&**s, object));
    let mut variants: Vec<v1::StoredVariant> =
        found.all().iter().map(|object| variant(object, is_selected(object), request, policy, now)).collect();
    variants.sort_by_key(|variant| (!variant.selected, differing(variant).count()));
    if let (Some((_, reuse)), Some(first)) = (selected, variants.first_mut()) {
        if reuse == Reuse::Validate(Cause::Invalidated) {
            // Whatever it allowed, it no longer may be used without the origin's word (RFC 9111 section 4.4).
            first.stale = Some(v1::StaleWindows::default());
        }
        first.reuse = match reuse {
            Reuse::Fresh => super::FRESH,
            Reuse::Stale(permission) => permission.as_str(),
            Reuse::Validate(cause) => cause.as_str(),
        }
        .into();
    }
    let omitted = variants.len().saturating_sub(EXPLANATION_VARIANTS_MAX);
    variants.truncate(EXPLANATION_VARIANTS_MAX);
    told.variants_omitted = u32::try_from(omitted).unwrap_or(u32::MAX);
    told.variants = variants;
}

/// One stored response, compared with a request.
pub(super) fn variant(
    object: &Object,
    selected: bool,
    request: &HeaderMap,
    policy: &CachePolicy,
    now: Timestamp,
) -> v1::StoredVariant {
    let head = &object.head;
    let headers = head.to_headers();
    let field = |name| headers.get(name).map(|value| text(value.as_bytes())).unwrap_or_default();
    let directives = Directives::of(policy.semantics, &headers);
    v1::StoredVariant {
        selected,
        status: head.status().as_u16().into(),
        vary: vary(head, request),
        etag: field(header::ETAG),
        last_modified: field(header::LAST_MODIFIED),
        cache_control: all(&headers, &header::CACHE_CONTROL).join(", "),
        body_bytes: object.length(),
        freshness: Some(freshness_sum(head, &headers, &directives, policy, now)),
        stale: Some(stale_windows(&head.terms(), now)),
        must_revalidate: directives.must_revalidate || directives.proxy_revalidate,
        no_cache: head.terms().validate_always,
        reuse: String::new(),
        kept_until: Some(wire_time(head.kept_until())),
        blocks: head.blocks().map_or(0, Blocks::count),
    }
}

/// The Vary fields by which a stored response does not fit.
pub(super) fn differing(variant: &v1::StoredVariant) -> impl Iterator<Item = &str> {
    variant.vary.iter().filter(|field| !field.matches).map(|field| field.name.as_str())
}

fn vary(head: &Head, request: &HeaderMap) -> Vec<v1::VaryField> {
    let Some(vary) = head.vary() else { return Vec::new() };
    let differences: Vec<_> = vary.differences(request).collect();
    let shown = |name: &HeaderName, value: Option<&str>| -> Vec<String> {
        let secret = shown::is_secret(name.as_str());
        let one = |value: &str| match secret {
            true => shown::hidden(value.as_bytes()),
            false => text(value.as_bytes()),
        };
        value.map(one).into_iter().collect()
    };
    let field = |(name, value): (&HeaderName, Option<&str>)| {
        let difference = differences.iter().find(|(differing, ..)| *differing == name);
        let requested = difference.map_or(value, |(.., requested)| requested.as_deref());
        v1::VaryField {
            name: name.to_string(),
            stored_values: shown(name, value),
            request_values: shown(name, requested),
            matches: difference.is_none(),
        }
    };
    vary.fields().map(field).collect()
}

fn all(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect()
}

fn freshness_sum(
    head: &Head,
    headers: &HeaderMap,
    directives: &Directives,
    policy: &CachePolicy,
    now: Timestamp,
) -> v1::FreshnessSum {
    let date = freshness::date(headers);
    let (timing, sum) = (head.timing(), head.terms().freshness);
    let received = timing.response;
    let said = freshness::explicit_lifetime(headers, directives, received);
    v1::FreshnessSum {
        date: date.map(wire_time),
        receive_time: Some(wire_time(received)),
        apparent_age: date.and_then(|date| wire_duration(received.since(date))),
        // Not kept with the object: it is contained in the initial age.
        age_value: None,
        response_delay: wire_duration(received.since(timing.request)),
        corrected_initial_age: wire_duration(sum.initial_age),
        resident_time: wire_duration(now.since(received)),
        current_age: wire_duration(head.age(now)),
        lifetime: wire_duration(sum.lifetime),
        lifetime_source: lifetime_source(sum.source).into(),
        origin_lifetime: said.and_then(wire_duration),
        initial_age_counts: policy.semantics == Semantics::Rfc9111,
        left: left(sum.fresh_until, now),
        purged: false,
    }
}

fn lifetime_source(source: Source) -> LifetimeSource {
    match source {
        Source::SMaxage => LifetimeSource::SMaxage,
        Source::MaxAge => LifetimeSource::MaxAge,
        Source::Expires => LifetimeSource::Expires,
        Source::Heuristic => LifetimeSource::Heuristic,
        Source::DefaultTtl => LifetimeSource::DefaultTtl,
        Source::MinTtl => LifetimeSource::MinTtl,
        Source::MaxTtl => LifetimeSource::MaxTtl,
        Source::ErrorTtl => LifetimeSource::ErrorTtl,
        Source::Nothing => LifetimeSource::Nothing,
    }
}

fn stale_windows(terms: &Terms, now: Timestamp) -> v1::StaleWindows {
    // What was never allowed ends when time begins.
    let window = |until: Timestamp| (until != Timestamp::default()).then(|| left(until, now)).flatten();
    v1::StaleWindows {
        while_revalidate_left: window(terms.while_revalidate_until),
        if_error_left: window(terms.if_error_until),
        if_unreachable_left: window(terms.if_unreachable_until),
        on_request: terms.stale_on_request,
        hold_left: window(terms.hold_until),
    }
}

fn left(until: Timestamp, now: Timestamp) -> Option<prost_types::Duration> {
    if now <= until {
        return wire_duration(until.since(now));
    }
    let over = wire_duration(now.since(until))?;
    Some(prost_types::Duration { seconds: -over.seconds, nanos: -over.nanos })
}

fn wire_duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

/// A moment on the wire.
pub(super) fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    let since = at.since(Timestamp::default());
    prost_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

/// What viewers and origins wrote, as text of at most [`EXPLANATION_TEXT_BYTES_MAX`] bytes.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut text =
        String::from_utf8_lossy(&bytes[..bytes.len().min(EXPLANATION_TEXT_BYTES_MAX)]).into_owned();
    text.truncate(text.floor_char_boundary(EXPLANATION_TEXT_BYTES_MAX));
    text
}
