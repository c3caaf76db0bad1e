//! Distributions: the whole of what an operator asks for, checked as a whole.

use http::header;

use super::{
    Resources,
    cache_behavior::{self, CacheBehavior, Target},
    error_responses::{self, ErrorResponses},
    geo_restriction::{self, GeoRestriction},
    host_name::HostPattern,
    origin::{self, Origin, OriginKind, Signing},
    origin_group::{self, OriginGroup},
    path_pattern::PathPattern,
    tags,
    violation::{Checker, Violations},
};
use crate::{
    limits::{
        ALIASES_MAX, BEHAVIORS_MAX, CALLER_REFERENCE_CHARS_MAX, COMMENT_CHARS_MAX, CONFIG_BYTES_MAX,
        DEFAULT_ROOT_OBJECT_CHARS_MAX, ORIGINS_MAX,
    },
    v1,
};

/// A checked distribution config. Every reference in it resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionConfig {
    /// Makes creation idempotent.
    pub caller_reference: String,
    /// For people.
    pub comment: String,
    /// Whether it serves.
    pub enabled: bool,
    /// Host names besides the distribution's own, without repetition.
    pub aliases: Vec<HostPattern>,
    /// The path served for "/", with its leading slash.
    pub default_root_object: Option<String>,
    /// At least one.
    pub origins: Vec<Origin>,
    /// Origins that stand in for one another.
    pub origin_groups: Vec<OriginGroup>,
    /// Used when no pattern matches.
    pub default_behavior: CacheBehavior,
    /// Tried in order, first match wins.
    pub behaviors: Vec<(PathPattern, CacheBehavior)>,
    /// Whether viewers may ask for debug response headers, with `Headland-Debug: 1`.
    pub debug_headers: bool,
    /// What viewers get in place of errors, and how long errors are kept.
    pub error_responses: ErrorResponses,
    /// From which countries viewers may come.
    pub geo_restriction: GeoRestriction,
}

impl DistributionConfig {
    /// Checks everything and reports everything that is wrong. `resources` are what it may refer to.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(wire: &v1::DistributionConfig, resources: &Resources) -> Result<Self, Violations> {
        let mut found = Violations::default();
        let checked = check(wire, resources, &mut Checker::new(&mut found));
        let result = found.into_result(checked)?;
        // No violation, so every part is there; a missing part without a violation would be a bug in a check above.
        result.ok_or_else(|| {
            let mut found = Violations::default();
            found.add("", "could not be checked");
            found
        })
    }
}

fn check(
    wire: &v1::DistributionConfig,
    resources: &Resources,
    c: &mut Checker<'_>,
) -> Option<DistributionConfig> {
    let bytes = prost::Message::encoded_len(wire);
    c.ensure(bytes <= CONFIG_BYTES_MAX, || {
        format!("has {bytes} bytes; at most {CONFIG_BYTES_MAX} are allowed")
    });
    let mut reference = c.field("caller_reference");
    reference.ensure(!wire.caller_reference.is_empty(), || {
        "is required: any text that is unique to this distribution".into()
    });
    reference.chars_max(&wire.caller_reference, CALLER_REFERENCE_CHARS_MAX);
    reference.printable(&wire.caller_reference);
    c.field("comment").chars_max(&wire.comment, COMMENT_CHARS_MAX);
    c.field("comment").printable(&wire.comment);

    tags::check(&wire.tags, &mut c.field("tags"));
    let aliases = check_aliases(&wire.aliases, &mut c.field("aliases"));
    let default_root_object =
        check_root_object(&wire.default_root_object, &mut c.field("default_root_object"));
    let (origins, origin_ids) = check_origins(&wire.origins, &mut c.field("origins"));
    let (groups, group_ids) =
        origin_group::check(&wire.origin_groups, &origin_ids, &mut c.field("origin_groups"));
    let targets = Targets { origins: &origins, groups: &groups, ids: (&origin_ids, &group_ids) };
    let mut default = c.field("default_cache_behavior");
    let default_behavior = match &wire.default_cache_behavior {
        None => {
            default.violation("is required");
            None
        }
        Some(behavior) => {
            default.field("path_pattern").ensure(behavior.path_pattern.is_empty(), || {
                "must be empty: the default behavior takes every path that no other matches".into()
            });
            check_behavior(behavior, &targets, resources, &mut default)
        }
    };
    let behaviors =
        check_behaviors(&wire.cache_behaviors, &targets, resources, &mut c.field("cache_behaviors"));
    let error_responses =
        error_responses::check(&wire.custom_error_responses, &mut c.field("custom_error_responses"));
    let geo_restriction =
        geo_restriction::check(wire.geo_restriction.as_ref(), &mut c.field("geo_restriction"));
    Some(DistributionConfig {
        error_responses,
        geo_restriction,
        caller_reference: wire.caller_reference.clone(),
        comment: wire.comment.clone(),
        enabled: wire.enabled,
        aliases,
        default_root_object,
        origins: origins.into_iter().collect::<Option<_>>()?,
        origin_groups: groups.into_iter().collect::<Option<_>>()?,
        default_behavior: default_behavior?,
        behaviors: behaviors?,
        debug_headers: wire.debug_headers,
    })
}

