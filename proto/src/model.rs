//! The checked model: what a wire message means once every violation in it has been ruled out.
//!
//! One file per noun. Each noun converts from its wire type with all violations collected, each with its field path.

pub mod cache_behavior;
pub mod cache_policy;
pub mod coding;
pub mod distribution;
pub mod error_responses;
pub mod explain;
pub mod host_name;
pub mod lint;
pub mod managed;
pub mod origin;
pub mod origin_group;
pub mod origin_request_policy;
pub mod path_pattern;
pub mod resources;
pub mod selection;
pub mod tags;
pub mod violation;

pub use cache_behavior::{CacheBehavior, MethodSet, Target};
pub use cache_policy::{CachePolicy, Semantics, TtlBounds};
pub use coding::{Coding, Codings};
pub use distribution::DistributionConfig;
pub use error_responses::{ErrorPage, ErrorResponses};
pub use explain::Question;
pub use host_name::{HostName, HostPattern};
pub use origin::{CustomOrigin, Origin, OriginKind, S3Origin, Scheme};
pub use origin_group::OriginGroup;
pub use origin_request_policy::{OriginHeaders, OriginRequestPolicy};
pub use path_pattern::PathPattern;
pub use resources::{Kind, Resource, Resources};
pub use selection::NameSelection;
pub use violation::{Violation, Violations};
