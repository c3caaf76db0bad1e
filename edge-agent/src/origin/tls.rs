//! TLS toward origins: what connections are made with, for each of the ways in which origins differ.

mod certificates;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use headland_proto::model::OriginTls;
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::ServerName,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use self::certificates::ClientCertificates;

/// Ways that are remembered before all are forgotten.
const WAYS_MAX: usize = 1024;
/// How often the log tells of one server that its certificate is refused, or this edge's is.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Servers that are remembered as told of.
const TOLD_MAX: usize = 1024;

/// Which protocols are offered (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Offer {
    /// None: HTTP/1.1 it is.
    Http1,
    /// HTTP/2, or else HTTP/1.1.
    Either,
    /// HTTP/2 only.
    Http2,
}

impl Offer {
    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[],
            Self::Either => &[b"h2", b"http/1.1"],
            Self::Http2 => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// What connections to origins are made with. All workers share it, and so the sessions that can be resumed.
#[derive(Debug)]
pub struct OriginTlsConfigs {
    provider: Arc<CryptoProvider>,
    /// What this machine trusts.
    machine: Arc<RootCertStore>,
    certificates: ClientCertificates,
    ways: Mutex<Ways>,
    told: Mutex<HashMap<String, Instant>>,
}

#[derive(Debug, Default)]
struct Ways {
    usual: HashMap<Offer, Arc<ClientConfig>>,
    special: HashMap<Arc<OriginTls>, Special>,
    next_id: u64,
}

#[derive(Debug)]
struct Special {
    id: u64,
    certificate: Option<Arc<CertifiedKey>>,
    configs: HashMap<Offer, Arc<ClientConfig>>,
}

impl OriginTlsConfigs {
    /// Trusting what this machine trusts; certificates to show lie in `certificates`. A machine without any roots still serves
    /// cleartext origins, and those that bring their own.
    #[must_use]
    pub fn new(certificates: Option<PathBuf>) -> Self {
        let mut machine = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        machine.add_parsable_certificates(found.certs);
        if machine.is_empty() {
            let errors = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(errors, "failed to find trusted root certificates; HTTPS origins will be refused");
        }
        // The program has installed one; a test need not.
        let installed = CryptoProvider::get_default().cloned();
        let provider = installed.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
        Self {
            certificates: ClientCertificates::new(certificates, Arc::clone(&provider)),
            provider,
            machine: Arc::new(machine),
            ways: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// What names connections that are made in this way; others do not share them.
    pub(super) fn name_of(&self, tls: &Arc<OriginTls>) -> u64 {
        self.ways.lock().special(tls).id
    }

    /// What a connection is made with.
    ///
    /// # Errors
    /// When there is no such client certificate, or an authority's certificate is none.
    pub(super) fn config(
        &self,
        tls: Option<&Arc<OriginTls>>,
        offer: Offer,
    ) -> Result<Arc<ClientConfig>, String> {
        let Some(tls) = tls else {
            let mut ways = self.ways.lock();
            if let Some(config) = ways.usual.get(&offer) {
                return Ok(Arc::clone(config));
            }
            let config =
                Arc::new(self.make(&OriginTls::default(), Arc::clone(&self.machine), None, offer)?);
            ways.usual.insert(offer, Arc::clone(&config));
            return Ok(config);
        };
        let certificate =
            tls.client_certificate.as_ref().map(|name| self.certificates.get(name)).transpose()?;
        let mut ways = self.ways.lock();
        let way = ways.special(tls);
        let same = |one: &Arc<CertifiedKey>, other: &Arc<CertifiedKey>| Arc::ptr_eq(one, other);
        let unchanged = match (&way.certificate, &certificate) {
            (Some(one), Some(other)) => same(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        if !unchanged {
            // Nor are sessions resumed that began with another.
            way.configs.clear();
            way.certificate.clone_from(&certificate);
        }
        if let Some(config) = way.configs.get(&offer) {
            return Ok(Arc::clone(config));
        }
        let roots = match tls.authorities.is_empty() {
            true => Arc::clone(&self.machine),
            false => authorities(tls)?,
        };
        let config = Arc::new(self.make(tls, roots, certificate, offer)?);
        way.configs.insert(offer, Arc::clone(&config));
        Ok(config)
    }

    fn make(
        &self,
        tls: &OriginTls,
        roots: Arc<RootCertStore>,
        certificate: Option<Arc<CertifiedKey>>,
        offer: Offer,
    ) -> Result<ClientConfig, String> {
        const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        let versions = if tls.only_1_3 { &BOTH[..1] } else { BOTH };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .map_err(|error| format!("speak TLS: {error}"))?
            .with_root_certificates(roots);
        let mut config = match certificate {
            Some(certificate) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = offer.protocols();
        Ok(config)
    }

    /// Whether it is time to tell of a server that no connection can be made to it.
    pub(super) fn may_tell_of(&self, server: &str) -> bool {
        let (mut told, now) = (self.told.lock(), Instant::now());
        if told.get(server).is_some_and(|last| now.duration_since(*last) < TOLD_AGAIN_AFTER) {
            return false;
        }
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        told.insert(server.to_owned(), now);
        true
    }
}

impl Ways {
    fn special(&mut self, tls: &Arc<OriginTls>) -> &mut Special {
        if self.special.len() >= WAYS_MAX && !self.special.contains_key(tls) {
            self.special.clear();
        }
        self.special.entry(Arc::clone(tls)).or_insert_with(|| {
            self.next_id += 1;
            Special { id: self.next_id, certificate: None, configs: HashMap::new() }
        })
    }
}

fn authorities(tls: &OriginTls) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for (i, certificate) in tls.authorities.iter().enumerate() {
        let added = roots.add(certificate.clone());
        added.map_err(|error| format!("use the certificate number {} of ca_certificates: {error}", i + 1))?;
    }
    Ok(Arc::new(roots))
}

/// The name that a server's certificate must have.
///
/// # Errors
/// When it cannot be one.
pub(super) fn server_name(tls: Option<&OriginTls>, host: &str) -> Result<ServerName<'static>, String> {
    let name = tls.and_then(|tls| tls.server_name.as_ref()).map_or(host, |name| name.as_str());
    let name = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name.to_owned()).map_err(|error| format!("use {name:?} as a server's name: {error}"))
}
