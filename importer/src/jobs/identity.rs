//! What a job is called, and what makes two imports the same job.
//!
//! A job is the import of one version of an object into one table, by what S3 and DynamoDB say of them. Events are hints: the
//! same version announced by three of them is one job, and a table that was deleted and created again is another table.

use sha2::{Digest, Sha256};

use crate::event::ObjectCreated;
use crate::import::Object;

/// The owner of jobs whose file was not uploaded by a signed-in user.
pub const NOBODY: &str = "-";

/// The first part of the owner of ranges. No person signs in as one.
const RANGES: &str = "ranges/";

/// What a job is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobKey {
    /// Who uploaded the file: a Cognito identity, or [`NOBODY`].
    pub owner: String,
    /// The job's name, which is in the order of the uploads' times.
    pub job: String,
}

/// A version of an object, and the table that it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The table's id, which a table that is created again does not have.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html>
    pub table_id: String,
    /// The table's name or ARN, for people.
    pub table: String,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The object's version: [`Object::version`], or what an event knows of one that is not there any more.
    pub version: String,
    /// What events call that version.
    pub hint: String,
    /// When it was put, in RFC 3339.
    pub time: Option<String>,
    /// The job that a version of Intake before this one would have imported it as.
    pub legacy: Option<JobKey>,
    /// Who imports the same version once more, if somebody asked for that.
    pub again: Option<String>,
}

impl Identity {
    /// The object as it is now.
    pub fn of(object: &Object, table_id: &str, table: &str) -> Self {
        Self {
            table_id: table_id.to_owned(),
            table: table.to_owned(),
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version: object.version(),
            hint: unquoted(object.version_id.as_ref().or(object.etag.as_ref())),
            time: object.last_modified.clone(),
            legacy: None,
            again: None,
        }
    }

    /// What an event says, where S3 does not: the object is gone, replaced, or may not be looked at.
    pub fn of_event(created: &ObjectCreated, table_id: &str, table: &str) -> Self {
        let hint = unquoted(created.version_id.as_ref().or(created.etag.as_ref()));
        let sequencer = created.sequencer.as_deref().unwrap_or_default();
        Self {
            table_id: table_id.to_owned(),
            table: table.to_owned(),
            bucket: created.bucket.clone(),
            key: created.key.clone(),
            // No version of S3's has a slash.
            version: format!("event/{hint}/{sequencer}"),
            hint,
            time: created.time.clone(),
            legacy: None,
            again: None,
        }
    }

    /// The object, as `s3://bucket/key`, for people.
    pub fn url(&self) -> String {
        rows::prose(&format!("s3://{}/{}", self.bucket, self.key))
    }

    /// The job's name.
    pub fn job_key(&self) -> JobKey {
        let again = self.again.as_deref().unwrap_or_default();
        let hash = hash([
            &*self.table_id,
            &self.bucket,
            &self.key,
            &self.version,
            again,
        ]);
        JobKey {
            owner: JobKey::owner_of(&self.key).to_owned(),
            // Eight bytes tell the objects of one moment apart.
            job: format!("{}-{}", compact(self.time.as_deref()), &hash[..16]),
        }
    }

    /// The [`Head`](super::head::Head) of all versions of the object that go to the table.
    pub fn head_key(&self) -> JobKey {
        let hash = hash([&*self.table_id, &*self.bucket, &*self.key]);
        JobKey {
            owner: format!("object/{}", &hash[..32]),
            job: "head".to_owned(),
        }
    }
}

impl JobKey {
    /// The owner of the jobs of an object: who uploaded it.
    pub fn owner_of(key: &str) -> &str {
        identity(key).unwrap_or(NOBODY)
    }

    /// The job that imports a range of the job `job` in its run `run`.
    pub fn range(job: &str, run: Option<&str>, number: u32) -> Self {
        Self {
            owner: match run {
                Some(run) => format!("{RANGES}{job}#{run}"),
                // Jobs of versions that had no runs.
                None => format!("{RANGES}{job}"),
            },
            job: format!("{number:06}"),
        }
    }

    /// The job that a version of Intake before this one would have imported an object as.
    pub(crate) fn legacy(created: &ObjectCreated) -> Self {
        let version = created.version_id.as_ref().or(created.etag.as_ref());
        let parts = [
            Some(&created.bucket),
            Some(&created.key),
            version,
            created.sequencer.as_ref(),
        ];
        let hash = hash(parts.map(|part| part.map_or("", String::as_str)));
        Self {
            owner: Self::owner_of(&created.key).to_owned(),
            job: format!("{}-{}", compact(created.time.as_deref()), &hash[..16]),
        }
    }

