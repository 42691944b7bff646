use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::answer::{answer, json};
use super::hosted::PageRequest;
use super::html;
use super::pool::{Cognito, USER_POOL_ID};
use super::request::parameters;
use crate::server::{Handler, read_body};

impl Handler for Cognito {
    async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let Some(body) = read_body(body).await else {
            let refused = json!({ "error": "invalid_request" });
            return json(StatusCode::PAYLOAD_TOO_LARGE, &refused);
        };
        self.answer(&head, body).await
    }
}

impl Cognito {
    async fn answer(self: Arc<Self>, head: &Parts, body: Bytes) -> Response<Body> {
        let path = head.uri.path();
        let well_known = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(USER_POOL_ID))
            .and_then(|path| path.strip_prefix("/.well-known/"));
        let is_post = head.method == Method::POST;
        let form = || parameters(&body);
        let page = PageRequest {
            head,
            form: is_post.then(form),
        };
        match (&head.method, well_known.unwrap_or(path)) {
            (&Method::GET, "openid-configuration") => self.discovery(),
            (&Method::GET, "jwks.json") => json(StatusCode::OK, &self.key.key_set()),
            (&Method::GET, "/oauth2/authorize") => self.authorize(&page),
            (&Method::GET | &Method::POST, "/login" | "/signup" | "/confirmUser")
            | (&Method::POST, "/resendcode") => self.form(&page).await,
            (&Method::GET, "/logout") => self.logout(&page),
            (&Method::POST, "/oauth2/token") => self.token(head, &form()),
            (&Method::GET | &Method::POST, "/oauth2/userInfo") => self.user_info(head),
            (&Method::POST, "/oauth2/revoke") => self.revoke(&form()),
            (&Method::GET, "/style.css") => answer(
                StatusCode::OK,
                "text/css;charset=UTF-8",
                html::STYLE.to_owned(),
            ),
            (&Method::GET, "/inbox") => self.inbox(head),
            (&Method::POST, "/") => self.identity(head, &body),
            _ if path.starts_with("/local/") => self.control(head, &body),
            _ => json(StatusCode::NOT_FOUND, &json!({ "error": "not_found" })),
        }
    }
}
