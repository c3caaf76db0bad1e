//! Flags for the common case, and what they change in a distribution.

use clap::ValueEnum;
use headland::{
    error::{Error, ErrorKind, Violation},
    spec::{
        CacheBehaviorSpec, CachePolicyChoice, DistributionSpec, GeoRestrictionMode, GeoRestrictionSpec,
        OriginKind, OriginSpec, S3OriginSpec, Semantics, Signing, SpecDuration, ViewerProtocolPolicy,
        in_spec_words,
    },
};

use crate::commands::tags::Tag;

/// All methods, as the one set that allows them names them.
const ALL_METHODS: &[&str] = &["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"];

/// What can be set without a file. The group keeps all of it from being mixed with one.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "fields", multiple = true)]
#[command(next_help_heading = "Distribution (instead of a file)")]
pub(crate) struct ConfigFlags {
    /// Where objects come from: http://host[:port][/path], https://host[:port][/path] or s3://bucket[/path]
    #[arg(long, value_name = "URL", conflicts_with = "s3_bucket")]
    origin: Option<String>,
    /// Bucket that objects come from
    #[arg(long, value_name = "BUCKET")]
    s3_bucket: Option<String>,
    /// Server of the bucket, http[s]://host[:port], if it is not Amazon S3
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Region of the bucket [default: us-east-1]
    #[arg(long, value_name = "REGION")]
    s3_region: Option<String>,
    /// Put the bucket in the path and not in the host name, as many S3-compatible servers need it
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    s3_path_style: Option<bool>,
    /// The bucket is public: do not sign requests
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    s3_public: Option<bool>,
    /// Profile of the edges' AWS files that has the credentials
    #[arg(long, value_name = "PROFILE")]
    s3_profile: Option<String>,
    /// Further host name to answer to, such as www.example.com or *.example.com; may be repeated. `update` replaces the
    /// whole list
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// Text for people
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Object served for "/", such as index.html
    #[arg(long, value_name = "NAME")]
    default_root_object: Option<String>,
    /// Id or name of the cache policy: how long objects are kept and what tells them apart. In place of the four flags below
    #[arg(long, value_name = "ID|NAME", conflicts_with_all = ["default_ttl", "min_ttl", "max_ttl", "semantics"])]
    cache_policy: Option<String>,
    /// Id or name of the origin request policy: what reaches the origin beside what is in the cache key; '' for none
    #[arg(long, value_name = "ID|NAME")]
    origin_request_policy: Option<String>,
    /// Id of the response headers policy: what is removed from, and added to, every response; '' for none
    #[arg(long, value_name = "ID")]
    response_headers_policy: Option<String>,
    /// By which scheme viewers may come [default: allow-all]
    #[arg(long, value_enum, value_name = "POLICY")]
    viewer_protocol_policy: Option<ViewerProtocolFlag>,
    /// Countries that viewers may come from, and no others: DE,FR; '' for all
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',', conflicts_with = "geo_block")]
    geo_allow: Option<Vec<String>>,
    /// Countries that viewers may not come from: DE,FR; '' for none
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',')]
    geo_block: Option<Vec<String>>,
    /// How long objects are kept when the origin does not say, such as 90, 90s or 1h30m
    #[arg(long, value_name = "DURATION")]
    default_ttl: Option<SpecDuration>,
    /// Shortest time that objects are kept, whatever the origin says
    #[arg(long, value_name = "DURATION")]
    min_ttl: Option<SpecDuration>,
    /// Longest time that objects are kept, whatever the origin says
    #[arg(long, value_name = "DURATION")]
    max_ttl: Option<SpecDuration>,
    /// Whose caching rules apply [default: cloudfront]
    #[arg(long, value_enum, value_name = "WHOSE")]
    semantics: Option<SemanticsFlag>,
    /// Pass on all seven methods, not only GET and HEAD
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_all_methods: Option<bool>,
    /// Tag to set; may be repeated. `update` leaves the others as they are
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<Tag>,
    /// Tag to remove; may be repeated
    #[arg(long, value_name = "KEY")]
    untag: Vec<String>,
    /// Serve it
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// Do not serve it: viewers are answered 403
    #[arg(long)]
    disabled: bool,
    /// Let viewers ask for debug response headers with `Headland-Debug: 1`
    #[arg(long, conflicts_with = "no_debug_headers")]
    debug_headers: bool,
    /// Tell viewers nothing beyond the usual headers
    #[arg(long)]
    no_debug_headers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SemanticsFlag {
    /// CloudFront's: a minimum TTL overrides the origin, a viewer's Cache-Control is ignored
    Cloudfront,
    /// A shared cache as RFC 9111 describes it
    Rfc9111,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ViewerProtocolFlag {
    /// By http and https
    AllowAll,
    /// By https; others are answered 403
    HttpsOnly,
    /// By https; others are sent to the same URL with it
    RedirectToHttps,
}

impl ConfigFlags {
    /// Whether any flag was given.
    pub(crate) fn any(&self) -> bool {
        let mut changed = DistributionSpec::default();
        let on_nothing = self.has_origin() || self.has_s3_details() || self.enabled || self.disabled;
        on_nothing
            || self.debug_headers
            || self.no_debug_headers
            || self.comment.is_some()
            || self.default_root_object.is_some()
            || !self.alias.is_empty()
            || self.geo_allow.is_some()
            || self.geo_block.is_some()
            || !self.tags.is_empty()
            || !self.untag.is_empty()
            || self.cache_policy.is_some()
            || self.origin_request_policy.is_some()
            || self.response_headers_policy.is_some()
            || {
                self.apply_behavior(&mut changed);
                changed != DistributionSpec::default()
            }
    }

    fn has_origin(&self) -> bool {
        self.origin.is_some() || self.s3_bucket.is_some()
    }

    fn has_s3_details(&self) -> bool {
        self.s3_endpoint.is_some()
            || self.s3_region.is_some()
            || self.s3_path_style.is_some()
            || self.s3_public.is_some()
            || self.s3_profile.is_some()
    }

    /// Changes what the flags name, and nothing else.
    pub(crate) fn apply(&self, spec: &mut DistributionSpec) -> Result<(), Error> {
        if self.has_origin() || self.has_s3_details() {
            self.apply_origin(spec)?;
        }
        if !self.alias.is_empty() {
            spec.aliases.clone_from(&self.alias);
        }
        spec.tags.retain(|key, _| !self.untag.contains(key));
        spec.tags.extend(self.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        if let Some(comment) = &self.comment {
            spec.comment.clone_from(comment);
        }
        if let Some(object) = &self.default_root_object {
            spec.default_root_object.clone_from(object);
        }
        if self.enabled || self.disabled {
            spec.enabled = self.enabled;
        }
        if self.debug_headers || self.no_debug_headers {
            spec.debug_headers = self.debug_headers;
        }
        if let Some(geo) = self.geo_restriction() {
            spec.geo_restriction = geo;
        }
        self.apply_behavior(spec);
        Ok(())
    }

    /// What the flags make of the geographic restriction, if they name it.
    fn geo_restriction(&self) -> Option<Option<GeoRestrictionSpec>> {
        let (mode, countries) = match (&self.geo_allow, &self.geo_block) {
            (Some(countries), _) => (GeoRestrictionMode::Whitelist, countries),
            (None, Some(countries)) => (GeoRestrictionMode::Blacklist, countries),
            (None, None) => return None,
        };
        let country_codes: Vec<String> = countries.iter().filter(|code| !code.is_empty()).cloned().collect();
        Some((!country_codes.is_empty()).then_some(GeoRestrictionSpec { mode: Some(mode), country_codes }))
    }

    fn apply_origin(&self, spec: &mut DistributionSpec) -> Result<(), Error> {
        let new = match (&self.origin, &self.s3_bucket) {
            (Some(url), _) => Some(OriginSpec::from_url(url)?),
            (None, Some(bucket)) if spec.origins.is_empty() => Some(OriginSpec {
                id: bucket.clone(),
                kind: Some(OriginKind::S3(S3OriginSpec::default())),
                ..OriginSpec::default()
            }),
            (None, _) => None,
        };
        match (spec.origins.as_mut_slice(), new) {
            ([], Some(new)) => *spec = std::mem::take(spec).with_origin(new),
            ([], None) => {
                return Err(Error::new(ErrorKind::Usage, "set up the bucket: the origin is missing")
                    .with_hint("name the bucket with --s3-bucket or --origin s3://bucket"));
            }
            // What refers to the origin, and its headers and timeouts, stay.
            ([origin], Some(new)) => {
                let keeps_bucket =
                    matches!((&origin.kind, &new.kind), (Some(OriginKind::S3(_)), Some(OriginKind::S3(_))));
                origin.origin_path = new.origin_path;
                match (&mut origin.kind, new.kind) {
                    (Some(OriginKind::S3(old)), Some(OriginKind::S3(new))) if keeps_bucket => {
                        old.bucket = new.bucket
                    }
                    (kind, new) => *kind = new,
                }
            }
            ([_], None) => {}
            (many, _) => {
                let ids: Vec<_> = many.iter().map(|o| o.id.as_str()).collect();
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("change the origin: there are {} ({}), and flags do not say which", many.len(), ids.join(", ")),
                )
                .with_hint("headland distribution get ID -o yaml, edit it, and headland distribution update ID -f FILE"));
            }
        }
        self.apply_s3(&mut spec.origins[0])
    }

    fn apply_s3(&self, origin: &mut OriginSpec) -> Result<(), Error> {
        if self.s3_bucket.is_some() && !matches!(origin.kind, Some(OriginKind::S3(_))) {
            origin.kind = Some(OriginKind::S3(S3OriginSpec::default()));
            origin.origin_path.clear();
        }
        let s3 = match &mut origin.kind {
            Some(OriginKind::S3(s3)) => s3,
            _ if self.has_s3_details() => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "set up the bucket: the origin is an HTTP server, and --s3-... flags are for buckets",
                )
                .with_hint("name the bucket with --s3-bucket or --origin s3://bucket"));
            }
            _ => return Ok(()),
        };
        let set = |field: &mut String, flag: &Option<String>| {
            if let Some(value) = flag {
                field.clone_from(value);
            }
        };
        set(&mut s3.bucket, &self.s3_bucket);
        set(&mut s3.endpoint, &self.s3_endpoint);
        set(&mut s3.region, &self.s3_region);
        set(&mut s3.credentials_profile, &self.s3_profile);
        if let Some(path_style) = self.s3_path_style {
            s3.path_style = path_style;
        }
        if let Some(public) = self.s3_public {
            s3.signing = Some(if public { Signing::Never } else { Signing::Always });
        }
        Ok(())
    }

    fn apply_behavior(&self, spec: &mut DistributionSpec) {
        let behavior = &mut spec.default_cache_behavior;
        if let Some(all) = self.allow_all_methods {
            let methods = if all { ALL_METHODS } else { &ALL_METHODS[..2] };
            behavior.get_or_insert_default().allowed_methods =
                methods.iter().map(|&m| m.to_owned()).collect();
        }
        if let Some(id) = &self.cache_policy {
            let behavior = behavior.get_or_insert_default();
            (behavior.cache_policy_id, behavior.cache_policy) = match is_id(id) {
                true => (id.clone(), None),
                false => (String::new(), Some(CachePolicyChoice::Named(id.clone()))),
            };
        }
        if let Some(id) = &self.origin_request_policy {
            let behavior = behavior.get_or_insert_default();
            (behavior.origin_request_policy_id, behavior.origin_request_policy) = match is_id(id) {
                true => (id.clone(), String::new()),
                false => (String::new(), id.clone()),
            };
        }
        if let Some(id) = &self.response_headers_policy {
            behavior.get_or_insert_default().response_headers_policy_id.clone_from(id);
        }
        if let Some(policy) = self.viewer_protocol_policy {
            behavior.get_or_insert_default().viewer_protocol_policy = Some(match policy {
                ViewerProtocolFlag::AllowAll => ViewerProtocolPolicy::AllowAll,
                ViewerProtocolFlag::HttpsOnly => ViewerProtocolPolicy::HttpsOnly,
                ViewerProtocolFlag::RedirectToHttps => ViewerProtocolPolicy::RedirectToHttps,
            });
        }
        let policy = |behavior: &mut Option<CacheBehaviorSpec>,
                      change: &dyn Fn(&mut headland::spec::CachePolicySpec)| {
            change(behavior.get_or_insert_default().inline_cache_policy());
        };
        if let Some(semantics) = self.semantics {
            policy(behavior, &|p| {
                p.semantics = Some(match semantics {
                    SemanticsFlag::Cloudfront => Semantics::Cloudfront,
                    SemanticsFlag::Rfc9111 => Semantics::Rfc9111,
                });
            });
        }
        if self.default_ttl.is_some() {
            policy(behavior, &|p| p.default_ttl = self.default_ttl);
        }
        if self.min_ttl.is_some() {
            policy(behavior, &|p| p.min_ttl = self.min_ttl);
        }
        if self.max_ttl.is_some() {
            policy(behavior, &|p| p.max_ttl = self.max_ttl);
        }
    }
}

