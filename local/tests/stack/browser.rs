//! A browser without scripts, and the page that signs people in.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Response};
use local::{
    Stack,
    cognito::{IDENTITY_POOL_ID, USER_POOL_CLIENT_ID},
};
use ring::digest;
use serde_json::{Value, json};

use crate::client::{json, send};

pub(crate) const PASSWORD: &str = "Correct-horse-1";
pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-43-characters-as-the-rfc-wants-it";

pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The value of a parameter in a URL's query; empty if there is none.
pub(crate) fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .find(|(own, _)| own == name)
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

pub(crate) fn text(answer: &Response<Bytes>) -> String {
    String::from_utf8(answer.body().to_vec()).unwrap()
}

/// Where an answer leads.
pub(crate) fn location(answer: &Response<Bytes>) -> String {
    assert_eq!(answer.status(), 303, "{}", text(answer));
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// The path and query of a URL of the page's own server.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn ask(&mut self, method: Method, url: &str, body: String) -> Response<Bytes> {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let headers = [
            ("cookie", cookies.join("; ")),
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        let headers = [0, 1].map(|at: usize| (headers[at].0, headers[at].1.as_str()));
        let answer = send(method, url, &headers, body).await;
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(
                cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
                "{cookie}"
            );
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn get(&mut self, url: &str) -> Response<Bytes> {
        self.ask(Method::GET, url, String::new()).await
    }

    /// Fills in the form at `url` and sends it, as a whole to `action`.
    pub(crate) async fn submit(
        &mut self,
        url: &str,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Response<Bytes> {
        let page = text(&self.get(url).await);
        let token = page.split_once("name=\"_csrf\" value=\"").expect(&page).1;
        let token = token.split_once('"').unwrap().0;
        let mut all = vec![("_csrf", token)];
        all.extend_from_slice(fields);
        let (server, rest) = url.split_at(url[8..].find('/').unwrap() + 8);
        let query = rest.split_once('?').unwrap().1;
        let action = format!("{server}{action}?{query}");
        self.ask(Method::POST, &action, self::query(&all)).await
    }
}

/// Where the page has people sent back to.
pub(crate) fn home(stack: &Stack) -> String {
    format!("{}/", stack.endpoints().dashboard)
}

/// A request for authorization, with what is to be different.
pub(crate) fn authorize_url(stack: &Stack, changes: &[(&str, &str)]) -> String {
    let challenge = digest::digest(&digest::SHA256, VERIFIER.as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(challenge);
    let home = home(stack);
    let mut parameters = BTreeMap::from([
        ("response_type", "code"),
        ("client_id", USER_POOL_CLIENT_ID),
        ("redirect_uri", home.as_str()),
        ("scope", "openid email profile"),
        ("state", "the state & more"),
        ("nonce", "the nonce"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    parameters.extend(changes.iter().copied());
    parameters.retain(|_, value| !value.is_empty());
    let parameters: Vec<(&str, &str)> = parameters.into_iter().collect();
    format!(
        "{}/oauth2/authorize?{}",
        stack.endpoints().cognito,
        query(&parameters)
    )
}

/// The URL of a page that another one of the same server led to.
pub(crate) fn there(stack: &Stack, answer: &Response<Bytes>) -> String {
    format!("{}{}", stack.endpoints().cognito, location(answer))
}

/// Goes to the sign-in form.
pub(crate) async fn login_url(stack: &Stack, browser: &mut Browser) -> String {
    there(stack, &browser.get(&authorize_url(stack, &[])).await)
}

/// Signs in and gives the way back.
pub(crate) async fn sign_in(
    stack: &Stack,
    browser: &mut Browser,
    address: &str,
    password: &str,
) -> Response<Bytes> {
    let login = login_url(stack, browser).await;
    let fields = [("username", address), ("password", password)];
    browser.submit(&login, "/login", &fields).await
}

/// A request to the token endpoint.
pub(crate) async fn token(stack: &Stack, fields: &[(&str, &str)]) -> (u16, Value) {
    post(stack, "/oauth2/token", fields).await
}

pub(crate) async fn post(stack: &Stack, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}{path}", stack.endpoints().cognito);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = send(Method::POST, &url, &headers, query(fields)).await;
    let body = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), body)
}

/// Tokens for a code.
pub(crate) async fn exchange(stack: &Stack, code: &str) -> (u16, Value) {
    let home = home(stack);
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", USER_POOL_CLIENT_ID),
        ("code", code),
        ("redirect_uri", home.as_str()),
        ("code_verifier", VERIFIER),
    ];
    token(stack, &fields).await
}

/// Tokens of somebody who is added to the pool.
pub(crate) async fn tokens(stack: &Stack, address: &str) -> Value {
    let password = stack.cognito().add_user(address).unwrap();
    let back = sign_in(stack, &mut Browser::default(), address, &password).await;
    let (status, tokens) = exchange(stack, &parameter(&location(&back), "code")).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

/// The claims of a token, unchecked.
pub(crate) fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A call of the identity pool.
pub(crate) async fn identity(stack: &Stack, operation: &str, request: &Value) -> (u16, Value) {
    let target = format!("AWSCognitoIdentityService.{operation}");
    json(&stack.endpoints().cognito, &target, request).await
}

pub(crate) fn logins(stack: &Stack, token: &str) -> Value {
    json!({ stack.cognito().provider(): token })
}

/// The answer of the identity pool with credentials for somebody's ID token.
pub(crate) async fn credentials(stack: &Stack, tokens: &Value) -> Value {
    let logins = logins(stack, tokens["id_token"].as_str().unwrap());
    let request = json!({ "IdentityPoolId": IDENTITY_POOL_ID, "Logins": logins });
    let (status, id) = identity(stack, "GetId", &request).await;
    assert_eq!(status, 200, "{id}");
    let request = json!({ "IdentityId": id["IdentityId"], "Logins": logins });
    let (status, answer) = identity(stack, "GetCredentialsForIdentity", &request).await;
    assert_eq!(status, 200, "{answer}");
    answer
}
