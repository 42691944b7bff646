//! What is wrong with a deployment, and what to do about it.

use std::fmt;

use serde::{Serialize, Serializer};

use super::facts::Refusal;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something does not work, or will not.
    Wrong,
    /// It could not be looked at: it may be wrong.
    Unchecked,
    /// It may be meant so.
    Note,
}

/// The bugs that the lab warns of, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabBug {
    /// Lambda not triggered by S3.
    NotTriggered = 1,
    /// `AccessDenied` error in Lambda.
    AccessDenied = 2,
    /// `DynamoDB` table empty.
    TableEmpty = 3,
    /// Lambda timeout.
    Timeout = 4,
    /// SNS e-mail not received.
    NoEmail = 5,
    /// `DynamoDB` stream not triggering Lambda.
    NoStream = 6,
    /// Invalid JSON error.
    InvalidJson = 7,
    /// SNS publish permission error.
    NoPublish = 8,
}

impl LabBug {
    /// As the lab calls it.
    fn title(self) -> &'static str {
        match self {
            Self::NotTriggered => "Lambda not triggered by S3",
            Self::AccessDenied => "AccessDenied error in Lambda",
            Self::TableEmpty => "DynamoDB table empty",
            Self::Timeout => "Lambda timeout",
            Self::NoEmail => "SNS email not received",
            Self::NoStream => "DynamoDB stream not triggering Lambda",
            Self::InvalidJson => "Invalid JSON error",
            Self::NoPublish => "SNS publish permission error",
        }
    }
}

impl Serialize for LabBug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// One thing that was found.
///
/// # Examples
///
/// ```
/// use intake::doctor::finding::{Finding, LabBug};
///
/// let finding = Finding::wrong("importer-timeout", "the function may run for 3 s only")
///     .lab(LabBug::Timeout)
///     .fix("aws lambda update-function-configuration --function-name F --timeout 900");
/// assert_eq!(
///     finding.to_string(),
///     "wrong: the function may run for 3 s only\n  is:  importer-timeout; the lab's bug 4, Lambda timeout\n  \
///      fix: aws lambda update-function-configuration --function-name F --timeout 900\n"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Names what was found: the same in every release.
    pub id: String,
    /// How much it matters.
    pub level: Level,
    /// Which of the lab's bugs it is.
    pub lab_bug: Option<LabBug>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    /// Something that does not work.
    pub fn wrong(id: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            level: Level::Wrong,
            lab_bug: None,
            problem: problem.into(),
            fix: String::new(),
        }
    }

    /// Something that may be meant so.
    pub fn note(id: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            ..Self::wrong(id, problem)
        }
    }

    /// Something that was not looked at, for another reason than a call that was refused.
    pub fn unchecked(id: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            level: Level::Unchecked,
            ..Self::wrong(id, problem)
        }
    }

    /// Something that could not be looked at.
    pub fn refused(what: impl fmt::Display, refusal: &Refusal) -> Self {
        let fix = if refusal.is_denied() {
            format!("allow {} to whoever runs the doctor", refusal.action)
        } else {
            "try again; check the network, AWS_REGION and any AWS_ENDPOINT_URL".to_owned()
        };
        Self::unchecked("not-checked", format!("{what}: {refusal}")).fix(fix)
    }

    /// The same, as one of the lab's bugs.
    #[must_use]
    pub fn lab(mut self, bug: LabBug) -> Self {
        self.lab_bug = Some(bug);
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Wrong => "wrong",
            Level::Unchecked => "could not check",
            Level::Note => "note",
        };
        writeln!(f, "{level}: {}", self.problem)?;
        write!(f, "  is:  {}", self.id)?;
        if let Some(bug) = self.lab_bug {
            write!(f, "; the lab's bug {}, {}", bug as u8, bug.title())?;
        }
        writeln!(f, "\n  fix: {}", self.fix)
    }
}

/// An argument of a command as a shell takes it.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
