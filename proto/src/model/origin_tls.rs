//! TLS toward origins: whom an edge trusts, who it says it is, and the versions it speaks.

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{host_name::HostName, violation::Checker};
use crate::{
    limits::{CA_CERTIFICATES_BYTES_MAX, CA_CERTIFICATES_MAX, CLIENT_CERTIFICATE_CHARS_MAX},
    v1,
};

/// How HTTPS connections to an origin are made. Connections of origins that differ in it are not shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OriginTls {
    /// Certificates of the authorities that the origin's is verified against. Empty: those that the edge's machine trusts.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The name, on the edge, of the certificate that it shows.
    pub client_certificate: Option<String>,
    /// The name that the origin's certificate must have, if it is not the origin's own.
    pub server_name: Option<HostName>,
    /// Whether TLS 1.2 is refused.
    pub only_1_3: bool,
}

pub(super) fn check(wire: &v1::OriginTls, c: &mut Checker<'_>) -> OriginTls {
    use v1::origin_tls::Version;
    let authorities = check_authorities(&wire.ca_certificates, &mut c.field("ca_certificates"));
    let name = wire.client_certificate.as_str();
    let mut field = c.field("client_certificate");
    field.chars_max(name, CLIENT_CERTIFICATE_CHARS_MAX);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // It becomes part of a path.
    field.ensure(name.bytes().all(legal) && !name.starts_with('.'), || {
        "is the name of a certificate on the edges: letters, digits, \"-\", \"_\" and \".\", which does not begin it".into()
    });
    let server_name = match wire.server_name.as_str() {
        "" => None,
        name => {
            let parsed = name.parse::<HostName>();
            if let Err(error) = &parsed {
                c.field("server_name").violation(error.to_string());
            }
            parsed.ok()
        }
    };
    let only_1_3 = match Version::try_from(wire.minimum_version) {
        Ok(Version::Unspecified | Version::Version12) => false,
        Ok(Version::Version13) => true,
        Err(_) => {
            c.field("minimum_version").violation("is unknown; use 1.2 or 1.3");
            false
        }
    };
    let client_certificate = Some(name.to_owned()).filter(|name| !name.is_empty());
    OriginTls { authorities, client_certificate, server_name, only_1_3 }
}

fn check_authorities(pem: &str, c: &mut Checker<'_>) -> Vec<CertificateDer<'static>> {
    if pem.is_empty() {
        return Vec::new();
    }
    let bytes = pem.len();
    c.ensure(bytes <= CA_CERTIFICATES_BYTES_MAX, || {
        format!("have {bytes} bytes; at most {CA_CERTIFICATES_BYTES_MAX} are allowed")
    });
    c.ensure(!pem.contains("PRIVATE KEY"), || {
        "hold a private key, which is no part of a distribution: remove it, and take it for known".into()
    });
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = certificates.unwrap_or_default();
    c.ensure(!certificates.is_empty(), || {
        "are not certificates in PEM: \"-----BEGIN CERTIFICATE-----\" and what follows".into()
    });
    c.count_max(certificates.len(), CA_CERTIFICATES_MAX);
    certificates
}
