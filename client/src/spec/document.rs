//! What the command prints about one thing: what the operator wrote, and what the system knows about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DistributionSpec;

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// A cache policy.
    CachePolicy,
    /// An origin request policy.
    OriginRequestPolicy,
    /// A response headers policy.
    ResponseHeadersPolicy,
    /// A public key.
    PublicKey,
    /// A key group. What it may refer to comes before it.
    KeyGroup,
    /// A distribution. Last: what it may refer to comes before it.
    Distribution,
}

impl DocumentKind {
    /// All of them, in the order in which they can be made.
    pub const ALL: [Self; 6] = [
        Self::CachePolicy,
        Self::OriginRequestPolicy,
        Self::ResponseHeadersPolicy,
        Self::PublicKey,
        Self::KeyGroup,
        Self::Distribution,
    ];

    /// The kind as it stands in a file, where it is also the name of the command for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CachePolicy => "cache-policy",
            Self::OriginRequestPolicy => "origin-request-policy",
            Self::ResponseHeadersPolicy => "response-headers-policy",
            Self::PublicKey => "public-key",
            Self::KeyGroup => "key-group",
            Self::Distribution => "distribution",
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A distribution. Its `config` is what a spec file holds; the whole document is accepted as a spec file, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistributionDocument {
    /// What it is; may be left out where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DocumentKind>,
    /// Assigned at creation.
    #[serde(default)]
    pub id: String,
    /// Assigned at creation.
    #[serde(default)]
    pub domain_name: String,
    /// Changes with every mutation. In a file given to `update` it says which state the change was made against.
    #[serde(default)]
    pub etag: String,
    /// The store revision of the last mutation.
    #[serde(default)]
    pub revision: u64,
    /// RFC 3339.
    #[serde(default)]
    pub create_time: String,
    /// RFC 3339.
    #[serde(default)]
    pub update_time: String,
    /// Observed by the edges.
    #[serde(default)]
    pub status: DistributionStatus,
    /// What the operator asked for.
    pub config: DistributionSpec,
}

/// How far a distribution's current revision has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistributionStatus {
    /// Deployed when every live edge has applied it.
    pub state: DistributionState,
    /// Edges that are live now.
    pub live_edges: u32,
    /// Live edges that have applied the current revision.
    pub applied_edges: u32,
    /// Live edges that refused it.
    pub refusals: Vec<Refusal>,
    /// Problems that edges met with the origins.
    pub origin_problems: Vec<OriginProblem>,
}

/// Whether a distribution's current revision is served everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DistributionState {
    /// The control plane did not say.
    #[default]
    Unknown,
    /// Not yet, or no edge is live.
    InProgress,
    /// Every live edge has applied it.
    Deployed,
}

impl DistributionState {
    /// The word that stands in tables and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::InProgress => "InProgress",
            Self::Deployed => "Deployed",
        }
    }
}

/// One edge's reason for not applying a distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Which edge.
    pub edge_id: String,
    /// What it refused.
    pub revision: u64,
    /// Why.
    pub reason: String,
}

/// One edge's finding that an origin cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginProblem {
    /// Which edge.
    pub edge_id: String,
    /// Which origin.
    pub origin_id: String,
    /// What is wrong.
    pub reason: String,
}

/// An edge, as the control plane sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeDocument {
    /// A UUID it keeps over restarts.
    pub id: String,
    /// Where it stands.
    pub location: String,
    /// Where viewers reach it.
    pub viewer_url: String,
    /// Version of its program.
    pub agent_version: String,
    /// Whether it reports.
    pub liveness: Liveness,
    /// Everything up to this is served.
    pub applied_revision: u64,
    /// RFC 3339.
    pub connect_time: String,
    /// RFC 3339.
    pub report_time: String,
    /// Since its program started.
    pub uptime_seconds: u64,
    /// How many it serves.
    pub distributions: u32,
    /// How many it refused.
    pub refusals: u32,
    /// What its cache holds now.
    pub cache: CacheFigures,
    /// What it has done since it started.
    pub traffic: TrafficFigures,
}

/// Whether an edge reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// The control plane did not say.
    #[default]
    Unknown,
    /// Connected, and reporting on time.
    Live,
    /// A report is overdue.
    Late,
    /// Disconnected, or silent for long.
    Gone,
}

impl Liveness {
    /// The word that stands in tables and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Live => "live",
            Self::Late => "late",
            Self::Gone => "gone",
        }
    }
}

/// What an edge's cache holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CacheFigures {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes it may hold.
    pub capacity_bytes: u64,
}

/// What an edge has done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrafficFigures {
    /// Viewers' requests.
    pub requests: u64,
    /// Answered from the cache.
    pub hits: u64,
    /// Not in the cache.
    pub misses: u64,
    /// Requests to origins.
    pub origin_fetches: u64,
    /// Those of them that failed.
    pub origin_errors: u64,
    /// Bytes sent to viewers.
    pub viewer_bytes_sent: u64,
    /// Objects dropped for room.
    pub evictions: u64,
    /// Objects dropped for age.
    pub expirations: u64,
}
