//! Signing URLs and cookies, as CloudFront and Headland's edges verify them: what a policy says, and how it is signed.
//!
//! ```no_run
//! # fn example() -> Result<(), headland::sign::SignError> {
//! use headland::sign::{Grant, Hash, Signer};
//!
//! let signer = Signer::from_pem(b"-----BEGIN PRIVATE KEY-----", "0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11", Hash::Sha256)?;
//! let url = signer.url("https://cdn.example.com/film.mp4", &Grant::until(1_767_225_600))?;
//! # Ok(()) }
//! ```

mod key;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use self::key::PrivateKey;

/// Bytes of a policy that edges take.
pub const POLICY_BYTES_MAX: usize = 4096;
/// Names that belong to signatures, and can be no parameters of a URL that is signed.
const RESERVED: [&str; 5] = ["Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"];

/// Why something could not be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The URL is none that can be signed.
    #[error("sign {url:?}: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What is to be signed cannot be.
    #[error("make the policy: {0}")]
    Policy(String),
    /// The private key cannot be used.
    #[error("use the private key: {0}")]
    Key(String),
}

/// What is signed is a hash of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// CloudFront's default.
    Sha1,
    /// Said with the parameter `Hash-Algorithm`.
    Sha256,
}

/// What a signature allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Until when, in seconds since 1970.
    pub until: u64,
    /// From when.
    pub from: Option<u64>,
    /// For viewers at these addresses only: an address, or a block of them (`192.0.2.0/24`).
    pub network: Option<String>,
    /// For these URLs, with `*` and `?`. `None`: the one that is signed.
    pub resource: Option<String>,
}

impl Grant {
    /// For one URL, everybody, until a time in seconds since 1970.
    #[must_use]
    pub fn until(until: u64) -> Self {
        Self { until, from: None, network: None, resource: None }
    }

    /// Whether the canned policy says it, which edges can tell from the URL and the time.
    #[must_use]
    pub fn is_canned(&self) -> bool {
        self.from.is_none() && self.network.is_none() && self.resource.is_none()
    }

