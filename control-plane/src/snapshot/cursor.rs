//! How far one edge has been told, and what it must be told next: pure.

use headland_proto::{
    id::DistributionId,
    model::resources::{used_by, used_by_resource},
    revision::Revision,
};

use super::state::{Span, State};

/// One edge's place in the history of the desired state.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// What the edge has, or will have once it has read the stream; `None`: nothing of this cluster.
    at: Option<Revision>,
    epoch: u64,
    resend: Vec<DistributionId>,
    /// The edge has applied more than the state holds, and it is not known yet whether the state lags behind the store or
    /// the store has gone back.
    in_doubt: bool,
}

/// What to tell an edge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outgoing {
    /// The changes.
    pub(crate) span: Span,
    /// The edge is to accept it although it has applied more.
    pub(crate) rewind: bool,
}

impl Cursor {
    /// The place of an edge that has applied `at` of this cluster, and wants some distributions again.
    #[must_use]
    pub(crate) fn new(state: &State, at: Option<Revision>, resend: Vec<DistributionId>) -> Self {
        let in_doubt = at.is_some_and(|at| at > state.revision());
        Self { at, epoch: state.epoch(), resend, in_doubt }
    }

    /// Whether the edge is told nothing until [`Cursor::resolve`].
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// The state has been listed anew since the edge connected: an edge still ahead of it is ahead of the store.
    pub(crate) fn resolve(&mut self) {
        self.in_doubt = false;
    }

    /// What the edge must be told now, if anything; it counts as told from then on.
    pub(crate) fn next(&mut self, state: &State) -> Option<Outgoing> {
        if self.in_doubt {
            return None;
        }
        let continued = self.at.filter(|at| self.epoch == state.epoch() && state.can_count_from(*at));
        let resend = std::mem::take(&mut self.resend);
        let span = match continued {
            None => state.everything(),
            Some(at) => {
                let mut span = state.changes_since(at);
                for desired in resend.iter().filter_map(|id| state.get(id)) {
                    // What it refers to may be what was refused.
                    let used = desired.config.iter().flat_map(used_by);
                    let used = used.filter_map(|(_, id)| state.resource(id)).flat_map(|resource| {
                        let below = resource.config.iter().flat_map(used_by_resource);
                        below.filter_map(|(_, id)| state.resource(id)).chain([resource])
                    });
                    for resource in used {
                        if !span.resources.iter().any(|r| r.id == resource.id) {
                            span.resources.push(resource.clone());
                        }
                    }
                    if !span.distributions.iter().any(|d| d.id == desired.id) {
                        span.distributions.push(desired.clone());
                    }
                }
                if span.is_empty() {
                    return None;
                }
                span
            }
        };
        let rewind = span.whole && self.at.is_some_and(|at| at >= span.to);
        self.at = Some(span.to);
        self.epoch = state.epoch();
        Some(Outgoing { span, rewind })
    }
}

#[cfg(test)]
mod tests {
    use headland_proto::v1::DistributionRecord;

    use super::*;
    use crate::store::{
        Change, Entry, Listing,
        keys::{Key, Record},
    };

    const A: &str = "EAAAAAAAAAAAAA";
    const B: &str = "EBBBBBBBBBBBBB";

    fn entry(id: &str, revision: u64) -> Entry {
        let record = DistributionRecord { id: id.into(), ..Default::default() };
        let key = Key::Distribution(id.parse().unwrap()).to_string();
        Entry { key, value: record.to_value(), modified: Revision(revision) }
    }

    fn state() -> State {
        let mut state = State::default();
        let entries = vec![entry(A, 4)];
        state.reconcile("c", &Listing { entries, revision: Revision(10), more: false });
        state.apply(&Change::Put(entry(B, 12)));
        state
    }

    /// (from, to, whole, rewind, distributions) of what is told next.
    fn told(cursor: &mut Cursor, state: &State) -> Option<(u64, u64, bool, bool, Vec<String>)> {
        cursor.next(state).map(|Outgoing { span, rewind }| {
            let ids = span.distributions.iter().map(|d| d.id.clone()).collect();
            (span.from.0, span.to.0, span.whole, rewind, ids)
        })
    }

    fn cursor(state: &State, at: Option<u64>) -> Cursor {
        Cursor::new(state, at.map(Revision), Vec::new())
    }

    #[test]
    fn an_edge_is_told_what_it_lacks_and_then_nothing() {
        let state = state();
        let all = vec![A.to_owned(), B.to_owned()];
        let cases = [
            (None, Some((0, 12, true, false, all.clone()))),
            (Some(0), Some((0, 12, true, false, all.clone()))),
            (Some(9), Some((0, 12, true, false, all.clone()))),
            (Some(10), Some((10, 12, false, false, vec![B.to_owned()]))),
            (Some(12), None),
            (Some(13), Some((0, 12, true, true, all))),
        ];
        for (at, expected) in cases {
            let mut cursor = cursor(&state, at);
            cursor.resolve();
            assert_eq!(told(&mut cursor, &state), expected, "at {at:?}");
            assert_eq!(told(&mut cursor, &state), None, "again at {at:?}");
        }
    }

    #[test]
    fn an_edge_ahead_of_the_state_is_told_nothing_before_the_store_was_asked() {
        let mut state = state();
        let mut lagging = cursor(&state, Some(13));
        let mut gone_back = lagging.clone();
        assert!(lagging.is_in_doubt() && !cursor(&state, Some(12)).is_in_doubt());
        assert_eq!(told(&mut gone_back, &state), None);
        gone_back.resolve();
        let (.., rewind, _) = told(&mut gone_back, &state).unwrap();
        assert!(rewind, "the store has less than the edge");

        state.apply(&Change::Put(entry(A, 13)));
        lagging.resolve();
        assert_eq!(told(&mut lagging, &state), None, "the state has caught up");
    }

    #[test]
    fn an_empty_cluster_is_told_too_or_the_edge_would_never_serve() {
        let mut state = State::default();
        state.reconcile("c", &Listing { entries: Vec::new(), revision: Revision(1), more: false });
        assert_eq!(told(&mut cursor(&state, None), &state), Some((0, 1, true, false, Vec::new())));
    }

    #[test]
    fn refused_distributions_are_sent_again_once() {
        let state = state();
        let mut cursor = Cursor::new(&state, Some(Revision(12)), vec![A.parse().unwrap()]);
        assert_eq!(told(&mut cursor, &state), Some((12, 12, false, false, vec![A.to_owned()])));
        assert_eq!(told(&mut cursor, &state), None);
        let mut behind = Cursor::new(&state, Some(Revision(10)), vec![B.parse().unwrap()]);
        assert_eq!(told(&mut behind, &state), Some((10, 12, false, false, vec![B.to_owned()])));
    }

    #[test]
    fn a_new_epoch_tells_everything_and_rewinds_those_ahead() {
        let mut state = state();
        let mut current = cursor(&state, Some(12));
        assert_eq!(told(&mut current, &state), None);
        let entries = vec![entry(A, 4)];
        state.reconcile("c", &Listing { entries, revision: Revision(5), more: false });
        assert_eq!(told(&mut current, &state), Some((0, 5, true, true, vec![A.to_owned()])));
        assert_eq!(told(&mut current, &state), None);
    }
}
