//! Settings of the edge agent: flags over `HEADLAND_*` environment over a YAML file over defaults.

pub mod layer;
pub mod machine;
pub mod units;

mod check;

#[cfg(test)]
mod tests;

use std::{ffi::OsString, fs, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser as _;
use http::Uri;

pub use self::check::Problem;
use self::{
    layer::{File, Layer},
    machine::Machine,
    units::{format_bytes, format_duration},
};
use crate::viewer::reception::{Entrance, TrustedProxies};

/// Port of a control plane's sync address, if its URL does not name one.
pub const CONTROL_PLANE_PORT: u16 = 7071;
/// Size of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything that can be set. All values are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the edge id and the last-good state are kept.
    pub data_dir: PathBuf,
    /// Where this edge stands, as its operator names it.
    pub location: String,
    /// Where viewers are served; at least one.
    pub http: Vec<SocketAddr>,
    /// Those of them on which every connection begins with a PROXY protocol header.
    pub http_proxy_protocol: Vec<SocketAddr>,
    /// Those of them all of whose viewers came by https.
    pub http_behind_tls: Vec<SocketAddr>,
    /// Who is believed when it says for whom it asks.
    pub trusted_proxies: TrustedProxies,
    /// Where it is written where addresses are.
    pub geo: GeoSettings,
    /// URL at which viewers reach this edge. Unset: see [`Settings::viewer_url`].
    pub viewer_url: Option<String>,
    /// Where other edges ask this one for what it holds; unset: they do not.
    pub peer: Option<SocketAddr>,
    /// URL at which they reach it. Unset: made as [`Settings::viewer_url`] is.
    pub peer_url: Option<String>,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub admin: SocketAddr,
    /// `http://host[:port]` of each control plane; at least one.
    pub control_planes: Vec<Uri>,
    /// The cache.
    pub cache: CacheSettings,
    /// Directory of the certificates that this edge shows to origins; `None` if it has none.
    pub origin_client_certificates: Option<PathBuf>,
    /// Threads that serve viewers; at least one.
    pub workers: usize,
    /// Longest time that running requests get at a stop.
    pub drain_timeout: Duration,
    /// Limits on viewers.
    pub limits: Limits,
    /// The log.
    pub log: Log,
}

/// Databases of addresses, in MaxMind's format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeoSettings {
    /// Where addresses are.
    pub database: Option<PathBuf>,
    /// Which networks they belong to.
    pub asn_database: Option<PathBuf>,
}

/// Settings of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// Memory for cached objects, in bytes.
    pub memory_bytes: u64,
    /// Size of the largest object that is cached, in bytes.
    pub object_bytes_max: u64,
    /// How much of a large object must have arrived, of 100, for its fill to go on when no viewer waits for it any more.
    pub background_fill_percent: u8,
    /// What outlives a restart; `None` if nothing does.
    pub disk: Option<DiskSettings>,
}

/// Settings of the disk cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSettings {
    /// Its directory, which no other process uses.
    pub path: PathBuf,
    /// Space for it, in bytes.
    pub bytes: u64,
}

/// Limits on viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a viewer to send a request's head.
    pub header_timeout: Duration,
    /// Longest silence on a connection.
    pub idle_timeout: Duration,
    /// Connections at once, all workers together.
    pub connections_max: usize,
}

/// Settings of the log, which goes to stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A filter in `tracing`'s notation.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Serves the objects of distributions to viewers, from a local cache.
#[derive(Debug, clap::Parser)]
#[command(name = "headland-edge-agent", version)]
struct Arguments {
    /// YAML file with settings
    #[arg(long, value_name = "FILE", env = "HEADLAND_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings in force, as such a file, and exit
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    layer: Layer,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To run.
    Run(Box<Settings>),
    /// To print this on stdout and exit.
    Print(String),
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Wrong flags, or a request for help or the version: prints itself.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// Everything that is wrong with the settings.
    #[error("use the configuration:{}", .0.iter().map(|p| format!("\n  {p}")).collect::<String>())]
    Problems(Vec<Problem>),
}

/// Reads the command line, the environment and the file they name.
///
/// # Errors
/// When anything is wrong; all of it at once.
pub fn from_command_line(args: impl IntoIterator<Item = OsString>) -> Result<Asked, ConfigError> {
    let arguments = Arguments::try_parse_from(args)?;
    let mut problems = Vec::new();
    let file = match &arguments.config {
        Some(path) => read(path).unwrap_or_else(|description| {
            problems.push(Problem { setting: path.display().to_string(), description });
            Layer::default()
        }),
        None => Layer::default(),
    };
    match Settings::check(arguments.layer.over(file), &Machine::detect()) {
        Ok(settings) if problems.is_empty() && arguments.print_config => Ok(Asked::Print(settings.to_yaml())),
        Ok(settings) if problems.is_empty() => Ok(Asked::Run(Box::new(settings))),
        Ok(_) => Err(ConfigError::Problems(problems)),
        Err(more) => {
            problems.extend(more);
            Err(ConfigError::Problems(problems))
        }
    }
}

