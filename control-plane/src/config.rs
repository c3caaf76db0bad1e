//! The program's configuration: flags over environment over file over defaults, checked as a whole.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use headland_proto::model::HostName;

pub use self::flags::Flags;
use self::layer::{EmbeddedLayer, EtcdLayer, Layer, LogLayer, StoreLayer, TlsLayer};
use crate::{
    settings::{CDN_DOMAIN_DEFAULT, REPORT_INTERVAL, REPORT_INTERVAL_DEFAULT, Settings},
    store::etcd::{EtcdOptions, EtcdTls},
};

mod flags;
mod layer;

/// Where the embedded store is unless told otherwise.
const STORE_PATH_DEFAULT: &str = "/var/lib/headland/control-plane.redb";
const API_LISTEN_DEFAULT: &str = "127.0.0.1:7070";
const SYNC_LISTEN_DEFAULT: &str = "127.0.0.1:7071";
const ADMIN_LISTEN_DEFAULT: &str = "127.0.0.1:7072";
const LOG_LEVEL_DEFAULT: &str = "info";
/// Bytes of a configuration file, and of a password file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything the program must be told, checked.
#[derive(Debug)]
pub struct Config {
    /// What the control plane itself must be told.
    pub settings: Settings,
    /// Where operators connect.
    pub api: SocketAddr,
    /// Where edges connect.
    pub sync: SocketAddr,
    /// Where the admin pages are.
    pub admin: SocketAddr,
    /// Where everything is kept.
    pub store: StoreConfig,
    /// What is logged, as `tracing_subscriber` filter directives.
    pub log_level: String,
    /// How the log is written.
    pub log_format: LogFormat,
    /// All of the above as it was written, defaults filled in.
    effective: Layer,
}

/// Where everything is kept.
#[derive(Debug)]
pub enum StoreConfig {
    /// In this file.
    Embedded(PathBuf),
    /// In etcd.
    Etcd(EtcdOptions),
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("use the configuration:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Reads the file, if one is named, and checks everything.
    ///
    /// # Errors
    /// All problems at once; if the file cannot be read, only that.
    pub fn load(flags: Flags) -> Result<Self, Problems> {
        let file = match &flags.config {
            Some(path) => read_layer(path).map_err(|problem| Problems(vec![problem]))?,
            None => Layer::default(),
        };
        Self::check(flags.layer().over(file))
    }

    /// The settings in effect, in the form of the file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        // Plain strings and numbers always serialise.
        serde_saphyr::to_string(&self.effective).unwrap_or_default()
    }

    fn check(written: Layer) -> Result<Self, Problems> {
        let effective = with_defaults(written);
        let mut problems = Vec::new();
        let cdn_domain = effective.cdn_domain.as_deref().unwrap_or_default();
        let cdn_domain = check_domain(cdn_domain, &mut problems);
        let api = check_address("api", effective.api.as_deref(), &mut problems);
        let sync = check_address("sync", effective.sync.as_deref(), &mut problems);
        let admin = check_address("admin", effective.admin.as_deref(), &mut problems);
        let report_interval = check_interval(effective.report_interval_seconds, &mut problems);
        let store = check_store(&effective.store, &mut problems);
        let log_level = effective.log.level.clone().unwrap_or_default();
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&log_level) {
            problems.push(format!("log.level: {log_level:?} is not understood: {error}"));
        }
        let log_format = check_format(effective.log.format.as_deref(), &mut problems);
        let checked = (cdn_domain, api, sync, admin, report_interval, store, log_format);
        match checked {
            (
                Some(cdn_domain),
                Some(api),
                Some(sync),
                Some(admin),
                Some(interval),
                Some(store),
                Some(format),
            ) if problems.is_empty() => Ok(Self {
                settings: Settings { cdn_domain, report_interval: interval },
                api,
                sync,
                admin,
                store,
                log_level,
                log_format: format,
                effective,
            }),
            _ => Err(Problems(problems)),
        }
    }
}

fn read_layer(path: &Path) -> Result<Layer, String> {
    let at = path.display();
    let text = read(path).map_err(|error| format!("{at}: cannot be read: {error}"))?;
    if text.trim().is_empty() {
        return Ok(Layer::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| format!("{at}: {error}"))
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path)
}

fn with_defaults(written: Layer) -> Layer {
    let defaults = Layer {
        cdn_domain: Some(CDN_DOMAIN_DEFAULT.into()),
        api: Some(API_LISTEN_DEFAULT.into()),
        sync: Some(SYNC_LISTEN_DEFAULT.into()),
        admin: Some(ADMIN_LISTEN_DEFAULT.into()),
        report_interval_seconds: Some(REPORT_INTERVAL_DEFAULT.as_secs_f64()),
        store: StoreLayer::default(),
        log: LogLayer { level: Some(LOG_LEVEL_DEFAULT.into()), format: Some("text".into()) },
    };
    let mut effective = written.over(defaults);
    let store = &mut effective.store;
    if let Some(etcd) = &mut store.etcd {
        etcd.prefix.get_or_insert_with(|| EtcdOptions::default().prefix);
    } else {
        let embedded = store.embedded.get_or_insert_default();
        embedded.path.get_or_insert_with(|| STORE_PATH_DEFAULT.into());
    }
    effective
}

