//! Which URLs a custom policy is for: `*` stands for any characters, `?` for one, and neither goes beyond the section of the URL in which
//! it stands: protocol, domain, path, query (CloudFront guide, "Use wildcard characters in a custom policy").

/// A URL, in its sections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Url<'u> {
    pub(crate) scheme: &'u str,
    pub(crate) authority: &'u str,
    pub(crate) path: &'u str,
    pub(crate) query: Option<&'u str>,
}

/// Whether a policy's resource stands for a URL.
///
/// A `*` at the very end stands for all sections that follow. One at the beginning of the domain stands for any protocol. The `?` that
/// begins a query is written `\?`; one that is written as it is may be meant as either, since that is how the AWS CLI writes the
/// whole URL into a policy.
pub(super) fn matches(pattern: &str, url: &Url<'_>) -> bool {
    let (scheme, rest) = match pattern.split_once("://") {
        Some((scheme, rest))
            if scheme.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'*' | b'?')) =>
        {
            (scheme, rest)
        }
        _ if pattern.starts_with('*') => ("*", pattern),
        _ => return false,
    };
    if !rest.starts_with('*') && !glob(&scheme.to_ascii_lowercase(), url.scheme) {
        return false;
    }
    let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !glob(&domain.to_ascii_lowercase(), &url.authority.to_ascii_lowercase()) {
        return false;
    }
    if path.is_empty() {
        return ends_open(domain) || (matches!(url.path, "" | "/") && url.query.is_none());
    }
    if let Some((path, query)) = path.split_once("\\?") {
        return path_and_query(path, Some(query), url);
    }
    let as_separator =
        path.split_once('?').is_some_and(|(path, query)| path_and_query(path, Some(query), url));
    as_separator || path_and_query(path, None, url)
}

fn path_and_query(path: &str, query: Option<&str>, url: &Url<'_>) -> bool {
    let query_matches = match (query, url.query) {
        (None, None) => true,
        (None, Some(_)) => ends_open(path),
        (Some(pattern), Some(query)) => glob(pattern, query),
        (Some(_), None) => false,
    };
    query_matches && glob(path, url.path)
}

fn ends_open(section: &str) -> bool {
    section.ends_with('*') && !section.ends_with("\\*")
}

