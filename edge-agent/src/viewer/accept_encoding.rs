//! Accept-Encoding (RFC 9110 section 12.5.3) in normal form: which of the codings that count a viewer accepts.
//!
//! Of all that a viewer can say by weights, only yes and no is left, as with CloudFront: fewer forms are more hits. Nothing is said by a
//! viewer without the field, which is taken to want bytes as they are, and by one that speaks HTTP/1.0, to which proxies on its way
//! might give back what it did not ask for (CloudFront guide, "Serve compressed files").

use headland_proto::model::{Coding, Codings};
use http::{HeaderMap, HeaderValue, Request, Version, header};

/// Which of the codings that are enabled this request accepts.
#[must_use]
pub fn of<B>(enabled: Codings, request: &Request<B>) -> Codings {
    of_headers(enabled, request.version(), request.headers())
}

/// The same of its version and headers.
#[must_use]
pub fn of_headers(enabled: Codings, version: Version, headers: &HeaderMap) -> Codings {
    if enabled.is_empty() || version < Version::HTTP_11 {
        return Codings::default();
    }
    of_lines(enabled, headers.get_all(header::ACCEPT_ENCODING).iter().map(HeaderValue::as_bytes))
}

/// The same of the lines of the field, in a request that is not HTTP/1.0.
#[must_use]
pub fn of_lines<'l>(enabled: Codings, lines: impl Iterator<Item = &'l [u8]>) -> Codings {
    if enabled.is_empty() {
        return enabled;
    }
    let mut named: [Option<bool>; Coding::ALL.len()] = Default::default();
    let mut others = false;
    for (name, yes) in lines.flat_map(|line| line.split(|&b| b == b',')).filter_map(member) {
        others |= name == b"*" && yes;
        if let Some(coding) = Coding::ALL.into_iter().find(|coding| is(name, *coding)) {
            let said = named[coding as usize].get_or_insert(yes);
            // Said twice in different ways, it is better not relied upon.
            *said &= yes;
        }
    }
    // "*" is about those that are not named.
    enabled.iter().filter(|coding| named[*coding as usize].unwrap_or(others)).collect()
}

fn is(name: &[u8], coding: Coding) -> bool {
    name.eq_ignore_ascii_case(coding.token().as_bytes())
        // RFC 9110 section 8.4.1.3.
        || coding == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip")
}

/// The name in a member of the list, and whether it is accepted. `None` if the member cannot be read.
fn member(text: &[u8]) -> Option<(&[u8], bool)> {
    let mut parts = text.split(|&b| b == b';').map(<[u8]>::trim_ascii);
    let name = parts.next()?;
    let accepted = match parts.next() {
        None => true,
        Some(weight) => is_positive(weight)?,
    };
    parts.next().is_none().then_some((name, accepted))
}

/// Whether a weight, such as `q=0.5`, is more than zero (RFC 9110 section 12.4.2).
fn is_positive(weight: &[u8]) -> Option<bool> {
    let number = match weight {
        [b'q' | b'Q', b'=', number @ ..] => number,
        _ => return None,
    };
    let (whole, fraction) = match number {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let is_zero = fraction.iter().all(|&digit| digit == b'0');
    match whole {
        b'0' if fraction.iter().all(u8::is_ascii_digit) => Some(!is_zero),
        b'1' if is_zero => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(enabled: &[Coding], version: Version, lines: &[&str]) -> &'static str {
        let mut headers = HeaderMap::new();
        lines
            .iter()
            .for_each(|line| _ = headers.append(header::ACCEPT_ENCODING, line.parse().expect("value")));
        of_headers(enabled.iter().copied().collect(), version, &headers).list()
    }

    fn check(lines: &[&str], expected: &str) {
        assert_eq!(of(&Coding::ALL, Version::HTTP_11, lines), expected, "{lines:?}");
    }

    #[test]
    fn what_a_viewer_accepts_is_in_one_order() {
        check(&["gzip, deflate, br, zstd"], "br,zstd,gzip");
        check(&["gzip,br"], "br,gzip");
        check(&["br", "gzip"], "br,gzip");
        check(&["deflate, sdch"], "");
        check(&["GZip;q=0.1 , BR ; q=1.000"], "br,gzip");
        check(&["x-gzip"], "gzip");
        check(&[], "");
        check(&[""], "");
        check(&[" , ,gzip,"], "gzip");
        check(&["gzipped, gzi, b r"], "");
    }

    /// RFC 9110 section 12.5.3.
    #[test]
    fn a_weight_of_zero_is_a_no() {
        check(&["gzip;q=0, br"], "br");
        check(&["gzip;q=0.000, br;q=0.001"], "br");
        check(&["*"], "br,zstd,gzip");
        check(&["*;q=0"], "");
        check(&["gzip;q=0, *"], "br,zstd");
        check(&["gzip, *;q=0"], "gzip");
        check(&["identity"], "");
        check(&["identity;q=0, gzip"], "gzip");
        check(&["identity;q=1, gzip;q=0.5"], "gzip");
        check(&["gzip, gzip;q=0"], "");
        check(&["gzip;q=0", "gzip"], "");
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        for weight in
            ["q=", "q=2", "q=1.1", "q=0.0000", "q=-1", "q=.5", "p=1", "q", "q=0.a", "q=1;q=0", "", "q =1"]
        {
            check(&[&format!("gzip;{weight}, br")], "br");
        }
        check(&["\"gzip\", br"], "br");
    }

    #[test]
    fn only_what_is_enabled_counts() {
        let all = &["gzip, br, zstd"];
        assert_eq!(of(&[], Version::HTTP_11, all), "");
        assert_eq!(of(&[Coding::Gzip], Version::HTTP_11, all), "gzip");
        assert_eq!(of(&[Coding::Gzip, Coding::Brotli], Version::HTTP_2, all), "br,gzip");
        assert_eq!(of(&Coding::ALL, Version::HTTP_10, all), "");
    }
}
