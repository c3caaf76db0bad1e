//! Storability (RFC 9111 section 3): whether a response may be kept at all.

use headland_proto::model::{CachePolicy, ErrorResponses, Semantics};
use http::{HeaderMap, HeaderName, Response, StatusCode, header};

use super::{
    cache_control::{Directives, Qualified, RequestDirectives},
    freshness::{self, Timing},
    groups,
    terms::{self, Terms},
    vary::Vary,
};
use crate::{clock::Timestamp, closed::closed};

closed! {
    /// Why a response is not stored. The only source of that answer, in logs and metrics too.
    pub enum Reason {
        /// `no-store`.
        NoStore = "no-store",
        /// The request asked that nothing be stored.
        RequestNoStore = "request-no-store",
        /// `private`.
        Private = "private",
        /// `no-cache`, and nothing to ask the origin about it with.
        NoCache = "no-cache",
        /// The request carried Authorization and the response does not allow sharing (RFC 9111 section 3.5).
        Authorization = "authorization",
        /// `Vary: *`, or a Vary that cannot be read.
        Vary = "vary",
        /// A status that is not stored, or that passes and is not stored without explicit freshness.
        Status = "status",
        /// A status that needs explicit freshness or `public`, and has neither (RFC 9111 section 3).
        NotExplicit = "not-explicit",
        /// Nothing says that it may be used for any time at all, or that time is already over.
        NotFresh = "not-fresh",
        /// The body ends with the connection, so that a cut-off body would look complete.
        CloseDelimited = "close-delimited",
        /// The policy's maximum TTL is zero.
        Policy = "policy",
        /// It sets a cookie, and says nothing of how long it is fresh: nobody thought of sharing it.
        SetCookie = "set-cookie",
    }
}

impl Reason {
    /// Whether it lies in the request alone: a response to another request may be stored.
    #[must_use]
    pub fn is_the_requests(self) -> bool {
        matches!(self, Self::Authorization | Self::RequestNoStore)
    }

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
    /// What the distribution that it is for says of errors.
    pub errors: &'a ErrorResponses,
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
    /// What may be done with it, and for how long.
    pub terms: Terms,
    /// For which requests, besides having the same key.
    pub vary: Option<Vary>,
    /// Fields that are not for anybody but the viewer who caused the fetch: those that `private` and `no-cache` name.
    pub fields_not_kept: Vec<HeaderName>,
    /// The groups it belongs to (RFC 9875).
    pub groups: Box<[Box<str>]>,
}

/// What no response can be sent without: they belong to the message, not to one viewer.
const NEVER_TAKEN_OUT: [HeaderName; 2] = [header::CONTENT_LENGTH, header::DATE];

impl Storable {
    /// Takes the fields that are not kept out of the headers; what they were with them, if there are any such fields.
    #[must_use]
    pub fn take_out(&self, headers: &mut HeaderMap) -> Option<HeaderMap> {
        let all = (!self.fields_not_kept.is_empty()).then(|| headers.clone());
        let names = self.fields_not_kept.iter().filter(|name| !NEVER_TAKEN_OUT.contains(name));
        names.for_each(|name| _ = headers.remove(name));
        all
    }

    /// Whether requests that waited for it may have it, too: it is fresh, and not to be validated before every use.
    #[must_use]
    pub fn is_shareable(&self, now: Timestamp) -> bool {
        self.terms.is_shareable(now)
    }
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
    if policy.ttl.max.is_zero() {
        return Err(Reason::Policy);
    }
    let cc = Directives::of(policy.semantics, response.headers);
    let vary = match policy.semantics {
        Semantics::CloudFront => {
            cloudfront(&cc, response.status, policy.ttl.min.is_zero())?;
            cloudfront_vary(policy, response.headers)?
        }
        Semantics::Rfc9111 => {
            rfc9111(&cc, request, response)?;
            let vary = Vary::of(response.headers, request.headers).map_err(|_| Reason::Vary)?;
            // The origin was sent what is in the key.
            let by_key = !policy.codings.is_empty();
            vary.and_then(|vary| if by_key { vary.without(&header::ACCEPT_ENCODING) } else { Some(vary) })
        }
    };
    let received = response.timing.response;
    let error_ttl_min = request.errors.caching_min_ttl(response.status);
    let freshness =
        freshness::of(policy, response.status, error_ttl_min, response.headers, &cc, response.timing);
    let fields_not_kept = [cc.private.fields(), cc.no_cache.fields()].concat();
    let has_validator = [header::ETAG, header::LAST_MODIFIED]
        .iter()
        .any(|name| response.headers.contains_key(name) && !fields_not_kept.contains(name));
    let terms = terms::of(policy, response.status, &cc, freshness, received, has_validator);
    if terms.kept_until <= received {
        return Err(if cc.no_cache.is_whole() { Reason::NoCache } else { Reason::NotFresh });
    }
    if !response.delimited {
        return Err(Reason::CloseDelimited);
    }
    Ok(Storable { terms, vary, fields_not_kept, groups: groups::of(response.headers) })
}

