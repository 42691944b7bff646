//! What tests in a browser, which have no [`Stack`](crate::Stack) at hand, ask of it by HTTP.
//!
//! It must be asked with JSON: to send that from a page of the internet a browser asks first, and is refused.

use std::time::Duration;

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::answer::json;
use super::pool::Cognito;
use crate::faults::FaultPlan;

impl Cognito {
    /// Answers a request to `/local/…`.
    pub(super) fn control(&self, head: &Parts, body: &[u8]) -> Response<Body> {
        let content_type = head.headers.get(header::CONTENT_TYPE);
        let is_json = content_type.is_some_and(|own| own == "application/json");
        let done = match (&head.method, head.uri.path()) {
            (&Method::GET, "/local/faults") => Ok(self.faults.to_json()),
            (&Method::POST, "/local/faults" | "/local/pass-time") if !is_json => {
                Err("the content type must be application/json".to_owned())
            }
            (&Method::POST, "/local/faults") => self.set_faults(body),
            (&Method::POST, "/local/pass-time") => self.pass_seconds(body),
            _ => return json(StatusCode::NOT_FOUND, &json!({ "error": "not_found" })),
        };
        match done {
            Ok(answer) => json(StatusCode::OK, &answer),
            Err(error) => json(StatusCode::BAD_REQUEST, &json!({ "error": error })),
        }
    }

    /// [`Faults::set`](crate::Faults::set), with `{"faults": [{"operation": "UploadPart", "on": "uploads/", "calls": [2, 5],
    /// "fault": "ResetBefore"}]}`. The answer, and that of a `GET`, is what was called and injected since.
    fn set_faults(&self, body: &[u8]) -> Result<Value, String> {
        self.faults.set(FaultPlan::from_json(body)?);
        Ok(self.faults.to_json())
    }

    /// [`Self::pass_time`], with `{"seconds": 3600}`.
    fn pass_seconds(&self, body: &[u8]) -> Result<Value, String> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let seconds = request["seconds"].as_u64();
        let seconds = seconds.ok_or("the body must be JSON: {\"seconds\": N}")?;
        self.pass_time(Duration::from_secs(seconds));
        Ok(json!({}))
    }
}
