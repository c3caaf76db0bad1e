//! What `headland explain` prints: what an edge would do with a request, and why.

use std::fmt;

use serde::{Serialize, Serializer};

/// An edge's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplanationDocument {
    /// Who answered.
    pub edge: ExplainingEdge,
    /// What it would do.
    pub verdict: ExplainedVerdict,
    /// Why, as a stable word in lower case with hyphens: `fresh`, `not-stored`, `unknown-host`.
    pub reason: String,
    /// Why, as a sentence fragment for people.
    pub detail: String,
    /// The status the viewer would see, before conditions and ranges; `null`: the origin decides.
    pub status: Option<u32>,
    /// The edge's clock, RFC 3339.
    pub time: String,
    /// What the edge has applied.
    pub applied_revision: u64,
    /// The request as the edge understood it.
    pub request: ExplainedRequest,
    /// Who would be asking.
    pub viewer: ExplainedViewer,
    /// `null`: no distribution answers to the host, or the request is refused before.
    pub distribution: Option<ExplainedDistribution>,
    /// `null`: the request is refused before.
    pub behavior: Option<ExplainedBehavior>,
    /// `null`: the request is refused or passes the cache by.
    pub key: Option<ExplainedKey>,
    /// What is stored under the key: the selected one first, then the nearest.
    pub variants: Vec<StoredVariant>,
    /// How many more there are.
    pub variants_omitted: u32,
    /// What Cache-Status would say, as far as it is known before the origin answers; `null`: there would be none.
    pub cache_status: Option<String>,
    /// Whether the origin is known to be down.
    pub origin_down: bool,
}

/// The edge that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainingEdge {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub location: String,
    /// Where viewers reach it.
    pub viewer_url: String,
}

/// What an edge would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainedVerdict {
    /// The edge could not tell, or this version has no word for it.
    Unknown,
    /// Answer from the cache with what is fresh.
    Hit,
    /// Answer from the cache with what is stale.
    Stale,
    /// Ask the origin whether what is stored may be used again.
    Revalidate,
    /// Fetch through the cache.
    Miss,
    /// Pass to the origin without looking into the cache.
    Bypass,
    /// Answer with an error of its own.
    Refused,
    /// Answer an OPTIONS by itself.
    Answered,
}

/// The request as the edge understood it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ExplainedRequest {
    /// The method.
    pub method: String,
    /// In lower case, without port.
    pub host: String,
    /// What is matched, keyed and asked for.
    pub path: String,
    /// As it was sent.
    pub query: Option<String>,
    /// What the cache policy selects of the query.
    pub forwarded_query: Option<String>,
}

/// The viewer as the edge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ExplainedViewer {
    /// `null`: it was not said.
    pub address: Option<String>,
    /// `http` or `https`.
    pub scheme: String,
    /// ISO 3166-1 alpha-2, by the edge's own database; `null`: not known.
    pub country: Option<String>,
}

/// The distribution that answers to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedDistribution {
    /// Its id.
    pub id: String,
    /// The revision the edge compiled it from.
    pub revision: u64,
    /// Whether it serves.
    pub enabled: bool,
}

/// The cache behavior that matches the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedBehavior {
    /// Its place in `cache_behaviors`, from 0; `null`: the default behavior.
    pub index: Option<u32>,
    /// Empty: the default behavior.
    pub path_pattern: String,
    /// Where it fetches.
    pub target_origin_id: String,
    /// `cloudfront` or `rfc9111`.
    pub semantics: String,
    /// Key groups with a key of which it must be signed; empty: it need not be.
    pub trusted_key_group_ids: Vec<String>,
}

/// What makes two requests ask for the same object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedKey {
    /// Equal keys have equal hashes, at every edge.
    pub hash: String,
    /// In the order of the key.
    pub parts: Vec<KeyPart>,
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyPart {
    /// `distribution`, `path`, `query`, `header`, `cookie` or `host`.
    pub kind: &'static str,
    /// Of a header.
    pub name: String,
    /// As it is keyed.
    pub value: String,
}

