//! Cognito: a user pool with its hosted pages, and the identity pool that trusts it.
//!
//! A page signs people in here as it does on AWS: `/oauth2/authorize` with a code, PKCE, state and nonce, forms for
//! signing in and signing up, `/oauth2/token`, and then `GetId` and `GetCredentialsForIdentity` for credentials that the
//! local S3 and DynamoDB enforce. What Cognito would send by mail is in the [mailbox](Cognito::mails).
//!
//! Known differences: one port for what are three hosts on AWS; tokens are signed with ES256, of which a key pair is made
//! in no time, instead of RS256; PKCE is demanded, where Cognito only checks it if it is there; there are no groups, no
//! MFA, no forgotten passwords, no triggers and no API of the user pool (`SignUp`, `InitiateAuth`, …); nobody is locked out after wrong passwords; time can be [let pass](Cognito::pass_time).
//!
//! Nothing here enforces what the credentials allow: `access` does.

mod answer;
mod control;
mod grants;
mod hosted;
mod html;
mod identities;
mod identity;
mod inbox;
mod mail;
mod oauth;
mod pool;
mod request;
mod routes;
mod tokens;
mod users;

pub use self::mail::Mail;
pub use self::pool::{
    Cognito, CognitoOptions, IDENTITY_POOL_ID, USER_POOL_CLIENT_ID, USER_POOL_ID,
};
pub use self::users::AccountError;