/// Headers outside the key never reach the origin, so it cannot have chosen by them: only "*" says something, and a minimum TTL
/// overrides that as well (CloudFront guide, "Vary").
fn cloudfront_vary(policy: &CachePolicy, response: &HeaderMap) -> Result<Option<Vary>, Reason> {
    match Vary::of(response, &HeaderMap::new()) {
        Err(_) if policy.ttl.min.is_zero() => Err(Reason::Vary),
        _ => Ok(None),
    }
}

/// CloudFront guide, "How CloudFront caches HTTP 4xx and 5xx status codes", and the table in "Specify the amount of time that CloudFront
/// caches objects".
fn cloudfront(cc: &Directives, status: StatusCode, no_minimum: bool) -> Result<(), Reason> {
    let explicit = cc.max_age.is_some() || cc.s_maxage.is_some();
    match status.as_u16() {
        // A 304 or 206 answers a question that this cache did not ask.
        206 | 304 | 416 | 100..=199 => return Err(Reason::Status),
        200..=399 => {}
        // Whatever they say.
        _ if freshness::is_error_kept_for_a_while(status) => return Ok(()),
        400 | 403 | 405 | 412 | 415 if explicit => {}
        400 | 403 | 405 | 412 | 415 => return Err(Reason::NotExplicit),
        _ => return Err(Reason::Status),
    }
    match cc {
        Directives { no_store: true, .. } if no_minimum => Err(Reason::NoStore),
        Directives { private: Qualified::Whole, .. } if no_minimum => Err(Reason::Private),
        _ => Ok(()),
    }
}

/// RFC 9111 section 3, condition by condition, for a shared cache and a GET.
fn rfc9111(cc: &Directives, request: RequestFacts<'_>, response: ResponseFacts<'_>) -> Result<(), Reason> {
    let status = response.status;
    let understood = is_understood(status);
    // must-understand: without understanding it is not stored, with it no-store is not meant for this cache (section 5.2.2.3).
    if cc.must_understand && !understood {
        return Err(Reason::Status);
    }
    if cc.no_store && !cc.must_understand {
        return Err(Reason::NoStore);
    }
    if RequestDirectives::of(request.headers).no_store {
        return Err(Reason::RequestNoStore);
    }
    if cc.private.is_whole() {
        return Err(Reason::Private);
    }
    if request.authorization && !(cc.public || cc.must_revalidate || cc.s_maxage.is_some()) {
        return Err(Reason::Authorization);
    }
    if is_never_stored(status) {
        return Err(Reason::Status);
    }
    let explicit =
        freshness::explicit_lifetime(response.headers, cc, response.timing.response).is_some() || cc.public;
    if !explicit && response.headers.contains_key(header::SET_COOKIE) {
        return Err(Reason::SetCookie);
    }
    if explicit || freshness::is_heuristically_cacheable(status) {
        Ok(())
    } else if status.is_server_error() {
        // It passes.
        Err(Reason::Status)
    } else {
        Err(Reason::NotExplicit)
    }
}

/// Not final, partial, an answer to a condition or a range that the key does not hold (RFC 9111 section 3, RFC 9110 sections 15.5.13 and
/// 15.5.17), or never to be stored by any cache (RFC 6585 sections 3 to 6).
fn is_never_stored(status: StatusCode) -> bool {
    matches!(status.as_u16(), 100..=199 | 206 | 304 | 412 | 416 | 428 | 429 | 431 | 511)
}

/// Whether this cache conforms to what is said of caching a status (RFC 9111 section 3): those of RFC 9110, RFC 7725 and RFC 8470.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 425 | 426 | 451 | 500..=505)
}

#[cfg(test)]
mod tests;
