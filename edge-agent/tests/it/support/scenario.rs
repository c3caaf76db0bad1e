//! Scenarios as tables: steps of a viewer, what the origin would answer to each, and what must come of it.
//!
//! A step with answers must ask the origin exactly that often; a step without must not ask at all.

mod run;
mod step;

use headland_proto::v1;

pub(crate) use step::{Step, ask, cached, fetch, get, head, not_modified};

use super::edge::{ALL_METHODS, behavior, policy, seconds};

type Adjust = Box<dyn Fn(&mut v1::DistributionConfig)>;

/// One scenario: an edge of its own, and steps in order.
pub(crate) struct Scenario {
    name: String,
    adjust: Vec<Adjust>,
    steps: Vec<Step>,
}

/// A scenario with RFC 9111 semantics and all methods allowed. The name says the requirement and its section.
pub(crate) fn scenario(name: impl Into<String>, steps: impl IntoIterator<Item = Step>) -> Scenario {
    let scenario = Scenario { name: name.into(), adjust: Vec::new(), steps: steps.into_iter().collect() };
    scenario.with(|config| behavior(config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec())
}

impl Scenario {
    /// With another configuration.
    pub(crate) fn with(mut self, adjust: impl Fn(&mut v1::DistributionConfig) + 'static) -> Self {
        self.adjust.push(Box::new(adjust));
        self
    }

    /// With CloudFront semantics and these bounds, in seconds.
    pub(crate) fn cloudfront(self, min_ttl: i64, default_ttl: i64, max_ttl: i64) -> Self {
        self.with(move |config| {
            *policy(config) = v1::CachePolicyConfig {
                semantics: v1::cache_policy_config::Semantics::Cloudfront.into(),
                min_ttl: seconds(min_ttl),
                default_ttl: seconds(default_ttl),
                max_ttl: seconds(max_ttl),
                ..Default::default()
            };
        })
    }
}

/// Runs every scenario, and tells of all that went wrong.
#[track_caller]
pub(crate) fn check(scenarios: impl IntoIterator<Item = Scenario>) {
    let failures: Vec<String> =
        scenarios.into_iter().filter_map(|scenario| run::run(scenario).err()).collect();
    assert!(failures.is_empty(), "{} scenario(s) failed:\n\n{}", failures.len(), failures.join("\n\n"));
}
