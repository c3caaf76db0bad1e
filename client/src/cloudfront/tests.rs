//! What becomes of fields, and what cannot be read.

use serde_json::json;

use super::*;
use crate::spec::{
    CacheBehaviorSpec, CachePolicyChoice, GeoRestrictionMode, NameSelectionMode, OriginHeaderMode,
    OriginKind, ProtocolPolicy, Signing, ViewerProtocolPolicy,
};

const OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

/// The smallest config that CloudFront takes, with some of it changed.
fn config(change: impl FnOnce(&mut Value)) -> Value {
    let mut config = json!({
        "CallerReference": "r",
        "Comment": "",
        "Enabled": true,
        "Origins": {"Quantity": 1, "Items": [{
            "Id": "o",
            "DomainName": "o.example.com",
            "CustomOriginConfig": {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"},
        }]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "o",
            "ViewerProtocolPolicy": "allow-all",
            "CachePolicyId": OPTIMIZED,
        },
    });
    change(&mut config);
    config
}

fn imported(change: impl FnOnce(&mut Value)) -> Imported {
    import(
        &[("f.json".to_owned(), json!({"ETag": "E", "DistributionConfig": config(change)}))],
        BTreeMap::new(),
    )
}

fn check(change: impl FnOnce(&mut Value), path: &str, outcome: Outcome, note: &str) -> DistributionSpec {
    let mut imported = imported(change);
    assert_eq!(imported.report.problems, []);
    let found = imported.report.entries.iter().find(|e| e.path == format!("$.DistributionConfig.{path}"));
    let found = found.unwrap_or_else(|| panic!("no {path} in {:#?}", imported.report.entries));
    assert!(found.outcome == outcome && found.note.contains(note), "{found:?}");
    imported.distributions.remove(0)
}

fn refused(change: impl FnOnce(&mut Value), path: &str, description: &str) {
    let problems = imported(change).report.problems;
    let found = problems
        .iter()
        .any(|p| p.path == format!("$.DistributionConfig.{path}") && p.description.contains(description));
    assert!(found, "no {path} in {problems:#?}");
}

#[test]
fn it_is_taken_with_and_without_what_is_printed_around_it() {
    for whole in [
        config(|_| {}),
        json!({"ETag": "E", "DistributionConfig": config(|_| {})}),
        json!({"ETag": "E", "Distribution": {"Id": "E1", "Status": "Deployed", "DistributionConfig": config(|_| {})}}),
    ] {
        let imported = import(&[("f".to_owned(), whole)], BTreeMap::new());
        assert_eq!(imported.report.problems, []);
        assert_eq!(imported.distributions[0].caller_reference, "r");
    }
    let other = import(&[("f".to_owned(), json!({"x": 1}))], BTreeMap::new());
    assert!(other.report.problems[0].path == "$" && other.distributions.is_empty(), "{other:?}");
}

#[test]
fn what_says_nothing_is_no_news() {
    let neutral = imported(|c| {
        c["Aliases"] = json!({"Quantity": 0});
        c["Logging"] = json!({"Enabled": false, "IncludeCookies": false, "Bucket": "", "Prefix": ""});
        c["PriceClass"] = json!("PriceClass_All");
        c["WebACLId"] = json!("");
        c["Restrictions"] = json!({"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}});
        c["ViewerCertificate"] =
            json!({"CloudFrontDefaultCertificate": true, "MinimumProtocolVersion": "TLSv1"});
        c["Staging"] = json!(false);
        let behavior = &mut c["DefaultCacheBehavior"];
        behavior["TrustedSigners"] = json!({"Enabled": false, "Quantity": 0});
        behavior["TrustedKeyGroups"] = json!({"Enabled": false, "Quantity": 0});
        behavior["FunctionAssociations"] = json!({"Quantity": 0});
        behavior["GrpcConfig"] = json!({"Enabled": false});
        behavior["SmoothStreaming"] = json!(false);
        behavior["FieldLevelEncryptionId"] = json!("");
        c["Origins"]["Items"][0]["OriginShield"] = json!({"Enabled": false});
        c["Origins"]["Items"][0]["OriginAccessControlId"] = json!("");
    });
    assert_eq!(neutral.report.problems, []);
    let told: Vec<_> = neutral.report.entries.iter().filter(|e| e.outcome != Outcome::Exact).collect();
    assert!(told.is_empty(), "{told:#?}");
    assert!(neutral.distributions[0].enabled);
}

#[test]
fn what_is_not_done_is_told_with_what_happens() {
    use Outcome::{Differs, NotSupported};
    check(|c| c["NewThing"] = json!(5), "NewThing", NotSupported, "does not know");
    check(|c| c["PriceClass"] = json!("PriceClass_100"), "PriceClass", NotSupported, "every edge");
    check(|c| c["HttpVersion"] = json!("http2and3"), "HttpVersion", Differs, "no HTTP/3");
    let acl = check(|c| c["WebACLId"] = json!("arn:x"), "WebACLId", NotSupported, "disabled");
    assert!(!acl.enabled, "nobody gets in unchecked");
    let signed = |c: &mut Value| {
        c["DefaultCacheBehavior"]["TrustedKeyGroups"] =
            json!({"Enabled": true, "Quantity": 1, "Items": ["k"]});
    };
    let signers = |c: &mut Value| {
        c["DefaultCacheBehavior"]["TrustedSigners"] =
            json!({"Enabled": true, "Quantity": 1, "Items": ["self"]});
    };
    assert!(!check(signers, "DefaultCacheBehavior.TrustedSigners", NotSupported, "disabled").enabled);
    let certificate = |c: &mut Value| {
        c["Origins"]["Items"][0]["CustomOriginConfig"]["OriginMtlsConfig"] =
            json!({"ClientCertificateArn": "arn:x"});
    };
    let path = "Origins.Items[0].CustomOriginConfig.OriginMtlsConfig";
    check(certificate, path, NotSupported, "tls.client_certificate");
    assert!(!check(signed, "DefaultCacheBehavior.TrustedKeyGroups", NotSupported, "disabled").enabled);
    let function = json!({"Quantity": 1, "Items": [{"FunctionARN": "arn:x", "EventType": "viewer-request"}]});
    let with_function = |c: &mut Value| c["DefaultCacheBehavior"]["FunctionAssociations"] = function;
    check(with_function, "DefaultCacheBehavior.FunctionAssociations", NotSupported, "not run");
}

#[test]
fn buckets_are_known_and_signed_for() {
    let bucket = |c: &mut Value| {
        c["Origins"]["Items"][0] = json!({
            "Id": "o",
            "DomainName": "photos.s3.eu-west-1.amazonaws.com",
            "OriginAccessControlId": "E327GJI25M56DG",
            "S3OriginConfig": {"OriginAccessIdentity": ""},
        });
    };
    let spec = check(bucket, "Origins.Items[0].OriginAccessControlId", Outcome::Differs, "always signed");
    let Some(OriginKind::S3(s3)) = &spec.origins[0].kind else { panic!("{spec:?}") };
    assert_eq!(
        (s3.bucket.as_str(), s3.region.as_str(), s3.signing),
        ("photos", "eu-west-1", Some(Signing::Always))
    );
    let public = |c: &mut Value| {
        bucket(c);
        c["Origins"]["Items"][0]["OriginAccessControlId"] = json!("");
        c["Origins"]["Items"][0]["DomainName"] = json!("photos.s3.amazonaws.com");
    };
    let spec = check(public, "Origins.Items[0].DomainName", Outcome::Differs, "us-east-1 is assumed");
    let Some(OriginKind::S3(s3)) = &spec.origins[0].kind else { panic!("{spec:?}") };
    assert_eq!(s3.signing, Some(Signing::Never));
    refused(
        |c| {
            c["Origins"]["Items"][0] = json!({"Id": "o", "DomainName": "x.example.com", "S3OriginConfig": {}})
        },
        "Origins.Items[0].DomainName",
        "not the host name of a bucket",
    );
}

#[test]
fn what_behaviors_once_said_themselves_becomes_policies() {
    let legacy = |forwarded: Value| {
        move |c: &mut Value| {
            c["DefaultCacheBehavior"] = json!({
                "TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all", "Compress": true,
                "ForwardedValues": forwarded, "MinTTL": 0, "DefaultTTL": 60, "MaxTTL": 3600,
            });
        }
    };
    let made = imported(legacy(json!({
        "QueryString": true,
        "QueryStringCacheKeys": {"Quantity": 1, "Items": ["page"]},
        "Cookies": {"Forward": "whitelist", "WhitelistedNames": {"Quantity": 1, "Items": ["session"]}},
        "Headers": {"Quantity": 3, "Items": ["Origin", "CloudFront-Is-Mobile-Viewer", "CloudFront-Viewer-JA3-Fingerprint"]},
    })));
    assert_eq!(made.report.problems, []);
    let behavior = made.distributions[0].default_cache_behavior.as_ref().expect("a behavior");
    let Some(CachePolicyChoice::Inline(policy)) = &behavior.cache_policy else { panic!("{behavior:?}") };
    let headers = &policy.headers.as_ref().expect("headers").names;
    assert_eq!(headers, &["Origin", "CloudFront-Is-Mobile-Viewer"]);
    assert_eq!(policy.cookies.as_ref().expect("cookies").names, ["session"]);
    assert_eq!(policy.query_strings.as_ref().expect("parameters").names, ["page"]);
    assert!(policy.accept_encoding_gzip && !policy.accept_encoding_brotli);
    assert_eq!(
        behavior.origin_request_policy, made.origin_request_policies[0].name,
        "the rest of the query is forwarded"
    );
    assert!(
        made.report.entries.iter().any(|e| e.note.contains("CloudFront-Viewer-JA3-Fingerprint")),
        "{:#?}",
        made.report
    );

    let all = imported(legacy(json!({
        "QueryString": true, "Cookies": {"Forward": "all"}, "Headers": {"Quantity": 1, "Items": ["*"]},
    })));
    let behavior = all.distributions[0].default_cache_behavior.as_ref().expect("a behavior");
    assert_eq!(behavior.cache_policy, Some(CachePolicyChoice::Named("Managed-CachingDisabled".into())));
    assert_eq!(behavior.origin_request_policy, "Managed-AllViewer");

    let patterns = imported(legacy(json!({
        "QueryString": false,
        "Cookies": {"Forward": "whitelist", "WhitelistedNames": {"Quantity": 1, "Items": ["user_*"]}},
    })));
    let behavior = patterns.distributions[0].default_cache_behavior.as_ref().expect("a behavior");
    let Some(CachePolicyChoice::Inline(policy)) = &behavior.cache_policy else { panic!("{behavior:?}") };
    assert_eq!(policy.cookies.as_ref().and_then(|c| c.mode), Some(NameSelectionMode::All));
}

#[test]
fn what_cannot_be_read_is_named_by_its_path() {
    refused(|c| c["Enabled"] = json!("yes"), "Enabled", "is a text, not true or false");
    refused(
        |c| c["Aliases"] = json!({"Quantity": 2, "Items": ["a.b"]}),
        "Aliases.Quantity",
        "is 2, and there are 1",
    );
    refused(|c| c["Origins"] = json!([]), "Origins", "is a list, not an object");
    refused(
        |c| c["Origins"]["Items"][0]["CustomOriginConfig"]["HTTPPort"] = json!(-1),
        "Origins.Items[0].CustomOriginConfig.HTTPPort",
        "-1 is not a whole number",
    );
    refused(
        |c| c["DefaultCacheBehavior"]["ViewerProtocolPolicy"] = json!("never"),
        "DefaultCacheBehavior.ViewerProtocolPolicy",
        "\"never\" is not allow-all",
    );
    refused(
        |c| c["DefaultCacheBehavior"]["CachePolicyId"] = json!("0000"),
        "DefaultCacheBehavior.CachePolicyId",
        "aws cloudfront get-cache-policy --id 0000",
    );
    refused(|c| drop(c.as_object_mut().map(|c| c.remove("Origins"))), "Origins", "is missing");
}

#[test]
fn policies_are_found_by_the_ids_they_had() {
    let policy = json!({"ETag": "E", "CachePolicy": {"Id": "1234", "CachePolicyConfig": {
        "Name": "mine", "MinTTL": 1, "MaxTTL": 100, "DefaultTTL": 10,
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "EnableAcceptEncodingGzip": true, "EnableAcceptEncodingBrotli": true,
            "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": {"Quantity": 1, "Items": ["Origin"]}},
            "CookiesConfig": {"CookieBehavior": "none"},
            "QueryStringsConfig": {"QueryStringBehavior": "allExcept", "QueryStrings": {"Quantity": 1, "Items": ["utm"]}},
        },
    }}});
    let config = config(|c| c["DefaultCacheBehavior"]["CachePolicyId"] = json!("1234"));
    let imported = import(&[("d".to_owned(), config), ("p".to_owned(), policy)], BTreeMap::new());
    assert_eq!(imported.report.problems, []);
    let behavior = imported.distributions[0].default_cache_behavior.as_ref().expect("a behavior");
    assert_eq!(behavior.cache_policy, Some(CachePolicyChoice::Named("mine".into())));
    assert_eq!(imported.cache_policies[0].query_strings.as_ref().expect("parameters").names, ["utm"]);
}

#[test]
fn origins_may_be_elsewhere() {
    let at = |id: &str| {
        BTreeMap::from([(id.to_owned(), OriginSpec::from_url("http://127.0.0.1:8000").expect("a URL"))])
    };
    let files = [("f".to_owned(), config(|_| {}))];
    let moved = import(&files, at("o"));
    assert_eq!(moved.report.problems, []);
    let Some(OriginKind::Custom(custom)) = &moved.distributions[0].origins[0].kind else {
        panic!("{moved:?}")
    };
    assert_eq!(custom.domain_name, "127.0.0.1");
    assert!(import(&files, at("other")).report.problems[0].description.contains("\"other\""));
}

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

const FIXTURES: [&str; 9] = [
    include_str!("../../tests/it/import/s3-site.json"),
    include_str!("../../tests/it/import/api.json"),
    include_str!("../../tests/it/import/failover.json"),
    include_str!("../../tests/it/import/failover-policy.json"),
    include_str!("../../tests/it/import/signed-media.json"),
    include_str!("../../tests/it/import/signed-media-key-group.json"),
    include_str!("../../tests/it/import/signed-media-public-key.json"),
    include_str!("../../tests/it/import/spa-policy.json"),
    include_str!("../../tests/it/import/spa.json"),
];

/// JSON pointers of all values below one.
fn pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| pointers(value, &format!("{pointer}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| pointers(value, &format!("{pointer}/{i}"), found));
        }
        _ => {}
    }
}

