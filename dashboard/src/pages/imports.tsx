import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState, useSyncExternalStore } from "react";
import { useLocation } from "wouter";
import { importPath, isEnded, type Job, type Status, tookSeconds } from "../jobs/job";
import { useApp } from "../ui/context";
import { count, duration, rate, time } from "../ui/format";
import { Empty, Stale } from "../ui/states";
import { CancelButton } from "./cancel";
import { JobProgress } from "./job-progress";
import { JobStatus } from "./job-status";

const STATUSES: { id: string; text: string; statuses?: Status[] }[] = [
  { id: "all", text: "Any status" },
  { id: "open", text: "Under way", statuses: ["QUEUED", "RUNNING"] },
  { id: "completed", text: "Completed", statuses: ["COMPLETED"] },
  { id: "rejects", text: "Completed with rejects", statuses: ["COMPLETED_WITH_REJECTS"] },
  { id: "failed", text: "Failed", statuses: ["FAILED"] },
  { id: "superseded", text: "Not imported", statuses: ["SUPERSEDED"] },
  { id: "cancelled", text: "Cancelled", statuses: ["CANCELLED"] },
];

/** This person's imports, newest first, as they go on. */
export default function ImportsPage() {
  const { jobs: watcher } = useApp();
  const loaded = useSyncExternalStore(watcher.subscribe, watcher.snapshot);
  const { jobs, more = false } = loaded.data ?? {};
  const [, navigate] = useLocation();
  const [text, setText] = useState("");
  const [status, setStatus] = useState("all");
  const wanted = STATUSES.find(({ id }) => id === status);
  const shown = (jobs ?? []).filter(
    (job) => job.file.toLowerCase().includes(text.toLowerCase()) && (wanted?.statuses?.includes(job.status) ?? true),
  );
  const filtered = text !== "" || status !== "all";
  const columns = [
    {
      id: "file",
      header: "File",
      isRowHeader: true,
      minWidth: 130,
      cell: (job: Job) => (
        <Link
          href={importPath(job)}
          onFollow={(event) => {
            event.preventDefault();
            navigate(importPath(job));
          }}
        >
          <span className="file-name">{job.file}</span>
        </Link>
      ),
    },
    { id: "status", header: "Status", minWidth: 210, cell: (job: Job) => <JobStatus job={job} /> },
    {
      id: "progress",
      header: "Progress",
      minWidth: 220,
      cell: (job: Job) => <JobProgress job={job} rates={watcher.history.rates(job)} />,
    },
    {
      id: "rejected",
      header: "Rejected",
      minWidth: 95,
      cell: (job: Job) => count(job.rowsRejected),
    },
    {
      id: "wcu",
      header: "WCU",
      minWidth: 80,
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
    { id: "began", header: "Began", minWidth: 135, cell: (job: Job) => time(job.createdAt) },
    {
      id: "took",
      header: "Took",
      minWidth: 80,
      cell: (job: Job) => duration(tookSeconds(job)),
    },
    {
      id: "actions",
      header: "Actions",
      minWidth: 115,
      cell: (job: Job) => <CancelButton job={job} onCancelled={() => watcher.hurry()} />,
    },
  ];
  return (
    <SpaceBetween size="m">
      <Stale loaded={loaded} onRetry={watcher.refresh} />
      <Table
        variant="full-page"
        stickyHeader
        wrapLines
        loading={loaded.state === "loading"}
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
                <Button iconName="refresh" ariaLabel="Refresh" onClick={watcher.refresh} />
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
              countText={
                text === "" || !jobs ? "" : `${shown.length} of ${more ? `the newest ${jobs.length}` : jobs.length}`
              }
              onChange={({ detail }) => setText(detail.filteringText)}
            />
            <ButtonDropdown
              ariaLabel={`${wanted?.text}, filter by status`}
              items={STATUSES.map(({ id, text }) => ({ id, text, itemType: "checkbox", checked: id === status }))}
              onItemClick={({ detail }) => setStatus(detail.id)}
            >
              {wanted?.text}
            </ButtonDropdown>
          </SpaceBetween>
        }
        empty={
          jobs === undefined ? (
            <Empty title="Your imports could not be read">They go on all the same.</Empty>
          ) : filtered ? (
            <Empty
              title={more ? `None of the newest ${jobs.length} imports matches` : "No import matches"}
              action={
                <Button
                  onClick={() => {
                    setText("");
                    setStatus("all");
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
