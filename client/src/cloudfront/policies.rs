//! Cache policies and origin request policies.

use serde_json::Value;

use super::{
    edge_headers::{Purpose, keep_added},
    fields::{Table, object, put_boolean, put_seconds, put_text, text, texts},
    report::Place,
};
use crate::spec::{
    CachePolicySpec, HeaderSelection, NameSelection, NameSelectionMode, OriginHeaderMode,
    OriginHeaderSelection, OriginRequestPolicySpec,
};

const CACHE_POLICY: &Table<CachePolicySpec> = &[
    ("Name", |policy, value, place| put_text(&mut policy.name, value, place)),
    ("Comment", |policy, value, place| put_text(&mut policy.comment, value, place)),
    ("MinTTL", |policy, value, place| put_seconds(&mut policy.min_ttl, value, place)),
    ("DefaultTTL", |policy, value, place| put_seconds(&mut policy.default_ttl, value, place)),
    ("MaxTTL", |policy, value, place| put_seconds(&mut policy.max_ttl, value, place)),
    ("ParametersInCacheKeyAndForwardedToOrigin", |policy, value, place| object(KEY, policy, value, place)),
];

const KEY: &Table<CachePolicySpec> = &[
    ("EnableAcceptEncodingGzip", |policy, value, place| {
        put_boolean(&mut policy.accept_encoding_gzip, value, place)
    }),
    ("EnableAcceptEncodingBrotli", |policy, value, place| {
        put_boolean(&mut policy.accept_encoding_brotli, value, place);
    }),
    ("HeadersConfig", |policy, value, place| {
        let mut headers = Headers::default();
        object(HEADERS, &mut headers, value, place);
        match headers.mode.as_deref() {
            None | Some("none") => {}
            Some("whitelist") => {
                place.exact();
                keep_added(&mut headers.names, Purpose::Key, &mut place.field("Headers"));
                policy.headers = Some(HeaderSelection { names: headers.names });
            }
            Some(other) => {
                place.field("HeaderBehavior").problem(format!("{other:?} is not none or whitelist"))
            }
        }
    }),
    ("CookiesConfig", |policy, value, place| policy.cookies = names(value, place)),
    ("QueryStringsConfig", |policy, value, place| policy.query_strings = names(value, place)),
];

const ORIGIN_REQUEST_POLICY: &Table<OriginRequestPolicySpec> = &[
    ("Name", |policy, value, place| put_text(&mut policy.name, value, place)),
    ("Comment", |policy, value, place| put_text(&mut policy.comment, value, place)),
    ("HeadersConfig", |policy, value, place| policy.headers = origin_headers(value, place)),
    ("CookiesConfig", |policy, value, place| policy.cookies = names(value, place)),
    ("QueryStringsConfig", |policy, value, place| policy.query_strings = names(value, place)),
];

/// Which headers: `HeaderBehavior` and `Headers`.
#[derive(Debug, Default)]
struct Headers {
    mode: Option<String>,
    names: Vec<String>,
}

const HEADERS: &Table<Headers> = &[
    ("HeaderBehavior", |headers, value, place| headers.mode = text(value, place).map(str::to_owned)),
    ("Headers", |headers, value, place| headers.names = texts(value, place)),
];

fn origin_headers(value: &Value, place: &mut Place<'_>) -> Option<OriginHeaderSelection> {
    let mut headers = Headers::default();
    object(HEADERS, &mut headers, value, place);
    let mode = match headers.mode.as_deref()? {
        "none" => OriginHeaderMode::None,
        "whitelist" => OriginHeaderMode::Whitelist,
        "allViewer" => OriginHeaderMode::AllViewer,
        "allExcept" => OriginHeaderMode::AllExcept,
        "allViewerAndWhitelistCloudFront" => OriginHeaderMode::AllViewerAndWhitelistCloudfront,
        other => {
            place.field("HeaderBehavior").problem(format!("{other:?} is not a behavior that is known"));
            return None;
        }
    };
    place.exact();
    if mode != OriginHeaderMode::AllExcept {
        keep_added(&mut headers.names, Purpose::Forward, &mut place.field("Headers"));
    }
    // A list of which nothing is left is the mode that has none.
    let mode = match mode {
        OriginHeaderMode::Whitelist if headers.names.is_empty() => OriginHeaderMode::None,
        OriginHeaderMode::AllViewerAndWhitelistCloudfront if headers.names.is_empty() => {
            OriginHeaderMode::AllViewer
        }
        mode => mode,
    };
    Some(OriginHeaderSelection { mode: Some(mode), names: headers.names })
}

/// Which cookies, or which parameters of the query.
#[derive(Debug, Default)]
struct Selected {
    mode: Option<NameSelectionMode>,
    names: Vec<String>,
}

const SELECTED: &Table<Selected> = &[
    ("CookieBehavior", mode),
    ("QueryStringBehavior", mode),
    ("Cookies", |selected, value, place| selected.names = texts(value, place)),
    ("QueryStrings", |selected, value, place| selected.names = texts(value, place)),
];

fn mode(selected: &mut Selected, value: &Value, place: &mut Place<'_>) {
    selected.mode = match text(value, place) {
        Some("none") => Some(NameSelectionMode::None),
        Some("whitelist") => Some(NameSelectionMode::Whitelist),
        Some("allExcept") => Some(NameSelectionMode::AllExcept),
        Some("all") => Some(NameSelectionMode::All),
        Some(other) => return place.problem(format!("{other:?} is not none, whitelist, allExcept or all")),
        None => return,
    };
    place.exact();
}

fn names(value: &Value, place: &mut Place<'_>) -> Option<NameSelection> {
    let mut selected = Selected::default();
    object(SELECTED, &mut selected, value, place);
    Some(NameSelection { mode: selected.mode, names: selected.names })
}

/// A cache policy.
pub(super) fn cache_policy(value: &Value, place: &mut Place<'_>) -> CachePolicySpec {
    let mut policy = CachePolicySpec::default();
    object(CACHE_POLICY, &mut policy, value, place);
    policy
}

/// An origin request policy.
pub(super) fn origin_request_policy(value: &Value, place: &mut Place<'_>) -> OriginRequestPolicySpec {
    let mut policy = OriginRequestPolicySpec::default();
    object(ORIGIN_REQUEST_POLICY, &mut policy, value, place);
    policy
}
