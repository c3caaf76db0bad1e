//! What becomes of fields, and what cannot be read.

use serde_json::json;

use super::*;
use crate::spec::{CachePolicyChoice, NameSelectionMode, OriginKind, Signing};

mod kept;

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
