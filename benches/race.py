#!/usr/bin/env python3
"""CPU and memory of Intake and of what people use in its place: one run, one sink, the same rows.

    make race                               # builds and installs what it needs, prints the tables
    make race ARGS='--write docs'           # also writes them, and the chart, into docs/
    make race ARGS='--quick --only csv'     # a tenth of the rows; what has csv in its name

Every import is a process of its own, measured by the kernel (wait4). What it costs to start is measured with a file of 25
rows and taken off, for everyone: it would be most of what a slow competitor's few rows seem to cost. The sink is in another
process and counts rows: a run whose rows are not all there ends the race.
"""

import argparse
import dataclasses
import datetime
import functools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import measure

TINY_ROWS = 25
BATCH_ROWS = 25
LANES = 16
# Rows whose bodies the floor sends over and over: few enough to stay in a cache, as those do that Intake just made.
RECORDED_ROWS = 10_000
SMALL_ROWS, CATALOG_ROWS = 5_000_000, 1_000_000
REFERENCE_ROWS = {"small": 500_000, "catalog": 250_000}
PEERS = measure.ROOT / "benches" / "peers"
ROW_OF_BATCH = b'{"PutRequest":{"Item":'
# A new table's write quota, and so rows of up to 1 KB a second.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
TABLE_ROWS_A_SECOND = 40_000
# "At 1,769 MB, a function has the equivalent of one vCPU".
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
VCPU_MB, LAMBDA_LEAST_MB, LAMBDA_MOST_MB = 1_769, 128, 10_240
# arm64 in us-east-1. https://aws.amazon.com/lambda/pricing/
GB_SECOND_DOLLARS = 0.0000133334
# Two runs of the same program differ by this much, so "no slower" cannot mean less.
NOISE = 0.03


@dataclasses.dataclass(frozen=True)
class Competitor:
    """Who imports what. `command` is called with an object's key, or for the floor with a number of rows."""

    name: str
    command: object
    rows: int
    shape: str = "small"
    form: str = "json"
    tls: bool = False
    # JavaScript and Python run on one core, however many threads they have.
    one_core: bool = False

    @property
    def full_name(self):
        """The name in messages and for --only."""
        return f"{self.name}, {self.shape} rows{', TLS' if self.tls else ''}"


@dataclasses.dataclass
class Result:
    """The runs of one competitor."""

    competitor: Competitor
    tiny: list
    full: list

    @property
    def start_seconds(self):
        """CPU of a run with next to no rows."""
        return measure.spread([usage.cpu_seconds for usage in self.tiny])[0]

    @property
    def cpu_seconds(self):
        """CPU of a whole run, start included."""
        return measure.spread([usage.cpu_seconds for usage in self.full])[0]

    @property
    def micros(self):
        """CPU a row without the start: median, least, most."""
        return measure.spread([marginal_micros(usage.cpu_seconds, self.start_seconds, self.competitor.rows)
                               for usage in self.full])

    @property
    def micros_with_start(self):
        """CPU a row of a whole run."""
        return self.cpu_seconds / self.competitor.rows * 1e6

    @property
    def peak_bytes(self):
        """The most memory that any run had."""
        return max(usage.peak_bytes for usage in self.full)


def marginal_micros(cpu_seconds, start_seconds, rows):
    """What one more row costs."""
    return (cpu_seconds - start_seconds) / (rows - TINY_ROWS) * 1e6


class Target:
    """One line of the issue's "It is done when"."""

    def __init__(self, promise, figure, unit, limit, at_most):
        self.promise, self.unit = promise, unit
        self.figure, self.limit, self.at_most = figure, limit, at_most

    @property
    def met(self):
        """Whether it is; not, when it was not measured. Without a limit, to be measured is enough."""
        if self.figure is None or self.limit is None:
            return self.figure is not None
        return self.figure <= self.limit if self.at_most else self.figure >= self.limit

    def line(self):
        """A row of the table of targets."""
        figure = "not measured" if self.figure is None else f"{self.figure:.2f}{self.unit}"
        limit = f"{'at most' if self.at_most else 'at least'} {self.limit:g}{self.unit}" if self.limit else "a figure"
        return [self.promise, limit, figure, "met" if self.met else "**missed**"]


