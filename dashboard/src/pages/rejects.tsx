import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useCallback, useEffect, useRef, useState } from "react";
import { inWords, type Problem } from "../aws/problem";
import { isEnded, type Job } from "../jobs/job";
import { parseRejects, type Reject, rejectsCsv } from "../reports/rejects";
import { useApp } from "../ui/context";
import { download } from "../ui/download";
import { count } from "../ui/format";
import { Empty, Failure } from "../ui/states";
import { CorrectionModal } from "./correction";

/** Bytes of the report that are read at a time: a few hundred rows. */
const PIECE_BYTES = 256 * 1024;

interface Read {
  rejects: Reject[];
  /** Where to go on. */
  next: number;
  whole: boolean;
}

/** The rows that were rejected: where, why, and what stood there. */
export function RejectsView({ job, format }: { job: Job; format: string | undefined }) {
  const { services } = useApp();
  const key = job.rejectsKey;
  const [read, setRead] = useState<Read>({ rejects: [], next: 0, whole: false });
  const [problem, setProblem] = useState<Problem>();
  const [loading, setLoading] = useState(false);
  const [correcting, setCorrecting] = useState(false);
  const busy = useRef(false);

  const readMore = useCallback(
    async (from: Read) => {
      if (key === undefined || busy.current) return;
      busy.current = true;
      setLoading(true);
      setProblem(undefined);
      try {
        const body = await services.report(key, from.next, PIECE_BYTES);
        // The bucket does not show pages a report's size.
        const whole = body.length < PIECE_BYTES;
        // Up to the last line break: a line that is cut off is read again with the next piece.
        const end = whole ? body.length : body.lastIndexOf(0x0a) + 1;
        const rejects = parseRejects(new TextDecoder().decode(body.subarray(0, end)));
        setRead({ rejects: [...from.rejects, ...rejects], next: from.next + end, whole });
      } catch (error) {
        setProblem(inWords(error));
      } finally {
        busy.current = false;
        setLoading(false);
      }
    },
    [services, key],
  );
  useEffect(() => {
    void readMore({ rejects: [], next: 0, whole: false });
  }, [readMore]);

  const save = async (kind: string) => {
    if (key === undefined) return;
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
        loading={loading && read.rejects.length === 0}
        loadingText="Loading the report"
        items={read.rejects}
        trackBy={(reject) => `${reject.record}:${reject.byte}`}
        ariaLabels={{ tableLabel: "Rejected rows" }}
        header={
          <Header
            variant="h2"
            counter={`(${count(job.rowsRejected)})`}
            description="These rows are not in the table. Correct them here, or in the file."
            actions={
              key !== undefined && (
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
                  <Button variant="primary" disabled={read.rejects.length === 0} onClick={() => setCorrecting(true)}>
                    Correct and import
                  </Button>
                </SpaceBetween>
              )
            }
          >
            Rejected rows
          </Header>
        }
        columnDefinitions={[
          { id: "line", header: "Line", cell: (reject) => count(reject.line), width: 90 },
          { id: "record", header: "Row", cell: (reject) => count(reject.record), width: 90 },
          { id: "byte", header: "Byte", cell: (reject) => count(reject.byte), width: 110 },
          {
            id: "reason",
            header: "Reason",
            minWidth: 240,
            cell: (reject) => (
              <SpaceBetween size="xxs">
                <Badge color="red">{reject.reason}</Badge>
                <span className="file-name">{reject.message}</span>
              </SpaceBetween>
            ),
          },
          {
            id: "text",
            header: "Text",
            minWidth: 260,
            cell: (reject) => (
              <>
                <pre className="row-text">{reject.row}</pre>
                {reject.truncated && (
                  <Box variant="small" color="text-body-secondary">
                    Only the first 4,096 bytes are in the report.
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
          problem ? (
            <Failure problem={problem} onRetry={() => void readMore(read)} />
          ) : (
            <Empty title="The report is not there yet">
              {isEnded(job) ? "Reload the page in a moment." : "It is written when the import ends."}
            </Empty>
          )
        }
        footer={
          !read.whole && read.rejects.length > 0 ? (
            <Box textAlign="center">
              <Button loading={loading} onClick={() => void readMore(read)}>
                Show more rejected rows
              </Button>
            </Box>
          ) : undefined
        }
      />
      {problem && read.rejects.length > 0 && <Failure problem={problem} />}
      {correcting && (
        <CorrectionModal job={job} format={format} rejects={read.rejects} onClose={() => setCorrecting(false)} />
      )}
    </>
  );
}
