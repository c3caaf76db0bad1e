//! Origin groups: origins that stand in for one another.

use http::StatusCode;

use super::violation::Checker;
use crate::{
    limits::{ORIGIN_GROUP_MEMBERS, ORIGIN_GROUPS_MAX, ORIGIN_ID_CHARS_MAX},
    v1,
};

/// The status codes that can make a group go on to its next origin (CloudFront guide, "Optimize high availability with CloudFront origin
/// failover").
pub const FAILOVER_CODES: [u16; 9] = [400, 403, 404, 416, 429, 500, 502, 503, 504];

/// A checked origin group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginGroup {
    /// Its id.
    pub id: String,
    /// Indices of its members in the distribution's origins, in the order in which they are tried; at least two.
    pub members: Vec<usize>,
    /// Answers for which the next one is asked.
    pub failover_codes: Vec<StatusCode>,
}

/// The groups that check out, each at its own index, and all ids, so that references to a faulty group still resolve.
pub(super) fn check<'w>(
    wire: &'w [v1::OriginGroup],
    origin_ids: &[&str],
    c: &mut Checker<'_>,
) -> (Vec<Option<OriginGroup>>, Vec<&'w str>) {
    c.count_max(wire.len(), ORIGIN_GROUPS_MAX);
    let ids: Vec<&str> = wire.iter().map(|group| group.id.as_str()).collect();
    let groups = wire.iter().enumerate().map(|(i, group)| {
        let mut c = c.index(i);
        let mut id = c.field("id");
        id.ensure(!group.id.is_empty(), || "is required; cache behaviors refer to the group by it".into());
        id.chars_max(&group.id, ORIGIN_ID_CHARS_MAX);
        id.printable(&group.id);
        let taken = ids[..i].contains(&group.id.as_str()) || origin_ids.contains(&group.id.as_str());
        id.ensure(group.id.is_empty() || !taken, || {
            format!("{:?} is the id of an origin or of an earlier group", group.id)
        });
        let members = check_members(&group.member_origin_ids, origin_ids, &mut c.field("member_origin_ids"));
        let failover_codes = check_codes(&group.failover_status_codes, &mut c.field("failover_status_codes"));
        Some(OriginGroup { id: group.id.clone(), members: members?, failover_codes })
    });
    (groups.collect(), ids)
}

fn check_members(wire: &[String], origin_ids: &[&str], c: &mut Checker<'_>) -> Option<Vec<usize>> {
    let (min, max) = ORIGIN_GROUP_MEMBERS;
    c.ensure((min..=max).contains(&wire.len()), || {
        format!("has {} entries; a group has {min} to {max}", wire.len())
    });
    let mut members = Vec::with_capacity(wire.len().min(max));
    for (i, id) in wire.iter().enumerate() {
        match origin_ids.iter().position(|origin| origin == id) {
            None => c.index(i).violation(format!("{id:?} is not the id of one of the origins")),
            Some(index) if members.contains(&index) => c.index(i).violation(format!("{id:?} is named twice")),
            Some(index) => members.push(index),
        }
    }
    (members.len() >= min).then_some(members)
}

fn check_codes(wire: &[u32], c: &mut Checker<'_>) -> Vec<StatusCode> {
    let mut codes = Vec::new();
    c.count_max(wire.len(), FAILOVER_CODES.len());
    for (i, code) in wire.iter().enumerate().take(2 * FAILOVER_CODES.len()) {
        let status = u16::try_from(*code).ok().filter(|code| FAILOVER_CODES.contains(code));
        match status.and_then(|code| StatusCode::from_u16(code).ok()) {
            None => {
                let allowed: Vec<String> = FAILOVER_CODES.iter().map(u16::to_string).collect();
                c.index(i)
                    .violation(format!("{code} is not possible here; use some of {}", allowed.join(", ")));
            }
            Some(status) if codes.contains(&status) => c.index(i).violation(format!("{code} is named twice")),
            Some(status) => codes.push(status),
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::violation::Violations;

    fn group(id: &str, members: &[&str], codes: &[u32]) -> v1::OriginGroup {
        v1::OriginGroup {
            id: id.into(),
            member_origin_ids: members.iter().map(|&m| m.into()).collect(),
            failover_status_codes: codes.to_vec(),
        }
    }

    fn check(wire: &[v1::OriginGroup], expected: &[&str]) -> Vec<Option<OriginGroup>> {
        let mut found = Violations::default();
        let (groups, _) = super::check(wire, &["a", "b", "c"], &mut Checker::new(&mut found));
        let fields: Vec<&str> = found.list().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, expected, "{found}");
        groups
    }

    #[test]
    fn members_are_found_by_their_ids() {
        let groups = check(&[group("g", &["c", "a"], &[500, 404])], &[]);
        let group = groups[0].as_ref().expect("a group");
        assert_eq!((&group.members, group.failover_codes.len()), (&vec![2, 0], 2));
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let wire =
            [group("a", &["a", "a"], &[404, 404]), group("", &["a"], &[301]), group("g", &["a", "x"], &[])];
        check(
            &wire,
            &[
                "[0].id",
                "[0].member_origin_ids[1]",
                "[0].failover_status_codes[1]",
                "[1].id",
                "[1].member_origin_ids",
                "[1].failover_status_codes[0]",
                "[2].member_origin_ids[1]",
            ],
        );
        check(&[group("g", &["a", "b"], &[]), group("g", &["a", "b"], &[])], &["[1].id"]);
    }
}
