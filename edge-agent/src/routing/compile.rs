//! Compiling a distribution: from what the control plane sent to what a request can be answered from.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use headland_proto::{
    id::DistributionId,
    model::{
        CacheBehavior, DistributionConfig, EdgeHeader, ErrorResponses, GeoRestriction, HostName, HostPattern,
        Origin, PathPattern, Resources, Semantics, Target, Violations,
    },
    revision::Revision,
    v1,
};
use http::{HeaderName, Method, StatusCode};

use crate::signing::Trusted;

/// One distribution, checked and compiled for serving.
#[derive(Debug)]
pub struct Distribution {
    /// Its id.
    pub id: DistributionId,
    /// The revision this was compiled from.
    pub revision: Revision,
    /// Its own host name.
    pub domain_name: HostName,
    /// Whether it serves.
    pub enabled: bool,
    /// The other names it answers to.
    pub aliases: Vec<HostPattern>,
    /// Whether viewers may ask how their answers came about.
    pub debug_headers: bool,
    /// The path served for "/", with its leading slash.
    pub default_root_object: Option<String>,
    /// What viewers get in place of errors.
    pub errors: Arc<ErrorResponses>,
    /// From which countries viewers may come.
    pub geo_restriction: GeoRestriction,
    default_behavior: Arc<Behavior>,
    behaviors: Vec<(PathPattern, Arc<Behavior>)>,
}

/// What happens to a request, with its origin at hand.
#[derive(Debug)]
pub struct Behavior {
    /// The operator's wish.
    pub rules: CacheBehavior,
    /// Where objects come from; of a group, the first.
    pub origin: Arc<Origin>,
    /// The origins that stand in for it.
    pub group: Option<Group>,
    /// The distribution's wishes for errors.
    pub errors: Arc<ErrorResponses>,
    /// What its policies name of the headers that edges add.
    pub edge_headers: Vec<EdgeHeader>,
    /// What requests must be signed with; `None`: they need not be.
    pub signing: Option<Trusted>,
}

/// The rest of an origin group.
#[derive(Debug)]
pub struct Group {
    /// Names it among all origin groups and origins.
    pub name: String,
    /// Those who are asked after the first, in this order.
    pub others: Vec<Arc<Origin>>,
    /// Answers for which the next one is asked.
    pub failover_codes: Vec<StatusCode>,
}

impl Behavior {
    /// All its origins, in the order in which they are asked.
    pub fn origins(&self) -> impl Iterator<Item = &Arc<Origin>> {
        [&self.origin].into_iter().chain(self.group.iter().flat_map(|group| &group.others))
    }

    /// Whether a method is served. One that no CloudFront behavior can name passes where all that can be named do, if the policy's
    /// rules are RFC 9111's.
    #[must_use]
    pub fn allows(&self, method: &Method) -> bool {
        let allowed = &self.rules.allowed_methods;
        allowed.contains(method)
            || (self.rules.cache_policy.semantics == Semantics::Rfc9111
                && allowed.contains(&Method::DELETE)
                && !matches!(*method, Method::CONNECT | Method::TRACE))
    }
}

