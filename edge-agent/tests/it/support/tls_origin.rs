//! An origin that speaks TLS for real, with certificates made for the test, and the edge's log to read its reasons in.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, OnceLock},
    thread,
};

use headland_proto::v1;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// An authority that issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate, and its key.
pub(crate) struct Certified {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("key");
        let certificate = params.self_signed(&key).expect("certificate");
        Self { issuer: Issuer::new(params, key), certificate }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a name, valid until this year.
    pub(crate) fn issue(&self, name: &str, until: i32) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        Certified { certificate, key }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("root");
        Arc::new(roots)
    }
}

/// What a TLS origin is like.
pub(crate) struct Like<'a> {
    pub(crate) shows: &'a Certified,
    /// Viewers must show a certificate of this authority.
    pub(crate) demands: Option<&'a Authority>,
    pub(crate) only_1_2: bool,
}

/// The settings of such a server, without protocols to choose from.
pub(crate) fn server_config(like: &Like<'_>) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match like.only_1_2 {
        true => &[&rustls::version::TLS12],
        false => rustls::ALL_VERSIONS,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("versions");
    let builder = match like.demands {
        None => builder.with_no_client_auth(),
        Some(authority) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(authority.roots(), provider)
                .build()
                .expect("verifier"),
        ),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(like.shows.key.serialize_der()));
    builder.with_single_cert(vec![like.shows.certificate.der().clone()], key).expect("certificate")
}

/// Answers every request on a connection of its own with the certificate that the edge has shown, in hexadecimal, or "nobody".
pub(crate) fn start(like: &Like<'_>) -> SocketAddr {
    let config = Arc::new(server_config(like));
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            thread::spawn(move || {
                let connection = ServerConnection::new(config).expect("server");
                let mut stream = StreamOwned::new(connection, stream);
                let _ = answer(&mut stream);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
        }
    });
    address
}

fn answer(stream: &mut StreamOwned<ServerConnection, std::net::TcpStream>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let shown = stream.conn.peer_certificates().and_then(|chain| chain.first());
    let shown = shown.map_or_else(|| "nobody".to_owned(), |shown| hexadecimal(shown));
    let headers = "connection: close\r\ncache-control: no-store";
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n\r\n{shown}", shown.len())
}

/// Bytes as text.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Has a distribution's origin reached over TLS, under this name.
pub(crate) fn over_tls(
    config: &mut v1::DistributionConfig,
    name: &str,
    address: SocketAddr,
    tls: v1::OriginTls,
) {
    config.origins[0].kind = Some(v1::origin::Kind::Custom(v1::CustomOrigin {
        domain_name: name.into(),
        https_port: address.port().into(),
        protocol_policy: v1::custom_origin::ProtocolPolicy::HttpsOnly.into(),
        ..Default::default()
    }));
    config.origins[0].tls = Some(tls);
}

/// All that this process has logged since it was first asked.
pub(crate) fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let _ = subscriber.try_init();
        log
    });
    log.clone()
}

/// See [`log`].
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The lines that have this text in them.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        let log = self.0.lock().expect("lock");
        let text_of = String::from_utf8_lossy(&log);
        text_of.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
