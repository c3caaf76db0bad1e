//! One source of settings, as written: what the file holds, and what flags and environment are turned into.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings that one source gives; what it does not give is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Layer {
    pub(super) cdn_domain: Option<String>,
    pub(super) api: Option<String>,
    pub(super) sync: Option<String>,
    pub(super) admin: Option<String>,
    pub(super) report_interval_seconds: Option<f64>,
    pub(super) store: StoreLayer,
    pub(super) log: LogLayer,
}

/// One of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreLayer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) embedded: Option<EmbeddedLayer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etcd: Option<EtcdLayer>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EmbeddedLayer {
    pub(super) path: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EtcdLayer {
    pub(super) endpoints: Option<Vec<String>>,
    pub(super) prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<TlsLayer>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsLayer {
    pub(super) ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cert_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domain_name: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogLayer {
    pub(super) level: Option<String>,
    pub(super) format: Option<String>,
}

impl Layer {
    /// These settings, and for those that are not given the ones of `below`.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            cdn_domain: self.cdn_domain.or(below.cdn_domain),
            api: self.api.or(below.api),
            sync: self.sync.or(below.sync),
            admin: self.admin.or(below.admin),
            report_interval_seconds: self.report_interval_seconds.or(below.report_interval_seconds),
            store: self.store.over(below.store),
            log: LogLayer {
                level: self.log.level.or(below.log.level),
                format: self.log.format.or(below.log.format),
            },
        }
    }
}

impl StoreLayer {
    /// A source that chooses a kind of store replaces the other kind of the sources below it.
    fn over(self, below: Self) -> Self {
        let chooses_etcd = self.etcd.as_ref().is_some_and(|etcd| etcd.endpoints.is_some());
        let keep_embedded = !chooses_etcd;
        let keep_etcd = self.embedded.is_none();
        let etcd = match (self.etcd, below.etcd.filter(|_| keep_etcd)) {
            (Some(upper), Some(lower)) => Some(upper.over(lower)),
            (upper, lower) => upper.or(lower),
        };
        Self { embedded: self.embedded.or(below.embedded.filter(|_| keep_embedded)), etcd }
    }
}

impl EtcdLayer {
    fn over(self, below: Self) -> Self {
        let tls = match (self.tls, below.tls) {
            (Some(upper), Some(lower)) => Some(TlsLayer {
                ca_file: upper.ca_file.or(lower.ca_file),
                cert_file: upper.cert_file.or(lower.cert_file),
                key_file: upper.key_file.or(lower.key_file),
                domain_name: upper.domain_name.or(lower.domain_name),
            }),
            (upper, lower) => upper.or(lower),
        };
        Self {
            endpoints: self.endpoints.or(below.endpoints),
            prefix: self.prefix.or(below.prefix),
            username: self.username.or(below.username),
            password_file: self.password_file.or(below.password_file),
            tls,
        }
    }
}
