//! What people may do in S3, as `s3s` asks for it.

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::dto::{
    AbortMultipartUploadInput, CompleteMultipartUploadInput, CopyObjectInput, CopySource,
    CreateMultipartUploadInput, ListPartsInput, UploadPartCopyInput, UploadPartInput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::keys::{Access, KeyError, is_temporary, query, session_token};
use super::policy::allows_object;
use crate::deployment::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::lock::lock;
use crate::services::s3::SignedInUser;

#[async_trait::async_trait]
impl S3Auth for Access {
    async fn get_secret_key(&self, access_key_id: &str) -> S3Result<SecretKey> {
        if access_key_id == ACCESS_KEY_ID {
            return Ok(SECRET_ACCESS_KEY.into());
        }
        let keys = lock(&self.keys);
        let found = keys
            .get(access_key_id)
            .map(|(issued, _)| issued.secret_access_key.clone().into());
        found.ok_or_else(|| {
            s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )
        })
    }
}

/// The [action](https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html) that an operation
/// on an object needs, of those that people may have.
fn action(operation: &str, of_version: bool) -> Option<&'static str> {
    match operation {
        "PutObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "CompleteMultipartUpload"
        | "CopyObject"
        | "UploadPartCopy" => Some("s3:PutObject"),
        "AbortMultipartUpload" => Some("s3:AbortMultipartUpload"),
        "ListParts" => Some("s3:ListMultipartUploadParts"),
        "GetObject" | "HeadObject" if !of_version => Some("s3:GetObject"),
        _ => None,
    }
}

/// Checks that a copy is made of what may be read.
fn check_source<T>(request: &S3Request<T>, source: &CopySource) -> S3Result<()> {
    let Some(SignedInUser(identity)) = request.extensions.get::<SignedInUser>() else {
        return Ok(());
    };
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id: None,
        } if allows_object(identity, "s3:GetObject", bucket, key) => Ok(()),
        _ => Err(s3_error!(AccessDenied, "Access Denied")),
    }
}

/// Lets an upload in parts belong to the identity: `s3s-fs` knows it by the access key that began it, and by the time a
/// large file is resumed the page has another one.
fn own_by_identity<T>(request: &mut S3Request<T>) {
    if let Some(SignedInUser(identity)) = request.extensions.get::<SignedInUser>() {
        request.credentials = Some(Credentials {
            access_key: identity.clone(),
            secret_key: String::new().into(),
        });
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = cx.credentials() else {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        };
        if !is_temporary(&credentials.access_key) {
            return Ok(());
        }
        let token = session_token(cx.headers(), cx.uri());
        let caller = self
            .caller(&credentials.access_key, token.as_deref())
            .map_err(|invalid| match invalid {
                KeyError::UnknownKey => s3_error!(
                    InvalidAccessKeyId,
                    "The AWS Access Key Id you provided does not exist in our records."
                ),
                KeyError::WrongToken => s3_error!(
                    InvalidToken,
                    "The provided token is malformed or otherwise invalid."
                ),
                KeyError::Expired => s3_error!(ExpiredToken, "The provided token has expired."),
            })?;
        let of_version = query(cx.uri(), "versionId").is_some();
        let allowed = action(cx.s3_op().name(), of_version)
            .zip(cx.s3_path().as_object())
            .is_some_and(|(action, (bucket, key))| {
                allows_object(&caller.identity, action, bucket, key)
            });
        if !allowed {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        cx.extensions_mut().insert(SignedInUser(caller.identity));
        Ok(())
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        check_source(request, &request.input.copy_source)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        check_source(request, &request.input.copy_source)?;
        own_by_identity(request);
        Ok(())
    }

    async fn create_multipart_upload(
        &self,
        request: &mut S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<()> {
        own_by_identity(request);
        Ok(())
    }

    async fn upload_part(&self, request: &mut S3Request<UploadPartInput>) -> S3Result<()> {
        own_by_identity(request);
        Ok(())
    }

    async fn list_parts(&self, request: &mut S3Request<ListPartsInput>) -> S3Result<()> {
        own_by_identity(request);
        Ok(())
    }

    async fn complete_multipart_upload(
        &self,
        request: &mut S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<()> {
        own_by_identity(request);
        Ok(())
    }

    async fn abort_multipart_upload(
        &self,
        request: &mut S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<()> {
        own_by_identity(request);
        Ok(())
    }
}
