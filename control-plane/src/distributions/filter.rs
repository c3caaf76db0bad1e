//! Which distributions a list is about.

use headland_proto::{
    model::{HostName, HostPattern, Violations, resources::used_by, tags},
    v1::{self, distribution_status::State, origin::Kind},
};

use super::Stored;

/// What is asked of a distribution, all of it; nothing by default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    wire: v1::DistributionFilter,
    host: Option<HostPattern>,
}

impl Filter {
    /// Reads the field `filter` of a list request.
    ///
    /// # Errors
    /// Everything that is wrong with it is added to `found`.
    pub(crate) fn parse(wire: Option<v1::DistributionFilter>, found: &mut Violations) -> Self {
        let wire = wire.unwrap_or_default();
        tags::check_filter(&wire.tags, found);
        let host = match wire.host.as_str() {
            "" => None,
            host => host.parse().map_err(|error| found.add("filter.host", format!("{host:?} {error}"))).ok(),
        };
        if State::try_from(wire.state).is_err() {
            found.add("filter.state", "is unknown; use IN_PROGRESS or DEPLOYED, or leave it out");
        }
        Self { wire, host }
    }

    /// Whether what is stored of a distribution is as asked.
    pub(crate) fn matches(&self, stored: &Stored) -> bool {
        let Some(config) = &stored.record.config else { return false };
        let v1::DistributionFilter { tags: wanted, origin, uses, enabled, .. } = &self.wire;
        tags::matches(wanted, &config.tags)
            && enabled.is_none_or(|enabled| enabled == config.enabled)
            && (origin.is_empty() || config.origins.iter().any(|o| is_at(o, origin)))
            && (uses.is_empty() || used_by(config).iter().any(|(_, id)| id == uses))
            && self.host.as_ref().is_none_or(|host| {
                std::iter::once(&stored.record.domain_name)
                    .chain(&config.aliases)
                    .any(|own| answers(own, host))
            })
    }

    /// Whether what is observed of it is as asked.
    pub(crate) fn matches_state(&self, state: State) -> bool {
        self.wire.state() == State::Unspecified || self.wire.state() == state
    }
}

fn is_at(origin: &v1::Origin, wanted: &str) -> bool {
    match &origin.kind {
        Some(Kind::Custom(custom)) => custom.domain_name.eq_ignore_ascii_case(wanted),
        Some(Kind::S3(s3)) => s3.bucket == wanted,
        None => false,
    }
}

/// Whether one of a distribution's names is the host that is asked for, or stands for it.
fn answers(own: &str, host: &HostPattern) -> bool {
    match (own.parse::<HostPattern>(), host) {
        (Ok(own), host) if own == *host => true,
        (Ok(HostPattern::Below(above)), HostPattern::Exact(host)) => is_below(host, &above),
        _ => false,
    }
}

fn is_below(host: &HostName, above: &HostName) -> bool {
    host.as_str().strip_suffix(above.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use headland_proto::revision::Revision;

    use super::*;

    fn stored() -> Stored {
        let behavior = v1::CacheBehavior { cache_policy_id: "p".into(), ..Default::default() };
        let custom = v1::CustomOrigin { domain_name: "Origin.example.com".into(), ..Default::default() };
        let bucket = v1::S3Origin { bucket: "photos".into(), ..Default::default() };
        let origin = |kind| v1::Origin { kind: Some(kind), ..Default::default() };
        let config = v1::DistributionConfig {
            enabled: true,
            aliases: vec!["www.example.com".into(), "*.example.net".into()],
            origins: vec![origin(Kind::Custom(custom)), origin(Kind::S3(bucket))],
            cache_behaviors: vec![behavior],
            tags: [("team".to_owned(), "web".to_owned())].into(),
            ..Default::default()
        };
        let record = v1::DistributionRecord {
            domain_name: "d1.cdn.example".into(),
            config: Some(config),
            ..Default::default()
        };
        Stored { record, revision: Revision(1) }
    }

    #[test]
    fn all_that_is_asked_must_be_so() {
        type Ask = fn(&mut v1::DistributionFilter);
        let tag = |key: &str, value: &str| v1::TagFilter { key: key.into(), value: Some(value.into()) };
        let cases: &[(Ask, bool)] = &[
            (|_| {}, true),
            (|f| f.enabled = Some(true), true),
            (|f| f.enabled = Some(false), false),
            (|f| f.host = "WWW.example.com".into(), true),
            (|f| f.host = "d1.cdn.example".into(), true),
            (|f| f.host = "a.b.example.net".into(), true),
            (|f| f.host = "*.example.net".into(), true),
            (|f| f.host = "example.net".into(), false),
            (|f| f.host = "badexample.net".into(), false),
            (|f| f.origin = "origin.example.com".into(), true),
            (|f| f.origin = "photos".into(), true),
            (|f| f.origin = "example.com".into(), false),
            (|f| f.uses = "p".into(), true),
            (|f| f.uses = "q".into(), false),
        ];
        for (i, (ask, expected)) in cases.iter().enumerate() {
            let mut wire = v1::DistributionFilter { tags: vec![tag("team", "web")], ..Default::default() };
            ask(&mut wire);
            let mut found = Violations::default();
            assert_eq!(Filter::parse(Some(wire), &mut found).matches(&stored()), *expected, "case {i}");
            assert!(found.list().is_empty(), "{found}");
        }
        let other = v1::DistributionFilter { tags: vec![tag("team", "api")], ..Default::default() };
        assert!(!Filter::parse(Some(other), &mut Violations::default()).matches(&stored()));
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        let wire = v1::DistributionFilter {
            tags: vec![v1::TagFilter::default()],
            host: "a b".into(),
            state: 9,
            ..Default::default()
        };
        let mut found = Violations::default();
        Filter::parse(Some(wire), &mut found);
        let fields: Vec<&str> = found.list().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["filter.tags[0].key", "filter.host", "filter.state"]);
    }
}
