//! Cache-Status (RFC 9211): what this cache did with a request, as a structured field, and X-Cache, which says it in CloudFront's words.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::alphabet::Alphabet;
use crate::{
    cache::{
        object::Head,
        reuse::{Cause, Permission},
        storability::Reason,
    },
    clock::Timestamp,
    closed::closed,
};

/// How caches handled a request, the one nearest to the origin first (RFC 9211 section 2).
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The X-Cache of a hit, which stored heads carry already.
pub(crate) const HIT: HeaderValue = HeaderValue::from_static("Hit from headland");
const REFRESH_HIT: HeaderValue = HeaderValue::from_static("RefreshHit from headland");
const MISS: HeaderValue = HeaderValue::from_static("Miss from headland");

/// Bytes of a name or a cache key that are shown; the rest is cut.
const KEY_BYTES_MAX: usize = 1024;
/// The largest integer a structured field can hold (RFC 8941 section 3.3.1).
const INTEGER_MAX: i64 = 999_999_999_999_999;

closed! {
    /// Why a request went forward to the origin (RFC 9211 section 2.2).
    pub enum Forward {
        /// The cache is not to handle it.
        Bypass = "bypass",
        /// Its method has to be forwarded.
        Method = "method",
        /// Nothing is stored under its key.
        UriMiss = "uri-miss",
        /// What is stored under its key was chosen by other request headers.
        VaryMiss = "vary-miss",
        /// Nothing stored can answer it, for one of the two reasons above.
        Miss = "miss",
        /// What is stored is fresh, but the request does not allow its use.
        Request = "request",
        /// What is stored is stale.
        Stale = "stale",
        /// What is stored is only a part of what is asked for.
        Partial = "partial",
    }
}

/// What this cache did with a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handling {
    /// Why it went forward; `None` is a hit.
    pub fwd: Option<Forward>,
    /// The status the origin answered with, where it is not the one that is sent.
    pub fwd_status: Option<StatusCode>,
    /// Whether the response is stored.
    pub stored: bool,
    /// Whether the response to another's request answered this one too.
    pub collapsed: bool,
    /// Seconds the response stays fresh; negative since it is stale.
    pub ttl: Option<i64>,
    /// What else there is to say.
    pub detail: Option<Detail>,
}

/// What else there is to say of how a request was handled, as a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What allowed the use of a stale response.
    Stale(Permission),
    /// Why a stored response was not used.
    NotUsed(Cause),
    /// Why the response is not stored.
    NotStored(Reason),
    /// Why there is an error page: the label of a [`Failure`](super::error_page::Failure).
    Failure(&'static str),
}

impl Detail {
    /// A stable label in lower case with hyphens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stale(permission) => permission.as_str(),
            Self::NotUsed(cause) => cause.as_str(),
            Self::NotStored(reason) => reason.as_str(),
            Self::Failure(label) => label,
        }
    }
}

/// What became of a request, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    /// Answered from the cache with what is fresh.
    Hit,
    /// Answered with what the origin said is still good.
    Revalidated,
    /// Refused.
    Refused,
    /// Answered with an error page because the origin failed.
    Error,
    /// An OPTIONS answered here.
    Answered,
    /// Answered with what is stale, for this reason.
    Stale(Permission),
    /// Sent to the origin, for this reason.
    Forwarded(Forward),
}

impl CacheResult {
    /// How many there are.
    pub const COUNT: usize = 5 + Permission::ALL.len() + Forward::ALL.len();

    /// Its place among all.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Hit => 0,
            Self::Revalidated => 1,
            Self::Refused => 2,
            Self::Error => 3,
            Self::Answered => 4,
            Self::Stale(permission) => 5 + permission.index(),
            Self::Forwarded(forward) => 5 + Permission::ALL.len() + forward.index(),
        }
    }

    /// All there are, in the order of their [`CacheResult::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Hit, Self::Revalidated, Self::Refused, Self::Error, Self::Answered]
            .into_iter()
            .chain(Permission::ALL.map(Self::Stale))
            .chain(Forward::ALL.map(Self::Forwarded))
    }

    /// A stable label. "stale" is what was forwarded because it was stale; what was answered with it has the name of what allowed it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Revalidated => "revalidated",
            Self::Refused => "refused",
            Self::Error => "error",
            Self::Answered => "answered",
            Self::Stale(permission) => permission.as_str(),
            Self::Forwarded(forward) => forward.as_str(),
        }
    }
}

impl Handling {
    /// Answered from the cache alone.
    #[must_use]
    pub fn hit(ttl: i64) -> Self {
        Self { ttl: Some(ttl), ..Self::default() }
    }

    /// Sent to the origin.
    #[must_use]
    pub fn forwarded(fwd: Forward) -> Self {
        Self { fwd: Some(fwd), ..Self::default() }
    }

