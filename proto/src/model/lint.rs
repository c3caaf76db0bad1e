//! Lint: what a distribution may say, and what its operator will regret. Nothing here is refused.

use http::header;

use super::{
    CacheBehavior, DistributionConfig, NameSelection, OriginHeaders, PathPattern, Semantics,
    violation::Violation,
};

/// Endings of files that are the same for every viewer.
const STATIC_ENDINGS: &[&str] = &[
    ".avif", ".css", ".gif", ".ico", ".jpeg", ".jpg", ".js", ".mjs", ".mp4", ".pdf", ".png", ".svg", ".ttf",
    ".webm", ".webp", ".woff", ".woff2",
];
/// Headers that have nearly as many values as there are viewers.
const HEADERS_OF_MANY_VALUES: &[&str] = &[
    "user-agent",
    "referer",
    "cookie",
    "x-forwarded-for",
    "cloudfront-viewer-header-order",
    "cloudfront-viewer-latitude",
    "cloudfront-viewer-longitude",
    "cloudfront-viewer-postal-code",
];

/// Everything about a distribution that is likely to be a mistake, with the field that it is about.
#[must_use]
pub fn lint(config: &DistributionConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    behavior("default_cache_behavior", None, &config.default_behavior, &mut found);
    let mut everything: Option<&PathPattern> = None;
    for (i, (pattern, rules)) in config.behaviors.iter().enumerate() {
        let field = format!("cache_behaviors[{i}]");
        if let Some(earlier) = everything {
            let description =
                format!("is never reached: {earlier} matches every path, and the first match wins");
            found.push(Violation { field: format!("{field}.path_pattern"), description });
        }
        behavior(&field, Some(pattern), rules, &mut found);
        if pattern.to_string().trim_start_matches('/').bytes().all(|byte| byte == b'*') {
            everything.get_or_insert(pattern);
        }
    }
    error_pages(config, &mut found);
    found
}

/// A page is asked for as any object is, by the behavior that its path has.
fn error_pages(config: &DistributionConfig, found: &mut Vec<Violation>) {
    for (status, page) in config.error_responses.pages() {
        let matching = config.behaviors.iter().find(|(pattern, _)| pattern.matches(&page.path));
        let rules = matching.map_or(&config.default_behavior, |(_, rules)| rules);
        if rules.trusted_keys.is_some() {
            let description = format!(
                "has the page {} for {}, whose behavior trusts key groups: who has no signature for the page itself gets a 403 in its place; \
                 give such pages a behavior without key groups",
                page.path,
                status.as_u16()
            );
            found.push(Violation { field: "custom_error_responses".into(), description });
        }
    }
}

fn behavior(field: &str, pattern: Option<&PathPattern>, rules: &CacheBehavior, found: &mut Vec<Violation>) {
    let policy = &rules.cache_policy;
    if policy.ttl.max.is_zero() {
        // Nothing is shared.
        return;
    }
    let mut warn = |name: &str, description: String| {
        found.push(Violation { field: format!("{field}.{name}"), description });
    };
    let shared = "though what comes is stored for all: viewers get one another's answers where the origin's depend on it";
    if let Some(also) = &rules.origin_request_policy {
        let name = "origin_request_policy_id";
        let unkeyed = match &also.headers {
            OriginHeaders::None => None,
            OriginHeaders::Whitelist(names) => {
                let unkeyed: Vec<&str> =
                    names.iter().filter(|name| !policy.headers.contains(name)).map(|n| n.as_str()).collect();
                (!unkeyed.is_empty()).then(|| unkeyed.join(", "))
            }
            OriginHeaders::AllViewer | OriginHeaders::AllViewerAndEdge(_) | OriginHeaders::AllExcept(_) => {
                Some("nearly every header".to_owned())
            }
        };
        if let Some(headers) = unkeyed {
            warn(name, format!("forwards {headers} without the cache key having it, {shared}"));
        }
        for (what, forwarded, keyed) in [
            ("cookies", &also.cookies, &policy.cookies),
            ("query parameters", &also.query_strings, &policy.query_strings),
        ] {
            if !is_within(forwarded, keyed) {
                warn(name, format!("forwards {what} that are not in the cache key, {shared}"));
            }
        }
    }
    let ending = |pattern: &PathPattern| {
        let text = pattern.to_string();
        STATIC_ENDINGS.iter().find(|ending| text.ends_with(**ending)).copied()
    };
    if let Some(ending) = pattern.and_then(ending).filter(|_| policy.keys_cookies()) {
        let description =
            format!("puts cookies into the key of {ending} files: each viewer has a copy of its own");
        warn("cache_policy", description);
    }
    if policy.semantics == Semantics::CloudFront && policy.query_strings == NameSelection::All {
        let description = "puts the whole query into the key: the same parameters in another order, or with one more that \
                           nobody looks at, are another object; name those that count";
        warn("cache_policy", description.to_owned());
    }
    if let Some(name) = policy.headers.iter().find(|name| HEADERS_OF_MANY_VALUES.contains(&name.as_str())) {
        warn(
            "cache_policy",
            format!("puts {name} into the key, which has nearly as many values as there are viewers"),
        );
    }
    if !policy.ttl.min.is_zero() && !policy.headers.contains(&header::AUTHORIZATION) {
        let seconds = policy.ttl.min.as_secs();
        // CachingOptimized has one second.
        if seconds > 1 {
            let description = format!(
                "keeps everything for {seconds} s at least, also what the origin calls private or no-store: use it only for paths where nothing is personal"
            );
            warn("cache_policy", description);
        }
    }
}