impl Distribution {
    /// Checks and compiles what the control plane sent, with the `resources` it refers to. The control plane has checked it too, but
    /// perhaps with other rules than this program's.
    ///
    /// # Errors
    /// Everything that keeps this edge from serving it.
    pub fn compile(desired: &v1::DesiredDistribution, resources: &Resources) -> Result<Self, Violations> {
        let mut found = Violations::default();
        let id = desired.id.parse::<DistributionId>().map_err(|e| found.add("id", e.to_string()));
        let domain_name =
            desired.domain_name.parse::<HostName>().map_err(|e| found.add("domain_name", e.to_string()));
        let config = match &desired.config {
            Some(config) => DistributionConfig::check(config, resources)?,
            None => {
                found.add("config", "is missing");
                return Err(found);
            }
        };
        let (Ok(id), Ok(domain_name)) = (id, domain_name) else {
            return Err(found);
        };

        let origins: Vec<Arc<Origin>> = config.origins.into_iter().map(Arc::new).collect();
        let errors = Arc::new(config.error_responses);
        let groups = &config.origin_groups;
        let compile = |rules: CacheBehavior| -> Result<Arc<Behavior>, Violations> {
            let (first, group) = match rules.target {
                Target::Origin(index) => (index, None),
                Target::Group(index) => (groups[index].members[0], Some(&groups[index])),
            };
            let group = group.map(|group| Group {
                name: format!("{id}/{}", group.id),
                others: group.members[1..].iter().map(|index| Arc::clone(&origins[*index])).collect(),
                failover_codes: group.failover_codes.clone(),
            });
            let origin = Arc::clone(&origins[first]);
            let edge_headers = edge_headers(&rules);
            let signing = match &rules.trusted_keys {
                None => None,
                Some(keys) => Some(Trusted::new(keys).ok_or_else(|| {
                    let mut found = Violations::default();
                    found.add("config", "trusts a public key that this edge cannot use");
                    found
                })?),
            };
            let errors = Arc::clone(&errors);
            Ok(Arc::new(Behavior { rules, origin, group, errors, edge_headers, signing }))
        };
        let default_behavior = compile(config.default_behavior)?;
        let behaviors = config.behaviors.into_iter().map(|(pattern, rules)| Ok((pattern, compile(rules)?)));
        let behaviors = behaviors.collect::<Result<_, Violations>>()?;
        Ok(Self {
            id,
            revision: Revision(desired.revision),
            domain_name,
            enabled: config.enabled,
            aliases: config.aliases,
            debug_headers: config.debug_headers,
            default_root_object: config.default_root_object,
            default_behavior,
            behaviors,
            errors,
            geo_restriction: config.geo_restriction,
        })
    }

    /// Whether any behavior's policies name headers that edges add.
    #[must_use]
    pub fn has_edge_headers(&self) -> bool {
        let mut behaviors =
            self.behaviors.iter().map(|(_, behavior)| behavior).chain([&self.default_behavior]);
        behaviors.any(|behavior| !behavior.edge_headers.is_empty())
    }

    /// The path of the object that stands for a path: the default root object for "/". Chosen before the behavior is: the key of an
    /// object must not be one thing to one behavior and another to the next.
    #[must_use]
    pub fn object_for<'p>(&'p self, path: &'p str) -> &'p str {
        match &self.default_root_object {
            Some(root) if path == "/" => root,
            _ => path,
        }
    }

    /// The behavior for a path: the first whose pattern matches, otherwise the default. A letter that is encoded without need
    /// matches as itself, since the origin will read it so (RFC 3986 section 6.2.2.2).
    #[must_use]
    pub fn behavior(&self, path: &str) -> &Arc<Behavior> {
        if self.behaviors.is_empty() {
            return &self.default_behavior;
        }
        let path = decode_unreserved(path);
        let matching = self.behaviors.iter().find(|(pattern, _)| pattern.matches(&path));
        matching.map_or(&self.default_behavior, |(_, behavior)| behavior)
    }

    /// Which pattern makes the behavior for a path the one it is, and its place among the patterns; `None`: none, so it is the
    /// default.
    #[must_use]
    pub fn matching_pattern(&self, path: &str) -> Option<(usize, &PathPattern)> {
        let path = decode_unreserved(path);
        let mut patterns = self.behaviors.iter().map(|(pattern, _)| pattern).enumerate();
        patterns.find(|(_, pattern)| pattern.matches(&path))
    }

    /// Whether any of its behaviors has a response headers policy.
    #[must_use]
    pub fn has_response_headers(&self) -> bool {
        self.all_behaviors().any(|behavior| behavior.rules.response_headers_policy.is_some())
    }

    fn all_behaviors(&self) -> impl Iterator<Item = &Arc<Behavior>> {
        self.behaviors.iter().map(|(_, behavior)| behavior).chain([&self.default_behavior])
    }

