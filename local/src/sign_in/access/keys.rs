use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Uri};

use crate::lock::lock;
use crate::server::header;
use crate::sign_in::clock::Clock;
use crate::sign_in::random;

/// What IDs of [temporary access keys](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes)
/// begin with.
const TEMPORARY_PREFIX: &str = "ASIA";
/// Access key IDs are upper-case letters and the digits 2 to 7.
const KEY_ID_ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// How long an expired key is told from one that never was.
const EXPIRED_KEY_RETENTION: Duration = Duration::from_hours(24);

/// Credentials for one identity, for a while.
#[derive(Debug, Clone)]
pub(crate) struct TemporaryKey {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
    /// Since 1970.
    pub(crate) expires: Duration,
}

/// Who uses a temporary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Such as `us-east-1:00000000-0000-4000-8000-000000000000`.
    pub(crate) identity: String,
    pub(crate) secret_access_key: String,
}

/// Why a temporary key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// There is no such key, or it was used without a session token.
    UnknownKey,
    /// The session token is of other credentials.
    WrongToken,
    Expired,
}

/// The temporary keys that were issued, and what their holders may do.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    clock: Clock,
    pub(super) keys: Arc<Mutex<HashMap<String, (TemporaryKey, String)>>>,
}

impl Access {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            keys: Arc::default(),
        }
    }

    /// Makes credentials for `identity`.
    pub(crate) fn issue(&self, identity: &str, validity: Duration) -> TemporaryKey {
        let now = self.clock.now();
        let issued = TemporaryKey {
            access_key_id: format!(
                "{TEMPORARY_PREFIX}{}",
                random::characters(KEY_ID_ALPHABET, 16)
            ),
            secret_access_key: random::characters(SECRET_ALPHABET, 40),
            session_token: format!("local-{}{}", random::text(), random::text()),
            expires: now + validity,
        };
        let mut keys = lock(&self.keys);
        keys.retain(|_, (issued, _)| issued.expires + EXPIRED_KEY_RETENTION > now);
        keys.insert(
            issued.access_key_id.clone(),
            (issued.clone(), identity.to_owned()),
        );
        issued
    }

    /// Who holds the key.
    pub(crate) fn caller(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
    ) -> Result<Caller, KeyError> {
        let keys = lock(&self.keys);
        let (issued, identity) = keys.get(access_key_id).ok_or(KeyError::UnknownKey)?;
        match session_token {
            None => Err(KeyError::UnknownKey),
            Some(token) if token != issued.session_token => Err(KeyError::WrongToken),
            Some(_) if issued.expires <= self.clock.now() => Err(KeyError::Expired),
            Some(_) => Ok(Caller {
                identity: identity.clone(),
                secret_access_key: issued.secret_access_key.clone(),
            }),
        }
    }
}

/// Whether it is the ID of a temporary key.
pub(super) fn is_temporary(access_key_id: &str) -> bool {
    access_key_id.starts_with(TEMPORARY_PREFIX)
}

/// The ID of the access key that a request is signed with, in its header or in its query.
pub(super) fn access_key_id(head: &Parts) -> Option<String> {
    let in_header = header(&head.headers, "authorization")
        .and_then(|value| value.split_once("Credential="))
        .map(|(_, credential)| credential.to_owned());
    let credential = in_header.or_else(|| query(&head.uri, "X-Amz-Credential"))?;
    credential.split('/').next().map(str::to_owned)
}

/// The session token of a request, in its header or in its query.
pub(super) fn session_token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let in_header = header(headers, "x-amz-security-token").map(str::to_owned);
    in_header.or_else(|| query(uri, "X-Amz-Security-Token"))
}

/// The value of a parameter in the query.
pub(super) fn query(uri: &Uri, name: &str) -> Option<String> {
    form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(own, _)| own == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_with_its_token_until_it_expires() {
        let clock = Clock::default();
        let access = Access::new(clock.clone());
        let one = access.issue("us-east-1:one", Duration::from_mins(10));
        let other = access.issue("us-east-1:other", Duration::from_mins(20));
        assert!(is_temporary(&one.access_key_id));
        assert_eq!(
            (one.access_key_id.len(), one.secret_access_key.len()),
            (20, 40)
        );
        let caller = |key: &str, token: Option<&str>| {
            access.caller(key, token).map(|caller| caller.identity)
        };
        for (key, token, expected) in [
            (
                &one.access_key_id,
                Some(&one.session_token),
                Ok("us-east-1:one"),
            ),
            (
                &other.access_key_id,
                Some(&other.session_token),
                Ok("us-east-1:other"),
            ),
            (
                &one.access_key_id,
                Some(&other.session_token),
                Err(KeyError::WrongToken),
            ),
            (&one.access_key_id, None, Err(KeyError::UnknownKey)),
            (
                &"ASIANOSUCHKEY".to_owned(),
                Some(&one.session_token),
                Err(KeyError::UnknownKey),
            ),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(caller(key, token.map(String::as_str)), expected, "{key}");
        }
        clock.advance(Duration::from_mins(10));
        let expired = caller(&one.access_key_id, Some(&one.session_token));
        assert_eq!(expired, Err(KeyError::Expired));
        assert!(caller(&other.access_key_id, Some(&other.session_token)).is_ok());
    }
}