fn check_domain(text: &str, problems: &mut Vec<String>) -> Option<HostName> {
    // A distribution's own name is one label of 14 characters and a dot before it.
    let longest: Result<HostName, _> = format!("{}.{text}", "d".repeat(14)).parse();
    match (text.parse(), longest) {
        (Ok(domain), Ok(_)) => return Some(domain),
        (Err(error), _) | (_, Err(error)) => problems.push(format!("cdn_domain: {text:?} {error}")),
    }
    None
}

fn check_address(name: &str, text: Option<&str>, problems: &mut Vec<String>) -> Option<SocketAddr> {
    let text = text.unwrap_or_default();
    let address = text.parse().ok();
    if address.is_none() {
        problems.push(format!(
            "{name}: {text:?} is not an address and a port: write 127.0.0.1:7070 or [::]:7070"
        ));
    }
    address
}

fn check_interval(seconds: Option<f64>, problems: &mut Vec<String>) -> Option<Duration> {
    let (min, max) = REPORT_INTERVAL;
    let interval = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
    let interval = interval.filter(|i| (min..=max).contains(i));
    if interval.is_none() {
        let (min, max) = (min.as_secs_f64(), max.as_secs_f64());
        problems.push(format!("report_interval_seconds: must be between {min} and {max}"));
    }
    interval
}

fn check_format(text: Option<&str>, problems: &mut Vec<String>) -> Option<LogFormat> {
    match text {
        Some("text") => Some(LogFormat::Text),
        Some("json") => Some(LogFormat::Json),
        other => {
            problems
                .push(format!("log.format: {:?} is unknown: use text or json", other.unwrap_or_default()));
            None
        }
    }
}

fn check_store(store: &StoreLayer, problems: &mut Vec<String>) -> Option<StoreConfig> {
    match (&store.embedded, &store.etcd) {
        (Some(EmbeddedLayer { path: Some(path) }), None) if !path.as_os_str().is_empty() => {
            Some(StoreConfig::Embedded(path.clone()))
        }
        (Some(_), None) | (None, None) => {
            problems.push("store.embedded.path: must not be empty".into());
            None
        }
        (Some(_), Some(_)) => {
            problems.push("store: choose one of embedded (store_path) and etcd (etcd_endpoints)".into());
            None
        }
        (None, Some(etcd)) => check_etcd(etcd, problems).map(StoreConfig::Etcd),
    }
}

fn check_etcd(etcd: &EtcdLayer, problems: &mut Vec<String>) -> Option<EtcdOptions> {
    let before = problems.len();
    let endpoints = etcd.endpoints.clone().unwrap_or_default();
    if endpoints.is_empty() {
        problems.push("store.etcd.endpoints: must name at least one, such as http://127.0.0.1:2379".into());
    }
    let scheme = if etcd.tls.is_some() { "https://" } else { "http://" };
    for endpoint in endpoints.iter().filter(|endpoint| !endpoint.starts_with(scheme)) {
        problems.push(format!(
            "store.etcd.endpoints: {endpoint:?} must begin with {scheme} (https with tls, http without)"
        ));
    }
    let prefix = etcd.prefix.clone().unwrap_or_default();
    if !prefix.ends_with('/') {
        problems.push(format!("store.etcd.prefix: {prefix:?} must end in \"/\""));
    }
    if etcd.username.is_some() != etcd.password_file.is_some() {
        problems.push("store.etcd: username and password_file go together".into());
    }
    let password = etcd.password_file.as_ref().and_then(|path| match read(path) {
        Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => {
            problems.push(format!("store.etcd.password_file: {}: cannot be read: {error}", path.display()));
            None
        }
    });
    let tls = etcd.tls.as_ref().and_then(|tls| check_tls(tls, problems));
    (problems.len() == before).then(|| EtcdOptions {
        endpoints,
        prefix,
        username: etcd.username.clone(),
        password,
        tls,
        ..EtcdOptions::default()
    })
}

fn check_tls(tls: &TlsLayer, problems: &mut Vec<String>) -> Option<EtcdTls> {
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        problems.push("store.etcd.tls: cert_file and key_file go together".into());
    }
    let Some(ca_file) = tls.ca_file.clone() else {
        problems.push("store.etcd.tls.ca_file: is required with tls".into());
        return None;
    };
    Some(EtcdTls {
        ca_file,
        cert_file: tls.cert_file.clone(),
        key_file: tls.key_file.clone(),
        domain_name: tls.domain_name.clone(),
    })
}

#[cfg(test)]
mod tests;
