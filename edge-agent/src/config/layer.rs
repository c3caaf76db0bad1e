//! What one source (flags and environment, or a file) says, unchecked: text for every setting that it names.

use serde::{Deserialize, Serialize};

/// Settings as flags and environment variables name them.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Layer {
    /// Where the edge id and the last-good state are kept
    #[arg(long, value_name = "DIR", env = "HEADLAND_DATA_DIR")]
    pub data_dir: Option<String>,
    /// Where this edge stands, for people: fra1, rack-7
    #[arg(long, value_name = "NAME", env = "HEADLAND_LOCATION")]
    pub location: Option<String>,
    /// Address to serve viewers on; may be repeated
    #[arg(long, value_name = "ADDRESS", env = "HEADLAND_HTTP", value_delimiter = ',')]
    pub http: Option<Vec<String>>,
    /// One of the --http addresses, on which every connection begins with a PROXY protocol header (v1 or v2) of a trusted proxy; may be
    /// repeated
    #[arg(long, value_name = "ADDRESS", env = "HEADLAND_HTTP_PROXY_PROTOCOL", value_delimiter = ',')]
    pub http_proxy_protocol: Option<Vec<String>>,
    /// One of the --http addresses, all of whose viewers came by https to what ends TLS in front of it; may be repeated
    #[arg(long, value_name = "ADDRESS", env = "HEADLAND_HTTP_BEHIND_TLS", value_delimiter = ',')]
    pub http_behind_tls: Option<Vec<String>>,
    /// Network whose X-Forwarded-For, X-Forwarded-Proto and PROXY protocol headers are believed: 10.0.0.0/8; may be repeated
    #[arg(
        long = "trusted-proxy",
        value_name = "NETWORK",
        env = "HEADLAND_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    pub trusted_proxies: Option<Vec<String>>,
    /// MaxMind database (.mmdb) of where addresses are, read again when it changes; default: no viewer's place is known
    #[arg(long, value_name = "FILE", env = "HEADLAND_GEO_DATABASE")]
    pub geo_database: Option<String>,
    /// MaxMind database (.mmdb) of the networks (ASN) that addresses belong to, read again when it changes
    #[arg(long, value_name = "FILE", env = "HEADLAND_GEO_ASN_DATABASE")]
    pub geo_asn_database: Option<String>,
    /// URL at which viewers reach this edge; default: made from the first --http address
    #[arg(long, value_name = "URL", env = "HEADLAND_VIEWER_URL")]
    pub viewer_url: Option<String>,
    /// Address on which other edges ask this one, if its location is the shield of an origin; default: none. Not for viewers: keep it private
    #[arg(long, value_name = "ADDRESS", env = "HEADLAND_PEER")]
    pub peer: Option<String>,
    /// URL at which other edges reach it; default: made from the --peer address
    #[arg(long, value_name = "URL", env = "HEADLAND_PEER_URL")]
    pub peer_url: Option<String>,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS", env = "HEADLAND_ADMIN")]
    pub admin: Option<String>,
    /// URL of a control plane; may be repeated. Every address behind a name counts as one more
    #[arg(
        long = "control-plane",
        value_name = "URL",
        env = "HEADLAND_CONTROL_PLANES",
        value_delimiter = ','
    )]
    pub control_planes: Option<Vec<String>>,
    /// Memory for cached objects; default: a quarter of what the machine or cgroup has
    #[arg(long, value_name = "SIZE", env = "HEADLAND_CACHE_MEMORY_BYTES")]
    pub cache_memory_bytes: Option<String>,
    /// Largest object that is cached, in memory, on disk or in blocks of both; larger ones pass through
    #[arg(long, value_name = "SIZE", env = "HEADLAND_CACHE_OBJECT_BYTES_MAX")]
    pub cache_object_bytes_max: Option<String>,
    /// A fill of a large object that no viewer waits for any more goes on if this much of it has arrived; 0: always, 100: never
    #[arg(long, value_name = "PERCENT", env = "HEADLAND_CACHE_BACKGROUND_FILL_PERCENT")]
    pub cache_background_fill_percent: Option<String>,
    /// Directory of the disk cache, which outlives restarts; default: no disk cache
    #[arg(long, value_name = "DIR", env = "HEADLAND_CACHE_DISK_PATH")]
    pub cache_disk_path: Option<String>,
    /// Space for the disk cache; to be given with its directory
    #[arg(long, value_name = "SIZE", env = "HEADLAND_CACHE_DISK_BYTES")]
    pub cache_disk_bytes: Option<String>,
    /// Directory of the certificates that this edge shows to origins: NAME.crt and NAME.key, in PEM; default: it shows none
    #[arg(long, value_name = "DIR", env = "HEADLAND_ORIGIN_CLIENT_CERTIFICATES")]
    pub origin_client_certificates: Option<String>,
    /// Threads that serve viewers; default: as many as can run at once
    #[arg(long, value_name = "COUNT", env = "HEADLAND_WORKERS")]
    pub workers: Option<String>,
    /// Longest time that running requests get at a stop
    #[arg(long, value_name = "DURATION", env = "HEADLAND_DRAIN_TIMEOUT")]
    pub drain_timeout: Option<String>,
    /// Longest time for a viewer to send a request's head
    #[arg(long, value_name = "DURATION", env = "HEADLAND_LIMITS_HEADER_TIMEOUT")]
    pub limits_header_timeout: Option<String>,
    /// Longest silence on a viewer's connection
    #[arg(long, value_name = "DURATION", env = "HEADLAND_LIMITS_IDLE_TIMEOUT")]
    pub limits_idle_timeout: Option<String>,
    /// Most viewer connections at once
    #[arg(long, value_name = "COUNT", env = "HEADLAND_LIMITS_CONNECTIONS_MAX")]
    pub limits_connections_max: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,headland_edge_agent::sync=debug
    #[arg(long, value_name = "LEVEL", env = "HEADLAND_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// How it is logged: text or json
    #[arg(long, value_name = "FORMAT", env = "HEADLAND_LOG_FORMAT")]
    pub log_format: Option<String>,
}

