//! Behaviors of before there were policies: `ForwardedValues` and three TTLs, which become a cache policy in place, and an origin request
//! policy where more is forwarded than tells objects apart.

use serde_json::Value;

use super::{
    Context,
    edge_headers::{Purpose, keep_added},
    fields::{Table, boolean, object, put_seconds, text, texts},
    report::Place,
};
use crate::spec::{
    CacheBehaviorSpec, CachePolicyChoice, CachePolicySpec, HeaderSelection, NameSelection, NameSelectionMode,
    OriginRequestPolicySpec, SpecDuration,
};

/// What such a behavior says.
#[derive(Debug, Default)]
pub(super) struct Forwarded {
    pub(super) min_ttl: Option<SpecDuration>,
    pub(super) default_ttl: Option<SpecDuration>,
    pub(super) max_ttl: Option<SpecDuration>,
    query: bool,
    query_keys: Vec<String>,
    cookies: Cookies,
    headers: Vec<String>,
}

#[derive(Debug, Default)]
struct Cookies {
    mode: Option<NameSelectionMode>,
    names: Vec<String>,
}

/// The name of the policy that forwards a query of which only a part tells objects apart.
const FORWARD_QUERY: &str = "forward-query-strings";

pub(super) fn ttl(target: &mut Option<SpecDuration>, value: &Value, place: &mut Place<'_>) {
    put_seconds(target, value, place);
}

pub(super) fn forwarded_values(target: &mut Forwarded, value: &Value, place: &mut Place<'_>) {
    object(VALUES, target, value, place);
}

const VALUES: &Table<Forwarded> = &[
    ("QueryString", |target, value, place| {
        target.query = boolean(value, place).unwrap_or_default();
        place.exact();
    }),
    ("QueryStringCacheKeys", |target, value, place| {
        target.query_keys = texts(value, place);
        if !target.query_keys.is_empty() {
            place.exact();
        }
    }),
    ("Cookies", |target, value, place| object(COOKIES, &mut target.cookies, value, place)),
    ("Headers", |target, value, place| {
        target.headers = texts(value, place);
        if target.headers == ["*"] {
            place.differs("all headers are forwarded and nothing is kept, by the policies Managed-AllViewer and Managed-CachingDisabled");
        } else if !target.headers.is_empty() {
            place.exact();
        }
    }),
];

const COOKIES: &Table<Cookies> = &[
    ("Forward", |target, value, place| {
        target.mode = match text(value, place) {
            Some("none") => Some(NameSelectionMode::None),
            Some("whitelist") => Some(NameSelectionMode::Whitelist),
            Some("all") => Some(NameSelectionMode::All),
            Some(other) => return place.problem(format!("{other:?} is not none, whitelist or all")),
            None => return,
        };
        place.exact();
    }),
    ("WhitelistedNames", |target, value, place| {
        target.names = texts(value, place);
        if target.names.iter().any(|name| name.contains(['*', '?'])) {
            // More cookies in the key than needed is correct, fewer is not.
            target.names = Vec::new();
            place.differs(
                "names with * or ? are not known here; all cookies are forwarded, and tell objects apart",
            );
        } else if !target.names.is_empty() {
            place.exact();
        }
    }),
];

/// Makes policies of it.
pub(super) fn finish(
    forwarded: Forwarded,
    behavior: &mut CacheBehaviorSpec,
    context: &mut Context,
    place: &mut Place<'_>,
) {
    let Forwarded { min_ttl, default_ttl, max_ttl, query, query_keys, cookies, mut headers } = forwarded;
    if headers == ["*"] {
        behavior.cache_policy = Some(CachePolicyChoice::Named("Managed-CachingDisabled".into()));
        behavior.origin_request_policy = "Managed-AllViewer".into();
        if !query || !matches!(cookies.mode, Some(NameSelectionMode::All)) {
            place
                .field("ForwardedValues")
                .differs("cookies and query strings are all forwarded with the headers");
        }
        return;
    }
    let codings = headers.iter().any(|name| name.eq_ignore_ascii_case("accept-encoding"));
    headers.retain(|name| !name.eq_ignore_ascii_case("accept-encoding"));
    keep_added(&mut headers, Purpose::Key, &mut place.field("ForwardedValues").field("Headers"));
    let only = |mode, names: Vec<String>| Some(NameSelection { mode: Some(mode), names });
    let query_strings = match (query, query_keys.is_empty()) {
        (false, _) => only(NameSelectionMode::None, Vec::new()),
        (true, true) => only(NameSelectionMode::All, Vec::new()),
        (true, false) => {
            behavior.origin_request_policy = forward_query(context);
            only(NameSelectionMode::Whitelist, query_keys)
        }
    };
    let cookies = match cookies.mode {
        Some(NameSelectionMode::Whitelist) if cookies.names.is_empty() => {
            only(NameSelectionMode::All, Vec::new())
        }
        mode => only(mode.unwrap_or(NameSelectionMode::None), cookies.names),
    };
    let policy = CachePolicySpec {
        min_ttl,
        default_ttl,
        max_ttl,
        headers: Some(HeaderSelection { names: headers }).filter(|headers| !headers.names.is_empty()),
        cookies,
        query_strings,
        // Brotli takes a cache policy (CloudFront guide, "Serve compressed files").
        accept_encoding_gzip: behavior.compress || codings,
        ..CachePolicySpec::default()
    };
    behavior.cache_policy = Some(policy.into());
}

/// The policy that forwards all of the query, which is made once.
fn forward_query(context: &mut Context) -> String {
    let made = &mut context.origin_request_policies;
    if !made.iter().any(|policy| policy.name == FORWARD_QUERY) {
        made.push(OriginRequestPolicySpec {
            name: FORWARD_QUERY.into(),
            comment: "All of the query, of which the cache key holds a part".into(),
            query_strings: Some(NameSelection { mode: Some(NameSelectionMode::All), names: Vec::new() }),
            ..OriginRequestPolicySpec::default()
        });
    }
    FORWARD_QUERY.to_owned()
}