    /// The prefix of the job's reports, below that of all reports. The owner is in it so that IAM can tell owners apart.
    pub fn report_prefix(&self, reports: &str) -> String {
        match self.owner.as_str() {
            NOBODY => format!("{reports}{}/", self.job),
            owner => format!("{reports}{owner}/{}/", self.job),
        }
    }
}

/// The Cognito identity in `uploads/<identity>/…`: a Region and a UUID.
///
/// <https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetId.html>
fn identity(key: &str) -> Option<&str> {
    let (identity, _) = key.strip_prefix("uploads/")?.split_once('/')?;
    let (region, uuid) = identity.split_once(':')?;
    let is_region = region
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let is_uuid = uuid.len() == 36 && uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    (is_region && !region.is_empty() && is_uuid).then_some(identity)
}

/// The SHA-256 of parts that a zero byte ends each, in hexadecimal.
fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

/// A version, or an `ETag` as events write it.
fn unquoted(version: Option<&String>) -> String {
    version.map_or("", |etag| etag.trim_matches('"')).to_owned()
}

/// A time of RFC 3339 without punctuation.
fn compact(time: Option<&str>) -> String {
    let time = time.unwrap_or_default().chars();
    time.filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(key: &str) -> ObjectCreated {
        ObjectCreated {
            bucket: "b".to_owned(),
            key: key.to_owned(),
            version_id: None,
            etag: Some("e".to_owned()),
            sequencer: Some("01".to_owned()),
            time: Some("2026-11-23T10:00:00.000Z".to_owned()),
            seen: None,
        }
    }

    fn catalog() -> Identity {
        Identity {
            table_id: "t".to_owned(),
            table: "T".to_owned(),
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            version: "v".to_owned(),
            hint: String::new(),
            time: Some("2026-11-23T10:00:00Z".to_owned()),
            legacy: None,
            again: None,
        }
    }

    #[test]
    fn owners_are_cognito_identities() {
        let identity = "eu-west-1:12345678-1234-1234-1234-123456789012";
        for (key, expected) in [
            (format!("uploads/{identity}/a.csv"), identity),
            (format!("uploads/{identity}/b/a.csv"), identity),
            (format!("uploads/{identity}"), NOBODY),
            (format!("other/{identity}/a.csv"), NOBODY),
            ("uploads/a.csv".to_owned(), NOBODY),
            ("uploads/a:b/a.csv".to_owned(), NOBODY),
            ("uploads/2026/a.csv".to_owned(), NOBODY),
        ] {
            assert_eq!(JobKey::owner_of(&key), expected, "{key}");
        }
    }

    type Change = fn(&mut Identity);

    #[test]
    fn a_job_is_one_version_of_an_object_into_one_table() {
        let job = catalog().job_key().job;
        assert!(job.starts_with("20261123T100000Z-"), "{job}");
        let head = catalog().head_key();
        let changes: [(Change, bool); 6] = [
            (|other| other.table_id = "u".to_owned(), false),
            (|other| other.bucket = "c".to_owned(), false),
            (|other| other.key = "l".to_owned(), false),
            (|other| other.version = "w".to_owned(), true),
            (|other| other.again = Some("me".to_owned()), true),
            // Names are no identity: one table has a name and an ARN.
            (|other| other.table = "arn".to_owned(), true),
        ];
        for (number, (change, has_same_head)) in changes.into_iter().enumerate() {
            let mut other = catalog();
            change(&mut other);
            assert_eq!(other.job_key().job == job, number == 5, "{other:?}");
            assert_eq!(other.head_key() == head, has_same_head, "{other:?}");
        }
    }

    #[test]
    fn an_event_names_what_s3_has_no_more() {
        let name = |created: &ObjectCreated| Identity::of_event(created, "t", "T").job_key().job;
        let one = created("k");
        let later = ObjectCreated {
            sequencer: Some("02".to_owned()),
            ..one.clone()
        };
        assert_eq!(name(&one), name(&one.clone()));
        assert_ne!(name(&one), name(&later));
        assert_eq!(
            JobKey::legacy(&one).job,
            "20261123T100000000Z-30e73a21cf1d0c99"
        );
    }

    #[test]
    fn reports_of_different_owners_have_different_prefixes() {
        let key = |owner: &str| JobKey {
            owner: owner.to_owned(),
            job: "j".to_owned(),
        };
        assert_eq!(key("-").report_prefix("reports/"), "reports/j/");
        assert_eq!(key("r:1").report_prefix("reports/"), "reports/r:1/j/");
    }
}
