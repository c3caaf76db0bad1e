//! Heads as bytes, to be kept where the object's body is kept: on a disk that may give back anything.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use super::{
    head::{Compressed, Head, Unpacked},
    text,
};
use crate::{
    cache::{
        blocks::{BLOCK_BYTES, Blocks},
        freshness::{Freshness, Source, Timing},
        groups::{GROUP_BYTES_MAX, GROUPS_MAX},
        invalidation::Epoch,
        reuse::Failing,
        terms::Terms,
        vary::{NAMES_MAX, Vary},
    },
    clock::Timestamp,
};

/// The only version of the format there is. What another version wrote is not read.
const VERSION: u8 = 3;
/// Bytes of a key, of a head's text, or of a value that a response varies by.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// Why bytes are not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another version wrote them, or nobody.
    #[error("read a stored head: of another version")]
    Version,
    /// They end too early, or too late.
    #[error("read a stored head: not as long as it says")]
    Length,
    /// Something in them is never in a head.
    #[error("read a stored head: its {0} is none")]
    Nonsense(&'static str),
}

/// Writes a key and the head of the object under it. What is longer than a head may be is not read again.
#[must_use]
pub fn encode(key: &[u8], head: &Head) -> Vec<u8> {
    let mut out = vec![VERSION];
    piece(&mut out, key);
    piece(&mut out, head.text());
    out.extend_from_slice(&head.status().as_u16().to_le_bytes());
    times(&mut out, head);
    let vary = head.vary().map(Vary::written);
    count(&mut out, vary.as_ref().map_or(0, ExactSizeIterator::len));
    for (name, value, line) in vary.into_iter().flatten() {
        piece(&mut out, name.as_str().as_bytes());
        optional(&mut out, value);
        optional(&mut out, line);
    }
    count(&mut out, head.groups().len());
    head.groups().iter().for_each(|group| piece(&mut out, group.as_bytes()));
    let blocks = head.blocks().map_or([0; 2], |blocks| [blocks.id, blocks.length]);
    blocks.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    out.push(match head.compressed() {
        Compressed::No => 0,
        Compressed::Yes => 1,
        Compressed::TagWeakened => 2,
    });
    out
}

