import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { useApp } from "../ui/context";
import { bytes, count } from "../ui/format";
import { Failure } from "../ui/states";
import type { Draft } from "../upload/manager";
import { metadataOf, misfitOf } from "../upload/plan";
import { ReadOptionsForm } from "./options";
import { PreviewView } from "./preview";

/** A file that was chosen: what it is, what would become of it, and how to read it in another way. */
export default function DraftView({ draft, first }: { draft: Draft; first: boolean }) {
  const { uploads } = useApp();
  const { file, preview, options, schemaProblem } = draft;
  const misfit = misfitOf(metadataOf(options));
  const verdict = verdictOf(draft);
  const anyway = verdict.type !== "success" && verdict.type !== "loading";
  return (
    <ExpandableSection
      variant="container"
      defaultExpanded={first}
      headerText={file.name}
      headerInfo={<StatusIndicator type={verdict.type}>{verdict.text}</StatusIndicator>}
      headerDescription={bytes(file.size)}
      headerActions={
        <SpaceBetween direction="horizontal" size="xs">
          <Button onClick={() => uploads.drop(draft.id)} ariaLabel={`Remove ${file.name}`}>
            Remove
          </Button>
          <Button
            variant={anyway ? "normal" : "primary"}
            disabled={preview === undefined || misfit !== undefined}
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

function verdictOf({ preview, schema }: Draft): { type: StatusIndicatorProps.Type; text: string } {
  if (!preview) return { type: "loading", text: "Looking at it" };
  if (preview.failure) return { type: "error", text: "The import would fail" };
  const seen = preview.rows.length;
  const rows = preview.whole ? `${count(seen)} ${seen === 1 ? "row" : "rows"}` : `first ${count(seen)} rows`;
  if (preview.rejected > 0) {
    return { type: "warning", text: `${count(preview.rejected)} of the ${rows} would be rejected` };
  }
  if (seen === 0) return { type: "info", text: "No rows" };
  const keys = schema?.key.map((key) => key.name).join(" and ");
  return { type: "success", text: `${preview.whole ? "All " : "The "}${rows} fit${keys ? `, key ${keys} found` : ""}` };
}
