//! The checked model: what a wire message means once every violation in it has been ruled out.
//!
//! One file per noun. Each noun converts from its wire type with all violations collected, each with its field path.

pub mod cache_behavior;
pub mod cache_policy;
pub mod coding;
pub mod distribution;
pub mod explain;
pub mod host_name;
pub mod origin;
pub mod path_pattern;
pub mod violation;

pub use cache_behavior::{CacheBehavior, MethodSet};
pub use cache_policy::{CachePolicy, NameSelection, Semantics, TtlBounds};
pub use coding::{Coding, Codings};
pub use distribution::DistributionConfig;
pub use explain::Question;
pub use host_name::{HostName, HostPattern};
pub use origin::{CustomOrigin, Origin, OriginKind, S3Origin, Scheme};
pub use path_pattern::PathPattern;
pub use violation::{Violation, Violations};
