//! A server that is no HTTP server: it sends the bytes it is told to, and hangs up.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// An answer to `BatchWriteItem` that is good, with these headers added.
pub(crate) fn good(headers: &str) -> String {
    let body = "{\"UnprocessedItems\":{}}";
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

/// Accepts one connection for each of `connections`, answers as many requests on it as there are answers, and closes it.
///
/// The receiver gets a message at the end of each connection. The server has a thread of its own: when its message is
/// there, so is the end of the connection.
pub(crate) fn serve(connections: Vec<Vec<String>>) -> (String, UnboundedReceiver<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, closed) = unbounded_channel();
    std::thread::spawn(move || {
        for answers in connections {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                receive(&mut stream);
                stream.write_all(answer.as_bytes()).unwrap();
            }
            drop(stream);
            // Not every test waits for it.
            sender.send(()).ok();
        }
    });
    (url, closed)
}

/// Reads one request.
fn receive(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the request ends early");
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if body.len() == length {
            return;
        }
    }
}
