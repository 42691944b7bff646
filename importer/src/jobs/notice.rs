//! The one message that tells how a job ended.

use std::fmt::{Display, Write};

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::{Value, json};

use super::job::Job;
use super::states::Status;
use crate::aws::service_error;
use crate::error::Error;

/// Most characters of a subject, all of them printable ASCII: SNS wants less than 100.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const SUBJECT_CHARACTERS_MAX: usize = 99;

/// What is told of the end of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The job as it ended.
    pub job: Job,
}

impl Notice {
    /// The subject of an e-mail.
    pub fn subject(&self) -> String {
        let what = match self.job.status {
            Status::Completed => "Import finished",
            Status::CompletedWithRejects => "Import finished with rejected rows",
            Status::Cancelled => "Import cancelled",
            Status::Superseded => "File NOT IMPORTED",
            Status::Failed | Status::Queued | Status::Running => "Import FAILED",
        };
        let file = self.job.key.rsplit('/').next().unwrap_or_default();
        let printable = |c: char| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        };
        let subject = format!("{what}: {file}");
        subject
            .chars()
            .map(printable)
            .take(SUBJECT_CHARACTERS_MAX)
            .collect()
    }

    /// What people read.
    pub fn text(&self) -> String {
        let Job { counts, .. } = &self.job;
        let mut text = format!("{}\n\n", self.job.url());
        let mut line = |name: &str, value: &dyn Display| {
            // Writing to a string does not fail.
            writeln!(text, "{name:<12}{value}").ok();
        };
        line("Status", &self.job.status);
        // Bounded again: an earlier version may have saved them.
        if let Some(reason) = &self.job.reason {
            line("Reason", &rows::prose(reason));
        }
        if let Some(fix) = &self.job.fix {
            line("Fix", &rows::prose(fix));
        }
        line("Table", &self.job.table);
        line("Rows read", &counts.rows_read);
        line("Written", &counts.rows_written);
        line("Superseded", &counts.rows_superseded);
        line("Rejected", &counts.rows_rejected);
        let seconds = self.job.duration_seconds;
        line("Duration", &format_args!("{seconds:.1} s"));
        if seconds >= 1.0 {
            let rate = counts.rows_read as f64 / seconds;
            line("Rate", &format_args!("{rate:.0} rows/s"));
        }
        if let Some(rejects) = &self.job.rejects {
            line("Rejects", rejects);
        }
        if let Some(summary) = &self.job.summary {
            line("Summary", summary);
        }
        line("Job", &self.job.job);
        text
    }

    /// What machines read.
    pub fn json(&self) -> Value {
        let job = &self.job;
        let counts = &job.counts;
        json!({
            "version": 1,
            "kind": "import",
            // Who gets a message twice knows it by this.
            "id": format!("{}/{}", job.owner, job.job),
            "job": job.job,
            "owner": job.owner,
            "status": job.status,
            "bucket": job.bucket,
            "key": job.key,
            "table": job.table,
            "rows_read": counts.rows_read,
            "rows_written": counts.rows_written,
            "rows_superseded": counts.rows_superseded,
            "rows_rejected": counts.rows_rejected,
            "consumed_wcu": counts.consumed_wcu,
            "duration_seconds": job.duration_seconds,
            "attempts": job.attempt,
            "reason": job.reason.as_deref().map(rows::prose),
            "fix": job.fix.as_deref().map(rows::prose),
            "rejects": job.rejects,
            "summary": job.summary,
        })
    }

    /// The message with its form for each protocol.
    fn message(&self) -> String {
        let machine = self.json().to_string();
        let people = self.text();
        let message = json!({
            "default": people,
            "email": people,
            "sms": self.subject(),
            "email-json": machine,
            "sqs": machine,
            "lambda": machine,
            "http": machine,
            "https": machine,
        });
        message.to_string()
    }

    /// Publishes the message to a topic. Its attributes `kind`, `status`, `table` and `job` are for filter policies.
    ///
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-filtering.html>
    ///
    /// # Errors
    ///
    /// [`Error::Service`] or [`Error::Throttled`] if SNS does not take it.
    pub async fn publish(&self, client: &Client, topic_arn: &str) -> Result<(), Error> {
        let text = |text: &str| {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(text);
            // Cannot fail: it has the data type, the one thing that is required.
            value.build().ok()
        };
        let mut publish = client
            .publish()
            .topic_arn(topic_arn)
            .subject(self.subject())
            .message_structure("json")
            .message(self.message());
        for (name, value) in [
            ("kind", "import"),
            ("status", self.job.status.name()),
            ("table", &self.job.table),
            ("job", &self.job.job),
        ] {
            if let Some(value) = text(value) {
                publish = publish.message_attributes(name, value);
            }
        }
        publish
            .send()
            .await
            .map_err(|e| service_error("Publish", topic_arn, e))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(key: &str, status: &str) -> Notice {
        let job = json!({"owner": "-", "job": "j", "status": status, "bucket": "b", "key": key, "table": "T",
            "bytes_read": 1, "rows_read": 10, "rows_written": 7, "rows_superseded": 2, "rows_rejected": 1,
            "consumed_wcu": 7, "throttles": 0, "retries": 0, "duration_seconds": 2.04, "attempt": 1,
            "stalled_attempts": 0, "created_at": "", "updated_at": "", "reason": "the file is broken",
            "fix": "repair it", "summary": "s3://b/reports/j/summary.json"});
        Notice {
            job: serde_json::from_value(job).unwrap(),
        }
    }

    #[test]
    fn subjects_are_what_sns_takes() {
        let long = format!("uploads/{}.csv", "ä".repeat(200));
        for (source, status, subject) in [
            (
                "uploads/a.csv",
                "COMPLETED",
                "Import finished: a.csv".to_owned(),
            ),
            (
                "uploads/Größe\n1.csv",
                "FAILED",
                "Import FAILED: Gr??e?1.csv".to_owned(),
            ),
            (
                &long,
                "CANCELLED",
                format!("Import cancelled: {}", "?".repeat(81)),
            ),
        ] {
            assert_eq!(notice(source, status).subject(), subject);
        }
    }

    /// Most bytes of a message, in all its forms.
    ///
    /// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
    const MESSAGE_BYTES_MAX: usize = 256 * 1024;

    #[test]
    fn whatever_a_job_says_sns_takes_it() {
        // Each takes the most bytes in JSON that is in JSON.
        for long in ["\"", "\n", "\u{1}", "ü", "\u{202e}"].map(|text| text.repeat(600_000)) {
            let mut notice = notice(&long[..long.floor_char_boundary(1024)], "FAILED");
            notice.job.reason = Some(long.clone());
            notice.job.fix = Some(long);
            let length = notice.message().len();
            assert!(length < MESSAGE_BYTES_MAX, "{length}");
            assert!(!notice.text().contains('\u{202e}'));
        }
    }

    #[test]
    fn people_read_what_happened() {
        let text = notice("uploads/a.csv", "FAILED").text();
        assert_eq!(
            text,
            "s3://b/uploads/a.csv\n\n\
             Status      FAILED\n\
             Reason      the file is broken\n\
             Fix         repair it\n\
             Table       T\n\
             Rows read   10\n\
             Written     7\n\
             Superseded  2\n\
             Rejected    1\n\
             Duration    2.0 s\n\
             Rate        5 rows/s\n\
             Summary     s3://b/reports/j/summary.json\n\
             Job         j\n"
        );
    }

    #[test]
    fn machines_read_the_summary() {
        let json = notice("uploads/a.csv", "COMPLETED").json();
        assert_eq!(json["kind"], "import");
        assert_eq!(json["version"], 1);
        assert_eq!(json["rows_written"], 7);
        assert_eq!(json["status"], "COMPLETED");
        assert_eq!(json["summary"], "s3://b/reports/j/summary.json");
    }
}
