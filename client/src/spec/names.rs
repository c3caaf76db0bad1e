//! References by name: what a file says in place of the ids that the control plane assigned.

use std::collections::{BTreeMap, BTreeSet};

use headland_proto::model::{Kind, managed, resources};

use super::{CacheBehaviorSpec, CachePolicyChoice, DistributionSpec, KeyGroupSpec};
use crate::error::{Error, ErrorKind, Violation};

/// Which names stand for which ids, kind by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    ids: BTreeMap<(Kind, String), String>,
    names: BTreeMap<(Kind, String), String>,
}

impl Names {
    /// Those of what comes with the program.
    #[must_use]
    pub fn managed() -> Self {
        let mut names = Self::default();
        for kind in Kind::ALL {
            for managed in managed::of_kind(kind) {
                names.insert(kind, resources::name(&managed.config), managed.id);
            }
        }
        names
    }

    /// One more.
    pub fn insert(&mut self, kind: Kind, name: &str, id: &str) {
        self.ids.insert((kind, name.to_owned()), id.to_owned());
        self.names.insert((kind, id.to_owned()), name.to_owned());
    }

    /// The id of what has this name.
    #[must_use]
    pub fn id(&self, kind: Kind, name: &str) -> Option<&str> {
        self.ids.get(&(kind, name.to_owned())).map(String::as_str)
    }

    /// The name of what has this id.
    #[must_use]
    pub fn name(&self, kind: Kind, id: &str) -> Option<&str> {
        self.names.get(&(kind, id.to_owned())).map(String::as_str)
    }

    /// The ids of everything with this name, or with this id, of whatever kind.
    #[must_use]
    pub fn ids_of(&self, name_or_id: &str) -> BTreeSet<&str> {
        let named = Kind::ALL.into_iter().filter_map(|kind| self.id(kind, name_or_id));
        let with_id = self.names.keys().map(|(_, id)| id.as_str()).filter(|id| *id == name_or_id);
        named.chain(with_id).collect()
    }
}

/// What a behavior refers to one of, by its name or by its id.
const ONE_OF_EACH: [Kind; 3] = [Kind::CachePolicy, Kind::OriginRequestPolicy, Kind::ResponseHeadersPolicy];

/// A list of ids in which names may stand, too: every name that something of the kind has becomes its id. What is neither a name nor
/// looks like an id is told, by its index.
fn ids_of_list(list: &mut [String], kind: Kind, names: &Names) -> Vec<(usize, String)> {
    let mut wrong = Vec::new();
    for (i, entry) in list.iter_mut().enumerate() {
        match names.id(kind, entry) {
            Some(id) => *entry = id.to_owned(),
            None if is_id(entry) => {}
            None => wrong.push((i, unknown(kind, entry))),
        }
    }
    wrong
}

/// The other way round, as far as names are known.
fn names_of_list(list: &mut [String], kind: Kind, names: &Names) {
    for entry in list {
        if let Some(name) = names.name(kind, entry) {
            *entry = name.to_owned();
        }
    }
}

fn is_id(text: &str) -> bool {
    text.parse::<headland_proto::id::ResourceId>().is_ok()
}

fn unknown(kind: Kind, name: &str) -> String {
    format!("{name:?} is not the name of a {kind}; create it first, or use one that is listed")
}

impl KeyGroupSpec {
    /// Whether it refers to anything by name.
    #[must_use]
    pub fn uses_names(&self) -> bool {
        self.public_key_ids.iter().any(|entry| !is_id(entry))
    }

    /// The same with ids in place of names, as it is sent.
    ///
    /// # Errors
    /// Every name that nothing has.
    pub fn with_ids(mut self, names: &Names) -> Result<Self, Error> {
        let wrong = ids_of_list(&mut self.public_key_ids, Kind::PublicKey, names).into_iter().map(
            |(i, description)| Violation {
                field: format!("config.public_key_ids[{i}]"),
                description,
                place: None,
            },
        );
        let wrong: Vec<_> = wrong.collect();
        match wrong.is_empty() {
            true => Ok(self),
            false => Err(Error::new(ErrorKind::Invalid, "find what the key group refers to")
                .with_violations(wrong)
                .with_hint("headland public-key list shows what there is")),
        }
    }

    /// The same with names in place of ids, wherever they are known.
    #[must_use]
    pub fn with_names(mut self, names: &Names) -> Self {
        names_of_list(&mut self.public_key_ids, Kind::PublicKey, names);
        self
    }
}

