import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { useLocation } from "wouter";
import { isEnded, type Job, tookSeconds } from "../jobs/job";
import { chunk } from "../ui/chunk";
import { useApp } from "../ui/context";
import { bytes, count, duration, rate, time } from "../ui/format";
import { Empty, Show, Stale, useLoaded } from "../ui/states";
import { failureWords } from "../words/failures";
import { CancelButton } from "./cancel";
import { JobProgress } from "./job-progress";
import { JobStatus } from "./job-status";
import { RejectsView } from "./rejects";

const JobChart = chunk(() => import("./job-chart"), "the chart");

/** How often an import is read that is not in the list. */
const REFRESH_MS = 5_000;

/** One import: how far it is, what became of its rows, and what is to do about those that were rejected. */
export default function ImportPage({ name }: { name: string }) {
  const { jobs: watcher, services } = useApp();
  const all = useSyncExternalStore(watcher.subscribe, watcher.snapshot);
  const listed = all.data?.jobs.find((job) => job.job === name);
  // An older one than the list has.
  const single = useLoaded(useCallback(() => services.job(name), [services, name]));
  const { loaded, reload } = single;
  const goesOn = !listed && loaded.data && !isEnded(loaded.data);
  useEffect(() => {
    if (!goesOn) return;
    const timer = setInterval(reload, REFRESH_MS);
    return () => clearInterval(timer);
  }, [goesOn, reload]);
  if (listed) {
    return (
      <SpaceBetween size="m">
        <Stale loaded={all} onRetry={watcher.refresh} />
        <JobView job={listed} />
      </SpaceBetween>
    );
  }
  return (
    <Show loaded={loaded} what="the import" onRetry={reload}>
      {(job) =>
        job ? (
          <JobView job={job} />
        ) : (
          <Empty title="There is no such import">
            It is another person's, or ended more than 90 days ago. Your imports are under Imports.
          </Empty>
        )
      }
    </Show>
  );
}

function JobView({ job }: { job: Job }) {
  const { jobs: watcher } = useApp();
  const rates = watcher.history.rates(job);
  const [, navigate] = useLocation();
  const failure = failureWords(job);
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
      value: duration(tookSeconds(job)),
    },
    { label: "Attempts", value: count(job.attempt) },
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
        {failure && (
          <Alert
            type={job.status === "FAILED" ? "error" : "info"}
            header={failure.title}
            action={failure.again && <Button onClick={() => navigate("/upload")}>Go to Upload</Button>}
          >
            <SpaceBetween size="xxs">
              {failure.detail && <span className="file-name">{failure.detail}</span>}
              <span>{failure.fix}</span>
            </SpaceBetween>
          </Alert>
        )}
        <Container header={<Header variant="h2">Progress</Header>}>
          <SpaceBetween size="l">
            <JobProgress job={job} rates={rates} />
            <KeyValuePairs columns={3} minColumnWidth={110} items={facts} />
          </SpaceBetween>
        </Container>
        {job.rowsRejected > 0 && <RejectsView job={job} />}
        <Container header={<Header variant="h2">Rows over time</Header>}>
          <JobChart samples={watcher.history.of(job)} />
        </Container>
      </SpaceBetween>
    </ContentLayout>
  );
}
