//! How to reach etcd, as the operator says it.

use std::{fmt, fs, path::PathBuf, time::Duration};

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

use crate::store::StoreError;

/// Pings notice a member that is gone without a word within twice this; without them a watch would hang for ever.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Where etcd is and how to speak with it.
#[derive(Clone)]
pub struct EtcdOptions {
    /// The members' client addresses, such as `https://etcd-1:2379`. The first that answers is used until it fails.
    pub endpoints: Vec<String>,
    /// What every key begins with. Ends in a slash. Control planes with the same prefix share one store.
    pub prefix: String,
    /// If etcd asks for a user. Goes with `password`.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// If etcd is reached by `https`.
    pub tls: Option<EtcdTls>,
    /// How long one call may take, all repetitions included. A lost commit takes up to a third more to be looked up.
    pub request_timeout: Duration,
    /// How long it may take to connect to one member.
    pub dial_timeout: Duration,
}

/// Certificates for etcd. The files are PEM, and are read once.
#[derive(Debug, Clone)]
pub struct EtcdTls {
    /// Who signed the members' certificates.
    pub ca_file: PathBuf,
    /// The control plane's own certificate, if etcd asks for one. Goes with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The key of that certificate.
    pub key_file: Option<PathBuf>,
    /// The name in the members' certificates, if it is not the host in their addresses.
    pub domain_name: Option<String>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            prefix: "/headland/v1/".to_owned(),
            username: None,
            password: None,
            tls: None,
            request_timeout: Duration::from_secs(3),
            dial_timeout: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdOptions")
            .field("endpoints", &self.endpoints)
            .field("prefix", &self.prefix)
            .field("username", &self.username)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl EtcdOptions {
    /// Checks the options and reads the certificates.
    pub(super) fn connect_options(&self) -> Result<ConnectOptions, StoreError> {
        self.check().map_err(failed)?;
        let mut options = ConnectOptions::new()
            .with_keep_alive(KEEP_ALIVE, KEEP_ALIVE)
            .with_keep_alive_while_idle(true)
            .with_connect_timeout(self.dial_timeout)
            // A member that has lost the others must not answer from memory or leave a watch silent.
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            options = options.with_user(username, password);
        }
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.load()?);
        }
        Ok(options)
    }

    fn check(&self) -> Result<(), String> {
        if self.endpoints.is_empty() {
            return Err("no etcd endpoint is given".to_owned());
        }
        for endpoint in &self.endpoints {
            let parsed: Result<http::Uri, _> = endpoint.parse();
            let scheme =
                parsed.as_ref().ok().filter(|uri| uri.host().is_some()).and_then(http::Uri::scheme_str);
            match (scheme, &self.tls) {
                (Some("http"), None) | (Some("https"), Some(_)) => {}
                (Some("http"), Some(_)) => {
                    return Err(format!(
                        "etcd endpoint {endpoint}: certificates are given, so it must be https"
                    ));
                }
                (Some("https"), None) => {
                    return Err(format!(
                        "etcd endpoint {endpoint}: https needs a file with the authority's certificate"
                    ));
                }
                _ => {
                    return Err(format!(
                        "etcd endpoint {endpoint:?} is not of the form http://host:port or https://host:port"
                    ));
                }
            }
        }
        if !self.prefix.ends_with('/') {
            return Err(format!("the etcd prefix must end in a slash, this one is {:?}", self.prefix));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err("an etcd user name and a password go together".to_owned());
        }
        Ok(())
    }
}

impl EtcdTls {
    fn load(&self) -> Result<TlsOptions, StoreError> {
        let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&self.ca_file)?));
        match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?)),
            (None, None) => {}
            _ => {
                return Err(failed("an etcd client certificate and its key go together".to_owned()));
            }
        }
        if let Some(name) = &self.domain_name {
            tls = tls.domain_name(name);
        }
        Ok(tls)
    }
}

fn read(file: &PathBuf) -> Result<Vec<u8>, StoreError> {
    fs::read(file).map_err(|error| failed(format!("read {}: {error}", file.display())))
}

fn failed(reason: String) -> StoreError {
    StoreError::Failed { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_with_what_is_wrong() {
        type Spoil = fn(&mut EtcdOptions);
        fn tls(options: &mut EtcdOptions) {
            let ca_file = "ca.pem".into();
            options.tls = Some(EtcdTls { ca_file, cert_file: None, key_file: None, domain_name: None });
        }
        let cases: [(Spoil, &str); 8] = [
            (|options| options.endpoints.clear(), "no etcd endpoint"),
            (|options| options.endpoints = vec!["etcd:2379".to_owned()], "not of the form"),
            (|options| options.endpoints = vec!["http://".to_owned()], "not of the form"),
            (|options| options.endpoints = vec!["https://a:1".to_owned()], "authority's certificate"),
            (tls, "must be https"),
            (|options| options.prefix.clear(), "end in a slash"),
            (|options| options.prefix = "/headland".to_owned(), "end in a slash"),
            (|options| options.username = Some("headland".to_owned()), "go together"),
        ];
        assert_eq!(EtcdOptions::default().check(), Ok(()));
        for (spoil, expected) in cases {
            let mut options = EtcdOptions::default();
            spoil(&mut options);
            let error = options.check().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let options = EtcdOptions { password: Some("swordfish".to_owned()), ..EtcdOptions::default() };
        assert!(!format!("{options:?}").contains("swordfish"));
    }
}
