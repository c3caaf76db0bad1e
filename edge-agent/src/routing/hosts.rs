//! Host names to distributions: the table a request is looked up in.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher as _,
    sync::Arc,
};

use foldhash::fast::RandomState;
use headland_proto::model::HostPattern;

use super::compile::Distribution;

/// Names of one shard when a table is made.
const NAMES_IN_SHARD: usize = 128;
/// A table whose shards have come to hold more than this on average is made anew.
const NAMES_IN_SHARD_MAX: usize = 4 * NAMES_IN_SHARD;

/// All distributions of this edge, by host name; immutable, used by a request from start to end. The next table shares with this one
/// every shard in which nothing changes, so that a change costs the same however many distributions there are.
#[derive(Debug)]
pub struct Table {
    /// As many as a power of two.
    shards: Vec<Arc<Shard>>,
    /// Says which shard a name is in.
    hasher: RandomState,
    counts: Counts,
}

/// What there is in a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    names: usize,
    wildcards: usize,
    with_error_pages: usize,
    with_response_headers: usize,
    with_edge_headers: usize,
}

/// A part of the names.
#[derive(Debug, Clone, Default)]
struct Shard {
    exact: HashMap<HostKey, Claims, RandomState>,
    /// By the domain below which every name is meant.
    below: HashMap<HostKey, Claims, RandomState>,
}

type HostKey = Arc<str>;

/// Who claims a name. The control plane sees to it that this is one; while this edge keeps the earlier version of what it has refused,
/// there may be more. The one with the oldest revision, which is first, has it.
#[derive(Debug, Clone)]
struct Claims {
    holder: Arc<Distribution>,
    others: Vec<Arc<Distribution>>,
}

impl Claims {
    fn add(&mut self, distribution: &Arc<Distribution>) {
        let mut newcomer = Arc::clone(distribution);
        if newcomer.revision < self.holder.revision {
            std::mem::swap(&mut newcomer, &mut self.holder);
        }
        self.others.push(newcomer);
    }

    /// `false` if nobody is left.
    fn remove(&mut self, distribution: &Arc<Distribution>) -> bool {
        if !Arc::ptr_eq(&self.holder, distribution) {
            self.others.retain(|other| !Arc::ptr_eq(other, distribution));
            return true;
        }
        let oldest = self.others.iter().enumerate().min_by_key(|(_, other)| other.revision);
        let Some((oldest, _)) = oldest else { return false };
        self.holder = self.others.swap_remove(oldest);
        true
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new([])
    }
}

impl Table {
    /// A table of these distributions. Should two of them claim one name, which the control plane rules out, the one with
    /// the older revision keeps it.
    #[must_use]
    pub fn new(distributions: impl IntoIterator<Item = Arc<Distribution>>) -> Self {
        let distributions: Vec<_> = distributions.into_iter().collect();
        let names: usize = distributions.iter().map(|distribution| 1 + distribution.aliases.len()).sum();
        let shards = (names / NAMES_IN_SHARD).next_power_of_two();
        let shards = std::iter::repeat_with(Arc::default).take(shards).collect();
        let mut table = Self { shards, hasher: RandomState::default(), counts: Counts::default() };
        distributions.iter().for_each(|distribution| table.put(distribution));
        table
    }

    /// This table with some distributions taken out and others put in. `None` if it has grown so far that one made anew is better.
    #[must_use]
    pub fn changed(&self, gone: &[Arc<Distribution>], come: &[Arc<Distribution>]) -> Option<Self> {
        let mut table =
            Self { shards: self.shards.clone(), hasher: self.hasher.clone(), counts: self.counts };
        gone.iter().for_each(|distribution| table.take(distribution));
        come.iter().for_each(|distribution| table.put(distribution));
        (table.counts.names <= table.shards.len() * NAMES_IN_SHARD_MAX).then_some(table)
    }

    fn put(&mut self, distribution: &Arc<Distribution>) {
        for pattern in patterns(distribution) {
            let (map, name) = self.place(&pattern);
            match map.entry(name.into()) {
                Entry::Vacant(place) => {
                    place.insert(Claims { holder: Arc::clone(distribution), others: Vec::new() });
                }
                Entry::Occupied(mut place) => place.get_mut().add(distribution),
            }
        }
        self.count(distribution, |count| *count += 1);
    }

    fn take(&mut self, distribution: &Arc<Distribution>) {
        for pattern in patterns(distribution) {
            let (map, name) = self.place(&pattern);
            if map.get_mut(name).is_some_and(|claims| !claims.remove(distribution)) {
                map.remove(name);
            }
        }
        self.count(distribution, |count| *count = count.saturating_sub(1));
    }

