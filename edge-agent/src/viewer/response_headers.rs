//! What a response headers policy changes in a response: in a head that is a map of fields, or one that is written already.

use std::borrow::Cow;

use headland_proto::model::{
    Cors, ResponseHeadersPolicy,
    response_headers_policy::{CORS_HEADERS, Origins},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use memchr::{memchr, memmem};

/// What of a request a policy looks at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Occasion<'r> {
    /// Its Origin, if it has exactly one.
    pub(crate) origin: Option<&'r [u8]>,
    /// Whether it asks what another may do (Fetch standard, "CORS-preflight request").
    pub(crate) is_preflight: bool,
}

impl<'r> Occasion<'r> {
    /// That of a request.
    pub(crate) fn of<B>(request: &'r Request<B>) -> Self {
        let headers = request.headers();
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none()).map(HeaderValue::as_bytes);
        let asks = request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Self { origin, is_preflight: asks && origin.is_some() }
    }
}

/// Whether the edge itself answers a request, as the preflight that it is.
pub(crate) fn answers<B>(policy: &ResponseHeadersPolicy, request: &Request<B>) -> bool {
    policy.cors.as_ref().is_some_and(|cors| cors.origin_override) && Occasion::of(request).is_preflight
}

/// Changes a head.
pub(crate) fn apply(policy: &ResponseHeadersPolicy, occasion: Occasion<'_>, headers: &mut HeaderMap) {
    let dropped: Vec<HeaderName> =
        headers.keys().filter(|name| drops(policy, name.as_str())).cloned().collect();
    dropped.iter().for_each(|name| _ = headers.remove(name));
    for (name, value) in additions(policy, occasion, |name| headers.contains_key(name)) {
        headers.append(name, value.into_owned());
    }
}

/// Writes a head that is text, changed, behind what `out` has: a status line, and fields with names in lower case. What stands behind
/// an empty line stays as it is.
pub(crate) fn write(policy: &ResponseHeadersPolicy, occasion: Occasion<'_>, head: &[u8], out: &mut Vec<u8>) {
    let (begins, mut rest) = (out.len(), head);
    while let Some(end) = memchr(b'\n', rest) {
        let (line, after) = rest.split_at(end + 1);
        if line == b"\r\n" {
            break;
        }
        let name = memchr(b':', line).and_then(|colon| std::str::from_utf8(&line[..colon]).ok());
        if name.is_none_or(|name| !drops(policy, name)) {
            out.extend_from_slice(line);
        }
        rest = after;
    }
    for (name, value) in additions(policy, occasion, |name| is_in(name, &out[begins..])) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(rest);
}

/// Whether a head as it is sent has a field of this name.
fn is_in(name: &HeaderName, head: &[u8]) -> bool {
    let name = name.as_str().as_bytes();
    let begins_line = |at: usize| head[..at].ends_with(b"\n") && head[at + name.len()..].starts_with(b":");
    memmem::find_iter(head, name).any(begins_line)
}

/// Whether a field of what the origin sent is taken out: because the policy says so, or puts its own in its place.
fn drops(policy: &ResponseHeadersPolicy, name: &str) -> bool {
    let replaces = |cors: &Cors| cors.origin_override && CORS_HEADERS.iter().any(|n| n == name);
    policy.removed.iter().any(|n| n == name)
        || policy.added.iter().any(|added| added.origin_override && added.name == name)
        || policy.cors.as_ref().is_some_and(replaces)
}

