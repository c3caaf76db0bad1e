//! Error pages: the only place that chooses a 4xx or 5xx status of this edge's own, and what a viewer is told.
//!
//! Viewers learn whose fault it was and what to quote when they ask about it; details are in the edge's log.

use bytes::Bytes;
use headland_proto::model::ErrorPage;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{
    body::ViewerBody,
    cache_status::{Detail, Handling},
    request::Refusal,
    response::{self, Marks},
};
use crate::{origin::Fault, signing::Denial};

/// Why a request ends in an error page.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The viewer's doing, or the operator's wish.
    Refused(Refusal),
    /// The origin's doing.
    Origin(Fault),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Origin(fault)
    }
}

impl Failure {
    /// A stable label, for logs and fields.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.as_str(),
            Self::Origin(fault) => fault.as_str(),
        }
    }

    /// Whether the request got as far as the cache. What is refused before has no Cache-Status (RFC 9211 section 2).
    const fn has_met_the_cache(&self) -> bool {
        matches!(self, Self::Refused(Refusal::OnlyIfCached) | Self::Origin(_))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(Refusal::Host | Refusal::Path) => StatusCode::BAD_REQUEST,
            Self::Refused(Refusal::UrlTooLong) => StatusCode::URI_TOO_LONG,
            Self::Refused(Refusal::Method) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused(Refusal::UnknownHost) => StatusCode::NOT_FOUND,
            // CloudFront answers all of them with 403.
            Self::Refused(
                Refusal::Disabled
                | Refusal::Country
                | Refusal::HttpsOnly
                | Refusal::MethodNotAllowed
                | Refusal::UnexpectedBody
                | Refusal::NotSigned(_),
            ) => StatusCode::FORBIDDEN,
            Self::Refused(Refusal::Loop) => StatusCode::LOOP_DETECTED,
            Self::Refused(Refusal::OnlyIfCached)
            | Self::Origin(Fault::ConnectTimeout | Fault::ResponseTimeout) => StatusCode::GATEWAY_TIMEOUT,
            // As a bucket that may not be listed answers.
            Self::Origin(Fault::NoObject) => StatusCode::FORBIDDEN,
            Self::Origin(Fault::Overloaded) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Origin(Fault::Request(_)) => StatusCode::BAD_REQUEST,
            Self::Origin(Fault::Connect(_) | Fault::Tls(_) | Fault::Response(_) | Fault::Credentials(_)) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    fn explanation(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Host) => "The request does not name exactly one host.",
            Self::Refused(Refusal::Path) => "The request's path is not one that can be served.",
            Self::Refused(Refusal::UrlTooLong) => "The request's path and query are longer than 8,192 bytes.",
            Self::Refused(Refusal::Method) => "This method is not served here.",
            Self::Refused(Refusal::UnknownHost) => "No distribution answers to this host name.",
            Self::Refused(Refusal::Disabled) => "The distribution for this host name is disabled.",
            Self::Refused(Refusal::Country) => "The distribution does not serve viewers in this country.",
            Self::Refused(Refusal::HttpsOnly) => "The distribution serves this by https only.",
            Self::Refused(Refusal::MethodNotAllowed) => "The distribution does not allow this method.",
            Self::Refused(Refusal::UnexpectedBody) => "A GET or HEAD request must not have a body.",
            Self::Refused(Refusal::Loop) => {
                "The request has come back to where it was before: the origin leads here again."
            }
            Self::Refused(Refusal::OnlyIfCached) => {
                "The request asks for a stored response only, and none can answer it."
            }
            Self::Refused(Refusal::NotSigned(denial)) => not_signed(*denial),
            Self::Origin(Fault::ConnectTimeout) => "The origin could not be reached in time.",
            Self::Origin(Fault::ResponseTimeout) => "The origin did not answer in time.",
            Self::Origin(Fault::Connect(_) | Fault::Tls(_)) => "The origin could not be reached.",
            Self::Origin(Fault::Response(_)) => "The origin's answer could not be used.",
            Self::Origin(Fault::Credentials(_)) => "The origin could not be asked on this edge's behalf.",
            Self::Origin(Fault::Request(_)) => "The request cannot be put to the origin.",
            Self::Origin(Fault::NoObject) => {
                "The path names no object, and what a bucket holds is not listed."
            }
            Self::Origin(Fault::Overloaded) => {
                "Too many requests are waiting for origins. Try again in a moment."
            }
        }
    }

    /// The page; for a HEAD only its head. What `marks` say of the handling counts for a request that went forward.
    #[must_use]
    pub fn page(&self, marks: Marks<'_>, head_only: bool) -> Response<ViewerBody> {
        let status = self.status();
        let reason = status.canonical_reason().unwrap_or("Error");
        let id = marks.request_id.to_str().unwrap_or_default();
        let text = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{code} {reason}</title></head>\n\
             <body><h1>{code} {reason}</h1><p>{explanation}</p><hr><p>Headland, request {id}</p></body></html>\n",
            code = status.as_u16(),
            explanation = self.explanation(),
        );
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(response::X_CACHE, ERROR);
        if self.has_met_the_cache() {
            Handling { detail: Some(Detail::Failure(self.as_str())), ..marks.handling }
                .append(marks.cache, &mut headers);
        }
        headers.insert(response::X_HEADLAND_ID, marks.request_id);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE"),
            );
        }
        let body = if head_only { ViewerBody::empty() } else { ViewerBody::one(Bytes::from(text)) };
        response::build(status, headers, body)
    }
}

