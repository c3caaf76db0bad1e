//! Cutting an update into parts that fit into messages.

use std::sync::Arc;

use headland_proto::{
    limits::SYNC_PART_BYTES_MAX,
    v1::{DesiredDistribution, DesiredResource, Update},
};
use prost::Message;

use super::cursor::Outgoing;

/// What one id or one distribution costs besides its own bytes: tag and length.
const FRAME_BYTES: usize = 8;

/// The parts of one update, made one at a time so that only one of them is held encoded.
#[derive(Debug)]
pub(crate) struct Parts {
    head: Update,
    resources: std::vec::IntoIter<Arc<DesiredResource>>,
    deleted_resources: std::vec::IntoIter<headland_proto::id::ResourceId>,
    distributions: std::vec::IntoIter<Arc<DesiredDistribution>>,
    deleted: std::vec::IntoIter<headland_proto::id::DistributionId>,
    bytes_max: usize,
    done: bool,
}

impl Parts {
    /// Parts of at most [`SYNC_PART_BYTES_MAX`].
    #[must_use]
    pub(crate) fn new(outgoing: Outgoing) -> Self {
        Self::with_bytes_max(outgoing, SYNC_PART_BYTES_MAX)
    }

    fn with_bytes_max(Outgoing { span, rewind }: Outgoing, bytes_max: usize) -> Self {
        let head = Update {
            from_revision: span.from.0,
            to_revision: span.to.0,
            whole: span.whole,
            rewind,
            ..Update::default()
        };
        Self {
            head,
            resources: span.resources.into_iter(),
            deleted_resources: span.deleted_resources.into_iter(),
            distributions: span.distributions.into_iter(),
            deleted: span.deleted.into_iter(),
            bytes_max,
            done: false,
        }
    }
}

impl Iterator for Parts {
    type Item = Update;

    fn next(&mut self) -> Option<Update> {
        if self.done {
            return None;
        }
        let mut part = self.head.clone();
        let mut bytes = 0;
        // A part holds at least one thing, so that a large one cannot stop the rest.
        let mut fits = |more: usize| {
            let first = bytes == 0;
            bytes += more + FRAME_BYTES;
            first || bytes <= self.bytes_max
        };
        while let Some(next) = self.resources.as_slice().first() {
            if !fits(next.encoded_len()) {
                return Some(part);
            }
            part.resources.extend(self.resources.next().map(|r| (*r).clone()));
        }
        while let Some(next) = self.deleted_resources.as_slice().first() {
            if !fits(next.as_str().len()) {
                return Some(part);
            }
            part.deleted_resource_ids.extend(self.deleted_resources.next().map(|id| id.to_string()));
        }
        while let Some(next) = self.distributions.as_slice().first() {
            if !fits(next.encoded_len()) {
                return Some(part);
            }
            part.distributions.extend(self.distributions.next().map(|d| (*d).clone()));
        }
        while let Some(next) = self.deleted.as_slice().first() {
            if !fits(next.as_str().len()) {
                return Some(part);
            }
            part.deleted_distribution_ids.extend(self.deleted.next().map(|id| id.to_string()));
        }
        self.done = true;
        part.last = true;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use headland_proto::revision::Revision;
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::state::Span;

    fn outgoing(sizes: &[usize], deleted: usize) -> Outgoing {
        let resources = sizes
            .iter()
            .map(|size| Arc::new(DesiredResource { id: "r".repeat(*size), ..Default::default() }));
        let distributions = sizes
            .iter()
            .map(|size| Arc::new(DesiredDistribution { id: "x".repeat(*size), ..Default::default() }));
        let span = Span {
            from: Revision(3),
            to: Revision(9),
            whole: false,
            distributions: distributions.collect(),
            deleted: vec!["EAAAAAAAAAAAAA".parse().unwrap(); deleted],
            resources: resources.collect(),
            deleted_resources: vec!["658327ea-f89d-4fab-a63d-7e88639e58f6".parse().unwrap(); deleted],
        };
        Outgoing { span, rewind: false }
    }

    #[test]
    fn nothing_at_all_is_still_one_part() {
        let parts: Vec<Update> = Parts::new(outgoing(&[], 0)).collect();
        assert_eq!(parts.len(), 1);
        assert!(parts[0].last);
    }

    #[test]
    fn one_that_is_too_large_goes_alone() {
        let parts: Vec<Update> = Parts::with_bytes_max(outgoing(&[10, 500, 10], 0), 100).collect();
        let counts: Vec<_> = parts.iter().map(|p| (p.resources.len(), p.distributions.len())).collect();
        assert_eq!(counts, [(1, 0), (1, 0), (1, 1), (0, 1), (0, 1)]);
    }

    proptest! {
        #[test]
        fn parts_hold_everything_in_order_and_stay_small(
            sizes in proptest::collection::vec(0usize..60, 0..30), deleted in 0usize..30,
        ) {
            let outgoing = outgoing(&sizes, deleted);
            let parts: Vec<Update> = Parts::with_bytes_max(outgoing, 100).collect();
            let joined: Vec<usize> =
                parts.iter().flat_map(|p| &p.distributions).map(|d| d.id.len()).collect();
            prop_assert_eq!(&joined, &sizes);
            let joined: Vec<usize> = parts.iter().flat_map(|p| &p.resources).map(|r| r.id.len()).collect();
            prop_assert_eq!(joined, sizes);
            prop_assert_eq!(parts.iter().map(|p| p.deleted_resource_ids.len()).sum::<usize>(), deleted);
            prop_assert_eq!(parts.iter().map(|p| p.deleted_distribution_ids.len()).sum::<usize>(), deleted);
            for (i, part) in parts.iter().enumerate() {
                prop_assert_eq!(part.last, i + 1 == parts.len());
                prop_assert_eq!((part.from_revision, part.to_revision), (3, 9));
                let head = Update { from_revision: 3, to_revision: 9, last: true, ..Default::default() };
                prop_assert!(part.encoded_len() <= 100 + head.encoded_len());
            }
        }
    }
}