impl Layer {
    /// What this layer says, and where it says nothing what `below` says.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(below.data_dir),
            location: self.location.or(below.location),
            http: self.http.or(below.http),
            http_proxy_protocol: self.http_proxy_protocol.or(below.http_proxy_protocol),
            http_behind_tls: self.http_behind_tls.or(below.http_behind_tls),
            trusted_proxies: self.trusted_proxies.or(below.trusted_proxies),
            geo_database: self.geo_database.or(below.geo_database),
            geo_asn_database: self.geo_asn_database.or(below.geo_asn_database),
            viewer_url: self.viewer_url.or(below.viewer_url),
            peer: self.peer.or(below.peer),
            peer_url: self.peer_url.or(below.peer_url),
            admin: self.admin.or(below.admin),
            control_planes: self.control_planes.or(below.control_planes),
            cache_memory_bytes: self.cache_memory_bytes.or(below.cache_memory_bytes),
            cache_object_bytes_max: self.cache_object_bytes_max.or(below.cache_object_bytes_max),
            cache_background_fill_percent: self
                .cache_background_fill_percent
                .or(below.cache_background_fill_percent),
            cache_disk_path: self.cache_disk_path.or(below.cache_disk_path),
            cache_disk_bytes: self.cache_disk_bytes.or(below.cache_disk_bytes),
            origin_client_certificates: self.origin_client_certificates.or(below.origin_client_certificates),
            workers: self.workers.or(below.workers),
            drain_timeout: self.drain_timeout.or(below.drain_timeout),
            limits_header_timeout: self.limits_header_timeout.or(below.limits_header_timeout),
            limits_idle_timeout: self.limits_idle_timeout.or(below.limits_idle_timeout),
            limits_connections_max: self.limits_connections_max.or(below.limits_connections_max),
            log_level: self.log_level.or(below.log_level),
            log_format: self.log_format.or(below.log_format),
        }
    }
}

/// A scalar of the file. What it means is checked with everything else, so that all problems are told at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Int(u64),
    Text(String),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Int(n) => n.to_string(),
            Scalar::Text(text) => text,
        }
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        text.parse().map_or(Self::Text(text), Self::Int)
    }
}

