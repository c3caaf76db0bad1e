//! The one distribution of `headland dev`.

use std::{env, path::Path};

use headland::{
    client::Client,
    error::{Error, ErrorKind},
    spec::{
        CacheBehaviorSpec, CachePolicySpec, DistributionSpec, NameSelection, NameSelectionMode, OriginKind,
        OriginSpec, S3OriginSpec, Signing,
    },
};
use headland_proto::v1;

use super::{Args, local_s3::LocalS3};

/// With a data folder that is used again, the distribution is found by this and brought up to date.
const CALLER_REFERENCE: &str = "headland-dev";
const ALL_METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"];

/// What the flags ask for.
pub(super) fn config(args: &Args, local: Option<&LocalS3>) -> Result<v1::DistributionConfig, Error> {
    let origin = match (&args.origin, local) {
        (Some(url), _) => origin_at(url, args.s3_endpoint.as_deref())?,
        (None, Some(local)) => OriginSpec {
            id: "demo".into(),
            kind: Some(OriginKind::S3(S3OriginSpec {
                bucket: local.bucket().into(),
                endpoint: local.endpoint(),
                path_style: true,
                signing: Some(Signing::Never),
                ..S3OriginSpec::default()
            })),
            ..OriginSpec::default()
        },
        (None, None) => return Err(Error::new(ErrorKind::Usage, "choose an origin: there is none")),
    };
    let policy = CachePolicySpec {
        semantics: Some(args.semantics.into()),
        default_ttl: args.default_ttl,
        query_strings: Some(NameSelection { mode: Some(NameSelectionMode::All), names: Vec::new() }),
        ..CachePolicySpec::default()
    };
    let behavior = CacheBehaviorSpec {
        allowed_methods: if args.allow_all_methods {
            ALL_METHODS.map(str::to_owned).to_vec()
        } else {
            Vec::new()
        },
        cache_policy: Some(policy.into()),
        ..CacheBehaviorSpec::default()
    };
    let mut aliases = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
    let listening = match args.http.ip() {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    };
    if !args.http.ip().is_unspecified() && !aliases.contains(&listening) {
        aliases.push(listening);
    }
    let spec = DistributionSpec {
        caller_reference: CALLER_REFERENCE.into(),
        comment: "made by headland dev".into(),
        // Whoever tries this wants to see what the edge does.
        debug_headers: true,
        aliases,
        default_cache_behavior: Some(behavior),
        ..DistributionSpec::default()
    }
    .with_origin(origin);
    Ok((&spec).into())
}

fn origin_at(url: &str, s3_endpoint: Option<&str>) -> Result<OriginSpec, Error> {
    let mut origin = OriginSpec::from_url(url)?;
    match (&mut origin.kind, s3_endpoint) {
        (Some(OriginKind::S3(s3)), endpoint) => {
            if let Some(endpoint) = endpoint {
                s3.endpoint = endpoint.into();
                // What is not Amazon seldom has a host name for each bucket.
                s3.path_style = true;
            }
            s3.signing = Some(if has_aws_credentials() { Signing::Always } else { Signing::Never });
        }
        (_, Some(_)) => {
            return Err(Error::new(ErrorKind::Usage, "use --s3-endpoint: the origin is not an s3:// URL")
                .with_hint("--origin s3://bucket --s3-endpoint http://127.0.0.1:9000"));
        }
        (_, None) => {}
    }
    Ok(origin)
}

/// Whether the AWS default chain has anywhere to look, short of asking the network.
fn has_aws_credentials() -> bool {
    let variables = [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let file = |variable: &str, default: &str| match (env::var_os(variable), env::var_os("HOME")) {
        (Some(path), _) => Path::new(&path).is_file(),
        (None, Some(home)) => Path::new(&home).join(default).is_file(),
        (None, None) => false,
    };
    variables.iter().any(|v| env::var_os(v).is_some_and(|value| !value.is_empty()))
        || file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")
        || file("AWS_CONFIG_FILE", ".aws/config")
}

/// Creates the distribution, or changes the one that an earlier run left in the data folder.
pub(super) async fn create_or_update(
    client: &Client,
    config: v1::DistributionConfig,
) -> Result<v1::Distribution, Error> {
    let mut pages = client.distributions();
    while let Some(page) = pages.next_page().await? {
        let ours = page.into_iter().find(|d| {
            d.config.as_ref().is_some_and(|existing| existing.caller_reference == CALLER_REFERENCE)
        });
        if let Some(existing) = ours {
            if existing.config.as_ref() == Some(&config) {
                return Ok(existing);
            }
            return client.update_distribution(&existing.id, &existing.etag, config).await;
        }
    }
    client.create_distribution(config).await
}
