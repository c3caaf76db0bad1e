//! What fuzzers run (`edge-agent/fuzz`), and tests a little of: everything that reads text from strangers, on any bytes.

use headland_proto::model::{Coding, Codings, Scheme, Semantics};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

use crate::{
    cache::{
        cache_control::{Directives, RequestDirectives},
        date, groups,
        object::encoded,
        vary::Vary,
    },
    clock::Timestamp,
    end_to_end::X_FORWARDED_FOR,
    signing,
    viewer::{
        accept_encoding, conditional,
        proxy_protocol::{self, Parsed},
        range,
        reception::{Reception, TrustedProxies},
        who::{Peer, Viewer, X_FORWARDED_PROTO},
    },
};

/// 2026-01-01.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);

/// Lines of one header that a test makes; a table of headers has an end.
const LINES_MAX: usize = 16;

/// The lines of the input as values of a header; what cannot be a value is left out.
fn fill(headers: &mut HeaderMap, name: &HeaderName, bytes: &[u8]) {
    for line in bytes.split(|&b| b == b'\n').take(LINES_MAX) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
}

fn headers(name: &HeaderName, bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    fill(&mut headers, name, bytes);
    headers
}

/// Cache-Control and what is like it: never panics, and no number exceeds 2^31.
pub fn cache_control(bytes: &[u8]) {
    let request = headers(&header::CACHE_CONTROL, bytes);
    let _ = RequestDirectives::of(&request);
    let _ = RequestDirectives::of(&headers(&header::PRAGMA, bytes));
    for name in ["cache-control", "cdn-cache-control", "headland-cache-control"].map(HeaderName::from_static)
    {
        for semantics in [Semantics::Rfc9111, Semantics::CloudFront] {
            let found = Directives::of(semantics, &headers(&name, bytes));
            let seconds = [found.max_age, found.s_maxage, found.stale_while_revalidate, found.stale_if_error];
            assert!(seconds.into_iter().flatten().all(|s| s <= 1 << 31), "a number exceeds 2^31");
        }
    }
    let groups = groups::of(&headers(&groups::CACHE_GROUPS, bytes));
    assert!(groups.len() <= groups::GROUPS_MAX, "more groups than there may be");
}

/// Vary, in the first line, and a value of every header that it names in the others: a request always matches itself.
pub fn vary(bytes: &[u8]) {
    let (names, values) = bytes.split_at(bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len()));
    let response = headers(&header::VARY, names);
    let Ok(Some(stored)) = Vary::of(&response, &HeaderMap::new()) else {
        return;
    };
    let mut request = HeaderMap::new();
    for name in stored.names() {
        fill(&mut request, name, values.strip_prefix(b"\n").unwrap_or_default());
    }
    let Ok(Some(again)) = Vary::of(&response, &request) else {
        panic!("the request changed what the response says");
    };
    assert!(again.matches(&request), "a request does not match itself");
    assert!(again.differences(&request).next().is_none(), "a request differs from itself");
    assert_eq!(stored.matches(&request), stored == again, "a match is not the same as equality");
}

/// Range and Content-Range: what is selected lies inside the body.
pub fn range(bytes: &[u8]) {
    let request = headers(&header::RANGE, bytes);
    for length in [0, 1, 10, u64::MAX] {
        check_selection(&range::select(&request, length), length);
    }
    if let Some(range) = range::ContentRange::of(&headers(&header::CONTENT_RANGE, bytes)) {
        let end = range.length.unwrap_or(u64::MAX);
        assert!(range.bytes.start < range.bytes.end && range.bytes.end <= end, "a part that is not inside");
    }
}

fn check_selection(selection: &range::Selection, length: u64) {
    let parts = match selection {
        range::Selection::Part(part) => std::slice::from_ref(part),
        range::Selection::Parts(parts) => parts,
        range::Selection::Whole | range::Selection::Unsatisfiable => &[],
    };
    assert!(parts.len() <= range::RANGES_MAX, "more parts than there may be");
    assert!(parts.iter().all(|p| p.start < p.end && p.end <= length), "a part that is not inside");
    for (at, part) in parts.iter().enumerate() {
        let others = &parts[..at];
        assert!(others.iter().all(|p| p.end < part.start || part.end < p.start), "parts that touch");
    }
}