    /// The policy, for a URL.
    fn policy(&self, url: &str) -> Result<String, SignError> {
        let text = |text: &str| serde_json::to_string(text).map_err(|e| SignError::Policy(e.to_string()));
        let mut conditions = vec![format!(r#""DateLessThan":{{"AWS:EpochTime":{}}}"#, self.until)];
        if let Some(network) = &self.network {
            conditions.push(format!(r#""IpAddress":{{"AWS:SourceIp":{}}}"#, text(network)?));
        }
        if let Some(from) = self.from {
            if from >= self.until {
                return Err(SignError::Policy("it would end before it begins".into()));
            }
            conditions.push(format!(r#""DateGreaterThan":{{"AWS:EpochTime":{from}}}"#));
        }
        let resource = text(self.resource.as_deref().unwrap_or(url))?;
        let conditions = conditions.join(",");
        checked(format!(r#"{{"Statement":[{{"Resource":{resource},"Condition":{{{conditions}}}}}]}}"#))
    }
}

fn checked(policy: String) -> Result<String, SignError> {
    match policy.len() {
        0..=POLICY_BYTES_MAX => Ok(policy),
        bytes => {
            Err(SignError::Policy(format!("it has {bytes} bytes; edges take at most {POLICY_BYTES_MAX}")))
        }
    }
}

/// Somebody who may sign.
#[derive(Debug)]
pub struct Signer {
    key: PrivateKey,
    key_pair_id: String,
    hash: Hash,
}

/// Names and values, in the order in which they are written.
type Parts = Vec<(&'static str, String)>;

impl Signer {
    /// A private key in PEM (PKCS #8, or as openssl's older commands write RSA and EC keys), and the id of its public key.
    ///
    /// # Errors
    /// When it is no RSA key of 2,048 bits and no ECDSA key with the curve P-256, or the id could not stand in a URL.
    pub fn from_pem(pem: &[u8], key_pair_id: &str, hash: Hash) -> Result<Self, SignError> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if key_pair_id.is_empty() || !key_pair_id.bytes().all(is_plain) {
            return Err(SignError::Key(format!("{key_pair_id:?} is not the id of a public key")));
        }
        Ok(Self { key: PrivateKey::from_pem(pem)?, key_pair_id: key_pair_id.to_owned(), hash })
    }

    /// A URL with its signature behind it.
    ///
    /// # Errors
    /// When the URL cannot be signed, or the policy cannot be made.
    pub fn url(&self, url: &str, grant: &Grant) -> Result<String, SignError> {
        let url = signable(url)?;
        Ok(with(&url, &self.granted(&url, grant)?))
    }

    /// A URL with a policy of one's own and its signature behind it.
    ///
    /// # Errors
    /// When the URL cannot be signed, or the policy is too large.
    pub fn url_with_policy(&self, url: &str, policy: &str) -> Result<String, SignError> {
        Ok(with(&signable(url)?, &self.custom(&checked(policy.to_owned())?)?))
    }

    /// The cookies that allow the same. Without a URL the grant must have a resource.
    ///
    /// # Errors
    /// When the URL cannot be signed, or the policy cannot be made.
    pub fn cookies(&self, url: Option<&str>, grant: &Grant) -> Result<Vec<(String, String)>, SignError> {
        let url = match url {
            Some(url) => signable(url)?,
            None if grant.resource.is_some() => String::new(),
            None => return Err(SignError::Policy("neither a URL nor a resource is given".into())),
        };
        Ok(named(self.granted(&url, grant)?))
    }

    /// The cookies for a policy of one's own.
    ///
    /// # Errors
    /// When the policy is too large.
    pub fn cookies_with_policy(&self, policy: &str) -> Result<Vec<(String, String)>, SignError> {
        Ok(named(self.custom(&checked(policy.to_owned())?)?))
    }

    fn granted(&self, url: &str, grant: &Grant) -> Result<Parts, SignError> {
        let policy = grant.policy(url)?;
        match grant.is_canned() {
            true => self.signed(("Expires", grant.until.to_string()), &policy),
            false => self.custom(&policy),
        }
    }

    fn custom(&self, policy: &str) -> Result<Parts, SignError> {
        self.signed(("Policy", encode(policy.as_bytes())), policy)
    }

    fn signed(&self, terms: (&'static str, String), policy: &str) -> Result<Parts, SignError> {
        let signature = self.key.sign(policy.as_bytes(), self.hash)?;
        let mut parts =
            vec![terms, ("Signature", encode(&signature)), ("Key-Pair-Id", self.key_pair_id.clone())];
        if self.hash == Hash::Sha256 {
            parts.push(("Hash-Algorithm", "SHA256".to_owned()));
        }
        Ok(parts)
    }
}

fn with(url: &str, parts: &Parts) -> String {
    let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{}", parts.join("&"))
}

fn named(parts: Parts) -> Vec<(String, String)> {
    parts.into_iter().map(|(name, value)| (format!("CloudFront-{name}"), value)).collect()
}

/// A URL as viewers will ask for it.
fn signable(url: &str) -> Result<String, SignError> {
    let refused = |reason| Err(SignError::Url { url: url.to_owned(), reason });
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return refused("it does not begin with https:// or http://");
    };
    if !url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>')) {
        return refused("it has characters that must be percent-encoded in a URL");
    }
    if url.contains('#') {
        return refused("it has a fragment, which viewers do not send; leave it out");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() {
        return refused("it has no host");
    }
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let name = |pair: &str| pair.split_once('=').map_or(pair.len(), |(name, _)| name.len());
    if query.split('&').any(|pair| RESERVED.contains(&&pair[..name(pair)])) {
        return refused(
            "it has a parameter that belongs to signatures: Expires, Policy, Signature, Key-Pair-Id, Hash-Algorithm",
        );
    }
    // Viewers ask for "/" where a URL has no path.
    let missing = if path.starts_with('/') { "" } else { "/" };
    let scheme = &url[..url.len() - rest.len()];
    Ok(format!("{scheme}{authority}{missing}{path}"))
}

/// CloudFront's base64: three signs are exchanged for others, which need no encoding in URLs and cookies.
fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes).replace('+', "-").replace('=', "_").replace('/', "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canned_policy_is_cloudfronts() {
        let url = "https://d111111abcdef8.cloudfront.net/horizon.jpg?size=large&license=yes";
        let policy = Grant::until(1_357_034_400).policy(url).expect("a policy");
        assert_eq!(
            policy,
            r#"{"Statement":[{"Resource":"https://d111111abcdef8.cloudfront.net/horizon.jpg?size=large&license=yes","Condition":{"DateLessThan":{"AWS:EpochTime":1357034400}}}]}"#
        );
        let encoded = "eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC9ob3Jpem9uLmpwZz9zaXplPWxhcmdlJmxpY2Vuc2U9eWVzIiwiQ29uZGl0aW9uIjp7IkRhdGVMZXNzVGhhbiI6eyJBV1M6RXBvY2hUaW1lIjoxMzU3MDM0NDAwfX19XX0_";
        assert_eq!(encode(policy.as_bytes()), encoded);
    }

    #[test]
    fn a_grant_with_more_than_a_time_is_custom() {
        let plain = Grant::until(10);
        assert!(plain.is_canned());
        for (grant, expected) in [
            (Grant { from: Some(5), ..plain.clone() }, r#""DateGreaterThan":{"AWS:EpochTime":5}"#),
            (
                Grant { network: Some("192.0.2.0/24".into()), ..plain.clone() },
                r#""IpAddress":{"AWS:SourceIp":"192.0.2.0/24"}"#,
            ),
            (
                Grant { resource: Some("http*://a/\"*".into()), ..plain.clone() },
                r#""Resource":"http*://a/\"*""#,
            ),
        ] {
            assert!(!grant.is_canned());
            let policy = grant.policy("https://a/b").expect("a policy");
            assert!(policy.contains(expected), "{policy}");
        }
        assert!(Grant { from: Some(10), ..plain.clone() }.policy("https://a/b").is_err());
        let long = Grant { resource: Some("*".repeat(POLICY_BYTES_MAX)), ..plain };
        let error = long.policy("https://a/b").expect_err("too large").to_string();
        assert!(error.contains("4096"), "{error}");
    }

    #[test]
    fn a_url_is_signed_as_viewers_ask_for_it() {
        for (url, expected) in [
            ("https://a.test/b?c", "https://a.test/b?c"),
            ("http://a.test:8080", "http://a.test:8080/"),
            ("https://a.test?x", "https://a.test/?x"),
            ("https://a.test/?expires=1", "https://a.test/?expires=1"),
        ] {
            assert_eq!(signable(url).as_deref(), Ok(expected));
        }
        for url in [
            "",
            "a.test/b",
            "ftp://a/b",
            "https:///b",
            "https://a/b c",
            "https://a/b#c",
            "https://a/\u{fc}",
            "https://a/b?x&Policy=1",
        ] {
            assert!(matches!(signable(url), Err(SignError::Url { .. })), "{url}");
        }
    }
}
