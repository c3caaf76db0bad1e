//! Errands: a request that has to wait for something, taken apart from the tables it was considered by.

use std::{borrow::Cow, cell::Cell, rc::Rc, sync::Arc};

use http::{HeaderValue, Request};
use http_body::Body as _;
use hyper::body::Incoming;

use super::{
    consider::{Past, Place, own_headers},
    debug::Debug,
    lookup::Slot,
};
use crate::{
    cache::{key, runs::Follower},
    routing::{Distribution, compile::Behavior},
    viewer::{connection::Busy, who::Viewer},
};

/// What is to be done with a request that is neither refused nor answered from the cache.
pub(super) struct Errand {
    pub(super) distribution: Arc<Distribution>,
    pub(super) behavior: Arc<Behavior>,
    pub(super) path: String,
    /// What of the query reaches the origin.
    pub(super) query: Option<String>,
    /// The canonical host that the viewer asked for.
    pub(super) viewer_host: String,
    pub(super) way: Way,
}

pub(super) enum Way {
    /// Through the cache.
    Cache(Slot),
    /// Past it, and why.
    Past(Past),
}

impl Place<'_> {
    pub(super) fn errand(self, way: Way) -> Errand {
        Errand {
            distribution: Arc::clone(self.distribution),
            behavior: Arc::clone(self.behavior),
            path: self.path.to_owned(),
            query: key::forwarded_query(self.viewer_query.as_deref(), &self.behavior.rules)
                .map(Cow::into_owned),
            viewer_host: self.host.into_owned(),
            way,
        }
    }
}

/// What a viewer's request has of a body, and who reads the answer.
pub(crate) enum Sent {
    /// None, and whoever sends the answer reads what is written for it: hyper knows nothing of the request.
    Directly,
    /// None.
    Nothing,
    /// What hyper has; it may be empty.
    Body(Incoming),
}

impl Sent {
    /// Whether there is anything in it.
    pub(super) fn has_body(&self) -> bool {
        matches!(self, Self::Body(body) if !body.is_end_stream())
    }
}

/// A viewer with a request to be answered.
pub(super) struct Asking {
    pub(super) request: Rc<Request<()>>,
    pub(super) body: Option<Incoming>,
    pub(super) viewer: Viewer,
    pub(super) id: HeaderValue,
    pub(super) busy: Busy,
    /// Whether it reads what is written for it, and hyper knows nothing of it.
    pub(super) direct: bool,
    /// What it is to be told beside its answer.
    pub(super) debug: Option<Rc<Debug>>,
    /// The run that brings the first of the blocks that it wants.
    pub(super) following: Cell<Option<Follower>>,
}

impl Asking {
    /// A request for this behavior. What is for the edge alone is taken off.
    pub(super) fn new(
        request: Request<Sent>,
        behavior: &Behavior,
        viewer: Viewer,
        id: HeaderValue,
        busy: Busy,
        debug: Option<Rc<Debug>>,
    ) -> Box<Self> {
        let (mut parts, sent) = request.into_parts();
        if let Cow::Owned(without) = own_headers(behavior, &parts.headers) {
            parts.headers = without;
        }
        let direct = matches!(sent, Sent::Directly);
        let body = match sent {
            Sent::Body(body) if !body.is_end_stream() => Some(body),
            _ => None,
        };
        let (request, following) = (Rc::new(Request::from_parts(parts, ())), Cell::default());
        Box::new(Self { request, body, viewer, id, busy, direct, debug, following })
    }
}