def targets(results):
    """The targets of the race, of results by (name, shape, tls)."""
    def micros(name, shape="small"):
        result = results.get((name, shape, False))
        return result and result.micros[0]

    def ratio(over, under):
        return over / under if over and under else None

    intake = {shape: micros("Intake, JSON", shape) for shape in ("small", "catalog")}
    found = [Target("Intake, small JSON rows, a row", intake["small"], " µs", 1.5, at_most=True)]
    for shape, cost in intake.items():
        found.append(Target(f"Intake over the floor, {shape} rows", ratio(cost, micros("the floor", shape)), " ×", 2,
                            at_most=True))
        for form in ("JSON Lines", "CSV"):
            found.append(Target(f"{form} over JSON, {shape} rows (no slower, but for noise)",
                                ratio(micros(f"Intake, {form}", shape), cost), " ×", 1 + NOISE, at_most=True))
    for name, limit in (("reference decoder + SDK writer, JSON", 4.5), ("boto3 batch_writer", 90),
                        ("the lab's Lambda (boto3 put_item)", 900)):
        found.append(Target(f"{name} over Intake, small rows", ratio(micros(name), intake["small"]), " ×", limit,
                            at_most=False))
    for shape in intake:
        tls = results.get(("Intake, JSON", shape, True))
        found.append(Target(f"Intake with TLS, {shape} rows, a row", tls and tls.micros[0], " µs", None, at_most=True))
    return found