/// Whether this is an id, empty or a UUID, and not a name.
fn is_id(text: &str) -> bool {
    text.is_empty() || text.parse::<uuid::Uuid>().is_ok()
}

/// The same violation, said of the flag that sets the field.
pub(crate) fn in_flags(violation: Violation) -> Violation {
    const FLAGS: &[(&str, &str)] = &[
        ("etag", "--etag"),
        ("caller_reference", "--caller-reference"),
        ("comment", "--comment"),
        ("aliases", "--alias"),
        ("default_root_object", "--default-root-object"),
        ("debug_headers", "--debug-headers"),
        ("tags", "--tag"),
        ("origins[0].s3.bucket", "--s3-bucket"),
        ("origins[0].s3.region", "--s3-region"),
        ("origins[0].s3.endpoint", "--s3-endpoint"),
        ("origins[0].s3.signing", "--s3-public"),
        ("origins[0].s3.credentials_profile", "--s3-profile"),
        ("origins[0]", "--origin"),
        ("geo_restriction", "--geo-allow or --geo-block"),
        ("default_cache_behavior.viewer_protocol_policy", "--viewer-protocol-policy"),
        ("default_cache_behavior.allowed_methods", "--allow-all-methods"),
        ("default_cache_behavior.cache_policy_id", "--cache-policy"),
        ("default_cache_behavior.origin_request_policy_id", "--origin-request-policy"),
        ("default_cache_behavior.response_headers_policy_id", "--response-headers-policy"),
        ("default_cache_behavior.cache_policy.semantics", "--semantics"),
        ("default_cache_behavior.cache_policy.min_ttl", "--min-ttl"),
        ("default_cache_behavior.cache_policy.default_ttl", "--default-ttl"),
        ("default_cache_behavior.cache_policy.max_ttl", "--max-ttl"),
        ("default_cache_behavior.cache_policy", "--cache-policy"),
        ("default_cache_behavior.origin_request_policy", "--origin-request-policy"),
    ];
    let in_config = violation.field.strip_prefix("config.").unwrap_or(&violation.field);
    let flag = FLAGS.iter().find(|(field, _)| in_config.starts_with(field));
    Violation {
        field: flag.map_or(in_config, |(_, flag)| flag).to_owned(),
        description: in_spec_words(&violation.description),
        place: violation.place,
    }
}

#[cfg(test)]
mod tests;
