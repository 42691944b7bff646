//! The identity pool: who gets credentials, and for how long.

use std::time::Duration;

use local::{
    BUCKET, CognitoOptions, Stack, StackOptions, TABLE,
    cognito::{IDENTITY_POOL_ID, USER_POOL_CLIENT_ID},
};
use serde_json::{Value, json};

use crate::{
    browser::{self, Browser, claims, identity, logins, tokens},
    client,
    person::{Person, code, dynamodb, s3},
};

#[tokio::test]
async fn an_identity_is_the_users_own() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let again = Person::with(&stack, ada.tokens.clone()).await;
    assert_eq!(ada.identity, again.identity);
    assert_ne!(ada.identity, bob.identity);
    assert_ne!(
        ada.credentials["AccessKeyId"],
        again.credentials["AccessKeyId"]
    );
    let (region, uuid) = ada.identity.split_once(':').unwrap();
    assert_eq!((region, uuid.len()), ("us-east-1", 36));
    assert!(ada.credentials["Expiration"].is_u64());

    let token = ada.tokens["id_token"].as_str().unwrap();
    let get = async |id: &str| {
        let request = json!({ "IdentityId": id, "Logins": logins(&stack, token) });
        identity(&stack, "GetCredentialsForIdentity", &request)
            .await
            .1
    };
    assert_eq!(
        get(&ada.identity).await["IdentityId"],
        ada.identity.as_str()
    );
    assert_eq!(get(&bob.identity).await["__type"], "NotAuthorizedException");
    assert_eq!(
        get("us-east-1:unknown").await["__type"],
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn an_identity_is_given_for_a_valid_token_only() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let token = ada.tokens["id_token"].as_str().unwrap();
    let provider = stack.cognito().provider();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let tampered = format!("{}.{}.{signature}", signed.split_once('.').unwrap().0, {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut claims = claims(&ada.tokens["id_token"]);
        claims["sub"] = self::claims(&bob.tokens["id_token"])["sub"].clone();
        URL_SAFE_NO_PAD.encode(claims.to_string())
    });
    let access = ada.tokens["access_token"].as_str().unwrap();
    let other_stack = client::start().await;
    let foreign = tokens(&other_stack, "ada@example.com").await;
    let no_pool = "us-east-1:00000000-0000-4000-8000-000000000001";
    let not_authorized = "NotAuthorizedException";
    for (pool, logins, exception, message) in [
        (
            no_pool,
            logins(&stack, token),
            "ResourceNotFoundException",
            "not found",
        ),
        (
            IDENTITY_POOL_ID,
            json!({}),
            not_authorized,
            "Unauthenticated access",
        ),
        (
            IDENTITY_POOL_ID,
            Value::Null,
            not_authorized,
            "Unauthenticated access",
        ),
        (
            IDENTITY_POOL_ID,
            json!({ "accounts.google.com": token }),
            not_authorized,
            "supported provider",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, &tampered),
            not_authorized,
            "verify signed token",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, signed),
            not_authorized,
            "token",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, "x"),
            not_authorized,
            "OpenId Connect",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, access),
            not_authorized,
            "audience",
        ),
        (
            IDENTITY_POOL_ID,
            json!({ &provider: foreign["id_token"] }),
            not_authorized,
            "verify signed token",
        ),
    ] {
        let request = json!({ "IdentityPoolId": pool, "Logins": logins });
        let (status, answer) = identity(&stack, "GetId", &request).await;
        assert_eq!(
            (status, &answer["__type"]),
            (400, &json!(exception)),
            "{answer}"
        );
        let reported = answer["message"].as_str().unwrap();
        assert!(reported.contains(message), "{reported}");
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_or_has_expired_gives_no_more_credentials() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let refresh = bob.tokens["refresh_token"].as_str().unwrap();
    let client = USER_POOL_CLIENT_ID;
    browser::post(
        &stack,
        "/oauth2/revoke",
        &[("token", refresh), ("client_id", client)],
    )
    .await;
    let expired = Duration::from_hours(1);
    for (person, message) in [(&bob, "revoked"), (&ada, "expired")] {
        if message == "expired" {
            stack.cognito().pass_time(expired);
        }
        let token = person.tokens["id_token"].as_str().unwrap();
        let request =
            json!({ "IdentityPoolId": IDENTITY_POOL_ID, "Logins": logins(&stack, token) });
        let (_, answer) = identity(&stack, "GetId", &request).await;
        assert!(
            answer["message"].as_str().unwrap().contains(message),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn credentials_are_taken_whole_and_until_they_expire() {
    let options = StackOptions {
        cognito: CognitoOptions {
            credentials_validity: Duration::from_mins(15),
            ..CognitoOptions::default()
        },
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let key = ada.key("x.csv");
    for (name, value, of_s3, of_dynamodb) in [
        (
            "SessionToken",
            json!(""),
            "InvalidAccessKeyId",
            "UnrecognizedClientException",
        ),
        (
            "SessionToken",
            bob.credentials["SessionToken"].clone(),
            "InvalidToken",
            "UnrecognizedClientException",
        ),
        (
            "SecretKey",
            json!("another"),
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
        ),
        (
            "AccessKeyId",
            json!("ASIAAAAAAAAAAAAAAAAA"),
            "InvalidAccessKeyId",
            "UnrecognizedClientException",
        ),
    ] {
        let mut changed = ada.credentials.clone();
        changed[name] = value;
        let put = s3(&stack, &changed).put_object().bucket(BUCKET).key(&key);
        assert_eq!(code(put.send().await), of_s3, "{name}");
        let scan = dynamodb(&stack, &changed).scan().table_name(TABLE);
        assert_eq!(code(scan.send().await), of_dynamodb, "{name}");
    }
    assert_eq!(ada.put(&key).await, "none");
    stack.cognito().pass_time(Duration::from_mins(15));
    assert_eq!(ada.put(&key).await, "ExpiredToken");
    let scan = ada.dynamodb.scan().table_name(TABLE).send().await;
    assert_eq!(code(scan), "ExpiredTokenException");
    // The token still lasts, so the page fetches new ones and goes on.
    let fresh = Person::with(&stack, ada.tokens.clone()).await;
    assert_eq!(fresh.put(&key).await, "none");
}

#[tokio::test]
async fn a_browser_that_is_signed_in_gets_the_same_identity_again() {
    let stack = client::start().await;
    let password = stack.cognito().add_user("ada@example.com").unwrap();
    let mut browser = Browser::default();
    let mut identities = Vec::new();
    for _ in 0..2 {
        let back = if identities.is_empty() {
            browser::sign_in(&stack, &mut browser, "ada@example.com", &password).await
        } else {
            browser.get(&browser::authorize_url(&stack, &[])).await
        };
        let code = browser::parameter(&browser::location(&back), "code");
        let (_, tokens) = browser::exchange(&stack, &code).await;
        identities.push(Person::with(&stack, tokens).await.identity);
    }
    assert_eq!(identities[0], identities[1]);
}
