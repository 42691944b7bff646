//! AWS clients that see nothing of the developer's own AWS configuration.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

/// Where services are, as `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL_DYNAMODB` would say it.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) s3: String,
    pub(crate) dynamodb: String,
    pub(crate) sqs: String,
    pub(crate) sns: String,
    pub(crate) sfn: String,
    pub(crate) secret: String,
}

impl Services {
    /// DynamoDB at `url`, and no S3.
    pub(crate) fn dynamodb(url: &str) -> Self {
        Self {
            s3: String::new(),
            dynamodb: url.to_owned(),
            sqs: String::new(),
            sns: String::new(),
            sfn: String::new(),
            secret: "secret".to_owned(),
        }
    }

    pub(crate) fn of(stack: &local::Stack) -> Self {
        Self {
            s3: stack.endpoints().s3.clone(),
            dynamodb: stack.endpoints().dynamodb.clone(),
            sqs: stack.endpoints().sqs.clone(),
            sns: stack.endpoints().sns.clone(),
            // The stack has no Step Functions.
            sfn: String::new(),
            secret: local::SECRET_ACCESS_KEY.to_owned(),
        }
    }

    /// What the function makes its clients of.
    pub(crate) fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new(local::ACCESS_KEY_ID, &self.secret, None, None, "test");
        self.sdk_config_with(SharedCredentialsProvider::new(credentials))
    }

    pub(crate) fn sdk_config_with(&self, credentials: SharedCredentialsProvider) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new(local::REGION))
            .credentials_provider(credentials)
            .service_config(self.clone())
            .build()
    }
}

impl LoadServiceConfig for Services {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        match (key.service_id(), key.env()) {
            ("S3", "AWS_ENDPOINT_URL") => Some(self.s3.clone()),
            ("DynamoDB", "AWS_ENDPOINT_URL") => Some(self.dynamodb.clone()),
            ("SQS", "AWS_ENDPOINT_URL") => Some(self.sqs.clone()),
            ("SFN", "AWS_ENDPOINT_URL") => Some(self.sfn.clone()),
            ("SNS", "AWS_ENDPOINT_URL") => Some(self.sns.clone()),
            _ => None,
        }
    }
}
