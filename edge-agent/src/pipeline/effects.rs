//! Effects: what a request that changes something means for what is stored (RFC 9111 section 4.4, RFC 9875 section 3).

use std::sync::Arc;

use headland_proto::model::Semantics;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use url::Url;

use super::{Errand, Worker};
use crate::{
    cache::{groups, key},
    origin::http::name_of,
};

/// Methods that change nothing (RFC 9110 section 9.2.1). What is not known is not safe.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Fields that name what else has changed.
const ALSO_CHANGED: [HeaderName; 2] = [header::LOCATION, header::CONTENT_LOCATION];

impl Worker {
    /// Invalidates what the answer to an unsafe request shows to have changed. With CloudFront semantics nothing is.
    pub(super) async fn invalidate_by<B>(
        &self,
        errand: &Errand,
        request: &Request<B>,
        status: StatusCode,
        response: &HeaderMap,
    ) {
        let succeeded = status.is_success() || status.is_redirection();
        let semantics = errand.behavior.rules.cache_policy.semantics;
        if is_safe(request.method()) || !succeeded || semantics == Semantics::CloudFront {
            return;
        }
        let invalidations = &self.cache.invalidations;
        let mut uri = Vec::new();
        let scope = self.write_uri(errand, &errand.path, errand.query.as_deref(), &mut uri);
        let mut invalidated = vec![invalidations.invalidate_uri(&uri)];
        for group in groups::invalidated(response) {
            invalidated.push(invalidations.invalidate_group(&uri[..scope], &group));
        }
        let authority = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
        let authority = request.uri().authority().map(http::uri::Authority::as_str).or(authority);
        let base = authority.and_then(|a| Url::parse(&format!("http://{a}{}", errand.path)).ok());
        let origin = name_of(&errand.behavior.origin);
        let also_changed = base.iter().flat_map(|base| {
            let named = ALSO_CHANGED.iter().filter_map(|name| response.get(name)?.to_str().ok());
            named.filter_map(|reference| same_origin(base, &origin, reference))
        });
        for target in also_changed {
            let mut uri = Vec::new();
            self.write_uri(errand, target.path(), target.query(), &mut uri);
            invalidated.push(invalidations.invalidate_uri(&uri));
        }
        self.metrics.invalidations.add(invalidated.len() as u64);
        if invalidations.has_journal() {
            // It counts already; whoever has seen the answer may rely on it after a crash, too.
            let cache = Arc::clone(&self.cache);
            let kept = self.background.spawn_blocking(move || cache.invalidations.keep(&invalidated)).await;
            if kept.is_err() {
                tracing::error!("failed to note an invalidation");
            }
        }
    }

    /// Writes the part of the key that stands for a URI of the errand's distribution; returns how much of it is the scope.
    fn write_uri(&self, errand: &Errand, path: &str, query: Option<&str>, out: &mut Vec<u8>) -> usize {
        let distribution = &errand.distribution;
        let path = distribution.object_for(path);
        let policy = &distribution.behavior(path).rules.cache_policy;
        let query = key::select_query(query, &policy.query_strings);
        let uri = key::write_uri(out, &distribution.id, policy, path, query.as_deref(), &errand.viewer_host);
        uri.scope(out).len()
    }
}

/// What a Location or Content-Location names, if it is of the same origin as the request's target, by the name that viewers know or
/// by the one that the origin itself goes by.
fn same_origin(base: &Url, origin_authority: &str, reference: &str) -> Option<Url> {
    let target = base.join(reference).ok()?;
    if !matches!(target.scheme(), "http" | "https") {
        return None;
    }
    let by_origin = Url::parse(&format!("{}://{origin_authority}/", target.scheme()))
        .is_ok_and(|origin| origin.origin() == target.origin());
    (target.origin() == base.origin() || by_origin).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reference: &str, expected: Option<&str>) {
        let base = Url::parse("http://cdn.test:8080/a/b?c").expect("base");
        let target = same_origin(&base, "origin.test:9000", reference);
        assert_eq!(target.as_ref().map(|t| &t[url::Position::BeforePath..]), expected, "{reference}");
    }

    #[test]
    fn only_what_is_of_the_same_origin_is_also_invalidated() {
        check("/x?y", Some("/x?y"));
        check("x", Some("/a/x"));
        check("?z", Some("/a/b?z"));
        check("../x", Some("/x"));
        check("http://CDN.test:8080/x", Some("/x"));
        check("https://cdn.test:8080/x", None);
        check("http://cdn.test/x", None);
        check("//cdn.test:8080/x", Some("/x"));
        check("http://origin.test:9000/x", Some("/x"));
        check("http://origin.test/x", None);
        check("http://cdn.test:1/x", None);
        check("http://other.test:8080/x", None);
        check("ftp://cdn.test:8080/x", None);
        check("http://[", None);
    }

    #[test]
    fn what_is_not_known_is_not_safe() {
        for (method, safe) in
            [("GET", true), ("HEAD", true), ("OPTIONS", true), ("POST", false), ("M-SEARCH", false)]
        {
            assert_eq!(is_safe(&method.parse().expect("method")), safe, "{method}");
        }
    }
}
