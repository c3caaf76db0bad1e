//! Variants: the stored responses of one key, which differ in the request headers they were chosen by (RFC 9111 section 4.1).

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use http::HeaderMap;

use super::object::Object;
use crate::clock::Timestamp;

/// Responses kept of one key; of more the oldest go. An origin that varies by something like User-Agent must not fill the cache with
/// one page.
pub const VARIANTS_MAX: usize = 32;

/// The stored responses of one key, the most recent first. There is always one.
#[derive(Debug, Clone)]
pub enum Variants {
    /// As nearly always.
    One(Arc<Object>),
    /// Several, or what is no response at all but a block of one.
    Many(Arc<Many>),
}

/// What a count of keys would count wrongly: not as one response.
#[derive(Debug)]
pub struct Many {
    list: Box<[Arc<Object>]>,
    /// By how many responses a count of keys is wrong.
    counted: Arc<AtomicI64>,
    responses: i64,
}

impl Many {
    fn new(list: Vec<Arc<Object>>, responses: i64, counted: &Arc<AtomicI64>) -> Arc<Self> {
        counted.fetch_add(responses - 1, Ordering::Relaxed);
        Arc::new(Self { list: list.into(), counted: Arc::clone(counted), responses })
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        self.counted.fetch_sub(self.responses - 1, Ordering::Relaxed);
    }
}

impl Variants {
    /// These responses, if there are any; `counted` is told how many more than one they are.
    pub(crate) fn new(mut list: Vec<Arc<Object>>, counted: &Arc<AtomicI64>) -> Option<Self> {
        if list.len() <= 1 {
            return list.pop().map(Self::One);
        }
        let responses = i64::try_from(list.len()).unwrap_or(i64::MAX);
        Some(Self::Many(Many::new(list, responses, counted)))
    }

    /// A block of a response, which counts for none.
    pub(crate) fn block(block: Arc<Object>, counted: &Arc<AtomicI64>) -> Self {
        Self::Many(Many::new(vec![block], 0, counted))
    }

    /// How many responses there are.
    pub(crate) fn responses(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => u64::try_from(many.responses).unwrap_or(0),
        }
    }

    /// All of them, the most recent first.
    #[must_use]
    pub fn as_slice(&self) -> &[Arc<Object>] {
        match self {
            Self::One(object) => std::slice::from_ref(object),
            Self::Many(many) => &many.list,
        }
    }

    /// The most recent one that was chosen by headers which this request has too.
    #[must_use]
    pub fn select(&self, request: &HeaderMap) -> Option<&Arc<Object>> {
        self.as_slice().iter().find(|object| object.head.answers(request))
    }
}

