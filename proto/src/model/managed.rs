//! The policies that come with the program: CloudFront's managed ones, under their ids and names (CloudFront guide, "Use managed cache
//! policies", "Use managed origin request policies" and "Use managed response headers policies").

mod response_headers;

use std::{collections::BTreeMap, sync::LazyLock};

use super::{EdgeHeader, Resource, resources::Kind};
use crate::v1::{
    CachePolicyConfig, HeaderSelection, NameSelection, OriginHeaderSelection, OriginRequestPolicyConfig,
    ResourceConfig, name_selection, origin_header_selection, resource_config::Kind as Wire,
};

const OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const UNCOMPRESSED: &str = "b2884449-e4de-46a7-ac36-70bc7f1ddd6d";
const DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
const MEDIA_PACKAGE: &str = "08627262-05a9-4f76-9ded-b50ca2e3a84f";
/// Cache policies that do not tell gzip from what is not compressed.
const WITHOUT_GZIP: [&str; 2] = [UNCOMPRESSED, DISABLED];
/// The same of Brotli.
const WITHOUT_BROTLI: [&str; 3] = [UNCOMPRESSED, DISABLED, MEDIA_PACKAGE];
const DAY: i64 = 86_400;
const YEAR: i64 = 31_536_000;

/// One managed resource, as it would be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Managed {
    /// Its id, the same everywhere and for ever.
    pub id: &'static str,
    /// What it says.
    pub config: ResourceConfig,
}

static ALL: LazyLock<Vec<Managed>> = LazyLock::new(|| {
    let mut all = cache_policies();
    all.extend(origin_request_policies());
    all.extend(response_headers::policies());
    all
});

static CHECKED: LazyLock<BTreeMap<&'static str, Resource>> = LazyLock::new(|| {
    // One that does not pass its own checks is not offered; a test sees to it that all do.
    ALL.iter().filter_map(|m| Some((m.id, Resource::try_from(&m.config).ok()?))).collect()
});

/// The managed resources of one kind, in the order in which they are listed.
pub fn of_kind(kind: Kind) -> impl Iterator<Item = &'static Managed> {
    ALL.iter().filter(move |managed| Kind::of(&managed.config) == Some(kind))
}

/// The managed resource with this id, as it would be written.
#[must_use]
pub fn find(id: &str) -> Option<&'static Managed> {
    ALL.iter().find(|managed| managed.id == id)
}

/// The managed resource with this id, checked.
#[must_use]
pub fn resource(id: &str) -> Option<&'static Resource> {
    CHECKED.get(id)
}

fn cache_policies() -> Vec<Managed> {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let policy =
        |id, name: &str, comment: &str, (min, default, max), headers: &[&str], cookies, query| Managed {
            id,
            config: ResourceConfig {
                kind: Some(Wire::CachePolicy(CachePolicyConfig {
                    accept_encoding_gzip: !WITHOUT_GZIP.contains(&id),
                    accept_encoding_brotli: !WITHOUT_BROTLI.contains(&id),
                    name: name.into(),
                    comment: comment.into(),
                    min_ttl: seconds(min),
                    default_ttl: seconds(default),
                    max_ttl: seconds(max),
                    headers: Some(HeaderSelection { names: owned(headers) }),
                    cookies: Some(cookies),
                    query_strings: Some(query),
                    ..Default::default()
                })),
            },
        };
    let method_overrides = ["host", "origin", "x-http-method-override", "x-http-method", "x-method-override"];
    vec![
        policy(
            OPTIMIZED,
            "Managed-CachingOptimized",
            "Nothing of the viewer's in the key. Compression by the edge where the behavior allows it",
            (1, DAY, YEAR),
            &[],
            none(),
            none(),
        ),
        policy(
            UNCOMPRESSED,
            "Managed-CachingOptimizedForUncompressedObjects",
            "Nothing of the viewer's in the key, and no compression",
            (1, DAY, YEAR),
            &[],
            none(),
            none(),
        ),
        policy(DISABLED, "Managed-CachingDisabled", "Nothing is kept", (0, 0, 0), &[], none(), none()),
        policy(
            MEDIA_PACKAGE,
            "Managed-Elemental-MediaPackage",
            "For AWS Elemental MediaPackage",
            (0, DAY, YEAR),
            &["origin"],
            none(),
            only(&["aws.manifestfilter", "start", "end", "m"]),
        ),
        policy(
            "2e54312d-136d-493c-8eb9-b001f22f67d2",
            "Managed-Amplify",
            "For web apps of AWS Amplify",
            (2, 2, 600),
            &["authorization", "cloudfront-viewer-country", "host"],
            all(),
            all(),
        ),
        policy(
            "83da9c7e-98b4-4e11-a168-04f0df8e2c65",
            "UseOriginCacheControlHeaders",
            "The origin's Cache-Control decides",
            (0, 0, YEAR),
            &method_overrides,
            all(),
            none(),
        ),
        policy(
            "4cc15a8a-d715-48a4-82b8-cc0b614638fe",
            "UseOriginCacheControlHeaders-QueryStrings",
            "The origin's Cache-Control decides, and the query is in the key",
            (0, 0, YEAR),
            &method_overrides,
            all(),
            all(),
        ),
    ]
}

