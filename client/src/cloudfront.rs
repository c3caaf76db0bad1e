//! CloudFront's own configs, as the AWS CLI prints them, read into specs; and what of each field becomes of it.
//!
//! Every field of CloudFront's is one line in a table ([`fields::Table`]) beside the function that reads it. What a table does not name
//! is reported as not supported, never dropped without a word; what cannot be read is a problem, named by its JSON path.

mod behavior;
mod distribution;
mod fields;
mod legacy;
mod origin;
mod policies;
mod report;
mod s3;

use std::collections::BTreeMap;

use headland_proto::model::Kind;
use serde_json::Value;

use self::report::Place;
pub use self::report::{Entry, Outcome, Problem, Report};
use crate::spec::{CachePolicySpec, DistributionSpec, Names, OriginRequestPolicySpec, OriginSpec};

/// What was imported: distributions, and the policies that they refer to by name.
#[derive(Debug, Default)]
pub struct Imported {
    /// As they will be created.
    pub distributions: Vec<DistributionSpec>,
    /// Those that are used, and those that stand in for what behaviors once said themselves.
    pub cache_policies: Vec<CachePolicySpec>,
    /// The same of origin request policies.
    pub origin_request_policies: Vec<OriginRequestPolicySpec>,
    /// What became of each field.
    pub report: Report,
}

/// What all functions that read a config may know and add to.
#[derive(Debug, Default)]
struct Context {
    /// Names of policies by CloudFront's ids, kind by kind.
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
    let mut configs = Vec::new();
    for (file, value) in files {
        let mut place = Place::new(file, &mut imported.report);
        match Known::of(value) {
            Some((Known::Distribution, path, config)) => configs.push((file, path, config)),
            Some((Known::CachePolicy { id }, path, config)) => {
                let policy = policies::cache_policy(config, &mut place.below(path));
                context.names.insert(Kind::CachePolicy, &policy.name, id.unwrap_or(&policy.name));
                imported.cache_policies.push(policy);
            }
            Some((Known::OriginRequestPolicy { id }, path, config)) => {
                let policy = policies::origin_request_policy(config, &mut place.below(path));
                context.names.insert(Kind::OriginRequestPolicy, &policy.name, id.unwrap_or(&policy.name));
                imported.origin_request_policies.push(policy);
            }
            Some((Known::NotYet, path, _)) => place.below(path).unsupported("not supported yet; nothing is made of it"),
            None => place.problem(
                "is not what aws cloudfront get-distribution-config, get-distribution, get-cache-policy, \
                 get-origin-request-policy, get-response-headers-policy, get-key-group or get-public-key prints",
            ),
        }
    }
    for (file, path, config) in configs {
        let mut place = Place::new(file, &mut imported.report);
        imported.distributions.push(distribution::distribution(config, &mut context, &mut place.below(path)));
    }
    imported.origin_request_policies.append(&mut context.origin_request_policies);
    for id in context.origins.keys().filter(|id| !context.origins_found.contains(id)) {
        let mut place = Place::new("--origin", &mut imported.report);
        place.problem(format!("{id:?} is not the id of an origin in any of the files"));
    }
    imported
}

/// What a file is about.
enum Known<'v> {
    Distribution,
    CachePolicy {
        id: Option<&'v str>,
    },
    OriginRequestPolicy {
        id: Option<&'v str>,
    },
    /// Of a kind that this version has nothing for.
    NotYet,
}

impl<'v> Known<'v> {
    /// What it is, where the config in it stands, and the config.
    fn of(value: &'v Value) -> Option<(Self, &'static str, &'v Value)> {
        let id = |whole: &'v Value| whole.get("Id").and_then(Value::as_str);
        // The outputs of get-... with the thing around its config, of get-...-config, and the bare config.
        type Form = (&'static [&'static str], &'static str);
        const FORMS: [Form; 9] = [
            (&["Distribution", "DistributionConfig"], ".Distribution.DistributionConfig"),
            (&["DistributionConfig"], ".DistributionConfig"),
            (&["CachePolicy", "CachePolicyConfig"], ".CachePolicy.CachePolicyConfig"),
            (&["CachePolicyConfig"], ".CachePolicyConfig"),
            (
                &["OriginRequestPolicy", "OriginRequestPolicyConfig"],
                ".OriginRequestPolicy.OriginRequestPolicyConfig",
            ),
            (&["OriginRequestPolicyConfig"], ".OriginRequestPolicyConfig"),
            (&["ResponseHeadersPolicy"], ".ResponseHeadersPolicy"),
            (&["KeyGroup"], ".KeyGroup"),
            (&["PublicKey"], ".PublicKey"),
        ];
        for (steps, path) in FORMS {
            let Some(config) = steps.iter().try_fold(value, |value, step| value.get(step)) else { continue };
            let known = match *steps.last()? {
                "DistributionConfig" => Self::Distribution,
                "CachePolicyConfig" => {
                    Self::CachePolicy { id: id(value.get("CachePolicy").unwrap_or(value)) }
                }
                "OriginRequestPolicyConfig" => {
                    Self::OriginRequestPolicy { id: id(value.get("OriginRequestPolicy").unwrap_or(value)) }
                }
                _ => Self::NotYet,
            };
            return Some((known, path, config));
        }
        let is_bare = value.get("Origins").is_some() && value.get("DefaultCacheBehavior").is_some();
        is_bare.then_some((Self::Distribution, "", value))
    }
}

#[cfg(test)]
mod tests;
