//! Cognito: a user pool with its hosted pages, and the identity pool that trusts it.
//!
//! A page signs people in here as it does on AWS: `/oauth2/authorize` with a code, PKCE, state and nonce, forms for
//! signing in and signing up, `/oauth2/token`, and then `GetId` and `GetCredentialsForIdentity` for credentials that the
//! local S3 and DynamoDB enforce. What Cognito would send by mail is in the [mailbox](Cognito::mails).
//!
//! Known differences: one port for what are three hosts on AWS; tokens are signed with ES256, of which a key pair is made
//! in no time, instead of RS256; PKCE is demanded, where Cognito only checks it if it is there; there are no groups, no
//! MFA, no forgotten passwords, no triggers and no API of the user pool (`SignUp`, `InitiateAuth`, …); nobody is locked out after wrong passwords; time can be [let pass](Cognito::pass_time).

mod answer;
mod control;
mod grants;
mod hosted;
mod html;
mod identity;
mod mail;
mod oauth;
mod request;
mod tokens;
mod users;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::json;

use self::answer::{answer, json};
use self::grants::Grants;
use self::hosted::PageRequest;
use self::identity::Identities;
pub use self::mail::Mail;
use self::mail::Mailbox;
use self::request::parameters;
use self::tokens::SigningKey;
pub use self::users::AccountError;
use self::users::Users;
use crate::access::Access;
use crate::clock::Clock;
use crate::server::read_body;
use crate::sns::Topics;
use crate::{Faults, LocalError, REGION, inbox};

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
    url: String,
    /// Also where to go after signing out, as in the template.
    callback_urls: Vec<String>,
    token_validity: Duration,
    refresh_validity: Duration,
    credentials_validity: Duration,
    clock: Clock,
    key: SigningKey,
    users: Users,
    grants: Grants,
    identities: Identities,
    mailbox: Mailbox,
    access: Access,
    topics: Arc<Topics>,
    /// In front of the other services; here there are none.
    faults: Faults,
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
        self.clock.pass(time);
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
    pub(crate) fn page_config(&self, services: [&str; 2]) -> String {
        let [s3, dynamodb] = services;
        json!({
            "region": REGION,
            "userPoolId": USER_POOL_ID,
            "userPoolClientId": USER_POOL_CLIENT_ID,
            "identityPoolId": IDENTITY_POOL_ID,
            "signInUrl": self.url,
            "issuer": self.issuer(),
            "bucket": crate::BUCKET,
            "table": crate::TABLE,
            "jobsTable": crate::JOBS_TABLE,
            "topic": crate::TOPIC,
            "endpoints": { "s3": s3, "dynamodb": dynamodb, "cognitoIdentity": self.url },
            "inboxUrl": format!("{}/inbox", self.url),
        })
        .to_string()
    }

    /// Whether people may be sent to this address.
    fn is_registered(&self, url: &str) -> bool {
        self.callback_urls.iter().any(|own| own == url)
    }

    /// Answers one HTTP request.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let Some(body) = read_body(body).await else {
            let refused = json!({ "error": "invalid_request" });
            return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, &refused));
        };
        Ok(self.answer(&head, body).await)
    }

    async fn answer(self: Arc<Self>, head: &Parts, body: Bytes) -> Response<Body> {
        let path = head.uri.path();
        let well_known = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(USER_POOL_ID))
            .and_then(|path| path.strip_prefix("/.well-known/"));
        let is_post = head.method == Method::POST;
        let form = || parameters(&body);
        let page = PageRequest {
            head,
            form: is_post.then(form),
        };
        match (&head.method, well_known.unwrap_or(path)) {
            (&Method::GET, "openid-configuration") => self.discovery(),
            (&Method::GET, "jwks.json") => json(StatusCode::OK, &self.key.key_set()),
            (&Method::GET, "/oauth2/authorize") => self.authorize(&page),
            (&Method::GET | &Method::POST, "/login" | "/signup" | "/confirmUser")
            | (&Method::POST, "/resendcode") => self.form(&page).await,
            (&Method::GET, "/logout") => self.logout(&page),
            (&Method::POST, "/oauth2/token") => self.token(head, &form()),
            (&Method::GET | &Method::POST, "/oauth2/userInfo") => self.user_info(head),
            (&Method::POST, "/oauth2/revoke") => self.revoke(&form()),
            (&Method::GET, "/style.css") => answer(
                StatusCode::OK,
                "text/css;charset=UTF-8",
                html::STYLE.to_owned(),
            ),
            (&Method::GET, "/inbox") => self.inbox(head),
            (&Method::POST, "/") => self.identity(head, &body),
            _ if path.starts_with("/local/") => self.control(head, &body),
            _ => json(StatusCode::NOT_FOUND, &json!({ "error": "not_found" })),
        }
    }

    /// What was published and mailed, oldest first: JSON, or a page for people.
    fn inbox(&self, head: &Parts) -> Response<Body> {
        let messages = inbox::messages(&self.topics.inbox(), &self.mails());
        let accept = head.headers.get(header::ACCEPT);
        let wants_page = accept
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
        if wants_page {
            return self.inbox_page(&messages);
        }
        json(StatusCode::OK, &json!({ "messages": messages }))
    }
}
