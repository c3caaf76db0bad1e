//! Vary (RFC 9111 section 4.1): which request headers a stored response was chosen by.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The request headers that a response named in Vary, with the values they had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vary(Box<[(HeaderName, Vec<HeaderValue>)]>);

/// A Vary that no request ever matches: `*`, or one that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverMatches;

impl Vary {
    /// What a response to this request varies by; `None` if it does not.
    ///
    /// # Errors
    /// When no later request could ever match.
    pub fn of(response: &HeaderMap, request: &HeaderMap) -> Result<Option<Self>, NeverMatches> {
        let mut names: Vec<HeaderName> = Vec::new();
        for field in response.get_all(header::VARY) {
            let field = field.to_str().map_err(|_| NeverMatches)?;
            for name in field.split(',').map(|n| n.trim_matches([' ', '\t'])).filter(|n| !n.is_empty()) {
                // "*" is a token, hence a valid header name to the parser, but it is not one.
                let name = name.parse().ok().filter(|_| name != "*").ok_or(NeverMatches)?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let with_values = |name: HeaderName| {
            // Copied: a value that came with a request keeps the connection's whole read buffer alive.
            let values = request
                .get_all(&name)
                .iter()
                .filter_map(|v| HeaderValue::from_bytes(v.as_bytes()).ok())
                .collect();
            (name, values)
        };
        Ok((!names.is_empty()).then(|| Self(names.into_iter().map(with_values).collect())))
    }

    /// Bytes of the names and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let of_one = |(name, values): &(HeaderName, Vec<HeaderValue>)| {
            name.as_str().len() + values.iter().map(HeaderValue::len).sum::<usize>()
        };
        self.0.iter().map(of_one).sum::<usize>() as u64
    }

    /// Whether a request has the same values.
    #[must_use]
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, values)| request.get_all(name).iter().eq(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("value"));
        }
        map
    }

    fn check(
        vary: &[(&'static str, &str)],
        first: &[(&'static str, &str)],
        second: &[(&'static str, &str)],
        same: bool,
    ) {
        let vary = Vary::of(&headers(vary), &headers(first)).expect("readable");
        assert_eq!(vary.is_none_or(|v| v.matches(&headers(second))), same);
    }

    #[test]
    fn a_request_with_other_values_does_not_match() {
        let vary = &[("vary", "Accept, X-A"), ("vary", "x-a")];
        check(vary, &[("accept", "a")], &[("accept", "a"), ("x-other", "1")], true);
        check(vary, &[("accept", "a")], &[("accept", "b")], false);
        check(vary, &[("accept", "a")], &[], false);
        check(vary, &[], &[("x-a", "")], false);
        check(vary, &[("x-a", "1"), ("x-a", "2")], &[("x-a", "1"), ("x-a", "2")], true);
        check(vary, &[("x-a", "1"), ("x-a", "2")], &[("x-a", "2"), ("x-a", "1")], false);
        check(&[], &[("accept", "a")], &[("accept", "b")], true);
        check(&[("vary", " , ")], &[("accept", "a")], &[("accept", "b")], true);
    }

    #[test]
    fn star_and_garbage_never_match() {
        for value in ["*", "accept, *", "*, *", "a b"] {
            assert_eq!(
                Vary::of(&headers(&[("vary", value)]), &HeaderMap::new()),
                Err(NeverMatches),
                "{value}"
            );
        }
    }
}
