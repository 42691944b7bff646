//! A loopback DynamoDB that takes every row and keeps none, for measuring the importer alone.
//!
//! `cargo run --release -p benches --bin sink` prints the endpoint to give as `AWS_ENDPOINT_URL_DYNAMODB`. It answers
//! `DescribeTable` and `BatchWriteItem`, checks nothing, and prints the rows it took when its standard input ends.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;

const TABLE: &str = r#"{"Table":{"TableName":"InventoryTable","TableStatus":"ACTIVE",
    "KeySchema":[{"AttributeName":"productId","KeyType":"HASH"}],
    "AttributeDefinitions":[{"AttributeName":"productId","AttributeType":"S"}]}}"#;

async fn answer(
    request: Request<Incoming>,
    rows: &AtomicU64,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let target = request.headers().get("x-amz-target").cloned();
    let body = request.into_body().collect().await?.to_bytes();
    let describe = target.is_some_and(|t| t.as_bytes().ends_with(b".DescribeTable"));
    let answer = if describe {
        TABLE.to_owned()
    } else {
        let count = memchr::memmem::find_iter(&body, b"{\"PutRequest\":{\"Item\":").count();
        rows.fetch_add(count as u64, Relaxed);
        format!(
            r#"{{"UnprocessedItems":{{}},"ConsumedCapacity":[{{"TableName":"InventoryTable","CapacityUnits":{count}}}]}}"#
        )
    };
    let mut response = Response::new(Full::new(Bytes::from(answer)));
    let json = hyper::header::HeaderValue::from_static("application/x-amz-json-1.0");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "what a program says")]
async fn main() -> std::io::Result<()> {
    let rows = Arc::new(AtomicU64::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let input_ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::pin!(input_ends);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = &mut input_ends => break,
        };
        stream.set_nodelay(true)?;
        let rows = Arc::clone(&rows);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let rows = Arc::clone(&rows);
                async move { answer(request, &rows).await }
            });
            // A client that goes away is no matter of the sink's.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
    println!("{} rows", rows.load(Relaxed));
    Ok(())
}
