//! The function's configuration, read from the environment.

use std::num::NonZeroU32;

use crate::change::EventName;
use crate::error::Error;
use crate::watch::Watch;

/// ARN of the topic the digests go to. Required.
pub const TOPIC_ARN: &str = "INTAKE_TOPIC_ARN";
/// Comma-separated stream event names that are reported. Default: `INSERT`.
pub const EVENT_NAMES: &str = "INTAKE_EVENT_NAMES";
/// Attribute that names an item to people. Default: `name`.
pub const NAME_ATTRIBUTE: &str = "INTAKE_NAME_ATTRIBUTE";
/// Items of a kind that a digest names. Default: 10.
pub const NAMES: &str = "INTAKE_NAMES";
/// Watch rules, separated by `;` or line breaks. Default: none.
pub const WATCH: &str = "INTAKE_WATCH";
/// Messages that may be published in any minute, by all shards together. Default: no limit.
pub const MESSAGES_PER_MINUTE: &str = "INTAKE_MESSAGES_PER_MINUTE";
/// Table that the shards share their budget in. Default: `ImportJobs`.
pub const JOBS_TABLE: &str = "INTAKE_JOBS_TABLE";
/// Bucket that keeps messages which SNS refuses for good. Default: none; such messages hold their shard up.
pub const FAILURE_BUCKET: &str = "INTAKE_FAILURE_BUCKET";
/// Where in that bucket. Default: `undelivered/`.
pub const FAILURE_PREFIX: &str = "INTAKE_FAILURE_PREFIX";

/// Items named without a setting.
pub const NAMES_DEFAULT: usize = 10;
/// Most items of a kind that a digest may name; further ones are only counted.
pub const NAMES_MAX: usize = 25;

/// The notifier's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// ARN of the topic the digests go to.
    pub topic_arn: String,
    /// Which changes are reported.
    pub event_names: Vec<EventName>,
    /// Attribute that names an item to people.
    pub name_attribute: String,
    /// Items of a kind that a digest names, 1 to [`NAMES_MAX`].
    pub names: usize,
    /// Which changes are worth an alert.
    pub watch: Watch,
    /// Messages that may be published in any minute, by all shards together; `None` for no limit.
    pub messages_per_minute: Option<NonZeroU32>,
    /// Table that the shards share their budget in.
    pub jobs_table: String,
    /// Bucket that keeps messages which SNS refuses for good.
    pub failure_bucket: Option<String>,
    /// Where in that bucket.
    pub failure_prefix: String,
}

impl Settings {
    /// The settings of a notifier for `topic_arn` of which nothing else was asked.
    pub fn new(topic_arn: impl Into<String>) -> Self {
        Self {
            topic_arn: topic_arn.into(),
            event_names: vec![EventName::Insert],
            name_attribute: "name".into(),
            names: NAMES_DEFAULT,
            watch: Watch::default(),
            messages_per_minute: None,
            jobs_table: "ImportJobs".into(),
            failure_bucket: None,
            failure_prefix: "undelivered/".into(),
        }
    }

