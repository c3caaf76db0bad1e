//! Debug headers: how an answer came about, told to viewers who ask for it, where the distribution allows it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use headland_proto::model::{Coding, Semantics};
use http::{HeaderMap, HeaderValue, header};

use super::{Asking, compress::NotCompressed, consider::Witness};
use crate::{
    cache::{
        fields::Fields,
        freshness::Timing,
        key::shown,
        object::{Compressed, Head},
        terms::Terms,
    },
    clock::Timestamp,
    origin::request::HEADLAND_DEBUG,
    routing::{Distribution, compile::Behavior},
    viewer::cache_status::{self, Handling, string, ttl_until},
};

/// Notes how far a request came, where the distribution allows debug headers.
#[derive(Debug, Default)]
pub(super) struct Course<'a> {
    distribution: Option<&'a Arc<Distribution>>,
    behavior: Option<(&'a str, &'a Arc<Behavior>)>,
}

impl<'a> Witness<'a> for Course<'a> {
    fn distribution(&mut self, distribution: &'a Arc<Distribution>) {
        self.distribution = distribution.debug_headers.then_some(distribution);
    }

    fn behavior(&mut self, _: &'a Arc<Distribution>, path: &'a str, behavior: &'a Arc<Behavior>) {
        self.behavior = Some((path, behavior));
    }
}

impl Course<'_> {
    /// What the viewer is to be told, if it may be and asks for it. `key` is empty if the request has none.
    pub(super) fn debug(&self, request: &HeaderMap, key: &[u8]) -> Option<Rc<Debug>> {
        let distribution = self.distribution?;
        if request.get(&HEADLAND_DEBUG).is_none_or(|value| value != "1") {
            return None;
        }
        let mut text = format!("distribution={};revision={}", distribution.id, distribution.revision.0);
        if let Some((path, behavior)) = self.behavior {
            match distribution.matching_pattern(path) {
                Some((index, pattern)) => {
                    text.push_str(&format!(", behavior={};index={index}", quoted(&pattern.to_string())));
                }
                None => text.push_str(", behavior=default"),
            }
            let semantics = match behavior.rules.cache_policy.semantics {
                Semantics::CloudFront => "cloudfront",
                Semantics::Rfc9111 => "rfc9111",
            };
            text.push_str(&format!(";origin={};semantics={semantics}", quoted(&behavior.origin.id)));
        }
        let key = (!key.is_empty()).then(|| shown::text(key));
        Some(Rc::new(Debug { text, key, ..Debug::default() }))
    }
}

/// What a viewer is told, as far as it is known yet.
#[derive(Debug, Default)]
pub(super) struct Debug {
    /// Distribution and behavior.
    text: String,
    key: Option<String>,
    answer: RefCell<Option<Answer>>,
    not_used: Cell<Option<&'static str>>,
    not_stored: Cell<Option<&'static str>>,
    not_compressed: Cell<Option<&'static str>>,
}

/// What the response that is sent says of its time.
#[derive(Debug, Clone, Copy)]
struct Answer {
    date: Timestamp,
    timing: Timing,
    terms: Terms,
    /// The coding that this edge has compressed it in.
    coding: Option<Coding>,
}

impl Debug {
    /// This is the response that is sent.
    pub(super) fn note_head(&self, head: &Head) {
        let is_in =
            |coding: &Coding| head.first(&header::CONTENT_ENCODING) == Some(coding.token().as_bytes());
        let is_compressed = head.compressed() != Compressed::No;
        let coding = Coding::ALL.into_iter().find(is_in).filter(|_| is_compressed);
        let answer = Answer { date: head.date(), timing: head.timing(), terms: head.terms(), coding };
        *self.answer.borrow_mut() = Some(answer);
    }

    /// Why nothing stored was used.
    pub(super) fn note_not_used(&self, why: &'static str) {
        self.not_used.set(Some(why));
    }

    /// Why the response is not stored.
    pub(super) fn note_not_stored(&self, why: &'static str) {
        self.not_stored.set(Some(why));
    }

    /// Why the response is stored and not compressed.
    pub(super) fn note_not_compressed(&self, why: NotCompressed) {
        self.not_compressed.set(Some(why.as_str()));
    }

    /// Tells it all: a dictionary (RFC 8941 section 3.2), and the key in Cache-Status.
    pub(super) fn put(&self, headers: &mut HeaderMap, now: Timestamp) {
        if let Some(key) = &self.key {
            cache_status::add_key(key, headers);
        }
        let mut text = self.text.clone();
        if let Some(Answer { date, timing, terms, coding }) = *self.answer.borrow() {
            let freshness = terms.freshness;
            let (initial, resident) = (freshness.initial_age, now.since(timing.response));
            text.push_str(&format!(
                ", date=@{}, received=@{}, age={};initial={};resident={}, lifetime={};source={};ttl={}",
                date.unix_seconds(),
                timing.response.unix_seconds(),
                (initial + resident).as_secs(),
                initial.as_secs(),
                resident.as_secs(),
                freshness.lifetime.as_secs(),
                freshness.source.as_str(),
                ttl_until(freshness.fresh_until, now),
            ));
            text.extend(coding.iter().flat_map(|coding| [", compressed=", coding.token()]));
        }
        for (name, why) in [
            ("not-used", self.not_used.get()),
            ("not-stored", self.not_stored.get()),
            ("not-compressed", self.not_compressed.get()),
        ] {
            if let Some(why) = why {
                text.push_str(&format!(", {name}={why}"));
            }
        }
        headers.extend(HeaderValue::try_from(text).ok().map(|value| (HEADLAND_DEBUG, value)));
    }
}

impl Asking {
    /// Notes, for one who asks, which response is sent.
    pub(super) fn note_head(&self, head: &Head) {
        if let Some(debug) = &self.debug {
            debug.note_head(head);
        }
    }

    /// Notes, for one who asks, why nothing stored was used.
    pub(super) fn note_not_used(&self, handling: &Handling) {
        if let (Some(debug), Some(forward)) = (&self.debug, handling.fwd)
            && debug.not_used.get().is_none()
        {
            let why = match handling.detail {
                Some(cache_status::Detail::NotUsed(cause)) => cause.as_str(),
                _ => forward.as_str(),
            };
            debug.note_not_used(why);
        }
    }

    /// Notes, for one who asks, why the response is not stored.
    pub(super) fn note_not_stored(&self, why: &'static str) {
        if let Some(debug) = &self.debug {
            debug.note_not_stored(why);
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    string(text, &mut |part| out.extend_from_slice(part));
    String::from_utf8_lossy(&out).into_owned()
}