    fn place<'p>(
        &mut self,
        pattern: &'p HostPattern,
    ) -> (&mut HashMap<HostKey, Claims, RandomState>, &'p str) {
        let name = match pattern {
            HostPattern::Exact(name) | HostPattern::Below(name) => name.as_str(),
        };
        let index = self.index(name);
        let shard = Arc::make_mut(&mut self.shards[index]);
        match pattern {
            HostPattern::Exact(_) => (&mut shard.exact, name),
            HostPattern::Below(_) => (&mut shard.below, name),
        }
    }

    fn count(&mut self, distribution: &Distribution, change: impl Fn(&mut usize)) {
        let counts = &mut self.counts;
        for pattern in patterns(distribution) {
            change(&mut counts.names);
            if matches!(pattern, HostPattern::Below(_)) {
                change(&mut counts.wildcards);
            }
        }
        if distribution.errors.have_pages() {
            change(&mut counts.with_error_pages);
        }
        if distribution.has_response_headers() {
            change(&mut counts.with_response_headers);
        }
        if distribution.has_edge_headers() {
            change(&mut counts.with_edge_headers);
        }
    }

    fn index(&self, name: &str) -> usize {
        match self.shards.len() {
            1 => 0,
            // Which of the equally good bits of a hash are taken does not matter.
            shards => (self.hasher.hash_one(name) >> 32) as usize & (shards - 1),
        }
    }

    fn shard(&self, name: &str) -> &Shard {
        &self.shards[self.index(name)]
    }

    /// Whether any distribution has pages for errors.
    #[must_use]
    pub fn has_error_pages(&self) -> bool {
        self.counts.with_error_pages > 0
    }

    /// Whether any distribution has a response headers policy.
    #[must_use]
    pub fn has_response_headers(&self) -> bool {
        self.counts.with_response_headers > 0
    }

    /// Whether any distribution's policies name headers that edges add.
    #[must_use]
    pub fn has_edge_headers(&self) -> bool {
        self.counts.with_edge_headers > 0
    }

    /// Every distribution, once, in no order.
    pub fn distributions(&self) -> impl Iterator<Item = &Arc<Distribution>> {
        let names = self.shards.iter().flat_map(|shard| &shard.exact);
        names
            .filter(|(name, claims)| name.as_ref() == claims.holder.domain_name.as_str())
            .map(|(_, claims)| &claims.holder)
    }

    /// The distribution that answers to a canonical host name: the one that claims it exactly, otherwise the one that
    /// claims the smallest domain it lies in.
    #[must_use]
    pub fn distribution(&self, host: &str) -> Option<&Arc<Distribution>> {
        if let Some(claims) = self.shard(host).exact.get(host) {
            return Some(&claims.holder);
        }
        if self.counts.wildcards == 0 {
            return None;
        }
        let below = |domain: &str| self.shard(domain).below.get(domain);
        host.match_indices('.').find_map(|(dot, _)| below(&host[dot + 1..])).map(|claims| &claims.holder)
    }
}

/// Every name a distribution claims, each once: an alias may repeat its own domain name.
fn patterns(distribution: &Distribution) -> impl Iterator<Item = HostPattern> {
    let own = HostPattern::Exact(distribution.domain_name.clone());
    let aliases = distribution.aliases.iter().filter(|&alias| *alias != own).cloned().collect::<Vec<_>>();
    std::iter::once(own).chain(aliases)
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

    /// What a table says of every name that any of the tests' distributions could claim.
    fn says(table: &Table, names: &[String]) -> Vec<Option<(String, u64)>> {
        let found = |name: &String| table.distribution(name).map(|d| (d.id.to_string(), d.revision.0));
        names.iter().map(found).collect()
    }

    #[test]
    fn a_table_that_was_changed_is_as_one_made_anew() {
        // Few enough names that distributions get in one another's way, and more than one shard holds.
        let mut random = 7u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let letters =
            |n: u64| [b'A' + (n / 26) as u8, b'A' + (n % 26) as u8].map(char::from).iter().collect();
        let mut names: Vec<String> = (0..300).map(|n| format!("n{n}.test")).collect();
        names.extend((0..600).map(|n| format!("a.w{n}.test")));
        let make = |next: &mut dyn FnMut(u64) -> u64, revision| {
            let id: String = letters(next(500));
            let aliases: Vec<String> = (0..next(4))
                .map(|_| match next(3) {
                    0 => format!("*.w{}.test", next(600)),
                    _ => format!("n{}.test", next(300)),
                })
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect();
            distribution(&id, revision, &aliases.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let mut held: HashMap<String, Arc<Distribution>> = HashMap::new();
        let (mut table, mut shared) = (Table::default(), 0);
        for revision in 1..=1500 {
            let new = make(&mut next, revision);
            let old = held.get(new.id.as_str()).cloned();
            let gone: Vec<_> = old.into_iter().collect();
            let come = if next(4) == 0 { Vec::new() } else { vec![Arc::clone(&new)] };
            held.remove(new.id.as_str());
            held.extend(come.iter().map(|d| (d.id.to_string(), Arc::clone(d))));
            table = match table.changed(&gone, &come) {
                Some(changed) => {
                    let same = |(a, b): &(&Arc<Shard>, &Arc<Shard>)| Arc::ptr_eq(a, b);
                    shared += table.shards.iter().zip(&changed.shards).filter(same).count();
                    changed
                }
                None => Table::new(held.values().cloned()),
            };
            if revision % 10 > 0 {
                continue;
            }
            let anew = Table::new(held.values().cloned());
            assert_eq!(says(&table, &names), says(&anew, &names), "after {revision}");
            assert_eq!(table.counts, anew.counts);
            assert_eq!(table.distributions().count(), held.len());
        }
        assert!(table.shards.len() > 1 && shared > 0, "{} {shared}", table.shards.len());
    }
}
