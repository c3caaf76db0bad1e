//! The CloudFront-* headers that policies name: which of them edges add, and what they depend on.

use headland_proto::model::{EDGE_HEADER_PREFIX, EdgeHeader};

use super::report::Place;

/// What https is to an edge.
pub(super) const HTTPS: &str =
    "https is what a trusted proxy in front of an edge says it was; edges end no TLS (docs/viewers.md)";
/// What edges know of where viewers are.
pub(super) const PLACES: &str =
    "where viewers are is read from a database of addresses that each edge is given (docs/viewers.md)";

/// What a header is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It tells objects apart.
    Key,
    /// It reaches the origin.
    Forward,
}

/// Leaves out those of CloudFront's headers that edges do not add, and tells of each.
pub(super) fn keep_added(names: &mut Vec<String>, purpose: Purpose, place: &mut Place<'_>) {
    names.retain(|name| {
        let start = name.get(..EDGE_HEADER_PREFIX.len());
        if !start.is_some_and(|start| start.eq_ignore_ascii_case(EDGE_HEADER_PREFIX)) {
            return true;
        }
        let known = EdgeHeader::ALL.iter().find(|header| header.as_str().eq_ignore_ascii_case(name));
        match known {
            None => place.unsupported(format!("{name}: edges do not add it, and it is left out")),
            Some(header) if purpose == Purpose::Key && !header.is_keyable() => {
                place.unsupported(format!("{name}: it cannot tell objects apart, and is left out"));
                return false;
            }
            Some(header) if header.is_about_the_place() || *header == EdgeHeader::ViewerAsn => {
                place.differs(format!("{name}: {PLACES}; without one it is missing"));
            }
            Some(EdgeHeader::ForwardedProto) => place.differs(format!("{name}: {HTTPS}")),
            Some(_) => {}
        }
        known.is_some()
    });
}
