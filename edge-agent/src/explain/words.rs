//! A sentence for each word of the closed lists by which the edge decides; and the key, part by part.

use headland_proto::v1;

use super::{shown, stored::text};
use crate::{
    cache::reuse::{Cause, Permission},
    pipeline::consider::{Past, Road},
    signing::Denial,
    viewer::{cache_status::Forward, request::Refusal},
};

/// Of an OPTIONS that goes no further.
pub(super) const OPTIONS: &str =
    "its Max-Forwards lets it go no further than this edge, which says what methods it allows";

/// Of one that comes by http and is to come by https.
pub(super) const REDIRECT: &str = "the behavior sends viewers that come by http to the same URL with https";

/// Of one that would have to wait for the disk first.
pub(super) const ON_DISK: &str =
    "what is stored for it is on disk only, and is being read; ask again in a moment";

/// Why a request is refused.
pub(super) fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Host => "it does not name exactly one host",
        Refusal::Path => "its path has dot segments or a NUL, plain or encoded",
        Refusal::UrlTooLong => "its path and query are longer than 8,192 bytes",
        Refusal::Method => "no edge serves this method",
        Refusal::UnknownHost => "no distribution answers to this host name",
        Refusal::Disabled => "the distribution for this host name is disabled",
        Refusal::Country => "the distribution does not serve viewers in the country that this one is in",
        Refusal::HttpsOnly => "the behavior is for https only, and the viewer comes by http",
        Refusal::MethodNotAllowed => "the behavior does not allow this method",
        Refusal::UnexpectedBody => "a GET or HEAD request must not have a body",
        Refusal::Loop => "it has been through this edge before: the origin leads here again",
        Refusal::OnlyIfCached => "it wants only what is stored, and nothing stored may answer it",
        Refusal::NotSigned(denial) => not_signed(denial),
    }
}

fn not_signed(denial: Denial) -> &'static str {
    match denial {
        Denial::Missing => {
            "the behavior trusts key groups, so it must be signed with a key of one of them, by URL or by cookies"
        }
        Denial::Malformed => {
            "of Expires or Policy, Signature and Key-Pair-Id one is missing, there twice, or cannot be read"
        }
        Denial::UnknownKey => {
            "its Key-Pair-Id is not the id of a public key in a key group that the behavior trusts"
        }
        Denial::Invalid => {
            "the signature is not that of the key over the policy: one of them, or the URL, was changed"
        }
        Denial::Expired => "the time until which it was signed is over",
        Denial::NotYetValid => "the time from which it was signed has not begun",
        Denial::Address => "it was signed for other addresses",
        Denial::Resource => "the resource of its policy does not stand for this URL",
    }
}

/// Why a request would not be answered from the cache, nor fill it.
pub(super) fn past(past: Past) -> &'static str {
    match past {
        Past::Method => "only GET and HEAD, and OPTIONS where that is wished, are answered from the cache",
        Past::WebSocket => "it asks for a WebSocket, which is between the viewer and the origin",
        Past::Body => "the request has a body, which may mean something to the origin",
        Past::MaxTtl => "the cache policy's maximum TTL is 0: nothing is stored",
        Past::Precondition => {
            "only the origin knows what If-Match or If-Unmodified-Since has to be compared with"
        }
        Past::RequestNoStore => "the request asks that nothing be stored, and nothing stored may answer it",
    }
}

/// How what cannot be answered from the cache gets to the origin.
pub(super) fn road(road: Road) -> &'static str {
    match road {
        Road::Head => "the origin is asked with a HEAD",
        Road::Uncacheable => {
            "the last response could not be stored, so that viewers do not wait for one another"
        }
        Road::Oversized => {
            "the object can be kept neither in one piece nor in blocks; the range is fetched alone"
        }
        Road::Together => "all who ask for it wait for one response",
    }
}

/// What allows the use of what is stale.
pub(super) fn permission(permission: Permission) -> &'static str {
    match permission {
        Permission::WhileRevalidate => "it may be used while the origin is asked in the background",
        Permission::MaxStale => "the request's max-stale allows it",
        Permission::Hold => "the origin failed a moment ago, and it stands in",
        Permission::Error => "it may stand in for an error from the origin",
        Permission::Unreachable => "the origin is known to be down, and it stands in",
    }
}

/// Why the origin has to be asked about what is stored.
pub(super) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Expired => "what is stored has expired",
        Cause::NoCache => "what is stored says no-cache: not without asking the origin",
        Cause::RequestNoCache => "the request says no-cache: not without asking the origin",
        Cause::RequestMaxAge => "what is stored is older than the request's max-age",
        Cause::RequestMinFresh => "what is stored will not be fresh for the request's min-fresh",
        Cause::Invalidated => "an unsafe request, or a group it named, has changed what is stored",
    }
}

/// Why the request would be forwarded.
pub(super) fn forward(forward: Forward) -> &'static str {
    match forward {
        Forward::UriMiss => "nothing is stored under the key",
        Forward::VaryMiss => "what is stored was chosen by another value",
        Forward::Partial => "other parts are stored than the one that is asked for, or they may not be used",
        Forward::Bypass => "the cache is not to handle it",
        Forward::Method => "its method has to be forwarded",
        Forward::Miss => "nothing stored can answer it",
        Forward::Request => "the request does not allow what is stored",
        Forward::Stale => "what is stored is stale",
    }
}

/// A key in its parts.
pub(super) fn key(bytes: &[u8]) -> v1::ExplainedKey {
    let part = |part: shown::Part| v1::KeyPart {
        kind: match part.kind {
            shown::Kind::Distribution => v1::key_part::Kind::Distribution,
            shown::Kind::Host => v1::key_part::Kind::Host,
            shown::Kind::Method => v1::key_part::Kind::Method,
            shown::Kind::Path => v1::key_part::Kind::Path,
            shown::Kind::Query => v1::key_part::Kind::Query,
            shown::Kind::Header => v1::key_part::Kind::Header,
            shown::Kind::Cookie => v1::key_part::Kind::Cookie,
        }
        .into(),
        name: text(part.name.as_bytes()),
        value: text(part.value.as_bytes()),
    };
    v1::ExplainedKey { hash: shown::hash(bytes), parts: shown::parts(bytes).into_iter().map(part).collect() }
}
