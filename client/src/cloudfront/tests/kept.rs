//! What means the same, or nearly, is kept.

use serde_json::json;

use super::{check, config, refused};
use crate::cloudfront::*;
use crate::spec::{
    CacheBehaviorSpec, CachePolicyChoice, GeoRestrictionMode, OriginHeaderMode, OriginKind, ProtocolPolicy,
    ViewerProtocolPolicy,
};

#[test]
fn behaviors_keep_what_they_say() {
    use Outcome::{Differs, Exact};
    let of = |field: &'static str, said: Value, path: &str, outcome, note: &str| {
        let change = move |c: &mut Value| c["DefaultCacheBehavior"][field] = said;
        let spec = check(change, &format!("DefaultCacheBehavior.{path}"), outcome, note);
        spec.default_cache_behavior.expect("a behavior")
    };
    for (said, policy) in [
        ("https-only", ViewerProtocolPolicy::HttpsOnly),
        ("redirect-to-https", ViewerProtocolPolicy::RedirectToHttps),
    ] {
        let field = "ViewerProtocolPolicy";
        let behavior = of(field, json!(said), field, Differs, "trusted proxy");
        assert_eq!(behavior.viewer_protocol_policy, Some(policy));
    }
    let grpc = of("GrpcConfig", json!({"Enabled": true}), "GrpcConfig.Enabled", Exact, "");
    assert!(grpc.grpc);
    let three = json!({"Quantity": 3, "Items": ["GET", "HEAD", "OPTIONS"]});
    let mut methods = three.clone();
    methods["CachedMethods"] = three;
    let behavior = of("AllowedMethods", methods, "AllowedMethods.CachedMethods", Exact, "");
    assert_eq!(behavior.cached_methods, ["GET", "HEAD", "OPTIONS"]);
    let field = "ResponseHeadersPolicyId";
    let behavior = of(field, json!("67f7725c-6f97-4210-82d7-5512b31e9d03"), field, Exact, "");
    assert_eq!(behavior.response_headers_policy, "Managed-SecurityHeadersPolicy");
    let field = "CachePolicyId";
    let amplify = of(field, json!("2e54312d-136d-493c-8eb9-b001f22f67d2"), field, Differs, "database");
    assert_eq!(amplify.cache_policy, Some(CachePolicyChoice::Named("Managed-Amplify".into())));
    let field = "OriginRequestPolicyId";
    let behavior = of(field, json!("33f36d7e-f396-46d9-90e0-52428a34d9dc"), field, Differs, "Viewer-TLS");
    assert_eq!(behavior.origin_request_policy, "Managed-AllViewerAndCloudFrontHeaders-2022-06");
}

#[test]
fn origins_keep_what_they_say() {
    use Outcome::{Differs, Exact};
    let origin = |field: &'static str, said: Value, outcome, note: &str| {
        let change = move |c: &mut Value| c["Origins"]["Items"][0][field] = said;
        check(change, &format!("Origins.Items[0].{field}"), outcome, note).origins.remove(0)
    };
    let shielded = json!({"Enabled": true, "OriginShieldRegion": "eu-central-1"});
    let shielded = origin("OriginShield", shielded, Differs, "your own edges");
    assert_eq!(shielded.origin_shield.expect("a shield").location, "eu-central-1");
    let limited = origin("ResponseCompletionTimeout", json!(90), Exact, "");
    assert_eq!(limited.response_completion_timeout.map(|limit| limit.0.as_secs()), Some(90));
    let matching = |c: &mut Value| {
        c["Origins"]["Items"][0]["CustomOriginConfig"]["OriginProtocolPolicy"] = json!("match-viewer");
    };
    let path = "Origins.Items[0].CustomOriginConfig.OriginProtocolPolicy";
    let spec = check(matching, path, Differs, "trusted proxy");
    let Some(OriginKind::Custom(custom)) = &spec.origins[0].kind else { panic!("{spec:?}") };
    assert_eq!(custom.protocol_policy, Some(ProtocolPolicy::MatchViewer));
    let nowhere = |c: &mut Value| c["Origins"]["Items"][0]["OriginShield"] = json!({"Enabled": true});
    refused(nowhere, "Origins.Items[0].OriginShield.OriginShieldRegion", "is missing");
}

