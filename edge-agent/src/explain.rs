//! What this edge would do with a request, and why.
//!
//! Nothing is decided here. `pipeline::consider` decides as it does for a viewer, with nothing done after it, and its answers are put
//! into words (`words`) and numbers (`stored`).

mod stored;
mod words;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use headland_proto::{
    model::{Question, Semantics},
    v1::{self, explanation::Verdict},
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};

use crate::{
    cache::{
        key::shown,
        reuse::{Failing, Permission, Reuse},
        revalidation,
    },
    clock::Timestamp,
    pipeline::{
        Shared,
        consider::{self, Act, Asker, Decision, Grounds, Looked, Place, Road, Witness},
        edge_headers,
        lookup::{Found, handling_unasked},
        name_to_ask,
    },
    routing::{Distribution, Table, compile::Behavior},
    sync::explain::Explainer,
    viewer::{
        cache_status::{CACHE_STATUS, Forward, Handling},
        error_page::Failure,
        redirect,
        request::Refusal,
        response::Marks,
        who::Viewer,
    },
};

/// Asks what the workers share.
#[derive(Debug)]
pub(crate) struct EdgeExplainer {
    shared: Arc<Shared>,
}

impl EdgeExplainer {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }
}

impl Explainer for EdgeExplainer {
    fn explain(&self, wire: &v1::ExplainRequest) -> v1::Explanation {
        let now = self.shared.clock.now();
        let mut told = v1::Explanation { time: Some(stored::wire_time(now)), ..Default::default() };
        let table = self.shared.routing.current();
        let (request, viewer) = match Question::try_from(wire) {
            Ok(question) => {
                let viewer = viewer(&question);
                let mut request = question.into_request();
                // As of every request that comes in.
                consider::receive(&mut request);
                edge_headers::put(&mut request, &table, viewer, &self.shared.locations);
                (request, viewer)
            }
            Err(violations) => {
                say(&mut told, Verdict::Unspecified, "question-not-understood", violations.to_string());
                return told;
            }
        };
        told.request = Some(as_sent(&request));
        let country = self.shared.locations.country(viewer.address.ip());
        told.viewer = Some(v1::ExplainedViewer {
            address: wire.viewer_address.clone(),
            scheme: viewer.scheme.as_str().into(),
            country: country.map(|country| country.to_string()).unwrap_or_default(),
        });
        if let Err(refusal) = self.consider(&table, &request, viewer, now, &mut told) {
            say(&mut told, Verdict::Refused, refusal.as_str(), words::refusal(refusal));
            let marks = Marks {
                handling: Handling::forwarded(Forward::Bypass),
                cache: &self.shared.identity.pseudonym,
                request_id: HeaderValue::from_static("-"),
            };
            let page = Failure::from(refusal).page(marks, true);
            told.status = page.status().as_u16().into();
            told.cache_status = line(page.headers());
        }
        told
    }
}

/// What an edge would do with a request now, and why. Waits for nothing, and changes nothing but that what is on disk alone is
/// brought to memory.
#[must_use]
pub fn explain(shared: &Arc<Shared>, request: &v1::ExplainRequest) -> v1::Explanation {
    EdgeExplainer::new(shared).explain(request)
}

fn say(told: &mut v1::Explanation, verdict: Verdict, reason: &str, detail: impl Into<String>) {
    told.set_verdict(verdict);
    told.reason = reason.into();
    told.detail = detail.into();
}

fn line(headers: &HeaderMap) -> String {
    headers.get(CACHE_STATUS).map(|value| stored::text(value.as_bytes())).unwrap_or_default()
}

/// Writes down how far a request came.
struct Scribe<'t, 'a> {
    told: &'t mut v1::Explanation,
    request: &'t HeaderMap,
    now: Timestamp,
    behavior: Option<&'a Arc<Behavior>>,
}

impl<'a> Witness<'a> for Scribe<'_, 'a> {
    fn host(&mut self, host: &str) {
        self.told.request.get_or_insert_default().host = host.to_owned();
    }

    fn distribution(&mut self, distribution: &'a Arc<Distribution>) {
        self.told.distribution = Some(v1::ExplainedDistribution {
            id: distribution.id.to_string(),
            revision: distribution.revision.0,
            enabled: distribution.enabled,
        });
    }

    fn behavior(&mut self, distribution: &'a Arc<Distribution>, path: &'a str, behavior: &'a Arc<Behavior>) {
        self.told.request.get_or_insert_default().path = stored::text(path.as_bytes());
        self.told.behavior = Some(explained_behavior(distribution, behavior, path));
        self.behavior = Some(behavior);
    }

