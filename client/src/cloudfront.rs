//! CloudFront's own configs, as the AWS CLI prints them, read into specs; and what of each field becomes of it.
//!
//! Every field of CloudFront's is one line in a table ([`fields::Table`]) beside the function that reads it. What a table does not name
//! is reported as not supported, never dropped without a word; what cannot be read is a problem, named by its JSON path.

mod behavior;
mod distribution;
mod edge_headers;
mod fields;
mod keys;
mod legacy;
mod origin;
mod policies;
mod report;
mod response_headers;
mod s3;

use std::collections::BTreeMap;

use headland_proto::model::Kind;
use serde_json::Value;

use self::report::Place;
pub use self::report::{Entry, Outcome, Problem, Report};
use crate::spec::{
    CachePolicySpec, DistributionSpec, DocumentKind, KeyGroupSpec, Names, OriginRequestPolicySpec,
    OriginSpec, PublicKeySpec, ResponseHeadersPolicySpec,
};

/// What was imported: distributions, and what they refer to by name.
#[derive(Debug, Default)]
pub struct Imported {
    /// As they will be created.
    pub distributions: Vec<DistributionSpec>,
    /// Those that are used, and those that stand in for what behaviors once said themselves.
    pub cache_policies: Vec<CachePolicySpec>,
    /// The same of origin request policies.
    pub origin_request_policies: Vec<OriginRequestPolicySpec>,
    /// Those that were in the files.
    pub response_headers_policies: Vec<ResponseHeadersPolicySpec>,
    /// The same of public keys.
    pub public_keys: Vec<PublicKeySpec>,
    /// Those with at least one public key.
    pub key_groups: Vec<KeyGroupSpec>,
    /// What became of each field.
    pub report: Report,
}

/// What all functions that read a config may know and add to.
#[derive(Debug, Default)]
struct Context {
    /// Names by CloudFront's ids, kind by kind.
    names: Names,
    /// Origins that are elsewhere than the config says, by their ids. Those that no config has are left over.
    origins: BTreeMap<String, OriginSpec>,
    /// Ids of those that were found.
    origins_found: Vec<String>,
    /// Made in place of what behaviors say themselves.
    origin_request_policies: Vec<OriginRequestPolicySpec>,
}

/// Imports files: each a name for messages and the JSON in it. `origins` says where origins are instead, by their ids.
#[must_use]
pub fn import(files: &[(String, Value)], origins: BTreeMap<String, OriginSpec>) -> Imported {
    let mut imported = Imported::default();
    let mut context = Context { names: Names::managed(), origins, ..Context::default() };
    let mut found = Vec::new();
    for (file, value) in files {
        match Known::of(value) {
            Some(known) => found.push((file, known)),
            None => Place::new(file, &mut imported.report).problem(
                "is not what aws cloudfront get-distribution-config, get-distribution, get-cache-policy, \
                 get-origin-request-policy, get-response-headers-policy, get-key-group or get-public-key prints",
            ),
        }
    }
    // What is referred to comes before what refers to it, whatever the order of the files.
    found.sort_by_key(|(_, known)| known.kind);
    for (file, known) in found {
        one(file, &known, &mut context, &mut imported);
    }
    imported.origin_request_policies.append(&mut context.origin_request_policies);
    for id in context.origins.keys().filter(|id| !context.origins_found.contains(id)) {
        let mut place = Place::new("--origin", &mut imported.report);
        place.problem(format!("{id:?} is not the id of an origin in any of the files"));
    }
    imported
}

/// Imports one config. What it is called by CloudFront's id is known by its name from then on.
fn one(file: &str, known: &Known<'_>, context: &mut Context, imported: &mut Imported) {
    let mut whole = Place::new(file, &mut imported.report);
    let mut place = whole.below(&known.path);
    let (config, id) = (known.config, known.id);
    let names = &mut context.names;
    match known.kind {
        DocumentKind::CachePolicy => {
            let policy = policies::cache_policy(config, &mut place);
            names.insert(Kind::CachePolicy, &policy.name, id.unwrap_or(&policy.name));
            imported.cache_policies.push(policy);
        }
        DocumentKind::OriginRequestPolicy => {
            let policy = policies::origin_request_policy(config, &mut place);
            names.insert(Kind::OriginRequestPolicy, &policy.name, id.unwrap_or(&policy.name));
            imported.origin_request_policies.push(policy);
        }
        DocumentKind::ResponseHeadersPolicy => {
            let policy = response_headers::response_headers_policy(config, &mut place);
            names.insert(Kind::ResponseHeadersPolicy, &policy.name, id.unwrap_or(&policy.name));
            imported.response_headers_policies.push(policy);
        }
        DocumentKind::PublicKey => {
            let key = keys::public_key(config, &mut place);
            names.insert(Kind::PublicKey, &key.name, id.unwrap_or(&key.name));
            imported.public_keys.push(key);
        }
        DocumentKind::KeyGroup => {
            if let Some(group) = keys::key_group(config, context, &mut place) {
                context.names.insert(Kind::KeyGroup, &group.name, id.unwrap_or(&group.name));
                imported.key_groups.push(group);
            }
        }
        DocumentKind::Distribution => {
            let mut spec = distribution::distribution(config, context, &mut place);
            if let Some((path, tags)) = &known.tags {
                spec.tags = distribution::tags(tags, &mut whole.below(path));
            }
            imported.distributions.push(spec);
        }
    }
}

/// What a file is about.
struct Known<'v> {
    kind: DocumentKind,
    /// CloudFront's, where it is said.
    id: Option<&'v str>,
    /// Where the config stands.
    path: String,
    config: &'v Value,
    /// The tags beside the config, and where they stand.
    tags: Option<(String, &'v Value)>,
}

impl<'v> Known<'v> {
    fn of(value: &'v Value) -> Option<Self> {
        // The outputs of get-... have a thing around the config, those of get-...-config do not.
        const FORMS: [(DocumentKind, &str, &str); 7] = [
            (DocumentKind::Distribution, "Distribution", "DistributionConfig"),
            (DocumentKind::Distribution, "DistributionConfigWithTags", "DistributionConfig"),
            (DocumentKind::CachePolicy, "CachePolicy", "CachePolicyConfig"),
            (DocumentKind::OriginRequestPolicy, "OriginRequestPolicy", "OriginRequestPolicyConfig"),
            (DocumentKind::ResponseHeadersPolicy, "ResponseHeadersPolicy", "ResponseHeadersPolicyConfig"),
            (DocumentKind::PublicKey, "PublicKey", "PublicKeyConfig"),
            (DocumentKind::KeyGroup, "KeyGroup", "KeyGroupConfig"),
        ];
        for (kind, thing, config) in FORMS {
            for (whole, path) in [(value.get(thing), format!(".{thing}")), (Some(value), String::new())] {
                let Some((whole, config_of)) = whole.and_then(|whole| Some((whole, whole.get(config)?)))
                else {
                    continue;
                };
                let id = whole.get("Id").and_then(Value::as_str);
                let tags = whole.get("Tags").map(|tags| (format!("{path}.Tags"), tags));
                return Some(Self { kind, id, path: format!("{path}.{config}"), config: config_of, tags });
            }
        }
        let is_bare = value.get("Origins").is_some() && value.get("DefaultCacheBehavior").is_some();
        is_bare.then(|| Self {
            kind: DocumentKind::Distribution,
            id: None,
            path: String::new(),
            config: value,
            tags: None,
        })
    }
}

#[cfg(test)]
mod tests;