    /// Reads the settings from the process environment.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`], as for [`Settings::from_variables`].
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|variable| std::env::var(variable).ok())
    }

    /// Reads the settings through `lookup`, which answers with a variable's value. A variable set to
    /// nothing counts as absent.
    ///
    /// ```
    /// use notifier::{change::EventName, settings::Settings};
    ///
    /// let settings = Settings::from_variables(|variable| {
    ///     (variable == "INTAKE_TOPIC_ARN").then(|| "arn:aws:sns:eu-central-1:123456789012:inventory-alerts".into())
    /// })?;
    /// assert_eq!(settings.event_names, [EventName::Insert]);
    /// assert_eq!(settings.name_attribute, "name");
    /// # Ok::<(), notifier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when the topic is missing or not an SNS ARN, or when a value cannot be understood.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let lookup = |variable| lookup(variable).filter(|value| !value.trim().is_empty());
        let mut settings = Self::new(lookup(TOPIC_ARN).ok_or_else(|| {
            wrong(
                TOPIC_ARN,
                "not set; it must hold the ARN of the SNS topic to publish to",
            )
        })?);
        let topic_arn = &settings.topic_arn;
        if !(topic_arn.starts_with("arn:") && topic_arn.contains(":sns:")) {
            return Err(wrong(
                TOPIC_ARN,
                format!(
                    "{topic_arn:?} is not an SNS topic's ARN, such as arn:aws:sns:REGION:ACCOUNT:inventory-alerts"
                ),
            ));
        }
        if let Some(names) = lookup(EVENT_NAMES) {
            settings.event_names = event_names(&names)?;
        }
        if let Some(names) = lookup(NAMES) {
            settings.names = names
                .trim()
                .parse()
                .ok()
                .filter(|names| (1..=NAMES_MAX).contains(names))
                .ok_or_else(|| {
                    wrong(
                        NAMES,
                        format!("{names:?} is not a number from 1 to {NAMES_MAX}"),
                    )
                })?;
        }
        if let Some(rules) = lookup(WATCH) {
            settings.watch =
                Watch::parse(&rules).map_err(|error| wrong(WATCH, error.to_string()))?;
        }
        if let Some(messages) = lookup(MESSAGES_PER_MINUTE) {
            settings.messages_per_minute =
                messages_per_minute(&messages, !settings.watch.is_empty())?;
        }
        let or = |variable, default: String| lookup(variable).unwrap_or(default);
        settings.name_attribute = or(NAME_ATTRIBUTE, settings.name_attribute);
        settings.jobs_table = or(JOBS_TABLE, settings.jobs_table);
        settings.failure_prefix = or(FAILURE_PREFIX, settings.failure_prefix);
        settings.failure_bucket = lookup(FAILURE_BUCKET);
        Ok(settings)
    }

    /// Whether changes of this kind are counted.
    pub fn reports(&self, event_name: EventName) -> bool {
        self.event_names.contains(&event_name)
    }

    /// Whether changes of this kind are looked at. Watch rules look at all that leave an item behind, whichever kinds are
    /// reported.
    pub fn wants(&self, event_name: EventName) -> bool {
        self.reports(event_name) || event_name != EventName::Remove && !self.watch.is_empty()
    }

    /// Messages that one digest may have to be published as: with watch rules, there may be an alert beside it.
    pub fn messages_at_once(&self) -> u32 {
        1 + u32::from(!self.watch.is_empty())
    }
}

fn wrong(variable: &'static str, reason: impl Into<String>) -> Error {
    Error::Setting {
        variable,
        reason: reason.into(),
    }
}

fn event_names(names: &str) -> Result<Vec<EventName>, Error> {
    let read = |name: &str| {
        name.parse().map_err(|()| {
            let name = name.trim();
            wrong(
                EVENT_NAMES,
                format!("{name:?} is not an event name; use INSERT, MODIFY and REMOVE, separated by commas"),
            )
        })
    };
    names.split(',').map(read).collect()
}

