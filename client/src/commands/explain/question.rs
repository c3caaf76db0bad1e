//! From arguments, as curl takes them, to the request that is to be explained; and back, where something is wrong with it.

use headland::{
    error::{Error, ErrorKind, Violation},
    v1,
};
use headland_proto::model;

const HINT: &str = "write it as http://host[:port]/path?query, and headers as -H 'name: value'";

/// A request, and which argument each header came from.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) request: v1::ExplainRequest,
    /// The argument of each header of the request.
    arguments: Vec<String>,
    /// The argument that the host came from.
    host_argument: String,
}

impl Question {
    /// Reads and checks all arguments.
    ///
    /// # Errors
    /// When one of them is not what it should be; the error names it.
    pub(super) fn read(url: &str, method: &str, headers: &[String], viewer: &str) -> Result<Self, Error> {
        let (https, host, path, query) = split(url)?;
        let request = v1::ExplainRequest {
            method: method.into(),
            host,
            path,
            query,
            viewer_address: viewer.into(),
            https,
            ..Default::default()
        };
        let mut question = Self { request, arguments: Vec::new(), host_argument: "URL".into() };
        for header in headers {
            question.add(header)?;
        }
        match model::Question::try_from(&question.request) {
            Ok(_) => Ok(question),
            Err(violations) => Err(question.refused(&violations)),
        }
    }

    fn add(&mut self, header: &str) -> Result<(), Error> {
        let Some((name, value)) = header.split_once(':') else {
            let message = format!("read -H {header:?}: it has no colon");
            return Err(Error::new(ErrorKind::Usage, message).with_hint(HINT));
        };
        // White space around a value is not part of it (RFC 9110 section 5.5).
        let value = value.trim_matches([' ', '\t']);
        let argument = format!("-H {header:?}");
        if name.eq_ignore_ascii_case("host") {
            self.request.host = value.into();
            self.host_argument = argument;
        } else {
            self.request.headers.push(v1::HeaderField { name: name.into(), value: value.into() });
            self.arguments.push(argument);
        }
        Ok(())
    }

    fn refused(&self, violations: &model::Violations) -> Error {
        let in_arguments = |v: &model::Violation| {
            self.in_arguments(Violation {
                field: v.field.clone(),
                description: v.description.clone(),
                place: None,
            })
        };
        let listed: Vec<_> = violations.list().iter().map(in_arguments).collect();
        let count = if listed.len() == 1 {
            "one thing is wrong".to_owned()
        } else {
            format!("{} things are wrong", listed.len())
        };
        Error::new(ErrorKind::Usage, format!("make a request of the arguments: {count}"))
            .with_violations(listed)
            .with_hint(HINT)
    }

    /// The same violation, said of the argument it is about.
    pub(super) fn in_arguments(&self, violation: Violation) -> Violation {
        let argument = match violation.field.as_str() {
            "method" => "-X",
            "host" => &self.host_argument,
            "path" | "query" => "URL",
            "edge_id" => "--edge",
            "viewer_address" => "--client",
            field => self.header_argument(field),
        };
        Violation { field: argument.to_owned(), ..violation }
    }

    /// `headers[1].name` is about the second header.
    fn header_argument<'a>(&'a self, field: &'a str) -> &'a str {
        if field == "headers" {
            return "-H";
        }
        let index = field.strip_prefix("headers[").and_then(|rest| rest.split_once(']')?.0.parse().ok());
        index.and_then(|i: usize| self.arguments.get(i)).map_or(field, String::as_str)
    }
}

/// Whether a URL is for https, and its host, path and query. A fragment is never sent.
fn split(url: &str) -> Result<(bool, String, String, Option<String>), Error> {
    let wrong =
        |why: &str| Error::new(ErrorKind::Usage, format!("read the URL {url:?}: {why}")).with_hint(HINT);
    let none = "it does not begin with http:// or https://";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(none))?;
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return Err(wrong(none));
    }
    let rest = rest.split_once('#').map_or(rest, |(sent, _)| sent);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    if host.is_empty() {
        return Err(wrong("it names no host"));
    }
    if host.contains('@') {
        return Err(wrong("it has a user name, which is not part of a request"));
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = if path.is_empty() { "/" } else { path };
    Ok((https, host.to_owned(), path.to_owned(), query.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, headers: &[&str]) -> Result<Question, Error> {
        let headers: Vec<String> = headers.iter().map(|&h| h.to_owned()).collect();
        Question::read(url, "GET", &headers, "")
    }

    #[test]
    fn a_url_is_taken_apart_as_viewers_do() {
        let check = |url: &str, host: &str, path: &str, query: Option<&str>| {
            let request = read(url, &[]).expect(url).request;
            let parts = (request.host.as_str(), request.path.as_str(), request.query.as_deref());
            assert_eq!(parts, (host, path, query), "{url}");
        };
        check("http://a.example.com", "a.example.com", "/", None);
        check("HTTP://a.example.com:8080/x/y?b=1&c#d", "a.example.com:8080", "/x/y", Some("b=1&c"));
        check("http://[::1]:8080?", "[::1]:8080", "/", Some(""));
        check("http://a/b?c?d", "a", "/b", Some("c?d"));
        check("https://a/b", "a", "/b", None);
        assert!(read("HTTPS://a/b", &[]).expect("question").request.https);
        assert!(!read("http://a/b", &[]).expect("question").request.https);
    }

    #[test]
    fn a_viewer_that_is_nowhere_is_said_of_its_argument() {
        let read = |client| Question::read("http://a/b", "GET", &[], client);
        assert_eq!(read("[2001:db8::1]:80").expect("question").request.viewer_address, "[2001:db8::1]:80");
        let error = read("example.com").expect_err("an error");
        assert_eq!(error.violations()[0].field, "--client");
    }

    #[test]
    fn headers_are_written_as_for_curl() {
        let question =
            read("http://a/b", &["Accept:  x:y ", "HOST: c.example.com", "x-empty:"]).expect("question");
        assert_eq!(question.request.host, "c.example.com");
        let fields: Vec<_> =
            question.request.headers.iter().map(|f| (f.name.as_str(), f.value.as_str())).collect();
        assert_eq!(fields, [("Accept", "x:y"), ("x-empty", "")]);
    }

    #[test]
    fn what_is_wrong_names_the_argument() {
        for (url, headers, part) in [
            ("www.example.com/a", &[][..], "begin with http://"),
            ("ftp://a/b", &[], "begin with http://"),
            ("http:///b", &[], "no host"),
            ("http://u:p@a/b", &[], "user name"),
            ("http://a/b", &["accept"], "-H \"accept\": it has no colon"),
        ] {
            let error = read(url, headers).expect_err(url);
            assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
            assert!(error.hint().is_some());
        }
        let named = |url: &str, headers: &[&str]| {
            let error = read(url, headers).expect_err(url);
            error.violations().iter().map(|v| v.field.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            named("http://a/b c", &["x: 1", "a b: 2", "y: \u{1}"]),
            ["URL", "-H \"a b: 2\"", "-H \"y: \\u{1}\""]
        );
        assert_eq!(named("http://a/b", &["host: a, host: x", "host:"]), ["-H \"host:\""]);
        let many = vec!["a: b"; 65];
        assert_eq!(named("http://a/b", &many), ["-H"]);
        let method = Question::read("http://a/b", "G T", &[], "").expect_err("method");
        assert_eq!(method.violations()[0].field, "-X");
    }
}
