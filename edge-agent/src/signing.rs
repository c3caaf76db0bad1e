//! Signed URLs and signed cookies (CloudFront guide, "Serve private content with signed URLs and signed cookies"): whether a request was
//! signed by somebody whom its behavior trusts, for what it asks for, from where, and until when. Pure rules: no I/O, no clock.
//!
//! Verifying takes some 30 µs of the worker that does it, so a worker verifies one signature at a time; what has been verified is
//! remembered ([`Verified`]). Time, address and resource are looked at for every request.

mod address;
mod encoding;
mod parameters;
mod policy;
mod resource;
mod verify;

use std::{collections::BTreeMap, net::IpAddr};

use headland_proto::model::TrustedKeys;
use http::HeaderMap;

pub use self::verify::Verified;
use self::{
    parameters::{Presented, Terms},
    policy::Policy,
    verify::VerifyingKey,
};
pub(crate) use self::{
    parameters::{without_cookies, without_parameters},
    resource::Url,
};
use crate::clock::Timestamp;

/// Bytes of a custom policy, decoded. A cookie of more than 4,096 bytes is not kept by browsers.
pub const POLICY_BYTES_MAX: usize = 4096;
/// Bytes of a signature, decoded: what RSA with 2,048 bits needs. ECDSA needs less.
pub const SIGNATURE_BYTES_MAX: usize = 256;

/// Why a request is not served although, or because, of how it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// It is not signed at all.
    Missing,
    /// Something of its signature is missing, twice there, or not what it should be.
    Malformed,
    /// It names a key that the behavior does not trust.
    UnknownKey,
    /// The signature is not that of this key over this policy: something was changed.
    Invalid,
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYetValid,
    /// It is for other addresses than the viewer's.
    Address,
    /// It is for other URLs.
    Resource,
}

impl Denial {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Missing,
        Self::Malformed,
        Self::UnknownKey,
        Self::Invalid,
        Self::Expired,
        Self::NotYetValid,
        Self::Address,
        Self::Resource,
    ];

    /// A stable code, for pages, logs and fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "signature-missing",
            Self::Malformed => "signature-malformed",
            Self::UnknownKey => "signature-key-unknown",
            Self::Invalid => "signature-invalid",
            Self::Expired => "signature-expired",
            Self::NotYetValid => "signature-not-yet-valid",
            Self::Address => "signature-address",
            Self::Resource => "signature-resource",
        }
    }
}

/// The keys that a behavior trusts, ready to verify with.
#[derive(Debug)]
pub struct Trusted {
    keys: BTreeMap<Box<str>, VerifyingKey>,
    group_ids: Vec<String>,
}

/// How the viewer reached this edge, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Viewer {
    /// Where it is. `None` where there is only a question about a request: conditions on addresses are then taken as met.
    pub(crate) address: Option<IpAddr>,
    /// The scheme it used. `None`: not known, so a signature for either is accepted (docs/decisions/0017-signed-requests.md).
    pub(crate) scheme: Option<&'static str>,
}

impl Viewer {
    fn schemes(&self) -> &[&'static str] {
        match &self.scheme {
            Some(scheme) => std::slice::from_ref(scheme),
            None => &["https", "http"],
        }
    }
}

/// A request, as far as signatures speak of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'r> {
    /// The host as the viewer wrote it, with the port if it wrote one.
    pub(crate) authority: &'r str,
    pub(crate) path: &'r str,
    pub(crate) query: Option<&'r str>,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) viewer: Viewer,
    pub(crate) now: Timestamp,
}

impl<'r> Asked<'r> {
    /// The URLs that the viewer may have meant: by each scheme, with the port that it wrote, and without, as a signer may not know of it.
    fn urls(&'r self, query: Option<&'r str>) -> impl Iterator<Item = Url<'r>> {
        let without_port = without_port(self.authority);
        let authorities = [Some(self.authority), without_port].into_iter().flatten();
        authorities.flat_map(move |authority| {
            self.viewer.schemes().iter().map(move |scheme| Url { scheme, authority, path: self.path, query })
        })
    }
}

fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = authority.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(host)
}

impl Trusted {
    /// The keys; `None` if one of them is none, which its check has ruled out.
    pub(crate) fn new(trusted: &TrustedKeys) -> Option<Self> {
        let keys = trusted.keys.iter();
        let keys = keys.map(|(id, key)| Some((id.as_str().into(), VerifyingKey::new(key)?)));
        Some(Self { keys: keys.collect::<Option<_>>()?, group_ids: trusted.group_ids.clone() })
    }

    /// The ids of the key groups.
    pub(crate) fn group_ids(&self) -> &[String] {
        &self.group_ids
    }

    /// Checks that a request may be served. Parameters of the URL count, and cookies if there are none.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn check(&self, asked: &Asked<'_>, verified: &Verified) -> Result<(), Denial> {
        let presented = Presented::of(asked.query, asked.headers)?;
        let key = self.keys.get(&*presented.key_pair_id).ok_or(Denial::UnknownKey)?;
        let signature = encoding::decode(&presented.signature, SIGNATURE_BYTES_MAX)?;
        let is_signed = |text: &[u8]| verified.contains_or_verify(key, presented.hash, text, &signature);
        let own_query = without_parameters(asked.query);
        match &presented.terms {
            Terms::Canned(expires) => {
                let until = policy::epoch(expires).ok_or(Denial::Malformed)?;
                if asked.now.unix_seconds() >= until {
                    return Err(Denial::Expired);
                }
                let mut urls = asked.urls(own_query.as_deref());
                match urls.any(|url| is_signed(policy::canned(&url, expires).as_bytes())) {
                    true => Ok(()),
                    false => Err(Denial::Invalid),
                }
            }
            Terms::Custom(encoded) => {
                let text = encoding::decode(encoded, POLICY_BYTES_MAX)?;
                if !is_signed(&text) {
                    return Err(Denial::Invalid);
                }
                let policy = Policy::parse(&text).ok_or(Denial::Malformed)?;
                policy.holds(asked.now.unix_seconds(), asked.viewer.address)?;
                let resource = policy.resource.as_deref();
                match resource
                    .is_none_or(|r| asked.urls(own_query.as_deref()).any(|url| resource::matches(r, &url)))
                {
                    true => Ok(()),
                    false => Err(Denial::Resource),
                }
            }
        }
    }
}

/// What fuzzers run: any query and any cookie against a behavior that trusts nobody, any policy, any resource.
pub(crate) fn survives(query: &str, cookies: &HeaderMap, policy: &[u8], resource: &str) {
    let nobody = Trusted { keys: BTreeMap::new(), group_ids: Vec::new() };
    let now = Timestamp::from_unix_seconds(1_767_225_600);
    let asked = Asked {
        authority: "cdn.test:8080",
        path: "/a",
        query: Some(query),
        headers: cookies,
        viewer: Viewer::default(),
        now,
    };
    assert!(nobody.check(&asked, &Verified::default()).is_err(), "somebody was trusted");
    let own = without_parameters(Some(query));
    assert_eq!(without_parameters(own.as_deref()), own, "something for the edge was left");
    if let Ok(decoded) = encoding::decode(query, POLICY_BYTES_MAX) {
        assert_eq!(encoding::encode(&decoded), query, "two texts for one thing");
    }
    if let Some(policy) = Policy::parse(policy) {
        let _ = policy.holds(now.unix_seconds(), Some(IpAddr::from([192, 0, 2, 1])));
    }
    let url = Url { scheme: "https", authority: "cdn.test", path: "/a/b.jpg", query: Some("x=1") };
    let _ = resource::matches(resource, &url);
}

#[cfg(test)]
mod tests;