#[test]
fn countries_and_tags_are_kept() {
    let restricted = |c: &mut Value| {
        c["Restrictions"] =
            json!({"GeoRestriction": {"RestrictionType": "blacklist", "Quantity": 1, "Items": ["XX"]}});
    };
    let path = "Restrictions.GeoRestriction";
    let spec = check(restricted, path, Outcome::Differs, "an edge without one restricts nobody");
    let restriction = spec.geo_restriction.expect("a restriction");
    assert_eq!(restriction.mode, Some(GeoRestrictionMode::Blacklist));
    assert_eq!(restriction.country_codes, ["XX"]);

    let tags = json!({"Items": [{"Key": "team", "Value": "web"}, {"Key": "aws:stack", "Value": "1"}]});
    let whole = json!({"DistributionConfigWithTags": {"DistributionConfig": config(|_| {}), "Tags": tags}});
    let imported = import(&[("f".to_owned(), whole)], BTreeMap::new());
    assert_eq!(imported.report.problems, []);
    let kept: Vec<_> = imported.distributions[0].tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(kept, [("team", "web")]);
    let path = "$.DistributionConfigWithTags.Tags.Items[1]";
    let told = imported.report.entries.iter().find(|e| e.path == path).expect("it is told");
    assert_eq!(told.outcome, Outcome::NotSupported);
}

/// A key group with these keys, and a distribution that trusts it.
fn signed_for(keys: &[&str], given: &[&str]) -> Imported {
    let group = json!({"KeyGroup": {"Id": "g1", "KeyGroupConfig": {"Name": "members", "Items": keys}}});
    let trusting = config(|c| {
        c["DefaultCacheBehavior"]["TrustedKeyGroups"] =
            json!({"Enabled": true, "Quantity": 1, "Items": ["g1"]});
    });
    // In the order that is the worst.
    let mut files = vec![("d".to_owned(), trusting), ("g".to_owned(), group)];
    files.extend(given.iter().map(|id| {
        let config = json!({"Name": format!("name of {id}"), "CallerReference": "r", "EncodedKey": "PEM"});
        ((*id).to_owned(), json!({"PublicKey": {"Id": id, "PublicKeyConfig": config}}))
    }));
    import(&files, BTreeMap::new())
}

fn trusted(imported: &Imported) -> &[String] {
    let behavior: &CacheBehaviorSpec =
        imported.distributions[0].default_cache_behavior.as_ref().expect("a behavior");
    &behavior.trusted_key_group_ids
}

#[test]
fn a_guard_is_there_with_its_keys() {
    let whole = signed_for(&["K1", "K2"], &["K1", "K2"]);
    assert_eq!(whole.report.problems, []);
    assert_eq!(whole.key_groups[0].public_key_ids, ["name of K1", "name of K2"]);
    assert_eq!(trusted(&whole), ["members"]);
    assert!(whole.distributions[0].enabled);
    let told = |imported: &Imported, path: &str, note: &str| {
        let entries = &imported.report.entries;
        assert!(entries.iter().any(|e| e.path == path && e.note.contains(note)), "{path}: {entries:#?}");
    };
    told(&whole, "$.PublicKey.PublicKeyConfig.EncodedKey", "sign with the new id");

    let part = signed_for(&["K1", "K2"], &["K2"]);
    assert_eq!(part.key_groups[0].public_key_ids, ["name of K2"]);
    assert!(part.distributions[0].enabled, "whoever asks is checked, by one key less");
    told(&part, "$.KeyGroup.KeyGroupConfig.Items[0]", "get-public-key --id K1");

    let none = signed_for(&["K1"], &[]);
    assert!(none.key_groups.is_empty() && trusted(&none).is_empty());
    assert!(!none.distributions[0].enabled, "nobody gets in unchecked");
    let path = "$.DefaultCacheBehavior.TrustedKeyGroups";
    told(&none, path, "get-key-group --id g1");
}

