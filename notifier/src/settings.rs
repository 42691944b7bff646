//! The function's configuration, read from the environment.

use crate::{Error, record::EventName};

/// ARN of the topic the digests go to. Required.
pub const TOPIC_ARN: &str = "INTAKE_TOPIC_ARN";
/// Comma-separated stream event names that are reported. Default: `INSERT`.
pub const EVENT_NAMES: &str = "INTAKE_EVENT_NAMES";
/// Attribute that names an item to people. Default: `name`.
pub const NAME_ATTRIBUTE: &str = "INTAKE_NAME_ATTRIBUTE";

/// The notifier's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// ARN of the topic the digests go to.
    pub topic_arn: String,
    /// Which changes are reported.
    pub event_names: Vec<EventName>,
    /// Attribute that names an item to people.
    pub name_attribute: String,
}

impl Settings {
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
    /// use notifier::{record::EventName, settings::Settings};
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
    /// [`Error::Setting`] when the topic is missing or not an SNS ARN, or when an event name is unknown.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let lookup = |variable| lookup(variable).filter(|value| !value.trim().is_empty());
        let topic_arn = lookup(TOPIC_ARN).ok_or_else(|| Error::Setting {
            variable: TOPIC_ARN,
            reason: "not set; it must hold the ARN of the SNS topic to publish to".into(),
        })?;
        if !(topic_arn.starts_with("arn:") && topic_arn.contains(":sns:")) {
            return Err(Error::Setting {
                variable: TOPIC_ARN,
                reason: format!(
                    "{topic_arn:?} is not an SNS topic's ARN, such as arn:aws:sns:REGION:ACCOUNT:inventory-alerts"
                ),
            });
        }
        let event_names = lookup(EVENT_NAMES).unwrap_or_else(|| EventName::Insert.to_string());
        let event_names = event_names
            .split(',')
            .map(|name| {
                name.parse().map_err(|()| Error::Setting {
                    variable: EVENT_NAMES,
                    reason: format!(
                        "{:?} is not an event name; use INSERT, MODIFY and REMOVE, separated by commas",
                        name.trim()
                    ),
                })
            })
            .collect::<Result<_, _>>()?;
        let name_attribute = lookup(NAME_ATTRIBUTE).unwrap_or_else(|| "name".into());
        Ok(Self {
            topic_arn,
            event_names,
            name_attribute,
        })
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
        ] {
            assert_eq!(read(&variables), Err(expected.to_owned()), "{variables:?}");
        }
    }
}