/// The same place as a JSON path.
fn path(pointer: &str) -> String {
    let step =
        |step: &str| if step.parse::<usize>().is_ok() { format!("[{step}]") } else { format!(".{step}") };
    pointer.split('/').skip(1).map(step).fold("$".to_owned(), |path, step| path + &step)
}

#[test]
fn no_field_is_dropped_without_a_word() {
    let mut added = 0;
    for text in FIXTURES {
        let whole: Value = serde_json::from_str(text).expect("JSON");
        let known = Known::of(&whole).expect("a config");
        let mut places = Vec::new();
        pointers(known.config, "", &mut places);
        for place in places {
            let (mut changed, root) = (whole.clone(), known.path.replace('.', "/"));
            let Some(Value::Object(fields)) = changed.pointer_mut(&format!("{root}{place}")) else {
                continue;
            };
            fields.insert("Unheard".into(), json!({"Of": 1}));
            added += 1;
            let new = path(&format!("{root}{place}/Unheard"));
            let report = import(&[("f".to_owned(), changed)], BTreeMap::new()).report;
            // It is named itself, or what it is a part of is said not to be done as a whole.
            let told = report.entries.iter().any(|entry| {
                let covers =
                    entry.outcome == Outcome::NotSupported && new.starts_with(&format!("{}.", entry.path));
                covers || entry.path == new
            });
            assert!(told, "{new} is dropped without a word: {report:#?}");
        }
    }
    assert!(added > 100, "only {added} fields were added");
}

#[test]
fn nothing_that_stands_there_ends_the_process() {
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x"),
        json!([]),
        json!([1]),
        json!({}),
    ];
    for text in FIXTURES {
        let whole: Value = serde_json::from_str(text).expect("JSON");
        let mut places = Vec::new();
        pointers(&whole, "", &mut places);
        for (place, other) in places.iter().flat_map(|place| others.iter().map(move |other| (place, other))) {
            let mut changed = whole.clone();
            if let Some(value) = changed.pointer_mut(place) {
                value.clone_from(other);
            }
            drop(import(&[("f".to_owned(), changed)], BTreeMap::new()));
        }
    }
}
