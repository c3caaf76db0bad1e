//! From text to settings: every problem of every setting is found in one pass.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use headland_proto::limits::{LOCATION_CHARS_MAX, VIEWER_URL_CHARS_MAX};
use http::Uri;
use tracing_subscriber::EnvFilter;

use super::{
    CacheSettings, DiskSettings, GeoSettings, Limits, Log, LogFormat, Settings,
    layer::Layer,
    machine::Machine,
    units::{parse_bytes, parse_duration},
};
use crate::{
    cache::disk,
    viewer::reception::{NetworkError, TrustedProxies},
};

const DATA_DIR_DEFAULT: &str = "/var/lib/headland/edge-agent";
const LOCATION_DEFAULT: &str = "default";
const HTTP_DEFAULT: &str = "0.0.0.0:8080";
const ADMIN_DEFAULT: &str = "127.0.0.1:8079";
const CONTROL_PLANE_DEFAULT: &str = "http://127.0.0.1:7071";
const DRAIN_TIMEOUT_DEFAULT: &str = "30s";
const HEADER_TIMEOUT_DEFAULT: &str = "10s";
const IDLE_TIMEOUT_DEFAULT: &str = "60s";
const CONNECTIONS_DEFAULT: &str = "65536";
const LOG_LEVEL_DEFAULT: &str = "info";
const LOG_FORMAT_DEFAULT: &str = "text";
/// Largest cached object by default: CloudFront's.
const OBJECT_BYTES_DEFAULT: u64 = 50 << 30;
const BACKGROUND_FILL_PERCENT_DEFAULT: u8 = 50;

/// Least memory of a cache: below that it is a mistake in the unit.
const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// More workers than any machine has cores.
const WORKERS_MAX: usize = 1024;
/// Listen addresses.
const HTTP_MAX: usize = 16;
/// Networks that are trusted: each request from one of them is compared with all.
const TRUSTED_PROXIES_MAX: usize = 64;
/// Configured control planes.
const CONTROL_PLANES_MAX: usize = 16;
/// Range of the viewer time-outs.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// Longest drain.
const DRAIN_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// More connections than one process can hold.
const CONNECTIONS_MAX: usize = 4 << 20;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting as the file names it, or the file itself.
    pub setting: String,
    /// What is wrong and what would be right, as a fragment in lower case.
    pub description: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.description)
    }
}

/// Checks a layer, filling in what it does not say.
pub(super) fn check(layer: Layer, machine: &Machine) -> Result<Settings, Vec<Problem>> {
    let mut c = Checker::default();
    let memory_bytes = match &layer.cache_memory_bytes {
        Some(text) => c.at_least("cache.memory.bytes", text, MEMORY_BYTES_MIN),
        None => (machine.memory_bytes / 4).max(MEMORY_BYTES_MIN),
    };
    let object_bytes_max = match &layer.cache_object_bytes_max {
        Some(text) => c.at_least("cache.object_bytes_max", text, 1),
        None => OBJECT_BYTES_DEFAULT,
    };
    let background_fill_percent = match &layer.cache_background_fill_percent {
        Some(text) => c.percent("cache.background_fill_percent", text),
        None => BACKGROUND_FILL_PERCENT_DEFAULT,
    };
    let disk = c.disk(layer.cache_disk_path, layer.cache_disk_bytes);
    let http = c.list("http", layer.http, HTTP_DEFAULT, HTTP_MAX, Checker::address);
    let http_proxy_protocol = c.some_of("http_proxy_protocol", layer.http_proxy_protocol, &http);
    let http_behind_tls = c.some_of("http_behind_tls", layer.http_behind_tls, &http);
    let trusted_proxies = c.trusted_proxies(layer.trusted_proxies);
    if !http_proxy_protocol.is_empty() && trusted_proxies.networks().is_empty() {
        c.problem(
            "trusted_proxies",
            "is missing; name the networks whose PROXY protocol headers are believed",
        );
    }
    let settings = Settings {
        data_dir: c.data_dir(layer.data_dir),
        location: c.location(layer.location),
        http,
        http_proxy_protocol,
        http_behind_tls,
        trusted_proxies,
        geo: GeoSettings {
            database: c.file("geo.database", layer.geo_database),
            asn_database: c.file("geo.asn_database", layer.geo_asn_database),
        },
        viewer_url: layer.viewer_url.map(|text| c.viewer_url(&text)),
        peer: layer.peer.map(|text| c.address("peer", &text)),
        peer_url: layer.peer_url.map(|text| c.peer_url(&text)),
        admin: c.address("admin", layer.admin.as_deref().unwrap_or(ADMIN_DEFAULT)),
        control_planes: c.list(
            "control_planes",
            layer.control_planes,
            CONTROL_PLANE_DEFAULT,
            CONTROL_PLANES_MAX,
            Checker::control_plane,
        ),
        cache: CacheSettings { memory_bytes, object_bytes_max, background_fill_percent, disk },
        origin_client_certificates: layer.origin_client_certificates.map(|text| c.client_certificates(text)),
        workers: match layer.workers {
            Some(text) => c.count("workers", &text, WORKERS_MAX),
            None => machine.parallelism.clamp(1, WORKERS_MAX),
        },
        drain_timeout: c.duration(
            "drain_timeout",
            layer.drain_timeout.as_deref().unwrap_or(DRAIN_TIMEOUT_DEFAULT),
            (Duration::ZERO, DRAIN_TIMEOUT_MAX),
        ),
        limits: Limits {
            header_timeout: c.duration(
                "limits.header_timeout",
                layer.limits_header_timeout.as_deref().unwrap_or(HEADER_TIMEOUT_DEFAULT),
                TIMEOUT,
            ),
            idle_timeout: c.duration(
                "limits.idle_timeout",
                layer.limits_idle_timeout.as_deref().unwrap_or(IDLE_TIMEOUT_DEFAULT),
                TIMEOUT,
            ),
            connections_max: c.count(
                "limits.connections_max",
                layer.limits_connections_max.as_deref().unwrap_or(CONNECTIONS_DEFAULT),
                CONNECTIONS_MAX,
            ),
        },
        log: Log {
            level: c.log_level(layer.log_level),
            format: c.log_format(layer.log_format.as_deref().unwrap_or(LOG_FORMAT_DEFAULT)),
        },
    };
    if c.problems.is_empty() { Ok(settings) } else { Err(c.problems) }
}

