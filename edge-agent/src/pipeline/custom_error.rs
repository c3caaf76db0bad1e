//! Custom error pages: an object of the distribution that a viewer gets in place of an error (CloudFront guide, "Generate custom error
//! responses"). It is asked for as any object is, through the cache, by the behavior that its own path has.

use std::{rc::Rc, sync::Arc};

use headland_proto::model::ErrorResponses;
use http::{
    HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, Version, header, uri::PathAndQuery,
};

use super::{Answer, Occasion, Worker, errand::Sent};
use crate::{
    origin::request::SELECTING,
    viewer::{body::ViewerBody, connection::ConnectionState, error_page, request, who::Viewer},
};

/// What is said of a request's body. A page is asked for without one, and as a whole.
const OF_THE_BODY: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::EXPECT];

/// What is needed to ask for a page should a request end in an error.
pub(super) struct Rescue {
    worker: Rc<Worker>,
    errors: Arc<ErrorResponses>,
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    viewer: Viewer,
    connection: Rc<ConnectionState>,
}

impl Worker {
    /// Prepares for an error, if the distribution that a request is for has pages for errors.
    pub(super) fn rescue<B>(
        self: &Rc<Self>,
        request: &Request<B>,
        viewer: Viewer,
        connection: &Rc<ConnectionState>,
    ) -> Option<Rescue> {
        let table = self.routing.current();
        if !table.has_error_pages() {
            return None;
        }
        let host = request::admit(request).ok()?.host;
        let distribution = table.distribution(&host).filter(|d| d.enabled && d.errors.have_pages())?;
        let mut headers = request.headers().clone();
        OF_THE_BODY.iter().chain(&SELECTING).for_each(|name| _ = headers.remove(name));
        Some(Rescue {
            worker: Rc::clone(self),
            errors: Arc::clone(&distribution.errors),
            method: if request.method() == Method::HEAD { Method::HEAD } else { Method::GET },
            uri: request.uri().clone(),
            version: request.version(),
            headers,
            viewer,
            connection: Rc::clone(connection),
        })
    }
}

impl Rescue {
    /// The answer, or the page for it. A page that cannot be had leaves the viewer with why.
    pub(super) async fn over(self, answer: Answer) -> Response<ViewerBody> {
        let Ok(response) = answer.await;
        let status = response.status();
        let Some(page) = self.errors.page(status).cloned() else {
            return response;
        };
        let Some(request) = self.request(&page.path) else {
            return response;
        };
        // What it would have been is not for this viewer: others may still read it.
        drop(response);
        let worker = &self.worker;
        let occasion = Occasion { viewer: self.viewer, for_page: true, may_load: true };
        let Ok(mut got) = worker.answer_as_it_is(request, occasion, &self.connection).await;
        if got.status() == StatusCode::OK {
            error_page::stand_in(&mut got, &page);
        }
        got
    }

    fn request(&self, path: &str) -> Option<Request<Sent>> {
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
        let mut request = Request::new(Sent::Nothing);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_parts(parts).ok()?;
        *request.version_mut() = self.version;
        request.headers_mut().clone_from(&self.headers);
        Some(request)
    }
}
