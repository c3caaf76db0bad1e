//! Keys as people read them: part by part, and without anybody's credentials.

use http::header;
use sha2::{Digest as _, Sha256};

/// Bytes of a hash that are shown: enough to tell any two apart.
const HASH_BYTES: usize = 16;

/// What a part of a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The distribution.
    Distribution,
    /// The host.
    Host,
    /// The method, of what is not for a GET.
    Method,
    /// The path.
    Path,
    /// What is forwarded of the query.
    Query,
    /// A header.
    Header,
    /// The cookies that are forwarded.
    Cookie,
}

impl Kind {
    /// A stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Host => "host",
            Self::Method => "method",
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it stands for.
    pub kind: Kind,
    /// Of a header; otherwise empty.
    pub name: String,
    /// As it is keyed; of credentials the hash.
    pub value: String,
}

/// The parts of a key, in its order.
#[must_use]
pub fn parts(key: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = key;
    let mut name = String::new();
    while let Some((tag, bytes, tail)) = split(rest) {
        rest = tail;
        let kind = match tag {
            b'd' => Kind::Distribution,
            b'a' => Kind::Host,
            b'm' => Kind::Method,
            b'p' => Kind::Path,
            b'q' => Kind::Query,
            b'c' => Kind::Cookie,
            b'h' => Kind::Header,
            // In normal form.
            b'e' => {
                name = header::ACCEPT_ENCODING.as_str().to_owned();
                Kind::Header
            }
            // The name of the header that follows.
            b'n' => {
                name = String::from_utf8_lossy(bytes).into_owned();
                continue;
            }
            _ => continue,
        };
        let secret = kind == Kind::Cookie || kind == Kind::Header && is_secret(&name);
        let value = if secret { hidden(bytes) } else { String::from_utf8_lossy(bytes).into_owned() };
        parts.push(Part { kind, name: std::mem::take(&mut name), value });
    }
    parts
}

/// The same in one line.
#[must_use]
pub fn text(key: &[u8]) -> String {
    let one = |part: Part| match part.kind {
        Kind::Header => format!("{} {}: {}", part.kind.as_str(), part.name, part.value),
        kind => format!("{} {}", kind.as_str(), part.value),
    };
    parts(key).into_iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether a request header's value is somebody's credentials.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION].iter().any(|secret| secret == name)
}

/// What is shown in place of credentials: equal ones look equal.
#[must_use]
pub fn hidden(credentials: &[u8]) -> String {
    format!("sha256:{}", hash(credentials))
}

/// The hash of a key or of a part of it, shortened.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key is written as a tag, the length of the part in four bytes, and the part.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((*tag, part, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headland_proto::model::{CachePolicy, Coding, Codings, NameSelection, Semantics, TtlBounds};
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::{super::Selecting, *};

    #[test]
    fn a_key_is_told_part_by_part_and_nobodys_credentials_are_in_it() {
        let policy = CachePolicy {
            semantics: Semantics::CloudFront,
            ttl: TtlBounds { min: Duration::ZERO, default: Duration::ZERO, max: Duration::ZERO },
            headers: ["host", "x-a", "authorization"].map(HeaderName::from_static).to_vec(),
            cookies: NameSelection::All,
            query_strings: NameSelection::All,
            codings: Codings::default(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-a", "1"), ("x-a", "2"), ("cookie", "b=2; a=1"), ("authorization", "Basic x")]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut bytes = Vec::new();
        let id = "EABCDEFGHIJKLM".parse().expect("id");
        let codings = [Coding::Gzip, Coding::Brotli].into_iter().collect();
        let request = Selecting { method: &Method::GET, headers: &headers, codings };
        super::super::write(&mut bytes, &id, &policy, "/a", Some("q=1"), "cdn.test", request);
        let parts = parts(&bytes);
        let told: Vec<_> = parts.iter().map(|p| (p.kind, p.name.as_str(), p.value.as_str())).collect();
        let (basic, cookie) = (hidden(b"Basic x"), hidden(b"a=1; b=2"));
        assert_eq!(
            told,
            [
                (Kind::Distribution, "", "EABCDEFGHIJKLM"),
                (Kind::Host, "", "cdn.test"),
                (Kind::Path, "", "/a"),
                (Kind::Query, "", "q=1"),
                (Kind::Header, "accept-encoding", "br,gzip"),
                (Kind::Header, "x-a", "1"),
                (Kind::Header, "x-a", "2"),
                (Kind::Header, "authorization", &basic),
                (Kind::Cookie, "", &cookie),
            ]
        );
        let text = text(&bytes);
        assert!(
            text.starts_with("distribution EABCDEFGHIJKLM, host cdn.test, path /a, query q=1, header accept-encoding: br,gzip, header x-a: 1")
        );
        assert!(!text.contains("Basic") && !text.contains("b=2") && basic.len() == 7 + 2 * HASH_BYTES);
    }

    #[test]
    fn no_bytes_end_the_process() {
        for bytes in [&b"d"[..], b"d\x01\0", b"d\xff\xff\xff\xffx", b"?\x01\0\0\0x", b"n\0\0\0\0", b""] {
            drop(text(bytes));
        }
    }
}
