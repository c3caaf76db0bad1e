//! The normal form of request headers (RFC 9111 section 4.1): what differs only in ways that mean nothing becomes the same.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::cache::cache_control::{quoted_end, trim};

/// What is known of a header's syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One value, in which a comma and the spaces beside it mean themselves.
    Single,
    /// Cookies, which HTTP/2 may split into several lines (RFC 9113 section 8.2.3).
    Cookies,
    /// A list, or nobody knows.
    List,
    /// A list of words in any case, with weights (RFC 9110 section 12.5).
    Words,
    /// The same, and many recipients read an order into it: by weight, then as it came (RFC 9110 section 12.5.4).
    Languages,
}

/// Headers that hold one value (RFC 9110 section 5.5 and their definitions).
const SINGLE: [HeaderName; 22] = [
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::DNT,
    header::FROM,
    header::HOST,
    header::IF_MODIFIED_SINCE,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::LAST_MODIFIED,
    header::MAX_FORWARDS,
    header::ORIGIN,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::REFERER,
    header::RETRY_AFTER,
    header::UPGRADE_INSECURE_REQUESTS,
    header::USER_AGENT,
];

impl Kind {
    fn of(name: &HeaderName) -> Self {
        match name {
            name if name == header::ACCEPT_ENCODING || name == header::ACCEPT_CHARSET => Self::Words,
            name if name == header::ACCEPT_LANGUAGE => Self::Languages,
            name if name == header::COOKIE => Self::Cookies,
            name if SINGLE.contains(name) => Self::Single,
            _ => Self::List,
        }
    }
}

/// A header of a request in normal form; `None` if the request does not have it. Bytes outside ASCII are read as Latin-1, so that
/// different ones stay different.
pub(super) fn value(name: &HeaderName, request: &HeaderMap) -> Option<String> {
    let lines = request.get_all(name).iter().map(HeaderValue::as_bytes);
    let kind = Kind::of(name);
    let mut lines = lines.peekable();
    lines.peek()?;
    let bytes = match kind {
        // Not a list: several lines are not the same as one, and no value holds a line break.
        Kind::Single => lines.map(trim).collect::<Vec<_>>().join(&b'\n'),
        Kind::Cookies => lines.map(trim).collect::<Vec<_>>().join(&b"; "[..]),
        Kind::List => join(lines.flat_map(members).map(<[u8]>::to_vec)),
        Kind::Words => join(lines.flat_map(members).filter(|member| !member.is_empty()).map(word)),
        Kind::Languages => {
            let mut members: Vec<Vec<u8>> =
                lines.flat_map(members).filter(|member| !member.is_empty()).map(word).collect();
            members.sort_by_key(|member| std::cmp::Reverse(weight(member)));
            join(members.into_iter())
        }
    };
    Some(bytes.into_iter().map(char::from).collect())
}

fn join(members: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    members.collect::<Vec<_>>().join(&b',')
}

/// The members of a list without the whitespace around them. Commas inside quotes do not separate.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            at = match byte {
                b',' => break,
                b'"' => quoted_end(text, at).unwrap_or(at + 1),
                _ => at + 1,
            };
        }
        rest = text.get(at + 1..);
        Some(trim(&text[..at]))
    })
}

/// In lower case, without the whitespace that is allowed around ";" (RFC 9110 section 12.4.2).
fn word(member: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = member.split(|&b| b == b';').map(trim).collect();
    parts.join(&b';').to_ascii_lowercase()
}

/// The weight in thousandths; one that cannot be read is the most, as none is.
fn weight(member: &[u8]) -> u32 {
    const MOST: u32 = 1000;
    let Some(text) = member.split(|&b| b == b';').find_map(|part| part.strip_prefix(b"q=")) else {
        return MOST;
    };
    let (whole, fraction) = match text {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return MOST,
    };
    if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) {
        return MOST;
    }
    let scaled =
        fraction.iter().chain(b"000").take(3).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    (u32::from(whole - b'0') * MOST + scaled).min(MOST)
}
