import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import { useState } from "react";
import { reasonWords } from "../words/reasons";

/** Characters that are shown of a row until more are asked for. */
const SHOWN = 300;

/** A row as it stands in the file: its beginning, and all of it when asked for. */
export function RowText({ text, line }: { text: string; line: number }) {
  const [open, setOpen] = useState(false);
  const isLong = text.length > SHOWN;
  return (
    <>
      <pre className="row-text">{isLong && !open ? `${text.slice(0, SHOWN)}…` : text}</pre>
      {isLong && (
        <Button
          variant="inline-link"
          ariaExpanded={open}
          ariaLabel={`${open ? "Show less" : "Show all"} of line ${line}`}
          onClick={() => setOpen(!open)}
        >
          {open ? "Show less" : "Show all"}
        </Button>
      )}
    </>
  );
}

/** Why a row is rejected, and what to do about it. */
export function ReasonText({ code, message }: { code: string; message: string }) {
  const { title, detail, fix } = reasonWords(code, message);
  return (
    <div className="file-name">
      <b>{title}.</b> {detail}
      {fix && (
        <Box variant="small" display="block" color="text-body-secondary">
          {fix}
        </Box>
      )}
    </div>
  );
}
