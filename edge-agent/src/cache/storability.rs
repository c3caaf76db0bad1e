//! Storability (RFC 9111 section 3): whether a response may be kept at all.

use headland_proto::model::{CachePolicy, Semantics};
use http::{HeaderMap, Response, StatusCode, header};

use super::{
    cache_control::Directives,
    freshness::{self, Freshness, Timing},
    vary::Vary,
};

/// Why a response is not stored. The only source of that answer, in logs and metrics too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `no-store`.
    NoStore,
    /// The request asked that nothing be stored.
    RequestNoStore,
    /// `private`.
    Private,
    /// `no-cache`: every reuse would have to ask the origin.
    NoCache,
    /// The request carried Authorization and the response does not allow sharing (RFC 9111 section 3.5).
    Authorization,
    /// `Vary: *`, or a Vary that cannot be read.
    Vary,
    /// A status that is not stored, or not without explicit freshness.
    Status,
    /// Nothing says that it may be used for any time at all, or that time is already over.
    NotFresh,
    /// The body ends with the connection, so that a cut-off body would look complete.
    CloseDelimited,
}

impl Reason {
    /// Whether the next response to the same key will probably not be storable either. An error status passes, and what this one
    /// request said is not true of the next; what an origin says about its pages lasts.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        !matches!(self, Self::Status | Self::Authorization | Self::RequestNoStore)
    }
}

/// What is needed of the request that the response answers.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The viewer's headers, after normalisation.
    pub headers: &'a HeaderMap,
    /// Whether the request was forwarded with the viewer's Authorization.
    pub authorization: bool,
}

/// What is known of the response when its head has arrived.
#[derive(Debug, Clone, Copy)]
pub struct ResponseFacts<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Whether the end of the body is told by the message itself, not by the end of the connection.
    pub delimited: bool,
    /// When it was asked for and received.
    pub timing: Timing,
}

impl<'a> ResponseFacts<'a> {
    /// What the head says. The end of the body is told by a length or by chunks, or there is no body (RFC 9112 section 6.3).
    #[must_use]
    pub fn of<B>(response: &'a Response<B>, timing: Timing) -> Self {
        let (status, headers) = (response.status(), response.headers());
        let delimited = status == StatusCode::NO_CONTENT
            || headers.contains_key(header::CONTENT_LENGTH)
            || headers.contains_key(header::TRANSFER_ENCODING);
        Self { status, headers, delimited, timing }
    }
}

/// A response that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storable {
    /// For how long.
    pub freshness: Freshness,
    /// For which requests, besides having the same key.
    pub vary: Option<Vary>,
}

/// Decides whether the response to a GET may be stored.
///
/// # Errors
/// The first reason that forbids it.
pub fn decide(
    policy: &CachePolicy,
    request: RequestFacts<'_>,
    response: ResponseFacts<'_>,
) -> Result<Storable, Reason> {
    let cc = Directives::of(response.headers);
    let explicit = freshness::explicit_lifetime(response.headers, &cc, response.timing.response).is_some();
    let vary = Vary::of(response.headers, request.headers);
    let freshness = freshness::of(policy, response.status, response.headers, &cc, response.timing);
    let vary = match policy.semantics {
        Semantics::CloudFront => {
            cloudfront(&cc, response.status, explicit, freshness)?;
            // Headers outside the key never reach the origin, so it cannot have chosen by them: only "*" says something, and a
            // minimum TTL overrides that as well (CloudFront guide, "Vary").
            vary.map_err(|_| Reason::Vary)
                .or_else(|reason| if policy.ttl.min.is_zero() { Err(reason) } else { Ok(None) })?;
            None
        }
        Semantics::Rfc9111 => {
            rfc9111(&cc, request, response.status, explicit)?;
            vary.map_err(|_| Reason::Vary)?
        }
    };
    if freshness.lifetime.is_zero() {
        return Err(Reason::NotFresh);
    }
    if !response.delimited {
        return Err(Reason::CloseDelimited);
    }
    Ok(Storable { freshness, vary })
}

fn cloudfront(
    cc: &Directives,
    status: StatusCode,
    explicit: bool,
    freshness: Freshness,
) -> Result<(), Reason> {
    match status.as_u16() {
        // A 304 or 206 answers a question that this cache did not ask.
        206 | 304 | 416 | 100..=199 => return Err(Reason::Status),
        200..=399 => {}
        _ if freshness::is_error_kept_for_a_while(status) => return Ok(()),
        400 | 403 | 405 | 412 | 415 if explicit => {}
        _ => return Err(Reason::Status),
    }
    if freshness.lifetime.is_zero() {
        return match cc {
            Directives { no_store: true, .. } => Err(Reason::NoStore),
            Directives { private: true, .. } => Err(Reason::Private),
            Directives { no_cache: true, .. } => Err(Reason::NoCache),
            _ => Err(Reason::NotFresh),
        };
    }
    Ok(())
}

