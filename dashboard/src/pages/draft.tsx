import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import LiveRegion from "@cloudscape-design/components/live-region";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { useApp } from "../ui/context";
import { bytes, count, time } from "../ui/format";
import { Failure } from "../ui/states";
import type { Draft, Verdict } from "../upload/manager";
import { metadataOf, misfitOf, optionsOf, sameOptions } from "../upload/plan";
import { ReadOptionsForm } from "./options";
import { PreviewView } from "./preview";

/** A file that was chosen: what it is, what would become of it, and how to read it in another way. */
export default function DraftView({ draft, verdict, first }: { draft: Draft; verdict: Verdict; first: boolean }) {
  const { uploads } = useApp();
  const { file, preview, options, schemaProblem } = draft;
  const misfit = misfitOf(metadataOf(options));
  const { type, text } = inWords(verdict, draft);
  const anyway = type !== "success" && type !== "loading";
  return (
    <ExpandableSection
      variant="container"
      defaultExpanded={first}
      headerText={file.name}
      headerInfo={
        <LiveRegion tagName="span">
          <StatusIndicator type={type}>{text}</StatusIndicator>
        </LiveRegion>
      }
      headerDescription={bytes(file.size)}
      headerActions={
        <SpaceBetween direction="horizontal" size="xs">
          <Button onClick={() => uploads.drop(draft.id)} ariaLabel={`Remove ${file.name}`}>
            Remove
          </Button>
          <Button
            variant={anyway ? "normal" : "primary"}
            disabled={verdict === "looking" || verdict === "misfit" || verdict === "under-way"}
            onClick={() => uploads.send(draft.id)}
            ariaLabel={`${anyway ? "Import anyway" : "Import"}: ${file.name}`}
          >
            {anyway ? "Import anyway" : "Import"}
          </Button>
        </SpaceBetween>
      }
    >
      <SpaceBetween size="m">
        {preview?.failure && (
          <Alert type="error" header={preview.failure.problem}>
            {preview.failure.fix}
          </Alert>
        )}
        {draft.begun && (
          <Alert type="info">
            An upload of this file was begun on {time(draft.begun.at)}.{" "}
            {sameOptions(options, optionsOf(draft.begun.metadata))
              ? "It goes on with what has arrived."
              : "It had other options: with these it begins anew."}
          </Alert>
        )}
        {misfit && <Alert type="error">{misfit}</Alert>}
        {schemaProblem && (
          <Failure
            problem={{
              ...schemaProblem,
              title: `The file is not checked against the table: ${schemaProblem.title}`,
            }}
            onRetry={() => uploads.setOptions(draft.id, { ...options })}
          />
        )}
        {preview && (
          <PreviewView
            preview={preview}
            schema={draft.schema}
            options={options}
            onOptions={(changed) => uploads.setOptions(draft.id, changed)}
          />
        )}
        <ExpandableSection headerText="Options" headerDescription="How the file is read, if not as it looks">
          <ReadOptionsForm options={options} onChange={(changed) => uploads.setOptions(draft.id, changed)} />
        </ExpandableSection>
        {preview && !preview.whole && (
          <Box variant="small" color="text-body-secondary">
            This is the beginning of the file. Every row is checked when it is imported; those that do not fit are
            reported, the others are written.
          </Box>
        )}
      </SpaceBetween>
    </ExpandableSection>
  );
}

function inWords(verdict: Verdict, { preview, schema }: Draft): { type: StatusIndicatorProps.Type; text: string } {
  const seen = preview?.rows.length ?? 0;
  const rows = preview?.whole ? `${count(seen)} ${seen === 1 ? "row" : "rows"}` : `first ${count(seen)} rows`;
  switch (verdict) {
    case "looking":
      return { type: "loading", text: "Looking at it" };
    case "under-way":
      return { type: "info", text: "Being uploaded already" };
    case "misfit":
      return { type: "error", text: "An option does not fit" };
    case "fails":
      return { type: "error", text: "The import would fail" };
    case "rejects":
      return { type: "warning", text: `${count(preview?.rejected ?? 0)} of the ${rows} would be rejected` };
    case "unchecked":
      return { type: "info", text: "Not checked against the table" };
    case "empty":
      return { type: "info", text: "No rows" };
    case "fits": {
      const keys = schema?.key.map((key) => key.name).join(" and ");
      return { type: "success", text: `${preview?.whole ? "All " : "The "}${rows} fit, key ${keys} found` };
    }
  }
}