fn check_aliases(wire: &[String], c: &mut Checker<'_>) -> Vec<HostPattern> {
    c.count_max(wire.len(), ALIASES_MAX);
    let mut aliases = Vec::with_capacity(wire.len());
    for (i, alias) in wire.iter().enumerate() {
        match alias.parse::<HostPattern>() {
            Err(error) => c.index(i).violation(format!("{alias:?} {error}")),
            Ok(pattern) if aliases.contains(&pattern) => {
                c.index(i).violation(format!("{pattern} is listed twice"))
            }
            Ok(pattern) => aliases.push(pattern),
        }
    }
    aliases
}

fn check_root_object(wire: &str, c: &mut Checker<'_>) -> Option<String> {
    if wire.is_empty() {
        return None;
    }
    c.chars_max(wire, DEFAULT_ROOT_OBJECT_CHARS_MAX);
    c.ensure(!wire.starts_with('/'), || "must not begin with \"/\": write index.html".into());
    let plain = wire.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&b));
    c.ensure(plain, || "must be a plain URL path; encode other characters as %XX".into());
    Some(format!("/{wire}"))
}

/// The origins that check out, each at its own index, and all ids, so that references to a faulty origin still resolve.
fn check_origins<'w>(wire: &'w [v1::Origin], c: &mut Checker<'_>) -> (Vec<Option<Origin>>, Vec<&'w str>) {
    c.ensure(!wire.is_empty(), || "must name at least one origin".into());
    c.count_max(wire.len(), ORIGINS_MAX);
    let ids: Vec<&str> = wire.iter().map(|o| o.id.as_str()).collect();
    let mut origins = Vec::with_capacity(wire.len());
    for (i, origin) in wire.iter().enumerate() {
        let mut c = c.index(i);
        origins.push(origin::check(origin, &mut c));
        c.field("id").ensure(origin.id.is_empty() || !ids[..i].contains(&origin.id.as_str()), || {
            format!("{:?} is used by an earlier origin", origin.id)
        });
    }
    (origins, ids)
}

fn check_behaviors(
    wire: &[v1::CacheBehavior],
    targets: &Targets<'_>,
    resources: &Resources,
    c: &mut Checker<'_>,
) -> Option<Vec<(PathPattern, CacheBehavior)>> {
    c.count_max(wire.len(), BEHAVIORS_MAX);
    let mut behaviors: Vec<Option<(PathPattern, CacheBehavior)>> = Vec::with_capacity(wire.len());
    for (i, behavior) in wire.iter().enumerate() {
        let mut c = c.index(i);
        let pattern = behavior.path_pattern.parse::<PathPattern>();
        match &pattern {
            Err(error) => c.field("path_pattern").violation(error.to_string()),
            Ok(pattern) if behaviors.iter().flatten().any(|(p, _)| p == pattern) => {
                c.field("path_pattern")
                    .violation(format!("{pattern} is used by an earlier behavior, which always wins"));
            }
            Ok(_) => {}
        }
        let behavior = check_behavior(behavior, targets, resources, &mut c);
        behaviors.push(pattern.ok().zip(behavior));
    }
    behaviors.into_iter().collect()
}

fn check_behavior(
    wire: &v1::CacheBehavior,
    targets: &Targets<'_>,
    resources: &Resources,
    c: &mut Checker<'_>,
) -> Option<CacheBehavior> {
    let behavior = cache_behavior::check(wire, targets.ids, resources, c)?;
    let buckets = targets.origins_of(behavior.target).filter_map(|origin| match &origin.kind {
        OriginKind::S3(s3) => Some(s3),
        OriginKind::Custom(_) => None,
    });
    if let Some(signing) = buckets.map(|s3| s3.signing).max() {
        // What is in the key is forwarded; S3 answers only to its own Host, and a signature is an Authorization header.
        for header in &behavior.cache_policy.headers {
            let conflict =
                *header == header::HOST || (signing == Signing::Always && *header == header::AUTHORIZATION);
            let field = if wire.cache_policy_id.is_empty() {
                "cache_policy.headers.names"
            } else {
                "cache_policy_id"
            };
            c.field(field)
                .ensure(!conflict, || format!("{header} cannot be forwarded to an S3 origin; remove it"));
        }
    }
    let deaf = targets.origins_of(behavior.target).find(|origin| behavior.grpc && !origin.can_speak_http2());
    if let Some(origin) = deaf {
        c.field("grpc").violation(format!(
            "takes HTTP/2, which origin {:?} cannot be asked in: set its protocol_policy to HTTPS_ONLY or its http2 to ALWAYS",
            origin.id
        ));
    }
    Some(behavior)
}

/// What behaviors can refer to. What does not check out is missing in its place.
struct Targets<'w> {
    origins: &'w [Option<Origin>],
    groups: &'w [Option<OriginGroup>],
    ids: (&'w [&'w str], &'w [&'w str]),
}

impl Targets<'_> {
    fn origins_of(&self, target: Target) -> impl Iterator<Item = &Origin> {
        let (one, group) = match target {
            Target::Origin(index) => (Some(index), None),
            Target::Group(index) => (None, self.groups.get(index).and_then(Option::as_ref)),
        };
        let members = group.into_iter().flat_map(|group| group.members.iter().copied());
        one.into_iter().chain(members).filter_map(|index| self.origins.get(index)?.as_ref())
    }
}

#[cfg(test)]
mod tests;