/// Whether all that one selection may select the other does, too.
fn is_within(inner: &NameSelection, outer: &NameSelection) -> bool {
    match (inner, outer) {
        (NameSelection::None, _) | (_, NameSelection::All) => true,
        (NameSelection::Whitelist(names), _) => names.iter().all(|name| outer.selects(name)),
        (NameSelection::AllExcept(left_out), NameSelection::AllExcept(also)) => {
            also.iter().all(|name| left_out.contains(name))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Resources, v1};

    const OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
    const DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
    const ALL_VIEWER: &str = "216adef6-5c7f-47e4-b989-5492eafa07d3";
    const CORS_S3: &str = "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf";

    fn by(pattern: &str, cache: &str, also: &str) -> v1::CacheBehavior {
        v1::CacheBehavior {
            path_pattern: pattern.into(),
            target_origin_id: "o".into(),
            cache_policy_id: cache.into(),
            origin_request_policy_id: also.into(),
            ..Default::default()
        }
    }

    fn with(pattern: &str, policy: v1::CachePolicyConfig) -> v1::CacheBehavior {
        v1::CacheBehavior { cache_policy: Some(policy), ..by(pattern, "", "") }
    }

    fn config(default: v1::CacheBehavior, others: Vec<v1::CacheBehavior>) -> v1::DistributionConfig {
        v1::DistributionConfig {
            caller_reference: "r".into(),
            origins: vec![v1::Origin {
                id: "o".into(),
                kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                    domain_name: "o.example.com".into(),
                    ..Default::default()
                })),
                ..Default::default()
            }],
            default_cache_behavior: Some(default),
            cache_behaviors: others,
            ..Default::default()
        }
    }

    /// Field and a word of each warning.
    fn check(default: v1::CacheBehavior, others: Vec<v1::CacheBehavior>, expected: &[(&str, &str)]) {
        let wire = config(default, others);
        let config = DistributionConfig::check(&wire, &Resources::default()).expect("a config");
        let found = lint(&config);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (warning, (field, word)) in found.iter().zip(expected) {
            assert!(
                warning.field == *field && warning.description.contains(word),
                "{warning:?}, not {field} {word}"
            );
        }
    }

    #[test]
    fn what_is_forwarded_and_not_keyed_is_told_where_it_matters() {
        let field = "default_cache_behavior.origin_request_policy_id";
        check(by("", OPTIMIZED, ""), vec![], &[]);
        check(by("", DISABLED, ALL_VIEWER), vec![], &[]);
        check(by("", OPTIMIZED, CORS_S3), vec![], &[(field, "origin")]);
        check(
            by("", OPTIMIZED, ALL_VIEWER),
            vec![],
            &[(field, "every header"), (field, "cookies"), (field, "query parameters")],
        );
    }

    #[test]
    fn what_makes_many_copies_is_told() {
        let all = || Some(v1::NameSelection { mode: v1::name_selection::Mode::All.into(), names: vec![] });
        let cookies = v1::CachePolicyConfig { cookies: all(), ..Default::default() };
        check(
            by("", OPTIMIZED, ""),
            vec![with("*.jpg", cookies.clone())],
            &[("cache_behaviors[0].cache_policy", ".jpg")],
        );
        check(by("", OPTIMIZED, ""), vec![with("api/*", cookies)], &[]);
        let field = "default_cache_behavior.cache_policy";
        check(
            with("", v1::CachePolicyConfig { query_strings: all(), ..Default::default() }),
            vec![],
            &[(field, "order")],
        );
        let agent = v1::HeaderSelection { names: vec!["User-Agent".into()] };
        check(
            with("", v1::CachePolicyConfig { headers: Some(agent), ..Default::default() }),
            vec![],
            &[(field, "user-agent")],
        );
    }

    #[test]
    fn a_minimum_over_what_may_be_personal_is_told() {
        let min_ttl = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let policy = v1::CachePolicyConfig { min_ttl, ..Default::default() };
        check(with("", policy), vec![], &[("default_cache_behavior.cache_policy", "private")]);
    }

    #[test]
    fn a_page_for_errors_that_needs_a_signature_is_told() {
        use crate::model::{KeyAlgorithm, KeyGroup, PublicKey, Resource};
        let (key, group) =
            ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"].into();
        let id = |text: &str| text.parse::<crate::id::ResourceId>().expect("id");
        let mut resources = Resources::default();
        let public_key = PublicKey { algorithm: KeyAlgorithm::EcdsaP256, spki: vec![] };
        resources.insert(id(key), Resource::PublicKey(public_key.into()));
        resources.insert(id(group), Resource::KeyGroup(KeyGroup { public_key_ids: vec![id(key)] }.into()));
        let default =
            v1::CacheBehavior { trusted_key_group_ids: vec![group.into()], ..by("", OPTIMIZED, "") };
        let mut config = v1::DistributionConfig {
            custom_error_responses: vec![v1::CustomErrorResponse {
                error_code: 403,
                response_page_path: "/errors/403.html".into(),
                ..Default::default()
            }],
            ..config(default, vec![])
        };
        let found = |config: &v1::DistributionConfig| {
            let config = DistributionConfig::check(config, &resources).expect("a config");
            lint(&config).iter().map(|warning| warning.field.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found(&config), ["custom_error_responses"]);
        config.cache_behaviors = vec![by("/errors/*", OPTIMIZED, "")];
        assert!(found(&config).is_empty());
    }

    #[test]
    fn a_behavior_that_is_never_reached_is_told() {
        let others = vec![by("a/*", OPTIMIZED, ""), by("*", OPTIMIZED, ""), by("b/*", OPTIMIZED, "")];
        check(by("", OPTIMIZED, ""), others, &[("cache_behaviors[2].path_pattern", "never")]);
    }
}
