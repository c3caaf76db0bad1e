//! Checking buckets when a distribution arrives: an origin that cannot work should be named before a viewer finds out.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        timeout::TimeoutConfig,
    },
};
use headland_proto::model::{S3Origin, Signing};

use super::credentials::CredentialsStore;
use crate::error_chain::ErrorChain;

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

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
