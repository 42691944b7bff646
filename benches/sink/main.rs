//! A loopback DynamoDB that takes every row and keeps none, and a loopback S3 that serves files: with these, what an
//! import costs is the importer's.
//!
//! `cargo run --release -p benches --bin sink` prints the endpoint to give as `AWS_ENDPOINT_URL_DYNAMODB` and
//! `AWS_ENDPOINT_URL_S3`. It ends when its standard input does, and then prints what it took. `GET /-/taken` says the
//! same at any time: no bucket can be called `-`.

mod behind;
mod objects;
mod table;
mod tls;

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read as HyperRead, Write as HyperWrite};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use behind::Behind;
use objects::{FilePart, Objects};
use table::Table;
use tls::Tls;

/// A loopback DynamoDB that takes every row and keeps none, and a loopback S3 that serves files.
#[derive(Debug, Parser)]
struct Arguments {
    /// Listen with TLS, too: prints its address, and the file of the certificate to trust
    #[arg(long)]
    tls: bool,

    /// Serve the folders in DIR as S3 buckets
    #[arg(long, value_name = "DIR")]
    objects: Option<PathBuf>,

    /// Write the body of each `BatchWriteItem` to FILE, one a line
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Count how many rows with different keys come, of about so many, to see that none comes twice
    #[arg(long, value_name = "ROWS")]
    distinct: Option<usize>,

    /// Pass on what the sink does not answer itself to a DynamoDB, which keeps jobs, and an S3, which keeps reports
    #[arg(long, value_names = ["DYNAMODB_URL", "S3_URL"], num_args = 2, value_parser = service)]
    behind: Option<Vec<Arc<Behind>>>,
}

fn service(url: &str) -> Result<Arc<Behind>, String> {
    Behind::new(url).map(Arc::new)
}

/// What a response consists of.
type Body = Either<Full<Bytes>, FilePart>;

struct Sink {
    table: Table,
    objects: Option<Objects>,
    tls: Option<Tls>,
    /// DynamoDB and S3.
    behind: Option<[Arc<Behind>; 2]>,
}

impl Sink {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
        let (head, body) = request.into_parts();
        if let Some(target) = head.headers.get("x-amz-target") {
            let body = body.collect().await?.to_bytes();
            return Ok(match &self.behind {
                Some([dynamodb, _]) if !Table::answers(target, &body) => {
                    dynamodb.answer(head, body).await
                }
                _ => self.table.answer(target, &body).map(Either::Left),
            });
        }
        let (objects, path) = (self.objects.as_ref(), head.uri.path());
        if path == "/-/taken" {
            return Ok(Response::new(Either::Left(self.taken().into())));
        }
        Ok(match (objects, &self.behind) {
            (objects, Some([_, s3])) if objects.is_none_or(|objects| !objects.has(path)) => {
                s3.answer(head, body.collect().await?.to_bytes()).await
            }
            (Some(objects), _) => objects.answer(&head),
            (None, _) => objects::refusal(404, "NoSuchBucket", &head.method),
        })
    }

    /// What was taken so far, one kind a line: its name, then numbers, each with its unit.
    fn taken(&self) -> String {
        let mut lines = self.table.taken();
        if let Some(objects) = &self.objects {
            lines.push_str(&objects.taken());
        }
        if let Some(tls) = &self.tls {
            lines.push_str(&tls.taken());
        }
        lines
    }

    /// Answers the requests of one connection until its client goes away, which is no matter of the sink's.
    async fn serve(&self, connection: impl HyperRead + HyperWrite + Unpin) {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(connection, service_fn(|request| self.answer(request)))
            .await
            .ok();
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "what a program says")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let plain = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", plain.local_addr()?);
    let mut encrypted = None;
    let tls = if arguments.tls {
        let (tls, listener) = (Tls::new()?, TcpListener::bind("127.0.0.1:0").await?);
        println!("https://{}", listener.local_addr()?);
        println!("{}", tls.authority().display());
        encrypted = Some(listener);
        Some(tls)
    } else {
        None
    };
    let sink = Arc::new(Sink {
        table: Table::new(arguments.record.as_deref(), arguments.distinct)?,
        objects: arguments.objects.map(Objects::new),
        tls,
        behind: arguments.behind.and_then(|both| both.try_into().ok()),
    });

    let input_ends = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    tokio::pin!(input_ends);
    loop {
        tokio::select! {
            accepted = plain.accept() => {
                let (stream, sink) = (ready(accepted?.0)?, Arc::clone(&sink));
                tokio::spawn(async move { sink.serve(TokioIo::new(stream)).await });
            }
            accepted = next(encrypted.as_ref()) => {
                let (stream, sink) = (ready(accepted?)?, Arc::clone(&sink));
                tokio::spawn(async move {
                    if let Some(stream) = tls::handshake(sink.tls.as_ref(), stream).await {
                        sink.serve(TokioIo::new(stream)).await;
                    }
                });
            }
            _ = &mut input_ends => break,
        }
    }
    sink.table.end()?;
    print!("{}", sink.taken());
    Ok(())
}

/// The next connection of a listener that may not be there.
async fn next(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
