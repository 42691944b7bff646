import ProgressBar from "@cloudscape-design/components/progress-bar";
import type { Rates } from "../jobs/history";
import { isEnded, type Job, progressOf } from "../jobs/job";
import { bytes, duration, rate, rows } from "../ui/format";

/** How far an import is: bytes, rows, how fast, and until when. */
export function JobProgress({ job, rates }: { job: Job; rates: Rates | undefined }) {
  const progress = progressOf(job);
  const texts = [
    job.bytesTotal === undefined ? bytes(job.bytesRead) : `${bytes(job.bytesRead)} of ${bytes(job.bytesTotal)}`,
    rows(job.rowsWritten),
  ];
  if (rates && !isEnded(job)) {
    texts.push(rate(rates.rowsPerSecond));
    if (rates.etaSeconds !== undefined) texts.push(`${duration(rates.etaSeconds)} left`);
  }
  return (
    <ProgressBar
      ariaLabel={`Progress of ${job.file}`}
      value={Math.floor((progress ?? 0) * 100)}
      additionalInfo={texts.join(" · ")}
    />
  );
}
