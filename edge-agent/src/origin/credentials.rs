//! Credentials: found by the AWS SDK's chain on this edge, kept ready for the serving threads, renewed before they expire.
//!
//! They are never part of a distribution and never leave this process but as a signature.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use aws_config::{
    default_provider::credentials::DefaultCredentialsChain, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError},
};
use aws_sdk_s3::config::Region;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::{Instant, timeout},
};

use crate::error_chain::ErrorChain;

/// Looked up again after this long, so that a key rotated in a file or a variable is noticed without a restart.
const RENEWED_AFTER: Duration = Duration::from_secs(300);
/// Credentials with an expiry are renewed this long before it.
const RENEWED_BEFORE_EXPIRY: Duration = Duration::from_secs(300);
/// After a failed lookup, and after a renewal that brought nothing new, the next one waits this long.
const RETRIED_AFTER: Duration = Duration::from_secs(5);
/// How long a lookup may take: an unreachable metadata service must not hold up viewers for ever.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// All credentials of this edge, by profile. Clones share them.
#[derive(Debug, Clone)]
pub struct CredentialsStore {
    background: Handle,
    /// In place of all that this machine has, if it is set.
    file: Option<Arc<Path>>,
    slots: Arc<Mutex<HashMap<Option<String>, Arc<Slot>>>>,
}

#[derive(Debug, Default)]
struct Slot {
    found: ArcSwapOption<Found>,
    /// Held by the one who looks them up.
    lookup: Arc<AsyncMutex<()>>,
}

#[derive(Debug)]
struct Found {
    result: Result<Credentials, String>,
    renew_at: Instant,
}

impl CredentialsStore {
    /// Lookups run on `background`.
    #[must_use]
    pub fn new(background: Handle) -> Self {
        Self { background, file: None, slots: Arc::default() }
    }

    /// The same, but found in the profiles of this credentials file and nowhere else.
    #[must_use]
    pub fn from_file(background: Handle, file: &Path) -> Self {
        Self { file: Some(file.into()), ..Self::new(background) }
    }

    /// The credentials of a profile, or of the default chain.
    ///
    /// # Errors
    /// Says where the chain looked in vain.
    pub async fn get(&self, profile: Option<&str>) -> Result<Credentials, String> {
        let slot = {
            let mut slots = self.slots.lock();
            match slots.get(&profile.map(str::to_owned)) {
                Some(slot) => Arc::clone(slot),
                None => Arc::clone(slots.entry(profile.map(str::to_owned)).or_default()),
            }
        };
        if let Some(found) = slot.usable() {
            return found;
        }
        // Looked up off this thread, and to the end even if this viewer leaves.
        if let Some(credentials) = slot.still_good() {
            if let Ok(turn) = Arc::clone(&slot.lookup).try_lock_owned() {
                let (profile, file) = (profile.map(str::to_owned), self.file.clone());
                self.background.spawn(Arc::clone(&slot).renew(profile, file, turn));
            }
            return Ok(credentials);
        }
        let turn = Arc::clone(&slot.lookup).lock_owned().await;
        if let Some(found) = slot.usable() {
            return found;
        }
        let (profile, file) = (profile.map(str::to_owned), self.file.clone());
        let renewal = self.background.spawn(Arc::clone(&slot).renew(profile, file, turn));
        renewal.await.map_err(|e| e.to_string())?;
        slot.usable().unwrap_or_else(|| Err("the lookup brought nothing".to_owned()))
    }
}

impl Slot {
    fn usable(&self) -> Option<Result<Credentials, String>> {
        let found = self.found.load();
        found.as_ref().filter(|found| Instant::now() < found.renew_at).map(|found| found.result.clone())
    }

    /// What was found last, if it was something and has not expired.
    fn still_good(&self) -> Option<Credentials> {
        let found = self.found.load();
        let credentials = found.as_ref().and_then(|found| found.result.as_ref().ok());
        credentials.filter(|c| c.expiry().is_none_or(|expiry| expiry > SystemTime::now())).cloned()
    }

