//! Origin request policies: what reaches the origin beside what is in the cache key.

use http::{HeaderName, header};

use super::{
    cache_policy::HEADERS_NOT_KEYABLE,
    edge_header::{self, EdgeHeader, is_edge_header_name},
    selection::{NameSelection, check_header_names, check_names, name_chars},
    violation::Checker,
};
use crate::{
    limits::{FORWARDED_NAMES_CHARS_MAX, FORWARDED_NAMES_MAX},
    v1,
};

/// A checked origin request policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRequestPolicy {
    /// Which of the viewer's headers reach the origin.
    pub headers: OriginHeaders,
    /// Which cookies do.
    pub cookies: NameSelection,
    /// Which query parameters do.
    pub query_strings: NameSelection,
}

/// Which of a viewer's headers reach the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginHeaders {
    /// None but those in the cache key.
    None,
    /// Those named, sorted.
    Whitelist(Vec<HeaderName>),
    /// All, Host included.
    AllViewer,
    /// All, Host included, and those named, sorted, which the edge adds.
    AllViewerAndEdge(Vec<HeaderName>),
    /// All but those named, sorted.
    AllExcept(Vec<HeaderName>),
}

impl OriginHeaders {
    /// Whether a viewer's header of this name reaches the origin.
    #[must_use]
    pub fn selects(&self, name: &HeaderName) -> bool {
        match self {
            Self::None => false,
            Self::Whitelist(names) => names.contains(name),
            Self::AllViewer => true,
            Self::AllViewerAndEdge(names) => !is_edge_header_name(name) || names.contains(name),
            Self::AllExcept(names) => !names.contains(name),
        }
    }

    /// Whether the operator named this very header.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.named().iter().any(|n| n == name)
    }

    /// The headers that the operator named.
    #[must_use]
    pub fn named(&self) -> &[HeaderName] {
        match self {
            Self::Whitelist(names) | Self::AllViewerAndEdge(names) => names,
            Self::None | Self::AllViewer | Self::AllExcept(_) => &[],
        }
    }
}

/// Headers that an origin request policy cannot name beside those that cannot tell objects apart either (CloudFront guide, "Control origin
/// requests with a policy"): the edge sets them, or, as Authorization, they would reach origins whose responses all viewers share.
const HEADERS_NOT_FORWARDABLE: &[&str] = &["authorization", "cdn-loop", "max-forwards"];

fn is_forwardable(header: &HeaderName) -> bool {
    ![HEADERS_NOT_KEYABLE, HEADERS_NOT_FORWARDABLE].iter().any(|names| names.contains(&header.as_str()))
}

/// Checks all but name and comment.
pub(super) fn check(wire: &v1::OriginRequestPolicyConfig, c: &mut Checker<'_>) -> OriginRequestPolicy {
    let policy = OriginRequestPolicy {
        headers: check_headers(wire.headers.as_ref(), &mut c.field("headers")),
        cookies: check_names(
            wire.cookies.as_ref(),
            NameSelection::None,
            FORWARDED_NAMES_MAX,
            &mut c.field("cookies"),
        ),
        query_strings: check_names(
            wire.query_strings.as_ref(),
            NameSelection::None,
            FORWARDED_NAMES_MAX,
            &mut c.field("query_strings"),
        ),
    };
    let headers = wire.headers.iter().flat_map(|selection| &selection.names).map(String::len).sum::<usize>();
    let chars = headers + name_chars(&[wire.cookies.as_ref(), wire.query_strings.as_ref()]);
    c.ensure(chars <= FORWARDED_NAMES_CHARS_MAX, || {
        format!("names {chars} characters of headers, cookies and query strings; at most {FORWARDED_NAMES_CHARS_MAX} are allowed")
    });
    policy
}