    /// The same for counting.
    #[must_use]
    pub fn result(&self) -> CacheResult {
        match (self.fwd, self.detail) {
            (_, Some(Detail::Stale(permission))) => CacheResult::Stale(permission),
            (None, _) => CacheResult::Hit,
            (Some(Forward::Stale | Forward::Request), _)
                if self.fwd_status == Some(StatusCode::NOT_MODIFIED) =>
            {
                CacheResult::Revalidated
            }
            (Some(forward), _) => CacheResult::Forwarded(forward),
        }
    }

    /// The same in CloudFront's words. One who waited for another's miss has a hit, as CloudFront logs it.
    #[must_use]
    pub fn x_cache(&self) -> HeaderValue {
        match self.fwd {
            None => HIT,
            Some(_) if self.collapsed || matches!(self.detail, Some(Detail::Stale(_))) => HIT,
            Some(Forward::Stale | Forward::Request) if self.fwd_status == Some(StatusCode::NOT_MODIFIED) => {
                REFRESH_HIT
            }
            Some(_) => MISS,
        }
    }

    /// Adds this cache's member after those of the caches before it. `cache` is the name of this cache.
    pub fn append(&self, cache: &str, headers: &mut HeaderMap) {
        // Measured first, so that one allocation of the right size is all it takes.
        let mut bytes = 0;
        self.write(cache, &mut |part| bytes += part.len());
        let mut text = Vec::with_capacity(bytes);
        self.write(cache, &mut |part| text.extend_from_slice(part));
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
            headers.append(CACHE_STATUS, value);
        }
    }

    /// Writes this cache's member.
    pub(crate) fn write(&self, cache: &str, put: &mut impl FnMut(&[u8])) {
        if is_token(cache) {
            put(cache.as_bytes());
        } else {
            string(cache, put);
        }
        match self.fwd {
            None => put(b"; hit"),
            Some(fwd) => {
                put(b"; fwd=");
                put(fwd.as_str().as_bytes());
                self.write_forwarding(put);
            }
        }
        if let Some(ttl) = self.ttl {
            put(b"; ttl=");
            integer(ttl, put);
        }
        if let Some(detail) = self.detail {
            put(b"; detail=");
            put(detail.as_str().as_bytes());
        }
    }

    /// What has a meaning beside `fwd` only (RFC 9211 sections 2.3, 2.5 and 2.6).
    fn write_forwarding(&self, put: &mut impl FnMut(&[u8])) {
        if let Some(status) = self.fwd_status {
            put(b"; fwd-status=");
            put(status.as_str().as_bytes());
        }
        if self.stored {
            put(b"; stored");
        }
        if self.collapsed {
            put(b"; collapsed");
        }
    }
}

/// Adds the cache key to this cache's member, which is the last, for those who may see it (RFC 9211 sections 2.7 and 6).
pub(crate) fn add_key(key: &str, headers: &mut HeaderMap) {
    let mut lines: Vec<HeaderValue> = headers.get_all(CACHE_STATUS).iter().cloned().collect();
    let Some(own) = lines.last_mut() else { return };
    let mut text = own.as_bytes().to_vec();
    text.extend_from_slice(b"; key=");
    string(key, &mut |part| text.extend_from_slice(part));
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        *own = value;
    }
    headers.remove(CACHE_STATUS);
    lines.into_iter().for_each(|line| _ = headers.append(CACHE_STATUS, line));
}

/// Seconds a stored response stays fresh; negative since it is stale (RFC 9211 section 2.4).
#[must_use]
pub fn ttl(head: &Head, now: Timestamp) -> i64 {
    ttl_until(head.fresh_until(), now)
}

/// The same for what is fresh until then.
#[must_use]
pub(crate) fn ttl_until(fresh_until: Timestamp, now: Timestamp) -> i64 {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(INTEGER_MAX);
    if now < fresh_until { seconds(fresh_until.since(now)) } else { -seconds(now.since(fresh_until)) }
}

/// Whether this is a token of a structured field (RFC 8941 section 3.3.4).
fn is_token(text: &str) -> bool {
    const ALPHABET: Alphabet = Alphabet::alphanumeric_and(b"!#$%&'*+-.^_`|~:/");
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*') && ALPHABET.has_all_of(text.as_bytes())
}

/// A string of a structured field (RFC 8941 section 3.3.3). What it cannot hold becomes a question mark.
pub(crate) fn string(text: &str, put: &mut impl FnMut(&[u8])) {
    put(b"\"");
    for byte in text.bytes().take(KEY_BYTES_MAX) {
        match byte {
            b'"' => put(b"\\\""),
            b'\\' => put(b"\\\\"),
            b' '..=b'~' => put(&[byte]),
            _ => put(b"?"),
        }
    }
    put(b"\"");
}

/// An integer of a structured field (RFC 8941 section 3.3.1), and of any other: its digits.
pub(crate) fn integer(number: i64, put: &mut impl FnMut(&[u8])) {
    let mut left = number.unsigned_abs().min(INTEGER_MAX.unsigned_abs());
    let mut digits = [0; 16];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        put(b"-");
    }
    put(&digits[at..]);
}

#[cfg(test)]
mod tests;
