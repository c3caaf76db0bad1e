//! Sending requests to origins: pooled connections of one worker, within the origin's timeouts.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, hash_map},
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use headland_proto::model::{Origin, OriginKind, Scheme, Signing};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    uri::{InvalidUri, PathAndQuery},
};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Fault,
    body::{Expectation, OutgoingBody},
    connections::{Connections, InUse, Unanswered, Use},
    credentials::CredentialsStore,
    http2,
    plain::{self, PlainRequest},
    response::{ResponseBody, ResponseError},
    s3,
    tls::OriginTlsConfigs,
};
use crate::error_chain::ErrorChain;

/// Fetches one worker may have under way; more are refused, so that dead origins cannot fill the memory.
const FETCHES_MAX: usize = 4096;
/// Fetches one worker may have under way from one origin, so that a dead one leaves room for the others.
const FETCHES_PER_ORIGIN_MAX: usize = 1024;
/// How often a GET is sent anew when the connection breaks before any of the response has come: a kept connection may have been
/// closed by the origin at that very moment.
const RESENDS_MAX: u32 = 1;

/// One worker's connections to all origins.
#[derive(Debug)]
pub struct Origins {
    credentials: CredentialsStore,
    tls: Arc<OriginTlsConfigs>,
    connections: Rc<Connections>,
    load: Rc<Load>,
}

/// A request to an origin, before it is addressed.
#[derive(Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The path as the viewer sent it.
    pub path: String,
    /// The query as the policy forwards it.
    pub query: Option<String>,
    /// Everything but Host, custom headers and signature.
    pub headers: HeaderMap,
    /// The viewer's Host, when the policy forwards it.
    pub host: Option<HeaderValue>,
    /// The viewer's body, when there is one.
    pub body: Option<Incoming>,
    /// Whether the viewer waits for the origin's word before it sends the body.
    pub expects_continue: bool,
    /// The scheme that the viewer used.
    pub viewer_scheme: Scheme,
    /// How it is made.
    pub how: How,
    /// Who is asked first, if that is not the origin.
    pub shield: Option<Box<Shield>>,
}

/// The upper tier that a request goes to in place of the origin.
#[derive(Debug, Clone)]
pub struct Shield {
    /// Where its edges are.
    pub location: String,
    /// Chooses one of them: that of the cache key.
    pub hash: u64,
    /// The host that the viewer asked for.
    pub host: HeaderValue,
}

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As the origin's settings say.
    Usual,
    /// In HTTP/2 or not at all.
    Http2,
    /// As one that asks for a WebSocket, on a connection in HTTP/1.1 that will be of no other use.
    WebSocket,
}

impl Outgoing {
    /// The same request once more, without a body.
    #[must_use]
    pub fn repeated(&self) -> Self {
        Self {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            host: self.host.clone(),
            body: None,
            expects_continue: false,
            shield: self.shield.clone(),
            viewer_scheme: self.viewer_scheme,
            how: self.how,
        }
    }
}

/// The fetches of one worker that are under way, in all and by origin.
#[derive(Debug, Default)]
struct Load {
    all: Cell<usize>,
    by_origin: RefCell<HashMap<Rc<str>, usize, foldhash::fast::RandomState>>,
}

/// Counts a fetch as under way until it is dropped.
#[derive(Debug)]
pub struct UnderWay {
    load: Rc<Load>,
    origin: Rc<str>,
    /// A body that the origin may not have wanted.
    expectation: Option<Arc<Expectation>>,
    /// The connection that the response comes by.
    in_use: Option<InUse>,
}

impl UnderWay {
    fn begin(load: &Rc<Load>, origin: &str) -> Result<Self, Fault> {
        let origin: Rc<str> = origin.into();
        let mut by_origin = load.by_origin.borrow_mut();
        let of_this = by_origin.entry(Rc::clone(&origin)).or_default();
        if load.all.get() >= FETCHES_MAX || *of_this >= FETCHES_PER_ORIGIN_MAX {
            return Err(Fault::Overloaded);
        }
        *of_this += 1;
        load.all.set(load.all.get() + 1);
        Ok(Self { load: Rc::clone(load), origin, expectation: None, in_use: None })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(expectation) = &self.expectation {
            expectation.over();
        }
        self.load.all.set(self.load.all.get() - 1);
        if let hash_map::Entry::Occupied(mut of_this) =
            self.load.by_origin.borrow_mut().entry(Rc::clone(&self.origin))
        {
            *of_this.get_mut() -= 1;
            if *of_this.get() == 0 {
                of_this.remove();
            }
        }
    }
}

