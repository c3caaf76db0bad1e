//! Compression by the edge (CloudFront guide, "Serve compressed files"): of which responses, and in which coding.
//!
//! What is stored is compressed once, under the key that holds what was accepted, and is a stored response like any other from then on.
//! Nothing is ever decompressed.

mod content_types;
mod encoder;
mod head;
mod work;

use bytes::Bytes;
use headland_proto::model::{Coding, Codings};
use http::{HeaderMap, StatusCode, header};

pub(super) use self::{
    head::keep,
    work::{Compression, Compressors},
};
use self::{
    head::{transform, vary_by_coding},
    work::at_once,
};
use super::{Worker, fill::Filling, ranged};
use crate::{
    cache::{cache_control, object::Compressed},
    closed::closed,
    viewer::accept_encoding,
};

/// Shorter bodies gain too little (CloudFront guide, "Serve compressed files").
const BYTES_MIN: u64 = 1_000;
/// Longer bodies cost too much (the same).
const BYTES_MAX: u64 = 10_000_000;

/// Longer bodies are compressed with zstd where that is accepted: it makes them smaller than brotli does, in less time
/// (`docs/decisions/0015-compression.md`).
const LONG_BYTES: u64 = 1 << 20;

closed! {
    /// Why a response is not compressed where the behavior asks for it. The only source of that answer, in debug headers and
    /// metrics.
    pub enum NotCompressed {
        /// A status other than 200, 403 and 404.
        Status = "status",
        /// It has a Content-Encoding, whatever that is.
        Encoded = "encoded",
        /// It does not say how long it is.
        NoLength = "no-length",
        /// It is too short to gain anything.
        TooSmall = "too-small",
        /// It is too long.
        TooLarge = "too-large",
        /// Its Content-Type is not one that is worth compressing, or is missing.
        ContentType = "content-type",
        /// Its Cache-Control says `no-transform`.
        NoTransform = "no-transform",
        /// It is not fresh for any time.
        NotFresh = "not-fresh",
        /// It is, or may be, a part of what was asked for, or is kept in blocks.
        Ranged = "ranged",
        /// There is no room to keep it.
        NoRoom = "no-room",
        /// The policy enables no coding that the viewer accepts.
        NotAccepted = "not-accepted",
        /// As many bodies as there is memory for are being compressed already.
        Busy = "busy",
        /// The encoder could not be made.
        Encoder = "encoder",
    }
}

impl NotCompressed {
    /// Whether it lies in the response: the same would not be compressed for another viewer, or at another time, either.
    fn lies_in_the_response(self) -> bool {
        match self {
            Self::Status
            | Self::Encoded
            | Self::NoLength
            | Self::TooSmall
            | Self::TooLarge
            | Self::ContentType
            | Self::NoTransform
            | Self::NotFresh => true,
            Self::Ranged | Self::NoRoom | Self::NotAccepted | Self::Busy | Self::Encoder => false,
        }
    }
}

/// What counts of a response that is about to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) status: StatusCode,
    /// Those that the origin sent, end to end.
    pub(super) headers: &'a HeaderMap,
    /// Whether it is fresh for some time.
    pub(super) is_fresh: bool,
    /// Whether it is part of an object, or came when a part was asked for.
    pub(super) is_ranged: bool,
    /// Whether there is room to keep it.
    pub(super) has_room: bool,
    /// The codings that the policy enables and the viewer accepts.
    pub(super) accepted: Codings,
}

/// The coding it is to be compressed in, and how many bytes it has.
///
/// # Errors
/// The first reason not to.
pub(super) fn decide(response: Candidate<'_>) -> Result<(Coding, u64), NotCompressed> {
    let Candidate { status, headers, is_fresh, is_ranged, has_room, accepted } = response;
    if !matches!(status, StatusCode::OK | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
        return Err(NotCompressed::Status);
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(NotCompressed::Encoded);
    }
    let length = ranged::content_length(headers).ok_or(NotCompressed::NoLength)?;
    if length < BYTES_MIN {
        return Err(NotCompressed::TooSmall);
    }
    if length > BYTES_MAX {
        return Err(NotCompressed::TooLarge);
    }
    if !headers.get(header::CONTENT_TYPE).is_some_and(content_types::is_compressible) {
        return Err(NotCompressed::ContentType);
    }
    if cache_control::forbids_transformation(headers) {
        return Err(NotCompressed::NoTransform);
    }
    if !is_fresh {
        return Err(NotCompressed::NotFresh);
    }
    if is_ranged {
        return Err(NotCompressed::Ranged);
    }
    if !has_room {
        return Err(NotCompressed::NoRoom);
    }
    let coding = choose(accepted, length).ok_or(NotCompressed::NotAccepted)?;
    Ok((coding, length))
}

fn choose(accepted: Codings, length: u64) -> Option<Coding> {
    let for_long = (length > LONG_BYTES && accepted.contains(Coding::Zstd)).then_some(Coding::Zstd);
    for_long.or_else(|| accepted.iter().next())
}

/// What becomes of the body of a response.
pub(super) enum Coded {
    /// It is not compressed.
    No,
    /// It is all there, compressed.
    Whole(Bytes),
    /// It is compressed as it comes.
    Coming(Box<Compression>),
}