impl CacheBehaviorSpec {
    /// The field that refers to something of a kind by its name. By its id, it has `_id` at its end.
    fn field(kind: Kind) -> &'static str {
        match kind {
            Kind::CachePolicy => "cache_policy",
            Kind::OriginRequestPolicy => "origin_request_policy",
            Kind::ResponseHeadersPolicy => "response_headers_policy",
            // Behaviors have a list of these, and nothing of those.
            Kind::KeyGroup | Kind::PublicKey => "trusted_key_group_ids",
        }
    }

    /// Id and name by which it refers to something of a kind; what it does not say is empty.
    pub(super) fn reference(&self, kind: Kind) -> (&str, &str) {
        match (kind, &self.cache_policy) {
            (Kind::CachePolicy, Some(CachePolicyChoice::Named(name))) => (&self.cache_policy_id, name),
            (Kind::CachePolicy, _) => (&self.cache_policy_id, ""),
            (Kind::OriginRequestPolicy, _) => (&self.origin_request_policy_id, &self.origin_request_policy),
            (Kind::ResponseHeadersPolicy, _) => {
                (&self.response_headers_policy_id, &self.response_headers_policy)
            }
            (Kind::KeyGroup | Kind::PublicKey, _) => ("", ""),
        }
    }

    /// Refers to something of a kind by its name, or by its id, and not in the other way.
    fn refer(&mut self, kind: Kind, (id, name): (&str, &str)) {
        match kind {
            Kind::CachePolicy => {
                self.cache_policy_id = id.to_owned();
                if !name.is_empty() {
                    self.cache_policy = Some(CachePolicyChoice::Named(name.to_owned()));
                } else if matches!(self.cache_policy, Some(CachePolicyChoice::Named(_))) {
                    self.cache_policy = None;
                }
            }
            Kind::OriginRequestPolicy => {
                self.origin_request_policy_id = id.to_owned();
                self.origin_request_policy = name.to_owned();
            }
            Kind::ResponseHeadersPolicy => {
                self.response_headers_policy_id = id.to_owned();
                self.response_headers_policy = name.to_owned();
            }
            Kind::KeyGroup | Kind::PublicKey => {}
        }
    }
}

impl DistributionSpec {
    fn behaviors_mut(&mut self) -> impl Iterator<Item = (String, &mut CacheBehaviorSpec)> {
        let others = self.cache_behaviors.iter_mut().enumerate();
        let default = self.default_cache_behavior.iter_mut();
        default
            .map(|behavior| ("default_cache_behavior".to_owned(), behavior))
            .chain(others.map(|(i, behavior)| (format!("cache_behaviors[{i}]"), behavior)))
    }

    /// What it refers to by name, each once.
    #[must_use]
    pub fn names_used(&self) -> BTreeSet<(Kind, &str)> {
        let behaviors = self.default_cache_behavior.iter().chain(&self.cache_behaviors);
        let used = behaviors.flat_map(|b| {
            let groups = b.trusted_key_group_ids.iter().filter(|entry| !is_id(entry));
            let groups = groups.map(|name| (Kind::KeyGroup, name.as_str()));
            ONE_OF_EACH.map(|kind| (kind, b.reference(kind).1)).into_iter().chain(groups)
        });
        used.filter(|(_, name)| !name.is_empty()).collect()
    }

