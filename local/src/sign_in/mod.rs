//! How users come in: [`cognito`] signs them in, [`access`] gives them keys and enforces what their role allows, and the
//! dashboard is the page that they use. What they then call is in [`services`](crate::services).
//!
//! Nothing here stores objects or items.

mod access;
mod clock;
pub mod cognito;
mod dashboard;
mod random;

use std::path::PathBuf;
use std::sync::Arc;

use tower::ServiceBuilder;

pub(crate) use self::access::{Access, refuse_signed_in_users};
use self::clock::Clock;
use self::cognito::{Cognito, CognitoOptions};
use self::dashboard::Dashboard;
use crate::error::LocalError;
use crate::faults::Faults;
use crate::server::{Bound, Server, cors, service};
use crate::services::sns::Topics;

/// Cognito and the dashboard at work.
pub(crate) struct SignIn {
    pub(crate) access: Access,
    pub(crate) cognito: Arc<Cognito>,
    pub(crate) servers: [Server; 2],
}

impl SignIn {
    /// Serves Cognito at the first address and the dashboard in `folder` at the second; `services` are the URLs of S3 and
    /// DynamoDB.
    pub(crate) fn start(
        [cognito_at, dashboard_at]: [Bound; 2],
        (options, folder): (CognitoOptions, Option<PathBuf>),
        services: [&str; 2],
        topics: &Arc<Topics>,
        faults: &Faults,
    ) -> Result<Self, LocalError> {
        let clock = Clock::default();
        let access = Access::new(clock.clone());
        let cognito = Arc::new(Cognito::new(
            cognito_at.url.clone(),
            &dashboard_at.url,
            options,
            (clock, access.clone()),
            (Arc::clone(topics), faults.clone()),
        )?);
        let [s3, dynamodb] = services;
        let config = cognito.dashboard_config(services);
        let called = [s3, dynamodb, cognito_at.url.as_str()];
        let dashboard = Arc::new(Dashboard::new(folder, config, called));
        let pages = ServiceBuilder::new().layer(cors(["x-amzn-requestid", "x-amzn-errortype"]));
        let servers = [
            Server::start(cognito_at.listener, pages.service(service(&cognito))),
            Server::start(dashboard_at.listener, service(&dashboard)),
        ];
        Ok(Self {
            access,
            cognito,
            servers,
        })
    }
}