/// 0 for no limit, as parameters of a template cannot be left out.
fn messages_per_minute(text: &str, watching: bool) -> Result<Option<NonZeroU32>, Error> {
    let least = 1 + u32::from(watching);
    let reason = || {
        let alert = if watching {
            " (with watch rules, an alert may come along with a digest)"
        } else {
            ""
        };
        format!("{text:?} is neither 0 nor a number from {least} to 600{alert}")
    };
    let messages: u32 = text
        .trim()
        .parse()
        .map_err(|_| wrong(MESSAGES_PER_MINUTE, reason()))?;
    match messages {
        0 => Ok(None),
        _ if (least..=600).contains(&messages) => Ok(NonZeroU32::new(messages)),
        _ => Err(wrong(MESSAGES_PER_MINUTE, reason())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:inventory-alerts";

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_variables(|wanted| {
            let (_, value) = variables.iter().find(|(name, _)| *name == wanted)?;
            Some((*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn event_names_are_a_comma_list() {
        for (value, expected) in [
            ("INSERT", vec![EventName::Insert]),
            ("INSERT,REMOVE", vec![EventName::Insert, EventName::Remove]),
            (
                " MODIFY , INSERT ",
                vec![EventName::Modify, EventName::Insert],
            ),
            ("", vec![EventName::Insert]),
        ] {
            let settings = read(&[(TOPIC_ARN, ARN), (EVENT_NAMES, value)]).unwrap();
            assert_eq!(settings.event_names, expected, "{value:?}");
        }
    }

    #[test]
    fn settings_left_out_have_their_defaults() {
        assert_eq!(read(&[(TOPIC_ARN, ARN)]), Ok(Settings::new(ARN)));
        let names: Vec<&str> = vec![
            EVENT_NAMES,
            NAME_ATTRIBUTE,
            NAMES,
            WATCH,
            MESSAGES_PER_MINUTE,
            JOBS_TABLE,
            FAILURE_BUCKET,
            FAILURE_PREFIX,
        ];
        let mut empty: Vec<(&str, &str)> = names.into_iter().map(|name| (name, " ")).collect();
        empty.push((TOPIC_ARN, ARN));
        assert_eq!(read(&empty), Ok(Settings::new(ARN)), "set to nothing");
    }

    #[test]
    fn all_settings_are_read() {
        let settings = read(&[
            (TOPIC_ARN, ARN),
            (EVENT_NAMES, "REMOVE"),
            (NAME_ATTRIBUTE, "title"),
            (NAMES, "25"),
            (WATCH, "quantity < 10\nprice changed"),
            (MESSAGES_PER_MINUTE, "2"),
            (JOBS_TABLE, "Jobs"),
            (FAILURE_BUCKET, "inventory-upload-x"),
            (FAILURE_PREFIX, "lost/"),
        ])
        .unwrap();
        let expected = Settings {
            topic_arn: ARN.into(),
            event_names: vec![EventName::Remove],
            name_attribute: "title".into(),
            names: 25,
            watch: Watch::parse("quantity < 10; price changed").unwrap(),
            messages_per_minute: NonZeroU32::new(2),
            jobs_table: "Jobs".into(),
            failure_bucket: Some("inventory-upload-x".into()),
            failure_prefix: "lost/".into(),
        };
        assert_eq!(settings, expected);
        assert_eq!(settings.messages_at_once(), 2);
        assert_eq!(
            read(&[(TOPIC_ARN, ARN), (MESSAGES_PER_MINUTE, "0")]),
            Ok(Settings::new(ARN))
        );
    }

    #[test]
    fn rules_look_at_kinds_that_are_not_reported() {
        use EventName::{Insert, Modify, Remove};
        let wanted = |watch: &str| {
            let mut settings = Settings::new(ARN);
            settings.watch = Watch::parse(watch).unwrap();
            [Insert, Modify, Remove].map(|name| settings.wants(name))
        };
        assert_eq!(wanted(""), [true, false, false]);
        assert_eq!(wanted("a < 1"), [true, true, false]);
    }

    #[test]
    fn errors_name_the_variable_and_the_fix() {
        for (variables, expected) in [
            (
                vec![],
                "environment variable INTAKE_TOPIC_ARN: not set; it must hold the ARN of the SNS topic to publish to",
            ),
            (
                vec![(TOPIC_ARN, "inventory-alerts")],
                "environment variable INTAKE_TOPIC_ARN: \"inventory-alerts\" is not an SNS topic's ARN, such as \
                 arn:aws:sns:REGION:ACCOUNT:inventory-alerts",
            ),
            (
                vec![(TOPIC_ARN, ARN), (EVENT_NAMES, "INSERT,delete")],
                "environment variable INTAKE_EVENT_NAMES: \"delete\" is not an event name; use INSERT, MODIFY and \
                 REMOVE, separated by commas",
            ),
            (
                vec![(TOPIC_ARN, ARN), (NAMES, "26")],
                "environment variable INTAKE_NAMES: \"26\" is not a number from 1 to 25",
            ),
            (
                vec![(TOPIC_ARN, ARN), (WATCH, "quantity < ten")],
                "environment variable INTAKE_WATCH: line 1, column 12: expected a number, a text in quotes, true or \
                 false, found `ten`",
            ),
            (
                vec![(TOPIC_ARN, ARN), (MESSAGES_PER_MINUTE, "601")],
                "environment variable INTAKE_MESSAGES_PER_MINUTE: \"601\" is neither 0 nor a number from 1 to 600",
            ),
            (
                vec![
                    (TOPIC_ARN, ARN),
                    (WATCH, "a < 1"),
                    (MESSAGES_PER_MINUTE, "1"),
                ],
                "environment variable INTAKE_MESSAGES_PER_MINUTE: \"1\" is neither 0 nor a number from 2 to 600 (with \
                 watch rules, an alert may come along with a digest)",
            ),
        ] {
            assert_eq!(read(&variables), Err(expected.to_owned()), "{variables:?}");
        }
    }
}
