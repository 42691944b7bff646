//! What AWS states of its quotas and prices: the defaults of us-east-1, as of November 2025.
//!
//! Prices and quotas change; each constant names the page that has it. Where AWS states nothing, the number is a parameter of
//! the [model](crate::parameters) instead.

/// Execution environments that Lambda adds to a function at the most, at once and in each ten seconds; refilled continuously.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html>
pub(crate) const LAMBDA_RAMP: f64 = 1_000.0;
/// Seconds in which [`LAMBDA_RAMP`] is refilled.
pub(crate) const LAMBDA_RAMP_SECONDS: f64 = 10.0;
/// The longest that an invocation may take.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub(crate) const LAMBDA_TIMEOUT_SECONDS: f64 = 900.0;
/// Memory that comes with one vCPU.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
pub(crate) const LAMBDA_MB_PER_VCPU: f64 = 1_769.0;
/// USD a GB-second, arm64, first tier (7.5 billion GB-seconds a month).
///
/// <https://aws.amazon.com/lambda/pricing/>
pub(crate) const LAMBDA_USD_PER_GB_SECOND: f64 = 0.000_013_333_4;
/// USD an invocation.
///
/// <https://aws.amazon.com/lambda/pricing/>
pub(crate) const LAMBDA_USD_PER_REQUEST: f64 = 0.20e-6;

/// Child executions of one Map Run at once.
///
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
pub(crate) const MAP_CONCURRENCY_MAX: f64 = 10_000.0;
/// Child executions that a Map Run starts a second, if they are Standard workflows.
///
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
pub(crate) const MAP_DISPATCH_STANDARD: f64 = 100.0;
/// Child executions that a Map Run starts a second, if they are Express workflows.
///
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
pub(crate) const MAP_DISPATCH_EXPRESS: f64 = 1_000.0;
/// Map Runs that may be open at once in an account and region; a job has one at a time.
///
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
pub(crate) const MAP_RUNS_OPEN_MAX: f64 = 1_000.0;
/// The longest that an Express workflow may take.
///
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
pub(crate) const EXPRESS_SECONDS_MAX: f64 = 300.0;
/// USD a state transition of a Standard workflow; a retry is one, too.
///
/// <https://aws.amazon.com/step-functions/pricing/>
pub(crate) const STANDARD_USD_PER_TRANSITION: f64 = 0.000_025;
/// USD an execution of an Express workflow.
///
/// <https://aws.amazon.com/step-functions/pricing/>
pub(crate) const EXPRESS_USD_PER_REQUEST: f64 = 1e-6;
/// USD a GB-second of an Express workflow, first tier; the least is 64 MB.
///
/// <https://aws.amazon.com/step-functions/pricing/>
pub(crate) const EXPRESS_USD_PER_GB_SECOND: f64 = 0.000_016_67;
/// What an Express workflow of this size is billed for: one chunk of 64 MB.
///
/// <https://aws.amazon.com/step-functions/pricing/>
pub(crate) const EXPRESS_GB: f64 = 64.0 / 1024.0;

/// GET and HEAD requests a second for a prefix, at the least; one object has one prefix.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>
pub(crate) const S3_GETS_PER_SECOND: f64 = 5_500.0;
/// USD a GET or HEAD request, S3 Standard.
///
/// <https://aws.amazon.com/s3/pricing/>
pub(crate) const S3_USD_PER_GET: f64 = 0.0004 / 1_000.0;
/// USD a PUT request, S3 Standard.
///
/// <https://aws.amazon.com/s3/pricing/>
pub(crate) const S3_USD_PER_PUT: f64 = 0.005 / 1_000.0;

/// WCU a second that one partition takes.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
pub(crate) const PARTITION_WCU: f64 = 1_000.0;
/// WCU a second that a table has by default: a million has to be asked for.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>
pub(crate) const TABLE_WCU_DEFAULT: f64 = 40_000.0;
/// Bytes that a WCU writes.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>
pub(crate) const WCU_BYTES: f64 = 1_024.0;
/// Rows of a `BatchWriteItem` request at the most.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub(crate) const BATCH_ROWS: f64 = 25.0;
/// USD a write request unit, on demand, Standard table class.
///
/// <https://aws.amazon.com/dynamodb/pricing/on-demand/>
pub(crate) const DYNAMODB_USD_PER_WRU: f64 = 0.625e-6;
/// USD a provisioned WCU an hour, Standard table class; hours are billed whole.
///
/// <https://aws.amazon.com/dynamodb/pricing/provisioned/>
pub(crate) const DYNAMODB_USD_PER_WCU_HOUR: f64 = 0.000_65;
