//! Names and ARNs of what the stack deploys, as `sam/template.yaml` deploys it on AWS. Depends on nothing.

/// The region in every ARN and event.
pub const REGION: &str = "us-east-1";
/// The account in every ARN and queue URL.
pub const ACCOUNT_ID: &str = "000000000000";
/// The access key that S3 accepts, with which everything is allowed; the other services accept any. Temporary keys, which
/// begin with `ASIA`, are accepted as [`cognito`](crate::cognito) gave them, and for what `DashboardUserRole` allows.
pub const ACCESS_KEY_ID: &str = "intake-local";
/// The secret of [`ACCESS_KEY_ID`]. S3 checks the signature made with it.
pub const SECRET_ACCESS_KEY: &str = "intake-local-secret";
/// The bucket that uploads go to.
pub const BUCKET: &str = "inventory-upload-local";
/// Objects under this prefix of [`BUCKET`] are imported.
pub const UPLOAD_PREFIX: &str = "uploads/";
/// The table: partition key `productId` (String), on demand, stream `NEW_AND_OLD_IMAGES`.
pub const TABLE: &str = "InventoryTable";
/// The partition key of [`TABLE`].
pub(crate) const PARTITION_KEY: &str = "productId";
/// The table of import jobs: partition key `owner` and sort key `job` (both String), on demand, TTL on `expires_at`.
/// What has expired stays: DynamoDB deletes it within days, which no local stack lives to see.
pub const JOBS_TABLE: &str = "ImportJobs";
/// The topic that both functions publish to.
pub const TOPIC: &str = "inventory-alerts";
/// The queue between S3 and the importer.
pub const IMPORTS_QUEUE: &str = "intake-imports";
/// The address that is subscribed to [`TOPIC`], and has confirmed. Nothing is sent to it.
pub const SUBSCRIBER: &str = "you@example.com";
/// Where a message of [`IMPORTS_QUEUE`] goes after [`MAX_RECEIVE_COUNT`](crate::wiring::MAX_RECEIVE_COUNT) receives.
pub const IMPORTS_DLQ: &str = "intake-imports-dlq";

/// The ARN of a service's resource in [`REGION`] and [`ACCOUNT_ID`].
pub(crate) fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}")
}
