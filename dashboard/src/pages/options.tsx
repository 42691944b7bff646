import ColumnLayout from "@cloudscape-design/components/column-layout";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import { useState } from "react";
import type { Format, ReadOptions } from "../preview/detect";
import { formatTypes, parseTypes } from "../preview/schema";

const AUTOMATIC: SelectProps.Option = { value: "", label: "Automatic" };
const FORMATS: SelectProps.Option[] = [
  AUTOMATIC,
  { value: "csv", label: "CSV or TSV" },
  { value: "json", label: "JSON" },
  { value: "jsonl", label: "JSON Lines" },
  { value: "ddb-json", label: "DynamoDB JSON" },
];
const DELIMITERS: SelectProps.Option[] = [
  AUTOMATIC,
  { value: ",", label: "Comma" },
  { value: ";", label: "Semicolon" },
  { value: "\t", label: "Tab" },
  { value: "|", label: "Pipe" },
];
const ENCODINGS: SelectProps.Option[] = [
  AUTOMATIC,
  ...[
    "utf-8",
    "windows-1252",
    "windows-1250",
    "windows-1251",
    "iso-8859-15",
    "utf-16le",
    "shift_jis",
    "gbk",
    "euc-kr",
  ].map((value) => ({ value, label: value })),
];

/** How a file is to be read, if not as its content says. */
export function ReadOptionsForm({
  options,
  onChange,
}: {
  options: ReadOptions;
  onChange: (options: ReadOptions) => void;
}) {
  const choice = (
    label: string,
    choices: SelectProps.Option[],
    value: string | undefined,
    set: (value: string) => ReadOptions,
  ) => (
    <FormField label={label}>
      <Select
        options={choices}
        selectedOption={choices.find((option) => option.value === (value ?? "")) ?? AUTOMATIC}
        onChange={({ detail }) => onChange(set(detail.selectedOption.value ?? ""))}
      />
    </FormField>
  );
  return (
    <ColumnLayout columns={3}>
      {choice("Format", FORMATS, options.format, (value) => ({
        ...options,
        format: (value || undefined) as Format | undefined,
      }))}
      {choice("Delimiter", DELIMITERS, options.delimiter, (value) => ({ ...options, delimiter: value || undefined }))}
      {choice("Encoding", ENCODINGS, options.encoding, (value) => ({ ...options, encoding: value || undefined }))}
      <TextOption
        label="Rows at"
        description="JSON pointer to the array of rows inside an object"
        placeholder="/Items"
        value={options.rowsAt ?? ""}
        onSet={(value) => {
          onChange({ ...options, rowsAt: value || undefined });
          return undefined;
        }}
      />
      <TextOption
        label="Types"
        description="For columns that are not what they look like: S, N, B or BOOL"
        placeholder="sku:S, price:N"
        value={formatTypes(options.types ?? new Map())}
        onSet={(value) => {
          const types = parseTypes(value);
          if (typeof types === "string") return types;
          onChange({ ...options, types });
          return undefined;
        }}
      />
    </ColumnLayout>
  );
}

/** A text that counts when somebody leaves the field or presses Enter, unless it is wrong. */
function TextOption({
  label,
  description,
  placeholder,
  value,
  onSet,
}: {
  label: string;
  description: string;
  placeholder: string;
  value: string;
  onSet: (value: string) => string | undefined;
}) {
  const [text, setText] = useState(value);
  const [known, setKnown] = useState(value);
  const [problem, setProblem] = useState<string>();
  if (known !== value) {
    // Changed from elsewhere.
    setKnown(value);
    setText(value);
  }
  const set = () => {
    if (text.trim() !== value) setProblem(onSet(text.trim()));
  };
  return (
    <FormField label={label} description={description} errorText={problem}>
      <Input
        value={text}
        placeholder={placeholder}
        onChange={({ detail }) => setText(detail.value)}
        onBlur={set}
        onKeyDown={({ detail }) => {
          if (detail.key === "Enter") set();
        }}
      />
    </FormField>
  );
}
