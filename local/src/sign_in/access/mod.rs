//! What signed-in users may do: temporary credentials of the identity pool, checked and enforced by the local S3
//! and DynamoDB as IAM does it for the role `DashboardUserRole` of `sam/template.yaml`.
//!
//! Every other access key is the stack's own business and may do everything it could before.
//!
//! Nothing here signs anyone in: keys come from [`cognito`](super::cognito).

mod dynamodb;
mod expression;
mod keys;
mod policy;
mod refuse;
mod s3;
mod signature;

pub(crate) use self::keys::Access;
pub(crate) use self::refuse::refuse_signed_in_users;
