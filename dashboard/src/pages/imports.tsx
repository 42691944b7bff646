import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState, useSyncExternalStore } from "react";
import { useLocation } from "wouter";
import { isEnded, type Job, type Status } from "../jobs/job";
import { useApp } from "../ui/context";
import { count, duration, rate, time } from "../ui/format";
import { Empty, Failure } from "../ui/states";
import { CancelButton } from "./cancel";
import { JobProgress } from "./job-progress";
import { JobStatus } from "./job-status";

const ALL: SelectProps.Option = { value: "", label: "Any status" };
const STATUSES: SelectProps.Option[] = [
  ALL,
  { value: "QUEUED RUNNING", label: "Under way" },
  { value: "COMPLETED", label: "Completed" },
  { value: "COMPLETED_WITH_REJECTS", label: "Completed with rejects" },
  { value: "FAILED", label: "Failed" },
  { value: "CANCELLED", label: "Cancelled" },
];

/** This person's imports, newest first, as they go on. */
export default function ImportsPage() {
  const { jobs: watcher } = useApp();
  const { jobs, problem, more } = useSyncExternalStore(watcher.subscribe, watcher.snapshot);
  const [path, navigate] = useLocation();
  const { session } = useApp();
  const [text, setText] = useState("");
  const [status, setStatus] = useState(ALL);
  const wanted = (status.value ?? "").split(" ").filter(Boolean) as Status[];
  const shown = (jobs ?? []).filter(
    (job) =>
      job.file.toLowerCase().includes(text.toLowerCase()) && (wanted.length === 0 || wanted.includes(job.status)),
  );
  const filtered = text !== "" || wanted.length > 0;
  const columns = [
    {
      id: "file",
      header: "File",
      isRowHeader: true,
      minWidth: 180,
      cell: (job: Job) => (
        <Link
          href={`/imports/${job.job}`}
          onFollow={(event) => {
            event.preventDefault();
            navigate(`/imports/${job.job}`);
          }}
        >
          <span className="file-name">{job.file}</span>
        </Link>
      ),
    },
    { id: "status", header: "Status", minWidth: 140, cell: (job: Job) => <JobStatus job={job} /> },
    {
      id: "progress",
      header: "Progress",
      minWidth: 260,
      cell: (job: Job) => <JobProgress job={job} rates={watcher.history.rates(job)} />,
    },
    {
      id: "rejected",
      header: "Rejected",
      minWidth: 100,
      cell: (job: Job) => count(job.rowsRejected),
    },
    {
      id: "wcu",
      header: "WCU",
      minWidth: 110,
      cell: (job: Job) => {
        const rates = watcher.history.rates(job);
        return (
          <>
            {count(job.consumedWcu)}
            {rates && !isEnded(job) && (
              <Box variant="small" color="text-body-secondary" display="block">
                {rate(rates.wcuPerSecond)}
              </Box>
            )}
          </>
        );
      },
    },
    { id: "began", header: "Began", minWidth: 170, cell: (job: Job) => time(job.createdAt) },
    {
      id: "took",
      header: "Took",
      minWidth: 90,
      cell: (job: Job) => duration(((job.endedAt ?? job.updatedAt) - job.createdAt) / 1000),
    },
    {
      id: "actions",
      header: "Actions",
      minWidth: 110,
      cell: (job: Job) => <CancelButton job={job} onCancelled={() => watcher.hurry()} />,
    },
  ];
  return (
    <SpaceBetween size="m">
      {problem && (
        <Failure
          problem={problem}
          onRetry={() => (problem.kind === "session" ? void session.signIn(path) : watcher.refresh())}
        />
      )}
      <Table
        variant="full-page"
        stickyHeader
        wrapLines
        loading={jobs === undefined && !problem}
        loadingText="Loading imports"
        items={shown}
        trackBy="job"
        columnDefinitions={columns}
        ariaLabels={{ tableLabel: "Imports" }}
        header={
          <Header
            variant="h1"
            counter={jobs && `(${jobs.length}${more ? "+" : ""})`}
            description="Files that you uploaded, and what became of them."
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel="Refresh" onClick={() => watcher.refresh()} />
                <Button variant="primary" onClick={() => navigate("/upload")}>
                  Upload
                </Button>
              </SpaceBetween>
            }
          >
            Imports
          </Header>
        }
        filter={
          <SpaceBetween direction="horizontal" size="xs">
            <TextFilter
              filteringText={text}
              filteringPlaceholder="Find a file"
              filteringAriaLabel="Find a file"
              countText={text === "" ? "" : `${shown.length} ${shown.length === 1 ? "match" : "matches"}`}
              onChange={({ detail }) => setText(detail.filteringText)}
            />
            <Select
              ariaLabel="Status"
              options={STATUSES}
              selectedOption={status}
              onChange={({ detail }) => setStatus(detail.selectedOption)}
            />
          </SpaceBetween>
        }
        empty={
          filtered ? (
            <Empty
              title="No import matches"
              action={
                <Button
                  onClick={() => {
                    setText("");
                    setStatus(ALL);
                  }}
                >
                  Show all
                </Button>
              }
            />
          ) : (
            <Empty title="No imports yet" action={<Button onClick={() => navigate("/upload")}>Upload a file</Button>}>
              Each file that you upload is an import, which you can watch here.
            </Empty>
          )
        }
        footer={
          more && (
            <Box textAlign="center">
              <Button onClick={() => watcher.showMore()}>Show older imports</Button>
            </Box>
          )
        }
      />
    </SpaceBetween>
  );
}