/// The fields that are put to what is `there` after some have been taken out.
fn additions<'a>(
    policy: &'a ResponseHeadersPolicy,
    occasion: Occasion<'_>,
    there: impl Fn(&HeaderName) -> bool,
) -> Vec<(HeaderName, Cow<'a, HeaderValue>)> {
    let added = policy.added.iter().filter(|added| !there(&added.name));
    let mut additions: Vec<_> =
        added.map(|added| (added.name.clone(), Cow::Borrowed(&added.value))).collect();
    let Some(cors) = &policy.cors else { return additions };
    if there(&ACCESS_CONTROL_ALLOW_ORIGIN) {
        return additions;
    }
    let Some(allowed) = allowed_origin(cors, occasion.origin) else {
        // Another origin may get another answer.
        additions.push((VARY, Cow::Owned(HeaderValue::from_static("Origin"))));
        return additions;
    };
    if cors.origins != Origins::All {
        additions.push((VARY, Cow::Owned(HeaderValue::from_static("Origin"))));
    }
    let mut add = |name: HeaderName, value: Option<Cow<'a, HeaderValue>>| {
        additions.extend(value.filter(|_| !there(&name)).map(|value| (name, value)));
    };
    let of_preflights =
        |value: Option<&'a HeaderValue>| value.filter(|_| occasion.is_preflight).map(Cow::Borrowed);
    add(ACCESS_CONTROL_ALLOW_ORIGIN, Some(Cow::Owned(allowed)));
    let credentials = cors.credentials.then(|| Cow::Owned(HeaderValue::from_static("true")));
    add(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
    add(ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose_headers.as_ref().map(Cow::Borrowed));
    add(ACCESS_CONTROL_ALLOW_METHODS, of_preflights(Some(&cors.methods)));
    add(ACCESS_CONTROL_ALLOW_HEADERS, of_preflights(cors.headers.as_ref()));
    add(ACCESS_CONTROL_MAX_AGE, of_preflights(cors.max_age.as_ref()));
    additions
}

