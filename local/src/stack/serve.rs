//! What stands between each service and its clients: faults, which pages may call, and what signed-in users may do.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use s3s::service::S3Service;
use tower::{ServiceBuilder, service_fn};

use crate::capacity::Capacity;
use crate::faults::{Faults, guard};
use crate::server::{
    Bound, BoxError, CloseConnection, Handler, MAX_BODY_BYTES, Server, cors, header,
    read_body_up_to, service,
};
use crate::services::Service;
use crate::services::dynamodb::Proxy;
use crate::sign_in::{Access, refuse_signed_in_users};

/// Serves `handler` with faults at the first address and without at the second; signed-in users have nothing to do there.
pub(super) fn serve(
    [open, behind]: [Bound; 2],
    faults: &Faults,
    kind: Service,
    handler: &Arc<impl Handler>,
) -> [Server; 2] {
    let inner = refuse_signed_in_users(kind, service(handler));
    let guarded = guard(faults.clone(), kind, inner.clone());
    [
        Server::start(open.listener, guarded),
        Server::start(behind.listener, inner),
    ]
}

/// Serves S3, to pages, too, with faults at the first address and without at the second.
pub(super) fn serve_objects(
    [open, behind]: [Bound; 2],
    faults: &Faults,
    service: S3Service,
) -> [Server; 2] {
    // As the deployed bucket: a browser may upload, and needs the ETag of each part.
    let pages = ServiceBuilder::new().layer(cors(["etag", "x-amz-version-id"]));
    let guarded = guard(faults.clone(), Service::S3, service.clone());
    [
        Server::start(open.listener, pages.clone().service(guarded)),
        Server::start(behind.listener, pages.service(service)),
    ]
}

/// Serves DynamoDB with faults, to pages, too.
pub(super) fn serve_tables(open: Bound, faults: &Faults, front: TableFront) -> Server {
    let front = service_fn(move |request| front.clone().answer(request));
    let guarded = ServiceBuilder::new()
        .layer(cors(["x-amzn-requestid", "x-amz-crc32"]))
        .service(guard(faults.clone(), Service::DynamoDb, front));
    Server::start(open.listener, guarded)
}

/// DynamoDB for whom it is allowed to, and as much of it as the table's capacity admits.
#[derive(Debug, Clone)]
pub(super) struct TableFront {
    pub(super) proxy: Proxy,
    pub(super) capacity: Option<Capacity>,
    pub(super) access: Access,
}

impl TableFront {
    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        // Twice what DynamoDB takes, so that it is DynamoDB that refuses a body.
        let body = read_body_up_to(2 * MAX_BODY_BYTES, body).await;
        let body = body.ok_or(CloseConnection)?;
        if let Some(refusal) = self.access.refuse_table_request(&head, &body) {
            return Ok(refusal);
        }
        let target = header(&head.headers, "x-amz-target").unwrap_or_default();
        match &self.capacity {
            Some(capacity) if target.ends_with(".BatchWriteItem") => {
                capacity.write_batch(&self.proxy, head, &body).await
            }
            _ => self.proxy.forward(head, body).await,
        }
    }
}
