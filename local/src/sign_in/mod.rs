//! Where people come in: Cognito and the dashboard.

use std::path::PathBuf;
use std::sync::Arc;

use tower::{ServiceBuilder, service_fn};

use crate::access::Access;
use crate::clock::Clock;
use crate::cors::cors;
use crate::page::Page;
use crate::server::{Bound, Server, bind};
use crate::sns::Topics;
use crate::{Cognito, CognitoOptions, Endpoints, Faults, LocalError, Ports};

/// Where both listen. There are no faults to get past, so there is one of each.
pub(crate) struct Doors {
    pub(crate) cognito: Bound,
    pub(crate) dashboard: Bound,
}

impl Doors {
    pub(crate) async fn bind(ports: Ports) -> Result<Self, LocalError> {
        Ok(Self {
            cognito: bind("Cognito", ports.cognito).await?,
            dashboard: bind("the dashboard", ports.dashboard).await?,
        })
    }
}

/// What people come in by.
pub(crate) struct SignIn {
    pub(crate) cognito: CognitoOptions,
    pub(crate) dashboard: Option<PathBuf>,
}

impl SignIn {
    /// Serves Cognito and the dashboard; what credentials are good for is asked of the [`Access`].
    pub(crate) fn open(
        self,
        doors: Doors,
        endpoints: &Endpoints,
        topics: &Arc<Topics>,
        faults: &Faults,
    ) -> Result<(Access, Arc<Cognito>, [Server; 2]), LocalError> {
        let clock = Clock::default();
        let access = Access::new(clock.clone());
        let Endpoints { s3, dynamodb, .. } = endpoints;
        let Bound { listener, url } = doors.cognito;
        let cognito = Arc::new(Cognito::new(
            url.clone(),
            &endpoints.dashboard,
            self.cognito,
            (clock, access.clone()),
            (Arc::clone(topics), faults.clone()),
        )?);
        let config = cognito.page_config([s3, dynamodb]);
        let page = Arc::new(Page::new(self.dashboard, config, [s3, dynamodb, &url]));
        let served = Arc::clone(&cognito);
        let on_cognito = ServiceBuilder::new()
            .layer(cors(["x-amzn-requestid", "x-amzn-errortype"]))
            .service(service_fn(move |request| {
                Arc::clone(&served).handle(request)
            }));
        let on_page = service_fn(move |request| Arc::clone(&page).handle(request));
        let servers = [
            Server::start(listener, on_cognito),
            Server::start(doors.dashboard.listener, on_page),
        ];
        Ok((access, cognito, servers))
    }
}