/// What Access-Control-Allow-Origin says. Where all are allowed, it says so to everybody: who kept the answer to a request that was not
/// cross-origin can then use it for one that is.
fn allowed_origin(cors: &Cors, origin: Option<&[u8]>) -> Option<HeaderValue> {
    if cors.origins == Origins::All {
        return Some(HeaderValue::from_static("*"));
    }
    let origin = std::str::from_utf8(origin?).ok()?;
    cors.origins.allow(origin).then(|| HeaderValue::from_str(origin).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headland_proto::{model::Resource, v1};

    use super::*;

    fn policy(config: v1::ResponseHeadersPolicyConfig) -> Arc<ResponseHeadersPolicy> {
        let kind = v1::resource_config::Kind::ResponseHeadersPolicy(v1::ResponseHeadersPolicyConfig {
            name: "p".into(),
            ..config
        });
        match Resource::try_from(&v1::ResourceConfig { kind: Some(kind) }).expect("is valid") {
            Resource::ResponseHeadersPolicy(policy) => policy,
            other => panic!("{other:?}"),
        }
    }

    fn header(name: &str, value: &str, origin_override: bool) -> v1::CustomResponseHeader {
        v1::CustomResponseHeader { name: name.into(), value: value.into(), origin_override }
    }

    fn cors(origins: &[&str], origin_override: bool) -> v1::Cors {
        v1::Cors {
            allow_origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            allow_methods: vec!["GET".into(), "PUT".into()],
            allow_headers: vec!["x-h".into()],
            expose_headers: vec!["etag".into()],
            max_age: Some(prost_types::Duration { seconds: 9, nanos: 0 }),
            origin_override,
            ..Default::default()
        }
    }

    /// Both ways of changing a head come to the same.
    fn changed(policy: &ResponseHeadersPolicy, occasion: Occasion<'_>, fields: &[&str]) -> Vec<String> {
        let mut map = HeaderMap::new();
        let mut text = b"HTTP/1.1 200 OK\r\n".to_vec();
        for (name, value) in fields.iter().filter_map(|field| field.split_once(": ")) {
            map.append(name.parse::<HeaderName>().expect("name"), value.parse().expect("value"));
            text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let end = b"\r\nbody: with: server: x\n";
        let without_end = text.clone();
        text.extend_from_slice(end);
        apply(policy, occasion, &mut map);
        let (mut finished, mut unfinished) = (b"x-mine: ".to_vec(), Vec::new());
        write(policy, occasion, &text, &mut finished);
        write(policy, occasion, &without_end, &mut unfinished);
        let expected = [b"x-mine: ", &unfinished[..], &end[..]].concat();
        assert_eq!(finished, expected, "with its end or without, and what was there before does not count");
        let text = String::from_utf8(unfinished).expect("text");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.remove(0), "HTTP/1.1 200 OK");
        let mut of_map: Vec<String> =
            map.iter().map(|(n, v)| format!("{n}: {}", v.to_str().expect("text"))).collect();
        lines.sort();
        of_map.sort();
        assert_eq!(lines, of_map);
        lines
    }

    #[test]
    fn what_is_removed_and_what_is_added() {
        let policy = policy(v1::ResponseHeadersPolicyConfig {
            removed_headers: vec!["server".into(), "x-gone".into()],
            custom_headers: vec![
                header("x-mine", "1", true),
                header("x-usual", "2", false),
                header("x-gone", "3", false),
            ],
            ..Default::default()
        });
        let none = Occasion::default();
        let sent =
            ["server: a", "server: b", "x-gone: o", "x-mine: o", "x-mine: p", "x-usual: o", "x-serv: er"];
        assert_eq!(changed(&policy, none, &sent), ["x-gone: 3", "x-mine: 1", "x-serv: er", "x-usual: o"]);
        let other = ["x-other: x-usual: 3", "y-x-usual: 4"];
        assert_eq!(
            changed(&policy, none, &other),
            ["x-gone: 3", "x-mine: 1", "x-other: x-usual: 3", "x-usual: 2", "y-x-usual: 4"]
        );
    }

    #[test]
    fn cors_is_said_to_those_who_are_allowed() {
        let config = |cors| v1::ResponseHeadersPolicyConfig { cors: Some(cors), ..Default::default() };
        let from = |origin: &'static str| Occasion { origin: Some(origin.as_bytes()), is_preflight: false };
        let listed = policy(config(cors(&["https://*.a.test"], false)));
        assert_eq!(
            changed(&listed, from("https://x.a.test"), &[]),
            [
                "access-control-allow-origin: https://x.a.test",
                "access-control-expose-headers: etag",
                "vary: Origin"
            ]
        );
        assert_eq!(changed(&listed, from("https://b.test"), &[]), ["vary: Origin"]);
        assert_eq!(changed(&listed, Occasion::default(), &[]), ["vary: Origin"]);
        // The origin has its say where it is not overridden.
        let said = ["access-control-allow-origin: https://o.test"];
        assert_eq!(changed(&listed, from("https://x.a.test"), &said), said);
        let all = policy(config(cors(&["*"], false)));
        let expected = ["access-control-allow-origin: *", "access-control-expose-headers: etag"];
        assert_eq!(changed(&all, Occasion::default(), &[]), expected);
        let overriding = policy(config(cors(&["https://*.a.test"], true)));
        let said = ["access-control-allow-origin: *", "access-control-max-age: 1"];
        assert_eq!(changed(&overriding, from("https://b.test"), &said), ["vary: Origin"]);
    }

    #[test]
    fn a_preflight_is_told_what_may_follow() {
        let request = |method: &str, origin: &[&str]| {
            let mut request = Request::builder().method(method).uri("/");
            for origin in origin {
                request = request.header("origin", *origin);
            }
            request.header("access-control-request-method", "PUT").body(()).expect("request")
        };
        let config = |o| v1::ResponseHeadersPolicyConfig {
            cors: Some(v1::Cors { allow_credentials: true, ..cors(&["https://a.test"], o) }),
            ..Default::default()
        };
        let here = policy(config(true));
        let preflight = request("OPTIONS", &["https://a.test"]);
        assert!(answers(&here, &preflight));
        assert_eq!(
            changed(&here, Occasion::of(&preflight), &["allow: GET"]),
            [
                "access-control-allow-credentials: true",
                "access-control-allow-headers: x-h",
                "access-control-allow-methods: GET, PUT",
                "access-control-allow-origin: https://a.test",
                "access-control-expose-headers: etag",
                "access-control-max-age: 9",
                "allow: GET",
                "vary: Origin",
            ]
        );
        assert!(!answers(&policy(config(false)), &preflight), "the origin is asked");
        assert!(!answers(&here, &request("GET", &["https://a.test"])));
        assert!(!answers(&here, &request("OPTIONS", &[])));
        assert!(!answers(&here, &request("OPTIONS", &["https://a.test", "https://b.test"])));
    }
}
