//! Every ceiling on user input, in one table. Sources: CloudFront's published quotas where it has one.

use std::time::Duration;

/// Size of an encoded distribution config.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Size of any gRPC message, in either direction.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Distributions' share of one part of a sync `Update`, so that the part stays well below [`GRPC_MESSAGE_BYTES_MAX`].
pub const SYNC_PART_BYTES_MAX: usize = 2 << 20;
/// Violations listed for one config; the rest are counted.
pub const VIOLATIONS_MAX: usize = 100;

/// Characters of a caller reference.
pub const CALLER_REFERENCE_CHARS_MAX: usize = 128;
/// Characters of a comment. CloudFront: 128.
pub const COMMENT_CHARS_MAX: usize = 128;
/// Aliases of a distribution. CloudFront: 100.
pub const ALIASES_MAX: usize = 100;
/// Characters of a host name (RFC 1035 section 2.3.4, without the root dot).
pub const HOST_NAME_CHARS_MAX: usize = 253;
/// Characters of one label of a host name (RFC 1035 section 2.3.4).
pub const HOST_LABEL_CHARS_MAX: usize = 63;
/// Tags of a distribution or policy. CloudFront: 50.
pub const TAGS_MAX: usize = 50;
/// Characters of the key of a tag. CloudFront: 128.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Characters of the value of a tag. CloudFront: 256.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Tags that one list is filtered by.
pub const FILTER_TAGS_MAX: usize = 10;
/// Characters of a default root object. CloudFront: 255.
pub const DEFAULT_ROOT_OBJECT_CHARS_MAX: usize = 255;

/// Characters of the path of a custom error page.
pub const ERROR_PAGE_PATH_CHARS_MAX: usize = 255;
/// Range of the error caching minimum TTL. CloudFront: 0 s to a year.
pub const ERROR_CACHING_MIN_TTL: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(31_536_000));
/// The error caching minimum TTL unless a distribution says otherwise. CloudFront: 10 s.
pub const ERROR_CACHING_MIN_TTL_DEFAULT: Duration = Duration::from_secs(10);

/// Countries of a geographic restriction: all that ISO 3166-1 has.
pub const COUNTRIES_MAX: usize = 249;

/// Origins of a distribution. CloudFront: 100.
pub const ORIGINS_MAX: usize = 100;
/// Origin groups of a distribution. CloudFront: 10.
pub const ORIGIN_GROUPS_MAX: usize = 10;
/// Members of an origin group. CloudFront: exactly 2.
pub const ORIGIN_GROUP_MEMBERS: (usize, usize) = (2, 10);
/// Characters of an origin id. CloudFront: 128.
pub const ORIGIN_ID_CHARS_MAX: usize = 128;
/// Characters of an origin path. CloudFront: 255.
pub const ORIGIN_PATH_CHARS_MAX: usize = 255;
/// Bytes of the certificates of authorities that an origin is verified against.
pub const CA_CERTIFICATES_BYTES_MAX: usize = 65_536;
/// Certificates of authorities that an origin is verified against.
pub const CA_CERTIFICATES_MAX: usize = 32;
/// Characters of the name of a client certificate.
pub const CLIENT_CERTIFICATE_CHARS_MAX: usize = 64;
/// Range of the time for a request and its complete response. CloudFront: at least the response timeout, without a maximum; a day.
pub const RESPONSE_COMPLETION_TIMEOUT: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(86_400));
/// Custom headers of an origin. CloudFront: 30.
pub const CUSTOM_HEADERS_MAX: usize = 30;
/// Characters of a custom header's name. CloudFront: 256.
pub const CUSTOM_HEADER_NAME_CHARS_MAX: usize = 256;
/// Characters of a custom header's value. CloudFront: 1,783.
pub const CUSTOM_HEADER_VALUE_CHARS_MAX: usize = 1783;
/// Characters of all custom header names and values of an origin together. CloudFront: 10,240.
pub const CUSTOM_HEADERS_CHARS_MAX: usize = 10_240;
/// Tries to connect to an origin. CloudFront: 3.
pub const CONNECTION_ATTEMPTS_MAX: u32 = 3;
/// Range of an origin's connection timeout. CloudFront: 1 to 10 s.
pub const CONNECTION_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Range of an origin's response timeout. CloudFront: 1 to 120 s.
pub const RESPONSE_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));
/// Range of an origin's keep-alive timeout. CloudFront: 1 to 120 s.
pub const KEEPALIVE_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));
/// Characters of the path of a health check.
pub const HEALTH_CHECK_PATH_CHARS_MAX: usize = 255;
/// Range of the interval of a health check.
pub const HEALTH_CHECK_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Characters of a bucket name (Amazon S3: 3 to 63).
pub const BUCKET_CHARS: (usize, usize) = (3, 63);

