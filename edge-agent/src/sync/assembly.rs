//! Collects the parts of an update until the last one has come.

use headland_proto::{revision::Revision, v1};
use prost::Message as _;

/// Encoded size of all parts of one update. Far above any fleet's configuration; guards the edge's memory.
pub(crate) const UPDATE_BYTES_MAX: usize = 512 << 20;
/// Distributions, resources and deleted ids of one update together, since even an empty entry takes memory.
pub(crate) const UPDATE_ENTRIES_MAX: usize = 1 << 20;
/// Parts of one update.
pub(crate) const UPDATE_PARTS_MAX: usize = 1 << 16;

/// An update with all its parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct WholeUpdate {
    /// What changed after this revision is contained.
    pub(crate) from: Revision,
    /// What changed up to this revision is contained.
    pub(crate) to: Revision,
    /// What is not named does not exist.
    pub(crate) whole: bool,
    /// The store has gone back: `to` may be below what was applied.
    pub(crate) rewind: bool,
    pub(crate) distributions: Vec<v1::DesiredDistribution>,
    pub(crate) deleted: Vec<String>,
    pub(crate) resources: Vec<v1::DesiredResource>,
    pub(crate) deleted_resources: Vec<String>,
}

/// Why parts do not make an update. The stream they came on cannot be trusted any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AssemblyError {
    #[error("collect an update: its parts carry different spans")]
    Interleaved,
    #[error("collect an update: its span ends at revision {to}, before it begins at {from}")]
    Backwards { from: Revision, to: Revision },
    #[error("collect an update: it is larger than this edge accepts ({what} above {max})")]
    TooLarge { what: &'static str, max: usize },
}

/// The parts that have come so far.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    update: Option<WholeUpdate>,
    parts: usize,
    bytes: usize,
}

impl Assembly {
    /// Adds a part; the update, if that was its last.
    pub(crate) fn add(&mut self, part: v1::Update) -> Result<Option<WholeUpdate>, AssemblyError> {
        self.parts += 1;
        self.bytes = self.bytes.saturating_add(part.encoded_len());
        let (from, to) = (Revision(part.from_revision), Revision(part.to_revision));
        if to < from && !part.whole {
            return Err(AssemblyError::Backwards { from, to });
        }
        let update = self.update.get_or_insert_with(|| WholeUpdate {
            from,
            to,
            whole: part.whole,
            rewind: part.rewind,
            ..WholeUpdate::default()
        });
        if (update.from, update.to, update.whole, update.rewind) != (from, to, part.whole, part.rewind) {
            return Err(AssemblyError::Interleaved);
        }
        update.distributions.extend(part.distributions);
        update.deleted.extend(part.deleted_distribution_ids);
        update.resources.extend(part.resources);
        update.deleted_resources.extend(part.deleted_resource_ids);
        let entries = update.distributions.len()
            + update.deleted.len()
            + update.resources.len()
            + update.deleted_resources.len();
        for (what, found, max) in [
            ("parts", self.parts, UPDATE_PARTS_MAX),
            ("bytes", self.bytes, UPDATE_BYTES_MAX),
            ("entries", entries, UPDATE_ENTRIES_MAX),
        ] {
            if found > max {
                return Err(AssemblyError::TooLarge { what, max });
            }
        }
        if !part.last {
            return Ok(None);
        }
        (self.parts, self.bytes) = (0, 0);
        Ok(self.update.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: u64, to: u64, ids: &[&str], last: bool) -> v1::Update {
        let distributions =
            ids.iter().map(|id| v1::DesiredDistribution { id: (*id).into(), ..Default::default() }).collect();
        v1::Update { from_revision: from, to_revision: to, distributions, last, ..Default::default() }
    }

    #[test]
    fn parts_are_one_update_once_the_last_has_come() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(part(3, 9, &["a", "b"], false)), Ok(None));
        assert_eq!(assembly.add(part(3, 9, &[], false)), Ok(None));
        let update = assembly.add(part(3, 9, &["c"], true)).unwrap().unwrap();
        assert_eq!((update.from, update.to), (Revision(3), Revision(9)));
        let ids: Vec<_> = update.distributions.iter().map(|d| d.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        let next = assembly.add(part(9, 10, &["d"], true)).unwrap().unwrap();
        assert_eq!(next.distributions.len(), 1, "nothing is left of the update before");
    }

    #[test]
    fn parts_of_different_spans_are_refused() {
        for other in [
            part(4, 9, &[], true),
            part(3, 10, &[], true),
            v1::Update { whole: true, ..part(3, 9, &[], true) },
            v1::Update { rewind: true, ..part(3, 9, &[], true) },
        ] {
            let mut assembly = Assembly::default();
            assembly.add(part(3, 9, &["a"], false)).unwrap();
            assert_eq!(assembly.add(other), Err(AssemblyError::Interleaved));
        }
    }

    #[test]
    fn a_span_that_runs_backwards_is_refused() {
        let refused = Assembly::default().add(part(9, 3, &[], true));
        assert_eq!(refused, Err(AssemblyError::Backwards { from: Revision(9), to: Revision(3) }));
        let whole = v1::Update { whole: true, ..part(9, 3, &[], true) };
        assert!(Assembly::default().add(whole).is_ok(), "a whole update has no beginning");
    }

    #[test]
    fn an_update_without_end_is_refused() {
        let mut assembly = Assembly::default();
        for _ in 0..UPDATE_PARTS_MAX {
            assembly.add(part(1, 2, &[], false)).unwrap();
        }
        let refused = assembly.add(part(1, 2, &[], false));
        assert_eq!(refused, Err(AssemblyError::TooLarge { what: "parts", max: UPDATE_PARTS_MAX }));
    }
}
