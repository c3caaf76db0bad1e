//! What a request presents as its signature: parameters of its URL, or cookies.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;

use super::{Denial, verify::Hash};

/// What is for the edge in a query. No origin sees it, and it is not in the key. The first part of a cookie's name is [`COOKIE_PREFIX`].
const NAMES: [&str; 5] = ["Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"];
const COOKIE_PREFIX: &str = "CloudFront-";

/// A signature, and what it is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Presented<'r> {
    pub(super) terms: Terms<'r>,
    pub(super) signature: Cow<'r, str>,
    pub(super) key_pair_id: Cow<'r, str>,
    pub(super) hash: Hash,
}

/// What was signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Terms<'r> {
    /// The canned policy, with this time.
    Canned(Cow<'r, str>),
    /// This policy, encoded.
    Custom(Cow<'r, str>),
}

/// The values of [`NAMES`].
#[derive(Debug, Default)]
struct Values<'r>([Option<Cow<'r, str>>; NAMES.len()]);

impl<'r> Presented<'r> {
    /// What is presented. Parameters of the URL count, and cookies if there are none.
    ///
    /// # Errors
    /// [`Denial::Missing`] or [`Denial::Malformed`].
    pub(super) fn of(query: Option<&'r str>, headers: &'r HeaderMap) -> Result<Self, Denial> {
        let in_url = Values::of_query(query)?;
        // A hash algorithm alone is no signature.
        if in_url.0[..4].iter().any(Option::is_some) {
            return in_url.into_presented();
        }
        let in_cookies = Values::of_cookies(headers);
        match in_cookies.0[..4].iter().any(Option::is_some) {
            true => in_cookies.into_presented(),
            false => Err(Denial::Missing),
        }
    }
}

impl<'r> Values<'r> {
    /// No name may be there twice: which of them counts would be a guess.
    fn of_query(query: Option<&'r str>) -> Result<Self, Denial> {
        let mut values = Self::default();
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(at) = NAMES.iter().position(|known| *known == name) else { continue };
            let value = percent_decode_str(value).decode_utf8().map_err(|_| Denial::Malformed)?;
            if values.0[at].replace(value).is_some() {
                return Err(Denial::Malformed);
            }
        }
        Ok(values)
    }

    /// Of several cookies of one name the first counts: browsers send the one with the longest path first (RFC 6265 section 5.4).
    fn of_cookies(headers: &'r HeaderMap) -> Self {
        let mut values = Self::default();
        let all = headers.get_all(header::COOKIE).iter().flat_map(pairs);
        for pair in all.filter_map(|pair| std::str::from_utf8(pair).ok()) {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let known = name.strip_prefix(COOKIE_PREFIX);
            let Some(at) = known.and_then(|name| NAMES.iter().position(|known| *known == name)) else {
                continue;
            };
            values.0[at].get_or_insert(Cow::Borrowed(value));
        }
        // Both may be there, for different paths: the custom one is for sets of objects.
        if values.0[1].is_some() {
            values.0[0] = None;
        }
        values
    }

    fn into_presented(self) -> Result<Presented<'r>, Denial> {
        let [expires, policy, signature, key_pair_id, hash] = self.0;
        let terms = match (expires, policy) {
            (Some(expires), None) => Terms::Canned(expires),
            (None, Some(policy)) => Terms::Custom(policy),
            _ => return Err(Denial::Malformed),
        };
        let hash = match hash.as_deref() {
            None | Some("SHA1") => Hash::Sha1,
            Some("SHA256") => Hash::Sha256,
            Some(_) => return Err(Denial::Malformed),
        };
        match (signature, key_pair_id) {
            (Some(signature), Some(key_pair_id)) => Ok(Presented { terms, signature, key_pair_id, hash }),
            _ => Err(Denial::Malformed),
        }
    }
}

/// A query without what is for the edge.
pub(crate) fn without_parameters(query: Option<&str>) -> Option<Cow<'_, str>> {
    let query = query?;
    let is_ours = |pair: &&str| NAMES.contains(&pair.split_once('=').map_or(*pair, |(name, _)| name));
    if !query.split('&').any(|pair| is_ours(&pair)) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_ours(pair)).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

/// Headers without the cookies that are for the edge; `None` if there are none of them.
pub(crate) fn without_cookies(headers: &HeaderMap) -> Option<HeaderMap> {
    let is_ours = |pair: &&[u8]| {
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        let known = name.strip_prefix(COOKIE_PREFIX.as_bytes());
        known.is_some_and(|name| NAMES.iter().any(|known| known.as_bytes() == name))
    };
    let lines = headers.get_all(header::COOKIE);
    if !lines.iter().any(|line| pairs(line).any(|pair| is_ours(&pair))) {
        return None;
    }
    let mut without = headers.clone();
    without.remove(header::COOKIE);
    for line in lines {
        let kept: Vec<&[u8]> = pairs(line).filter(|pair| !is_ours(pair)).collect();
        if let Ok(value) = HeaderValue::from_bytes(&kept.join(&b"; "[..]))
            && !kept.is_empty()
        {
            without.append(header::COOKIE, value);
        }
    }
    Some(without)
}

