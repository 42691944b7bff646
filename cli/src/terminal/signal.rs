//! Requests to stop: Ctrl-C, and SIGTERM where there is one.

use super::outcome::Failure;

/// Listens for requests to stop. From then on they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// The system refuses to register a signal handler.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::caused("cannot listen for Ctrl-C", &error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next request to stop.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// Never on this platform: the first wait registers the handler.
    pub fn listen() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// Waits for the next request to stop.
    pub async fn wait(&mut self) {
        // Without a handler Ctrl-C ends the process, which is as good an answer.
        tokio::signal::ctrl_c().await.ok();
    }
}
