//! Parts: stored responses that hold some bytes of an object, and what becomes of two of them (RFC 9111 section 3.3, RFC 9110
//! section 15.3.7.3).

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use http::header;

use super::{
    fields::Fields,
    object::{Head, Object},
};

/// Which bytes of an object a stored response holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The bytes. Never empty.
    pub bytes: Range<u64>,
    /// Length of the whole object.
    pub length: u64,
}

impl Part {
    /// Whether it has all of these bytes.
    #[must_use]
    pub fn covers(&self, wanted: &Range<u64>) -> bool {
        self.bytes.start <= wanted.start && wanted.end <= self.bytes.end
    }

    /// Whether it is the whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes == (0..self.length)
    }
}

/// What two responses hold together, if they are parts of the very same bytes and leave no gap: they share a strong entity tag.
#[must_use]
pub fn union(old: &Head, new: &Head) -> Option<Part> {
    let (old_part, new_part) = (old.part()?, new.part()?);
    let tag = strong_tag(old)?;
    let touching = old_part.bytes.start <= new_part.bytes.end && new_part.bytes.start <= old_part.bytes.end;
    let same = strong_tag(new) == Some(tag) && old_part.length == new_part.length;
    (same && touching).then(|| Part {
        bytes: old_part.bytes.start.min(new_part.bytes.start)..old_part.bytes.end.max(new_part.bytes.end),
        length: new_part.length,
    })
}

/// The bytes of two responses together, in pieces that are not copied: those of `new` where both have them.
#[must_use]
pub fn combine(old: &Arc<Object>, new: &Arc<Object>) -> Vec<Bytes> {
    let (Some(old_part), Some(new_part)) = (old.head.part(), new.head.part()) else {
        return slices(new, 0..new.body_bytes());
    };
    let before = 0..new_part.bytes.start.saturating_sub(old_part.bytes.start);
    let after_new = new_part.bytes.end.clamp(old_part.bytes.start, old_part.bytes.end) - old_part.bytes.start;
    let all = [(old, before), (new, 0..new.body_bytes()), (old, after_new..old.body_bytes())];
    all.into_iter().flat_map(|(object, wanted)| slices(object, wanted)).collect()
}

fn slices(object: &Arc<Object>, wanted: Range<u64>) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut position = wanted.start;
    while position < wanted.end
        && let Some(mut bytes) = object.body_from(position)
    {
        bytes.truncate(usize::try_from(wanted.end - position).unwrap_or(usize::MAX));
        position += bytes.len() as u64;
        out.push(bytes);
    }
    out
}

fn strong_tag(head: &Head) -> Option<&[u8]> {
    let tag = head.first(&header::ETAG)?;
    tag.starts_with(b"\"").then_some(tag)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{cache::object::Unpacked, clock::Timestamp};

    const WHOLE: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    fn part(bytes: Range<u64>, tag: &str) -> Arc<Object> {
        let mut head = Unpacked::sample(Timestamp::default(), Duration::ZERO);
        head.headers.insert(header::ETAG, tag.parse().expect("tag"));
        head.part = Some(Part { bytes: bytes.clone(), length: WHOLE.len() as u64 });
        let range = usize::try_from(bytes.start).expect("fits")..usize::try_from(bytes.end).expect("fits");
        let body = [Bytes::from_static(&WHOLE[range])];
        Arc::new(Object::new(head.pack(), &body, bytes.end - bytes.start))
    }

    #[test]
    fn only_parts_of_the_same_bytes_that_touch_are_combined() {
        let check = |a: Arc<Object>, b: Arc<Object>, expected: Option<Range<u64>>| {
            assert_eq!(union(&a.head, &b.head).map(|u| u.bytes), expected);
        };
        check(part(0..5, "\"a\""), part(5..9, "\"a\""), Some(0..9));
        check(part(5..9, "\"a\""), part(0..5, "\"a\""), Some(0..9));
        check(part(0..9, "\"a\""), part(3..5, "\"a\""), Some(0..9));
        check(part(0..5, "\"a\""), part(6..9, "\"a\""), None);
        check(part(0..5, "\"a\""), part(5..9, "\"b\""), None);
        check(part(0..5, "W/\"a\""), part(5..9, "W/\"a\""), None);
    }

    proptest! {
        #[test]
        fn a_combination_is_the_bytes_it_says(a in 0u64..30, b in 1u64..6, c in 0u64..30, d in 1u64..6) {
            let (old, new) = (part(a..a + b, "\"t\""), part(c..c + d, "\"t\""));
            if let Some(union) = union(&old.head, &new.head) {
                let flat = combine(&old, &new).concat();
                let range = usize::try_from(union.bytes.start).expect("fits")..usize::try_from(union.bytes.end).expect("fits");
                prop_assert_eq!(&flat[..], &WHOLE[range]);
            }
        }
    }
}