/// Whether a pattern stands for a whole text: byte by byte, and back to the last `*` when that fails, so that the time it takes is at
/// most the product of their lengths.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Behind the last `*`, and how much of the text it stands for ends here.
    let mut resume: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                resume = Some((p, t));
                continue;
            }
            None if t == text.len() => return true,
            None => None,
            Some(b'?') => text.get(t).map(|_| 1),
            Some(b'\\') if matches!(pattern.get(p + 1), Some(b'?' | b'*')) => {
                (pattern.get(p + 1) == text.get(t)).then_some(2)
            }
            Some(literal) => (Some(literal) == text.get(t)).then_some(1),
        };
        match (step, resume) {
            (Some(length), _) => (p, t) = (p + length, t + 1),
            (None, Some((behind, taken))) if taken < text.len() => {
                (p, t) = (behind, taken + 1);
                resume = Some((behind, taken + 1));
            }
            (None, _) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url<'_> {
        let (scheme, rest) = text.split_once("://").expect("a scheme");
        let (authority, rest) = rest.split_at(rest.find('/').expect("a path"));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Url { scheme, authority, path, query }
    }

    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        for text in matching {
            assert!(matches(pattern, &url(text)), "{pattern} does not match {text}");
        }
        for text in others {
            assert!(!matches(pattern, &url(text)), "{pattern} matches {text}");
        }
    }

    #[test]
    fn a_plain_url_stands_for_itself() {
        check(
            "https://cdn.test/a.jpg",
            &["https://cdn.test/a.jpg"],
            &[
                "http://cdn.test/a.jpg",
                "https://cdn.tes/a.jpg",
                "https://cdn.test/a.jp",
                "https://cdn.test/a.jpg/",
                "https://cdn.test/a.jpg?x=1",
                "https://cdn.test/A.jpg",
            ],
        );
        check("https://CDN.test/a", &["https://cdn.test/a"], &[]);
        check("https://cdn.test", &["https://cdn.test/"], &["https://cdn.test/a", "https://cdn.test/?x"]);
    }

    #[test]
    fn wildcards_stay_in_their_section() {
        check(
            "https://*.test/a/*/c.jpg",
            &["https://x.test/a/b/c.jpg", "https://y.x.test/a/b/b/c.jpg", "http://x.test/a/b/c.jpg"],
            &["https://x.test/a/c.jpg", "https://test/a/b/c.jpg", "https://evil/x.test/a/b/c.jpg"],
        );
        check("https://cdn.test/*.jpg", &["https://cdn.test/a.jpg"], &["https://cdn.test/a?x=.jpg"]);
        check(
            "https://c?n.test/a?c",
            &["https://cdn.test/abc"],
            &["https://cn.test/abc", "https://cdn.test/ac"],
        );
        check("https://cdn*/a", &["https://cdn.test/a"], &["https://cdn.test/b/a"]);
    }

    #[test]
    fn a_star_at_the_end_stands_for_what_follows() {
        check(
            "https://cdn.test/a/*",
            &["https://cdn.test/a/", "https://cdn.test/a/b", "https://cdn.test/a/b?x=1"],
            &["https://cdn.test/ab", "https://other.test/a/b"],
        );
        check(
            "https://cdn.*",
            &["https://cdn.test/a?x", "https://cdn.org/"],
            &["https://cd.test/a", "http://cdn.test/a"],
        );
        check("*", &["http://a.test/b?c", "https://a.test/"], &[]);
        check("http*://cdn.test/*", &["http://cdn.test/b?c", "https://cdn.test/"], &["https://a.test/"]);
        check("*://cdn.test/a", &["http://cdn.test/a", "https://cdn.test/a"], &["http://cdn.test/b"]);
        check("*/a/*", &["http://any.test/a/b", "https://other.test/a/"], &["https://other.test/b/a/"]);
    }

    #[test]
    fn the_question_mark_of_a_query_is_told_from_the_wildcard() {
        check(
            r"https://cdn.test/a\?size=*",
            &["https://cdn.test/a?size=large", "https://cdn.test/a?size="],
            &["https://cdn.test/a", "https://cdn.test/a?color=red", "https://cdn.test/abc?size=large"],
        );
        // As the AWS CLI writes a URL with a query into a custom policy.
        check(
            "https://cdn.test/a?size=large",
            &["https://cdn.test/a?size=large", "https://cdn.test/absize=large"],
            &["https://cdn.test/a?size=small", "https://cdn.test/a", "https://cdn.test/a?size=large&x"],
        );
        check(
            r"https://cdn.test/\*",
            &["https://cdn.test/*"],
            &["https://cdn.test/a", "https://cdn.test/*?x"],
        );
    }

    #[test]
    fn what_names_no_protocol_stands_for_nothing() {
        for pattern in ["", "cdn.test/a", "/a", "?", "ht.tp://cdn.test/a", "a"] {
            check(pattern, &[], &["https://cdn.test/a"]);
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        let pattern = format!("https://cdn.test/{}b", "*a".repeat(1000));
        let text = format!("https://cdn.test/{}", "a".repeat(8000));
        check(&pattern, &[], &[&text]);
    }

    /// What `glob` must say, by definition.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| by_definition(rest, &text[n..])),
            ([b'\\', c @ (b'?' | b'*'), rest @ ..], [first, more @ ..]) => {
                c == first && by_definition(rest, more)
            }
            ([b'\\', b'?' | b'*', ..], []) => false,
            ([b'?', rest @ ..], [_, more @ ..]) => by_definition(rest, more),
            ([c, rest @ ..], [first, more @ ..]) => c == first && by_definition(rest, more),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_it_is_defined_to(pattern in r"[ab*?\\]{0,8}", text in r"[ab*?\\]{0,8}") {
            prop_assert_eq!(glob(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_url_matches_itself_and_what_it_begins_with(
            path in "/[a-z0-9/._-]{0,12}", query in proptest::option::of("[a-z0-9=&]{0,8}"), cut in 0usize..12,
        ) {
            let text = match &query {
                Some(query) => format!("https://cdn.test{path}?{query}"),
                None => format!("https://cdn.test{path}"),
            };
            let url = url(&text);
            prop_assert!(matches(&text, &url));
            prop_assert!(matches(&text.replace('?', "\\?"), &url));
            let begin = &path[..cut.min(path.len()).max(1)];
            let open = format!("https://cdn.test{begin}*");
            prop_assert!(matches(&open, &url));
            let elsewhere = format!("https://cdn.test/~{}*", &begin[1..]);
            prop_assert!(!matches(&elsewhere, &url));
        }
    }
}
