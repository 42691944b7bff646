use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::grants::Grants;
use super::identities::Identities;
use super::mail::{Mail, Mailbox};
use super::tokens::SigningKey;
use super::users::{self, AccountError, Users};
use crate::deployment::{BUCKET, JOBS_TABLE, REGION, TABLE, TOPIC};
use crate::error::LocalError;
use crate::faults::Faults;
use crate::services::sns::Topics;
use crate::sign_in::access::Access;
use crate::sign_in::clock::Clock;

/// ID of the user pool.
pub const USER_POOL_ID: &str = "us-east-1_IntakeLocal";
/// ID of the user pool's public client, which the dashboard is.
pub const USER_POOL_CLIENT_ID: &str = "intakelocaldashboard";
/// ID of the identity pool.
pub const IDENTITY_POOL_ID: &str = "us-east-1:00000000-0000-4000-8000-000000000000";

/// How sign-ins are set up; by default as in the SAM template.
#[derive(Debug, Clone)]
pub struct CognitoOptions {
    /// Further addresses that people may be sent back to after signing in and out, besides that of the dashboard that the
    /// stack serves; by default the one that Vite serves while it is developed.
    pub callback_urls: Vec<String>,
    /// How long ID tokens and access tokens are valid.
    pub token_validity: Duration,
    /// How long tokens can be refreshed.
    pub refresh_validity: Duration,
    /// How long the identity pool's credentials are valid.
    pub credentials_validity: Duration,
}

impl Default for CognitoOptions {
    fn default() -> Self {
        Self {
            callback_urls: vec!["http://localhost:5173/".to_owned()],
            token_validity: Duration::from_hours(1),
            refresh_validity: Duration::from_hours(12),
            credentials_validity: Duration::from_hours(1),
        }
    }
}

/// A user pool and an identity pool.
pub struct Cognito {
    pub(super) url: String,
    /// Also where to go after signing out, as in the template.
    pub(super) callback_urls: Vec<String>,
    pub(super) token_validity: Duration,
    pub(super) refresh_validity: Duration,
    pub(super) credentials_validity: Duration,
    pub(super) clock: Clock,
    pub(super) key: SigningKey,
    pub(super) users: Users,
    pub(super) grants: Grants,
    pub(super) identities: Identities,
    pub(super) mailbox: Mailbox,
    pub(super) access: Access,
    pub(super) topics: Arc<Topics>,
    /// In front of the other services; here there are none.
    pub(super) faults: Faults,
}

impl fmt::Debug for Cognito {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cognito")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Cognito {
    /// Pools at `url`, for the dashboard at `dashboard`, with nobody in them.
    pub(crate) fn new(
        url: String,
        dashboard: &str,
        options: CognitoOptions,
        (clock, access): (Clock, Access),
        (topics, faults): (Arc<Topics>, Faults),
    ) -> Result<Self, LocalError> {
        let mut callback_urls = vec![format!("{dashboard}/")];
        callback_urls.extend(options.callback_urls);
        Ok(Self {
            url,
            callback_urls,
            token_validity: options.token_validity,
            refresh_validity: options.refresh_validity,
            credentials_validity: options.credentials_validity,
            clock,
            key: SigningKey::generate().map_err(|_| LocalError::SigningKey)?,
            users: Users::default(),
            grants: Grants::default(),
            identities: Identities::default(),
            mailbox: Mailbox::default(),
            access,
            topics,
            faults,
        })
    }

    /// Adds somebody who can sign in at once, as an administrator can, with a random password, which is returned.
    ///
    /// # Errors
    ///
    /// The address is none, or somebody's already.
    pub fn add_user(&self, address: &str) -> Result<String, AccountError> {
        let password = users::random_password();
        let (user, _) = self.users.sign_up(address, &password, self.clock.now())?;
        self.users.confirm_by_administrator(&user);
        Ok(password)
    }

    /// Lets time pass for codes, tokens and temporary credentials, so that they expire.
    pub fn pass_time(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// The e-mails that Cognito would have sent, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.mailbox.mails()
    }

    /// The e-mails after the first `seen`, as soon as there are some.
    pub async fn mails_after(&self, seen: usize) -> Vec<Mail> {
        self.mailbox.after(seen).await
    }

    /// The issuer of the user pool's tokens.
    pub fn issuer(&self) -> String {
        format!("{}/{USER_POOL_ID}", self.url)
    }

    /// The user pool as the identity pool's `Logins` name it: the issuer without its scheme, as on AWS.
    pub fn provider(&self) -> String {
        self.issuer().trim_start_matches("http://").to_owned()
    }

    /// The `config.json` of a dashboard that signs in here; `services` are the URLs of S3 and DynamoDB.
    pub(crate) fn dashboard_config(&self, services: [&str; 2]) -> String {
        let [s3, dynamodb] = services;
        json!({
            "region": REGION,
            "userPoolId": USER_POOL_ID,
            "userPoolClientId": USER_POOL_CLIENT_ID,
            "identityPoolId": IDENTITY_POOL_ID,
            "signInUrl": self.url,
            "issuer": self.issuer(),
            "bucket": BUCKET,
            "table": TABLE,
            "jobsTable": JOBS_TABLE,
            "topic": TOPIC,
            "endpoints": { "s3": s3, "dynamodb": dynamodb, "cognitoIdentity": self.url },
            "inboxUrl": format!("{}/inbox", self.url),
        })
        .to_string()
    }

    /// Whether people may be sent to this address.
    pub(super) fn is_registered(&self, url: &str) -> bool {
        self.callback_urls.iter().any(|own| own == url)
    }
}
