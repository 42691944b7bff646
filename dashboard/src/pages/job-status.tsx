import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { isEnded, type Job } from "../jobs/job";

const SHOWN: Record<Job["status"], [StatusIndicatorProps.Type, string]> = {
  QUEUED: ["pending", "Queued"],
  RUNNING: ["in-progress", "Importing"],
  COMPLETED: ["success", "Completed"],
  COMPLETED_WITH_REJECTS: ["warning", "Completed with rejects"],
  FAILED: ["error", "Failed"],
  CANCELLED: ["stopped", "Cancelled"],
  SUPERSEDED: ["error", "Not imported"],
};

/** Where a job is on its way, in words. */
export function statusText(job: Job): string {
  return job.cancelRequested && !isEnded(job) ? "Cancelling" : (SHOWN[job.status]?.[1] ?? job.status);
}

/** Where a job is on its way. */
export function JobStatus({ job }: { job: Job }) {
  return <StatusIndicator type={SHOWN[job.status]?.[0] ?? "info"}>{statusText(job)}</StatusIndicator>;
}
