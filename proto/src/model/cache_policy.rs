//! Cache policies: how long objects are kept, and what tells one object from another.

use std::time::Duration;

use http::HeaderName;

use super::{
    coding::{Coding, Codings},
    violation::Checker,
};
use crate::{
    limits::{KEY_NAMES_CHARS_MAX, KEY_NAMES_MAX, TTL_MAX},
    v1,
};

/// CloudFront's default for responses that do not say how long they are fresh.
const DEFAULT_TTL: Duration = Duration::from_secs(86_400);
/// CloudFront's default ceiling.
const MAX_TTL: Duration = Duration::from_secs(31_536_000);

/// Whose rules decide what may be stored and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// CloudFront's: a minimum TTL overrides the origin, a viewer's Cache-Control is ignored.
    CloudFront,
    /// A shared cache as RFC 9111 describes it.
    Rfc9111,
}

/// The least, the usual and the longest time an object is kept; always in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TtlBounds {
    /// Kept at least this long, whatever the origin says (CloudFront semantics only).
    pub min: Duration,
    /// Kept this long when the origin does not say.
    pub default: Duration,
    /// Kept at most this long, whatever the origin says.
    pub max: Duration,
}

/// Which cookies or query parameters count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameSelection {
    /// None of them.
    None,
    /// Only those named.
    Whitelist(Vec<String>),
    /// All but those named.
    AllExcept(Vec<String>),
    /// All of them.
    All,
}

impl NameSelection {
    /// Whether the name counts. Case-sensitive.
    #[must_use]
    pub fn selects(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Whitelist(names) => names.iter().any(|n| n == name),
            Self::AllExcept(names) => names.iter().all(|n| n != name),
            Self::All => true,
        }
    }
}

/// A checked cache policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePolicy {
    /// Whose rules apply.
    pub semantics: Semantics,
    /// The bounds on how long objects are kept.
    pub ttl: TtlBounds,
    /// Request headers in the cache key, sorted by name, without repetition.
    pub headers: Vec<HeaderName>,
    /// Cookies in the cache key.
    pub cookies: NameSelection,
    /// Query parameters in the cache key.
    pub query_strings: NameSelection,
    /// Content codings that tell objects apart, where viewers accept them.
    pub codings: Codings,
}

/// Request headers that cannot tell objects apart: they describe the connection, the credentials of the cache's own
/// requests, or something the cache itself decides.
const HEADERS_NOT_KEYABLE: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

pub(super) fn check(wire: Option<&v1::CachePolicy>, c: &mut Checker<'_>) -> CachePolicy {
    let unset = v1::CachePolicy::default();
    let wire = wire.unwrap_or(&unset);
    let semantics = match v1::cache_policy::Semantics::try_from(wire.semantics) {
        Ok(v1::cache_policy::Semantics::Unspecified | v1::cache_policy::Semantics::Cloudfront) => {
            Semantics::CloudFront
        }
        Ok(v1::cache_policy::Semantics::Rfc9111) => Semantics::Rfc9111,
        Err(_) => {
            c.field("semantics").violation("is unknown; use CLOUDFRONT or RFC9111");
            Semantics::CloudFront
        }
    };
    let query_default = match semantics {
        Semantics::CloudFront => NameSelection::None,
        // The query is part of the target URI, and that is the primary key (RFC 9111 section 2).
        Semantics::Rfc9111 => NameSelection::All,
    };
    let policy = CachePolicy {
        semantics,
        ttl: check_ttl(wire, semantics, c),
        headers: check_headers(wire, &mut c.field("headers")),
        cookies: check_names(wire.cookies.as_ref(), NameSelection::None, &mut c.field("cookies")),
        query_strings: check_names(wire.query_strings.as_ref(), query_default, &mut c.field("query_strings")),
        codings: [
            (wire.accept_encoding_brotli, Coding::Brotli),
            (wire.accept_encoding_zstd, Coding::Zstd),
            (wire.accept_encoding_gzip, Coding::Gzip),
        ]
        .into_iter()
        .filter_map(|(is_enabled, coding)| is_enabled.then_some(coding))
        .collect(),
    };
    let names = [wire.cookies.as_ref(), wire.query_strings.as_ref()];
    let chars = policy.headers.iter().map(|h| h.as_str().len()).sum::<usize>()
        + names.iter().flatten().flat_map(|s| &s.names).map(String::len).sum::<usize>();
    c.ensure(chars <= KEY_NAMES_CHARS_MAX, || {
        format!("names {chars} characters of headers, cookies and query strings; at most {KEY_NAMES_CHARS_MAX} are allowed")
    });
    policy
}