/// The same settings as the file nests them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    data_dir: Option<String>,
    location: Option<Scalar>,
    http: Option<Vec<String>>,
    http_proxy_protocol: Option<Vec<String>>,
    http_behind_tls: Option<Vec<String>>,
    trusted_proxies: Option<Vec<String>>,
    viewer_url: Option<String>,
    peer: Option<String>,
    peer_url: Option<String>,
    admin: Option<String>,
    control_planes: Option<Vec<String>>,
    geo: Geo,
    cache: Cache,
    origin: Origin,
    workers: Option<Scalar>,
    drain_timeout: Option<Scalar>,
    limits: Limits,
    log: Log,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Geo {
    database: Option<String>,
    asn_database: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Cache {
    memory: Memory,
    disk: Disk,
    object_bytes_max: Option<Scalar>,
    background_fill_percent: Option<Scalar>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Memory {
    bytes: Option<Scalar>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Disk {
    path: Option<String>,
    bytes: Option<Scalar>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Origin {
    client_certificates: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    header_timeout: Option<Scalar>,
    idle_timeout: Option<Scalar>,
    connections_max: Option<Scalar>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    level: Option<String>,
    format: Option<String>,
}

impl From<File> for Layer {
    fn from(file: File) -> Self {
        let text = |scalar: Option<Scalar>| scalar.map(String::from);
        Self {
            data_dir: file.data_dir,
            location: text(file.location),
            http: file.http,
            http_proxy_protocol: file.http_proxy_protocol,
            http_behind_tls: file.http_behind_tls,
            trusted_proxies: file.trusted_proxies,
            geo_database: file.geo.database,
            geo_asn_database: file.geo.asn_database,
            viewer_url: file.viewer_url,
            peer: file.peer,
            peer_url: file.peer_url,
            admin: file.admin,
            control_planes: file.control_planes,
            cache_memory_bytes: text(file.cache.memory.bytes),
            cache_object_bytes_max: text(file.cache.object_bytes_max),
            cache_background_fill_percent: text(file.cache.background_fill_percent),
            cache_disk_path: file.cache.disk.path,
            cache_disk_bytes: text(file.cache.disk.bytes),
            origin_client_certificates: file.origin.client_certificates,
            workers: text(file.workers),
            drain_timeout: text(file.drain_timeout),
            limits_header_timeout: text(file.limits.header_timeout),
            limits_idle_timeout: text(file.limits.idle_timeout),
            limits_connections_max: text(file.limits.connections_max),
            log_level: file.log.level,
            log_format: file.log.format,
        }
    }
}

impl From<Layer> for File {
    fn from(layer: Layer) -> Self {
        let scalar = |text: Option<String>| text.map(Scalar::from);
        Self {
            data_dir: layer.data_dir,
            location: layer.location.map(Scalar::Text),
            http: layer.http,
            http_proxy_protocol: layer.http_proxy_protocol,
            http_behind_tls: layer.http_behind_tls,
            trusted_proxies: layer.trusted_proxies,
            geo: Geo { database: layer.geo_database, asn_database: layer.geo_asn_database },
            viewer_url: layer.viewer_url,
            peer: layer.peer,
            peer_url: layer.peer_url,
            admin: layer.admin,
            control_planes: layer.control_planes,
            cache: Cache {
                memory: Memory { bytes: scalar(layer.cache_memory_bytes) },
                disk: Disk { path: layer.cache_disk_path, bytes: scalar(layer.cache_disk_bytes) },
                object_bytes_max: scalar(layer.cache_object_bytes_max),
                background_fill_percent: scalar(layer.cache_background_fill_percent),
            },
            origin: Origin { client_certificates: layer.origin_client_certificates },
            workers: scalar(layer.workers),
            drain_timeout: scalar(layer.drain_timeout),
            limits: Limits {
                header_timeout: scalar(layer.limits_header_timeout),
                idle_timeout: scalar(layer.limits_idle_timeout),
                connections_max: scalar(layer.limits_connections_max),
            },
            log: Log { level: layer.log_level, format: layer.log_format },
        }
    }
}