/// What is kept of `old` when `new` comes, `new` included: no response that it replaces, none whose time is over, no more than
/// [`VARIANTS_MAX`], and no more bytes than `bytes_max` unless it is `new` alone. A response that was asked for before one that it would
/// replace comes too late.
pub(crate) fn with(
    old: &[Arc<Object>],
    new: Arc<Object>,
    bytes_max: u64,
    now: Timestamp,
) -> Vec<Arc<Object>> {
    // A response that does not vary answers for all, and one that does shows that those before it which did not were wrong to.
    let replaced = |object: &Object| {
        new.head.vary().is_none() || object.head.vary().is_none() || object.head.vary() == new.head.vary()
    };
    if old.iter().any(|object| replaced(object) && object.head.timing().request > new.head.timing().request) {
        return old.to_vec();
    }
    let mut kept: Vec<_> =
        old.iter().filter(|object| !replaced(object) && object.head.kept_until() > now).cloned().collect();
    kept.insert(kept.partition_point(|object| object.head.date() > new.head.date()), Arc::clone(&new));
    let mut bytes = new.weight(&[]);
    let mut others = VARIANTS_MAX - 1;
    kept.retain(|object| {
        if Arc::ptr_eq(object, &new) {
            return true;
        }
        bytes = bytes.saturating_add(object.weight(&[]));
        let keep = others > 0 && bytes <= bytes_max;
        others -= usize::from(keep);
        keep
    });
    kept
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::{object::Unpacked, vary::Vary};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("value"));
        }
        map
    }

    /// Generated at this second, for requests with this value of "x"; the length of the body tells it from others.
    fn object(date: u64, x: Option<&str>, bytes: usize) -> Arc<Object> {
        let at = Timestamp::from_unix_seconds(date);
        let vary =
            x.and_then(|x| Vary::of(&headers(&[("vary", "x")]), &headers(&[("x", x)])).expect("readable"));
        let head = Unpacked { vary, ..Unpacked::sample(at, Duration::from_secs(60)) }.pack();
        Arc::new(Object::new(head, &[bytes::Bytes::from(vec![0; bytes])], bytes as u64))
    }

    fn check(old: &[&Arc<Object>], new: &Arc<Object>, expected: &[&Arc<Object>]) {
        let old: Vec<_> = old.iter().map(|&o| Arc::clone(o)).collect();
        let kept = with(&old, Arc::clone(new), 100_000, Timestamp::from_unix_seconds(50));
        let dates =
            |list: &[Arc<Object>]| list.iter().map(|o| o.head.date().unix_seconds()).collect::<Vec<_>>();
        assert!(
            kept.len() == expected.len() && kept.iter().zip(expected).all(|(k, e)| Arc::ptr_eq(k, e)),
            "{:?}",
            dates(&kept)
        );
    }

    #[test]
    fn a_new_response_replaces_those_it_answers_for() {
        let [a, b, newer_a] = [object(10, Some("a"), 1), object(11, Some("b"), 1), object(12, Some("a"), 1)];
        let plain = object(13, None, 1);
        check(&[], &a, &[&a]);
        check(&[&a], &b, &[&b, &a]);
        check(&[&b, &a], &newer_a, &[&newer_a, &b]);
        check(&[&b, &a], &plain, &[&plain]);
        check(&[&plain], &newer_a, &[&plain]);
        check(&[&a], &plain, &[&plain]);
    }

    #[test]
    fn what_was_asked_for_earlier_comes_too_late() {
        let [earlier, later] = [object(10, Some("a"), 1), object(12, Some("a"), 1)];
        check(&[&later], &earlier, &[&later]);
    }

    /// RFC 9111 section 4: the most recent by Date comes first.
    #[test]
    fn the_most_recent_is_found_first() {
        let [older, newer] = [object(10, Some("a"), 1), object(11, Some("b"), 1)];
        check(&[&newer], &older, &[&newer, &older]);
    }

    #[test]
    fn what_is_over_too_many_or_too_large_goes() {
        let expired = object(0, Some("x"), 1);
        let live = object(1, Some("y"), 1);
        let at = Timestamp::from_unix_seconds(60);
        assert_eq!(with(&[Arc::clone(&expired), live], object(2, Some("z"), 1), 100_000, at).len(), 2);
        let many: Vec<_> = (0..100).map(|i| object(i, Some(&format!("v{i}")), 1)).collect();
        let kept = with(&many, object(200, Some("z"), 1), 1 << 30, Timestamp::default());
        assert_eq!(kept.len(), VARIANTS_MAX);
        let large = object(5, Some("large"), 90_000);
        check(&[&object(4, Some("b"), 20_000)], &large, &[&large]);
        let too_large = object(5, Some("large"), 200_000);
        check(&[], &too_large, &[&too_large]);
    }

    #[test]
    fn variants_beyond_the_first_are_counted_while_they_are_kept() {
        let counted = Arc::default();
        let list = vec![object(1, Some("a"), 1), object(2, Some("b"), 1)];
        let variants = Variants::new(list, &counted).expect("some");
        assert_eq!(counted.load(Ordering::Relaxed), 1);
        let picked = variants.select(&headers(&[("x", "b")])).expect("fits");
        assert_eq!(picked.head.date().unix_seconds(), 2);
        assert!(variants.select(&headers(&[("x", "c")])).is_none());
        drop(variants);
        assert_eq!(counted.load(Ordering::Relaxed), 0);
        assert!(Variants::new(Vec::new(), &counted).is_none());
    }
}
