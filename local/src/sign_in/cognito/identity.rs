//! The identity pool: AWS credentials for who signed in, over
//! [AWS JSON 1.1](https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/Welcome.html).

use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::answer;
use super::oauth::TokenRefused;
use super::pool::{Cognito, IDENTITY_POOL_ID};
use super::tokens::TokenError;
use crate::server::{header, set_header};

/// An exception and its message.
type Refusal = (&'static str, String);

fn not_authorized(message: &str) -> Refusal {
    ("NotAuthorizedException", message.to_owned())
}

impl Cognito {
    /// Answers `GetId` and `GetCredentialsForIdentity`.
    pub(super) fn identity(&self, head: &Parts, body: &[u8]) -> Response<Body> {
        let answered = match serde_json::from_slice::<Value>(body) {
            Err(_) => Err((
                "SerializationException",
                "The request is no JSON".to_owned(),
            )),
            Ok(request) => match header(&head.headers, "x-amz-target") {
                Some("AWSCognitoIdentityService.GetId") => self.id(&request),
                Some("AWSCognitoIdentityService.GetCredentialsForIdentity") => {
                    self.credentials(&request)
                }
                _ => Err((
                    "UnknownOperationException",
                    "The local stack has GetId and GetCredentialsForIdentity only".to_owned(),
                )),
            },
        };
        let content_type = "application/x-amz-json-1.1";
        let mut response = match answered {
            Ok(body) => answer(StatusCode::OK, content_type, body.to_string()),
            Err((exception, message)) => {
                let body = json!({ "__type": exception, "message": message });
                let mut response = answer(StatusCode::BAD_REQUEST, content_type, body.to_string());
                set_header(&mut response, "x-amzn-errortype", &format!("{exception}:"));
                response
            }
        };
        // Services of this protocol say nothing about caches: a POST is in none.
        response.headers_mut().remove(CACHE_CONTROL);
        let request_id = Uuid::new_v4().to_string();
        set_header(&mut response, "x-amzn-requestid", &request_id);
        response
    }

    /// [`GetId`](https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetId.html).
    fn id(&self, request: &Value) -> Result<Value, Refusal> {
        let pool = request["IdentityPoolId"].as_str().unwrap_or_default();
        if pool != IDENTITY_POOL_ID {
            return Err((
                "ResourceNotFoundException",
                format!("IdentityPool '{pool}' not found."),
            ));
        }
        let sub = self.user_of(request)?;
        Ok(json!({ "IdentityId": self.identities.of(&sub) }))
    }

    /// [`GetCredentialsForIdentity`](https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetCredentialsForIdentity.html).
    fn credentials(&self, request: &Value) -> Result<Value, Refusal> {
        let identity = request["IdentityId"].as_str().unwrap_or_default();
        if !self.identities.contains(identity) {
            return Err((
                "ResourceNotFoundException",
                format!("Identity '{identity}' not found."),
            ));
        }
        let sub = self.user_of(request)?;
        if self.identities.of(&sub) != identity {
            return Err(not_authorized(
                "Logins don't match. Please include at least one valid login for this identity or identity pool.",
            ));
        }
        let issued = self.access.issue(identity, self.credentials_validity);
        Ok(json!({
            "IdentityId": identity,
            "Credentials": {
                "AccessKeyId": issued.access_key_id,
                "SecretKey": issued.secret_access_key,
                "SessionToken": issued.session_token,
                "Expiration": issued.expires.as_secs(),
            },
        }))
    }

    /// Whose token came with the request. It is checked as by a pool with `ServerSideTokenCheck`: one that was revoked is
    /// refused.
    fn user_of(&self, request: &Value) -> Result<String, Refusal> {
        let logins = request["Logins"]
            .as_object()
            .filter(|logins| !logins.is_empty())
            .ok_or_else(|| {
                not_authorized("Unauthenticated access is not supported for this identity pool.")
            })?;
        let token = logins.get(&self.provider()).and_then(Value::as_str);
        let token = token.ok_or_else(|| {
            not_authorized("Token is not from a supported provider of this identity pool.")
        })?;
        let claims = self.verify(token, "id").map_err(|refused| {
            not_authorized(&match refused {
                TokenRefused::Invalid(TokenError::Malformed) => {
                    "Invalid login token. Not a valid OpenId Connect identity token.".to_owned()
                }
                TokenRefused::Invalid(TokenError::Signature) => {
                    "Invalid login token. Couldn't verify signed token.".to_owned()
                }
                TokenRefused::Invalid(TokenError::Expired(at)) => {
                    let now = self.clock.now().as_secs();
                    format!("Invalid login token. Token expired: {at} >= {now}")
                }
                TokenRefused::WrongAudience => {
                    "Invalid login token. Incorrect token audience.".to_owned()
                }
                TokenRefused::Revoked => "Invalid login token. Token has been revoked.".to_owned(),
            })
        })?;
        Ok(claims["sub"].as_str().unwrap_or_default().to_owned())
    }
}
