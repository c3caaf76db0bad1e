//! The checked model: what a wire message means once every violation in it has been ruled out.
//!
//! One file per noun. Each noun converts from its wire type with all violations collected, each with its field path.

pub mod cache_behavior;
pub mod cache_policy;
pub mod coding;
pub mod distribution;
pub mod edge_header;
pub mod error_responses;
pub mod explain;
pub mod geo_restriction;
pub mod host_name;
pub mod key_group;
pub mod lint;
pub mod managed;
pub mod origin;
pub mod origin_group;
pub mod origin_request_policy;
pub mod origin_tls;
pub mod path_pattern;
pub mod public_key;
pub mod resources;
pub mod response_headers_policy;
pub mod selection;
pub mod tags;
pub mod violation;

pub use cache_behavior::{CacheBehavior, MethodSet, Target, ViewerProtocol};
pub use cache_policy::{CachePolicy, Semantics, TtlBounds};
pub use coding::{Coding, Codings};
pub use distribution::DistributionConfig;
pub use edge_header::{EDGE_HEADER_PREFIX, EdgeHeader, is_edge_header_name};
pub use error_responses::{ErrorPage, ErrorResponses};
pub use explain::Question;
pub use geo_restriction::{CountryCode, GeoRestriction};
pub use host_name::{HostName, HostPattern};
pub use key_group::{KeyGroup, TrustedKeys};
pub use origin::{CustomOrigin, HealthCheck, Http2, Origin, OriginKind, S3Origin, Scheme, Signing};
pub use origin_group::OriginGroup;
pub use origin_request_policy::{OriginHeaders, OriginRequestPolicy};
pub use origin_tls::OriginTls;
pub use path_pattern::PathPattern;
pub use public_key::{KeyAlgorithm, PublicKey};
pub use resources::{Kind, Resource, Resources};
pub use response_headers_policy::{AddedHeader, Cors, ResponseHeadersPolicy};
pub use selection::NameSelection;
pub use violation::{Violation, Violations};
