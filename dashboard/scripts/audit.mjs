// Fails if a package that the page ships has a known vulnerability. A registry that offers no audit is no failure, but is said.
import { spawnSync } from "node:child_process";

const { stdout } = spawnSync("npm", ["audit", "--omit=dev", "--json"], { encoding: "utf8" });
let report;
try {
  report = JSON.parse(stdout);
} catch {
  report = {};
}
const found = report.metadata?.vulnerabilities;
if (!found) {
  console.warn(
    `npm audit: NOT CHECKED, the registry offers no audit (${report.message ?? report.error?.summary ?? "no answer"})`,
  );
  process.exit(0);
}
console.log(`npm audit: ${found.total} known vulnerabilities in what the page ships`);
for (const [name, { severity, range }] of Object.entries(report.vulnerabilities ?? {}))
  console.log(`  ${severity}: ${name} ${range}`);
process.exit(found.moderate + found.high + found.critical > 0 ? 1 : 0);