impl Origins {
    /// No connections yet.
    #[must_use]
    pub fn new(tls: Arc<OriginTlsConfigs>, credentials: CredentialsStore) -> Self {
        let connections = Connections::new(Arc::clone(&tls));
        Self { credentials, tls, connections, load: Rc::default() }
    }

    /// Sends a request and waits for the head of the response.
    ///
    /// # Errors
    /// What kept the origin from answering. Requests without a body are tried again as often as the origin's settings say.
    pub async fn fetch(
        &self,
        origin: &Origin,
        outgoing: &mut Outgoing,
    ) -> Result<(Response<ResponseBody>, UnderWay), Fault> {
        let fetched = match origin.completion_timeout {
            None => self.fetch_patiently(origin, outgoing).await,
            // Boxed, because it is not what most origins have.
            Some(limit) => Box::pin(self.fetch_within(limit, origin, outgoing)).await,
        };
        if let Err(Fault::Tls(reason)) = &fetched {
            let server = name_of(origin);
            if self.tls.may_tell_of(&server) {
                tracing::warn!(origin = origin.id, server, reason, "failed to connect to an origin with TLS");
            }
        }
        fetched
    }

    /// The same, and all of the response has to come within `limit`.
    async fn fetch_within(
        &self,
        limit: Duration,
        origin: &Origin,
        outgoing: &mut Outgoing,
    ) -> Result<(Response<ResponseBody>, UnderWay), Fault> {
        let overdue = Instant::now() + limit;
        let fetched = timeout_at(overdue, self.fetch_patiently(origin, outgoing)).await;
        let (response, under_way) = fetched.unwrap_or(Err(Fault::ResponseTimeout))?;
        Ok((response.map(|body| body.until(overdue)), under_way))
    }

