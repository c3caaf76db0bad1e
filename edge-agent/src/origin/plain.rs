//! Plain requests: a GET without a body to an HTTP server in clear, written as it is sent.

use headland_proto::model::{Http2, Origin, OriginKind, Scheme};
use http::{HeaderName, Method, header, uri::PathAndQuery};

use super::http::Outgoing;

/// Fields that have to do with bodies or with the connection: whoever sends one is hyper's.
const FRAMING: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A plain request.
pub(super) struct PlainRequest {
    /// Scheme and authority that it goes to.
    pub(super) server: String,
    /// Its head.
    pub(super) head: Vec<u8>,
}

/// The request to an origin with this authority, if it is plain.
pub(super) fn request(origin: &Origin, authority: &str, outgoing: &Outgoing) -> Option<PlainRequest> {
    let OriginKind::Custom(custom) = &origin.kind else { return None };
    let may_frame = |name: &HeaderName| FRAMING.contains(name);
    let is_plain = custom.scheme_for(outgoing.viewer_scheme) == Scheme::Http
        && origin.http2 != Http2::Always
        && outgoing.method == Method::GET
        && outgoing.body.is_none()
        && !outgoing.expects_continue
        && !outgoing.headers.keys().any(may_frame)
        && !origin.custom_headers.iter().any(|(name, _)| may_frame(name));
    if !is_plain {
        return None;
    }
    let (path, query) = (&outgoing.path, outgoing.query.as_deref());
    let parts = [origin.path.as_str(), path, query.map_or("", |_| "?"), query.unwrap_or_default()];
    // Checked as a whole: what hyper would refuse is for it to refuse.
    let target = PathAndQuery::from_maybe_shared(bytes::Bytes::from(parts.concat())).ok()?;
    let host = outgoing.host.as_ref().map_or(authority.as_bytes(), |host| host.as_bytes());
    let mut head = Vec::with_capacity(512);
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| head.extend_from_slice(part));
    put(&[b"GET ", target.as_str().as_bytes(), b" HTTP/1.1\r\nhost: ", host, b"\r\n"]);
    // What the origin's settings say is said in place of what the request says; of several alike, the last.
    let custom = &origin.custom_headers;
    let is_custom = |name: &HeaderName| custom.iter().any(|(other, _)| other == name);
    let own = outgoing.headers.iter().filter(|(name, _)| *name != header::HOST && !is_custom(name));
    let last = |(at, (name, value))| {
        let again = custom[at + 1..].iter().any(|(other, _)| other == name);
        (!again).then_some((name, value))
    };
    let custom_fields = custom.iter().map(|(name, value)| (name, value)).enumerate().filter_map(last);
    for (name, value) in own.chain(custom_fields) {
        put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    put(&[b"\r\n"]);
    let server = [Scheme::Http.as_str(), "://", authority].concat();
    Some(PlainRequest { server, head })
}
