//! Which addresses the endpoint's name has.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long addresses are used before new connections ask again. DynamoDB's names have TTLs of seconds.
const FRESH: Duration = Duration::from_mins(1);

/// Looks the endpoint up, for all lanes.
#[derive(Debug)]
pub(super) struct Resolver {
    host: String,
    port: u16,
    found: Mutex<Option<(Instant, Arc<[SocketAddr]>)>>,
}

impl Resolver {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            found: Mutex::new(None),
        }
    }

    /// One that finds these addresses.
    #[cfg(test)]
    pub(super) fn known(addresses: &[SocketAddr]) -> Self {
        Self {
            host: "no-such-host.invalid".to_owned(),
            port: 1,
            found: Mutex::new(Some((Instant::now(), addresses.into()))),
        }
    }

    /// The addresses, at least one. Lanes that ask at the same time wait for one lookup.
    pub(super) async fn addresses(&self) -> io::Result<Arc<[SocketAddr]>> {
        let mut found = self.found.lock().await;
        if let Some((at, addresses)) = &*found
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(addresses));
        }
        let addresses: Arc<[SocketAddr]> = tokio::net::lookup_host((&*self.host, self.port))
            .await?
            .collect();
        if addresses.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} has no address", self.host),
            ));
        }
        *found = Some((Instant::now(), Arc::clone(&addresses)));
        Ok(addresses)
    }

    /// Forgets addresses of which none could be reached.
    pub(super) async fn forget(&self, useless: &Arc<[SocketAddr]>) {
        let mut found = self.found.lock().await;
        if found
            .as_ref()
            .is_some_and(|(_, addresses)| Arc::ptr_eq(addresses, useless))
        {
            *found = None;
        }
    }
}
