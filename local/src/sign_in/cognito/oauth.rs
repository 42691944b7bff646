//! The endpoints that clients call: tokens for codes, who somebody is, and the end of it.

use axum::body::Body;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{json, oauth_error};
use super::grants::Grant;
use super::pool::{Cognito, USER_POOL_CLIENT_ID};
use super::request::{Parameters, SCOPES};
use super::tokens::{TokenError, challenge, half_hash};
use super::users::User;
use crate::server::{header, set_header};

impl Cognito {
    /// `/{pool}/.well-known/openid-configuration`.
    pub(super) fn discovery(&self) -> Response<Body> {
        let (issuer, url) = (self.issuer(), &self.url);
        let at = |path: &str| format!("{url}{path}");
        json(
            StatusCode::OK,
            &json!({
                "issuer": issuer,
                "authorization_endpoint": at("/oauth2/authorize"),
                "token_endpoint": at("/oauth2/token"),
                "userinfo_endpoint": at("/oauth2/userInfo"),
                "revocation_endpoint": at("/oauth2/revoke"),
                "end_session_endpoint": at("/logout"),
                "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
                "response_types_supported": ["code"],
                "scopes_supported": SCOPES,
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "code_challenge_methods_supported": ["S256"],
            }),
        )
    }

    /// [`/oauth2/token`](https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html).
    pub(super) fn token(&self, head: &Parts, form: &Parameters) -> Response<Body> {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        // A public client has no secret; one that shows some is not this one.
        let has_secret =
            head.headers.contains_key(AUTHORIZATION) || form.contains_key("client_secret");
        if field("client_id") != USER_POOL_CLIENT_ID || has_secret {
            return oauth_error("invalid_client");
        }
        let now = self.clock.now();
        let (grant, nonce, is_first) = match field("grant_type") {
            "authorization_code" => {
                let Some(code) = self.grants.take_code(field("code"), now) else {
                    return oauth_error("invalid_grant");
                };
                let is_right = code.redirect_uri == field("redirect_uri")
                    && code.challenge == challenge(field("code_verifier"));
                if !is_right {
                    return oauth_error("invalid_grant");
                }
                (code.grant, code.nonce, true)
            }
            "refresh_token" => match self.grants.find_refresh_token(field("refresh_token"), now) {
                Some(grant) => (grant, None, false),
                None => return oauth_error("invalid_grant"),
            },
            "" => return oauth_error("invalid_request"),
            _ => return oauth_error("unsupported_grant_type"),
        };
        let Some(user) = self.users.by_sub(&grant.sub) else {
            return oauth_error("invalid_grant");
        };
        let Ok(mut answer) = self.issue_tokens(&user, &grant, nonce.as_deref()) else {
            let failed = json!({ "error": "server_error" });
            return json(StatusCode::INTERNAL_SERVER_ERROR, &failed);
        };
        if is_first {
            let validity = self.refresh_validity;
            answer["refresh_token"] = self.grants.refresh_token(grant, now, validity).into();
        }
        json(StatusCode::OK, &answer)
    }

    /// Both tokens, with [Cognito's claims](https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html).
    fn issue_tokens(
        &self,
        user: &User,
        grant: &Grant,
        nonce: Option<&str>,
    ) -> Result<Value, ring::error::Unspecified> {
        let now = self.clock.now();
        let common = |token_use: &str| {
            json!({
                "sub": user.sub,
                "iss": self.issuer(),
                "origin_jti": grant.origin,
                "event_id": Uuid::new_v4().to_string(),
                "jti": Uuid::new_v4().to_string(),
                "token_use": token_use,
                "auth_time": grant.auth_time.as_secs(),
                "iat": now.as_secs(),
                "exp": (now + self.token_validity).as_secs(),
            })
        };
        let mut access = common("access");
        access["client_id"] = USER_POOL_CLIENT_ID.into();
        access["version"] = 2.into();
        access["scope"] = grant.scope.as_str().into();
        access["username"] = user.sub.as_str().into();
        let access = self.key.sign(&access)?;
        let mut answer = json!({
            "access_token": access,
            "expires_in": self.token_validity.as_secs(),
            "token_type": "Bearer",
        });
        if has_scope(&grant.scope, "openid") {
            let mut id = common("id");
            id["aud"] = USER_POOL_CLIENT_ID.into();
            id["at_hash"] = half_hash(&access).into();
            id["cognito:username"] = user.sub.as_str().into();
            if let Some(nonce) = nonce {
                id["nonce"] = nonce.into();
            }
            if has_scope(&grant.scope, "email") {
                id["email"] = user.address.as_str().into();
                id["email_verified"] = true.into();
            }
            answer["id_token"] = self.key.sign(&id)?.into();
        }
        Ok(answer)
    }

