//! Considering: every stage that needs no waiting, from the request to what is to be done with it.
//!
//! The pipeline acts on what comes out here, and `explain` tells it: nothing is decided in two places.

use std::{borrow::Cow, sync::Arc};

use headland_proto::model::{MethodSet, ResponseHeadersPolicy, Scheme, Semantics, ViewerProtocol};
use http::{HeaderMap, Method, Request, header};

use super::{
    lookup::{self, Found, Slot},
    websocket::{self, WebSocketWanted},
};
use crate::{
    cache::{
        Cache,
        cache_control::RequestDirectives,
        key::{self, UriPart},
        reuse::Permission,
    },
    clock::Timestamp,
    end_to_end,
    geo::Locations,
    origin::request::{Identity, SELECTING},
    peers::FromPeer,
    routing::{Distribution, Table, compile::Behavior},
    signing::{self, Verified},
    viewer::{
        accept_encoding,
        cache_status::Forward,
        conditional,
        max_forwards::{self, MaxForwards},
        redirect,
        request::{self, Refusal, Target},
        response_headers,
        who::Viewer,
    },
};

/// What a request is considered by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grounds<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) identity: &'a Identity,
    /// Signatures that need not be verified again.
    pub(crate) verified: &'a Verified,
    pub(crate) now: Timestamp,
    /// Whether looking at what is stored counts as a use of it.
    pub(crate) counts_as_use: bool,
    /// Whether what is on disk alone may still be brought to memory.
    pub(crate) may_load: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) viewer: Viewer,
    /// Where viewers are.
    pub(crate) locations: &'a Locations,
    /// Whether the edge itself asks, for the page in place of an error: who may ask for what is not looked at.
    pub(crate) for_page: bool,
}

/// Somebody who wants to know how far a request came, refused or not.
pub(crate) trait Witness<'a> {
    /// It is for this host.
    fn host(&mut self, _host: &str) {}
    /// This distribution answers to it.
    fn distribution(&mut self, _distribution: &'a Arc<Distribution>) {}
    /// This is the path of its object, which this behavior is for.
    fn behavior(
        &mut self,
        _distribution: &'a Arc<Distribution>,
        _path: &'a str,
        _behavior: &'a Arc<Behavior>,
    ) {
    }
    /// This is what is forwarded of its query.
    fn query(&mut self, _query: Option<&str>) {}
    /// This is its key, and what is stored under it.
    fn found(&mut self, _key: &[u8], _found: &Found) {}
}

/// Where a request belongs.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) distribution: &'a Arc<Distribution>,
    pub(crate) behavior: &'a Arc<Behavior>,
    pub(crate) path: &'a str,
    /// What of the query is in the key.
    pub(crate) query: Option<Cow<'a, str>>,
    /// The query as the viewer sent it, but for what is for the edge.
    pub(crate) viewer_query: Option<Cow<'a, str>>,
    pub(crate) host: Cow<'a, str>,
}

/// What is to be done with a request that is not refused.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart at once; a box would cost every hit an allocation"
)]
pub(crate) enum Decision<'a> {
    /// An OPTIONS about this server as a whole.
    AboutTheServer,
    /// One that belongs somewhere.
    For(Place<'a>, Act),
}

/// What is to be done with a request that belongs somewhere.
#[derive(Debug)]
pub(crate) enum Act {
    /// An OPTIONS that goes no further, answered with the methods that are allowed.
    Options(MethodSet),
    /// Sent to the same URL with https.
    Redirect,
    /// There is something on disk that memory does not have: it is to be brought there, and the request considered again.
    Load,
    /// To the origin, past the cache.
    Past(Past),
    /// Answered with what was found.
    Hit(Looked),
    /// Answered with what was found, which is stale, and the origin is asked meanwhile.
    HitAndRevalidate(Looked),
    /// To the origin, through the cache.
    Fetch(Looked),
}

/// What looking into the cache came to. The key itself stands where the caller had it written.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) uri: UriPart,
    pub(crate) directives: RequestDirectives,
    pub(crate) found: Found,
}

impl Looked {
    /// Where under this key the answer has its place, and what was found there.
    pub(super) fn split(self, key: &[u8]) -> (Slot, Found) {
        (Slot { key: key.into(), uri: self.uri, directives: self.directives }, self.found)
    }
}

/// Why a request may neither be answered from the cache nor fill it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// Only GET and HEAD are answered from the cache, and OPTIONS where that is wished.
    Method,
    /// It asks for a WebSocket.
    WebSocket,
    /// A body has no meaning in a GET (RFC 9110 section 9.3.1), but to this origin it may have one.
    Body,
    /// The policy's maximum TTL is zero.
    MaxTtl,
    /// Only the origin knows what the request's preconditions are compared with (RFC 9111 section 4.3.2).
    Precondition,
    /// The request asks that nothing be stored, and nothing stored can answer it.
    RequestNoStore,
}