    async fn fetch_patiently(
        &self,
        origin: &Origin,
        outgoing: &mut Outgoing,
    ) -> Result<(Response<ResponseBody>, UnderWay), Fault> {
        let name = name_of(origin);
        let mut under_way = UnderWay::begin(&self.load, &name)?;
        let plain = plain::request(origin, &name, outgoing);
        let mut body = outgoing.body.take();
        let has_body = body.is_some();
        let safe = matches!(outgoing.method, Method::GET | Method::HEAD | Method::OPTIONS) && !has_body;
        let outgoing = &*outgoing;
        let (mut connects, mut resends) = (1, 0);
        loop {
            let sent = match &plain {
                Some(plain) => self.send_plain(origin, outgoing, plain).await,
                // Boxed, because it is large, and not what most fetches come to.
                None => {
                    Box::pin(self.send_any(origin, outgoing, body.take(), &mut under_way.expectation)).await
                }
            };
            match sent {
                Ok((response, in_use)) => {
                    under_way.in_use = Some(in_use);
                    if let Some(expectation) = &under_way.expectation {
                        expectation.answered();
                    }
                    check_framing(&response, outgoing.how)?;
                    return Ok((response, under_way));
                }
                Err(Fault::Connect(_) | Fault::ConnectTimeout)
                    if !has_body && connects < origin.connection_attempts =>
                {
                    connects += 1;
                }
                Err(Fault::Response(_)) if safe && resends < RESENDS_MAX => resends += 1,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Makes a plain request, by hyper only if the response is none for a wire.
    async fn send_plain(
        &self,
        origin: &Origin,
        outgoing: &Outgoing,
        plain: &PlainRequest,
    ) -> Result<(Response<ResponseBody>, InUse), Fault> {
        let mut in_use = self.connections.get(&plain.server, origin, Use::Plain).await?;
        if let Some(response) = in_use.exchange(&plain.head, origin.response_timeout).await? {
            return Ok((response, in_use));
        }
        Box::pin(async move {
            let (server, request) = self.address(origin, outgoing, None).await?;
            self.send(&server, origin, request, Some(in_use), Use::Any).await
        })
        .await
    }

    /// Makes any request, by hyper.
    async fn send_any(
        &self,
        origin: &Origin,
        outgoing: &Outgoing,
        body: Option<Incoming>,
        expectation: &mut Option<Arc<Expectation>>,
    ) -> Result<(Response<ResponseBody>, InUse), Fault> {
        let (server, mut request) = self.address(origin, outgoing, body).await?;
        if outgoing.expects_continue && !request.body().is_end_stream() {
            *expectation = Some(ask_first(&mut request, origin.response_timeout));
        }
        let purpose = match outgoing.how {
            How::Usual => Use::Any,
            How::Http2 => Use::Http2,
            How::WebSocket => Use::Http1,
        };
        self.send(&server, origin, request, None, purpose).await
    }

    async fn send(
        &self,
        server: &str,
        origin: &Origin,
        mut request: Request<OutgoingBody>,
        mut first: Option<InUse>,
        purpose: Use,
    ) -> Result<(Response<ResponseBody>, InUse), Fault> {
        let progress = request.body().progress();
        loop {
            // First the connection: name, TCP and TLS together. From then on, or from the last of the request's body, the origin's
            // silence counts.
            let mut in_use = match first.take() {
                Some(in_use) => in_use,
                None => self.connections.get(server, origin, purpose).await?,
            };
            let head = in_use.is_http2().then(|| (request.uri().clone(), request.headers().clone()));
            if head.is_some() {
                http2::in_its_form(&mut request, server)?;
            }
            let progress = || progress.load(Ordering::Relaxed);
            match in_use.send(request, origin.response_timeout, progress).await {
                Ok(response) => return Ok((response, in_use)),
                Err(Unanswered::Fault(fault)) => return Err(fault),
                Err(Unanswered::Unsent(unsent)) if !in_use.is_new => {
                    request = *unsent;
                    if let Some((uri, headers)) = head {
                        // The next connection may be of another kind.
                        (*request.uri_mut(), *request.headers_mut()) = (uri, headers);
                        *request.version_mut() = Version::HTTP_11;
                    }
                }
                Err(Unanswered::Unsent(_)) => {
                    return Err(Fault::Response("the connection was closed at once".to_owned()));
                }
            }
        }
    }

    /// Addresses a request to its origin: target, Host, custom headers, and a signature where one is asked for. Says as well to which
    /// scheme and authority it goes.
    async fn address(
        &self,
        origin: &Origin,
        outgoing: &Outgoing,
        body: Option<Incoming>,
    ) -> Result<(String, Request<OutgoingBody>), Fault> {
        let unusable = |reason: &dyn std::fmt::Display| Fault::Request(reason.to_string());
        let (scheme, authority, path) = match &origin.kind {
            OriginKind::Custom(custom) => {
                let viewer = outgoing.viewer_scheme;
                let path = format!("{}{}", origin.path, outgoing.path);
                (custom.scheme_for(viewer), custom.authority_for(viewer), path)
            }
            OriginKind::S3(s3_origin) => {
                let address = s3::address(s3_origin, &origin.path, &outgoing.path)?;
                (s3_origin.scheme, address.authority, address.path)
            }
        };
        let query = match &origin.kind {
            OriginKind::Custom(_) => outgoing.query.clone(),
            OriginKind::S3(s3_origin) if s3::is_the_viewers(s3_origin, &outgoing.headers) => {
                outgoing.query.clone()
            }
            OriginKind::S3(_) => outgoing.query.as_deref().and_then(s3::forwarded_query),
        };
        let server = [scheme.as_str(), "://", &authority].concat();
        let target = target(path, query.as_deref()).map_err(|e| unusable(&e))?;
        let mut request = Request::new(OutgoingBody::new(body));
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = target.clone().into();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = outgoing.headers.clone();
        let host = match &outgoing.host {
            Some(host) => host.clone(),
            None => HeaderValue::try_from(authority).map_err(|e| unusable(&e))?,
        };
        request.headers_mut().insert(header::HOST, host);
        let signed = match &origin.kind {
            OriginKind::S3(s3_origin) if s3::is_the_viewers(s3_origin, &outgoing.headers) => None,
            OriginKind::S3(s3_origin) => {
                let signed = s3_origin.signing != Signing::Never;
                s3::strip_viewer_instructions(request.headers_mut(), signed);
                Some(s3_origin).filter(|_| signed)
            }
            OriginKind::Custom(_) => None,
        };
        if !request.body().is_end_stream() && !request.headers().contains_key(header::CONTENT_LENGTH) {
            // Or else a body that comes with a GET would be left out.
            request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        for (name, value) in &origin.custom_headers {
            request.headers_mut().insert(name, value.clone());
        }
        if let Some(s3_origin) = signed {
            let profile = s3_origin.credentials_profile.as_deref();
            let credentials = self.credentials.get(profile).await.map_err(Fault::Credentials)?;
            let has_body = !request.body().is_end_stream();
            // What is signed names the server; what is said on a connection to it does not.
            *request.uri_mut() = absolute(&server, &target).map_err(|e| unusable(&e))?;
            s3::sign_request(&mut request, &s3_origin.region, &credentials, has_body, SystemTime::now())
                .map_err(|e| unusable(&e))?;
            *request.uri_mut() = target.into();
        }
        Ok((server, request))
    }
}

/// Has the origin asked whether it wants the body, which waits for the answer (RFC 9110 section 10.1.1). Other interim responses are
/// dropped: this edge's own server cannot send any but 100.
fn ask_first(request: &mut Request<OutgoingBody>, silence_max: Duration) -> Arc<Expectation> {
    let expectation = Arc::new(Expectation::default());
    request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    request.body_mut().wait_for(Arc::clone(&expectation), silence_max);
    let told = Arc::clone(&expectation);
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            told.wanted();
        }
    });
    expectation
}

/// What an origin is counted under: its server.
#[must_use]
pub fn name_of(origin: &Origin) -> String {
    match &origin.kind {
        // One server, whichever way it is reached.
        OriginKind::Custom(custom) => custom.authority_for(Scheme::Http),
        OriginKind::S3(s3_origin) => format!("{}/{}", s3_origin.endpoint, s3_origin.bucket),
    }
}

/// Refuses a response whose body might not end where it seems to: a transfer coding other than chunked (the client reads it to
/// the end of the connection and leaves it coded), a length beside a transfer coding, a change of protocol nobody asked for
/// (RFC 9112 sections 6.1 and 6.3, RFC 9110 section 7.8).
fn check_framing(response: &Response<ResponseBody>, how: How) -> Result<(), Fault> {
    let headers = response.headers();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let chunked = coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let wrong = if !chunked || codings.next().is_some() {
        "it has a transfer coding that was not asked for"
    } else if coding.is_some() && headers.contains_key(header::CONTENT_LENGTH) {
        "it has both a length and a transfer coding"
    } else if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && (how != How::WebSocket || !headers.get(header::UPGRADE).is_some_and(is_websocket))
    {
        "it changes the protocol unasked"
    } else {
        return Ok(());
    };
    Err(Fault::Response(wrong.to_owned()))
}

fn is_websocket(upgrade: &HeaderValue) -> bool {
    upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")
}

fn target(mut path: String, query: Option<&str>) -> Result<PathAndQuery, InvalidUri> {
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(path))
}

fn absolute(server: &str, target: &PathAndQuery) -> Result<Uri, InvalidUri> {
    format!("{server}{target}").parse()
}

/// The next bytes of a response, within the origin's response timeout. Trailers are dropped: nobody downstream asked for them.
///
/// # Errors
/// When the origin breaks off or falls silent.
pub async fn next_chunk(body: &mut ResponseBody, silence_max: Duration) -> Result<Option<Bytes>, Fault> {
    if body.has_had_its_turn() {
        tokio::task::yield_now().await;
    }
    let next_data = async {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
            match frame.transpose()?.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(bytes)) => return Ok(Some(bytes)),
                Some(Err(_trailers)) => {}
            }
        }
    };
    let mut next_data = pin!(next_data);
    // What is there already needs no timer.
    let at_once = std::future::poll_fn(|cx| Poll::Ready(next_data.as_mut().poll(cx))).await;
    let result = match at_once {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => timeout(silence_max, next_data).await,
    };
    match result {
        Ok(result) => result.map_err(|error: ResponseError| Fault::Response(ErrorChain(&error).to_string())),
        Err(_) => Err(Fault::ResponseTimeout),
    }
}
