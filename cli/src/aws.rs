//! Clients for S3 and DynamoDB: those of the caller's AWS account, or of a local stack.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use local::Endpoints;

use crate::outcome::Failure;

/// The clients an import needs.
#[derive(Clone, Debug)]
pub struct Clients {
    /// What [`Clients::dynamodb`] is made of.
    pub dynamodb_config: SdkConfig,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
}

impl Clients {
    /// Clients with region and credentials from the environment, the shared configuration files or the machine's role.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the fix when there is no region or there are no credentials.
    pub async fn from_environment() -> Result<Self, Failure> {
        let config = config_from_environment().await?;
        Ok(Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            s3: aws_sdk_s3::Client::new(&config),
            dynamodb_config: config,
        })
    }

    /// Clients for a local stack, whatever the environment says.
    pub fn for_local(endpoints: &Endpoints) -> Self {
        let config = config_for_local(endpoints);
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .endpoint_url(&endpoints.s3)
            .force_path_style(true)
            .build();
        let dynamodb_config = config
            .into_builder()
            .endpoint_url(&endpoints.dynamodb)
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&dynamodb_config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb_config,
        }
    }
}

/// What clients are made of: region and credentials from the environment, the shared configuration files or the machine's
/// role.
///
/// # Errors
///
/// A [`Failure`] that names the fix when there is no region or there are no credentials.
pub async fn config_from_environment() -> Result<SdkConfig, Failure> {
    let config = cloud::sdk_config().await;
    if config.region().is_none() {
        return Err(Failure::new("no AWS region is set")
            .fix("export AWS_REGION=eu-central-1 (your table's region), or add --local for the local stack"));
    }
    check_credentials(&config).await?;
    Ok(config)
}

/// What clients of a local stack are made of, but for the endpoint: each service has its own.
pub fn config_for_local(endpoints: &Endpoints) -> SdkConfig {
    SdkConfig::builder()
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
        .build()
}

/// Asked once at the start, because the same question inside the first request is answered with less help.
async fn check_credentials(config: &SdkConfig) -> Result<(), Failure> {
    const FIX: &str = "set AWS_PROFILE (after `aws sso login` where it needs that), or AWS_ACCESS_KEY_ID and \
        AWS_SECRET_ACCESS_KEY; or add --local for the local stack";
    let provider = config
        .credentials_provider()
        .ok_or_else(|| Failure::new("no AWS credentials are set").fix(FIX))?;
    provider
        .provide_credentials()
        .await
        .map(drop)
        .map_err(|error| Failure::caused("no AWS credentials were found", &error).fix(FIX))
}
