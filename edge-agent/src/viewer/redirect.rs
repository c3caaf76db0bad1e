//! The answer to a viewer who comes by http and is to come by https (CloudFront guide, "Require HTTPS for communication between viewers
//! and CloudFront").

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};

use super::{
    body::ViewerBody,
    response::{self, X_CACHE, X_HEADLAND_ID},
};

/// How X-Cache names it.
const REDIRECT: HeaderValue = HeaderValue::from_static("Redirect from headland");

/// Whether whoever sent a request knows a status with which it repeats just that. HTTP/1.0 has none that keeps a POST a POST.
#[must_use]
pub fn is_understood<B>(request: &Request<B>) -> bool {
    is_safe(request.method()) || !matches!(request.version(), Version::HTTP_09 | Version::HTTP_10)
}

/// Sends a viewer to the same URL of the same host, which is canonical, with https; to its usual port, since that of http tells nothing
/// about another.
#[must_use]
pub fn to_https<B>(host: &str, request: &Request<B>, request_id: HeaderValue) -> Response<ViewerBody> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut headers = HeaderMap::with_capacity(4);
    // A host and a target that were read from a request's head can be written to another.
    headers.extend(
        HeaderValue::try_from(format!("https://{host}{target}")).ok().map(|url| (header::LOCATION, url)),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(X_CACHE, REDIRECT);
    headers.insert(X_HEADLAND_ID, request_id);
    response::build(status(request.method()), headers, ViewerBody::empty())
}

/// What a viewer is sent away with.
#[must_use]
pub fn status(method: &Method) -> StatusCode {
    match is_safe(method) {
        true => StatusCode::MOVED_PERMANENTLY,
        // The method and the body stay what they are (RFC 9110 section 15.4.8).
        false => StatusCode::TEMPORARY_REDIRECT,
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_stays_the_same_but_for_its_scheme() {
        let check = |method: Method, host: &str, uri: &str, expected: (u16, &str)| {
            let request = Request::builder().method(method).uri(uri).body(()).expect("request");
            assert!(is_understood(&request));
            let response = to_https(host, &request, HeaderValue::from_static("id1"));
            let location = response.headers()["location"].to_str().expect("text");
            assert_eq!((response.status().as_u16(), location), expected);
        };
        check(Method::GET, "cdn.test", "/", (301, "https://cdn.test/"));
        check(Method::HEAD, "cdn.test", "/a%20b?c=d&e", (301, "https://cdn.test/a%20b?c=d&e"));
        check(Method::GET, "[::1]", "http://other.test:80/a?", (301, "https://[::1]/a?"));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
            check(method, "cdn.test", "/a", (307, "https://cdn.test/a"));
        }
    }

    #[test]
    fn http_1_0_knows_no_redirect_that_keeps_the_method() {
        let mut request = Request::post("/a").body(()).expect("request");
        *request.version_mut() = Version::HTTP_10;
        assert!(!is_understood(&request));
        *request.method_mut() = Method::GET;
        assert!(is_understood(&request));
    }
}