def competitors(bin_dir, floor, node, scale, notes):
    """Everyone that can be raced here; what cannot is told in `notes`."""
    intake = bin_dir / "intake"
    forms = {"JSON": "json", "JSON Lines": "jsonl", "DynamoDB JSON": "ddb-json", "CSV": "csv"}
    reference = ["--decoder", "reference", "--writer", "sdk"]
    # Unknown options are refused before --help is heeded.
    has_reference = subprocess.run([intake, "import", *reference, "--help"], capture_output=True).returncode == 0
    if not has_reference:
        notes.append("The reference decoder and the SDK writer were not raced: this intake has no such options.")

    def imports(options):
        return lambda key: [intake, "import", f"s3://{measure.BUCKET}/{key}", "--table", measure.TABLE, "--quiet", *options]

    def script(*program):
        return lambda key: [*program, measure.BUCKET, key]

    field = []
    for shape, rows in (("small", SMALL_ROWS), ("catalog", CATALOG_ROWS)):
        if floor:
            field.append(Competitor("the floor", floor(shape), whole_batches(rows // scale), shape))
        for name, form in forms.items():
            field.append(Competitor(f"Intake, {name}", imports([]), rows // scale, shape, form))
        if has_reference:
            for name, form in forms.items():
                field.append(Competitor(f"reference decoder + SDK writer, {name}", imports(reference),
                                        REFERENCE_ROWS[shape] // scale, shape, form))
        if shape == "small":
            # With far fewer rows, starting and warming up would be all that there is to see of these.
            if node:
                field.append(Competitor("AWS SDK for JavaScript, document client",
                                        script("node", node / "document_client.mjs"), 200_000 // min(scale, 4),
                                        one_core=True))
            python = [("boto3 batch_writer", "batch_writer.py", 50_000), ("awswrangler put_items", "wrangler.py", 50_000),
                      ("the lab's Lambda (boto3 put_item)", "lab_lambda.py", 3_000)]
            for name, file, rows_of_peer in python:
                field.append(Competitor(name, script(sys.executable, PEERS / file), rows_of_peer // min(scale, 2),
                                        one_core=True))
    for shape, rows in (("small", SMALL_ROWS), ("catalog", CATALOG_ROWS)):
        if floor:
            field.append(Competitor("the floor", floor(shape), whole_batches(rows // scale), shape, tls=True))
        field.append(Competitor("Intake, JSON", imports([]), rows // scale, shape, tls=True))
    return field


def whole_batches(rows):
    """The floor sends nothing else."""
    return rows // BATCH_ROWS * BATCH_ROWS


def bodies(bin_dir, files, shape, rows):
    """Request bodies for the floor: those that Intake sends, where they are full."""
    recorded = files.folder / f"{shape}-recorded"
    with measure.Sink(bin_dir / "sink", files.folder, recorded) as sink:
        measure.run([bin_dir / "intake", "import", f"s3://{measure.BUCKET}/{files.key(shape, 'json', rows)}", "--table",
                     measure.TABLE, "--quiet"], sink.environment())
    path = files.folder / f"{shape}-bodies"
    with recorded.open("rb") as whole, path.open("wb") as full:
        full.writelines(body for body in whole if body.count(ROW_OF_BATCH) == BATCH_ROWS)
    recorded.unlink()
    if path.stat().st_size == 0:
        raise SystemExit(f"no body of {BATCH_ROWS} rows was recorded")
    return path


def race(field, sink, files, rounds):
    """Lets everyone run, in turns, so that what else the machine does hits all of them alike."""
    results = {(one.name, one.shape, one.tls): Result(one, [], []) for one in field}
    for round_number in range(1, rounds + 1):
        for result in results.values():
            one = result.competitor
            for rows, usages in ((TINY_ROWS, result.tiny), (one.rows, result.full)):
                before = sink.rows()
                argument = rows if one.name == "the floor" else files.key(one.shape, one.form, rows)
                usages.append(measure.run(one.command(argument), sink.environment(one.tls)))
                if sink.rows() - before != rows:
                    raise SystemExit(f"{one.full_name}: {sink.rows() - before} of {rows} rows came")
            told = marginal_micros(result.full[-1].cpu_seconds, result.tiny[-1].cpu_seconds, one.rows)
            print(f"round {round_number} of {rounds}: {one.full_name}: {told:.2f} µs a row", file=sys.stderr, flush=True)
    return results


def figure(number):
    """A number with as many digits as matter."""
    return f"{number:,.2f}" if abs(number) < 10 else f"{number:,.1f}" if number < 100 else f"{number:,.0f}"


def rate(micros):
    """Rows a second per core; none if the rows were too few to cost anything beside the start."""
    return f"{1e6 / micros:,.0f}" if micros > 0 else "too few rows"


def table_of(results, shape):
    """The competitors with rows of this shape."""
    intake = results.get(("Intake, JSON", shape, False))
    lines = []
    for (name, its_shape, tls), result in results.items():
        if its_shape != shape or tls:
            continue
        median, least, most = result.micros
        times = f"{figure(median / intake.micros[0])} ×" if intake else ""
        lines.append([name, f"{result.competitor.rows:,}", f"{result.cpu_seconds:.2f}", f"{result.start_seconds:.2f}",
                      figure(result.micros_with_start), figure(median), f"{figure(least)}–{figure(most)}",
                      rate(median), f"{result.peak_bytes / measure.MIB:,.0f}", times])
    return measure.table([f"{shape} rows", "rows", "CPU, s", "of it start, s", "µs a row with start", "**µs a row**",
                          "least–most", "rows/s per core", "peak RSS, MiB", "CPU over Intake's"], lines)


def table_of_tls(results):
    """What TLS costs."""
    lines = []
    for (name, shape, tls), result in results.items():
        plain = results.get((name, shape, False))
        if tls and plain:
            median, least, most = result.micros
            lines.append([f"{name}, {shape} rows", figure(plain.micros[0]), figure(median), f"{figure(least)}–{figure(most)}",
                          rate(median), figure(median - plain.micros[0])])
    return measure.table(["with TLS", "µs a row without", "**µs a row**", "least–most", "rows/s per core",
                          "TLS, µs a row"], lines)


def table_of_lambda(results):
    """What CPU a row means in Lambda: memory buys CPU in proportion, and is what is paid for."""
    lines = []
    for (name, shape, tls), result in results.items():
        micros = result.micros[0]
        if shape != "small" or tls or name == "the floor" or micros <= 0:
            continue
        memory_mb = max(LAMBDA_LEAST_MB, result.peak_bytes / measure.MIB, TABLE_ROWS_A_SECOND * micros / 1e6 * VCPU_MB)
        enough = VCPU_MB if result.competitor.one_core else LAMBDA_MOST_MB
        fills = f"{memory_mb:,.0f} MB" if memory_mb <= enough else "none"
        # Smaller than that it takes longer, at the same price.
        dollars = micros * VCPU_MB / 1024 * GB_SECOND_DOLLARS
        lines.append([name, f"{micros:,.1f}", fills, f"${dollars:.5f}"])
    return measure.table(["small rows, in Lambda", "CPU of a million rows, s", "memory that fills 40,000 WCU/s",
                          "Lambda for a million rows"], lines)


def report(results, found, notes, facts, handshakes):
    """All of it, as Markdown."""
    parts = [
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        "![rows a second per core, logarithmic](race.svg)",
        table_of(results, "small"),
        table_of(results, "catalog"),
        f"With TLS to the sink for DynamoDB and S3, {handshakes}:",
        table_of_tls(results),
        table_of_lambda(results),
        measure.table(["target", "promised", "measured", ""], [target.line() for target in found]),
        f"CPU is user and system time of the process. *Start* is the same of an import of {TINY_ROWS} rows beside it, and "
        "*µs a row* and everything right of it is without the start, for everyone. Medians; *least–most* is the "
        "spread of the runs. Peak RSS is the highest of them.",
        f"In Lambda: {VCPU_MB:,} MB buy one vCPU, taken to be as fast as a core here; ${GB_SECOND_DOLLARS:.10f} a GB-second "
        f"(arm64, us-east-1), requests not counted. Python and JavaScript cannot use more than one vCPU, and there is no "
        f"more memory than {LAMBDA_MOST_MB:,} MB.",
        *notes,
    ]
    return "\n\n".join(part for part in parts if part)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--scale", type=int, help="a so-manieth of the rows (--quick is 10)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each competitor (default 3)")
    parser.add_argument("--only", metavar="REGEX", help="only competitors whose name has this in it")
    parser.add_argument("--profile", default="release", help="the Cargo profile to build with (default release)")
    parser.add_argument("--bin-dir", type=pathlib.Path, help="take programs from here and build nothing")
    parser.add_argument("--node", type=pathlib.Path, help="folder with document_client.mjs and its node_modules")
    parser.add_argument("--write", type=pathlib.Path, metavar="DIR", help="write tables and chart to DIR")
    asked = parser.parse_args()
    if asked.write and asked.only:
        parser.error("--write is for the whole race, not with --only")
    return asked


def build(profile):
    """Builds what is raced and gives the folder it is in."""
    floor = ["--example", "floor"] if (measure.ROOT / "benches" / "floor.rs").exists() else []
    subprocess.run(["cargo", "build", "--profile", profile, "-p", "intake", "-p", "benches", "--bin", "intake", "--bin",
                    "sink", *floor], cwd=measure.ROOT, check=True)
    return measure.TARGET / {"dev": "debug"}.get(profile, profile)


def main():
    """Runs the race; the exit code is 1 if a target is missed."""
    asked = arguments()
    scale = asked.scale or (10 if asked.quick else 1)
    bin_dir = asked.bin_dir or build(asked.profile)
    notes = []
    floor_program = next((path for path in (bin_dir / "examples" / "floor", bin_dir / "floor") if path.exists()), None)
    if floor_program is None:
        notes.append("The floor was not measured: its program was not built.")
    node = asked.node if shutil.which("node") else None
    if node is None:
        notes.append("The AWS SDK for JavaScript was not raced: there is no Node.js, or no --node.")
    measure.TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="race-", dir=measure.TARGET) as folder:
        files = measure.Files(folder, bin_dir / "intake")

        recorded = functools.cache(lambda shape: bodies(bin_dir, files, shape, RECORDED_ROWS))

        def floor(shape):
            return lambda rows: [floor_program, "--body-file", recorded(shape), "--rows-per-batch", BATCH_ROWS, "--rows",
                                 rows, "--lanes", LANES]

        field = competitors(bin_dir, floor if floor_program else None, node, scale, notes)
        field = [one for one in field if re.search(asked.only or "", one.full_name)]
        with measure.Sink(bin_dir / "sink", files.folder, tls=True) as sink:
            results = race(field, sink, files, asked.rounds)
            tls = sink.taken()["TLS"]
    found = targets(results)
    versions = [f"{package} {measure.first_line(sys.executable, '-c', f'import importlib.metadata as m; print(m.version({package!r}))')}"
                for package in ("boto3", "awswrangler")]
    options = [f"--scale {scale}"] * (scale > 1) + [f"--rounds {asked.rounds}"] * (asked.rounds != 3)
    options += [f"--profile {asked.profile}"] * (asked.profile != "release") + [f"--only '{asked.only}'"] * bool(asked.only)
    rows_and_rounds = f" ARGS=\"{' '.join(options)}\"" * bool(options)
    facts = {
        "Command": f"`make race{rows_and_rounds}`",
        "Date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "Commit": measure.commit() + " (the programs were built before)" * bool(asked.bin_dir),
        "Machine": measure.machine(),
        "Versions": ", ".join([measure.first_line("rustc", "--version"), measure.first_line(bin_dir / "intake", "--version"),
                               f"Python {sys.version.split()[0]}", *versions,
                               f"Node.js {measure.first_line('node', '--version')}"]),
        "Runs of each": str(asked.rounds),
    }
    handshakes = f"{tls['full']} full handshakes and {tls['resumed']} resumed ones in all"
    text = report(results, found, notes, facts, handshakes)
    print(text)
    if asked.write:
        import chart  # needs pygal, the tables do not

        page = asked.write / "BENCHMARKS.md"
        page.write_text(measure.with_section(page.read_text(), "race", text))
        (asked.write / "race.svg").write_text(chart.drawn({
            name: 1e6 / result.micros[0] for (name, shape, tls), result in results.items()
            if shape == "small" and not tls and result.micros[0] > 0}))
    return 0 if all(target.met for target in found) else 1


if __name__ == "__main__":
    sys.exit(main())