/// The cookies of one line, whatever bytes others than ours may have.
fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&str]) -> HeaderMap {
        let lines = lines.iter().map(|line| (header::COOKIE, line.parse().expect("value")));
        lines.collect()
    }

    fn check(query: &str, lines: &[&str], expected: Result<(bool, &str, Hash), Denial>) {
        let headers = cookies(lines);
        let presented = Presented::of(Some(query), &headers);
        let found = presented.map(|p| {
            let custom = matches!(p.terms, Terms::Custom(_));
            (custom, p.key_pair_id.into_owned(), p.hash)
        });
        assert_eq!(
            found,
            expected.map(|(custom, id, hash)| (custom, id.to_owned(), hash)),
            "{query} {lines:?}"
        );
    }

    #[test]
    fn what_is_in_the_url_counts_before_cookies() {
        let cookie = ["CloudFront-Policy=p; CloudFront-Signature=s; CloudFront-Key-Pair-Id=c"];
        check("Expires=1&Signature=s&Key-Pair-Id=u", &cookie, Ok((false, "u", Hash::Sha1)));
        check("a=b", &cookie, Ok((true, "c", Hash::Sha1)));
        check("Hash-Algorithm=SHA256", &cookie, Ok((true, "c", Hash::Sha1)));
        // A URL that is half signed is not helped by cookies.
        check("Expires=1", &cookie, Err(Denial::Malformed));
    }

    #[test]
    fn all_parts_must_be_there_and_once() {
        check("", &[], Err(Denial::Missing));
        check("a=b", &["a=b; cloudfront-policy=p"], Err(Denial::Missing));
        check("policy=p&signature=s&key-pair-id=k", &[], Err(Denial::Missing));
        check("Policy=p&Signature=s&Key-Pair-Id=k&Hash-Algorithm=SHA256", &[], Ok((true, "k", Hash::Sha256)));
        check("Policy=p&Signature=s&Key-Pair-Id=k&Hash-Algorithm=MD5", &[], Err(Denial::Malformed));
        check("Policy=p&Signature=s", &[], Err(Denial::Malformed));
        check("Signature=s&Key-Pair-Id=k", &[], Err(Denial::Malformed));
        check("Policy=p&Expires=1&Signature=s&Key-Pair-Id=k", &[], Err(Denial::Malformed));
        check("Expires=1&Expires=2&Signature=s&Key-Pair-Id=k", &[], Err(Denial::Malformed));
        check("Expires=1&Signature=%ff&Key-Pair-Id=k", &[], Err(Denial::Malformed));
        check("Expires=1&Signature=s&Key-Pair-Id=%6b", &[], Ok((false, "k", Hash::Sha1)));
    }

    #[test]
    fn the_first_of_several_cookies_counts_and_a_custom_policy_most() {
        let canned = "CloudFront-Expires=1";
        let lines = [
            "CloudFront-Key-Pair-Id=first; CloudFront-Signature=s",
            "CloudFront-Key-Pair-Id=second; CloudFront-Hash-Algorithm=SHA256",
        ];
        check("", &[canned, lines[0], lines[1]], Ok((false, "first", Hash::Sha256)));
        check("", &[canned, "CloudFront-Policy=p", lines[0]], Ok((true, "first", Hash::Sha1)));
    }

    #[test]
    fn origins_see_nothing_of_it() {
        let query = |query: &'static str| without_parameters(Some(query)).map(Cow::into_owned);
        assert_eq!(query("a=1&Expires=1&Signature=s&Key-Pair-Id=k&b").as_deref(), Some("a=1&b"));
        assert_eq!(query("Policy=p&Signature=s&Key-Pair-Id=k&Hash-Algorithm=SHA256"), None);
        assert_eq!(query("Expires").as_deref(), None);
        assert_eq!(query("expires=1&a").as_deref(), Some("expires=1&a"));
        assert_eq!(query("").as_deref(), Some(""));
        assert_eq!(query("&Expires=1").as_deref(), Some(""));

        let all = cookies(&["a=1; CloudFront-Policy=p; b=2", "CloudFront-Signature=s", "CloudFront-Other=1"]);
        let without = without_cookies(&all).expect("some were there");
        let lines: Vec<_> = without.get_all(header::COOKIE).iter().collect();
        assert_eq!(lines, ["a=1; b=2", "CloudFront-Other=1"]);
        assert_eq!(without_cookies(&without), None);

        let mut odd = HeaderMap::new();
        let line = b"a=\xe9; CloudFront-Policy=p;CloudFront-Signature=s; CloudFront-Key-Pair-Id=k";
        odd.insert(header::COOKIE, HeaderValue::from_bytes(line).expect("value"));
        assert!(Presented::of(None, &odd).is_ok(), "what is not text is none of ours");
        assert_eq!(without_cookies(&odd).expect("some")[header::COOKIE].as_bytes(), b"a=\xe9");
    }
}
