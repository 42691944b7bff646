// Measures the JavaScript that a first visit loads, compressed as CloudFront serves it, and fails if it is too much.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 400_000;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

// What a person who signs in for the first time has loaded when the page stands, beginning with what everybody loads.
// Reading the table's key and the jobs needs Cognito and DynamoDB; S3 comes with the first upload.
const VISITS = {
  "sign-in page": ["index.html"],
  "signed in, Upload": [
    "index.html",
    "src/ui/shell.tsx",
    "src/pages/upload.tsx",
    "src/aws/cognito.ts",
    "src/aws/dynamodb.ts",
  ],
  "signed in, Imports": [
    "index.html",
    "src/ui/shell.tsx",
    "src/pages/imports.tsx",
    "src/aws/cognito.ts",
    "src/aws/dynamodb.ts",
  ],
};

const sizes = new Map();
const size = (file) => {
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length);
  return sizes.get(file);
};

/** The scripts and style sheets of some entries and of all they import. */
function filesOf(entries) {
  const files = { js: new Set(), css: new Set() };
  const seen = new Set();
  const visit = (name) => {
    if (seen.has(name)) return;
    seen.add(name);
    const chunk = manifest[name];
    if (!chunk) throw new Error(`there is no ${name} in the build`);
    files.js.add(chunk.file);
    for (const css of chunk.css ?? []) files.css.add(css);
    for (const other of chunk.imports ?? []) visit(other);
  };
  for (const entry of entries) visit(entry);
  return files;
}

const sum = (files) => [...files].reduce((total, file) => total + size(file), 0);
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
let failed = false;
for (const [visit, entries] of Object.entries(VISITS)) {
  const { js, css } = filesOf(entries);
  const bytes = sum(js);
  failed ||= bytes > LIMIT_BYTES;
  console.log(`${visit}: ${kilobytes(bytes)} of JavaScript in ${js.size} files, ${kilobytes(sum(css))} of CSS, gzip`);
}
const all = new Set(
  Object.values(manifest)
    .map((chunk) => chunk.file)
    .filter((file) => file.endsWith(".js")),
);
console.log(`everything: ${kilobytes(sum(all))} of JavaScript in ${all.size} files, gzip`);
if (failed) {
  console.error(`More than ${kilobytes(LIMIT_BYTES)} of JavaScript.`);
  process.exit(1);
}
