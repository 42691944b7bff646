use std::convert::Infallible;

use axum::body::Body;
use http::{Request, Response};
use tower::ServiceExt as _;

use super::keys::{access_key_id, is_temporary};
use crate::deployment::ACCOUNT_ID;
use crate::faults::access_denied;
use crate::server::read_body;
use crate::services::Service;

/// Refuses every call of a signed-in user to `inner`: the role has nothing to do there.
pub(crate) fn refuse_signed_in_users<S>(
    service: Service,
    inner: S,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    tower::service_fn(move |request: Request<Body>| {
        let inner = inner.clone();
        async move {
            let (head, body) = request.into_parts();
            if !access_key_id(&head).is_some_and(|key| is_temporary(&key)) {
                return inner.oneshot(Request::from_parts(head, body)).await;
            }
            let body = read_body(body).await.unwrap_or_default();
            Ok(access_denied(service, &head, &body))
        }
    })
}

/// How IAM says that no statement allows it.
pub(super) fn not_authorized(action: &str, resource: &str) -> String {
    format!(
        "User: arn:aws:sts::{ACCOUNT_ID}:assumed-role/DashboardUserRole/CognitoIdentityCredentials is not authorized to \
         perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
    )
}
