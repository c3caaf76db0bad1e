//! How keys and values look inside etcd.
//!
//! A key is the configured prefix and then the store's key. A value carries, before the store's value, one byte for
//! this layout and the id of the commit that wrote it: that is how a commit whose answer was lost is found again.

use bytes::Bytes;
use etcd_client::KeyValue;
use headland_proto::revision::Revision;
use uuid::Uuid;

use crate::store::{Entry, StoreError};

/// The layout of values that this program reads and writes.
const LAYOUT: u8 = 1;

/// What stands before the store's own value: the layout and the commit.
const ENVELOPE_BYTES: usize = 1 + 16;

/// Keys below the configured prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The store's key as etcd's.
    pub(super) fn in_etcd(&self, key: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), key.as_bytes()].concat()
    }

    /// The keys from `after` (exclusive) on that begin with `prefix`, as etcd's range `[start, end)`.
    pub(super) fn range(&self, prefix: &str, after: Option<&str>) -> (Vec<u8>, Vec<u8>) {
        let mut start = self.in_etcd(prefix);
        let mut end = start.clone();
        // The prefix is never empty, and no byte of UTF-8 is 0xff.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        if let Some(after) = after.filter(|after| *after >= prefix) {
            start = self.in_etcd(after);
            start.push(0);
        }
        (start, end)
    }

    /// etcd's key as the store's.
    pub(super) fn in_store(&self, key: &[u8]) -> Result<String, StoreError> {
        std::str::from_utf8(key)
            .ok()
            .and_then(|key| key.strip_prefix(&self.prefix))
            .map(str::to_owned)
            .ok_or_else(|| foreign(key))
    }

    /// What etcd has under a key.
    pub(super) fn entry(&self, stored: KeyValue) -> Result<Entry, StoreError> {
        let modified = revision(stored.mod_revision());
        let (key, value) = stored.into_key_value();
        let Some((_, value)) = unwrap(Bytes::from(value)) else {
            return Err(foreign(&key));
        };
        Ok(Entry { key: self.in_store(&key)?, value, modified })
    }
}

/// The value as it is stored: with the commit that wrote it.
pub(super) fn wrap(commit: Uuid, value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(ENVELOPE_BYTES + value.len());
    stored.push(LAYOUT);
    stored.extend_from_slice(commit.as_bytes());
    stored.extend_from_slice(value);
    stored
}

/// The commit and the value, or `None` if something else wrote this.
pub(super) fn unwrap(stored: Bytes) -> Option<(Uuid, Bytes)> {
    let (layout, rest) = stored.split_first()?;
    let id = Uuid::from_slice(rest.get(..16)?).ok()?;
    (*layout == LAYOUT).then(|| (id, stored.slice(ENVELOPE_BYTES..)))
}

/// etcd's revisions are positive.
pub(super) fn revision(etcd: i64) -> Revision {
    Revision(u64::try_from(etcd).unwrap_or(0))
}

/// The revision as etcd wants it.
pub(super) fn etcd_revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// Somebody put a key of their own among ours. Acting on what is left of ours could take a site away, so this is an error.
pub(super) fn foreign(key: &[u8]) -> StoreError {
    StoreError::Failed {
        reason: format!("etcd's key {:?} was not written by headland", String::from_utf8_lossy(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_exactly_the_keys_that_were_asked_for() {
        let keys = Keys::new("/h/".to_owned());
        let cases = [
            ("", None, "/h/", "/h0"),
            ("d/", None, "/h/d/", "/h/d0"),
            ("d/", Some("d/5"), "/h/d/5\0", "/h/d0"),
            ("d/", Some("a"), "/h/d/", "/h/d0"),
            ("d/", Some("x"), "/h/x\0", "/h/d0"),
            ("", Some("x"), "/h/x\0", "/h0"),
        ];
        for (prefix, after, start, end) in cases {
            let expected = (start.as_bytes().to_vec(), end.as_bytes().to_vec());
            assert_eq!(keys.range(prefix, after), expected, "{prefix:?} after {after:?}");
        }
        let (start, end) = keys.range("\u{10FFFF}", None);
        assert!(start < end);
    }

    #[test]
    fn keys_come_back_as_they_went() {
        let keys = Keys::new("/h/".to_owned());
        for key in ["", "a", "d/é", "/h/"] {
            assert_eq!(keys.in_store(&keys.in_etcd(key)).unwrap(), key);
        }
        assert!(keys.in_store(b"/x/a").is_err());
        assert!(keys.in_store(b"/h/\xff").is_err());
    }

    #[test]
    fn values_carry_their_commit() {
        let id = Uuid::new_v4();
        for value in [&b""[..], b"x", b"\x01\x02"] {
            let stored = Bytes::from(wrap(id, value));
            assert_eq!(unwrap(stored), Some((id, Bytes::copy_from_slice(value))));
        }
        for foreign in
            [&b""[..], b"\x01", b"\x01 sixteen bytes.", b"something that somebody put there by hand"]
        {
            assert_eq!(unwrap(Bytes::from_static(foreign)).map(|(id, _)| id), None, "{foreign:?}");
        }
    }
}