impl Past {
    /// A stable name, for `explain` and debug headers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::WebSocket => "websocket",
            Self::Body => "request-body",
            Self::MaxTtl => "max-ttl-zero",
            Self::Precondition => "precondition",
            Self::RequestNoStore => "request-no-store",
        }
    }

    /// The same in the words of RFC 9211.
    pub(crate) const fn forward(self) -> Forward {
        match self {
            Self::Method => Forward::Method,
            Self::WebSocket | Self::Body | Self::MaxTtl | Self::Precondition => Forward::Bypass,
            Self::RequestNoStore => Forward::Request,
        }
    }
}

/// Takes from a request what is not about its answer: what was for this hop only, and what means nothing for its method. That it asks
/// for a WebSocket stays known.
pub(crate) fn receive<B>(request: &mut Request<B>) {
    if websocket::is_wanted(request) {
        request.extensions_mut().insert(WebSocketWanted);
    }
    end_to_end::drop_nominated(request.headers_mut());
    if request.method() == Method::OPTIONS {
        // They select nothing here, and are to be ignored (RFC 9110 section 13.2.1).
        SELECTING.iter().for_each(|name| _ = request.headers_mut().remove(name));
    }
}

/// Considers a request. Its key is appended to `key`, which the caller has emptied, if it comes so far.
///
/// # Errors
/// Why it is refused.
pub(crate) fn decide<'a, B>(
    grounds: Grounds<'_>,
    asker: Asker<'_>,
    table: &'a Table,
    request: &'a Request<B>,
    has_body: bool,
    key: &mut Vec<u8>,
    witness: &mut impl Witness<'a>,
) -> Result<Decision<'a>, Refusal> {
    if max_forwards::is_about_the_server(request) && request::has_host(request) {
        return Ok(Decision::AboutTheServer);
    }
    let method = request.method();
    let place = place(grounds, asker, table, request, witness)?;
    let rules = &place.behavior.rules;
    if !asker.for_page && asker.viewer.scheme == Scheme::Http {
        match rules.viewer_protocol {
            ViewerProtocol::AllowAll => {}
            ViewerProtocol::RedirectToHttps if redirect::is_understood(request) => {
                return Ok(Decision::For(place, Act::Redirect));
            }
            ViewerProtocol::RedirectToHttps | ViewerProtocol::HttpsOnly => return Err(Refusal::HttpsOnly),
        }
    }
    let headers = own_headers(place.behavior, request.headers());
    let headers = &*headers;
    let is_preflight = |policy: &Arc<ResponseHeadersPolicy>| response_headers::answers(policy, request);
    if max_forwards::decide(method, headers) == MaxForwards::AnswerHere
        || rules.response_headers_policy.as_ref().is_some_and(is_preflight)
    {
        let allowed = rules.allowed_methods;
        return Ok(Decision::For(place, Act::Options(allowed)));
    }
    let policy = &rules.cache_policy;
    let directives = lookup::directives(policy, headers);
    if request.extensions().get::<WebSocketWanted>().is_some() {
        return Ok(Decision::For(place, Act::Past(Past::WebSocket)));
    }
    if let Some(past) = goes_past_cache(method, headers, has_body, place.behavior)? {
        return match directives.only_if_cached {
            true => Err(Refusal::OnlyIfCached),
            false => Ok(Decision::For(place, Act::Past(past))),
        };
    }
    let (id, query) = (&place.distribution.id, place.query.as_deref());
    let codings = accept_encoding::of(policy.codings, request);
    let selecting = key::Selecting { method, headers, codings };
    let uri = key::write(key, id, policy, place.path, query, &place.host, selecting);
    let found = lookup::look(grounds, key, uri, &directives, headers);
    if grounds.may_load && found.all().is_empty() && grounds.cache.is_on_disk(key, grounds.counts_as_use) {
        return Ok(Decision::For(place, Act::Load));
    }
    witness.found(key, &found);
    let looked = |found| Looked { uri, directives, found };
    let act = match found.usable() {
        Some(_) if directives.only_if_cached && found.lacks_blocks(method) => {
            return Err(Refusal::OnlyIfCached);
        }
        Some((_, Some(Permission::WhileRevalidate))) => Act::HitAndRevalidate(looked(found)),
        Some(_) => Act::Hit(looked(found)),
        None if directives.only_if_cached => return Err(Refusal::OnlyIfCached),
        None if directives.no_store => Act::Past(Past::RequestNoStore),
        None => Act::Fetch(looked(found)),
    };
    Ok(Decision::For(place, act))
}

