use serde::Deserialize;

use crate::doctor::facts::{Configuration, Fact, Facts, Function, Lack, Permissions, Refusal, Who};
use crate::doctor::signed::Signed;

/// What a function does with one resource.
struct Need {
    actions: Vec<&'static str>,
    /// The ARN that a policy would name, perhaps with a `*`.
    granted_on: String,
    /// An ARN that it covers, to ask with.
    resource: String,
}

/// To read a file, and a part of its report; to write the report.
const OBJECTS: [&str; 2] = ["s3:GetObject", "s3:PutObject"];
const TABLE: &[&str] = &["dynamodb:DescribeTable", "dynamodb:BatchWriteItem"];
/// To keep jobs, and to share the write cap.
const JOBS: &[&str] = &["dynamodb:UpdateItem", "dynamodb:Query"];
/// Lambda takes the messages with the function's role; the function sends what is left of a file.
const QUEUE: &[&str] = &[
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:SendMessage",
];
/// To give large files to the state machine.
const HAND_OVER: &[&str] = &["states:StartExecution"];
const STREAM: &[&str] = &[
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    simulate_principal_policy_result: Simulation,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simulation {
    #[serde(default)]
    evaluation_results: Members<Evaluation>,
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Evaluation {
    eval_action_name: String,
    eval_decision: String,
    #[serde(default)]
    missing_context_values: Members<String>,
}

/// What the roles of both functions may do of what the functions need.
pub(super) async fn of(signed: &Signed, facts: &Facts) -> Vec<Permissions> {
    let mut all = Vec::new();
    if let Some(importer) = facts.importer.configuration.known() {
        let needs = of_importer(facts, importer);
        all.push(permissions(signed, Who::Importer, importer, needs).await);
    }
    let notifier = facts.notifier.as_ref();
    if let Some(notifier) = notifier.and_then(|notifier| notifier.configuration.known()) {
        let needs = of_notifier(facts, notifier);
        all.push(permissions(signed, Who::Notifier, notifier, needs).await);
    }
    all
}

fn of_importer(facts: &Facts, importer: &Configuration) -> Vec<Need> {
    let mut needs = Needs::of(importer);
    // What is not there needs no permissions.
    let bucket = facts.bucket.as_ref();
    if let Some(bucket) = bucket.filter(|bucket| bucket.fact != Fact::Missing) {
        let reports = importer
            .variable("INTAKE_REPORT_PREFIX")
            .unwrap_or("reports/");
        let partition = needs.partition.clone();
        let objects = |keys: String| format!("arn:{partition}:s3:::{}/{keys}", bucket.name);
        let [get, put] = OBJECTS;
        needs.add(&[get], objects(format!("{}*", facts.prefix)));
        needs.add(&[put], objects(format!("{reports}*")));
        needs.add(&[get], objects(format!("{reports}*/parts/*")));
    }
    if let Some(table) = facts.table.fact.known() {
        needs.add(TABLE, table.arn.clone());
    }
    if let Some(jobs) = facts.jobs_table.fact.known() {
        needs.add(JOBS, jobs.table.arn.clone());
    }
    for source in sources(&facts.importer, ":sqs:") {
        needs.add(QUEUE, source);
    }
    if let Some(machine) = importer.variable("INTAKE_LARGE_STATE_MACHINE_ARN") {
        needs.add(HAND_OVER, machine);
    }
    needs.all
}

fn of_notifier(facts: &Facts, notifier: &Configuration) -> Vec<Need> {
    let mut needs = Needs::of(notifier);
    let sources = facts
        .notifier
        .iter()
        .flat_map(|own| sources(own, ":dynamodb:"));
    for source in sources {
        needs.add(STREAM, source);
    }
    // What it may do with its budget in the table of jobs hangs on the item's owner, which is not simulated.
    if let Some(bucket) = notifier.variable("INTAKE_FAILURE_BUCKET") {
        let prefix = notifier
            .variable("INTAKE_FAILURE_PREFIX")
            .unwrap_or("undelivered/");
        let [_, put] = OBJECTS;
        let objects = format!("arn:{}:s3:::{bucket}/{prefix}*", needs.partition);
        needs.add(&[put], objects);
    }
    needs.all
}

/// What a function's mappings read.
fn sources(function: &Function, kind: &str) -> Vec<String> {
    let mappings = function.mappings.known().into_iter().flatten();
    let sources = mappings.map(|mapping| mapping.source_arn.clone());
    sources.filter(|arn| arn.contains(kind)).collect()
}

/// What a function needs, being gathered.
struct Needs {
    partition: String,
    all: Vec<Need>,
}

impl Needs {
    /// What both functions need: to publish and to log.
    fn of(function: &Configuration) -> Self {
        let mut arn = function.arn.split(':').skip(1);
        let [partition, _, region, account] = [(); 4].map(|()| arn.next().unwrap_or_default());
        let mut needs = Self {
            partition: partition.to_owned(),
            all: Vec::new(),
        };
        if let Some(topic) = function.variable("INTAKE_TOPIC_ARN") {
            needs.add(&["sns:Publish"], topic.to_owned());
        }
        let group = &function.log_group;
        needs.add(
            &["logs:CreateLogStream", "logs:PutLogEvents"],
            format!("arn:{partition}:logs:{region}:{account}:log-group:{group}:*"),
        );
        needs
    }

    fn add(&mut self, actions: &[&'static str], granted_on: impl Into<String>) {
        let granted_on = granted_on.into();
        self.all.push(Need {
            actions: actions.to_vec(),
            // Any one stands for all.
            resource: granted_on.replace('*', "doctor"),
            granted_on,
        });
    }
}

async fn permissions(
    signed: &Signed,
    who: Who,
    function: &Configuration,
    needs: Vec<Need>,
) -> Permissions {
    let role_arn = function.role_arn.clone();
    let lacking = async {
        let mut lacking = Vec::new();
        for need in needs {
            lacking.extend(lacks(signed, &role_arn, &need).await?);
        }
        Ok(lacking)
    };
    let lacking = Fact::of(lacking.await, &["NoSuchEntity"]);
    Permissions {
        who,
        role_arn,
        lacking,
    }
}

/// What the role's policies and boundary do not allow of a need. Policies of resources and of the organisation do not count.
async fn lacks(signed: &Signed, role_arn: &str, need: &Need) -> Result<Vec<Lack>, Refusal> {
    const ACTION: &str = "iam:SimulatePrincipalPolicy";
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "SimulatePrincipalPolicy")
        .append_pair("Version", "2010-05-08")
        .append_pair("PolicySourceArn", role_arn)
        .append_pair("ResourceArns.member.1", &need.resource);
    for (index, action) in need.actions.iter().enumerate() {
        form.append_pair(&format!("ActionNames.member.{}", index + 1), action);
    }
    let answer: Answer = signed.iam(ACTION, form.finish()).await?;
    let mut lacks = Vec::new();
    for evaluation in answer
        .simulate_principal_policy_result
        .evaluation_results
        .member
    {
        if evaluation.eval_decision == "allowed" {
            continue;
        }
        let conditions = evaluation.missing_context_values.member;
        if !conditions.is_empty() {
            return Err(Refusal {
                action: ACTION,
                code: String::new(),
                message: format!(
                    "whether {} is allowed on {} depends on {}",
                    evaluation.eval_action_name,
                    need.resource,
                    conditions.join(", ")
                ),
            });
        }
        lacks.push(Lack {
            action: evaluation.eval_action_name,
            resource: need.granted_on.clone(),
            is_forbidden: evaluation.eval_decision == "explicitDeny",
        });
    }
    Ok(lacks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for is what the template grants; `make sam` compares that with the code.
    #[test]
    fn the_template_grants_what_is_asked_for() {
        let template = include_str!("../../../../sam/template.yaml");
        let mut asked = vec!["sns:Publish", "logs:CreateLogStream", "logs:PutLogEvents"];
        asked.extend(
            OBJECTS
                .iter()
                .chain(TABLE)
                .chain(JOBS)
                .chain(QUEUE)
                .chain(HAND_OVER)
                .chain(STREAM),
        );
        for action in asked {
            assert!(template.contains(action), "{action}");
        }
    }

    /// As IAM answers: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>
    #[test]
    fn an_answer_is_understood() {
        let xml = r#"<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <SimulatePrincipalPolicyResult>
    <IsTruncated>false</IsTruncated>
    <EvaluationResults>
      <member>
        <MatchedStatements>
          <member>
            <SourcePolicyId>PolicyInputList.1</SourcePolicyId>
            <EndPosition><Column>4</Column><Line>7</Line></EndPosition>
            <StartPosition><Column>16</Column><Line>3</Line></StartPosition>
          </member>
        </MatchedStatements>
        <MissingContextValues/>
        <EvalResourceName>arn:aws:s3:::teambucket</EvalResourceName>
        <EvalDecision>allowed</EvalDecision>
        <EvalActionName>s3:ListBucket</EvalActionName>
      </member>
      <member>
        <MissingContextValues><member>aws:MultiFactorAuthPresent</member></MissingContextValues>
        <EvalResourceName>arn:aws:s3:::teambucket</EvalResourceName>
        <EvalDecision>implicitDeny</EvalDecision>
        <EvalActionName>s3:GetObject</EvalActionName>
      </member>
    </EvaluationResults>
  </SimulatePrincipalPolicyResult>
  <ResponseMetadata><RequestId>1cdb5b0a-4c15-11e5-b121-bd8c7EXAMPLE</RequestId></ResponseMetadata>
</SimulatePrincipalPolicyResponse>"#;
        let answer: Answer = quick_xml::de::from_str(xml).unwrap();
        let found = answer
            .simulate_principal_policy_result
            .evaluation_results
            .member;
        let found: Vec<_> = found
            .iter()
            .map(|e| {
                (
                    e.eval_action_name.as_str(),
                    e.eval_decision.as_str(),
                    e.missing_context_values.member.len(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("s3:ListBucket", "allowed", 0),
                ("s3:GetObject", "implicitDeny", 1)
            ]
        );
    }
}