fn rfc9111(
    cc: &Directives,
    request: RequestFacts<'_>,
    status: StatusCode,
    explicit: bool,
) -> Result<(), Reason> {
    if cc.no_store {
        return Err(Reason::NoStore);
    }
    if Directives::of(request.headers).no_store {
        return Err(Reason::RequestNoStore);
    }
    if cc.private {
        return Err(Reason::Private);
    }
    if cc.no_cache {
        return Err(Reason::NoCache);
    }
    if request.authorization && !(cc.public || cc.must_revalidate || cc.s_maxage.is_some()) {
        return Err(Reason::Authorization);
    }
    match status.as_u16() {
        206 | 304 | 100..=199 => Err(Reason::Status),
        // Heuristically cacheable (RFC 9110 section 15.1): a default TTL may apply.
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501 => Ok(()),
        _ if explicit || cc.public => Ok(()),
        _ => Err(Reason::Status),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headland_proto::model::{NameSelection, TtlBounds};

    use super::*;
    use crate::clock::Timestamp;

    fn policy(semantics: Semantics, min: u64) -> CachePolicy {
        let s = Duration::from_secs;
        CachePolicy {
            semantics,
            ttl: TtlBounds {
                min: s(min),
                default: s(if semantics == Semantics::CloudFront { 100 } else { 0 }),
                max: s(1000),
            },
            headers: vec![],
            cookies: NameSelection::None,
            query_strings: NameSelection::All,
        }
    }

    fn decide_on(
        policy: &CachePolicy,
        request: &[(&'static str, &str)],
        status: u16,
        response: &[(&'static str, &str)],
    ) -> Option<Reason> {
        let map = |pairs: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.append(*name, value.parse().expect("value"));
            }
            map
        };
        let (request, response) = (map(request), map(response));
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        decide(
            policy,
            RequestFacts { headers: &request, authorization: request.contains_key("authorization") },
            ResponseFacts {
                status: StatusCode::from_u16(status).expect("status"),
                headers: &response,
                delimited: !response.contains_key("x-close"),
                timing: Timing { request: now, response: now },
            },
        )
        .err()
    }

    #[test]
    fn rfc9111_section_3() {
        let p = policy(Semantics::Rfc9111, 0);
        let check =
            |request: &[(&'static str, &str)], status, response: &[(&'static str, &str)], expected| {
                assert_eq!(
                    decide_on(&p, request, status, response),
                    expected,
                    "{request:?} {status} {response:?}"
                );
            };
        let fresh = ("cache-control", "max-age=60");
        check(&[], 200, &[fresh], None);
        check(&[], 200, &[], Some(Reason::NotFresh));
        check(&[], 200, &[("cache-control", "max-age=60, no-store")], Some(Reason::NoStore));
        check(&[("cache-control", "no-store")], 200, &[fresh], Some(Reason::RequestNoStore));
        check(&[], 200, &[("cache-control", "max-age=60, private")], Some(Reason::Private));
        check(&[], 200, &[("cache-control", "max-age=60, no-cache")], Some(Reason::NoCache));
        check(&[("authorization", "x")], 200, &[fresh], Some(Reason::Authorization));
        for allowed in ["public", "must-revalidate", "s-maxage=60"] {
            check(&[("authorization", "x")], 200, &[fresh, ("cache-control", allowed)], None);
        }
        check(&[], 200, &[fresh, ("vary", "*")], Some(Reason::Vary));
        check(&[], 200, &[fresh, ("vary", "accept")], None);
        check(&[], 206, &[fresh], Some(Reason::Status));
        check(&[], 304, &[fresh], Some(Reason::Status));
        check(&[], 302, &[fresh], None);
        check(&[], 302, &[], Some(Reason::Status));
        check(&[], 404, &[fresh], None);
        check(&[], 503, &[], Some(Reason::Status));
        check(&[], 200, &[fresh, ("age", "60")], Some(Reason::NotFresh));
        check(&[], 200, &[fresh, ("x-close", "")], Some(Reason::CloseDelimited));
    }

    #[test]
    fn cloudfront_keeps_what_the_policy_says() {
        let p = policy(Semantics::CloudFront, 0);
        let check = |p: &CachePolicy, status, response: &[(&'static str, &str)], expected| {
            assert_eq!(decide_on(p, &[], status, response), expected, "{status} {response:?}");
        };
        check(&p, 200, &[], None);
        check(&p, 200, &[("cache-control", "no-store")], Some(Reason::NoStore));
        check(&p, 200, &[("cache-control", "private")], Some(Reason::Private));
        check(&p, 200, &[("cache-control", "no-cache")], Some(Reason::NoCache));
        check(&p, 200, &[("cache-control", "max-age=0")], Some(Reason::NotFresh));
        check(&policy(Semantics::CloudFront, 5), 200, &[("cache-control", "no-store")], None);
        check(&p, 200, &[("vary", "*")], Some(Reason::Vary));
        check(&p, 200, &[("vary", "accept")], None);
        check(&policy(Semantics::CloudFront, 5), 200, &[("vary", "*")], None);
        check(&p, 302, &[], None);
        check(&p, 404, &[], None);
        check(&p, 403, &[], Some(Reason::Status));
        check(&p, 403, &[("cache-control", "max-age=60")], None);
        check(&p, 416, &[("cache-control", "max-age=60")], Some(Reason::Status));
        check(&p, 206, &[], Some(Reason::Status));
        check(&p, 401, &[("cache-control", "max-age=60")], Some(Reason::Status));
        check(&p, 200, &[("x-close", "")], Some(Reason::CloseDelimited));
    }
}
