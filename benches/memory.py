#!/usr/bin/env python3
"""Peak memory and CPU time of large imports with default settings, against the sink, as a table.

    make memory                                  # builds what it needs; 1 GiB and 4 GiB of catalog rows
    make memory ARGS='--gib 0.1 --gib 0.2'       # other sizes
    make memory ARGS='--write docs'              # also writes the table into docs/

Each import is a process of its own. Its figures are the kernel's (wait4: maximum resident set size, user and system
time), the same that `/usr/bin/time -v` prints. DynamoDB and S3 are the sink's.
"""

import argparse
import gzip
import pathlib
import shutil
import sys
import tempfile

import measure

CATALOG_ROW_BYTES = 480
LIMIT_BYTES = 64 * measure.MIB
# How much more the largest file may take than the smallest: allocators do not do the same thing twice.
FLAT = 1.1


def imports(files, form, rows):
    """What is imported of a file of rows: what it is called, its source, and its file if it comes on standard input."""
    key = files.key("catalog", form, rows)
    path = files.path(key)
    yield f"{form} object in S3", f"s3://{measure.BUCKET}/{key}", None
    yield f"{form} file", path, None
    if form == "json":
        yield "json on standard input", "-", path
        packed = path.with_suffix(".json.gz")
        with path.open("rb") as file, gzip.open(packed, "wb", compresslevel=1) as out:
            shutil.copyfileobj(file, out, measure.MIB)
        yield "json.gz object in S3", f"s3://{measure.BUCKET}/{packed.name}", None
        packed.unlink()
    path.unlink()


def measured(bin_dir, files, sink, gib):
    """The figures of all imports of one size."""
    rows = int(gib * 2**30 / CATALOG_ROW_BYTES)
    figures = {}
    for form in ("json", "jsonl", "ddb-json", "csv"):
        for what, source, stdin in imports(files, form, rows):
            before = sink.rows()
            command = [bin_dir / "intake", "import", source, "--table", measure.TABLE, "--quiet"]
            with open(stdin or "/dev/null", "rb") as file:
                usage = measure.run(command, sink.environment(), file)
            if sink.rows() - before != rows:
                raise SystemExit(f"{what}: {sink.rows() - before} of {rows} rows came")
            figures[what] = (usage.peak_bytes, usage.cpu_seconds / rows * 1e6)
            print(f"{gib:g} GiB, {what}: {usage.peak_bytes / measure.MIB:.1f} MiB", file=sys.stderr, flush=True)
    return figures


def report(by_size):
    """The table, and the verdict, of figures by size."""
    sizes = sorted(by_size)
    lines = []
    for what in by_size[sizes[0]]:
        peaks = [f"{by_size[size][what][0] / measure.MIB:.0f}" for size in sizes]
        lines.append([what, *peaks, *(f"{by_size[size][what][1]:.2f}" for size in sizes)])
    head = ["import of", *(f"peak RSS of {size:g} GiB, MiB" for size in sizes), *(f"CPU of {size:g} GiB, µs a row" for size in sizes)]
    largest = max(peak for figures in by_size.values() for peak, _ in figures.values())
    growth = max(by_size[sizes[-1]][what][0] / by_size[sizes[0]][what][0] for what in by_size[sizes[0]])
    met = largest <= LIMIT_BYTES and growth <= FLAT
    verdict = (f"Largest: {largest / measure.MIB:.0f} MiB, at most {LIMIT_BYTES // measure.MIB} MiB promised. From "
               f"{sizes[0]:g} to {sizes[-1]:g} GiB it grew {growth:.2f}-fold at most, {FLAT:g} counts as flat. "
               f"{'Met' if met else '**Missed**'}.")
    return measure.table(head, lines) + "\n\n" + verdict, met


def main():
    """Measures; the exit code is 1 if more memory was used than is promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, action="append", help="size of the JSON file, can be repeated (default 1 and 4)")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=measure.TARGET / "release", help="where the programs are")
    parser.add_argument("--write", type=pathlib.Path, metavar="DIR", help="write the table to DIR")
    asked = parser.parse_args()
    measure.TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="memory-", dir=measure.TARGET) as folder:
        files = measure.Files(folder, asked.bin_dir / "intake")
        with measure.Sink(asked.bin_dir / "sink", files.folder) as sink:
            by_size = {gib: measured(asked.bin_dir, files, sink, gib) for gib in asked.gib or (1.0, 4.0)}
    text, met = report(by_size)
    text = f"Commit {measure.commit()}, {measure.machine()}.\n\n{text}"
    print(text)
    if asked.write:
        page = asked.write / "BENCHMARKS.md"
        page.write_text(measure.with_section(page.read_text(), "memory", text))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