/// What a viewer is told whose request is not signed as it should be: the code, which docs/errors.md explains, and no more than helps.
const fn not_signed(denial: Denial) -> &'static str {
    match denial {
        Denial::Missing => "Access needs a signed URL or signed cookies (signature-missing).",
        Denial::Malformed => "The signature of this request is incomplete or damaged (signature-malformed).",
        Denial::UnknownKey => {
            "The key that this request is signed with is not trusted (signature-key-unknown)."
        }
        Denial::Invalid => "The signature is not for this request (signature-invalid).",
        Denial::Expired => "The time of this link or session is over (signature-expired).",
        Denial::NotYetValid => "The time of this link or session has not begun (signature-not-yet-valid).",
        Denial::Address => "This link or session is for another address (signature-address).",
        Denial::Resource => "This link or session is for something else (signature-resource).",
    }
}

/// How X-Cache names an error, and a page that stands in for one.
const ERROR: HeaderValue = HeaderValue::from_static("Error from headland");

/// An object of the distribution's as the page for an error: with the status that the distribution wants (CloudFront guide, "Generate
/// custom error responses").
pub fn stand_in(object: &mut Response<ViewerBody>, page: &ErrorPage) {
    *object.status_mut() = page.status;
    object.headers_mut().insert(response::X_CACHE, ERROR);
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::viewer::cache_status::Forward;

    #[test]
    fn statuses_that_the_standards_choose() {
        let check =
            |failure: Failure, expected: StatusCode| assert_eq!(failure.status(), expected, "{failure:?}");
        // RFC 9110 section 15.5.6: TRACE and CONNECT are known and not served; Allow says what is.
        check(Refusal::Method.into(), StatusCode::METHOD_NOT_ALLOWED);
        // RFC 9111 section 5.2.1.7.
        check(Refusal::OnlyIfCached.into(), StatusCode::GATEWAY_TIMEOUT);
        // RFC 9110 sections 15.6.3 and 15.6.5.
        check(Fault::Connect(String::new()).into(), StatusCode::BAD_GATEWAY);
        check(Fault::ConnectTimeout.into(), StatusCode::GATEWAY_TIMEOUT);
        for denial in Denial::ALL {
            let refused = Failure::from(Refusal::NotSigned(denial));
            check(refused.clone(), StatusCode::FORBIDDEN);
            assert!(refused.explanation().contains(&format!("({})", denial.as_str())), "{denial:?}");
        }
        // RFC 8586 section 3 leaves the status open; RFC 5842 section 7.2 has one.
        check(Refusal::Loop.into(), StatusCode::LOOP_DETECTED);
    }

    #[tokio::test]
    async fn a_page_says_whose_fault_it_was() {
        let marks = || Marks {
            handling: Handling::forwarded(Forward::UriMiss),
            cache: "headland-1",
            request_id: HeaderValue::from_static("abc123"),
        };
        let page = Failure::from(Fault::ResponseTimeout).page(marks(), false);
        assert_eq!(
            page.headers()["cache-status"],
            "headland-1; fwd=uri-miss; detail=origin-response-timeout"
        );
        assert_eq!(page.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(page.headers()["x-cache"], "Error from headland");
        let body = page.into_body().collect().await.expect("body").to_bytes();
        let text = std::str::from_utf8(&body).expect("text");
        assert!(
            text.contains("504 Gateway Timeout")
                && text.contains("did not answer in time")
                && text.contains("abc123")
        );
        let head = Failure::from(Refusal::UnknownHost).page(marks(), true);
        assert_eq!(head.status(), StatusCode::NOT_FOUND);
        assert!(!head.headers().contains_key("cache-status"));
        assert!(head.into_body().collect().await.expect("body").to_bytes().is_empty());
    }
}