/// Where a request belongs, if it may be there.
fn place<'a, B>(
    grounds: Grounds<'_>,
    asker: Asker<'_>,
    table: &'a Table,
    request: &'a Request<B>,
    witness: &mut impl Witness<'a>,
) -> Result<Place<'a>, Refusal> {
    let target = request::admit(request)?;
    witness.host(&target.host);
    let distribution = table.distribution(&target.host).ok_or(Refusal::UnknownHost)?;
    witness.distribution(distribution);
    if !distribution.enabled {
        return Err(Refusal::Disabled);
    }
    let restriction = &distribution.geo_restriction;
    if restriction.restricts() && !asker.for_page {
        let country = asker.locations.country(asker.viewer.address.ip());
        if !restriction.allows(country) {
            return Err(Refusal::Country);
        }
    }
    let path = distribution.object_for(target.path);
    let behavior = distribution.behavior(path);
    witness.behavior(distribution, path, behavior);
    if !behavior.allows(request.method()) {
        return Err(Refusal::MethodNotAllowed);
    }
    if grounds.identity.is_in(request.headers()) {
        return Err(Refusal::Loop);
    }
    let keyed = &behavior.rules.cache_policy.query_strings;
    let (query, viewer_query) = match &behavior.signing {
        None => (key::select_query(target.query, keyed), target.query.map(Cow::Borrowed)),
        Some(trusted) => {
            // Another edge has looked at it, and taken it off.
            if request.extensions().get::<FromPeer>().is_none() {
                let asked = asked(asker.viewer, grounds.now, request, &target);
                trusted.check(&asked, grounds.verified).map_err(Refusal::NotSigned)?;
            }
            let own = signing::without_parameters(target.query);
            (key::select_query(own.as_deref(), keyed).map(|query| Cow::Owned(query.into_owned())), own)
        }
    };
    witness.query(query.as_deref());
    Ok(Place { distribution, behavior, path, query, viewer_query, host: target.host })
}

/// What signatures speak of.
fn asked<'r, B>(
    viewer: Viewer,
    now: Timestamp,
    request: &'r Request<B>,
    target: &Target<'r>,
) -> signing::Asked<'r> {
    let (authority, headers) = (request::authority(request), request.headers());
    let address = Some(viewer.address.ip()).filter(|ip| !ip.is_unspecified());
    // By http comes also who came by https to something in front that is not a trusted proxy.
    let scheme = (viewer.scheme == Scheme::Https).then_some("https");
    let viewer = signing::Viewer { address, scheme };
    signing::Asked { authority, path: target.path, query: target.query, headers, viewer, now }
}

/// A request's headers, but for the cookies that are for the edge.
pub(super) fn own_headers<'r>(behavior: &Behavior, headers: &'r HeaderMap) -> Cow<'r, HeaderMap> {
    match behavior.signing.as_ref().and_then(|_| signing::without_cookies(headers)) {
        None => Cow::Borrowed(headers),
        Some(without) => Cow::Owned(without),
    }
}

/// Why a request may neither be answered from the cache nor fill it; `None` if it may.
pub(super) fn goes_past_cache(
    method: &Method,
    headers: &HeaderMap,
    has_body: bool,
    behavior: &Behavior,
) -> Result<Option<Past>, Refusal> {
    if !behavior.rules.caches(method) {
        return Ok(Some(Past::Method));
    }
    let policy = &behavior.rules.cache_policy;
    let rfc9111 = policy.semantics == Semantics::Rfc9111;
    if has_body {
        return if rfc9111 || method == Method::OPTIONS {
            Ok(Some(Past::Body))
        } else {
            Err(Refusal::UnexpectedBody)
        };
    }
    if policy.ttl.max.is_zero() {
        return Ok(Some(Past::MaxTtl));
    }
    Ok((rfc9111 && conditional::is_for_origin(headers)).then_some(Past::Precondition))
}

/// How a request that the cache could not answer gets to the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    /// As a HEAD, which may bring what is stored up to date (RFC 9111 section 4.3.5).
    Head,
    /// For this viewer only: the last response could not be stored.
    Uncacheable,
    /// For this viewer only: part of an object that is too large to keep is fetched as that part.
    Oversized,
    /// Together with all who ask for the same.
    Together,
}

impl Road {
    /// A stable name, for `explain` and debug headers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Uncacheable => "uncacheable",
            Self::Oversized => "oversized",
            Self::Together => "together",
        }
    }
}

/// Chooses it.
pub(crate) fn road(
    cache: &Cache,
    semantics: Semantics,
    key: &[u8],
    method: &Method,
    headers: &HeaderMap,
    now: Timestamp,
) -> Road {
    if method == Method::HEAD && semantics == Semantics::Rfc9111 {
        Road::Head
    } else if cache.uncacheable.contains(key, now) && cache.memory.peek(key).is_none() {
        Road::Uncacheable
    } else if headers.contains_key(header::RANGE) && cache.oversized.contains(key, now) {
        Road::Oversized
    } else {
        Road::Together
    }
}