    /// The same with ids in place of names, as it is sent.
    ///
    /// # Errors
    /// Every name that nothing has, and every place with both an id and a name. Fields are named as the control plane names them.
    pub fn with_ids(mut self, names: &Names) -> Result<Self, Error> {
        let mut wrong = Vec::new();
        for (place, behavior) in self.behaviors_mut() {
            for (i, description) in ids_of_list(&mut behavior.trusted_key_group_ids, Kind::KeyGroup, names) {
                let field = format!("config.{place}.trusted_key_group_ids[{i}]");
                wrong.push(Violation { field, description, place: None });
            }
            for kind in ONE_OF_EACH {
                let (id, name) = behavior.reference(kind);
                if name.is_empty() {
                    continue;
                }
                let field = CacheBehaviorSpec::field(kind);
                let description = match names.id(kind, name) {
                    _ if !id.is_empty() => format!("give either {field} or {field}_id, not both"),
                    None => unknown(kind, name),
                    Some(id) => {
                        let id = id.to_owned();
                        behavior.refer(kind, (&id, ""));
                        continue;
                    }
                };
                wrong.push(Violation { field: format!("config.{place}.{field}"), description, place: None });
            }
        }
        if wrong.is_empty() {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::Invalid, "find what the distribution refers to")
            .with_violations(wrong)
            .with_hint("headland cache-policy list, headland key-group list and so on show what there is"))
    }

    /// The same with names in place of ids, wherever they are known: it then means the same to another control plane.
    #[must_use]
    pub fn with_names(mut self, names: &Names) -> Self {
        for (_, behavior) in self.behaviors_mut() {
            names_of_list(&mut behavior.trusted_key_group_ids, Kind::KeyGroup, names);
            for kind in ONE_OF_EACH {
                if let Some(name) = names.name(kind, behavior.reference(kind).0) {
                    behavior.refer(kind, ("", name));
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Source;

    const OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

    fn spec(behavior: &str) -> DistributionSpec {
        let text = format!("default_cache_behavior: {behavior}\n");
        <Source>::parse("x", &text).unwrap_or_else(|e| panic!("{e}: {text}")).spec().clone()
    }

    #[test]
    fn names_become_ids_and_ids_names() {
        let mut names = Names::managed();
        names.insert(Kind::OriginRequestPolicy, "all", "1");
        let named = spec("{cache_policy: Managed-CachingOptimized, origin_request_policy: all}");
        assert_eq!(named.names_used().len(), 2);
        let sent = named.clone().with_ids(&names).expect("known names");
        assert_eq!(sent, spec(&format!("{{cache_policy_id: {OPTIMIZED}, origin_request_policy_id: '1'}}")));
        assert_eq!(sent.with_names(&names), named);
        let unknown = spec("{cache_policy_id: x}");
        assert_eq!(unknown.clone().with_names(&names), unknown);
        assert_eq!(names.ids_of("all"), ["1"].into());
        assert_eq!(names.ids_of(OPTIMIZED), [OPTIMIZED].into());
    }

    #[test]
    fn lists_hold_names_or_ids() {
        let (key, group) = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002");
        let mut names = Names::managed();
        names.insert(Kind::PublicKey, "k", key);
        names.insert(Kind::KeyGroup, "g", group);
        let other = "00000000-0000-4000-8000-000000000003";
        let named = spec(&format!(
            "{{trusted_key_group_ids: [g, {other}], response_headers_policy: Managed-SimpleCORS}}"
        ));
        assert_eq!(named.names_used().len(), 2);
        let sent = named.clone().with_ids(&names).expect("known names");
        let behavior = sent.default_cache_behavior.as_ref().expect("a behavior");
        assert_eq!(behavior.trusted_key_group_ids, [group, other]);
        assert_eq!(behavior.response_headers_policy_id, "60669652-455b-4ae9-85a4-c4c02393f86c");
        assert_eq!(sent.with_names(&names), named);
        let keys = KeyGroupSpec { public_key_ids: vec!["k".into()], ..KeyGroupSpec::default() };
        let sent = keys.clone().with_ids(&names).expect("known names");
        assert_eq!(sent.public_key_ids, [key]);
        assert_eq!(sent.with_names(&names), keys);
        let wrong =
            KeyGroupSpec { public_key_ids: vec!["k".into(), "nobody".into()], ..KeyGroupSpec::default() };
        let error = wrong.with_ids(&names).expect_err("wrong name");
        assert_eq!(error.violations()[0].field, "config.public_key_ids[1]");
        let error = spec("{trusted_key_group_ids: [nobody]}").with_ids(&names).expect_err("wrong name");
        assert_eq!(error.violations()[0].field, "config.default_cache_behavior.trusted_key_group_ids[0]");
    }

    #[test]
    fn a_policy_written_in_place_stays_there() {
        let inline = spec("{cache_policy: {min_ttl: 5}}");
        assert_eq!(inline.clone().with_ids(&Names::default()).expect("no names"), inline);
        assert_eq!(inline.clone().with_names(&Names::managed()), inline);
    }

    #[test]
    fn all_wrong_names_are_told_at_once() {
        let wrong = spec("{cache_policy: x, origin_request_policy: y, origin_request_policy_id: z}");
        let error = wrong.with_ids(&Names::managed()).expect_err("wrong names");
        let said: Vec<String> = error.violations().iter().map(ToString::to_string).collect();
        assert!(
            said[0].starts_with("config.default_cache_behavior.cache_policy: \"x\" is not the name of"),
            "{said:?}"
        );
        assert!(said[1].contains("either origin_request_policy or origin_request_policy_id"), "{said:?}");
    }
}
