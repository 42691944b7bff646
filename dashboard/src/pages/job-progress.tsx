import Box from "@cloudscape-design/components/box";
import ProgressBar from "@cloudscape-design/components/progress-bar";
import type { Rates } from "../jobs/history";
import { isEnded, type Job, progressOf } from "../jobs/job";
import { bytes, duration, rate, rows } from "../ui/format";

/** How far an import is: bytes, rows, how fast, and until when. Only what goes on has a bar. */
export function JobProgress({ job, rates }: { job: Job; rates: Rates | undefined }) {
  const progress = progressOf(job);
  const isWhole = job.status === "COMPLETED" || job.status === "COMPLETED_WITH_REJECTS";
  const texts = [rows(job.rowsWritten)];
  if (isWhole || job.bytesTotal === undefined) texts.unshift(bytes(job.bytesRead));
  else texts.unshift(`${bytes(job.bytesRead)} of ${bytes(job.bytesTotal)}`);
  if (rates && !isEnded(job)) {
    texts.push(rate(rates.rowsPerSecond));
    if (rates.etaSeconds !== undefined) texts.push(`${duration(rates.etaSeconds)} left`);
  }
  if (progress === undefined) return <Box>{texts.join(" · ")}</Box>;
  return (
    <ProgressBar
      ariaLabel={`Progress of ${job.file}`}
      value={Math.floor(progress * 100)}
      additionalInfo={texts.join(" · ")}
    />
  );
}
