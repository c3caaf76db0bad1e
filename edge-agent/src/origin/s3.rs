//! S3: how a bucket is addressed, and how requests to it are signed (AWS Signature Version 4).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use headland_proto::model::{S3Origin, Signing};
use http::{HeaderMap, Request, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Fault;

/// What is not encoded in a canonical path: RFC 3986 unreserved characters, and "/".
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Host and path of a key in a bucket.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// The Host header and the host to connect to.
    pub authority: String,
    /// The path, encoded the one way a signature allows.
    pub path: String,
}

/// Where the object for a path lies.
///
/// # Errors
/// When the path is not UTF-8 after decoding, which S3 keys are, or when it names no object: a request for the bucket itself would
/// list it, or worse, in the edge's name.
pub fn address(origin: &S3Origin, origin_path: &str, path: &str) -> Result<Address, Fault> {
    let decoded = percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| Fault::Request("the path is not UTF-8, and S3 keys are".to_owned()))?;
    if origin_path.is_empty() && decoded == "/" {
        return Err(Fault::NoObject);
    }
    let key = utf8_percent_encode(&decoded, PATH);
    let prefix = percent_decode_str(origin_path).decode_utf8_lossy();
    let prefix = utf8_percent_encode(&prefix, PATH);
    let endpoint = origin.endpoint.as_str();
    Ok(if origin.path_style {
        Address { authority: endpoint.to_owned(), path: format!("/{}{prefix}{key}", origin.bucket) }
    } else {
        Address { authority: format!("{}.{endpoint}", origin.bucket), path: format!("{prefix}{key}") }
    })
}

/// The parameters of a query that reach a bucket: the version of the object. All others are instructions (`acl`, `policy`, `uploads`,
/// `list-type`, `response-content-type`…) that are not for viewers to give, least of all under the edge's signature.
#[must_use]
pub fn forwarded_query(query: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| pair.starts_with("versionId=")).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// Whether a request goes to a bucket in the viewer's own name, by the Authorization that reaches it: it is neither signed nor is
/// anything of it left out, which a signature of the viewer's may cover.
#[must_use]
pub fn is_the_viewers(origin: &S3Origin, forwarded: &HeaderMap) -> bool {
    origin.signing == Signing::NoOverride && forwarded.contains_key(header::AUTHORIZATION)
}

/// Removes what a viewer must not say to a bucket in the edge's name: a signature of its own, and S3's instruction headers.
pub fn strip_viewer_instructions(headers: &mut HeaderMap, signed: bool) {
    let instructions: Vec<_> = headers.keys().filter(|n| n.as_str().starts_with("x-amz-")).cloned().collect();
    instructions.iter().for_each(|name| _ = headers.remove(name));
    if signed {
        headers.remove(header::AUTHORIZATION);
    }
}

/// Signs a request whose Host header is set. A body is not part of the signature, since it is streamed.
///
/// # Errors
/// When the request cannot be signed; says why.
pub fn sign_request<B>(
    request: &mut Request<B>,
    region: &str,
    credentials: &Credentials,
    has_body: bool,
    now: SystemTime,
) -> Result<(), String> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|e| e.to_string())?
        .into();
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let body = if has_body { SignableBody::UnsignedPayload } else { SignableBody::Bytes(&[]) };
    let uri = request.uri().to_string();
    let signable = SignableRequest::new(request.method().as_str(), &uri, [("host", host)].into_iter(), body)
        .map_err(|e| e.to_string())?;
    let (instructions, _) = sign(signable, &params).map_err(|e| e.to_string())?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use headland_proto::model::Scheme;

    use super::*;

    fn origin(path_style: bool) -> S3Origin {
        S3Origin {
            bucket: "photos".into(),
            region: "eu-central-1".into(),
            scheme: Scheme::Http,
            endpoint: "127.0.0.1:9000".parse().expect("authority"),
            path_style,
            signing: Signing::Always,
            credentials_profile: None,
        }
    }

    #[test]
    fn the_bucket_stands_in_the_path_or_in_the_host() {
        let address =
            |style, prefix, path| address(&origin(style), prefix, path).map(|a| (a.authority, a.path));
        assert_eq!(address(true, "", "/a/b.jpg"), Ok(("127.0.0.1:9000".into(), "/photos/a/b.jpg".into())));
        assert_eq!(
            address(false, "/site", "/a.jpg"),
            Ok(("photos.127.0.0.1:9000".into(), "/site/a.jpg".into()))
        );
    }

    #[test]
    fn every_spelling_of_a_key_is_signed_alike() {
        let path = |path| address(&origin(false), "", path).map(|a| a.path);
        assert_eq!(path("/a+b(1).jpg").as_deref(), Ok("/a%2Bb%281%29.jpg"));
        assert_eq!(path("//a").as_deref(), Ok("//a"));
        assert_eq!(path("/a%2Bb%281%29.jpg").as_deref(), Ok("/a%2Bb%281%29.jpg"));
        assert_eq!(path("/%7euser/%c3%bc").as_deref(), Ok("/~user/%C3%BC"));
        assert!(path("/%ff").is_err());
    }

    #[test]
    fn a_bucket_is_never_asked_for_itself() {
        assert_eq!(address(&origin(true), "", "/"), Err(Fault::NoObject));
        assert_eq!(
            address(&origin(true), "", "/%"),
            Ok(address(&origin(true), "", "/%25").expect("address"))
        );
        assert!(address(&origin(true), "/site", "/").is_ok(), "the object site/");
        assert_eq!(
            forwarded_query("acl&list-type=2&versionId=7&response-content-type=x").as_deref(),
            Some("versionId=7")
        );
        assert_eq!(forwarded_query("policy"), None);
    }

    #[test]
    fn viewers_cannot_instruct_the_bucket() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-amz-acl", "public-read"), ("x-amz-date", "1"), ("authorization", "x"), ("x-other", "y")]
        {
            headers.insert(name, value.parse().expect("value"));
        }
        let mut unsigned = headers.clone();
        strip_viewer_instructions(&mut headers, true);
        assert_eq!(headers.len(), 1);
        strip_viewer_instructions(&mut unsigned, false);
        assert!(unsigned.contains_key("authorization"));
    }

    #[test]
    fn a_signature_is_reproducible_and_covers_path_and_time() {
        let signature = |uri: &str, seconds| {
            let mut request =
                Request::get(uri).header("host", "photos.example.com").body(()).expect("request");
            let credentials = Credentials::new("AKID", "SECRET", None, None, "test");
            let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            sign_request(&mut request, "us-east-1", &credentials, false, now).expect("signed");
            request.headers()[header::AUTHORIZATION].to_str().expect("text").to_owned()
        };
        let one = signature("http://photos.example.com/a", 1_700_000_000);
        assert!(
            one.starts_with("AWS4-HMAC-SHA256 Credential=AKID/20231114/us-east-1/s3/aws4_request"),
            "{one}"
        );
        assert_eq!(one, signature("http://photos.example.com/a", 1_700_000_000));
        assert_ne!(one, signature("http://photos.example.com/b", 1_700_000_000));
        assert_ne!(one, signature("http://photos.example.com/a", 1_700_000_001));
    }
}