fn check_headers(wire: Option<&v1::OriginHeaderSelection>, c: &mut Checker<'_>) -> OriginHeaders {
    use v1::origin_header_selection::Mode;
    let Some(wire) = wire else { return OriginHeaders::None };
    let Ok(mode) = Mode::try_from(wire.mode) else {
        c.field("mode").violation(
            "is unknown; use NONE, WHITELIST, ALL_VIEWER, ALL_VIEWER_AND_WHITELIST_CLOUDFRONT or ALL_EXCEPT",
        );
        return OriginHeaders::None;
    };
    let mut names = c.field("names");
    let adds = mode == Mode::AllViewerAndWhitelistCloudfront;
    let listed = adds || matches!(mode, Mode::Whitelist | Mode::AllExcept);
    names.ensure(listed || wire.names.is_empty(), || {
        "must be empty unless mode is WHITELIST, ALL_VIEWER_AND_WHITELIST_CLOUDFRONT or ALL_EXCEPT".into()
    });
    names.ensure(!listed || !wire.names.is_empty(), || {
        "must name at least one with this mode; use NONE or ALL_VIEWER instead".into()
    });
    let refused = |header: &HeaderName| {
        if let Some(reason) = edge_header::not_made(header).filter(|_| mode != Mode::AllExcept) {
            return Some(reason);
        }
        if adds && !is_edge_header_name(header) {
            return Some(format!(
                "{header} is the viewer's, and sent with all others in this mode; name CloudFront-* headers only"
            ));
        }
        let refused = mode == Mode::Whitelist && !is_forwardable(header);
        refused.then(|| match *header {
            header::AUTHORIZATION => {
                "authorization can be forwarded only with the cache key (cache policy) or with ALL_VIEWER; remove it".into()
            }
            _ => format!("{header} cannot be forwarded by an origin request policy; remove it"),
        })
    };
    // Of those that edges add all may be named.
    let names_max = if adds { EdgeHeader::ALL.len() } else { FORWARDED_NAMES_MAX };
    let listed = check_header_names(&wire.names, names_max, refused, &mut names);
    match mode {
        Mode::Unspecified | Mode::None => OriginHeaders::None,
        Mode::Whitelist => OriginHeaders::Whitelist(listed),
        Mode::AllViewer => OriginHeaders::AllViewer,
        Mode::AllExcept => OriginHeaders::AllExcept(listed),
        Mode::AllViewerAndWhitelistCloudfront => OriginHeaders::AllViewerAndEdge(listed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::violation::Violations;

    fn check(mode: v1::origin_header_selection::Mode, names: &[&str], expected: Result<OriginHeaders, &str>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let wire = v1::OriginRequestPolicyConfig {
            headers: Some(v1::OriginHeaderSelection { mode: mode.into(), names }),
            ..Default::default()
        };
        let mut found = Violations::default();
        let policy = super::check(&wire, &mut Checker::new(&mut found));
        match (found.into_result(policy.headers), expected) {
            (Ok(headers), Ok(expected)) => assert_eq!(headers, expected),
            (Err(found), Err(field)) => assert_eq!(found.list()[0].field, field, "{found}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn headers_are_selected_by_mode() {
        use v1::origin_header_selection::Mode;
        let names = |list: &[&'static str]| list.iter().map(|n| HeaderName::from_static(n)).collect();
        check(Mode::Unspecified, &[], Ok(OriginHeaders::None));
        check(
            Mode::Whitelist,
            &["Referer", "Origin"],
            Ok(OriginHeaders::Whitelist(names(&["origin", "referer"]))),
        );
        check(Mode::AllViewer, &[], Ok(OriginHeaders::AllViewer));
        check(Mode::AllExcept, &["Host"], Ok(OriginHeaders::AllExcept(names(&["host"]))));
        check(Mode::Whitelist, &[], Err("headers.names"));
        check(Mode::AllViewer, &["host"], Err("headers.names"));
        check(Mode::Whitelist, &["Authorization"], Err("headers.names[0]"));
        check(Mode::Whitelist, &["a", "A"], Err("headers.names[1]"));
        let country = "cloudfront-viewer-country";
        let both = Mode::AllViewerAndWhitelistCloudfront;
        check(both, &["CloudFront-Viewer-Country"], Ok(OriginHeaders::AllViewerAndEdge(names(&[country]))));
        let all: Vec<&str> = EdgeHeader::ALL.iter().map(|header| header.as_str()).collect();
        check(both, &all, Ok(OriginHeaders::AllViewerAndEdge(names(&all))));
        check(both, &[], Err("headers.names"));
        check(both, &[country, "origin"], Err("headers.names[1]"));
        check(both, &["CloudFront-Viewer-TLS"], Err("headers.names[0]"));
        check(
            Mode::Whitelist,
            &["CloudFront-Viewer-Address"],
            Ok(OriginHeaders::Whitelist(names(&["cloudfront-viewer-address"]))),
        );
        check(Mode::Whitelist, &["CloudFront-Viewer-JA3-Fingerprint"], Err("headers.names[0]"));
    }

    #[test]
    fn what_is_selected_is_forwarded() {
        let origin = HeaderName::from_static("origin");
        for (headers, selected) in [
            (OriginHeaders::None, false),
            (OriginHeaders::AllViewer, true),
            (OriginHeaders::Whitelist(vec![origin.clone()]), true),
            (OriginHeaders::AllExcept(vec![origin.clone()]), false),
            (OriginHeaders::AllExcept(vec![header::HOST]), true),
            (OriginHeaders::AllViewerAndEdge(vec![EdgeHeader::ViewerCity.name()]), true),
        ] {
            assert_eq!(headers.selects(&origin), selected, "{headers:?}");
        }
        let both = OriginHeaders::AllViewerAndEdge(vec![EdgeHeader::ViewerCity.name()]);
        assert!(both.selects(&EdgeHeader::ViewerCity.name()) && both.names("cloudfront-viewer-city"));
        assert!(!both.selects(&EdgeHeader::ViewerCountry.name()));
    }
}
