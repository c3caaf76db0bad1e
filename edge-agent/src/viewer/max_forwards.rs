//! Max-Forwards and `OPTIONS *` (RFC 9110 sections 7.6.2 and 9.3.7): which requests go no further than here, and their answer.

use headland_proto::model::MethodSet;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

use super::{
    body::ViewerBody,
    response::{self, X_HEADLAND_ID},
};

const MAX_FORWARDS: HeaderName = header::MAX_FORWARDS;
/// Forwards that are passed on at most; a larger number is cut to this.
const FORWARDS_MAX: u32 = 255;

/// What a request's Max-Forwards asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxForwards {
    /// Nothing: it has none that can be read, or a method for which it means nothing.
    NotConcerned,
    /// This edge is the final recipient.
    AnswerHere,
    /// It goes on, with this number.
    Forward(u32),
}

/// Reads it. It counts for OPTIONS and TRACE alone, and TRACE is served by no edge.
#[must_use]
pub fn decide(method: &Method, headers: &HeaderMap) -> MaxForwards {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return MaxForwards::NotConcerned;
    }
    let mut values = headers.get_all(MAX_FORWARDS).iter();
    let text = values.next().filter(|_| values.next().is_none()).and_then(|v| v.to_str().ok());
    let Some(digits) = text.map(|t| t.trim_matches([' ', '\t'])).filter(|t| is_number(t)) else {
        return MaxForwards::NotConcerned;
    };
    match digits.parse::<u32>().unwrap_or(u32::MAX) {
        0 => MaxForwards::AnswerHere,
        forwards => MaxForwards::Forward((forwards - 1).min(FORWARDS_MAX)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Sets the number that a forwarded request has.
pub fn set(forwards: u32, headers: &mut HeaderMap) {
    headers.insert(MAX_FORWARDS, HeaderValue::from(forwards));
}

/// Whether a request is about this server as a whole: `OPTIONS *`. It names no path that a behavior could match.
#[must_use]
pub fn is_about_the_server<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.uri().path() == "*"
}

/// The answer to an OPTIONS that goes no further: the methods of its behavior, or [`MethodSet::All`] for what is about the server.
#[must_use]
pub fn answer(allowed: MethodSet, request_id: HeaderValue) -> Response<ViewerBody> {
    let mut headers = HeaderMap::with_capacity(4);
    headers
        .extend(HeaderValue::try_from(allowed.names().join(", ")).ok().map(|allow| (header::ALLOW, allow)));
    headers.insert(X_HEADLAND_ID, request_id);
    response::build(StatusCode::NO_CONTENT, headers, ViewerBody::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_9110_section_7_6_2() {
        let check = |method: Method, lines: &[&str], expected| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(MAX_FORWARDS, line.parse().expect("value"));
            }
            assert_eq!(decide(&method, &headers), expected, "{method} {lines:?}");
        };
        // "If the value is zero (0), the intermediary MUST NOT forward the request".
        check(Method::OPTIONS, &["0"], MaxForwards::AnswerHere);
        check(Method::OPTIONS, &["00"], MaxForwards::AnswerHere);
        check(Method::TRACE, &["0"], MaxForwards::AnswerHere);
        // "the lesser of a) the received value decremented by one (1) or b) the recipient's maximum supported value".
        check(Method::OPTIONS, &["1"], MaxForwards::Forward(0));
        check(Method::OPTIONS, &[" 10 "], MaxForwards::Forward(9));
        check(Method::OPTIONS, &["99999999999999999999"], MaxForwards::Forward(FORWARDS_MAX));
        // "A recipient MAY ignore a Max-Forwards header field received with any other request methods."
        check(Method::GET, &["0"], MaxForwards::NotConcerned);
        check(Method::POST, &["0"], MaxForwards::NotConcerned);
        // Max-Forwards = 1*DIGIT
        for lines in [&[][..], &[""], &["-1"], &["+1"], &["1, 2"], &["a"], &["1", "1"]] {
            check(Method::OPTIONS, lines, MaxForwards::NotConcerned);
        }
    }

    #[test]
    fn rfc_9110_section_9_3_7() {
        let about = |method: Method, uri: &str| {
            is_about_the_server(&Request::builder().method(method).uri(uri).body(()).expect("request"))
        };
        assert!(about(Method::OPTIONS, "*"));
        assert!(!about(Method::OPTIONS, "/*"));
        assert!(!about(Method::GET, "*"));
        let of_any = answer(MethodSet::All, HeaderValue::from_static("id1"));
        assert_eq!(of_any.status(), StatusCode::NO_CONTENT);
        assert_eq!(of_any.headers()["allow"], "GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE");
        assert_eq!(
            answer(MethodSet::GetHead, HeaderValue::from_static("id1")).headers()["allow"],
            "GET, HEAD"
        );
    }
}
