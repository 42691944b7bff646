#!/usr/bin/env python3
"""One large JSON array imported by several workers, against one: wall-clock, peak memory of each, and each row once.

    make workers                                 # builds what it needs; 4 GiB of catalog rows by 1, 2 and 4 workers
    make workers ARGS='--gib 0.2 --workers 4'    # other sizes and numbers
    make workers ARGS='--folder /dev/shm'        # the object where no disk is waited for
    make workers ARGS='--write docs'             # also writes the table into docs/

The object is the sink's, and so is the table, which keeps nothing but how many rows and how many different keys came. Jobs and
reports are kept by `intake local` behind it. Every process is looked at while it runs: its peak is the kernel's VmHWM. CPU time
is that of the whole machine, the kernel's part included, which no process is charged with: nothing else should run.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing

import measure

CATALOG_ROW_BYTES = 480
LIMIT_BYTES = 128 * measure.MIB


@contextlib.contextmanager
def stack(intake, folder):
    """`intake local`, for as long as the `with` statement lasts: its endpoints."""
    state = pathlib.Path(folder) / "stack.json"
    environment = {**os.environ, "INTAKE_LOCAL_STATE": str(state), "TMPDIR": str(folder)}
    process = subprocess.Popen([intake, "local"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        # It says how to use it last, when it is ready.
        while "--local" not in (line := process.stdout.readline()):
            if not line:
                raise SystemExit("intake local did not start")
        yield json.loads(state.read_text())["endpoints"]
    finally:
        process.terminate()
        process.communicate()


def children(pid):
    """A process and those that it has started."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{found[-1]}/task").iterdir():
                left += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds():
    """The CPU time that the machine has used since it was started: not idle, nor waiting for a disk, nor stolen."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Ran(typing.NamedTuple):
    """How a command went: CPU time before the first row came, which is that of the scan, and after it."""

    seconds: float
    scan_cpu_seconds: float
    import_cpu_seconds: float
    peaks_bytes: list


def run(command, environment, sink):
    """Runs a command to its end. The peaks are those of each of its processes, its own first."""
    began, before = time.monotonic(), cpu_seconds()
    process = subprocess.Popen([str(part) for part in command], env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peaks, scanned = {}, None
    while process.poll() is None:
        for pid in children(process.pid):
            peaks[pid] = measure.high_water_bytes(pid) or peaks.get(pid, 0)
        if scanned is None and sink.rows():
            scanned = cpu_seconds()
        time.sleep(measure.POLL_SECONDS)
    seconds, after = time.monotonic() - began, cpu_seconds()
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(map(str, command))}\n{process.stdout.read()}")
    scanned = scanned or after
    return Ran(seconds, scanned - before, after - scanned, list(peaks.values()))


def main():
    """Measures; the exit code is 1 if a row is missing or came twice, or a process took more memory than is promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=4.0, help="size of the JSON array (default 4)")
    parser.add_argument("--workers", type=int, action="append", help="how many, can be repeated (default 1, 2 and 4)")
    parser.add_argument("--range-size", metavar="SIZE", help="of the ranges, such as 64MiB (default: the program's)")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=measure.TARGET / "release", help="where the programs are")
    parser.add_argument("--folder", type=pathlib.Path, default=measure.TARGET, help="where the object is (default: the build's)")
    parser.add_argument("--write", type=pathlib.Path, metavar="DIR", help="write the table to DIR")
    asked = parser.parse_args()
    rows = int(asked.gib * 2**30 / CATALOG_ROW_BYTES)
    asked.folder.mkdir(parents=True, exist_ok=True)
    range_size = ["--range-size", asked.range_size] if asked.range_size else []
    intake, lines, runs, met = asked.bin_dir / "intake", [], [], True
    with tempfile.TemporaryDirectory(prefix="workers-", dir=asked.folder) as folder, stack(intake, folder) as endpoints:
        bucket = endpoints["bucket"]
        uploads = pathlib.Path(folder) / "objects" / bucket / "uploads"
        uploads.mkdir(parents=True)
        first = uploads / "catalog.json"
        with first.open("wb") as out:
            subprocess.run([intake, "generate", "--rows", str(rows), "--shape", "catalog", "--format", "json"], stdout=out, check=True)
        for number, workers in enumerate(asked.workers or (1, 2, 4)):
            # An object is imported once: this is another one of the same bytes.
            (uploads / f"{number}.json").hardlink_to(first)
            options = ["--distinct", rows, "--behind", endpoints["dynamodb"], endpoints["s3"]]
            with measure.Sink(asked.bin_dir / "sink", uploads.parent.parent, options=options) as sink:
                environment = {**sink.environment(), "AWS_ACCESS_KEY_ID": endpoints["access_key_id"],
                               "AWS_SECRET_ACCESS_KEY": endpoints["secret_access_key"], "AWS_REGION": endpoints["region"]}
                command = [intake, "import", f"s3://{bucket}/uploads/{number}.json", "--table", measure.TABLE,
                           "--workers", workers, "--parallel", "--quiet", *range_size]
                ran = run(command, environment, sink)
                taken = sink.taken()
            came, different = taken["BatchWriteItem"]["rows"], taken["Keys"]["different"]
            own, largest = ran.peaks_bytes[0], max(ran.peaks_bytes[1:])
            met = met and came == different == rows and largest <= LIMIT_BYTES
            lines.append([str(workers), f"{ran.seconds:.1f}", f"{rows / ran.seconds:,.0f}", f"{largest / measure.MIB:.0f}",
                          f"{own / measure.MIB:.0f}", f"{came:,}", f"{different:,}"])
            gigabytes = rows * CATALOG_ROW_BYTES / 1e9
            runs.append(f"{workers}:{gigabytes:.4f}:{ran.seconds:.2f}:{ran.scan_cpu_seconds:.2f}:{ran.import_cpu_seconds:.2f}")
            print(f"{workers} workers: {ran.seconds:.2f} s, CPU: {ran.scan_cpu_seconds:.2f} s until the first row, "
                  f"{ran.import_cpu_seconds:.2f} s from then on", file=sys.stderr, flush=True)
    # docs/SCALE.md has what to do with it.
    print(f"runs: {' '.join(runs)}", file=sys.stderr)
    text = measure.table(["workers", "seconds", "rows/s", "largest worker, MiB", "the command itself, MiB", "rows that came",
                          "different keys"], lines)
    text = (f"Commit {measure.commit()}, {measure.machine()}. A JSON array of {rows:,} catalog rows, {asked.gib:g} GiB. The sink "
            f"and the local stack run on the same processors.\n\n{text}\n\nEach row once, and at most "
            f"{LIMIT_BYTES // measure.MIB} MiB a worker: {'met' if met else '**missed**'}.")
    print(text)
    if asked.write:
        page = asked.write / "BENCHMARKS.md"
        page.write_text(measure.with_section(page.read_text(), "workers", text))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