/// The conditional headers, against a stored response with validators and one without.
pub fn conditional(bytes: &[u8]) {
    let mut stored = HeaderMap::new();
    stored.insert(header::ETAG, HeaderValue::from_static("\"a,b\""));
    stored.insert(header::LAST_MODIFIED, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
    let names =
        [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_MATCH, header::IF_UNMODIFIED_SINCE];
    for name in names {
        let request = headers(&name, bytes);
        let _ = conditional::is_not_modified(&request, &stored, NOW);
        let _ = conditional::is_not_modified(&request, &HeaderMap::new(), NOW);
    }
    let request = headers(&header::IF_RANGE, bytes);
    let _ = conditional::if_range_holds(&request, &stored, NOW);
    let _ = conditional::if_range_holds(&request, &HeaderMap::new(), NOW);
}

/// Accept-Encoding: what is accepted of some codings is what is accepted of all, as far as they are enabled, and its list says so again.
pub fn accept_encoding(bytes: &[u8]) {
    let of = |enabled: Codings, headers: &HeaderMap| {
        accept_encoding::of_headers(enabled, Version::HTTP_11, headers)
    };
    let request = headers(&header::ACCEPT_ENCODING, bytes);
    let accepted = of(Coding::ALL.into_iter().collect(), &request);
    for coding in Coding::ALL {
        let alone = [coding].into_iter().collect();
        assert_eq!(!of(alone, &request).is_empty(), accepted.contains(coding), "it depends on the others");
    }
    let again = headers(&header::ACCEPT_ENCODING, accepted.list().as_bytes());
    assert_eq!(of(Coding::ALL.into_iter().collect(), &again), accepted, "a normal form that is not");
}

/// Signed requests: a query in the first line, a Cookie in the second, a custom policy in the third, a resource in the fourth. Nobody is
/// trusted, and of what is for the edge nothing is left for origins.
pub fn signing(bytes: &[u8]) {
    let mut lines = bytes.split(|&b| b == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (query, cookies, policy, resource) = (next(), next(), next(), next());
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    signing::survives(text(query), &headers(&header::COOKIE, cookies), policy, text(resource));
}

/// Dates: what is read from now is read again when it is printed.
pub fn date(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = date::parse(text, Timestamp::default());
    let _ = date::parse(text, Timestamp::NEVER);
    if let Some(at) = date::parse(text, NOW) {
        let seconds = std::time::Duration::from_secs(at.unix_seconds());
        // A leap second at the end of the last year there is.
        if at.unix_seconds() < 253_402_300_800 {
            let printed = httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + seconds);
            assert_eq!(date::parse(&printed, NOW), Some(at), "a date is not what it was");
        }
    }
}

/// Heads as a disk gives them back: one that is accepted is one that is sent and written again as it is.
pub fn stored_head(bytes: &[u8]) {
    let Ok((key, head)) = encoded::decode(bytes) else {
        return;
    };
    assert_eq!(encoded::encode(&key, &head), bytes, "not what is written of the same head");
    let unpacked = head.unpack();
    let lines = unpacked.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let status_line = head.text().iter().position(|&b| b == b'\n').map_or(0, |end| end + 1);
    assert_eq!(status_line + lines.sum::<usize>(), head.text().len(), "a field that is not in the table");
    assert!(!head.text().windows(3).any(|three| three == b"\n\r\n"), "an end within the head");
}

/// A PROXY protocol header: never asks for bytes behind its own, and comes to an end.
pub fn proxy_header(bytes: &[u8]) {
    let mut come = 0;
    loop {
        match proxy_protocol::parse(&bytes[..come]) {
            Ok(Parsed::Needs(more)) => {
                assert!(more > 0, "it asks for nothing");
                come += more;
                assert!(come <= proxy_protocol::HEADER_BYTES_MAX, "it asks for more than a header may have");
                if come > bytes.len() {
                    return;
                }
            }
            Ok(Parsed::Whole(_)) | Err(_) => return,
        }
    }
}

/// X-Forwarded-For, line by line, and X-Forwarded-Proto: who is found is the peer or was named, and what is left is what stood before it.
pub fn forwarded(bytes: &[u8]) {
    let networks = ["10.0.0.0/8", "fc00::/7"].into_iter().filter_map(|network| network.parse().ok());
    let reception = Reception { proxies: TrustedProxies::new(networks.collect()), ..Reception::default() };
    let peer = Viewer::new(([10, 0, 0, 1], 9).into(), Scheme::Http);
    let mut request = headers(&X_FORWARDED_FOR, bytes);
    fill(&mut request, &X_FORWARDED_PROTO, bytes);
    let before = request.clone();
    let viewer = Peer::new(peer, &reception).viewer(&reception.proxies, &mut request);
    match viewer.address == peer.address {
        true => assert_eq!(request, before, "nobody was found, and something is gone"),
        false => {
            let left: usize = request.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::len).sum();
            let all: usize = before.get_all(X_FORWARDED_FOR).iter().map(|value| value.len() + 2).sum();
            assert!(left < all, "who was found is still there");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    type Target = (&'static str, fn(&[u8]));

    const TARGETS: [Target; 10] = [
        ("cache_control", cache_control),
        ("vary", vary),
        ("range", range),
        ("conditional", conditional),
        ("accept_encoding", accept_encoding),
        ("signing", signing),
        ("date", date),
        ("stored_head", stored_head),
        ("proxy_header", proxy_header),
        ("forwarded", forwarded),
    ];

    #[test]
    fn nasty_inputs_are_survived() {
        for (target, run) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
            let files: Vec<_> =
                fs::read_dir(&folder).expect("corpus").map(|f| f.expect("file").path()).collect();
            assert!(!files.is_empty(), "no corpus for {target}");
            for file in files {
                run(&fs::read(file).expect("input"));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            TARGETS.iter().for_each(|(_, run)| run(&bytes));
        }

        #[test]
        fn likely_text_is_survived(text in "(Policy=|Signature=|CloudFront-|https://|max-age|no-cache|bytes|accept|gzip|br|q=0|,|=|-|\"|W/|\\*|;|[0-9]|[ \t\n]|GMT|Sun|:|\\\\|[a-z]){0,30}") {
            TARGETS.iter().for_each(|(_, run)| run(text.as_bytes()));
        }
    }
}