fn times(out: &mut Vec<u8>, head: &Head) {
    let (timing, terms) = (head.timing(), head.terms());
    let Terms { freshness, .. } = terms;
    let moments = [
        timing.request,
        timing.response,
        head.date(),
        freshness.fresh_until,
        terms.while_revalidate_until,
        terms.if_error_until,
        terms.if_unreachable_until,
        terms.hold_until,
        terms.kept_until,
    ];
    let lifetime = u64::try_from(freshness.lifetime.as_millis()).unwrap_or(u64::MAX);
    let others = [lifetime, freshness.initial_age.as_secs()];
    for number in moments.into_iter().map(Timestamp::unix_millis).chain(others) {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(freshness.source.index() as u8);
    let unreachable = terms.held_for == Failing::Unreachable;
    let flags = [terms.validate_always, terms.immutable, terms.stale_on_request, unreachable];
    out.extend(flags.map(u8::from));
    out.extend_from_slice(&head.began().number().to_le_bytes());
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.push(u8::try_from(count).unwrap_or(u8::MAX));
}

fn piece(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(bytes.is_some().into());
    bytes.into_iter().for_each(|bytes| piece(out, bytes));
}

/// Reads what [`encode`] wrote: the key, and the head.
///
/// # Errors
/// When it did not write this, as far as that can be told: a checksum is for whoever keeps the bytes.
pub fn decode(bytes: &[u8]) -> Result<(Box<[u8]>, Head), Error> {
    let mut rest = Rest(bytes);
    if rest.byte()? != VERSION {
        return Err(Error::Version);
    }
    let key = rest.piece()?;
    let text = rest.piece()?;
    let status = StatusCode::from_u16(u16::from_le_bytes(rest.array()?))
        .ok()
        .filter(|&status| text::is_of(text, status))
        .ok_or(Error::Nonsense("text"))?;
    let timing = Timing { request: rest.moment()?, response: rest.moment()? };
    let (date, terms) = (rest.moment()?, terms(&mut rest)?);
    // The time between them has to fit where it is kept.
    let delay = timing.response.unix_millis().checked_sub(timing.request.unix_millis());
    if delay.is_none_or(|delay| delay > u64::from(u32::MAX)) {
        return Err(TIMES);
    }
    let began = Epoch::from_number(rest.number()?);
    let (vary, groups, blocks) = (vary(&mut rest)?, groups(&mut rest)?, blocks(&mut rest)?);
    let compressed = match rest.byte()? {
        0 => Compressed::No,
        1 => Compressed::Yes,
        2 => Compressed::TagWeakened,
        _ => return Err(Error::Nonsense("coding")),
    };
    if !rest.0.is_empty() {
        return Err(Error::Length);
    }
    let headers = HeaderMap::new();
    let unpacked = Unpacked { status, headers, timing, date, terms, vary, groups, began, blocks, compressed };
    let head = Head::of(text.into(), unpacked);
    if blocks.is_some_and(|blocks| status != StatusCode::OK || head.content_length() != Some(blocks.length)) {
        return Err(Error::Nonsense("length"));
    }
    Ok((key.into(), head))
}

const TIMES: Error = Error::Nonsense("time");

fn terms(rest: &mut Rest<'_>) -> Result<Terms, Error> {
    let mut moment = || rest.moment();
    let [fresh_until, while_revalidate_until, if_error_until, if_unreachable_until, hold_until, kept_until] =
        [moment()?, moment()?, moment()?, moment()?, moment()?, moment()?];
    let lifetime = Duration::from_millis(rest.number()?);
    let initial_age = rest.number()?;
    if initial_age > u64::from(u32::MAX) {
        return Err(TIMES);
    }
    let initial_age = Duration::from_secs(initial_age);
    let source = *Source::ALL.get(usize::from(rest.byte()?)).ok_or(TIMES)?;
    let freshness = Freshness { lifetime, source, initial_age, fresh_until };
    Ok(Terms {
        freshness,
        validate_always: rest.flag()?,
        immutable: rest.flag()?,
        stale_on_request: rest.flag()?,
        while_revalidate_until,
        if_error_until,
        if_unreachable_until,
        hold_until,
        held_for: if rest.flag()? { Failing::Unreachable } else { Failing::Error },
        kept_until,
    })
}

fn vary(rest: &mut Rest<'_>) -> Result<Option<Vary>, Error> {
    let error = Error::Nonsense("Vary");
    let count = usize::from(rest.byte()?);
    if count > NAMES_MAX {
        return Err(error);
    }
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let name = HeaderName::from_lowercase(rest.piece()?).map_err(|_| error)?;
        let value = rest.optional()?.map(std::str::from_utf8).transpose().map_err(|_| error)?;
        fields.push((name, value.map(Box::from), rest.optional()?.map(Box::from)));
    }
    if fields.is_empty() { Ok(None) } else { Vary::from_written(fields).map(Some).ok_or(error) }
}

fn groups(rest: &mut Rest<'_>) -> Result<Box<[Box<str>]>, Error> {
    let error = Error::Nonsense("groups");
    let count = usize::from(rest.byte()?);
    if count > GROUPS_MAX {
        return Err(error);
    }
    let mut group = || {
        let text = std::str::from_utf8(rest.piece()?).map_err(|_| error)?;
        if text.len() <= GROUP_BYTES_MAX { Ok(Box::from(text)) } else { Err(error) }
    };
    (0..count).map(|_| group()).collect()
}

fn blocks(rest: &mut Rest<'_>) -> Result<Option<Blocks>, Error> {
    match (rest.number()?, rest.number()?) {
        (0, 0) => Ok(None),
        (id, length) if length > BLOCK_BYTES => Ok(Some(Blocks { id, length })),
        _ => Err(Error::Nonsense("length")),
    }
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, bytes: usize) -> Result<&'b [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Error::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    fn moment(&mut self) -> Result<Timestamp, Error> {
        self.number().map(Timestamp::from_unix_millis)
    }

    fn flag(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Nonsense("flag")),
        }
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    fn piece(&mut self) -> Result<&'b [u8], Error> {
        let bytes = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        if bytes > PIECE_BYTES_MAX { Err(Error::Length) } else { self.take(bytes) }
    }

    fn optional(&mut self) -> Result<Option<&'b [u8]>, Error> {
        if self.flag()? { self.piece().map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests;
