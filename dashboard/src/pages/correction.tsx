import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Textarea from "@cloudscape-design/components/textarea";
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import { useLocation } from "wouter";
import type { Job } from "../jobs/job";
import { type Preview, previewText } from "../preview/preview";
import { isReason } from "../preview/reason";
import { correctionName, correctionOf, type Reject } from "../reports/rejects";
import { useApp } from "../ui/context";
import { count } from "../ui/format";
import { useLoaded } from "../ui/states";

/** Rejected rows that can be corrected on the page; more are better corrected in an editor. */
const ROWS_MAX = 500;
const PROBLEMS_SHOWN = 5;

/** Lets somebody correct rejected rows, checks them as they type, and imports them. */
export function CorrectionModal({
  job,
  format,
  rejects,
  onClose,
}: {
  job: Job;
  format: string | undefined;
  rejects: Reject[];
  onClose: () => void;
}) {
  const { services, uploads } = useApp();
  const [, navigate] = useLocation();
  const schema = useLoaded(useCallback(() => services.schema(), [services])).data;
  const correction = useMemo(
    () => correctionOf(rejects.slice(0, ROWS_MAX), format ?? guess(job.file), uploads.headerOf(job.key)),
    [rejects, format, job.file, job.key, uploads],
  );
  const [text, setText] = useState(correction.text);
  const checked = useDeferredValue(text);
  const options = useMemo(() => ({ format: correction.format }), [correction.format]);
  const preview = useMemo(
    () =>
      previewText(
        { compression: "none", encoding: "utf-8", text: checked, whole: true, valid: true },
        options,
        schema,
        ROWS_MAX,
      ),
    [checked, options, schema],
  );
  const send = () => {
    const name = correctionName(job.file, correction.ending);
    uploads.upload(new File([text], name, { type: "text/plain" }), options, preview);
    onClose();
    navigate("/upload");
  };
  const needsHeader = correction.format === "csv" && /^\s*\n/.test(checked);
  const fits = !preview.failure && preview.rejected === 0;
  return (
    <Modal
      visible
      size="large"
      onDismiss={onClose}
      header={`Correct rows of ${job.file}`}
      closeAriaLabel="Close"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>
              Close
            </Button>
            <Button variant={fits ? "primary" : "normal"} disabled={checked.trim() === ""} onClick={send}>
              {fits
                ? `Import ${count(preview.rows.length)} ${preview.rows.length === 1 ? "row" : "rows"}`
                : "Import anyway"}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {correction.truncated > 0 && (
          <Alert type="warning">
            {count(correction.truncated)} of them are too long for the report. Correct those in the file itself.
          </Alert>
        )}
        {rejects.length > ROWS_MAX && (
          <Alert type="info">
            These are the first {ROWS_MAX} of {count(job.rowsRejected)}. Download the report to correct all at once.
          </Alert>
        )}
        {needsHeader && (
          <Alert type="info" header="Write the header into the first line">
            The report does not have it: the names of the columns, as in the file.
          </Alert>
        )}
        <FormField label="Rows" stretch description="They replace items of the same key, like every import.">
          <div className="editor">
            <Textarea rows={14} spellcheck={false} value={text} onChange={({ detail }) => setText(detail.value)} />
          </div>
        </FormField>
        <Verdict preview={preview} />
      </SpaceBetween>
    </Modal>
  );
}

function Verdict({ preview }: { preview: Preview }) {
  if (preview.failure) {
    return (
      <StatusIndicator type="error">
        {preview.failure.problem} {preview.failure.fix}
      </StatusIndicator>
    );
  }
  if (preview.rejected === 0) return <StatusIndicator type="success">All rows fit</StatusIndicator>;
  const bad = preview.rows.filter((row) => isReason(row.outcome));
  return (
    <SpaceBetween size="xxs">
      {bad.slice(0, PROBLEMS_SHOWN).map((row) => (
        <StatusIndicator key={row.record} type="warning">
          Line {row.line}: {isReason(row.outcome) ? row.outcome.message : ""}
        </StatusIndicator>
      ))}
      {bad.length > PROBLEMS_SHOWN && <Box>and {count(bad.length - PROBLEMS_SHOWN)} more</Box>}
    </SpaceBetween>
  );
}

/** The format that a file's name suggests. */
function guess(file: string): string {
  const ending = /\.([a-z]+)(?:\.(?:gz|zst))?$/i.exec(file)?.[1]?.toLowerCase();
  return ending === "csv" || ending === "tsv" || ending === "txt" ? "csv" : ending === "json" ? "json" : "jsonl";
}
