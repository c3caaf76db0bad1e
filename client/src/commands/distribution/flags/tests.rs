//! What flags change, in a new distribution and in one that is there.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    flags: ConfigFlags,
}

fn flags(line: &str) -> ConfigFlags {
    let words = std::iter::once("x").chain(line.split_whitespace());
    Line::try_parse_from(words).expect(line).flags
}

fn applied(line: &str, mut spec: DistributionSpec) -> Result<DistributionSpec, Error> {
    flags(line).apply(&mut spec).map(|()| spec)
}

fn yaml(text: &str) -> DistributionSpec {
    <headland::spec::Source>::parse("test", text).expect(text).spec().clone()
}

#[track_caller]
fn check(line: &str, before: &str, after: &str) {
    let changed = applied(line, yaml(before)).expect(line);
    assert_eq!(changed, yaml(after), "{line}");
}

#[test]
fn a_new_distribution_from_flags() {
    check(
        "--origin https://example.com:8443/site --alias a.example.com --alias b.example.com --default-ttl 1h",
        "",
        "aliases: [a.example.com, b.example.com]
origins:
- id: example.com
  origin_path: /site
  custom: {domain_name: example.com, https_port: 8443, protocol_policy: https-only}
default_cache_behavior:
  target_origin_id: example.com
  cache_policy: {default_ttl: 1h}
",
    );
    check(
        "--s3-bucket photos --s3-endpoint http://127.0.0.1:9000 --s3-path-style --s3-public --disabled --semantics rfc9111",
        "",
        "enabled: false
origins:
- id: photos
  s3: {bucket: photos, endpoint: 'http://127.0.0.1:9000', path_style: true, signing: never}
default_cache_behavior: {target_origin_id: photos, cache_policy: {semantics: rfc9111}}
",
    );
    let all = applied("--origin http://a --allow-all-methods", DistributionSpec::default()).expect("spec");
    assert_eq!(all.default_cache_behavior.expect("behavior").allowed_methods, ALL_METHODS);
}

#[test]
fn flags_change_only_what_they_name() {
    let before = "comment: old
aliases: [a.example.com]
origins:
- id: mine
  origin_path: /old
  custom_headers: [{name: X-A, value: b}]
  custom: {domain_name: old.example.com}
default_cache_behavior: {target_origin_id: mine, cache_policy: {min_ttl: 1, default_ttl: 2}}
";
    check("--comment new", before, &before.replace("comment: old", "comment: new"));
    check("--default-ttl 9", before, &before.replace("default_ttl: 2", "default_ttl: 9"));
    check("--disabled", before, &format!("enabled: false\n{before}"));
    check("--debug-headers", before, &format!("debug_headers: true\n{before}"));
    check("--no-debug-headers", &format!("debug_headers: true\n{before}"), before);
    check(
        "--comment old",
        &format!("debug_headers: true\n{before}"),
        &format!("debug_headers: true\n{before}"),
    );
    check(
        "--origin http://new.example.com",
        before,
        &before.replace("origin_path: /old", "origin_path: ''").replace(
            "domain_name: old.example.com",
            "domain_name: new.example.com, protocol_policy: http-only",
        ),
    );
    check(
        "--s3-bucket photos",
        before,
        &before
            .replace("origin_path: /old", "origin_path: ''")
            .replace("custom: {domain_name: old.example.com}", "s3: {bucket: photos}"),
    );
}

#[test]
fn who_may_come_is_said_by_scheme_and_country() {
    let before = "comment: c\n";
    let geo = |mode: &str| format!("{before}geo_restriction: {{mode: {mode}, country_codes: [DE, FR]}}\n");
    check("--geo-allow DE,FR", before, &geo("whitelist"));
    check("--geo-block DE --geo-block FR", before, &geo("blacklist"));
    check("--geo-block DE,FR", &geo("whitelist"), &geo("blacklist"));
    check("--geo-allow=", &geo("whitelist"), before);
    check("--comment c", &geo("whitelist"), &geo("whitelist"));
    for policy in ["allow-all", "https-only", "redirect-to-https"] {
        let after = format!("{before}default_cache_behavior: {{viewer_protocol_policy: {policy}}}\n");
        check(&format!("--viewer-protocol-policy {policy}"), before, &after);
        assert!(flags(&format!("--viewer-protocol-policy {policy}")).any());
    }
    assert!(flags("--geo-block DE").any());
    let words = ["x", "--geo-allow", "DE", "--geo-block", "FR"];
    assert!(Line::try_parse_from(words).is_err(), "one or the other");
}

#[test]
fn a_bucket_keeps_its_server_when_another_is_named() {
    let before =
        "origins: [{id: a, origin_path: /p, s3: {bucket: old, endpoint: 'http://s3', path_style: true}}]";
    check("--s3-bucket new", before, &before.replace("bucket: old", "bucket: new"));
    check("--s3-path-style=false", before, &before.replace("path_style: true", "path_style: false"));
    check("--origin s3://new/q", before, &before.replace("bucket: old", "bucket: new").replace("/p", "/q"));
}

#[test]
fn what_flags_cannot_say_is_refused() {
    for (line, before, part) in [
        ("--s3-region eu-central-1", "", "origin is missing"),
        ("--origin http://a --s3-region eu-central-1", "", "HTTP server"),
        ("--origin http://a", "origins: [{id: x}, {id: y}]", "x, y"),
        ("--origin nonsense", "", "not an origin"),
    ] {
        let error = applied(line, yaml(before)).expect_err(line);
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn each_flag_counts_as_a_change() {
    assert!(!flags("").any());
    for line in [
        "--origin http://a",
        "--s3-bucket b",
        "--s3-region r",
        "--s3-public",
        "--alias a",
        "--comment=",
        "--default-root-object=",
        "--min-ttl 0",
        "--max-ttl 1",
        "--semantics cloudfront",
        "--allow-all-methods=false",
        "--enabled",
        "--disabled",
        "--debug-headers",
        "--no-debug-headers",
    ] {
        assert!(flags(line).any(), "{line}");
    }
}

#[test]
fn violations_name_the_flag() {
    let flag =
        |field: &str| in_flags(Violation { field: field.into(), description: "x".into(), place: None }).field;
    assert_eq!(flag("config.aliases[1]"), "--alias");
    assert_eq!(flag("etag"), "--etag");
    assert_eq!(flag("config.origins[0].s3.bucket"), "--s3-bucket");
    assert_eq!(flag("config.origins[0].custom.domain_name"), "--origin");
    assert_eq!(flag("cache_behaviors[0].path_pattern"), "cache_behaviors[0].path_pattern");
}
