//! What a sign-in gives: a session of the browser, codes, and refresh tokens.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use uuid::Uuid;

use crate::lock::lock;
use crate::sign_in::random;

/// Who signed in, when, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) sub: String,
    /// Since 1970; it stays the same when tokens are refreshed.
    pub(super) auth_time: Duration,
    /// Names separated by blanks.
    pub(super) scope: String,
    /// The `origin_jti` of all tokens of this sign-in.
    pub(super) origin: String,
}

/// What an authorization code is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
}

/// A sign-in that a browser remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) sub: String,
    pub(super) auth_time: Duration,
}

/// Values that can be had by who knows their secret names, for a while.
#[derive(Debug)]
struct Expiring<T>(Mutex<HashMap<String, (T, Duration)>>);

impl<T> Default for Expiring<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Expiring<T> {
    fn add(&self, value: T, now: Duration, validity: Duration) -> String {
        let name = random::text();
        let mut values = lock(&self.0);
        values.retain(|_, (_, expires)| *expires > now);
        values.insert(name.clone(), (value, now + validity));
        name
    }

    fn get(&self, name: &str, now: Duration) -> Option<T> {
        let values = lock(&self.0);
        let (value, expires) = values.get(name)?;
        (*expires > now).then(|| value.clone())
    }

    fn take(&self, name: &str, now: Duration) -> Option<T> {
        let (value, expires) = lock(&self.0).remove(name)?;
        (expires > now).then_some(value)
    }
}

/// All that is granted at the moment.
#[derive(Debug, Default)]
pub(super) struct Grants {
    codes: Expiring<Code>,
    refreshing: Expiring<Grant>,
    sessions: Expiring<Session>,
    /// Who signed up in a browser and has still to confirm, by `sub`.
    sign_ups: Expiring<String>,
    /// Origins of tokens that were revoked.
    revoked: Mutex<HashSet<String>>,
}

/// How long a [code](https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html) is valid.
const CODE_VALIDITY: Duration = Duration::from_mins(5);
/// How long a browser stays [signed in](https://docs.aws.amazon.com/cognito/latest/developerguide/managed-login.html)
/// at the hosted page.
pub(super) const SESSION_VALIDITY: Duration = Duration::from_hours(1);

impl Grants {
    /// A code for a session's sign-in.
    pub(super) fn code(
        &self,
        session: &Session,
        scope: &str,
        redirect_uri: &str,
        (challenge, nonce): (&str, Option<&str>),
        now: Duration,
    ) -> String {
        let grant = Grant {
            sub: session.sub.clone(),
            auth_time: session.auth_time,
            scope: scope.to_owned(),
            origin: Uuid::new_v4().to_string(),
        };
        let code = Code {
            grant,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            nonce: nonce.map(str::to_owned),
        };
        self.codes.add(code, now, CODE_VALIDITY)
    }

    /// What a code is for. It is gone then, right or wrong as the rest of the request may be.
    pub(super) fn take_code(&self, code: &str, now: Duration) -> Option<Code> {
        self.codes.take(code, now)
    }

    /// A refresh token.
    pub(super) fn refresh_token(&self, grant: Grant, now: Duration, validity: Duration) -> String {
        self.refreshing.add(grant, now, validity)
    }

    /// What a refresh token is for.
    pub(super) fn find_refresh_token(&self, token: &str, now: Duration) -> Option<Grant> {
        self.refreshing.get(token, now)
    }

    /// Ends a refresh token, and with it all tokens of its sign-in.
    pub(super) fn revoke(&self, token: &str, now: Duration) {
        if let Some(grant) = self.refreshing.take(token, now) {
            lock(&self.revoked).insert(grant.origin);
        }
    }

    /// Whether tokens of this origin were revoked.
    pub(super) fn is_revoked(&self, origin: &str) -> bool {
        lock(&self.revoked).contains(origin)
    }

    /// Lets a browser stay signed in, by the cookie that is returned.
    pub(super) fn start_session(&self, session: Session, now: Duration) -> String {
        self.sessions.add(session, now, SESSION_VALIDITY)
    }

    pub(super) fn session(&self, cookie: &str, now: Duration) -> Option<Session> {
        self.sessions.get(cookie, now)
    }

    /// Remembers who signed up in a browser, by the cookie that is returned.
    pub(super) fn remember_sign_up(&self, sub: String, now: Duration) -> String {
        self.sign_ups.add(sub, now, SESSION_VALIDITY)
    }

    /// Whether this `sub` signed up in the browser that has the cookie.
    pub(super) fn has_signed_up(&self, cookie: &str, sub: &str, now: Duration) -> bool {
        self.sign_ups.get(cookie, now).is_some_and(|own| own == sub)
    }

    pub(super) fn end_session(&self, cookie: &str, now: Duration) {
        self.sessions.take(cookie, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn code(grants: &Grants) -> String {
        let session = Session {
            sub: "me".to_owned(),
            auth_time: NOW,
        };
        grants.code(&session, "openid", "http://localhost/", ("c", None), NOW)
    }

    #[test]
    fn a_code_is_taken_once_and_within_five_minutes() {
        let grants = Grants::default();
        let first = code(&grants);
        assert_eq!(grants.take_code(&first, NOW).unwrap().grant.sub, "me");
        assert_eq!(grants.take_code(&first, NOW), None);
        let second = code(&grants);
        assert_eq!(grants.take_code(&second, NOW + CODE_VALIDITY), None);
        assert_eq!(grants.take_code("unknown", NOW), None);
    }

    #[test]
    fn a_refresh_token_lasts_until_it_expires_or_is_revoked() {
        let grants = Grants::default();
        let code = code(&grants);
        let grant = grants.take_code(&code, NOW).unwrap().grant;
        let validity = Duration::from_secs(10);
        let one = grants.refresh_token(grant.clone(), NOW, validity);
        assert_eq!(grants.find_refresh_token(&one, NOW), Some(grant.clone()));
        assert_eq!(grants.find_refresh_token(&one, NOW + validity), None);
        grants.revoke("unknown", NOW);
        assert!(!grants.is_revoked(&grant.origin));
        grants.revoke(&one, NOW);
        assert_eq!(grants.find_refresh_token(&one, NOW), None);
        assert!(grants.is_revoked(&grant.origin));
    }
}
