//! The hosted pages: signing in, signing up, confirming and signing out.

use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use http::{Response, StatusCode, header};

use super::answer::{answer, see_other, set_cookie};
use super::grants::{SESSION_VALIDITY, Session};
use super::html::{self, FormContext, Notice};
use super::pool::{Cognito, USER_POOL_CLIENT_ID};
use super::request::{AuthorizeError, AuthorizeRequest, Parameters, parameters};
use super::users::{AccountError, User};
use crate::server::set_header;
use crate::sign_in::random;

/// Names of the cookies, as Cognito's.
const SESSION_COOKIE: &str = "cognito";
/// Of this stand-in: who signed up here need not type the password again after confirming.
const SIGN_UP_COOKIE: &str = "cognito-sign-up";
const TOKEN_COOKIE: &str = "XSRF-TOKEN";

/// A request for one of the pages.
pub(super) struct PageRequest<'a> {
    pub(super) head: &'a Parts,
    /// What was sent; `None` if the page is only looked at.
    pub(super) form: Option<Parameters>,
}

impl PageRequest<'_> {
    fn query(&self) -> Parameters {
        parameters(self.head.uri.query().unwrap_or_default().as_bytes())
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.head.headers.get_all(header::COOKIE);
        let cookies = lines.iter().filter_map(|line| line.to_str().ok());
        let mut pairs = cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The token in the cookie, if it may be one.
    fn token(&self) -> Option<&str> {
        self.cookie(TOKEN_COOKIE)
            .filter(|token| token.len() >= 32 && token.bytes().all(|b| b.is_ascii_graphic()))
    }

    fn field(&self, name: &str) -> &str {
        let form = self.form.as_ref();
        form.and_then(|form| form.get(name))
            .map_or("", String::as_str)
    }
}

/// A page, with what keeps others from using it.
fn page(pool: &Cognito, status: StatusCode, html: String) -> Response<Body> {
    let mut response = answer(status, "text/html;charset=UTF-8", html);
    // Browsers apply form-action to where a form's answer redirects, too.
    let origins: Vec<&str> = pool.callback_urls.iter().map(|url| origin(url)).collect();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self' {}; base-uri 'none'; \
         frame-ancestors 'none'",
        origins.join(" ")
    );
    set_header(&mut response, header::CONTENT_SECURITY_POLICY, &policy);
    set_header(&mut response, header::X_FRAME_OPTIONS, "DENY");
    set_header(&mut response, header::REFERRER_POLICY, "no-referrer");
    response
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..host + end])
}

