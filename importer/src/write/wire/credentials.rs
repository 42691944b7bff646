//! The credentials that requests are signed with: loaded once for all lanes, and again before they expire.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use tokio::sync::Mutex;

use crate::aws::CREDENTIALS_FIX;
use crate::error::{Class, Error};

/// How long before their end credentials are loaded anew, while the old ones are still used.
const AHEAD: Duration = Duration::from_mins(5);
/// How long before their end credentials are no longer used. The SDK's figure.
const MARGIN: Duration = Duration::from_secs(10);
/// Time between two loads ahead of the end: a provider may have nothing newer yet.
const PAUSE: Duration = Duration::from_secs(30);

/// How long a load may take. Providers have shorter limits of their own, but a helper program may hang.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials as they were loaded. Two loads are two of these even if they say the same.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) credentials: Credentials,
    /// Whether they say the same as those that DynamoDB refused and that these replace.
    refused_before: bool,
}

impl Loaded {
    /// Credentials of which nothing is known yet.
    pub(super) fn first(credentials: Credentials) -> Self {
        Self {
            credentials,
            refused_before: false,
        }
    }

    fn expires_within(&self, time: Duration, now: SystemTime) -> bool {
        self.credentials
            .expiry()
            .is_some_and(|expiry| expiry <= now + time)
    }

    fn are(&self, other: &Credentials) -> bool {
        let ours = &self.credentials;
        ours.access_key_id() == other.access_key_id()
            && ours.secret_access_key() == other.secret_access_key()
            && ours.session_token() == other.session_token()
    }
}

/// All lanes' credentials.
#[derive(Debug)]
pub(super) struct Keyring {
    provider: SharedCredentialsProvider,
    current: RwLock<Arc<Loaded>>,
    /// Held while loading. Holds when to load ahead at the earliest.
    loading: Arc<Mutex<Option<SystemTime>>>,
}

impl Keyring {
    /// Loads the first credentials.
    pub(super) async fn open(config: &SdkConfig) -> Result<Self, Error> {
        let provider = config
            .credentials_provider()
            .ok_or_else(|| not_loaded(CredentialsError::not_loaded("none are configured")))?;
        let credentials = provided(&provider).await?;
        Ok(Self {
            provider,
            current: RwLock::new(Arc::new(Loaded::first(credentials))),
            loading: Arc::default(),
        })
    }

    pub(super) fn current(&self) -> Arc<Loaded> {
        // Nothing that could panic happens while it is held.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Credentials for a request at `now`. Waits only if there are none that are still good.
    pub(super) async fn at(self: &Arc<Self>, now: SystemTime) -> Result<Arc<Loaded>, Error> {
        let current = self.current();
        if !current.expires_within(AHEAD, now) {
            return Ok(current);
        }
        if !current.expires_within(MARGIN, now) {
            self.load_ahead(now);
            return Ok(current);
        }
        let _loading = self.loading.lock().await;
        let current = self.current();
        if !current.expires_within(MARGIN, now) {
            return Ok(current);
        }
        self.load(None).await
    }

    /// Loads new ones beside the requests that use the old ones, unless that is already done or was just tried.
    fn load_ahead(self: &Arc<Self>, now: SystemTime) {
        let Ok(mut not_before) = Arc::clone(&self.loading).try_lock_owned() else {
            return;
        };
        if not_before.is_some_and(|not_before| now < not_before) {
            return;
        }
        *not_before = Some(now + PAUSE);
        let keyring = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = keyring.load(None).await {
                tracing::warn!(error = error.chain(), "credentials not renewed yet");
            }
            drop(not_before);
        });
    }

    /// Replaces credentials that DynamoDB refused, and says whether it is worth another try.
    ///
    /// The same ones once more are: a new key takes a moment until every part of AWS knows it.
    pub(super) async fn replace(&self, refused: &Arc<Loaded>) -> Result<bool, Error> {
        let _loading = self.loading.lock().await;
        if !Arc::ptr_eq(refused, &self.current()) {
            return Ok(true);
        }
        let replacement = self.load(Some(refused)).await?;
        Ok(!(replacement.refused_before && refused.refused_before))
    }

    /// Loads, and makes that the current ones. The caller holds `loading`.
    async fn load(&self, refused: Option<&Arc<Loaded>>) -> Result<Arc<Loaded>, Error> {
        let credentials = provided(&self.provider).await?;
        let loaded = Arc::new(Loaded {
            refused_before: refused.is_some_and(|refused| refused.are(&credentials)),
            credentials,
        });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
        Ok(loaded)
    }
}

async fn provided(provider: &SharedCredentialsProvider) -> Result<Credentials, Error> {
    tokio::time::timeout(LOAD_TIMEOUT, provider.provide_credentials())
        .await
        .unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(LOAD_TIMEOUT)))
        .map_err(not_loaded)
}

fn not_loaded(error: CredentialsError) -> Error {
    Error::Service {
        operation: "BatchWriteItem",
        problem: "no credentials to sign with".to_owned(),
        // A provider on the network may be back in a moment, and the retry budget bounds the wait.
        class: Class::Retry,
        fix: CREDENTIALS_FIX.to_owned(),
        source: Some(error.into()),
    }
}
