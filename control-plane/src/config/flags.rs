//! The command line and the environment.

use std::path::PathBuf;

use clap::Parser;

use super::layer::{EmbeddedLayer, EtcdLayer, Layer, LogLayer, StoreLayer, TlsLayer};

/// Headland's control plane: keeps distributions in a store and pushes them to edges.
///
/// Each setting is taken from its flag, else from its environment variable, else from the file given by --config, else
/// from its default. In the file, settings are named as the flags are, with underscores, and grouped as --print-config shows.
#[derive(Debug, Clone, Parser)]
#[command(name = "headland-control-plane", version)]
pub struct Flags {
    /// Read settings from this YAML file
    #[arg(long, env = "HEADLAND_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print the settings in effect as YAML, and exit
    #[arg(long)]
    pub print_config: bool,

    /// Domain under which every distribution gets a host name of its own [default: cdn.localhost]
    #[arg(long, env = "HEADLAND_CDN_DOMAIN", value_name = "NAME")]
    cdn_domain: Option<String>,

    /// Where operators connect, gRPC; whoever reaches it may change everything [default: 127.0.0.1:7070]
    #[arg(long, env = "HEADLAND_API", value_name = "ADDRESS:PORT")]
    api: Option<String>,

    /// Where edges connect, gRPC; whoever reaches it may read all distributions [default: 127.0.0.1:7071]
    #[arg(long, env = "HEADLAND_SYNC", value_name = "ADDRESS:PORT")]
    sync: Option<String>,

    /// Where /livez, /readyz and /metrics are, HTTP [default: 127.0.0.1:7072]
    #[arg(long, env = "HEADLAND_ADMIN", value_name = "ADDRESS:PORT")]
    admin: Option<String>,

    /// Seconds between two reports of an edge, 0.1 to 300; it is late after 2 of them and gone after 6 [default: 5]
    #[arg(long, env = "HEADLAND_REPORT_INTERVAL_SECONDS", value_name = "SECONDS")]
    report_interval_seconds: Option<f64>,

    /// Keep everything in this file; for a single control plane [default: /var/lib/headland/control-plane.redb]
    #[arg(long, env = "HEADLAND_STORE_PATH", value_name = "FILE")]
    store_path: Option<PathBuf>,

    /// Keep everything in etcd, at these addresses; control planes that share it act as one
    #[arg(long, env = "HEADLAND_ETCD_ENDPOINTS", value_name = "URL", value_delimiter = ',')]
    etcd_endpoints: Option<Vec<String>>,

    /// What all keys in etcd begin with; ends in "/" [default: /headland/v1/]
    #[arg(long, env = "HEADLAND_ETCD_PREFIX", value_name = "PREFIX")]
    etcd_prefix: Option<String>,

    /// The etcd user
    #[arg(long, env = "HEADLAND_ETCD_USERNAME", value_name = "NAME")]
    etcd_username: Option<String>,

    /// The file that holds the etcd user's password
    #[arg(long, env = "HEADLAND_ETCD_PASSWORD_FILE", value_name = "FILE")]
    etcd_password_file: Option<PathBuf>,

    /// The certificates (PEM) that etcd's certificate must descend from; for https endpoints
    #[arg(long, env = "HEADLAND_ETCD_CA_FILE", value_name = "FILE")]
    etcd_ca_file: Option<PathBuf>,

    /// This control plane's certificate (PEM), if etcd asks for one
    #[arg(long, env = "HEADLAND_ETCD_CERT_FILE", value_name = "FILE")]
    etcd_cert_file: Option<PathBuf>,

    /// The key (PEM) of that certificate
    #[arg(long, env = "HEADLAND_ETCD_KEY_FILE", value_name = "FILE")]
    etcd_key_file: Option<PathBuf>,

    /// The name in etcd's certificate, if it is not the one in the endpoint
    #[arg(long, env = "HEADLAND_ETCD_DOMAIN_NAME", value_name = "NAME")]
    etcd_domain_name: Option<String>,

    /// What is logged: error, warn, info, debug, trace, or a list such as info,headland_control_plane=debug [default: info]
    #[arg(long, env = "HEADLAND_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,

    /// How the log is written, to standard error: text or json [default: text]
    #[arg(long, env = "HEADLAND_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Flags {
    /// What the flags and the environment say.
    pub(super) fn layer(self) -> Layer {
        let tls = TlsLayer {
            ca_file: self.etcd_ca_file,
            cert_file: self.etcd_cert_file,
            key_file: self.etcd_key_file,
            domain_name: self.etcd_domain_name,
        };
        let etcd = EtcdLayer {
            endpoints: self.etcd_endpoints,
            prefix: self.etcd_prefix,
            username: self.etcd_username,
            password_file: self.etcd_password_file,
            tls: Some(tls).filter(|tls| *tls != TlsLayer::default()),
        };
        Layer {
            cdn_domain: self.cdn_domain,
            api: self.api,
            sync: self.sync,
            admin: self.admin,
            report_interval_seconds: self.report_interval_seconds,
            store: StoreLayer {
                embedded: self.store_path.map(|path| EmbeddedLayer { path: Some(path) }),
                etcd: Some(etcd).filter(|etcd| *etcd != EtcdLayer::default()),
            },
            log: LogLayer { level: self.log_level, format: self.log_format },
        }
    }
}
