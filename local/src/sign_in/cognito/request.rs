//! What the authorization endpoint is asked for.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;

use super::pool::{Cognito, USER_POOL_CLIENT_ID};

/// Parameters of a query or a form.
pub(super) type Parameters = BTreeMap<String, String>;

pub(super) fn parameters(encoded: &[u8]) -> Parameters {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// The scopes that the client may ask for, as in the template's `AllowedOAuthScopes`.
pub(super) const SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// A request that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuthorizeRequest {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
    pub(super) challenge: String,
}

/// Why a request is refused, by how that is reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AuthorizeError {
    /// To the user: the client or its address is not known.
    Shown(String),
    /// To the client, by this URL.
    Redirected(String),
}

impl AuthorizeRequest {
    /// Checks a request, [as Cognito does](https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html),
    /// and that it has a challenge.
    pub(super) fn parse(pool: &Cognito, query: &Parameters) -> Result<Self, AuthorizeError> {
        let parameter = |name: &str| {
            let found = query.get(name).filter(|value| !value.is_empty());
            found.map(String::as_str)
        };
        if parameter("client_id") != Some(USER_POOL_CLIENT_ID) {
            return Err(AuthorizeError::Shown("Client does not exist.".to_owned()));
        }
        let redirect_uri = parameter("redirect_uri").unwrap_or_default();
        if !pool.is_registered(redirect_uri) {
            let registered = pool.callback_urls.join(", ");
            return Err(AuthorizeError::Shown(format!(
                "redirect_mismatch: {redirect_uri} is not one of {registered}"
            )));
        }
        let state = parameter("state");
        let refuse = |error: &str, description: &str| {
            let mut answer = vec![("error", error), ("error_description", description)];
            answer.extend(state.map(|state| ("state", state)));
            Err(AuthorizeError::Redirected(with_query(
                redirect_uri,
                &answer,
            )))
        };
        match parameter("response_type") {
            Some("code") => {}
            Some("token") => {
                return refuse("unauthorized_client", "the client uses the code flow only");
            }
            _ => return refuse("invalid_request", "response_type must be code"),
        }
        let scope = parameter("scope").map_or_else(|| SCOPES.join(" "), str::to_owned);
        if !scope.split(' ').all(|name| SCOPES.contains(&name)) {
            return refuse(
                "invalid_scope",
                "the client may ask for openid, email and profile",
            );
        }
        let challenge = parameter("code_challenge").unwrap_or_default();
        // 256 bits in base64url.
        let is_challenge = challenge.len() == 43
            && challenge
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !is_challenge || parameter("code_challenge_method") != Some("S256") {
            return refuse("invalid_request", "code_challenge with S256 is required");
        }
        Ok(Self {
            redirect_uri: redirect_uri.to_owned(),
            state: state.map(str::to_owned),
            nonce: parameter("nonce").map(str::to_owned),
            scope,
            challenge: challenge.to_owned(),
        })
    }

    /// The request as a query, for the pages on the way.
    pub(super) fn query(&self, and: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", USER_POOL_CLIENT_ID),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scope),
            ("code_challenge", &self.challenge),
            ("code_challenge_method", "S256"),
        ]);
        let optional = [("state", &self.state), ("nonce", &self.nonce)];
        query.extend_pairs(
            optional
                .iter()
                .filter_map(|(name, value)| Some((name, value.as_ref()?))),
        );
        query.extend_pairs(and).finish()
    }

    /// The client's address, with the code or an error.
    pub(super) fn redirect_url(&self, answer: &[(&str, &str)]) -> String {
        let mut answer = answer.to_vec();
        answer.extend(self.state.as_deref().map(|state| ("state", state)));
        with_query(&self.redirect_uri, &answer)
    }
}

fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    let query = Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("{url}{separator}{query}")
}