/// Path-pattern behaviors of a distribution. CloudFront: 75.
pub const BEHAVIORS_MAX: usize = 75;
/// Characters of a path pattern. CloudFront: 255.
pub const PATH_PATTERN_CHARS_MAX: usize = 255;
/// Names of one kind (headers, cookies, query strings) in a cache policy. CloudFront: 10.
pub const KEY_NAMES_MAX: usize = 10;
/// Characters of all names in a cache policy together. CloudFront: 1,024.
pub const KEY_NAMES_CHARS_MAX: usize = 1024;
/// Characters of the name of a policy. CloudFront: 128.
pub const POLICY_NAME_CHARS_MAX: usize = 128;
/// Names of one kind (headers, cookies, query strings) in an origin request policy. CloudFront: 10.
pub const FORWARDED_NAMES_MAX: usize = 10;
/// Characters of all names in an origin request policy together. CloudFront: 1,024.
pub const FORWARDED_NAMES_CHARS_MAX: usize = 1024;
/// Custom headers of a response headers policy. CloudFront: 10.
pub const CUSTOM_RESPONSE_HEADERS_MAX: usize = 10;
/// Headers that a response headers policy removes. CloudFront: 10.
pub const REMOVED_HEADERS_MAX: usize = 10;
/// Origins or header names in one list of a policy's CORS settings. CloudFront does not publish its own.
pub const CORS_NAMES_MAX: usize = 100;
/// Characters of an origin that CORS settings allow: scheme, host and port.
pub const CORS_ORIGIN_CHARS_MAX: usize = 300;
/// Longest time a browser is told to keep the answer to a preflight: no browser keeps it longer.
pub const CORS_MAX_AGE_MAX: Duration = Duration::from_secs(86_400);
/// Size of an encoded policy.
pub const RESOURCE_BYTES_MAX: usize = 64 << 10;
/// Characters of a public key in PEM: several times what the longest allowed one has.
pub const PUBLIC_KEY_PEM_CHARS_MAX: usize = 4096;
/// Public keys of a key group. CloudFront: 5.
pub const KEY_GROUP_KEYS: (usize, usize) = (1, 5);
/// Key groups that a cache behavior trusts. CloudFront: 4.
pub const TRUSTED_KEY_GROUPS_MAX: usize = 4;
/// Longest TTL: 100 years, as CloudFront.
pub const TTL_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Results of one page of a list call.
pub const PAGE_SIZE_MAX: usize = 1000;
/// Results of one page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: usize = 100;
/// Characters of an edge's location.
pub const LOCATION_CHARS_MAX: usize = 64;
/// Characters of the URL at which viewers reach an edge.
pub const VIEWER_URL_CHARS_MAX: usize = 512;
/// Characters of the method of a request to be explained.
pub const EXPLAIN_METHOD_CHARS_MAX: usize = 32;
/// Bytes of the host of a request to be explained, port included.
pub const EXPLAIN_HOST_BYTES_MAX: usize = 512;
/// Bytes of path and query of a request to be explained: twice what an edge serves, so that its refusal can be explained.
pub const EXPLAIN_URL_BYTES_MAX: usize = 16_384;
/// Headers of a request to be explained.
pub const EXPLAIN_HEADERS_MAX: usize = 64;
/// Bytes of all header names and values of a request to be explained together, as much as an edge takes.
pub const EXPLAIN_HEADERS_BYTES_MAX: usize = 20_480;
/// Bytes of one text of a viewer or origin in an explanation; the rest is cut off.
pub const EXPLANATION_TEXT_BYTES_MAX: usize = 1024;
/// Stored variants told of in an explanation; the rest are counted.
pub const EXPLANATION_VARIANTS_MAX: usize = 32;
/// Bytes of an encoded explanation, well below [`GRPC_MESSAGE_BYTES_MAX`].
pub const EXPLANATION_BYTES_MAX: usize = 1 << 20;
/// Questions that may wait for one edge's answers at once, over one stream.
pub const EXPLAIN_OUTSTANDING_MAX: usize = 8;
/// Distributions an edge may ask to be sent again in one Hello.
pub const RESEND_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
