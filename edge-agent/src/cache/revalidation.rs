//! Revalidation (RFC 9111 section 4.3): asking an origin whether stored responses are still good, and what its answer changes.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    fields::Fields,
    freshness,
    object::{Compressed, Head},
};
use crate::{clock::Timestamp, end_to_end};

/// Entity tags that one request asks about; of more variants the rest is not asked about.
const TAGS_MAX: usize = 16;
/// Bytes of all of them together, so that the request stays one that origins accept.
const TAGS_BYTES_MAX: usize = 4096;
/// How much older than Date a Last-Modified has to be to be a strong validator (RFC 9110 section 8.8.2.2).
const STRONG_AFTER_SECONDS: u64 = 1;

/// Fields of a newer response that do not replace stored ones: those that tell about the message that brought them and not about what
/// is stored (RFC 9111 section 3.2), and those that this edge writes anew for each viewer.
const NOT_UPDATED: [HeaderName; 6] = [
    header::AGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    HeaderName::from_static("x-cache"),
    HeaderName::from_static("x-headland-id"),
];

/// The preconditions that ask whether any of these stored responses is still good (section 4.3.1): every entity tag as the
/// origin knows it, and the Last-Modified if there is but one response. Empty if they have no validators. The first ones go first, should there be too many.
#[must_use]
pub fn conditions(stored: &[&Head]) -> HeaderMap {
    let mut out = HeaderMap::new();
    let mut tags: Vec<&[u8]> = Vec::new();
    let mut list: Vec<u8> = Vec::new();
    for tag in stored.iter().filter_map(|head| head.origin_tag()) {
        let fits = tags.len() < TAGS_MAX && list.len() + tag.len() + 2 <= TAGS_BYTES_MAX;
        if !fits || tag.is_empty() || tags.contains(&tag) {
            continue;
        }
        if !list.is_empty() {
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(tag);
        tags.push(tag);
    }
    if let Ok(list) = HeaderValue::from_bytes(&list)
        && !list.is_empty()
    {
        out.insert(header::IF_NONE_MATCH, list);
    }
    if let [only] = stored
        && let Some(Ok(modified)) = only.first(&header::LAST_MODIFIED).map(HeaderValue::from_bytes)
    {
        out.insert(header::IF_MODIFIED_SINCE, modified);
    }
    out
}

/// What names exactly the bytes of a response generated at `date`, as If-Range takes it (RFC 9110 section 13.1.5): a strong entity
/// tag, or else a Last-Modified that is as good. `None` if it has neither.
#[must_use]
pub fn strong_validator(response: &impl Fields, date: Timestamp) -> Option<HeaderValue> {
    let validator = match response.first(&header::ETAG) {
        Some(tag) => Some(tag).filter(|tag| tag.starts_with(b"\"")),
        None => {
            let is_as_good = moment(response, &header::LAST_MODIFIED).is_some_and(|m| is_strong(m, date));
            response.first(&header::LAST_MODIFIED).filter(|_| is_as_good)
        }
    };
    HeaderValue::from_bytes(validator?).ok()
}

/// Which of the stored responses that were asked about a 304 is about: the most recent of those that its validators identify
/// (section 4.3.4). `None`: it must not be used to update any.
///
/// A 304 without validators is about the one response that was asked about, if it was one. The section says so only of a response
/// that has none itself; but an origin that leaves out the tag it was asked about, against RFC 9110 section 15.4.5, still says that
/// just this one has not changed.
#[must_use]
pub fn choose(not_modified: &HeaderMap, stored: &[&Head]) -> Option<usize> {
    let tag = not_modified.first(&header::ETAG);
    let modified = moment(not_modified, &header::LAST_MODIFIED);
    if tag.is_none() && modified.is_none() {
        return (stored.len() == 1).then_some(0);
    }
    let strong_date = modified.filter(|&m| freshness::date(not_modified).is_some_and(|d| is_strong(m, d)));
    let is_meant = |head: &Head| {
        let stored_tag = head.origin_tag();
        let same_date = |modified: Option<Timestamp>| {
            modified.is_some() && moment(head, &header::LAST_MODIFIED) == modified
        };
        match (tag, stored_tag) {
            // A strong validator: the stored ones with the same.
            (Some(tag), Some(stored_tag)) if !is_weak(tag) => stored_tag == tag,
            (Some(tag), Some(stored_tag)) => opaque(stored_tag) == opaque(tag),
            // A tag that is new does not rule out the date, if that is as good as a tag.
            (Some(tag), None) if !is_weak(tag) => {
                same_date(strong_date) && modified.is_some_and(|m| is_strong(m, head.date()))
            }
            (_, None) | (None, _) => same_date(modified),
        }
    };
    let meant = stored.iter().enumerate().filter(|(_, head)| is_meant(head));
    meant.max_by_key(|(_, head)| (head.date(), head.timing().response)).map(|(index, _)| index)
}

/// The headers of a stored response, updated with those of a newer one, as they would be stored themselves (section 3.2): every field
/// there replaces all lines of the stored one, but for those in [`NOT_UPDATED`] and those that are for the next hop.
#[must_use]
pub fn freshened(stored: &HeaderMap, newer: &HeaderMap) -> HeaderMap {
    let mut updates = HeaderMap::with_capacity(newer.len());
    end_to_end::copy(newer, &mut updates);
    NOT_UPDATED.iter().for_each(|name| _ = updates.remove(name));
    // Room for what is added for each viewer.
    let mut out = HeaderMap::with_capacity(stored.len() + updates.len() + 6);
    for (name, value) in stored.iter().filter(|(name, _)| !updates.contains_key(*name)) {
        out.append(name.clone(), value.clone());
    }
    for (name, value) in &updates {
        out.append(name.clone(), value.clone());
    }
    out
}

/// What the response to a HEAD says of a stored response to a GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHead {
    /// It is still the same: update it with [`freshened`].
    Freshen,
    /// It has changed: take it for stale.
    Invalidate,
    /// Nothing.
    Nothing,
}

/// Decides it for a stored response that could have answered the HEAD (section 4.3.5).
#[must_use]
pub fn by_head(stored: &Head, status: StatusCode, head_response: &HeaderMap) -> ByHead {
    if status != StatusCode::OK {
        return ByHead::Nothing;
    }
    let same = |name: HeaderName, stored: Option<&[u8]>| {
        head_response.first(&name).is_none_or(|value| stored == Some(value))
    };
    // What the origin says is of the bytes that it has, which may not be those that are stored.
    let is_compressed = stored.compressed() != Compressed::No;
    let same_length = head_response.get(header::CONTENT_LENGTH).is_none_or(|value| {
        let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        length.is_some() && length == stored.content_length()
    });
    let unchanged = stored.status() == StatusCode::OK && (same_length || is_compressed);
    let same_tag = same(header::ETAG, stored.origin_tag());
    if unchanged && same_tag && same(header::LAST_MODIFIED, stored.first(&header::LAST_MODIFIED)) {
        ByHead::Freshen
    } else {
        ByHead::Invalidate
    }
}

fn moment(headers: &impl Fields, name: &HeaderName) -> Option<Timestamp> {
    std::str::from_utf8(headers.first(name)?).ok().and_then(freshness::http_date)
}

fn is_strong(modified: Timestamp, date: Timestamp) -> bool {
    date.unix_seconds() >= modified.unix_seconds().saturating_add(STRONG_AFTER_SECONDS)
}

fn is_weak(tag: &[u8]) -> bool {
    tag.starts_with(b"W/")
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests;
