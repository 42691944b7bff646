import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import LiveRegion from "@cloudscape-design/components/live-region";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Textarea from "@cloudscape-design/components/textarea";
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { inWords } from "../aws/problem";
import type { Job } from "../jobs/job";
import type { ReadOptions } from "../preview/detect";
import { type Preview, previewText } from "../preview/preview";
import { isReason } from "../preview/reason";
import { headerOf } from "../reports/header";
import { type Correction, correctionName, correctionOf, type Report } from "../reports/rejects";
import { useApp } from "../ui/context";
import { Dialog } from "../ui/dialog";
import { count } from "../ui/format";
import { Show, useLoaded } from "../ui/states";
import { optionsOf } from "../upload/plan";
import { reasonWords } from "../words/reasons";
import { ReadOptionsForm } from "./options";

/** Rejected rows that can be corrected on the page; more are better corrected in an editor. */
const ROWS_MAX = 500;
const PROBLEMS_SHOWN = 5;

interface Start {
  correction: Correction;
  /** How many rejected rows these are, the ones that are too long for the report included. */
  rows: number;
  /** Whether these are all. */
  whole: boolean;
  /** Why the header of a CSV file is not there. */
  noHeader: string | undefined;
}

/** Lets somebody correct rejected rows, checks them as they type, and imports them. */
export default function CorrectionModal({
  job: current,
  report,
  more,
  onClose,
}: {
  job: Job;
  report: Report;
  more: (from: Report) => Promise<Report>;
  onClose: () => void;
}) {
  const { services, edits } = useApp();
  const [asking, setAsking] = useState(false);
  // As it was when the dialog opened: it is read again and again meanwhile.
  const [job] = useState(current);
  const { key, etag, file, format = guess(file), options } = job;
  const load = useCallback(async (): Promise<Start> => {
    let read = report;
    while (!read.whole && read.rejects.length < ROWS_MAX) read = await more(read);
    const rejects = read.rejects.slice(0, ROWS_MAX);
    let header: string | undefined;
    let noHeader: string | undefined;
    if (format === "csv") {
      try {
        const keys = (await services.schema()).key.map((attribute) => attribute.name);
        header = await headerOf((bytes) => services.read(key, 0, bytes, etag), optionsOf(options ?? {}), keys);
        if (header === undefined) noHeader = "It could not be found in the file.";
      } catch (error) {
        noHeader = inWords(error).title;
      }
    }
    const whole = read.whole && rejects.length === read.rejects.length;
    return { correction: correctionOf(rejects, format, header), rows: rejects.length, whole, noHeader };
  }, [services, report, more, key, etag, format, options]);
  const { loaded, reload } = useLoaded(load);
  const discard = () => {
    edits.delete(job.job);
    onClose();
  };
  return (
    <Modal
      visible
      size="large"
      onDismiss={() => (edits.has(job.job) ? setAsking(true) : onClose())}
      header={`Correct rows of ${file}`}
      closeAriaLabel="Close"
    >
      <Show loaded={loaded} what="the rows" onRetry={reload}>
        {(start) => (
          <Editor
            job={job}
            start={start}
            onClose={() => (edits.has(job.job) ? setAsking(true) : onClose())}
            onSent={discard}
          />
        )}
      </Show>
      {asking && (
        <Dialog
          title="Discard your corrections?"
          action="Discard"
          onAction={discard}
          otherwise="Keep editing"
          onClose={() => setAsking(false)}
        >
          What you changed is not imported yet.
        </Dialog>
      )}
    </Modal>
  );
}

function Editor({ job, start, onClose, onSent }: { job: Job; start: Start; onClose: () => void; onSent: () => void }) {
  const { services, uploads, edits } = useApp();
  const [, navigate] = useLocation();
  const schema = useLoaded(useCallback(() => services.schema(), [services])).loaded.data;
  const { correction } = start;
  // As it was left, if somebody went to another page in between.
  const [text, setText] = useState(edits.get(job.job) ?? correction.text);
  const [options, setOptions] = useState((): ReadOptions => {
    const { delimiter, types } = optionsOf(job.options ?? {});
    // The corrected file is UTF-8, and has its rows at the top.
    return { format: correction.format, delimiter: correction.format === "csv" ? delimiter : undefined, types };
  });
  const checked = useDeferredValue(text);
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
  const edit = (changed: string) => {
    setText(changed);
    if (changed === correction.text) edits.delete(job.job);
    else edits.set(job.job, changed);
  };
  const send = () => {
    const name = correctionName(job.file, correction.ending);
    uploads.upload(new File([text], name, { type: "text/plain" }), options, preview);
    onSent();
    navigate("/upload");
  };
  const needsHeader = start.noHeader !== undefined && /^\s*\n/.test(checked);
  const fits = schema !== undefined && !preview.failure && preview.rejected === 0;
  return (
    <SpaceBetween size="m">
      {correction.truncated > 0 && (
        <Alert type="warning">
          {count(correction.truncated)} of them are too long for the report. Correct those in the file itself.
        </Alert>
      )}
      {!start.whole && (
        <Alert type="info">
          These are the first {count(start.rows)} of {count(job.rowsRejected)} rejected rows. Download the report to
          correct the others.
        </Alert>
      )}
      {needsHeader && (
        <Alert type="info" header="Write the header into the first line">
          The names of the columns, as in the file. {start.noHeader}
        </Alert>
      )}
      {job.options === undefined && (
        <Alert type="info">
          It is not known which options the file was imported with. If it was imported with some, set them below.
        </Alert>
      )}
      <FormField label="Rows" stretch description="They replace items of the same key, like every import.">
        <div className="editor">
          <Textarea rows={14} spellcheck={false} value={text} onChange={({ detail }) => edit(detail.value)} />
        </div>
      </FormField>
      <LiveRegion>
        <Verdict preview={preview} isChecked={schema !== undefined} />
      </LiveRegion>
      <ExpandableSection headerText="Options" headerDescription="As the file was imported with">
        <ReadOptionsForm
          options={options}
          onChange={(changed) => {
            setOptions(changed);
            edits.set(job.job, text);
          }}
        />
      </ExpandableSection>
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
    </SpaceBetween>
  );
}

function Verdict({ preview, isChecked }: { preview: Preview; isChecked: boolean }) {
  if (preview.failure) {
    return (
      <StatusIndicator type="error">
        {preview.failure.problem} {preview.failure.fix}
      </StatusIndicator>
    );
  }
  if (!isChecked) return <StatusIndicator type="info">Not checked against the table yet</StatusIndicator>;
  if (preview.rejected === 0) return <StatusIndicator type="success">All rows fit</StatusIndicator>;
  const bad = preview.rows.filter((row) => isReason(row.outcome));
  return (
    <SpaceBetween size="xxs">
      {bad.slice(0, PROBLEMS_SHOWN).map((row) => {
        if (!isReason(row.outcome)) return null;
        const { title, detail } = reasonWords(row.outcome.code, row.outcome.message);
        return (
          <StatusIndicator key={row.record} type="warning">
            Line {count(row.line)}: {detail || title}
          </StatusIndicator>
        );
      })}
      {bad.length > PROBLEMS_SHOWN && <Box>and {count(bad.length - PROBLEMS_SHOWN)} more</Box>}
    </SpaceBetween>
  );
}

/** The format that a file's name suggests. */
function guess(file: string): string {
  const ending = /\.([a-z]+)(?:\.(?:gz|zst))?$/i.exec(file)?.[1]?.toLowerCase();
  return ending === "csv" || ending === "tsv" || ending === "txt" ? "csv" : ending === "json" ? "json" : "jsonl";
}