/// Shows a form.
fn show(
    pool: &Cognito,
    request: &PageRequest<'_>,
    status: StatusCode,
    draw: fn(FormContext<'_>) -> String,
    (query, notice, address): (&str, Notice<'_>, &str),
) -> Response<Body> {
    let known = request.token();
    let token = known.map_or_else(random::text, str::to_owned);
    let context = FormContext {
        query,
        token: &token,
        notice,
        address,
    };
    let mut response = page(pool, status, draw(context));
    if known.is_none() {
        let cookie = format!("{TOKEN_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax");
        set_cookie(&mut response, &cookie);
    }
    response
}

/// Shows a form once more, with what was wrong.
fn show_error(
    pool: &Cognito,
    request: &PageRequest<'_>,
    wanted: &AuthorizeRequest,
    draw: fn(FormContext<'_>) -> String,
    (error, address): (AccountError, &str),
) -> Response<Body> {
    let (query, error) = (wanted.query(&[]), error.to_string());
    let shown = (query.as_str(), Notice::Error(&error), address);
    show(pool, request, StatusCode::BAD_REQUEST, draw, shown)
}

fn refuse(pool: &Cognito, refused: AuthorizeError) -> Response<Body> {
    match refused {
        AuthorizeError::Shown(reason) => {
            page(pool, StatusCode::BAD_REQUEST, html::failure(&reason))
        }
        AuthorizeError::Redirected(location) => see_other(&location),
    }
}

impl Cognito {
    /// `/oauth2/authorize`: back with a code if the browser is signed in, or else to the form.
    pub(super) fn authorize(&self, request: &PageRequest<'_>) -> Response<Body> {
        let query = request.query();
        let wanted = match AuthorizeRequest::parse(self, &query) {
            Ok(wanted) => wanted,
            Err(refused) => return refuse(self, refused),
        };
        let prompt = query.get("prompt").map(String::as_str);
        let cookie = request
            .cookie(SESSION_COOKIE)
            .filter(|_| prompt != Some("login"));
        let session = cookie.and_then(|cookie| self.grants.session(cookie, self.clock.now()));
        match session {
            Some(session) => see_other(&self.redirect_with_code(&wanted, &session)),
            None if prompt == Some("none") => {
                see_other(&wanted.redirect_url(&[("error", "login_required")]))
            }
            None => see_other(&format!("/login?{}", wanted.query(&[]))),
        }
    }

    fn redirect_with_code(&self, wanted: &AuthorizeRequest, session: &Session) -> String {
        let proof = (wanted.challenge.as_str(), wanted.nonce.as_deref());
        let (scope, redirect_uri) = (&wanted.scope, &wanted.redirect_uri);
        let code = self
            .grants
            .code(session, scope, redirect_uri, proof, self.clock.now());
        wanted.redirect_url(&[("code", &code)])
    }

    /// `/login`, `/signup`, `/confirmUser` and `/resendcode`.
    pub(super) async fn form(self: Arc<Self>, request: &PageRequest<'_>) -> Response<Body> {
        let query = request.query();
        let wanted = match AuthorizeRequest::parse(&self, &query) {
            Ok(wanted) => wanted,
            Err(refused) => return refuse(&self, refused),
        };
        let path = request.head.uri.path();
        if request.form.is_none() {
            let address = query.get("username").map_or("", String::as_str);
            let (draw, notice): (fn(FormContext<'_>) -> String, _) = match path {
                "/signup" => (html::sign_up, Notice::None),
                "/confirmUser" => (html::confirm, Notice::None),
                _ if query.contains_key("confirmed") => (
                    html::login,
                    Notice::Success("Your account is confirmed. Sign in."),
                ),
                _ => (html::login, Notice::None),
            };
            let query = wanted.query(&[]);
            return show(
                &self,
                request,
                StatusCode::OK,
                draw,
                (&query, notice, address),
            );
        }
        let token = request.field("_csrf");
        if token.is_empty() || request.token() != Some(token) {
            let reason = "This form was not opened in this browser, or is too old: go back and reload the page.";
            return page(&self, StatusCode::FORBIDDEN, html::failure(reason));
        }
        match path {
            "/signup" => self.sign_up(request, &wanted).await,
            "/confirmUser" => self.confirm(request, &wanted),
            "/resendcode" => self.resend(request, &wanted),
            _ => self.login(request, &wanted).await,
        }
    }

    async fn login(
        self: Arc<Self>,
        request: &PageRequest<'_>,
        wanted: &AuthorizeRequest,
    ) -> Response<Body> {
        let address = request.field("username").to_owned();
        let password = request.field("password").to_owned();
        let pool = Arc::clone(&self);
        let typed = address.clone();
        let checked =
            tokio::task::spawn_blocking(move || pool.users.sign_in(&typed, &password)).await;
        // The error is that it panicked.
        match checked.unwrap_or(Err(AccountError::NotAuthorized)) {
            Ok(user) => self.finish_sign_in(wanted, user),
            Err(AccountError::NotConfirmed) => see_other(&confirm_page(wanted, &address)),
            Err(error) => show_error(&self, request, wanted, html::login, (error, &address)),
        }
    }

    /// Back to the client as somebody, whom the browser remembers.
    fn finish_sign_in(&self, wanted: &AuthorizeRequest, user: User) -> Response<Body> {
        let now = self.clock.now();
        let session = Session {
            sub: user.sub,
            auth_time: now,
        };
        let mut response = see_other(&self.redirect_with_code(wanted, &session));
        remember(
            &mut response,
            SESSION_COOKIE,
            &self.grants.start_session(session, now),
        );
        response
    }

    async fn sign_up(
        self: Arc<Self>,
        request: &PageRequest<'_>,
        wanted: &AuthorizeRequest,
    ) -> Response<Body> {
        let address = request.field("username").to_owned();
        let password = request.field("password").to_owned();
        let pool = Arc::clone(&self);
        let typed = address.clone();
        let now = self.clock.now();
        let added =
            tokio::task::spawn_blocking(move || pool.users.sign_up(&typed, &password, now)).await;
        match added.unwrap_or(Err(AccountError::NotAuthorized)) {
            Ok((user, code)) => {
                self.send_code(&user.address, &code);
                let mut response = see_other(&confirm_page(wanted, &user.address));
                let secret = self.grants.remember_sign_up(user.sub, now);
                remember(&mut response, SIGN_UP_COOKIE, &secret);
                response
            }
            Err(error) => show_error(&self, request, wanted, html::sign_up, (error, &address)),
        }
    }

    fn confirm(&self, request: &PageRequest<'_>, wanted: &AuthorizeRequest) -> Response<Body> {
        let address = request.field("username");
        let confirmed = self
            .users
            .confirm(address, request.field("code"), self.clock.now());
        match confirmed {
            Ok(user) if self.signed_up_here(request, &user) => self.finish_sign_in(wanted, user),
            Ok(_) => {
                let query = wanted.query(&[("username", address), ("confirmed", "true")]);
                see_other(&format!("/login?{query}"))
            }
            Err(error) => show_error(self, request, wanted, html::confirm, (error, address)),
        }
    }

    fn signed_up_here(&self, request: &PageRequest<'_>, user: &User) -> bool {
        let now = self.clock.now();
        let secret = request.cookie(SIGN_UP_COOKIE);
        secret.is_some_and(|secret| self.grants.has_signed_up(secret, &user.sub, now))
    }

    fn resend(&self, request: &PageRequest<'_>, wanted: &AuthorizeRequest) -> Response<Body> {
        let address = request.field("username");
        if let Some((user, code)) = self.users.new_code(address, self.clock.now()) {
            self.send_code(&user.address, &code);
        }
        let sent = "If this account has still to be confirmed, a new code was sent.";
        let query = wanted.query(&[]);
        let shown = (query.as_str(), Notice::Success(sent), address);
        show(self, request, StatusCode::OK, html::confirm, shown)
    }

    fn send_code(&self, address: &str, code: &str) {
        let text = format!("Your confirmation code is {code}");
        self.mailbox.send(address, "Your verification code", text);
    }

    /// [`/logout`](https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html): back to the client, or
    /// to the form for another sign-in. Tokens stay valid.
    pub(super) fn logout(&self, request: &PageRequest<'_>) -> Response<Body> {
        let query = request.query();
        let parameter = |name: &str| query.get(name).map_or("", String::as_str);
        let location = match query.get("logout_uri") {
            _ if parameter("client_id") != USER_POOL_CLIENT_ID => {
                let refused = AuthorizeError::Shown("Client does not exist.".to_owned());
                return refuse(self, refused);
            }
            Some(url) if self.is_registered(url) => url.clone(),
            Some(url) => {
                let reason = format!("redirect_mismatch: {url} is no address to sign out to");
                return refuse(self, AuthorizeError::Shown(reason));
            }
            None => match AuthorizeRequest::parse(self, &query) {
                Ok(wanted) => format!("/login?{}", wanted.query(&[])),
                Err(refused) => return refuse(self, refused),
            },
        };
        if let Some(cookie) = request.cookie(SESSION_COOKIE) {
            self.grants.end_session(cookie, self.clock.now());
        }
        let mut response = see_other(&location);
        for name in [SESSION_COOKIE, SIGN_UP_COOKIE] {
            let gone = format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
            set_cookie(&mut response, &gone);
        }
        response
    }

    /// `/inbox` for people.
    pub(super) fn inbox_page(&self, messages: &[serde_json::Value]) -> Response<Body> {
        page(self, StatusCode::OK, html::inbox(messages))
    }
}

/// Sets a cookie for as long as the browser is remembered.
fn remember(response: &mut Response<Body>, name: &str, value: &str) {
    let seconds = SESSION_VALIDITY.as_secs();
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    set_cookie(response, &cookie);
}

fn confirm_page(wanted: &AuthorizeRequest, address: &str) -> String {
    format!("/confirmUser?{}", wanted.query(&[("username", address)]))
}
