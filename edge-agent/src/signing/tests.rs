//! Requests signed by keys made for the occasion.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use headland_proto::model::{KeyAlgorithm, PublicKey, TrustedKeys};
use http::header;

use super::*;

const ID: &str = "00000000-0000-4000-8000-000000000001";
const NOW: u64 = 1_767_225_600;

struct Signer {
    pair: EcdsaKeyPair,
    trusted: Trusted,
    verified: Verified,
}

impl Signer {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let spki = pair.public_key().as_der().expect("der").as_ref().to_vec();
        let key = PublicKey { algorithm: KeyAlgorithm::EcdsaP256, spki };
        let keys = [(ID.parse().expect("id"), std::sync::Arc::new(key))].into();
        let trusted = Trusted::new(&TrustedKeys { group_ids: vec!["g".into()], keys }).expect("trusted");
        Self { pair, trusted, verified: Verified::default() }
    }

    fn sign(&self, policy: &str) -> String {
        let signature = self.pair.sign(&SystemRandom::new(), policy.as_bytes()).expect("signed");
        format!("Signature={}&Key-Pair-Id={ID}&Hash-Algorithm=SHA256", encoding::encode(signature.as_ref()))
    }

    /// The query of a URL signed with the canned policy.
    fn canned(&self, url: &str, expires: u64) -> String {
        let policy = format!(
            r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
        );
        format!("Expires={expires}&{}", self.sign(&policy))
    }

    fn custom(&self, policy: &str) -> String {
        format!("Policy={}&{}", encoding::encode(policy.as_bytes()), self.sign(policy))
    }

    fn ask(&self, authority: &str, path: &str, query: Option<&str>, viewer: Viewer) -> Result<(), Denial> {
        let (now, headers) = (Timestamp::from_unix_seconds(NOW), HeaderMap::new());
        self.trusted.check(&Asked { authority, path, query, headers: &headers, viewer, now }, &self.verified)
    }

    fn get(&self, path: &str, query: &str) -> Result<(), Denial> {
        self.ask("cdn.test", path, Some(query), Viewer::default())
    }
}

#[test]
fn a_canned_policy_is_for_one_url_until_its_time_is_over() {
    let signer = Signer::new();
    let query = signer.canned("https://cdn.test/a?x=1&y", NOW + 1);
    assert_eq!(signer.get("/a", &format!("x=1&y&{query}")), Ok(()));
    assert_eq!(signer.get("/b", &format!("x=1&y&{query}")), Err(Denial::Invalid));
    assert_eq!(signer.get("/a", &format!("x=2&y&{query}")), Err(Denial::Invalid));
    assert_eq!(signer.get("/a", &format!("x=1&y&z&{query}")), Err(Denial::Invalid));
    assert_eq!(signer.get("/a", &query), Err(Denial::Invalid));
    let later = query.replace(&(NOW + 1).to_string(), &(NOW + 9).to_string());
    assert_eq!(signer.get("/a", &format!("x=1&y&{later}")), Err(Denial::Invalid));
    assert_eq!(signer.get("/a", &signer.canned("https://cdn.test/a", NOW)), Err(Denial::Expired));
    assert_eq!(signer.ask("cdn.test", "/a", None, Viewer::default()), Err(Denial::Missing));
}

#[test]
fn scheme_and_port_are_those_that_the_viewer_may_have_meant() {
    let signer = Signer::new();
    let check =
        |signed: &str, authority: &str, scheme: Option<&'static str>, expected: Result<(), Denial>| {
            let viewer = Viewer { address: None, scheme };
            let query = signer.canned(signed, NOW + 1);
            assert_eq!(
                signer.ask(authority, "/a", Some(&query), viewer),
                expected,
                "{signed} {authority} {scheme:?}"
            );
        };
    check("http://cdn.test/a", "cdn.test", None, Ok(()));
    check("https://cdn.test/a", "cdn.test", None, Ok(()));
    check("https://cdn.test/a", "cdn.test", Some("https"), Ok(()));
    check("http://cdn.test/a", "cdn.test", Some("https"), Err(Denial::Invalid));
    check("http://cdn.test:8080/a", "cdn.test:8080", None, Ok(()));
    check("https://cdn.test/a", "cdn.test:8080", None, Ok(()));
    check("http://cdn.test:8080/a", "cdn.test:9090", None, Err(Denial::Invalid));
    check("http://[::1]/a", "[::1]:8080", None, Ok(()));
    check("http://other.test/a", "cdn.test", None, Err(Denial::Invalid));
}

