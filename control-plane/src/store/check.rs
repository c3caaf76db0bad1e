//! What both backends check before they touch anything, so that neither accepts what the other refuses.

use std::collections::HashSet;

use headland_proto::revision::Revision;

use super::{COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, Precondition, StoreError, Write};

/// Whether a commit is within the limits and writes no key twice.
pub(super) fn check_commit(preconditions: &[Precondition], writes: &[Write]) -> Result<(), StoreError> {
    let failed = |reason: String| Err(StoreError::Failed { reason });
    if writes.len() > COMMIT_WRITES_MAX || preconditions.len() > COMMIT_WRITES_MAX {
        return failed(format!(
            "a commit may have {COMMIT_WRITES_MAX} writes and as many preconditions, this one has {} and {}",
            writes.len(),
            preconditions.len()
        ));
    }
    let bytes = preconditions.iter().map(|precondition| key_of(precondition).len()).sum::<usize>()
        + writes.iter().map(bytes_of).sum::<usize>();
    if bytes > COMMIT_BYTES_MAX {
        return failed(format!("a commit may have {COMMIT_BYTES_MAX} bytes, this one has {bytes}"));
    }
    let mut written = HashSet::new();
    for write in writes {
        let (Write::Put { key, .. } | Write::Delete { key }) = write;
        if !written.insert(key) {
            return failed(format!("a commit may write a key once, this one writes {key:?} twice"));
        }
    }
    Ok(())
}

/// Whether a precondition holds for a key that was last written by `modified`, or does not exist.
pub(super) fn holds(precondition: &Precondition, modified: Option<Revision>) -> bool {
    match precondition {
        Precondition::Absent { .. } => modified.is_none(),
        Precondition::ModifiedAt { revision, .. } => modified == Some(*revision),
    }
}

/// The key that a precondition is about.
pub(super) fn key_of(precondition: &Precondition) -> &str {
    match precondition {
        Precondition::Absent { key } | Precondition::ModifiedAt { key, .. } => key,
    }
}

fn bytes_of(write: &Write) -> usize {
    match write {
        Write::Put { key, value } => key.len() + value.len(),
        Write::Delete { key } => key.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, bytes: usize) -> Write {
        Write::Put { key: key.to_owned(), value: vec![0; bytes].into() }
    }

    fn delete(key: &str) -> Write {
        Write::Delete { key: key.to_owned() }
    }

    #[test]
    fn a_commit_is_checked_before_it_is_tried() {
        let numbered = |count: usize| (0..count).map(|i| put(&i.to_string(), 0)).collect::<Vec<_>>();
        let cases: [(&str, Vec<Write>, bool); 7] = [
            ("nothing", vec![], true),
            ("two keys", vec![put("a", 1), delete("b")], true),
            ("one key twice", vec![put("a", 1), delete("a")], false),
            ("as many writes as allowed", numbered(COMMIT_WRITES_MAX), true),
            ("one write too many", numbered(COMMIT_WRITES_MAX + 1), false),
            ("as many bytes as allowed", vec![put("a", COMMIT_BYTES_MAX - 1)], true),
            ("one byte too many", vec![put("a", COMMIT_BYTES_MAX)], false),
        ];
        for (name, writes, accepted) in cases {
            assert_eq!(check_commit(&[], &writes).is_ok(), accepted, "{name}");
        }
    }

    #[test]
    fn preconditions_are_counted_too() {
        let many = vec![Precondition::Absent { key: "a".to_owned() }; COMMIT_WRITES_MAX + 1];
        assert!(check_commit(&many, &[]).is_err());
        assert!(check_commit(&many[1..], &[]).is_ok());
    }

    #[test]
    fn preconditions_hold_for_what_they_name() {
        let absent = Precondition::Absent { key: "a".to_owned() };
        let at_5 = Precondition::ModifiedAt { key: "a".to_owned(), revision: Revision(5) };
        assert!(holds(&absent, None));
        assert!(!holds(&absent, Some(Revision(5))));
        assert!(holds(&at_5, Some(Revision(5))));
        assert!(!holds(&at_5, Some(Revision(6))));
        assert!(!holds(&at_5, None));
    }
}
