//! Plans as tests in a browser send them, and what came of them: JSON.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::injector::Faults;
use super::plan::{FaultPlan, Operation};

/// A [`FaultPlan`]; none at all ends all faults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanRequest {
    faults: Vec<FailRequest>,
}

/// What [`FaultPlan::fail`] takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailRequest {
    operation: String,
    /// As in [`Operation::on`].
    #[serde(default)]
    on: String,
    calls: Vec<u64>,
    fault: String,
    /// Of [`Fault::Slow`], which alone has and needs it.
    milliseconds: Option<u64>,
}

impl FaultPlan {
    /// Reads a plan; the error says what to write instead.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, String> {
        let request: PlanRequest =
            serde_json::from_slice(text).map_err(|error| format!("not a plan: {error}"))?;
        let plan = Self::default();
        request.faults.into_iter().try_fold(plan, |plan, request| {
            let fault = request.fault()?;
            let operation = Operation::new(request.operation).on(request.on);
            Ok(plan.fail(operation, request.calls, fault))
        })
    }
}

impl FailRequest {
    fn fault(&self) -> Result<Fault, String> {
        let Self {
            operation, fault, ..
        } = self;
        if operation.is_empty() {
            return Err("operation must be a name such as UploadPart".to_owned());
        }
        if self.calls.is_empty() || self.calls.contains(&0) {
            return Err("calls must be numbers of calls, the first of which is 1".to_owned());
        }
        let known = Fault::all(Duration::from_millis(self.milliseconds.unwrap_or_default()));
        let Some(found) = known.iter().find(|known| known.to_string() == *fault) else {
            let names = known.map(|known| known.to_string()).join(", ");
            return Err(format!("no fault is named {fault:?}: {names}"));
        };
        if matches!(found, Fault::Slow(_)) != self.milliseconds.is_some() {
            return Err("Slow, and nothing else, has milliseconds".to_owned());
        }
        if !found.applies_to(operation) {
            return Err(format!("{found} makes no sense for {operation}"));
        }
        Ok(*found)
    }
}

impl Faults {
    /// How many calls of each operation there were since the plan was set, and how often each fault was injected.
    pub(crate) fn to_json(&self) -> Value {
        let counts = self.operations().into_iter().map(|operation| {
            let counts = self.counts(&operation);
            let counts = json!({ "calls": counts.calls, "injected": counts.injected });
            (operation, counts)
        });
        let operations: Map<String, Value> = counts.collect();
        let injected = self.all_injected().into_iter();
        let injected: Map<String, Value> = injected
            .map(|(fault, count)| (fault, count.into()))
            .collect();
        json!({ "operations": operations, "injected": injected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_what_fail_makes_of_it() {
        let text = json!({ "faults": [
            { "operation": "UploadPart", "on": "uploads/a", "calls": [2, 5], "fault": "ResetBefore" },
            { "operation": "Query", "calls": [1], "fault": "Slow", "milliseconds": 20 },
        ] });
        let plan = FaultPlan::from_json(text.to_string().as_bytes()).unwrap();
        let expected = FaultPlan::default()
            .fail(
                Operation::new("UploadPart").on("uploads/a"),
                [2, 5],
                Fault::ResetBefore,
            )
            .fail("Query", 1, Fault::Slow(Duration::from_millis(20)));
        assert_eq!(format!("{plan:?}"), format!("{expected:?}"));
        let none = FaultPlan::from_json(br#"{"faults": []}"#).unwrap();
        assert_eq!(format!("{none:?}"), format!("{:?}", FaultPlan::default()));
    }

    #[test]
    fn misuse_is_reported() {
        let good = json!({ "operation": "UploadPart", "calls": [1], "fault": "Throttle" });
        for (name, value, expected) in [
            ("operation", json!(""), "operation must be a name"),
            ("operation", Value::Null, "invalid type: null"),
            ("calls", json!([]), "the first of which is 1"),
            ("calls", json!([1, 0]), "the first of which is 1"),
            ("calls", json!([-1]), "invalid value: integer `-1`"),
            ("calls", json!(1), "invalid type: integer `1`"),
            ("fault", json!("Reset"), "ResetBefore, ResetAfter, Slow"),
            ("fault", json!("Slow"), "has milliseconds"),
            ("milliseconds", json!(1), "has milliseconds"),
            (
                "fault",
                json!("Unprocessed"),
                "makes no sense for UploadPart",
            ),
            ("service", json!("s3"), "unknown field `service`"),
        ] {
            let mut wrong = good.clone();
            wrong[name] = value;
            let text = json!({ "faults": [good, wrong] }).to_string();
            let error = FaultPlan::from_json(text.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
        for (text, expected) in [
            ("", "not a plan: EOF"),
            ("{}", "missing field `faults`"),
            (r#"{"faults": [{}]}"#, "missing field `operation`"),
            (r#"{"faults": [], "seed": 1}"#, "unknown field `seed`"),
        ] {
            let error = FaultPlan::from_json(text.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
