//! The user pool: a page signs people in as it would on AWS.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use local::{
    CognitoOptions, Stack, StackOptions,
    cognito::{USER_POOL_CLIENT_ID, USER_POOL_ID},
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::{
    browser::{
        Browser, PASSWORD, VERIFIER, authorize_url, claims, exchange, home, location, login_url,
        parameter, post, sign_in, text, there, token, tokens,
    },
    client::{self, get, send},
};

const ADA: &str = "ada@example.com";

/// The confirmation code in the last mail.
fn mailed_code(stack: &Stack) -> String {
    let mail = stack.cognito().mails().pop().unwrap();
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        (ADA, "Your verification code")
    );
    mail.text.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_signs_up_confirms_and_signs_in() {
    let stack = client::start().await;
    let mut browser = Browser::default();
    let login = login_url(&stack, &mut browser).await;
    let form = text(&browser.get(&login).await);
    let sign_up = login.replace("/login", "/signup");
    assert!(form.contains("href=\"/signup?"), "{form}");

    let fields = [("username", "Ada@example.com"), ("password", PASSWORD)];
    let answer = browser.submit(&sign_up, "/signup", &fields).await;
    let confirm = there(&stack, &answer);
    assert_eq!(parameter(&confirm, "username"), ADA);

    // Nobody gets in before the address is confirmed.
    let early = browser.submit(&login, "/login", &fields).await;
    assert!(location(&early).starts_with("/confirmUser?"));

    let first = mailed_code(&stack);
    let wrong = if first == "000000" {
        "000001"
    } else {
        "000000"
    };
    let fields = [("username", ADA), ("code", wrong)];
    let answer = browser.submit(&confirm, "/confirmUser", &fields).await;
    assert_eq!(answer.status(), 400);
    assert!(text(&answer).contains("Invalid verification code"));
    let answer = browser
        .submit(&confirm, "/resendcode", &[("username", ADA)])
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(stack.cognito().mails().len(), 2);
    let code = mailed_code(&stack);
    let fields = [("username", ADA), ("code", code.as_str())];
    // Who signed up in this browser need not type the password again.
    let back = location(&browser.submit(&confirm, "/confirmUser", &fields).await);
    assert!(back.starts_with(&format!("{}?", home(&stack))), "{back}");
    assert_eq!(parameter(&back, "state"), "the state & more");
    let (status, answer) = exchange(&stack, &parameter(&back, "code")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );

    let id = claims(&answer["id_token"]);
    assert_eq!(id["nonce"], "the nonce");
    assert_eq!(
        (&id["email"], &id["email_verified"]),
        (&json!(ADA), &json!(true))
    );
    assert_eq!(id["aud"], USER_POOL_CLIENT_ID);
    assert_eq!(id["token_use"], "id");
    let access = claims(&answer["access_token"]);
    assert_eq!(access["client_id"], USER_POOL_CLIENT_ID);
    assert_eq!(
        (&access["token_use"], &access["sub"]),
        (&json!("access"), &id["sub"])
    );

    let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    let url = format!("{}/oauth2/userInfo", stack.endpoints().cognito);
    let (status, info) = get(&url, &[("authorization", &bearer)]).await;
    assert_eq!(
        (status, &info["email"], &info["sub"]),
        (200, &json!(ADA), &id["sub"])
    );
}

#[tokio::test]
async fn who_confirms_in_another_browser_signs_in_with_the_password() {
    let stack = client::start().await;
    let mut browser = Browser::default();
    let login = login_url(&stack, &mut browser).await;
    let sign_up = login.replace("/login", "/signup");
    let fields = [("username", ADA), ("password", PASSWORD)];
    let confirm = there(&stack, &browser.submit(&sign_up, "/signup", &fields).await);

    let mut other = Browser::default();
    let eve = [("username", "eve@example.com"), ("password", PASSWORD)];
    other.submit(&sign_up, "/signup", &eve).await;
    let code = stack.cognito().mails()[0].text.clone();
    let code = code.rsplit(' ').next().unwrap();
    let answer = other
        .submit(
            &confirm,
            "/confirmUser",
            &[("username", ADA), ("code", code)],
        )
        .await;
    let login = there(&stack, &answer);
    assert!(text(&other.get(&login).await).contains("Your account is confirmed"));
    let back = location(&other.submit(&login, "/login", &fields).await);
    assert_eq!(exchange(&stack, &parameter(&back, "code")).await.0, 200);
}

