//! Checking origins when a distribution arrives: one that cannot work should be named before a viewer finds out.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        timeout::TimeoutConfig,
    },
};
use headland_proto::model::{Http2, Origin, OriginKind, S3Origin, Scheme, Signing};
use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{
    Fault,
    credentials::CredentialsStore,
    dial::{self, Dialled},
    s3,
    tls::{Offer, OriginTlsConfigs},
};
use crate::error_chain::ErrorChain;

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server has after the handshake to refuse this edge's certificate: with TLS 1.3 it does so only then.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes a connection to a server over TLS, and ends it.
///
/// # Errors
/// What is wrong with either side's certificate, or with what is to be spoken. A server that is not there is not such a problem: it may
/// be in a moment.
pub async fn server(origin: &Origin, configs: &OriginTlsConfigs) -> Result<(), String> {
    let authority = match &origin.kind {
        OriginKind::Custom(custom) => custom.authority_for(Scheme::Https),
        OriginKind::S3(s3_origin) => {
            s3::address(s3_origin, "", "/-").map(|a| a.authority).unwrap_or_default()
        }
    };
    let server = format!("{}://{authority}", Scheme::Https.as_str());
    let offer = if origin.http2 == Http2::Always { Offer::Http2 } else { Offer::Http1 };
    let tcp = dial::connector(origin.connection_timeout);
    match dial::dial(tcp, configs, &server, origin, offer).await {
        Err(Fault::Tls(reason)) => Err(format!("connect with TLS: {reason}")),
        Ok(Dialled::Tls(mut stream)) => match timeout(REFUSAL_TIMEOUT, stream.read_u8()).await {
            Ok(Err(error)) => match dial::tls_fault(&error) {
                Some(Fault::Tls(reason)) => Err(format!("connect with TLS: {reason}")),
                _ => Ok(()),
            },
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Asks whether the bucket is there (HeadBucket) and whether this edge's credentials open it.
///
/// # Errors
/// What a person should know about this origin. A refusal of an unsigned request is not one: a public bucket need not allow listing.
pub async fn bucket(origin: &S3Origin, credentials: &CredentialsStore) -> Result<(), String> {
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(origin.region.clone()))
        .endpoint_url(format!("{}://{}", origin.scheme.as_str(), origin.endpoint))
        .force_path_style(origin.path_style)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .timeout_config(TimeoutConfig::builder().operation_timeout(CHECK_TIMEOUT).build());
    let signed = origin.signing != Signing::Never;
    if signed {
        let found = credentials.get(origin.credentials_profile.as_deref()).await;
        config = config
            .credentials_provider(found.map_err(|reason| format!("no credentials were found: {reason}"))?);
    } else {
        config = config.allow_no_auth();
    }
    let answer = Client::from_conf(config.build()).head_bucket().bucket(&origin.bucket).send().await;
    let Err(error) = answer else { return Ok(()) };
    let bucket = &origin.bucket;
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(404) => Err(format!("there is no bucket {bucket:?} at {}", origin.endpoint)),
        Some(401 | 403) if signed => Err(format!("bucket {bucket:?} refuses this edge's credentials")),
        Some(401 | 403) => Ok(()),
        Some(301 | 307) => Err(format!("bucket {bucket:?} is not in region {:?}", origin.region)),
        Some(status) => Err(format!("bucket {bucket:?} answers with status {status}")),
        None => Err(format!("{} cannot be reached: {}", origin.endpoint, ErrorChain(&error))),
    }
}