    /// Every origin that a behavior sends requests to, without repetition.
    pub fn origins(&self) -> impl Iterator<Item = &Arc<Origin>> {
        let mut seen = HashSet::new();
        self.all_behaviors()
            .flat_map(|behavior| behavior.origins())
            .filter(move |origin| seen.insert(origin.id.as_str()))
    }
}

/// What policies name of the headers that edges add.
fn edge_headers(rules: &CacheBehavior) -> Vec<EdgeHeader> {
    let also = rules.origin_request_policy.iter().flat_map(|policy| policy.headers.named());
    let named: Vec<&HeaderName> = rules.cache_policy.headers.iter().chain(also).collect();
    EdgeHeader::ALL
        .iter()
        .copied()
        .filter(|header| named.iter().any(|name| **name == header.as_str()))
        .collect()
}

/// Decodes what need not be encoded (RFC 3986 section 2.3) and nothing else.
fn decode_unreserved(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(percent) = rest.find('%') {
        decoded.push_str(&rest[..percent]);
        let byte = rest.get(percent + 1..percent + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b)) {
            Some(byte) => {
                decoded.push(char::from(byte));
                rest = &rest[percent + 3..];
            }
            None => {
                decoded.push('%');
                rest = &rest[percent + 1..];
            }
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(patterns: &[(&str, &str)]) -> v1::DesiredDistribution {
        let origin = |id: &str| v1::Origin {
            id: id.into(),
            kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                domain_name: format!("{id}.example.com"),
                ..Default::default()
            })),
            ..Default::default()
        };
        let behavior = |pattern: &str, target: &str| v1::CacheBehavior {
            path_pattern: pattern.into(),
            target_origin_id: target.into(),
            ..Default::default()
        };
        v1::DesiredDistribution {
            id: "EABCDEFGHIJKLM".into(),
            domain_name: "dabc.cdn.localhost".into(),
            revision: 7,
            config: Some(v1::DistributionConfig {
                caller_reference: "r".into(),
                enabled: true,
                origins: ["a", "b", "unused"].map(origin).to_vec(),
                default_cache_behavior: Some(behavior("", "a")),
                cache_behaviors: patterns.iter().map(|(p, t)| behavior(p, t)).collect(),
                ..Default::default()
            }),
        }
    }

    #[test]
    fn the_first_matching_behavior_wins() {
        let compiled = Distribution::compile(
            &desired(&[("img/*", "b"), ("*.jpg", "a"), ("*.png", "b")]),
            &Resources::default(),
        )
        .expect("compiles");
        let target = |path: &str| compiled.behavior(path).origin.id.clone();
        assert_eq!(target("/img/x.jpg"), "b");
        assert_eq!(target("/x.jpg"), "a");
        assert_eq!(target("/x.png"), "b");
        assert_eq!(target("/anything"), "a");
        assert_eq!(target("/%69mg/x.jpg"), "b");
        assert_eq!(target("/%2fmg%"), "a");
        let place = |path: &str| compiled.matching_pattern(path).map(|(i, p)| (i, p.to_string()));
        assert_eq!(place("/%69mg/x.jpg"), Some((0, "/img/*".into())));
        assert_eq!(place("/x.png"), Some((2, compiled.behaviors[2].0.to_string())));
        assert_eq!(place("/anything"), None);
        let ids: Vec<&str> = compiled.origins().map(|o| o.id.as_str()).collect();
        assert_eq!(ids, ["b", "a"]);
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_all_reasons() {
        let mut wire = desired(&[]);
        wire.id = "nonsense".into();
        wire.domain_name = "a..b".into();
        let violations = Distribution::compile(&wire, &Resources::default()).expect_err("violations");
        assert_eq!(violations.list().len(), 2, "{violations}");
        wire.config = None;
        assert!(Distribution::compile(&wire, &Resources::default()).is_err());
    }
}