#[tokio::test]
async fn tokens_are_verified_with_what_the_discovery_names() {
    let stack = client::start().await;
    let tokens = tokens(&stack, ADA).await;
    let url = &stack.endpoints().cognito;
    let issuer = format!("{url}/{USER_POOL_ID}");
    let (_, discovery) = get(&format!("{issuer}/.well-known/openid-configuration"), &[]).await;
    assert_eq!(discovery["issuer"], issuer.as_str());
    assert_eq!(
        discovery["authorization_endpoint"],
        format!("{url}/oauth2/authorize")
    );
    assert_eq!(discovery["token_endpoint"], format!("{url}/oauth2/token"));
    assert_eq!(
        discovery["code_challenge_methods_supported"],
        json!(["S256"])
    );
    let (_, keys) = get(discovery["jwks_uri"].as_str().unwrap(), &[]).await;

    let token = tokens["id_token"].as_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: Value = serde_json::from_slice(&decode(signed.split_once('.').unwrap().0)).unwrap();
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let coordinate = |name: &str| decode(key[name].as_str().unwrap());
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &decode(signature)).unwrap();
    assert_eq!(claims(&tokens["id_token"])["iss"], issuer.as_str());
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_in_does_not_tell_who_has_an_account() {
    let stack = client::start().await;
    stack.cognito().add_user(ADA).unwrap();
    let mut answers = Vec::new();
    for address in [ADA, "nobody@example.com", "no address"] {
        let mut browser = Browser::default();
        let answer = sign_in(&stack, &mut browser, address, "Wrong-password-1").await;
        assert_eq!(answer.status(), 400);
        let page = text(&answer);
        assert!(
            page.contains("role=\"alert\">Incorrect username or password."),
            "{page}"
        );
        // All but what was typed is the same.
        let token = page
            .split_once("_csrf\" value=\"")
            .unwrap()
            .1
            .split_once('"')
            .unwrap()
            .0;
        answers.push(page.replace(address, "").replace(token, ""));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn a_form_is_taken_only_from_the_browser_that_it_was_shown_in() {
    let stack = client::start().await;
    let password = stack.cognito().add_user(ADA).unwrap();
    let mut browser = Browser::default();
    let login = login_url(&stack, &mut browser).await;
    let shown = browser.get(&login).await;
    let policy = shown.headers()["content-security-policy"].to_str().unwrap();
    for directive in [
        "default-src 'none'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        &format!(
            "form-action 'self' {} http://localhost:5173",
            stack.endpoints().dashboard
        ),
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert_eq!(shown.headers()["x-frame-options"], "DENY");

    let fields = [("username", ADA), ("password", password.as_str())];
    let form = crate::browser::query(&fields);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = send(Method::POST, &login, &headers, form).await;
    assert_eq!(answer.status(), 403);
    let forged = crate::browser::query(&[fields[0], fields[1], ("_csrf", "forged")]);
    let headers = [headers[0], ("cookie", "XSRF-TOKEN=forged")];
    assert_eq!(
        send(Method::POST, &login, &headers, forged).await.status(),
        403
    );
    location(&browser.submit(&login, "/login", &fields).await);
}

#[tokio::test]
async fn only_what_is_registered_is_redirected_to() {
    let stack = client::start().await;
    let mut browser = Browser::default();
    for (name, value) in [
        ("redirect_uri", "http://evil.example/"),
        ("redirect_uri", &format!("{}x", home(&stack))),
        ("redirect_uri", ""),
        ("client_id", "another"),
    ] {
        let answer = browser.get(&authorize_url(&stack, &[(name, value)])).await;
        assert_eq!(answer.status(), 400, "{value}");
        assert!(!answer.headers().contains_key("location"));
    }
    for (name, value, error) in [
        ("response_type", "token", "unauthorized_client"),
        ("response_type", "", "invalid_request"),
        ("scope", "openid admin", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("prompt", "none", "login_required"),
    ] {
        let answer = browser.get(&authorize_url(&stack, &[(name, value)])).await;
        let back = location(&answer);
        assert!(back.starts_with(&home(&stack)), "{back}");
        assert_eq!(parameter(&back, "error"), error, "{name}={value}");
        assert_eq!(parameter(&back, "state"), "the state & more");
    }
    // The forms check again: their address can be made up.
    let login = login_url(&stack, &mut browser).await;
    let evil = login.replace("redirect_uri=http", "redirect_uri=https");
    assert_eq!(browser.get(&evil).await.status(), 400);
}

#[tokio::test]
async fn a_code_is_good_for_one_right_exchange() {
    let stack = client::start().await;
    let password = stack.cognito().add_user(ADA).unwrap();
    let home = home(&stack);
    let right = [
        ("grant_type", "authorization_code"),
        ("client_id", USER_POOL_CLIENT_ID),
        ("redirect_uri", home.as_str()),
        ("code_verifier", VERIFIER),
    ];
    for (name, value, error) in [
        ("code_verifier", "another-verifier", "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        ("redirect_uri", "http://localhost:5173/", "invalid_grant"),
        ("client_id", "another", "invalid_client"),
        ("client_secret", "secret", "invalid_client"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
        ("code", "unknown", "invalid_grant"),
    ] {
        let back = sign_in(&stack, &mut Browser::default(), ADA, &password).await;
        let code = parameter(&location(&back), "code");
        let mut fields = right.to_vec();
        fields.push(("code", code.as_str()));
        fields.retain(|(own, _)| *own != name);
        fields.push((name, value));
        let (status, answer) = token(&stack, &fields).await;
        assert_eq!(
            (status, &answer["error"]),
            (400, &json!(error)),
            "{name}={value}"
        );
        assert!(answer.get("id_token").is_none());
    }
    let mut browser = Browser::default();
    let code = parameter(
        &location(&sign_in(&stack, &mut browser, ADA, &password).await),
        "code",
    );
    assert_eq!(exchange(&stack, &code).await.0, 200);
    let (status, answer) = exchange(&stack, &code).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));

    // The browser is still signed in: another code comes without a form, but not after five minutes.
    let back = browser.get(&authorize_url(&stack, &[])).await;
    let late = parameter(&location(&back), "code");
    stack.cognito().pass_time(Duration::from_mins(5));
    assert_eq!(exchange(&stack, &late).await.1["error"], "invalid_grant");
}

async fn refresh(stack: &Stack, refresh_token: &Value) -> (u16, Value) {
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", USER_POOL_CLIENT_ID),
        ("refresh_token", refresh_token.as_str().unwrap()),
    ];
    token(stack, &fields).await
}

async fn user_info(stack: &Stack, tokens: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let url = format!("{}/oauth2/userInfo", stack.endpoints().cognito);
    get(&url, &[("authorization", &bearer)]).await
}

#[tokio::test]
async fn tokens_expire_and_are_refreshed_until_that_ends_too() {
    let cognito = CognitoOptions {
        token_validity: Duration::from_mins(10),
        refresh_validity: Duration::from_mins(30),
        ..CognitoOptions::default()
    };
    let options = StackOptions {
        cognito,
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let first = tokens(&stack, ADA).await;
    assert_eq!(user_info(&stack, &first).await.0, 200);
    stack.cognito().pass_time(Duration::from_mins(10));
    let (status, answer) = user_info(&stack, &first).await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_token")));

    let (status, second) = refresh(&stack, &first["refresh_token"]).await;
    assert_eq!(status, 200);
    assert!(second.get("refresh_token").is_none());
    assert_eq!(user_info(&stack, &second).await.0, 200);
    let [old, new] = [&first, &second].map(|tokens| claims(&tokens["id_token"]));
    for claim in ["sub", "auth_time", "origin_jti", "email"] {
        assert_eq!(old[claim], new[claim], "{claim}");
    }
    assert_ne!(old["jti"], new["jti"]);
    assert!(new["exp"].as_u64() >= old["exp"].as_u64().map(|exp| exp + 600));

    // Through HTTP, as a test in a browser does it.
    let url = format!("{}/local/pass-time", stack.endpoints().cognito);
    let pass = async |content_type: &str| {
        let headers = [("content-type", content_type)];
        send(Method::POST, &url, &headers, r#"{"seconds": 1200}"#)
            .await
            .status()
    };
    assert_eq!(pass("text/plain").await, 400);
    assert_eq!(refresh(&stack, &first["refresh_token"]).await.0, 200);
    assert_eq!(pass("application/json").await, 200);
    let (status, answer) = refresh(&stack, &first["refresh_token"]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn a_revoked_sign_in_is_over() {
    let stack = client::start().await;
    let tokens = tokens(&stack, ADA).await;
    let revoke = async |field: &str, client: &str| {
        let token = tokens[field].as_str().unwrap();
        post(
            &stack,
            "/oauth2/revoke",
            &[("token", token), ("client_id", client)],
        )
        .await
    };
    assert_eq!(
        revoke("refresh_token", "another").await.1["error"],
        "invalid_client"
    );
    let access = revoke("access_token", USER_POOL_CLIENT_ID).await;
    assert_eq!(access.1["error"], "unsupported_token_type");
    assert_eq!(user_info(&stack, &tokens).await.0, 200);
    assert_eq!(revoke("refresh_token", USER_POOL_CLIENT_ID).await.0, 200);
    assert_eq!(revoke("refresh_token", USER_POOL_CLIENT_ID).await.0, 200);
    assert_eq!(refresh(&stack, &tokens["refresh_token"]).await.0, 400);
    assert_eq!(user_info(&stack, &tokens).await.0, 401);
}

#[tokio::test]
async fn signing_out_asks_for_the_password_again() {
    let stack = client::start().await;
    let password = stack.cognito().add_user(ADA).unwrap();
    let mut browser = Browser::default();
    sign_in(&stack, &mut browser, ADA, &password).await;
    let authorize = authorize_url(&stack, &[]);
    assert!(location(&browser.get(&authorize).await).contains("code="));
    let again = browser
        .get(&authorize_url(&stack, &[("prompt", "login")]))
        .await;
    assert!(location(&again).starts_with("/login?"));

    let logout = |client: &str, uri: &str| {
        let query = crate::browser::query(&[("client_id", client), ("logout_uri", uri)]);
        format!("{}/logout?{query}", stack.endpoints().cognito)
    };
    for (client, uri) in [
        (USER_POOL_CLIENT_ID, "http://evil.example/"),
        ("another", home(&stack).as_str()),
    ] {
        let answer = browser.get(&logout(client, uri)).await;
        assert_eq!(answer.status(), 400, "{uri}");
    }
    assert!(location(&browser.get(&authorize).await).contains("code="));
    let answer = browser
        .get(&logout(USER_POOL_CLIENT_ID, &home(&stack)))
        .await;
    assert_eq!(location(&answer), home(&stack));
    assert!(location(&browser.get(&authorize).await).starts_with("/login?"));
}