fn check_ttl(wire: &v1::CachePolicy, semantics: Semantics, c: &mut Checker<'_>) -> TtlBounds {
    let range = (Duration::ZERO, TTL_MAX);
    let min = c.field("min_ttl").duration(wire.min_ttl.as_ref(), range, Duration::ZERO);
    let usual = match semantics {
        Semantics::CloudFront => DEFAULT_TTL,
        Semantics::Rfc9111 => Duration::ZERO,
    };
    let usual =
        wire.max_ttl.as_ref().and_then(|m| Duration::try_from(*m).ok()).map_or(usual, |max| usual.min(max));
    let default = c.field("default_ttl").duration(wire.default_ttl.as_ref(), range, usual.max(min));
    let max = c.field("max_ttl").duration(wire.max_ttl.as_ref(), range, MAX_TTL.max(default));
    c.field("default_ttl").ensure(min <= default, || {
        format!(
            "is {} s, shorter than min_ttl ({} s); it must be between min_ttl and max_ttl",
            default.as_secs(),
            min.as_secs()
        )
    });
    c.field("max_ttl").ensure(default <= max, || {
        format!(
            "is {} s, shorter than default_ttl ({} s); it must be the longest",
            max.as_secs(),
            default.as_secs()
        )
    });
    if semantics == Semantics::Rfc9111 {
        c.field("min_ttl").ensure(min.is_zero(), || {
            "must be 0 with RFC 9111 semantics, where a cache never keeps what the origin forbids".into()
        });
    }
    TtlBounds { min, default, max }
}

fn check_headers(wire: &v1::CachePolicy, c: &mut Checker<'_>) -> Vec<HeaderName> {
    let Some(selection) = &wire.headers else {
        return Vec::new();
    };
    let mut c = c.field("names");
    c.count_max(selection.names.len(), KEY_NAMES_MAX);
    let mut headers = Vec::new();
    for (i, name) in selection.names.iter().enumerate() {
        match name.parse::<HeaderName>() {
            Err(_) => c.index(i).violation(format!("{name:?} is not a header name")),
            Ok(header) if HEADERS_NOT_KEYABLE.contains(&header.as_str()) => {
                c.index(i).violation(format!("{header} cannot be part of the cache key; remove it"));
            }
            Ok(header) if headers.contains(&header) => {
                c.index(i).violation(format!("{header} is named twice"))
            }
            Ok(header) => headers.push(header),
        }
    }
    headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    headers
}

fn check_names(
    wire: Option<&v1::NameSelection>,
    default: NameSelection,
    c: &mut Checker<'_>,
) -> NameSelection {
    use v1::name_selection::Mode;
    let Some(wire) = wire else { return default };
    let Ok(mode) = Mode::try_from(wire.mode) else {
        c.field("mode").violation("is unknown; use NONE, WHITELIST, ALL_EXCEPT or ALL");
        return default;
    };
    c.field("names").count_max(wire.names.len(), KEY_NAMES_MAX);
    for (i, name) in wire.names.iter().enumerate() {
        let legal = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b";=&,\"".contains(&b));
        c.field("names")
            .index(i)
            .ensure(legal, || format!("{name:?} is not a name; write it as it stands in the request"));
        c.field("names")
            .index(i)
            .ensure(!wire.names[..i].contains(name), || format!("{name:?} is named twice"));
    }
    let listed = matches!(mode, Mode::Whitelist | Mode::AllExcept);
    c.field("names").ensure(listed || wire.names.is_empty(), || {
        "must be empty unless mode is WHITELIST or ALL_EXCEPT".into()
    });
    c.field("names").ensure(!listed || !wire.names.is_empty(), || {
        "must name at least one with mode WHITELIST or ALL_EXCEPT; use NONE or ALL instead".into()
    });
    match mode {
        Mode::Unspecified => default,
        Mode::None => NameSelection::None,
        Mode::Whitelist => NameSelection::Whitelist(wire.names.clone()),
        Mode::AllExcept => NameSelection::AllExcept(wire.names.clone()),
        Mode::All => NameSelection::All,
    }
}