    fn query(&mut self, query: Option<&str>) {
        self.told.request.get_or_insert_default().forwarded_query =
            query.map(|query| stored::text(query.as_bytes()));
    }

    fn found(&mut self, key: &[u8], found: &Found) {
        self.told.key = Some(words::key(key));
        if let Some(behavior) = self.behavior {
            let policy = &behavior.rules.cache_policy;
            stored::tell(found, self.request, policy, self.now, self.told);
        }
    }
}

/// A request that is not answered from the cache at once.
struct Fetch<'a> {
    place: &'a Place<'a>,
    looked: &'a Looked,
    key: &'a [u8],
    request: &'a Request<()>,
    now: Timestamp,
}

impl EdgeExplainer {
    fn consider(
        &self,
        table: &Table,
        request: &Request<()>,
        viewer: Viewer,
        now: Timestamp,
        told: &mut v1::Explanation,
    ) -> Result<(), Refusal> {
        let mut key = Vec::new();
        let headers = request.headers();
        let mut scribe = Scribe { told, request: headers, now, behavior: None };
        let has_body = has_body(headers);
        let grounds = Grounds { may_load: true, ..self.grounds(now) };
        let asker = Asker { viewer, locations: &self.shared.locations, for_page: false };
        let mut decided = consider::decide(grounds, asker, table, request, has_body, &mut key, &mut scribe)?;
        if let Decision::For(_, Act::Load) = decided
            && self.shared.cache.load_resident(&key, now)
        {
            key.clear();
            let grounds = self.grounds(now);
            decided = consider::decide(grounds, asker, table, request, has_body, &mut key, &mut scribe)?;
        }
        let Decision::For(place, act) = decided else {
            say(told, Verdict::Answered, OPTIONS, words::OPTIONS);
            told.status = StatusCode::NO_CONTENT.as_u16().into();
            return Ok(());
        };
        told.origin_down = self.shared.breakers.is_bad(&name_to_ask(place.behavior), now);
        let handling = match act {
            Act::Options(_) => {
                say(told, Verdict::Answered, OPTIONS, words::OPTIONS);
                told.status = StatusCode::NO_CONTENT.as_u16().into();
                return Ok(());
            }
            Act::Redirect => {
                say(told, Verdict::Answered, REDIRECT, words::REDIRECT);
                told.status = redirect::status(request.method()).as_u16().into();
                return Ok(());
            }
            Act::Load => {
                self.load_later(key, now);
                say(told, Verdict::Unspecified, ON_DISK, words::ON_DISK);
                return Ok(());
            }
            Act::Past(past) => {
                say(told, Verdict::Bypass, past.as_str(), words::past(past));
                Handling::forwarded(past.forward())
            }
            Act::Hit(looked) | Act::HitAndRevalidate(looked) => {
                let lacking = looked.found.lacks_blocks(request.method());
                let handling = tell_hit(&looked.found, now, told);
                match lacking {
                    true => {
                        let forward = Forward::Partial;
                        say(told, Verdict::Miss, forward.as_str(), words::forward(forward));
                        Handling::forwarded(forward)
                    }
                    false => handling,
                }
            }
            Act::Fetch(looked) => {
                let fetch = Fetch { place: &place, looked: &looked, key: &key, request, now };
                self.tell_fetch(&fetch, told)
            }
        };
        let mut headers = HeaderMap::new();
        handling.append(&self.shared.identity.pseudonym, &mut headers);
        told.cache_status = line(&headers);
        Ok(())
    }

    fn grounds(&self, now: Timestamp) -> Grounds<'_> {
        Grounds {
            cache: &self.shared.cache,
            identity: &self.shared.identity,
            verified: &self.shared.verified,
            now,
            counts_as_use: false,
            may_load: false,
        }
    }

    /// Has what is on disk read, for the next question.
    fn load_later(&self, key: Vec<u8>, now: Timestamp) {
        let cache = Arc::clone(&self.shared.cache);
        self.shared.background.spawn(async move { cache.load(&key, now).await });
    }

    /// What the cache could not answer at once.
    fn tell_fetch(&self, fetch: &Fetch<'_>, told: &mut v1::Explanation) -> Handling {
        let Fetch { place, looked, key, request, now } = *fetch;
        let policy = &place.behavior.rules.cache_policy;
        let (method, headers) = (request.method(), request.headers());
        let road = consider::road(&self.shared.cache, policy.semantics, key, method, headers, now);
        match road {
            Road::Uncacheable | Road::Oversized => {
                say(told, Verdict::Miss, road.as_str(), words::road(road));
                Handling::forwarded(Forward::UriMiss)
            }
            Road::Head | Road::Together => tell_shared(&looked.found, road, now, told),
        }
    }
}

