import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { textOf } from "../items/attribute";
import type { ReadOptions } from "../preview/detect";
import type { Column, Preview, PreviewRow } from "../preview/preview";
import { isReason } from "../preview/reason";
import type { Schema } from "../preview/schema";
import { count } from "../ui/format";
import { ReasonText, RowText } from "../ui/row-text";
import { reasonWords } from "../words/reasons";

const ROWS_SHOWN = 10;
const COLUMNS_SHOWN = 12;
const REJECTS_SHOWN = 20;
const FORMATS = { csv: "CSV", json: "JSON", jsonl: "JSON Lines", "ddb-json": "DynamoDB JSON" };
const DELIMITERS: Record<string, string> = { ",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe" };
const ROLES = { partition: "partition key", sort: "sort key", index: "index key" };

/** What the beginning of a file tells. */
export function PreviewView({
  preview,
  schema,
  options,
  onOptions,
}: {
  preview: Preview;
  schema: Schema | undefined;
  options: ReadOptions;
  onOptions: (options: ReadOptions) => void;
}) {
  const rejects = preview.rows.filter((row) => isReason(row.outcome));
  const facts = [
    { label: "Format", value: preview.format ? FORMATS[preview.format] : "unknown" },
    ...(preview.delimiter ? [{ label: "Delimiter", value: DELIMITERS[preview.delimiter] ?? preview.delimiter }] : []),
    { label: "Encoding", value: preview.encoding?.toUpperCase() ?? "unknown" },
    { label: "Compression", value: preview.compression },
    { label: "Columns", value: count(preview.columns.length) },
    {
      label: "Key",
      value: schema ? schema.key.map((key) => `${key.name} (${key.type})`).join(", ") : "not checked",
    },
  ];
  const mixed = preview.columns.filter((column) => isMixed(column) && !options.types?.has(column.name));
  return (
    <SpaceBetween size="m">
      {preview.format && <KeyValuePairs columns={3} minColumnWidth={110} items={facts} />}
      {mixed.map((column) => (
        <SpaceBetween key={column.name} direction="horizontal" size="xs" alignItems="center">
          <Box>
            Column <b>{column.name}</b> would be {column.types.join(" in some rows and ")} in others.
          </Box>
          <Button
            variant="inline-link"
            onClick={() => onOptions({ ...options, types: new Map(options.types).set(column.name, "S") })}
          >
            Store all as text
          </Button>
        </SpaceBetween>
      ))}
      {preview.rows.length > 0 && <RowsTable preview={preview} />}
      {rejects.length > 0 && (
        <Table
          variant="embedded"
          wrapLines
          header={
            <Box variant="h3">
              Rows that would be rejected ({count(rejects.length)} of {count(preview.rows.length)} seen)
            </Box>
          }
          items={rejects.slice(0, REJECTS_SHOWN)}
          trackBy={(row) => String(row.record)}
          columnDefinitions={[
            { id: "line", header: "Line", cell: (row) => count(row.line), width: 80 },
            {
              id: "why",
              header: "Reason",
              cell: (row) => isReason(row.outcome) && <ReasonText {...row.outcome} />,
              minWidth: 220,
            },
            {
              id: "text",
              header: "Row",
              cell: (row) => <RowText text={row.text} line={row.line} />,
              minWidth: 220,
            },
          ]}
        />
      )}
    </SpaceBetween>
  );
}

/** The types that people did not mean to mix: text that is no number among numbers. */
function isMixed(column: Column): boolean {
  return column.types.includes("S") && column.types.includes("N") && column.role === undefined;
}

function RowsTable({ preview }: { preview: Preview }) {
  const columns = preview.columns.slice(0, COLUMNS_SHOWN);
  const more = preview.columns.length - columns.length;
  return (
    <Table
      variant="embedded"
      header={
        <Box variant="h3">
          First rows{more > 0 ? `, ${COLUMNS_SHOWN} of ${count(preview.columns.length)} columns` : ""}
        </Box>
      }
      items={preview.rows.slice(0, ROWS_SHOWN)}
      trackBy={(row) => String(row.record)}
      columnDefinitions={[
        { id: "line", header: "Line", cell: (row: PreviewRow) => count(row.line), width: 80 },
        ...columns.map((column, index) => ({
          id: `c${index}`,
          header: <ColumnHeader column={column} />,
          cell: (row: PreviewRow) => <Cell row={row} name={column.name} first={index === 0} />,
        })),
      ]}
    />
  );
}

function ColumnHeader({ column }: { column: Column }) {
  return (
    <SpaceBetween direction="horizontal" size="xxs">
      <span>{column.name}</span>
      <Box variant="small" color="text-body-secondary" fontWeight="normal">
        {column.types.join(", ") || "–"}
      </Box>
      {column.role && <Badge color="blue">{ROLES[column.role]}</Badge>}
    </SpaceBetween>
  );
}

function Cell({ row, name, first }: { row: PreviewRow; name: string; first: boolean }) {
  if (isReason(row.outcome)) {
    const { title } = reasonWords(row.outcome.code, "");
    return first ? <Badge color="red">{title}</Badge> : <Box color="text-status-inactive">–</Box>;
  }
  return <div className="cell">{textOf(row.outcome.get(name)).slice(0, 200)}</div>;
}
