//! Custom error responses: what viewers get in place of an error, and how long errors are kept.

use std::time::Duration;

use http::StatusCode;

use super::violation::Checker;
use crate::{
    limits::{ERROR_CACHING_MIN_TTL, ERROR_CACHING_MIN_TTL_DEFAULT, ERROR_PAGE_PATH_CHARS_MAX},
    v1,
};

/// The error statuses that can be customised (CloudFront guide, "Generate custom error responses").
pub const CODES: [u16; 11] = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504];

/// A distribution's wishes for errors; at most one for each status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorResponses(Vec<ErrorResponse>);

/// The wishes for one error status.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ErrorResponse {
    code: StatusCode,
    page: Option<ErrorPage>,
    caching_min_ttl: Duration,
}

/// What is served in place of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// The path of the object, with its leading slash.
    pub path: String,
    /// The status it is served with.
    pub status: StatusCode,
}

impl ErrorResponses {
    /// Whether there is any page at all.
    #[must_use]
    pub fn have_pages(&self) -> bool {
        self.0.iter().any(|response| response.page.is_some())
    }

    /// What is served in place of this status, if anything.
    #[must_use]
    pub fn page(&self, status: StatusCode) -> Option<&ErrorPage> {
        self.of(status)?.page.as_ref()
    }

    /// Every page, with the status that it stands in for.
    pub fn pages(&self) -> impl Iterator<Item = (StatusCode, &ErrorPage)> {
        self.0.iter().filter_map(|response| Some((response.code, response.page.as_ref()?)))
    }

    /// How long this status is kept at least.
    #[must_use]
    pub fn caching_min_ttl(&self, status: StatusCode) -> Duration {
        self.of(status).map_or(ERROR_CACHING_MIN_TTL_DEFAULT, |response| response.caching_min_ttl)
    }

    fn of(&self, status: StatusCode) -> Option<&ErrorResponse> {
        self.0.iter().find(|response| response.code == status)
    }
}

pub(super) fn check(wire: &[v1::CustomErrorResponse], c: &mut Checker<'_>) -> ErrorResponses {
    let mut responses: Vec<ErrorResponse> = Vec::with_capacity(wire.len().min(CODES.len()));
    c.count_max(wire.len(), CODES.len());
    for (i, one) in wire.iter().enumerate().take(2 * CODES.len()) {
        let mut c = c.index(i);
        let code = check_code(one.error_code, &CODES, &mut c.field("error_code"));
        let repeated = code.is_some_and(|code| responses.iter().any(|response| response.code == code));
        c.field("error_code").ensure(!repeated, || format!("{} is given twice", one.error_code));
        let page = check_page(one, &mut c);
        let caching_min_ttl = c.field("error_caching_min_ttl").duration(
            one.error_caching_min_ttl.as_ref(),
            ERROR_CACHING_MIN_TTL,
            ERROR_CACHING_MIN_TTL_DEFAULT,
        );
        responses.extend(code.map(|code| ErrorResponse { code, page, caching_min_ttl }));
    }
    ErrorResponses(responses)
}

fn check_page(wire: &v1::CustomErrorResponse, c: &mut Checker<'_>) -> Option<ErrorPage> {
    let path = wire.response_page_path.as_str();
    if path.is_empty() {
        c.field("response_code").ensure(wire.response_code == 0, || {
            "must be unset without response_page_path: name the page to serve".into()
        });
        return None;
    }
    let mut field = c.field("response_page_path");
    field.chars_max(path, ERROR_PAGE_PATH_CHARS_MAX);
    field.ensure(path.starts_with('/'), || "must begin with \"/\": write /errors/404.html".into());
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&b));
    field.ensure(plain, || "must be a plain URL path; encode other characters as %XX".into());
    let code = match wire.response_code {
        0 => wire.error_code,
        code => code,
    };
    let allowed: Vec<u16> = [200].into_iter().chain(CODES).collect();
    let mut field = c.field("response_code");
    let status = match wire.response_code {
        0 => u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok()),
        _ => check_code(code, &allowed, &mut field),
    };
    Some(ErrorPage { path: path.to_owned(), status: status? })
}

fn check_code(code: u32, allowed: &[u16], c: &mut Checker<'_>) -> Option<StatusCode> {
    let status = u16::try_from(code).ok().filter(|code| allowed.contains(code));
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    c.ensure(status.is_some(), || {
        let allowed: Vec<String> = allowed.iter().map(u16::to_string).collect();
        format!("{code} is not possible here; use one of {}", allowed.join(", "))
    });
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::violation::Violations;

    fn wire(error: u32, page: &str, response: u32) -> v1::CustomErrorResponse {
        v1::CustomErrorResponse {
            error_code: error,
            response_page_path: page.into(),
            response_code: response,
            error_caching_min_ttl: None,
        }
    }

    fn check(wire: &[v1::CustomErrorResponse], expected: &[&str]) -> ErrorResponses {
        let mut found = Violations::default();
        let responses = super::check(wire, &mut Checker::new(&mut found));
        let fields: Vec<&str> = found.list().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, expected, "{found}");
        responses
    }

    #[test]
    fn a_page_stands_in_for_its_code() {
        let responses =
            check(&[wire(404, "/404.html", 0), wire(403, "/index.html", 200), wire(500, "", 0)], &[]);
        let page = |code: u16| {
            responses.page(StatusCode::from_u16(code).unwrap()).map(|p| (&*p.path, p.status.as_u16()))
        };
        assert_eq!(page(404), Some(("/404.html", 404)));
        assert_eq!(page(403), Some(("/index.html", 200)));
        assert_eq!((page(500), page(502)), (None, None));
        assert!(responses.have_pages());
        assert!(!check(&[wire(500, "", 0)], &[]).have_pages());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        check(&[wire(401, "/x", 0)], &["[0].error_code"]);
        check(&[wire(404, "/x", 0), wire(404, "/y", 0)], &["[1].error_code"]);
        check(&[wire(404, "x", 301)], &["[0].response_page_path", "[0].response_code"]);
        check(&[wire(404, "/a b", 0)], &["[0].response_page_path"]);
        check(&[wire(404, "", 200)], &["[0].response_code"]);
        let long = v1::CustomErrorResponse {
            error_caching_min_ttl: Some(prost_types::Duration { seconds: 31_536_001, nanos: 0 }),
            ..wire(404, "", 0)
        };
        check(&[long], &["[0].error_caching_min_ttl"]);
    }

    #[test]
    fn errors_are_kept_for_ten_seconds_unless_the_distribution_says_otherwise() {
        let none = v1::CustomErrorResponse {
            error_caching_min_ttl: Some(prost_types::Duration::default()),
            ..wire(404, "", 0)
        };
        let responses = check(&[none], &[]);
        assert_eq!(responses.caching_min_ttl(StatusCode::NOT_FOUND), Duration::ZERO);
        assert_eq!(responses.caching_min_ttl(StatusCode::BAD_GATEWAY), Duration::from_secs(10));
    }
}