/// The reason of what is answered here because it asks for no more than what this edge can do.
const OPTIONS: &str = "max-forwards";
/// The reason of what is sent to https.
const REDIRECT: &str = "redirect-to-https";
/// The reason of what cannot be told without waiting for the disk.
const ON_DISK: &str = "on-disk";
/// The reason of what needs no reason.
const FRESH: &str = "fresh";

fn tell_hit(found: &Found, now: Timestamp, told: &mut v1::Explanation) -> Handling {
    let Some((object, permission)) = found.usable() else { return Handling::default() };
    told.status = object.head.status().as_u16().into();
    let until = object.head.fresh_until();
    match permission {
        None => {
            let left = until.since(now).as_secs();
            say(told, Verdict::Hit, FRESH, format!("what is stored is fresh for another {left} s"));
        }
        Some(permission) => tell_stale(permission, until, now, told),
    }
    found.handling_of_hit(now).unwrap_or_default()
}

fn tell_stale(permission: Permission, until: Timestamp, now: Timestamp, told: &mut v1::Explanation) {
    let over = now.since(until).as_secs();
    let detail = format!("what is stored expired {over} s ago; {}", words::permission(permission));
    say(told, Verdict::Stale, permission.as_str(), detail);
}

/// What is fetched, or validated, with all who ask for the same, or as a HEAD.
fn tell_shared(found: &Found, road: Road, now: Timestamp, told: &mut v1::Explanation) -> Handling {
    if told.origin_down
        && let Some((object, permission)) = found.stand_in(Failing::Unreachable, now)
    {
        told.status = object.head.status().as_u16().into();
        tell_stale(permission, object.head.fresh_until(), now, told);
        return handling_unasked(object, permission, now);
    }
    let as_head = if road == Road::Head { "; the origin is asked with a HEAD" } else { "" };
    let handling = found.handling();
    if let Some((object, Reuse::Validate(cause))) = found.selected() {
        let cannot = revalidation::conditions(&[&object.head]).is_empty();
        let verdict = if cannot { Verdict::Miss } else { Verdict::Revalidate };
        let how = if cannot { "; it has nothing that the origin could be asked by" } else { "" };
        let since = match object.head.is_fresh(now) {
            true => String::new(),
            false => {
                let until = object.head.fresh_until();
                format!(" (stale for {} s)", now.since(until).as_secs())
            }
        };
        let detail = format!("{}{since}{how}{as_head}", words::cause(cause));
        say(told, verdict, cause.as_str(), detail);
    } else {
        let forward = handling.fwd.unwrap_or(Forward::UriMiss);
        let nearest = told.variants.first().map(|variant| stored::differing(variant).collect::<Vec<_>>());
        let by = match nearest {
            Some(names) if forward == Forward::VaryMiss => format!(" of {}", names.join(", ")),
            _ => String::new(),
        };
        let detail = format!("{}{by}{as_head}", words::forward(forward));
        say(told, Verdict::Miss, forward.as_str(), detail);
    }
    handling
}

/// Who would be asking. One that is nowhere is in no country either.
fn viewer(question: &Question) -> Viewer {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Viewer::new(question.viewer_address.unwrap_or(nowhere), question.scheme)
}

/// The request before anything is made of it.
fn as_sent(request: &Request<()>) -> v1::ExplainedRequest {
    let host = request.headers().get(header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
    v1::ExplainedRequest {
        method: request.method().to_string(),
        host: stored::text(host),
        path: stored::text(request.uri().path().as_bytes()),
        forwarded_query: None,
        query: request.uri().query().map(|query| stored::text(query.as_bytes())),
    }
}

fn explained_behavior(distribution: &Distribution, behavior: &Behavior, path: &str) -> v1::ExplainedBehavior {
    let pattern = distribution.matching_pattern(path);
    v1::ExplainedBehavior {
        index: pattern.and_then(|(index, _)| u32::try_from(index).ok()),
        path_pattern: pattern.map(|(_, pattern)| pattern.to_string()).unwrap_or_default(),
        target_origin_id: behavior.origin.id.clone(),
        semantics: match behavior.rules.cache_policy.semantics {
            Semantics::CloudFront => "cloudfront",
            Semantics::Rfc9111 => "rfc9111",
        }
        .into(),
        trusted_key_group_ids: behavior
            .signing
            .as_ref()
            .map_or_else(Vec::new, |trusted| trusted.group_ids().to_vec()),
    }
}

/// Whether the headers announce a body (RFC 9112 section 6.3).
fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

#[cfg(test)]
mod tests;
