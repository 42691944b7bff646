#!/usr/bin/env python3
"""Draws where the CPU time of an import goes: docs/flame.svg.

    make flame

2,000,000 small JSON rows from the sink's S3 into the sink, as in the race, under perf. The stacks are folded and drawn by
inferno (https://github.com/jonhoo/inferno), and the widest frames are printed.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import tempfile

import measure

ROWS = 2_000_000
SAMPLES_A_SECOND = 499
WIDEST = 25
# Hashes and generic arguments of Rust's names say nothing in a picture.
CLUTTER = re.compile(r"::h[0-9a-f]{16}|\[[^\]]*\]")


def folded(bin_dir, tools, folder):
    """The stacks of one import, one a line, each with its samples."""
    files = measure.Files(folder, bin_dir / "intake")
    key = files.key("small", "json", ROWS)
    recorded = files.folder / "perf.data"
    with measure.Sink(bin_dir / "sink", files.folder) as sink:
        measure.run(["perf", "record", "--quiet", "-F", str(SAMPLES_A_SECOND), "--call-graph", "dwarf,8192", "-o", recorded,
                     bin_dir / "intake", "import", f"s3://{measure.BUCKET}/{key}", "--table", measure.TABLE, "--quiet"],
                    sink.environment())
    script = subprocess.run(["perf", "script", "--no-inline", "-i", recorded], capture_output=True, check=True)
    collapsed = subprocess.run([tools / "inferno-collapse-perf"], input=script.stdout, capture_output=True, check=True)
    return CLUTTER.sub("", collapsed.stdout.decode())


def widest(stacks):
    """The share of samples in which a function was on the stack, the largest first."""
    inside, total = collections.Counter(), 0
    for line in stacks.splitlines():
        frames, samples = line.rsplit(" ", 1)
        total += int(samples)
        for frame in set(frames.split(";")):
            inside[frame] += int(samples)
    return [(frame, samples / total) for frame, samples in inside.most_common(WIDEST)]


def main():
    """Records, draws, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True, help="where intake and sink are")
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="where inferno's programs are")
    parser.add_argument("--out", type=pathlib.Path, default=measure.ROOT / "docs" / "flame.svg", help="the picture")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flame-", dir=measure.TARGET) as folder:
        stacks = folded(asked.bin_dir, asked.tools, folder)
    drawn = subprocess.run([asked.tools / "inferno-flamegraph", "--title", f"{ROWS:,} small JSON rows, S3 to DynamoDB",
                            "--minwidth", "0.3", "--deterministic"], input=stacks.encode(), capture_output=True, check=True)
    asked.out.write_bytes(drawn.stdout)
    for frame, share in widest(stacks):
        print(f"{share:6.1%}  {frame}")


if __name__ == "__main__":
    main()