fn read(path: &PathBuf) -> Result<Layer, String> {
    let size = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("has {size} bytes; at most {FILE_BYTES_MAX} are allowed"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    from_yaml(&text)
}

/// The settings a file names; the error says where in the text it is wrong.
fn from_yaml(text: &str) -> Result<Layer, String> {
    // A file that holds only comments says nothing.
    let file: Option<File> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    Ok(file.unwrap_or_default().into())
}

impl Settings {
    /// Checks what was set, filling in what was not.
    ///
    /// # Errors
    /// Every problem of every setting.
    pub fn check(layer: Layer, machine: &Machine) -> Result<Self, Vec<Problem>> {
        check::check(layer, machine)
    }

    /// The settings as a file that sets them.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let layer = Layer {
            data_dir: Some(self.data_dir.display().to_string()),
            location: Some(self.location.clone()),
            http: texts(&self.http),
            http_proxy_protocol: texts(&self.http_proxy_protocol),
            http_behind_tls: texts(&self.http_behind_tls),
            trusted_proxies: texts(self.trusted_proxies.networks()),
            geo_database: self.geo.database.as_ref().map(|path| path.display().to_string()),
            geo_asn_database: self.geo.asn_database.as_ref().map(|path| path.display().to_string()),
            viewer_url: self.viewer_url.clone(),
            peer: self.peer.as_ref().map(SocketAddr::to_string),
            peer_url: self.peer_url.clone(),
            admin: Some(self.admin.to_string()),
            control_planes: Some(self.control_planes.iter().map(Uri::to_string).collect()),
            cache_memory_bytes: Some(format_bytes(self.cache.memory_bytes)),
            cache_object_bytes_max: Some(format_bytes(self.cache.object_bytes_max)),
            cache_background_fill_percent: Some(self.cache.background_fill_percent.to_string()),
            cache_disk_path: self.cache.disk.as_ref().map(|disk| disk.path.display().to_string()),
            cache_disk_bytes: self.cache.disk.as_ref().map(|disk| format_bytes(disk.bytes)),
            origin_client_certificates: self
                .origin_client_certificates
                .as_ref()
                .map(|path| path.display().to_string()),
            workers: Some(self.workers.to_string()),
            drain_timeout: Some(format_duration(self.drain_timeout)),
            limits_header_timeout: Some(format_duration(self.limits.header_timeout)),
            limits_idle_timeout: Some(format_duration(self.limits.idle_timeout)),
            limits_connections_max: Some(self.limits.connections_max.to_string()),
            log_level: Some(self.log.level.clone()),
            log_format: Some(
                match self.log.format {
                    LogFormat::Text => "text",
                    LogFormat::Json => "json",
                }
                .to_owned(),
            ),
        };
        // Plain strings and numbers always have a YAML form.
        serde_saphyr::to_string(&File::from(layer)).unwrap_or_default()
    }

    /// What is special about the viewers of an address of [`Settings::http`].
    #[must_use]
    pub fn entrance(&self, address: &SocketAddr) -> Entrance {
        Entrance {
            proxy_protocol: self.http_proxy_protocol.contains(address),
            behind_tls: self.http_behind_tls.contains(address),
        }
    }

    /// The URL this edge gives for itself: the one that was set, or one made from the address it listens on. An edge that
    /// listens everywhere is known by its host name.
    #[must_use]
    pub fn viewer_url(&self, bound: SocketAddr, host_name: &str) -> String {
        self.viewer_url.clone().unwrap_or_else(|| url_of(bound, host_name))
    }

    /// The same for other edges; empty if they cannot ask this one.
    #[must_use]
    pub fn peer_url(&self, bound: Option<SocketAddr>, host_name: &str) -> String {
        let Some(bound) = bound else { return String::new() };
        self.peer_url.clone().unwrap_or_else(|| url_of(bound, host_name))
    }
}

fn url_of(bound: SocketAddr, host_name: &str) -> String {
    match bound.ip().is_unspecified() {
        true if !host_name.is_empty() => format!("http://{host_name}:{}", bound.port()),
        true => format!("http://127.0.0.1:{}", bound.port()),
        false => format!("http://{bound}"),
    }
}

/// A list as a layer has it; nothing if there is nothing in it.
fn texts<T: ToString>(list: &[T]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.iter().map(T::to_string).collect())
}