    /// [`/oauth2/userInfo`](https://docs.aws.amazon.com/cognito/latest/developerguide/userinfo-endpoint.html).
    pub(super) fn user_info(&self, head: &Parts) -> Response<Body> {
        let token = header(&head.headers, AUTHORIZATION.as_str());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        let verified = self.verify(token.unwrap_or_default(), "access");
        let refuse = |status, error: &str, description: &str| {
            let body = json!({ "error": error, "error_description": description });
            let mut response = json(status, &body);
            let challenge =
                format!("Bearer error=\"{error}\", error_description=\"{description}\"");
            set_header(&mut response, WWW_AUTHENTICATE, &challenge);
            response
        };
        let claims = match verified {
            Ok(claims) => claims,
            Err(refused) => {
                let description = match refused {
                    TokenRefused::Invalid(TokenError::Expired(_)) => "Access token is expired",
                    TokenRefused::Revoked => "Access Token has been revoked",
                    TokenRefused::Invalid(_) | TokenRefused::WrongAudience => {
                        "Access token is invalid."
                    }
                };
                return refuse(StatusCode::UNAUTHORIZED, "invalid_token", description);
            }
        };
        let scope = claims["scope"].as_str().unwrap_or_default();
        let user = claims["sub"]
            .as_str()
            .and_then(|sub| self.users.by_sub(sub));
        let Some(user) = user.filter(|_| has_scope(scope, "openid")) else {
            let description = "Access token does not contain openid scope";
            return refuse(StatusCode::FORBIDDEN, "insufficient_scope", description);
        };
        let mut info = json!({ "sub": user.sub, "username": user.sub });
        if has_scope(scope, "email") {
            info["email"] = user.address.into();
            // A string, as from Cognito.
            info["email_verified"] = "true".into();
        }
        json(StatusCode::OK, &info)
    }

    /// [`/oauth2/revoke`](https://docs.aws.amazon.com/cognito/latest/developerguide/revocation-endpoint.html).
    pub(super) fn revoke(&self, form: &Parameters) -> Response<Body> {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if field("client_id") != USER_POOL_CLIENT_ID {
            return oauth_error("invalid_client");
        }
        let (token, now) = (field("token"), self.clock.now());
        if token.is_empty() {
            return oauth_error("invalid_request");
        }
        // Other tokens than refresh tokens cannot be revoked.
        if !matches!(
            self.key.verify(token, now),
            Err(TokenError::Malformed | TokenError::Signature)
        ) {
            return oauth_error("unsupported_token_type");
        }
        self.grants.revoke(token, now);
        json(StatusCode::OK, &json!({}))
    }

    /// The claims of a token of this pool and client that is for `token_use`.
    pub(super) fn verify(&self, token: &str, token_use: &str) -> Result<Value, TokenRefused> {
        let claims = self
            .key
            .verify(token, self.clock.now())
            .map_err(TokenRefused::Invalid)?;
        let client = if token_use == "id" {
            "aud"
        } else {
            "client_id"
        };
        let is_own = claims["iss"] == self.issuer()
            && claims["token_use"] == token_use
            && claims[client] == USER_POOL_CLIENT_ID;
        if !is_own {
            return Err(TokenRefused::WrongAudience);
        }
        let origin = claims["origin_jti"].as_str().unwrap_or_default();
        if self.grants.is_revoked(origin) {
            return Err(TokenRefused::Revoked);
        }
        Ok(claims)
    }
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenRefused {
    Invalid(TokenError),
    /// It is for another pool, client or use.
    WrongAudience,
    Revoked,
}

fn has_scope(scope: &str, name: &str) -> bool {
    scope.split(' ').any(|own| own == name)
}
