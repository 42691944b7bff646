//! Clients for S3 and DynamoDB.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ProvideCredentials;

use crate::terminal::{Failure, causes};

/// The clients an import needs.
#[derive(Clone, Debug)]
pub struct Clients {
    /// What they are made of.
    pub config: SdkConfig,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// Variables that a child process needs to make the same clients.
    pub env: Vec<(String, String)>,
}

impl Clients {
    /// Clients made of `config`, which a child process makes with the variables `env`.
    pub fn new(config: SdkConfig, env: Vec<(String, String)>) -> Self {
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            s3: aws_sdk_s3::Client::new(&config),
            config,
            env,
        }
    }

    /// Clients with region and credentials from the environment, the shared configuration files or the machine's role.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the fix when there is no region, there are no credentials, or the environment asks for a way
    /// to AWS that Intake does not take.
    pub async fn from_environment() -> Result<Self, Failure> {
        let config = cloud::sdk_config().await?;
        if config.region().is_none() {
            return Err(Failure::new("no AWS region is set").fix(concat!(
                "export AWS_REGION=eu-central-1 (your table's region)",
                if_local!(", or add --local for the local stack")
            )));
        }
        check_credentials(&config).await?;
        Ok(Self::new(config, Vec::new()))
    }
}

/// Asked once at the start, because the same question inside the first request is answered with less help.
async fn check_credentials(config: &SdkConfig) -> Result<(), Failure> {
    const FIX: &str = concat!(
        "set AWS_PROFILE (after `aws sso login` where it needs that), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        if_local!("; or add --local for the local stack")
    );
    let provider = config
        .credentials_provider()
        .ok_or_else(|| Failure::new("no AWS credentials are set").fix(FIX))?;
    provider.provide_credentials().await.map(drop).map_err(|error| {
        // The SDK has a part for each kind of profile, and names the one that is not built in as a developer knows it.
        if causes(&error).contains("cargo feature") {
            return Failure::new(format!(
                "Intake cannot load the credentials of {} by itself (those of `aws login`, for example)",
                profile()
            ))
            .fix(
                "let the AWS CLI hand them over: eval \"$(aws configure export-credentials --format env)\", then run intake \
                 again; do so again when they have expired",
            );
        }
        Failure::caused("no AWS credentials were found", &error).fix(FIX)
    })
}

/// The profile whose credentials are used.
fn profile() -> String {
    let named = std::env::var("AWS_PROFILE").ok();
    match named.filter(|name| !name.is_empty()) {
        Some(name) => format!("profile {name}"),
        None => "the default profile".to_owned(),
    }
}