/// One stored response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredVariant {
    /// Whether it is the one the request would be answered or revalidated with.
    pub selected: bool,
    /// Of the selected one, what it is good for; otherwise empty.
    pub reuse: String,
    /// How many blocks of 1 MiB it is kept in; 0: in one piece.
    pub blocks: u64,
    /// Until when it is kept, RFC 3339.
    pub kept_until: String,
    /// Its status.
    pub status: u32,
    /// The request headers it was chosen by, compared with the request.
    pub vary: Vec<VaryField>,
    /// As the origin wrote it.
    pub etag: String,
    /// As the origin wrote it.
    pub last_modified: String,
    /// As the origin wrote it.
    pub cache_control: String,
    /// Length of its body.
    pub body_bytes: u64,
    /// No stale answer without asking the origin.
    pub must_revalidate: bool,
    /// No answer at all without asking the origin.
    pub no_cache: bool,
    /// Age and lifetime.
    pub freshness: FreshnessSum,
    /// For how much longer it may be used when stale.
    pub stale: StaleWindows,
}

/// A request header that a stored response was chosen by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaryField {
    /// Its name.
    pub name: String,
    /// What the stored response was chosen by; none: it was absent.
    pub stored_values: Vec<String>,
    /// What the request has.
    pub request_values: Vec<String>,
    /// Whether they count as the same.
    pub matches: bool,
}

/// Age and lifetime as RFC 9111 section 4.2 adds them up. `null` is not known, or does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FreshnessSum {
    /// Date of the response, RFC 3339.
    pub date: Option<String>,
    /// When it was received, RFC 3339.
    pub receive_time: Option<String>,
    /// Receipt minus Date.
    pub apparent_age_seconds: Option<Seconds>,
    /// The Age it came with.
    pub age_value_seconds: Option<Seconds>,
    /// How long the origin took to answer.
    pub response_delay_seconds: Option<Seconds>,
    /// The larger of apparent age, and Age and delay together.
    pub corrected_initial_age_seconds: Option<Seconds>,
    /// Since receipt.
    pub resident_time_seconds: Option<Seconds>,
    /// Initial age and resident time together.
    pub current_age_seconds: Option<Seconds>,
    /// How long it is fresh.
    pub lifetime_seconds: Option<Seconds>,
    /// Which rule made the lifetime what it is: `s-maxage`, `max-age`, `expires`, `heuristic`, `default-ttl`, `min-ttl`,
    /// `max-ttl`, `error-ttl`, `nothing` or `unknown`.
    pub lifetime_source: &'static str,
    /// What the origin said before the cache policy had its say.
    pub origin_lifetime_seconds: Option<Seconds>,
    /// Whether the lifetime counts from when the origin made the response, or from receipt.
    pub initial_age_counts: bool,
    /// What is left of the lifetime; negative: stale for so long.
    pub left_seconds: Option<Seconds>,
    /// Whether a purge ended it before its time.
    pub purged: bool,
}

/// For how much longer a stale response may be used. `null`: not at all, or not said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StaleWindows {
    /// While it is revalidated in the background.
    pub while_revalidate_left_seconds: Option<Seconds>,
    /// When the origin answers with an error.
    pub if_error_left_seconds: Option<Seconds>,
    /// When the origin cannot be reached.
    pub if_unreachable_left_seconds: Option<Seconds>,
    /// When the request asks for it with max-stale.
    pub on_request: bool,
    /// The origin failed a moment ago and is not asked again for so long.
    pub hold_left_seconds: Option<Seconds>,
}

/// A number of seconds, negative or not, to the millisecond. A whole number is written as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds {
    millis: i64,
}

impl Seconds {
    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.millis < 0
    }

    /// The same without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self { millis: self.millis.saturating_abs() }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis % 1000 == 0 {
            write!(f, "{} s", self.millis / 1000)
        } else {
            write!(f, "{} s", self.millis as f64 / 1000.0)
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.millis % 1000 == 0 {
            serializer.serialize_i64(self.millis / 1000)
        } else {
            serializer.serialize_f64(self.millis as f64 / 1000.0)
        }
    }
}