impl Worker {
    /// Begins to compress the body of a response that is about to be stored, if it is to be, and changes its head accordingly. `whole` is
    /// the body if it has come and can be stored at once.
    pub(super) fn coded(
        &self,
        filling: &Filling,
        status: StatusCode,
        headers: &mut HeaderMap,
        is_ranged: bool,
        is_fresh: bool,
        whole: Option<&Bytes>,
    ) -> (Compressed, Coded) {
        let rules = &filling.behavior.rules;
        let enabled = rules.cache_policy.codings;
        if !rules.compress || enabled.is_empty() {
            return (Compressed::No, Coded::No);
        }
        let has_room = self.has_room_for(ranged::content_length(headers));
        let accepted = accept_encoding::of(enabled, &filling.request);
        let candidate = Candidate { status, headers, is_fresh, is_ranged, has_room, accepted };
        match decide(candidate).and_then(|(coding, length)| self.begin_coding(coding, length, whole)) {
            Ok((coding, coded)) => {
                let compressed = transform(headers, coding);
                self.metrics.compressed[coding as usize].add(1);
                if let Coded::Whole(body) = &coded {
                    headers.insert(header::CONTENT_LENGTH, body.len().into());
                }
                (compressed, coded)
            }
            Err(why) => {
                self.metrics.not_compressed[why.index()].add(1);
                if !why.lies_in_the_response() {
                    vary_by_coding(headers);
                }
                if let Some(debug) = &filling.debug {
                    debug.note_not_compressed(why);
                }
                (Compressed::No, Coded::No)
            }
        }
    }

    fn begin_coding(
        &self,
        coding: Coding,
        length: u64,
        whole: Option<&Bytes>,
    ) -> Result<(Coding, Coded), NotCompressed> {
        let whole = whole.filter(|whole| whole.len() as u64 == length);
        let coded = match whole.and_then(|whole| at_once(coding, whole)) {
            Some(compressed) => Coded::Whole(compressed.map_err(|_| NotCompressed::Encoder)?),
            None => Coded::Coming(Box::new(self.compressors.begin(coding, length)?)),
        };
        Ok((coding, coded))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const TYPE: (&str, &str) = ("content-type", "text/html; charset=utf-8");
    const LENGTH: (&str, &str) = ("content-length", "1000");

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn check_with(
        change: impl FnOnce(&mut Candidate<'_>),
        pairs: &[(&'static str, &'static str)],
        expected: Result<Coding, NotCompressed>,
    ) {
        let headers = headers(pairs);
        let accepted = [Coding::Gzip].into_iter().collect();
        let status = StatusCode::OK;
        let (headers, is_fresh, is_ranged, has_room) = (&headers, true, false, true);
        let mut response = Candidate { status, headers, is_fresh, is_ranged, has_room, accepted };
        change(&mut response);
        assert_eq!(decide(response).map(|(coding, _)| coding), expected, "{response:?}");
    }

    fn check(pairs: &[(&'static str, &'static str)], expected: Result<Coding, NotCompressed>) {
        check_with(|_| {}, pairs, expected);
    }

    /// CloudFront guide, "Serve compressed files".
    #[test]
    fn what_is_compressed_has_all_the_conditions() {
        use NotCompressed::*;
        check(&[TYPE, LENGTH], Ok(Coding::Gzip));
        check(&[LENGTH], Err(ContentType));
        check(&[LENGTH, ("content-type", "image/png")], Err(ContentType));
        check(&[TYPE], Err(NoLength));
        check(&[TYPE, ("content-length", "x")], Err(NoLength));
        check(&[TYPE, ("content-length", "999")], Err(TooSmall));
        check(&[TYPE, ("content-length", "10000000")], Ok(Coding::Gzip));
        check(&[TYPE, ("content-length", "10000001")], Err(TooLarge));
        check(&[TYPE, LENGTH, ("content-encoding", "gzip")], Err(Encoded));
        check(&[TYPE, LENGTH, ("content-encoding", "identity")], Err(Encoded));
        check(&[TYPE, LENGTH, ("cache-control", "max-age=9, No-Transform")], Err(NoTransform)); // RFC 9110 section 7.7
        check(&[TYPE, LENGTH, ("cache-control", "max-age=9, x=\"no-transform\"")], Ok(Coding::Gzip));
        check_with(|r| r.is_fresh = false, &[TYPE, LENGTH], Err(NotFresh));
        check_with(|r| r.is_ranged = true, &[TYPE, LENGTH], Err(Ranged));
        check_with(|r| r.has_room = false, &[TYPE, LENGTH], Err(NoRoom));
        check_with(|r| r.accepted = Codings::default(), &[TYPE, LENGTH], Err(NotAccepted));
        check_with(|r| r.accepted = Coding::ALL.into_iter().collect(), &[TYPE, LENGTH], Ok(Coding::Brotli));
        let long = [TYPE, ("content-length", "1048577")];
        check_with(|r| r.accepted = Coding::ALL.into_iter().collect(), &long, Ok(Coding::Zstd));
        check(&long, Ok(Coding::Gzip));
        for (status, expected) in [(200, Ok(Coding::Gzip)), (403, Ok(Coding::Gzip)), (404, Ok(Coding::Gzip))]
            .into_iter()
            .chain([203, 204, 206, 301, 410, 500].map(|status| (status, Err(Status))))
        {
            let status = StatusCode::from_u16(status).expect("status");
            check_with(|r| r.status = status, &[TYPE, LENGTH], expected);
        }
    }
}
