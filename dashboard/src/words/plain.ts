/** What only people at a command line can use: flags, object metadata, variables, programs. */
const COMMAND_LINE =
  /--[a-z]|x-amz-|\bmetadata\b|\bINTAKE_|\bintake \w|\baws s3|\b(?:gzip|zstd) -t|\bfunction's log|state machine/;

/** Whether a text speaks to people at a command line. */
export function isForCommandLine(text: string): boolean {
  return COMMAND_LINE.test(text);
}

/** What of the importer's words people at a page can use: its clauses without those about a command line, and without bytes. */
export function plain(text: string): string {
  const clauses = text
    .replace(/, byte [\d,]+(?=[,):]| \()/g, "")
    .split("; ")
    .filter((clause) => !isForCommandLine(clause) && !/\bbyte \d/.test(clause));
  return sentence(clauses.join("; "));
}

/** A text as a sentence. */
export function sentence(text: string): string {
  if (text === "") return "";
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