#[test]
fn response_headers_policies_are_read() {
    let policy = json!({"ResponseHeadersPolicy": {"Id": "p1", "ResponseHeadersPolicyConfig": {
        "Name": "open", "Comment": "",
        "CorsConfig": {
            "AccessControlAllowOrigins": {"Quantity": 1, "Items": ["https://a.example"]},
            "AccessControlAllowHeaders": {"Quantity": 2, "Items": ["x-a", "*"]},
            "AccessControlAllowMethods": {"Quantity": 1, "Items": ["ALL"]},
            "AccessControlAllowCredentials": false,
            "AccessControlExposeHeaders": {"Quantity": 0},
            "AccessControlMaxAgeSec": 600, "OriginOverride": true,
        },
        "SecurityHeadersConfig": {
            "FrameOptions": {"Override": true, "FrameOption": "DENY"},
            "ContentTypeOptions": {"Override": false},
            "StrictTransportSecurity": {"Override": false, "IncludeSubdomains": true, "Preload": false, "AccessControlMaxAgeSec": 60},
        },
        "CustomHeadersConfig": {"Quantity": 1, "Items": [{"Header": "X-A", "Value": "1", "Override": true}]},
        "RemoveHeadersConfig": {"Quantity": 1, "Items": [{"Header": "Server"}]},
        "ServerTimingHeadersConfig": {"Enabled": true, "SamplingRate": 12.5},
    }}});
    let using = config(|c| c["DefaultCacheBehavior"]["ResponseHeadersPolicyId"] = json!("p1"));
    let imported = import(&[("d".to_owned(), using), ("p".to_owned(), policy)], BTreeMap::new());
    assert_eq!(imported.report.problems, []);
    let behavior = imported.distributions[0].default_cache_behavior.as_ref().expect("a behavior");
    assert_eq!(behavior.response_headers_policy, "open");
    let read = serde_json::to_value(&imported.response_headers_policies[0]).expect("JSON");
    let expected = json!({
        "name": "open",
        "cors": {
            "allow_origins": ["https://a.example"], "allow_headers": ["*"], "allow_methods": ["ALL"],
            "max_age": "600s", "origin_override": true,
        },
        "security_headers": {
            "frame_options": {"origin_override": true, "frame_option": "DENY"},
            "content_type_options": {"origin_override": false},
            "strict_transport_security": {"origin_override": false, "max_age": "60s", "include_subdomains": true},
        },
        "custom_headers": [{"name": "X-A", "value": "1", "origin_override": true}],
        "removed_headers": ["Server"],
        "server_timing": {"sampling_rate": 12.5},
    });
    assert_eq!(read, expected);
}

#[test]
fn headers_that_edges_add_stay_in_policies() {
    let request_policy = |behavior: &str, names: &[&str]| {
        let policy = json!({"OriginRequestPolicyConfig": {
            "Name": "p",
            "HeadersConfig": {"HeaderBehavior": behavior, "Headers": {"Quantity": names.len(), "Items": names}},
        }});
        let mut imported = import(&[("p".to_owned(), policy)], BTreeMap::new());
        assert_eq!(imported.report.problems, []);
        let headers = imported.origin_request_policies.remove(0).headers.expect("headers");
        (headers.mode.expect("a mode"), headers.names)
    };
    let (country, tls) = ("CloudFront-Viewer-Country", "CloudFront-Viewer-TLS");
    let both = "allViewerAndWhitelistCloudFront";
    let kept = vec![country.to_owned()];
    assert_eq!(
        request_policy(both, &[country, tls]),
        (OriginHeaderMode::AllViewerAndWhitelistCloudfront, kept.clone())
    );
    assert_eq!(request_policy(both, &[tls]), (OriginHeaderMode::AllViewer, vec![]));
    assert_eq!(request_policy("whitelist", &[tls, country]), (OriginHeaderMode::Whitelist, kept));
    assert_eq!(request_policy("whitelist", &[tls]), (OriginHeaderMode::None, vec![]));

    let names = ["CloudFront-Viewer-Address", "CloudFront-Viewer-City"];
    let policy = json!({"CachePolicyConfig": {
        "Name": "p",
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": {"Quantity": 2, "Items": names}},
        },
    }});
    let imported = import(&[("p".to_owned(), policy)], BTreeMap::new());
    assert_eq!(imported.cache_policies[0].headers.as_ref().expect("headers").names, [names[1]]);
    let notes: Vec<_> = imported.report.entries.iter().map(|e| (e.outcome, e.note.as_str())).collect();
    let of = |outcome, part: &str| notes.iter().any(|(found, note)| *found == outcome && note.contains(part));
    assert!(of(Outcome::NotSupported, names[0]) && of(Outcome::Differs, names[1]), "{notes:?}");
}
