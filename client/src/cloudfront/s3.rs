//! The host names of Amazon S3's buckets (Amazon S3 guide, "Methods for accessing a bucket"; "Website endpoints").

/// What a host name says of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket<'h> {
    pub(super) name: &'h str,
    /// None in the name: the global endpoint.
    pub(super) region: Option<&'h str>,
}

/// The bucket of a REST endpoint: `bucket.s3.eu-west-1.amazonaws.com`, also the older forms. Website endpoints are HTTP servers.
pub(super) fn bucket(host: &str) -> Option<Bucket<'_>> {
    let rest = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    // The last one: a bucket's name may have dots in it, and "s3" too.
    if let Some(name) = rest.strip_suffix(".s3") {
        return Some(Bucket { name, region: None });
    }
    let dotted = rest
        .rsplit_once(".s3.")
        .map(|(name, region)| (name, region.strip_prefix("dualstack.").unwrap_or(region)));
    let (name, region) = dotted.or_else(|| rest.rsplit_once(".s3-"))?;
    let is_region = !region.is_empty() && !region.starts_with("website") && !region.contains('.');
    is_region.then_some(Bucket { name, region: Some(region) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_known_by_their_host_names() {
        for (host, expected) in [
            ("photos.s3.eu-west-1.amazonaws.com", Some(("photos", Some("eu-west-1")))),
            ("photos.s3.amazonaws.com", Some(("photos", None))),
            ("photos.s3-eu-west-1.amazonaws.com", Some(("photos", Some("eu-west-1")))),
            ("my.s3.photos.s3.dualstack.us-east-2.amazonaws.com", Some(("my.s3.photos", Some("us-east-2")))),
            ("photos.s3.cn-north-1.amazonaws.com.cn", Some(("photos", Some("cn-north-1")))),
            ("photos.s3-website-us-east-1.amazonaws.com", None),
            ("photos.s3-website.eu-central-1.amazonaws.com", None),
            ("www.example.com", None),
            ("s3.amazonaws.com", None),
        ] {
            let expected = expected.map(|(name, region)| Bucket { name, region });
            assert_eq!(bucket(host), expected, "{host}");
        }
    }
}
