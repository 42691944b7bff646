import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import ProgressBar, { type ProgressBarProps } from "@cloudscape-design/components/progress-bar";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useSyncExternalStore } from "react";
import { useLocation } from "wouter";
import { importPath, isEnded, type Job } from "../jobs/job";
import { useApp } from "../ui/context";
import { bytes, duration } from "../ui/format";
import { Stale } from "../ui/states";
import type { Upload } from "../upload/manager";
import { JobStatus } from "./job-status";

/** The files that are being uploaded, or were, and what becomes of them. */
export function UploadList({ uploads }: { uploads: Upload[] }) {
  const { uploads: manager, jobs: watcher } = useApp();
  const all = useSyncExternalStore(watcher.subscribe, watcher.snapshot);
  const jobOf = (upload: Upload) => all.data?.jobs.find((job) => job.key === upload.key);
  const done = uploads.filter((upload) => upload.status.state === "done").length;
  useEffect(() => {
    if (done > 0) watcher.hurry();
  }, [done, watcher]);
  if (uploads.length === 0) return null;
  const over = uploads.some(({ status }) => status.state === "done" || status.state === "cancelled");
  return (
    <Container
      header={
        <Header
          variant="h2"
          counter={`(${uploads.length})`}
          actions={over && <Button onClick={() => manager.clear()}>Clear finished</Button>}
        >
          Uploads
        </Header>
      }
    >
      <SpaceBetween size="l">
        {uploads.map((upload) => (
          <UploadView key={upload.id} upload={upload} job={jobOf(upload)} isKnown={all.state === "loaded"} />
        ))}
        {done > 0 && <Stale loaded={all} onRetry={watcher.refresh} />}
      </SpaceBetween>
    </Container>
  );
}

function UploadView({ upload, job, isKnown }: { upload: Upload; job: Job | undefined; isKnown: boolean }) {
  const { uploads } = useApp();
  const [, navigate] = useLocation();
  const { status, file, id } = upload;
  const { state } = status;
  const active = state === "uploading" || state === "retrying" || state === "waiting";
  return (
    <SpaceBetween size="xxs">
      <ProgressBar
        label={<span className="file-name">{file.name}</span>}
        description={progressText(upload)}
        value={
          status.totalBytes === 0
            ? state === "done"
              ? 100
              : 0
            : Math.floor((status.sentBytes / status.totalBytes) * 100)
        }
        {...resultOf(upload)}
      />
      <SpaceBetween direction="horizontal" size="xs" alignItems="center">
        {(state === "uploading" || state === "retrying") && (
          <Button onClick={() => uploads.pause(id)} ariaLabel={`Pause ${file.name}`}>
            Pause
          </Button>
        )}
        {state === "paused" && (
          <Button onClick={() => uploads.goOn(id)} ariaLabel={`Resume ${file.name}`}>
            Resume
          </Button>
        )}
        {state === "failed" && (
          <Button onClick={() => uploads.goOn(id)} ariaLabel={`Try again: ${file.name}`}>
            Try again
          </Button>
        )}
        {(active || state === "paused" || state === "failed") && (
          <Button onClick={() => uploads.cancel(id)} ariaLabel={`Cancel ${file.name}`}>
            Cancel
          </Button>
        )}
        {job && <JobStatus job={job} />}
        {job && (
          <Link
            href={importPath(job)}
            ariaLabel={`${isEnded(job) ? "See the result" : "Watch it land"}: import of ${file.name}`}
            onFollow={(event) => {
              event.preventDefault();
              navigate(importPath(job));
            }}
          >
            {isEnded(job) ? "See the result" : "Watch it land"}
          </Link>
        )}
        {state === "done" && !job && isKnown && (
          <Box color="text-body-secondary">Waiting for the importer to begin</Box>
        )}
      </SpaceBetween>
    </SpaceBetween>
  );
}

function progressText({ status, resumed }: Upload): string {
  const { sentBytes, totalBytes, bytesPerSecond, parts, state } = status;
  const texts = [`${bytes(sentBytes)} of ${bytes(totalBytes)}`];
  if (parts.of > 1) texts.push(`part ${parts.done} of ${parts.of}`);
  if (bytesPerSecond) {
    texts.push(`${bytes(bytesPerSecond)}/s`, `${duration((totalBytes - sentBytes) / bytesPerSecond)} left`);
  }
  if (resumed) texts.push("resumed");
  if (state === "paused") texts.push("paused");
  if (state === "waiting") texts.push("waiting for its turn");
  if (state === "retrying") texts.push("the connection broke, trying again");
  return texts.join(" · ");
}

function resultOf({ status }: Upload): Pick<ProgressBarProps, "status" | "resultText"> {
  if (status.state === "done") return { status: "success", resultText: `Uploaded, ${bytes(status.totalBytes)}` };
  if (status.state === "cancelled") return { status: "error", resultText: "Cancelled" };
  if (status.state === "failed") {
    return { status: "error", resultText: `${status.problem?.title ?? "Failed."} ${status.problem?.fix ?? ""}` };
  }
  return { status: "in-progress" };
}
