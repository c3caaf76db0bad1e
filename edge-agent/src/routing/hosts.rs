//! Host names to distributions: the table a request is looked up in.

use std::{collections::HashMap, sync::Arc};

use headland_proto::model::{HostName, HostPattern};

use super::compile::Distribution;

/// All distributions of this edge, by host name; immutable, used by a request from start to end.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<HostKey, Arc<Distribution>, foldhash::fast::RandomState>,
    /// By the domain below which every name is meant.
    below: HashMap<HostKey, Arc<Distribution>, foldhash::fast::RandomState>,
    has_error_pages: bool,
    has_edge_headers: bool,
}

type HostKey = Box<str>;

impl Table {
    /// A table of these distributions. Should two of them claim one name, which the control plane rules out, the one with
    /// the older revision keeps it.
    #[must_use]
    pub fn new(distributions: impl IntoIterator<Item = Arc<Distribution>>) -> Self {
        let mut table = Self::default();
        for distribution in distributions {
            table.has_error_pages |= distribution.errors.have_pages();
            table.has_edge_headers |= distribution.has_edge_headers();
            table.claim(&HostPattern::Exact(distribution.domain_name.clone()), &distribution);
            for alias in &distribution.aliases {
                table.claim(alias, &distribution);
            }
        }
        table
    }

    fn claim(&mut self, pattern: &HostPattern, distribution: &Arc<Distribution>) {
        let (map, name): (_, &HostName) = match pattern {
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Below(domain) => (&mut self.below, domain),
        };
        let holder = map.entry(name.as_str().into()).or_insert_with(|| Arc::clone(distribution));
        if holder.revision > distribution.revision {
            *holder = Arc::clone(distribution);
        }
    }

    /// Whether any distribution has pages for errors.
    #[must_use]
    pub fn has_error_pages(&self) -> bool {
        self.has_error_pages
    }

    /// Whether any distribution's policies name headers that edges add.
    #[must_use]
    pub fn has_edge_headers(&self) -> bool {
        self.has_edge_headers
    }

    /// Every distribution, once, in no order.
    pub fn distributions(&self) -> impl Iterator<Item = &Arc<Distribution>> {
        self.exact
            .iter()
            .filter(|(name, distribution)| name.as_ref() == distribution.domain_name.as_str())
            .map(|(_, d)| d)
    }

    /// The distribution that answers to a canonical host name: the one that claims it exactly, otherwise the one that
    /// claims the smallest domain it lies in.
    #[must_use]
    pub fn distribution(&self, host: &str) -> Option<&Arc<Distribution>> {
        if let Some(distribution) = self.exact.get(host) {
            return Some(distribution);
        }
        if self.below.is_empty() {
            return None;
        }
        host.match_indices('.').find_map(|(dot, _)| self.below.get(&host[dot + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use headland_proto::v1;

    use super::*;

    fn distribution(id: &str, revision: u64, aliases: &[&str]) -> Arc<Distribution> {
        let desired = v1::DesiredDistribution {
            id: format!("E{id:A<13}"),
            domain_name: format!("d{}.cdn.localhost", id.to_lowercase()),
            revision,
            config: Some(v1::DistributionConfig {
                caller_reference: "r".into(),
                enabled: true,
                aliases: aliases.iter().map(|&a| a.into()).collect(),
                origins: vec![v1::Origin {
                    id: "o".into(),
                    kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                        domain_name: "o.example.com".into(),
                        ..Default::default()
                    })),
                    ..Default::default()
                }],
                default_cache_behavior: Some(v1::CacheBehavior {
                    target_origin_id: "o".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        };
        Arc::new(
            Distribution::compile(&desired, &headland_proto::model::Resources::default()).expect("compiles"),
        )
    }

    #[test]
    fn the_most_exact_name_wins() {
        let table = Table::new([
            distribution("AA", 1, &["*.example.com", "localhost"]),
            distribution("BB", 2, &["www.example.com", "*.img.example.com"]),
            distribution("CC", 3, &["*.com"]),
        ]);
        let found = |host: &str| table.distribution(host).map(|d| d.id.as_str()[1..3].to_owned());
        assert_eq!(found("daa.cdn.localhost").as_deref(), Some("AA"));
        assert_eq!(found("localhost").as_deref(), Some("AA"));
        assert_eq!(found("www.example.com").as_deref(), Some("BB"));
        assert_eq!(found("other.example.com").as_deref(), Some("AA"));
        assert_eq!(found("a.b.example.com").as_deref(), Some("AA"));
        assert_eq!(found("a.img.example.com").as_deref(), Some("BB"));
        assert_eq!(found("img.example.com").as_deref(), Some("AA"));
        assert_eq!(found("example.com").as_deref(), Some("CC"));
        assert_eq!(found("com"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn a_name_claimed_twice_stays_with_the_older() {
        let table = Table::new([distribution("BB", 9, &["x.test"]), distribution("AA", 3, &["x.test"])]);
        assert_eq!(table.distribution("x.test").map(|d| d.revision.0), Some(3));
    }
}
