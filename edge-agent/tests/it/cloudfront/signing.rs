//! Which requests to a bucket are signed (CloudFront guide, "Advanced settings for origin access control").

use headland_proto::v1::{self, s3_origin::Signing};

use crate::support::{
    edge::{Edge, Options, config, policy},
    origin::Origin,
    viewer::get,
};

const OWN: &str = "authorization: AWS4-HMAC-SHA256 Credential=VIEWER/x, SignedHeaders=host, Signature=0";

/// Authorization, target and `x-amz-` headers of a request that reached a bucket.
fn arrived(signing: Signing, forwards: bool, viewer: &[&str]) -> (String, String, Option<String>) {
    let directory = tempfile::tempdir().expect("directory");
    let credentials = directory.path().join("credentials");
    std::fs::write(&credentials, "[default]\naws_access_key_id = EDGE\naws_secret_access_key = s\n")
        .expect("write");
    let origin = Origin::fixed("", "object");
    let mut config = config(origin.address);
    config.origins[0].kind = Some(v1::origin::Kind::S3(v1::S3Origin {
        bucket: "photos".into(),
        endpoint: format!("http://{}", origin.address),
        path_style: true,
        signing: signing.into(),
        ..Default::default()
    }));
    policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
    policy(&mut config).query_strings =
        Some(v1::NameSelection { mode: v1::name_selection::Mode::All.into(), names: Vec::new() });
    if forwards {
        let names = ["Authorization", "X-Amz-Date"].map(str::to_owned).to_vec();
        policy(&mut config).headers = Some(v1::HeaderSelection { names });
    }
    let options = Options { credentials: Some(credentials), ..Options::default() };
    let edge = Edge::start_with(config, options);
    let answer = get(edge.address, "/a?acl&versionId=1", viewer);
    assert_eq!(answer.text(), "object", "{signing:?} {viewer:?}");
    let received = &origin.received()[0];
    let header = |name: &str| received.header(name).map(str::to_owned);
    (header("authorization").unwrap_or_default(), received.path().to_owned(), header("x-amz-date"))
}

#[test]
fn the_viewers_authorization_is_not_overridden_where_that_is_wished() {
    let viewer = [OWN, "x-amz-date: 20260101T000000Z"];
    let (authorization, path, date) = arrived(Signing::NoOverride, true, &viewer);
    assert_eq!(authorization, OWN.split_once(": ").expect("field").1);
    // It may cover both.
    assert_eq!((path.as_str(), date.as_deref()), ("/photos/a?acl&versionId=1", Some("20260101T000000Z")));
}

#[test]
fn otherwise_the_edge_signs_and_a_viewer_gives_no_instructions_in_its_name() {
    // There is none, or it does not reach the origin, or it has no say.
    for (signing, forwards, viewer) in [
        (Signing::NoOverride, true, &["x-amz-date: 20260101T000000Z"][..]),
        (Signing::NoOverride, false, &[OWN]),
        (Signing::Always, false, &[OWN]),
    ] {
        let (authorization, path, date) = arrived(signing, forwards, viewer);
        assert!(authorization.contains("Credential=EDGE/"), "{signing:?} {viewer:?}: {authorization}");
        assert_eq!(path, "/photos/a?versionId=1");
        assert_ne!(date.as_deref(), Some("20260101T000000Z"));
    }
}

#[test]
fn what_is_never_signed_has_no_signature() {
    let (authorization, path, date) = arrived(Signing::Never, false, &[OWN]);
    assert_eq!((authorization.as_str(), path.as_str(), date), ("", "/photos/a?versionId=1", None));
}
