//! What an edge says of itself when it connects, checked.

use std::fmt::Display;

use headland_proto::{
    id::DistributionId,
    limits::{LOCATION_CHARS_MAX, RESEND_MAX, VIEWER_URL_CHARS_MAX},
    model::Violations,
    revision::Revision,
    v1,
};
use uuid::Uuid;

/// Characters of an agent's version.
const AGENT_VERSION_CHARS_MAX: usize = 64;

/// A checked `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Who it is.
    pub(crate) edge_id: Uuid,
    /// Where it stands.
    pub(crate) location: String,
    /// Where viewers reach it.
    pub(crate) viewer_url: String,
    /// Where other edges can ask it; empty if they cannot.
    pub(crate) peer_url: String,
    /// Which program it runs.
    pub(crate) agent_version: String,
    /// What it has applied, and of which cluster; `None` if nothing.
    pub(crate) applied: Option<(String, Revision)>,
    /// What it refused earlier and wants again.
    pub(crate) resend: Vec<DistributionId>,
}

impl Greeting {
    /// What it has applied of this cluster.
    #[must_use]
    pub(crate) fn applied_of(&self, cluster_id: &str) -> Option<Revision> {
        let (_, revision) = self.applied.as_ref().filter(|(cluster, _)| cluster == cluster_id)?;
        Some(*revision)
    }
}

impl TryFrom<v1::Hello> for Greeting {
    type Error = Violations;

    fn try_from(hello: v1::Hello) -> Result<Self, Violations> {
        let mut found = Violations::default();
        let edge_id = match Uuid::try_parse(&hello.edge_id) {
            Ok(id) if !id.is_nil() => id,
            _ => {
                found.add("hello.edge_id", "must be a UUID, and not the nil one");
                Uuid::nil()
            }
        };
        check_text(&mut found, "hello.location", &hello.location, LOCATION_CHARS_MAX);
        check_text(&mut found, "hello.viewer_url", &hello.viewer_url, VIEWER_URL_CHARS_MAX);
        check_text(&mut found, "hello.peer_url", &hello.peer_url, VIEWER_URL_CHARS_MAX);
        if !hello.peer_url.is_empty() && !hello.peer_url.starts_with("http://") {
            found.add("hello.peer_url", "must begin with http://");
        }
        let web = ["http://", "https://"].iter().any(|scheme| hello.viewer_url.starts_with(scheme));
        if !hello.viewer_url.is_empty() && !web {
            found.add("hello.viewer_url", "must begin with http:// or https://");
        }
        check_text(&mut found, "hello.agent_version", &hello.agent_version, AGENT_VERSION_CHARS_MAX);
        let has_cluster = !hello.cluster_id.is_empty();
        if has_cluster && Uuid::try_parse(&hello.cluster_id).is_err() {
            found.add("hello.cluster_id", "must be a UUID, or empty");
        }
        let revision = Revision(hello.applied_revision);
        let applied = (has_cluster && revision > Revision::ZERO).then_some((hello.cluster_id, revision));
        let resend = check_resend(&mut found, &hello.resend_distribution_ids);
        found.into_result(Self {
            edge_id,
            location: hello.location,
            viewer_url: hello.viewer_url,
            peer_url: hello.peer_url,
            agent_version: hello.agent_version,
            applied,
            resend,
        })
    }
}

fn check_text(found: &mut Violations, field: &str, text: &str, chars_max: usize) {
    let chars = text.chars().count();
    if chars > chars_max {
        found.add(field, format!("has {chars} characters; at most {chars_max} are allowed"));
    }
    if text.chars().any(char::is_control) {
        found.add(field, "contains control characters; remove them");
    }
}

fn check_resend(found: &mut Violations, ids: &[String]) -> Vec<DistributionId> {
    let field = "hello.resend_distribution_ids";
    if ids.len() > RESEND_MAX {
        found.add(field, format!("has {} entries; at most {RESEND_MAX} are allowed", ids.len()));
        return Vec::new();
    }
    let mut resend = Vec::with_capacity(ids.len());
    for (i, id) in ids.iter().enumerate() {
        match id.parse() {
            Ok(id) => resend.push(id),
            Err(error) => found.add(format!("{field}[{i}]"), IsA(error).to_string()),
        }
    }
    resend
}

/// Puts "is" before a noun.
struct IsA<E>(E);

impl<E: Display> Display for IsA<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "is {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> v1::Hello {
        v1::Hello {
            edge_id: "4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a01".into(),
            location: "fra1".into(),
            viewer_url: "http://192.0.2.7:8080".into(),
            peer_url: "http://192.0.2.7:8081".into(),
            agent_version: "0.1.0".into(),
            cluster_id: "4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a02".into(),
            applied_revision: 7,
            resend_distribution_ids: vec!["EABCDEFGHIJKLM".into()],
        }
    }

    #[test]
    fn a_sound_greeting_is_accepted() {
        let greeting = Greeting::try_from(hello()).unwrap();
        assert_eq!(greeting.applied_of("4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a02"), Some(Revision(7)));
        assert_eq!(greeting.applied_of("another"), None);
        assert_eq!(greeting.resend.len(), 1);
    }

    #[test]
    fn an_edge_that_has_nothing_has_nothing_of_any_cluster() {
        for (cluster, revision) in [("", 0), ("", 7), ("4b1c5b0e-0d5b-4c59-9f0e-0a4f5a0d6a02", 0)] {
            let hello = v1::Hello { cluster_id: cluster.into(), applied_revision: revision, ..hello() };
            assert_eq!(Greeting::try_from(hello).unwrap().applied, None);
        }
    }

    #[test]
    fn every_violation_is_listed() {
        let bad = v1::Hello {
            edge_id: "fra1".into(),
            location: "x".repeat(LOCATION_CHARS_MAX + 1),
            viewer_url: "192.0.2.7".into(),
            peer_url: "https://192.0.2.7:8081".into(),
            agent_version: "\u{1b}[31m".into(),
            cluster_id: "c".into(),
            applied_revision: 0,
            resend_distribution_ids: vec!["EABCDEFGHIJKLM".into(), "x".into()],
        };
        let violations = Greeting::try_from(bad).unwrap_err();
        let fields: Vec<&str> = violations.list().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "hello.edge_id",
                "hello.location",
                "hello.peer_url",
                "hello.viewer_url",
                "hello.agent_version",
                "hello.cluster_id",
                "hello.resend_distribution_ids[1]",
            ]
        );
    }
}