fn origin_request_policies() -> Vec<Managed> {
    use origin_header_selection::Mode;
    let policy = |id, name: &str, comment: &str, mode: Mode, headers: &[&str], cookies, query| Managed {
        id,
        config: ResourceConfig {
            kind: Some(Wire::OriginRequestPolicy(OriginRequestPolicyConfig {
                name: name.into(),
                comment: comment.into(),
                headers: Some(OriginHeaderSelection { mode: mode.into(), names: owned(headers) }),
                cookies: Some(cookies),
                query_strings: Some(query),
                tags: BTreeMap::new(),
            })),
        },
    };
    // Those of later are told here by name.
    let later = [EdgeHeader::ViewerHeaderCount, EdgeHeader::ViewerHeaderOrder];
    let then = EdgeHeader::ALL.iter().filter(|header| !later.contains(header));
    let of_june_2022: Vec<&str> = then.map(|header| header.as_str()).collect();
    let cors = ["origin", "access-control-request-headers", "access-control-request-method"];
    vec![
        policy(
            "216adef6-5c7f-47e4-b989-5492eafa07d3",
            "Managed-AllViewer",
            "All of the viewer's headers, cookies and query parameters",
            Mode::AllViewer,
            &[],
            all(),
            all(),
        ),
        policy(
            "33f36d7e-f396-46d9-90e0-52428a34d9dc",
            "Managed-AllViewerAndCloudFrontHeaders-2022-06",
            "All of the viewer's headers, cookies and query parameters, and what CloudFront knew of viewers in June 2022 but for their TLS",
            Mode::AllViewerAndWhitelistCloudfront,
            &of_june_2022,
            all(),
            all(),
        ),
        policy(
            "b689b0a8-53d0-40ab-baf2-68738e2966ac",
            "Managed-AllViewerExceptHostHeader",
            "All of the viewer's headers but Host, and its cookies and query parameters",
            Mode::AllExcept,
            &["host"],
            all(),
            all(),
        ),
        policy(
            "59781a5b-3903-41f3-afcb-af62929ccde1",
            "Managed-CORS-CustomOrigin",
            "What a custom origin needs to answer cross-origin requests",
            Mode::Whitelist,
            &["origin"],
            none(),
            none(),
        ),
        policy(
            "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",
            "Managed-CORS-S3Origin",
            "What Amazon S3 needs to answer cross-origin requests",
            Mode::Whitelist,
            &cors,
            none(),
            none(),
        ),
        policy(
            "acba4595-bd28-49b8-b9fe-13317c0390fa",
            "Managed-UserAgentRefererHeaders",
            "User-Agent and Referer",
            Mode::Whitelist,
            &["user-agent", "referer"],
            none(),
            none(),
        ),
    ]
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn none() -> NameSelection {
    NameSelection { mode: name_selection::Mode::None.into(), names: Vec::new() }
}

fn all() -> NameSelection {
    NameSelection { mode: name_selection::Mode::All.into(), names: Vec::new() }
}

fn only(names: &[&str]) -> NameSelection {
    NameSelection { mode: name_selection::Mode::Whitelist.into(), names: owned(names) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ResourceId;

    #[test]
    fn every_managed_policy_passes_its_own_checks() {
        for managed in ALL.iter() {
            assert!(managed.id.parse::<ResourceId>().is_ok(), "{}", managed.id);
            if let Err(violations) = Resource::try_from(&managed.config) {
                panic!("{}: {violations}", managed.id);
            }
        }
        assert_eq!(CHECKED.len(), ALL.len(), "no id is given twice");
    }

    #[test]
    fn they_are_found_by_id_and_kind() {
        let optimized = OPTIMIZED;
        assert_eq!(find(optimized).map(|m| m.id), Some(optimized));
        assert!(matches!(resource(optimized), Some(Resource::CachePolicy(p)) if p.ttl.min.as_secs() == 1));
        assert_eq!(of_kind(Kind::CachePolicy).next().map(|m| m.id), Some(optimized));
        let codings = |id: &str| match resource(id) {
            Some(Resource::CachePolicy(policy)) => policy.codings.list(),
            _ => "no cache policy",
        };
        let all = [OPTIMIZED, MEDIA_PACKAGE, UNCOMPRESSED, DISABLED].map(codings);
        assert_eq!(all, ["br,gzip", "gzip", "", ""]);
        assert_eq!(of_kind(Kind::OriginRequestPolicy).count(), 6);
        assert_eq!(of_kind(Kind::ResponseHeadersPolicy).count(), 5);
        assert!(find("00000000-0000-0000-0000-000000000000").is_none());
    }
}
