//! Specs as people write them, wrong and right, and back and forth over the wire.

mod round_trip;

use headland_proto::v1;

use super::*;
use crate::error::{ErrorKind, Violation};

fn refused(text: &str) -> crate::error::Error {
    <Source>::parse("site.yaml", text).expect_err(text)
}

#[test]
fn what_is_wrong_is_named_with_line_column_and_field() {
    for (text, place, reason) in [
        ("comment: x\norgins: []\n", "2:1: orgins: ", "unknown field `orgins`"),
        (
            "origins:\n  - id: a\n    s3:\n      bucket: b\n      pathstyle: true\n",
            "5:7: origins[0].s3.pathstyle: ",
            "unknown field `pathstyle`, expected one of bucket",
        ),
        (
            "origins:\n  - id: a\n    s3: {bucket: b}\n    custom: {domain_name: x}\n",
            "2:5: origins[0]: ",
            "either s3 or custom, not both",
        ),
        ("enabled: maybe\n", "1:10: enabled: ", "true or false expected"),
        ("comment: x\norigins: 5\n", "2:10: origins: ", "expected a list"),
        ("- 1\n", "1:1: ", "expected fields"),
        (
            "default_cache_behavior:\n  viewer_protocol_policy: sometimes\n",
            "2:27: default_cache_behavior.viewer_protocol_policy: ",
            "expected one of allow-all, https-only, redirect-to-https",
        ),
        (
            "default_cache_behavior:\n  cache_policy:\n    min_ttl: soon\n",
            "3:14: default_cache_behavior.cache_policy.min_ttl: ",
            "\"soon\" is not a duration",
        ),
        (
            "origins:\n- id: a\n  custom:\n    http_port: 99999\n",
            "4:16: origins[0].custom.http_port: ",
            "1 to 65535",
        ),
        ("a: [\n", "1:4: ", "unclosed bracket"),
        ("comment: a\ncomment: b\n", "2:1: ", "duplicate mapping key `comment`"),
        ("---\ncomment: a\n---\ncomment: b\n", "4:1: ", "multiple"),
        ("id: E1\nconfig:\n  comment: x\n  orgins: []\n", "4:3: config.orgins: ", "unknown field"),
    ] {
        let error = refused(text);
        assert_eq!(error.kind(), ErrorKind::Spec);
        let message = error.to_string();
        assert!(message.starts_with(&format!("read site.yaml:{place}")), "{message}");
        assert!(message.contains(reason), "{message}");
        assert!(!error.snippet().unwrap_or_default().contains(reason), "said twice: {error:?}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn the_line_itself_is_shown() {
    let error = refused("comment: x\norgins: []\n");
    let snippet = error.snippet().expect("a snippet");
    assert!(snippet.contains("2 | orgins: []") && snippet.contains('^'), "{snippet}");
}

#[test]
fn json_is_a_spec_too() {
    let source =
        <Source>::parse("site.json", r#"{"comment": "x", "origins": [{"id": "a", "s3": {"bucket": "b"}}]}"#)
            .expect("a spec");
    assert_eq!(source.spec().origins[0].id, "a");
    assert!(source.spec().enabled, "who writes a spec wants it served");
}

#[test]
fn a_printed_document_is_a_spec() {
    let text =
        "id: EABC\netag: '7'\nrevision: 7\nstatus: {state: Deployed, live_edges: 1}\nconfig:\n  comment: x\n";
    let source = <Source>::parse("site.yaml", text).expect("a spec");
    assert_eq!((source.id(), source.etag()), (Some("EABC"), Some("7")));
    assert_eq!(source.spec().comment, "x");
    let bare = <Source>::parse("site.yaml", "comment: x\n").expect("a spec");
    assert_eq!((bare.id(), bare.etag()), (None, None));
    assert_eq!(bare.spec(), source.spec());
}

#[test]
fn violations_are_shown_where_the_field_stands() {
    let text =
        "etag: '7'\nconfig:\n  origins:\n  - id: a\n    custom:\n      protocol_policy: match-viewer\n";
    let source = <Source>::parse("site.yaml", text).expect("a spec");
    let locate = |field: &str| {
        source
            .locate(Violation {
                field: field.into(),
                description: "MATCH_VIEWER is not supported; use HTTP_ONLY with GET".into(),
                place: None,
            })
            .to_string()
    };
    assert_eq!(
        locate("config.origins[0].custom.protocol_policy"),
        "site.yaml:6:24: origins[0].custom.protocol_policy: match-viewer is not supported; use http-only with GET"
    );
    assert!(
        locate("config.origins[0].custom.domain_name")
            .starts_with("site.yaml:6:7: origins[0].custom.domain_name: ")
    );
    assert!(locate("config").starts_with("site.yaml:3:3: match-viewer"), "{}", locate("config"));
    assert!(locate("etag").starts_with("site.yaml:1:7: etag: "));
    // What is not in the file has no place there.
    assert!(locate("id").starts_with("id: "));
}

#[test]
fn a_value_of_a_newer_version_is_not_dropped() {
    let mut wire = v1::DistributionConfig::from(&DistributionSpec::default());
    wire.origins.push(v1::Origin {
        kind: Some(v1::origin::Kind::S3(v1::S3Origin { signing: 99, ..Default::default() })),
        ..Default::default()
    });
    let error = DistributionSpec::try_from(&wire).expect_err("unknown value");
    assert!(
        error.to_string().contains("origins[0].s3.signing") && error.to_string().contains("99"),
        "{error}"
    );
}