    /// Looks them up and remembers what came of it. `_turn` keeps others from doing so at the same time.
    async fn renew(
        self: Arc<Self>,
        profile: Option<String>,
        file: Option<Arc<Path>>,
        _turn: OwnedMutexGuard<()>,
    ) {
        let result = match timeout(LOOKUP_TIMEOUT, provide(profile.as_deref(), file.as_deref())).await {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(error)) => Err(ErrorChain(&error).to_string()),
            Err(_) => Err("the lookup timed out".to_owned()),
        };
        let found = match (result, self.still_good()) {
            (Ok(credentials), _) => {
                let renew_at = Instant::now() + renew_after(credentials.expiry(), SystemTime::now());
                Found { result: Ok(credentials), renew_at }
            }
            (Err(reason), Some(credentials)) => {
                tracing::warn!(reason, "failed to renew origin credentials; the old ones are still good");
                Found { result: Ok(credentials), renew_at: Instant::now() + RETRIED_AFTER }
            }
            (Err(reason), None) => Found { result: Err(reason), renew_at: Instant::now() + RETRIED_AFTER },
        };
        self.found.store(Some(Arc::new(found)));
    }
}

/// A named profile's own credentials, or what the default chain finds. The chain would put the environment before a profile, and a
/// distribution that names one means that one.
async fn provide(profile: Option<&str>, file: Option<&Path>) -> Result<Credentials, CredentialsError> {
    let region = Region::new("us-east-1");
    match (profile, file) {
        (profile, Some(file)) => {
            let profile = profile.unwrap_or("default");
            from_file(file).profile_name(profile).build().provide_credentials().await
        }
        (Some(profile), None) => {
            let machine = ProviderConfig::without_region().with_region(Some(region));
            let files = ProfileFileCredentialsProvider::builder().configure(&machine).profile_name(profile);
            files.build().provide_credentials().await
        }
        (None, None) => {
            DefaultCredentialsChain::builder().region(region).build().await.provide_credentials().await
        }
    }
}

#[expect(deprecated, reason = "what replaces these names is in a crate that is the SDK's own affair")]
fn from_file(file: &Path) -> aws_config::profile::credentials::Builder {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let files = ProfileFiles::builder().with_file(ProfileFileKind::Credentials, file).build();
    ProfileFileCredentialsProvider::builder().profile_files(files)
}

/// When to look again.
fn renew_after(expiry: Option<SystemTime>, now: SystemTime) -> Duration {
    let Some(expiry) = expiry else {
        return RENEWED_AFTER;
    };
    let left = expiry.duration_since(now).unwrap_or_default();
    left.saturating_sub(RENEWED_BEFORE_EXPIRY).clamp(RETRIED_AFTER, RENEWED_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_that_are_rotated_in_a_file_are_found_without_a_restart() {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("credentials");
        let write = |key: &str| {
            let text = format!("[photos]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
            std::fs::write(&file, text).expect("write");
        };
        write("OLD");
        let store = CredentialsStore::from_file(Handle::current(), &file);
        let key = async || store.get(Some("photos")).await.map(|found| found.access_key_id().to_owned());
        assert_eq!(key().await.as_deref(), Ok("OLD"));
        write("NEW");
        assert_eq!(key().await.as_deref(), Ok("OLD"), "nobody looks that soon");
        tokio::time::advance(RENEWED_AFTER).await;
        // Nobody waits for the look either.
        assert_eq!(key().await.as_deref(), Ok("OLD"));
        while key().await.as_deref() != Ok("NEW") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // What cannot be read any more is not forgotten.
        std::fs::remove_file(&file).expect("remove");
        tokio::time::advance(RENEWED_AFTER).await;
        assert_eq!(key().await.as_deref(), Ok("NEW"));
        assert!(store.get(Some("missing")).await.is_err());
    }

    #[test]
    fn credentials_are_renewed_before_they_expire() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let in_seconds = |s| Some(now + Duration::from_secs(s));
        assert_eq!(renew_after(None, now), RENEWED_AFTER);
        assert_eq!(renew_after(in_seconds(100_000), now), RENEWED_AFTER);
        assert_eq!(renew_after(in_seconds(400), now), Duration::from_secs(100));
        assert_eq!(renew_after(in_seconds(10), now), RETRIED_AFTER);
        assert_eq!(renew_after(Some(SystemTime::UNIX_EPOCH), now), RETRIED_AFTER);
    }
}
