//! Cache policies: how long objects are kept, and what tells one object from another.

use std::time::Duration;

use http::HeaderName;

use super::{
    coding::{Coding, Codings},
    edge_header::{self, EdgeHeader},
    selection::{NameSelection, check_header_names, check_names, name_chars},
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

impl CachePolicy {
    /// Whether cookies tell objects apart.
    #[must_use]
    pub fn keys_cookies(&self) -> bool {
        self.cookies != NameSelection::None
    }
}

/// Request headers that cannot tell objects apart: they describe the connection, the credentials of the cache's own
/// requests, or something the cache itself decides.
pub(super) const HEADERS_NOT_KEYABLE: &[&str] = &[
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

fn not_keyable(header: &HeaderName) -> Option<String> {
    if EdgeHeader::of(header).is_some_and(|header| !header.is_keyable()) {
        return Some(format!(
            "{header} cannot be part of the cache key, only of an origin request policy: nearly every viewer has another; remove it"
        ));
    }
    let refused = HEADERS_NOT_KEYABLE.contains(&header.as_str());
    let refused = refused.then(|| format!("{header} cannot be part of the cache key; remove it"));
    refused.or_else(|| edge_header::not_made(header))
}

/// Checks all but name and comment.
pub(super) fn check(wire: &v1::CachePolicyConfig, c: &mut Checker<'_>) -> CachePolicy {
    let semantics = match v1::cache_policy_config::Semantics::try_from(wire.semantics) {
        Ok(
            v1::cache_policy_config::Semantics::Unspecified | v1::cache_policy_config::Semantics::Cloudfront,
        ) => Semantics::CloudFront,
        Ok(v1::cache_policy_config::Semantics::Rfc9111) => Semantics::Rfc9111,
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
        headers: check_header_names(
            wire.headers.as_ref().map_or(&[], |selection| &selection.names),
            KEY_NAMES_MAX,
            not_keyable,
            &mut c.field("headers").field("names"),
        ),
        cookies: check_names(
            wire.cookies.as_ref(),
            NameSelection::None,
            KEY_NAMES_MAX,
            &mut c.field("cookies"),
        ),
        query_strings: check_names(
            wire.query_strings.as_ref(),
            query_default,
            KEY_NAMES_MAX,
            &mut c.field("query_strings"),
        ),
        codings: [
            (wire.accept_encoding_brotli, Coding::Brotli),
            (wire.accept_encoding_zstd, Coding::Zstd),
            (wire.accept_encoding_gzip, Coding::Gzip),
        ]
        .into_iter()
        .filter_map(|(is_enabled, coding)| is_enabled.then_some(coding))
        .collect(),
    };
    let chars = policy.headers.iter().map(|h| h.as_str().len()).sum::<usize>()
        + name_chars(&[wire.cookies.as_ref(), wire.query_strings.as_ref()]);
    c.ensure(chars <= KEY_NAMES_CHARS_MAX, || {
        format!("names {chars} characters of headers, cookies and query strings; at most {KEY_NAMES_CHARS_MAX} are allowed")
    });
    policy
}

fn check_ttl(wire: &v1::CachePolicyConfig, semantics: Semantics, c: &mut Checker<'_>) -> TtlBounds {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::violation::Violations;

    #[test]
    fn what_edges_say_of_viewers_may_be_keyed_unless_each_has_its_own() {
        let check = |names: &[&str], refused: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let wire =
                v1::CachePolicyConfig { headers: Some(v1::HeaderSelection { names }), ..Default::default() };
            let mut found = Violations::default();
            super::check(&wire, &mut Checker::new(&mut found));
            let fields: Vec<&str> = found.list().iter().map(|violation| violation.field.as_str()).collect();
            assert_eq!(fields, refused, "{found}");
        };
        check(
            &["CloudFront-Viewer-Country", "CloudFront-Is-Mobile-Viewer", "CloudFront-Forwarded-Proto"],
            &[],
        );
        check(
            &["CloudFront-Viewer-Address", "CloudFront-Viewer-ASN"],
            &["headers.names[0]", "headers.names[1]"],
        );
        check(
            &["CloudFront-Viewer-TLS", "CloudFront-Viewer-JA3-Fingerprint"],
            &["headers.names[0]", "headers.names[1]"],
        );
        check(&["cloudfront-unknown"], &["headers.names[0]"]);
    }
}
