import Alert from "@cloudscape-design/components/alert";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { lazy, Suspense, useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { isEnded, type Job } from "../jobs/job";
import { useApp } from "../ui/context";
import { bytes, count, duration, rate, time } from "../ui/format";
import { Empty, Failure, Loading, useLoaded } from "../ui/states";
import { CancelButton } from "./cancel";
import { JobProgress } from "./job-progress";
import { JobStatus } from "./job-status";
import { RejectsView } from "./rejects";

const JobChart = lazy(() => import("./job-chart"));

/** One import: how far it is, what became of its rows, and what is to do about those that were rejected. */
export default function ImportPage({ name }: { name: string }) {
  const { jobs: watcher, services } = useApp();
  const { jobs, problem } = useSyncExternalStore(watcher.subscribe, watcher.snapshot);
  const listed = jobs?.find((job) => job.job === name);
  // An older one than the list has.
  const load = useCallback(() => services.job(name), [services, name]);
  const single = useLoaded(load);
  const job = listed ?? single.data;
  if (job) return <JobView job={job} />;
  if (problem ?? single.problem) {
    return <Failure problem={(problem ?? single.problem) as NonNullable<typeof problem>} onRetry={single.reload} />;
  }
  if (single.loading || jobs === undefined) return <Loading what="the import" />;
  return (
    <Empty title="There is no such import">
      It is another person's, or ended more than 90 days ago. Your imports are under Imports.
    </Empty>
  );
}

function JobView({ job }: { job: Job }) {
  const { jobs: watcher } = useApp();
  const rates = watcher.history.rates(job);
  const [format, setFormat] = useState<string>();
  const facts = [
    { label: "Rows read", value: count(job.rowsRead) },
    { label: "Written", value: count(job.rowsWritten) },
    { label: "Superseded", value: count(job.rowsSuperseded) },
    { label: "Rejected", value: count(job.rowsRejected) },
    { label: "Rate", value: rates ? rate(rates.rowsPerSecond) : "–" },
    {
      label: "Write capacity",
      value: `${count(job.consumedWcu)} WCU${rates ? ` (${rate(rates.wcuPerSecond)})` : ""}`,
    },
    { label: "Throttles", value: count(job.throttles) },
    { label: "Retries", value: count(job.retries) },
    { label: "Began", value: time(job.createdAt) },
    {
      label: job.endedAt ? "Took" : "So far",
      value: duration(((job.endedAt ?? job.updatedAt) - job.createdAt) / 1000),
    },
    { label: "Invocations", value: count(job.attempt) },
    { label: "Size", value: job.bytesTotal === undefined ? "–" : bytes(job.bytesTotal) },
    { label: "Table", value: job.table },
    { label: "Job", value: <span className="file-name">{job.job}</span> },
  ];
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={<JobStatus job={job} />}
          actions={<CancelButton job={job} onCancelled={() => watcher.hurry()} />}
        >
          <span className="file-name">{job.file}</span>
        </Header>
      }
    >
      <SpaceBetween size="l">
        {job.reason !== undefined && (
          <Alert type={job.status === "FAILED" ? "error" : "info"} header={job.reason}>
            {job.fix ?? "Correct it and upload the file again: rows that were written are replaced by themselves."}
          </Alert>
        )}
        <Container header={<Header variant="h2">Progress</Header>}>
          <SpaceBetween size="l">
            <JobProgress job={job} rates={rates} />
            <KeyValuePairs columns={3} minColumnWidth={110} items={facts} />
          </SpaceBetween>
        </Container>
        {job.rowsRejected > 0 && <RejectsView job={job} format={job.format ?? format} />}
        <Container header={<Header variant="h2">Rows over time</Header>}>
          <Suspense fallback={<Loading what="the chart" />}>
            <JobChart samples={watcher.history.of(job)} />
          </Suspense>
        </Container>
        {isEnded(job) && <Formatted job={job} onFormat={setFormat} />}
      </SpaceBetween>
    </ContentLayout>
  );
}

/** Finds out the file's format, which corrections need, from the summary if the job does not tell. Shows nothing. */
function Formatted({ job, onFormat }: { job: Job; onFormat: (format: string | undefined) => void }) {
  const { services } = useApp();
  const { format, summaryKey, rowsRejected } = job;
  useEffect(() => {
    if (format !== undefined || summaryKey === undefined || rowsRejected === 0) return;
    let here = true;
    services
      .wholeReport(summaryKey)
      .then((report) => {
        const summary = JSON.parse(new TextDecoder().decode(report)) as { format?: string };
        if (here) onFormat(summary.format);
      })
      // Without it corrections begin as JSON Lines.
      .catch(() => undefined);
    return () => {
      here = false;
    };
  }, [services, format, summaryKey, rowsRejected, onFormat]);
  return null;
}
