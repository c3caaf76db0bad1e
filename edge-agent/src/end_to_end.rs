//! Headers that are meant for the next hop only, and those that are not (RFC 9110 section 7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, GetAll},
};

/// Copies what is not meant for the next hop only (RFC 9110 section 7.6.1).
pub fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    let nominated: Vec<&str> = from
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    for (name, value) in from {
        let hop_by_hop =
            is_hop_by_hop(name) || nominated.iter().any(|n| name.as_str().eq_ignore_ascii_case(n));
        if !hop_by_hop {
            to.append(name.clone(), value.clone());
        }
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Sets a list header to what it was, however many lines that took, and one element more.
pub fn append_to_list(before: GetAll<'_, HeaderValue>, name: HeaderName, element: &str, out: &mut HeaderMap) {
    let mut list: Vec<&str> = before.iter().filter_map(|value| value.to_str().ok()).collect();
    list.push(element);
    if let Ok(value) = HeaderValue::try_from(list.join(", ")) {
        out.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nominated_and_well_known_hop_by_hop_headers_stay_behind() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("connection", "x-also"),
            ("x-hop", "1"),
            ("x-also", "1"),
            ("te", "trailers"),
            ("etag", "\"e\""),
        ] {
            from.append(name, value.parse().expect("value"));
        }
        let mut to = HeaderMap::new();
        copy(&from, &mut to);
        assert_eq!(to.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
    }
}