/// Collects problems. After one, a check returns anything of the right type, so that the next setting is checked too.
#[derive(Default)]
struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    fn problem(&mut self, setting: &str, description: impl Into<String>) {
        self.problems.push(Problem { setting: setting.to_owned(), description: description.into() });
    }

    fn list<T>(
        &mut self,
        setting: &str,
        texts: Option<Vec<String>>,
        default: &str,
        max: usize,
        parse: impl Fn(&mut Self, &str, &str) -> T,
    ) -> Vec<T> {
        let texts = texts.unwrap_or_else(|| vec![default.to_owned()]);
        if texts.is_empty() || texts.len() > max {
            self.problem(setting, format!("has {} entries; between 1 and {max} are allowed", texts.len()));
        }
        texts.iter().enumerate().map(|(i, text)| parse(self, &format!("{setting}[{i}]"), text)).collect()
    }

    /// Some of the addresses that are listened on.
    fn some_of(&mut self, setting: &str, texts: Option<Vec<String>>, http: &[SocketAddr]) -> Vec<SocketAddr> {
        let texts = texts.unwrap_or_default();
        if texts.len() > HTTP_MAX {
            self.problem(setting, format!("has {} entries; at most {HTTP_MAX} are allowed", texts.len()));
        }
        let mut addresses = Vec::new();
        for (i, text) in texts.iter().enumerate().take(HTTP_MAX) {
            let setting = format!("{setting}[{i}]");
            let address = self.address(&setting, text);
            if text.parse() == Ok(address) && !http.contains(&address) {
                self.problem(
                    &setting,
                    format!("{address} is not listened on; name one of the addresses in http"),
                );
            }
            addresses.push(address);
        }
        addresses
    }

    fn trusted_proxies(&mut self, texts: Option<Vec<String>>) -> TrustedProxies {
        let texts = texts.unwrap_or_default();
        if texts.len() > TRUSTED_PROXIES_MAX {
            let description =
                format!("has {} entries; at most {TRUSTED_PROXIES_MAX} are allowed", texts.len());
            self.problem("trusted_proxies", description);
        }
        let mut networks = Vec::new();
        for (i, text) in texts.iter().enumerate().take(TRUSTED_PROXIES_MAX) {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    let error: NetworkError = error;
                    self.problem(&format!("trusted_proxies[{i}]"), format!("{text:?} {error}"));
                }
            }
        }
        TrustedProxies::new(networks)
    }

    fn file(&mut self, setting: &str, text: Option<String>) -> Option<PathBuf> {
        let text = text?;
        if text.is_empty() {
            self.problem(setting, "is empty; name a file");
        }
        Some(text.into())
    }

    fn data_dir(&mut self, text: Option<String>) -> PathBuf {
        let text = text.unwrap_or_else(|| DATA_DIR_DEFAULT.to_owned());
        if text.is_empty() {
            self.problem("data_dir", "is empty; name a directory");
        }
        text.into()
    }

    fn client_certificates(&mut self, text: String) -> PathBuf {
        if text.is_empty() {
            self.problem("origin.client_certificates", "is empty; name a directory");
        }
        text.into()
    }

    /// Both of its settings, or none.
    fn disk(&mut self, path: Option<String>, bytes: Option<String>) -> Option<DiskSettings> {
        let bytes = bytes.map(|text| self.at_least("cache.disk.bytes", &text, disk::BYTES_MIN));
        match (path, bytes) {
            (Some(path), Some(bytes)) if !path.is_empty() => {
                return Some(DiskSettings { path: path.into(), bytes });
            }
            (None, None) => {}
            (Some(path), _) if path.is_empty() => {
                self.problem("cache.disk.path", "is empty; name a directory");
            }
            (Some(_), _) => {
                self.problem("cache.disk.bytes", "is missing; say how large the disk cache may be")
            }
            (None, Some(_)) => {
                self.problem("cache.disk.path", "is missing; name a directory for the disk cache")
            }
        }
        None
    }

    fn location(&mut self, text: Option<String>) -> String {
        let text = text.unwrap_or_else(|| LOCATION_DEFAULT.to_owned());
        let chars = text.chars().count();
        if chars == 0 || chars > LOCATION_CHARS_MAX || text.chars().any(char::is_control) {
            self.problem("location", format!("must have 1 to {LOCATION_CHARS_MAX} printable characters"));
        }
        text
    }

    fn address(&mut self, setting: &str, text: &str) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            self.problem(setting, format!("{text:?} is not an address; write IP:port, such as 0.0.0.0:8080"));
            SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    /// `http://host[:port]`, nothing else.
    fn control_plane(&mut self, setting: &str, text: &str) -> Uri {
        let uri = Uri::from_str(text).unwrap_or_default();
        if uri.scheme_str() == Some("https") {
            self.problem(setting, "https is not supported by this version; use http on a trusted network");
        } else if !is_base_url(&uri) || uri.path() != "/" {
            self.problem(setting, format!("{text:?} is not a control plane; write http://host:port"));
        }
        uri
    }

    fn viewer_url(&mut self, text: &str) -> String {
        let uri = Uri::from_str(text).unwrap_or_default();
        if !is_base_url(&uri) || text.len() > VIEWER_URL_CHARS_MAX {
            self.problem("viewer_url", format!("{text:?} is not a URL; write http://host:port"));
        }
        text.to_owned()
    }

    fn peer_url(&mut self, text: &str) -> String {
        let uri = Uri::from_str(text).unwrap_or_default();
        let is_plain = uri.scheme_str() == Some("http") && uri.port_u16().is_some();
        if !is_base_url(&uri) || !is_plain || text.len() > VIEWER_URL_CHARS_MAX {
            self.problem("peer_url", format!("{text:?} is not such a URL; write http://host:port"));
        }
        text.to_owned()
    }

    fn at_least(&mut self, setting: &str, text: &str, min: u64) -> u64 {
        match parse_bytes(text) {
            Ok(bytes) if bytes >= min => return bytes,
            Ok(_) => self.problem(setting, format!("must be at least {min} bytes")),
            Err(error) => self.problem(setting, format!("{text:?} {error}")),
        }
        min
    }

    fn count(&mut self, setting: &str, text: &str, max: usize) -> usize {
        match text.trim().parse() {
            Ok(n) if (1..=max).contains(&n) => n,
            _ => {
                self.problem(setting, format!("{text:?} must be a whole number between 1 and {max}"));
                1
            }
        }
    }

    fn percent(&mut self, setting: &str, text: &str) -> u8 {
        match text.trim().parse() {
            Ok(percent) if percent <= 100 => percent,
            _ => {
                self.problem(setting, format!("{text:?} must be a whole number between 0 and 100"));
                0
            }
        }
    }

    fn duration(&mut self, setting: &str, text: &str, (min, max): (Duration, Duration)) -> Duration {
        match parse_duration(text) {
            Ok(duration) if (min..=max).contains(&duration) => return duration,
            Ok(_) => self.problem(setting, format!("must be between {min:?} and {max:?}")),
            Err(error) => self.problem(setting, format!("{text:?} {error}")),
        }
        min
    }

    fn log_level(&mut self, text: Option<String>) -> String {
        let text = text.unwrap_or_else(|| LOG_LEVEL_DEFAULT.to_owned());
        if let Err(error) = EnvFilter::try_new(&text) {
            self.problem("log.level", format!("{text:?} is not a log filter: {error}"));
        }
        text
    }

    fn log_format(&mut self, text: &str) -> LogFormat {
        match text {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => {
                self.problem("log.format", format!("{text:?} must be text or json"));
                LogFormat::Text
            }
        }
    }
}

fn is_base_url(uri: &Uri) -> bool {
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    plain && scheme && uri.query().is_none() && uri.host().is_some_and(|host| !host.is_empty())
}
