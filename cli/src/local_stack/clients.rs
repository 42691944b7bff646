//! AWS clients of a local stack, whatever the environment says.

use std::collections::HashMap;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use local::Endpoints;

use crate::aws::Clients;

impl Clients {
    /// Clients of a local stack.
    pub fn for_local(endpoints: &Endpoints) -> Self {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new(endpoints.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                &endpoints.access_key_id,
                &endpoints.secret_access_key,
                None,
                None,
                "intake local",
            )))
            .service_config(Environment(endpoints.env().into_iter().collect()))
            .build();
        Self::new(config, endpoints.env())
    }
}

/// Variables by which SDKs find the stack, for clients of this process.
#[derive(Debug)]
struct Environment(HashMap<String, String>);

impl LoadServiceConfig for Environment {
    /// By <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>.
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().replace(' ', "_").to_uppercase();
        self.0.get(&format!("{}_{service}", key.env())).cloned()
    }
}
