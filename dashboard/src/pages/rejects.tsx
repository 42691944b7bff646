import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useCallback, useState } from "react";
import { inWords, type Problem } from "../aws/problem";
import { isEnded, type Job } from "../jobs/job";
import { NO_REPORT, parseRejects, type Report, readOn, rejectsCsv } from "../reports/rejects";
import { chunk } from "../ui/chunk";
import { useApp } from "../ui/context";
import { download } from "../ui/download";
import { count } from "../ui/format";
import { ReasonText, RowText } from "../ui/row-text";
import { Empty, Failure, Stale, useLoaded } from "../ui/states";

const CorrectionModal = chunk(() => import("./correction"), "the editor");

/** The rows that were rejected: where, why, and what stood there. */
export function RejectsView({ job }: { job: Job }) {
  if (job.rejectsKey !== undefined) return <ReportView job={job} reportKey={job.rejectsKey} />;
  return (
    <Container header={<Header variant="h2">Rejected rows ({count(job.rowsRejected)})</Header>}>
      {isEnded(job) ? (
        <Empty title="There is no report of these rows" />
      ) : (
        <Empty title="The report is not there yet">It is written when the import ends.</Empty>
      )}
    </Container>
  );
}

function ReportView({ job, reportKey: key }: { job: Job; reportKey: string }) {
  const { services } = useApp();
  const more = useCallback(
    (from: Report) => readOn(from, (start, bytes) => services.read(key, start, bytes)),
    [services, key],
  );
  const { loaded, reload, extend } = useLoaded(useCallback(() => more(NO_REPORT), [more]));
  const [problem, setProblem] = useState<Problem>();
  const [correcting, setCorrecting] = useState(false);
  const report = loaded.data ?? NO_REPORT;

  const save = async (kind: string) => {
    setProblem(undefined);
    try {
      const report = new Uint8Array(await services.wholeReport(key));
      const stem = `${job.file}-rejects`;
      if (kind === "jsonl") download(`${stem}.jsonl`, report, "application/x-ndjson");
      else download(`${stem}.csv`, rejectsCsv(parseRejects(new TextDecoder().decode(report))), "text/csv");
    } catch (error) {
      setProblem(inWords(error));
    }
  };

  return (
    <>
      <Table
        wrapLines
        loading={loaded.state === "loading"}
        loadingText="Loading the report"
        items={report.rejects}
        trackBy={(reject) => `${reject.record}:${reject.byte}`}
        ariaLabels={{ tableLabel: "Rejected rows" }}
        header={
          <Header
            variant="h2"
            counter={`(${count(job.rowsRejected)})`}
            description="These rows are not in the table. Correct them here, or in the file."
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <ButtonDropdown
                  items={[
                    { id: "csv", text: "For a spreadsheet (CSV)" },
                    { id: "jsonl", text: "As it is (JSON Lines)" },
                  ]}
                  onItemClick={({ detail }) => void save(detail.id)}
                >
                  Download
                </ButtonDropdown>
                <Button variant="primary" disabled={report.rejects.length === 0} onClick={() => setCorrecting(true)}>
                  Correct and import
                </Button>
              </SpaceBetween>
            }
          >
            Rejected rows
          </Header>
        }
        columnDefinitions={[
          { id: "line", header: "Line", cell: (reject) => count(reject.line), width: 90 },
          { id: "record", header: "Row", cell: (reject) => count(reject.record), width: 90 },
          {
            id: "reason",
            header: "Reason",
            minWidth: 240,
            cell: (reject) => <ReasonText code={reject.reason} message={reject.message} />,
          },
          {
            id: "text",
            header: "Text",
            minWidth: 260,
            cell: (reject) => (
              <>
                <RowText text={reject.row} line={reject.line} />
                {reject.truncated && (
                  <Box variant="small" color="text-body-secondary">
                    Only the row's beginning is in the report.
                  </Box>
                )}
                {reject.binary && (
                  <Box variant="small" color="text-body-secondary">
                    Not the file's encoding; shown as Windows-1252.
                  </Box>
                )}
              </>
            ),
          },
        ]}
        empty={
          loaded.at === undefined ? (
            <Empty title="The rejected rows could not be read" />
          ) : (
            <Empty title="The report has no rows" />
          )
        }
        footer={
          !report.whole && report.rejects.length > 0 ? (
            <Box textAlign="center">
              <SpaceBetween size="xs">
                <span>
                  {count(report.rejects.length)} of {count(job.rowsRejected)} are shown.
                </span>
                <Button loading={loaded.reading} onClick={() => extend(more)}>
                  Show more rejected rows
                </Button>
              </SpaceBetween>
            </Box>
          ) : undefined
        }
      />
      <Stale loaded={loaded} onRetry={() => (loaded.at === undefined ? reload() : extend(more))} />
      {problem && <Failure problem={problem} />}
      {correcting && <CorrectionModal job={job} report={report} more={more} onClose={() => setCorrecting(false)} />}
    </>
  );
}