#[test]
fn a_custom_policy_says_for_what_from_where_and_when() {
    let signer = Signer::new();
    let policy = |resource: &str, from: u64, until: u64| {
        signer.custom(&format!(
            r#"{{"Statement":[{{{resource}"Condition":{{"IpAddress":{{"AWS:SourceIp":"192.0.2.0/24"}},"DateGreaterThan":{{"AWS:EpochTime":{from}}},"DateLessThan":{{"AWS:EpochTime":{until}}}}}}}]}}"#
        ))
    };
    let from = |address: &str| Viewer { address: Some(address.parse().expect("address")), scheme: None };
    let check = |query: &str, path: &str, address: &str, expected: Result<(), Denial>| {
        assert_eq!(signer.ask("cdn.test", path, Some(query), from(address)), expected, "{path} {address}");
    };
    let set = policy(r#""Resource":"https://cdn.test/a/*","#, NOW, NOW + 1);
    check(&set, "/a/b", "192.0.2.1", Ok(()));
    check(&format!("anything&{set}"), "/a/b", "192.0.2.1", Ok(()));
    check(&set, "/b", "192.0.2.1", Err(Denial::Resource));
    check(&set, "/a/b", "192.0.3.1", Err(Denial::Address));
    check(&policy("", NOW, NOW + 1), "/b", "192.0.2.1", Ok(()));
    check(&policy("", NOW + 1, NOW + 2), "/b", "192.0.2.1", Err(Denial::NotYetValid));
    check(&policy("", NOW - 2, NOW), "/b", "192.0.2.1", Err(Denial::Expired));
    let other = policy(r#""Resource":"https://cdn.test/*","#, NOW, NOW + 1);
    let (_, signature) = set.split_once('&').expect("a signature");
    let (taken, _) = other.split_once('&').expect("a policy");
    check(&format!("{taken}&{signature}"), "/b", "192.0.2.1", Err(Denial::Invalid));
    check(&signer.custom("no policy"), "/b", "192.0.2.1", Err(Denial::Malformed));
    let large = format!("{}{}", " ".repeat(POLICY_BYTES_MAX), "{}");
    check(&signer.custom(&large), "/b", "192.0.2.1", Err(Denial::Malformed));
}

#[test]
fn another_key_is_not_trusted_even_under_the_same_id() {
    let (signer, other) = (Signer::new(), Signer::new());
    let query = other.canned("https://cdn.test/a", NOW + 1);
    assert_eq!(other.get("/a", &query), Ok(()));
    assert_eq!(signer.get("/a", &query), Err(Denial::Invalid));
    // Not even if they remember together what was verified.
    let signer = Signer { verified: other.verified.clone(), ..signer };
    assert_eq!(signer.get("/a", &query), Err(Denial::Invalid));
    let unknown = query.replace(ID, "00000000-0000-4000-8000-000000000002");
    assert_eq!(other.get("/a", &unknown), Err(Denial::UnknownKey));
    let sha1 = query.replace("&Hash-Algorithm=SHA256", "");
    assert_eq!(other.get("/a", &sha1), Err(Denial::Invalid));
}

#[test]
fn only_what_is_good_is_remembered_and_time_is_looked_at_all_the_same() {
    let signer = Signer::new();
    let query = signer.canned("https://cdn.test/a", NOW + 1);
    for _ in 0..3 {
        assert_eq!(signer.get("/a", &query), Ok(()));
        assert_eq!(signer.get("/b", &query), Err(Denial::Invalid));
    }
    assert_eq!(signer.verified.len(), 1);
    let (now, headers) = (Timestamp::from_unix_seconds(NOW + 1), HeaderMap::new());
    let viewer = Viewer::default();
    let asked =
        Asked { authority: "cdn.test", path: "/a", query: Some(&query), headers: &headers, viewer, now };
    assert_eq!(signer.trusted.check(&asked, &signer.verified), Err(Denial::Expired));
}

#[test]
fn cookies_sign_as_parameters_do() {
    let signer = Signer::new();
    let query = signer.custom(
        &format!(r#"{{"Statement":[{{"Resource":"http*://cdn.test/*","Condition":{{"DateLessThan":{{"AWS:EpochTime":{}}}}}}}]}}"#, NOW + 1),
    );
    let cookies: Vec<String> = query.split('&').map(|pair| format!("CloudFront-{pair}")).collect();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, cookies.join("; ").parse().expect("value"));
    let (now, viewer) = (Timestamp::from_unix_seconds(NOW), Viewer::default());
    let asked = |path, query| Asked { authority: "cdn.test", path, query, headers: &headers, viewer, now };
    assert_eq!(signer.trusted.check(&asked("/any/path", Some("x=1")), &signer.verified), Ok(()));
    // The URL's own signature counts, good or not.
    let bad = Some("Expires=1&Signature=AAAA&Key-Pair-Id=x");
    assert_eq!(signer.trusted.check(&asked("/any/path", bad), &signer.verified), Err(Denial::UnknownKey));
}
