"""How long the built functions take from their start to their first poll, in CPU time.

Usage: make cold-start

Starts each bootstrap file as Lambda does, against a Runtime API that has no event, and reads what the kernel says the
process has used when it asks for its first one.
"""

import argparse
import http.server
import os
import pathlib
import statistics
import subprocess
import threading
import time

import measure

RUNS = 20
BUDGET_MS = 50.0


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Has no event for anybody: tells who waits when a function polls, and keeps the poll open."""

    daemon_threads = True

    def __init__(self):
        self.polled = threading.Event()
        super().__init__(("127.0.0.1", 0), Poll)


class Poll(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.path == "/2018-06-01/runtime/invocation/next", self.path
        self.server.polled.set()
        # Until the function is killed.
        self.rfile.read(1)

    def do_POST(self):
        raise SystemExit(f"the function does not start: {self.path}: {self.rfile.read(int(self.headers['content-length']))}")

    def log_message(self, *_):
        pass


def cpu_ms(pid):
    """CPU time of all threads of a process so far."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def start(bootstrap, environment):
    """One cold start: (CPU ms, wall ms, MiB of memory) until the first poll."""
    with RuntimeApi() as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        began = time.monotonic()
        process = subprocess.Popen([bootstrap], env={**environment, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % api.server_port},
                                   stdout=subprocess.DEVNULL)
        try:
            if not api.polled.wait(30):
                raise SystemExit(f"{bootstrap} does not poll")
            wall = (time.monotonic() - began) * 1000
            return cpu_ms(process.pid), wall, measure.high_water_bytes(process.pid) / measure.MIB
        finally:
            process.kill()
            process.wait()
            api.shutdown()


def measured(folder):
    """A row of the report for each function."""
    environment = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
                   "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                   "AWS_LAMBDA_LOG_FORMAT": "JSON", "INTAKE_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:t"}
    rows = []
    for name in ("importer", "notifier"):
        bootstrap = folder / name / "bootstrap"
        runs = [start(bootstrap, environment) for _ in range(RUNS)]
        cpu, wall, memory = (statistics.median(values) for values in zip(*runs))
        verdict = "met" if cpu <= BUDGET_MS else "missed"
        rows.append([name, f"{bootstrap.stat().st_size / measure.MIB:.1f} MiB", f"{cpu:.1f} ms", f"{max(r[0] for r in runs):.1f} ms",
                     f"{wall:.1f} ms", f"{memory:.0f} MiB", f"≤ {BUDGET_MS:.0f} ms: {verdict}"])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the functions are, as make build leaves them")
    folder = parser.parse_args().folder
    head = ["function", "size", "CPU, median", "CPU, most", "wall, median", "memory", "budget"]
    print(f"{RUNS} cold starts of each, to the first poll, at {measure.commit()} on {measure.machine()}\n")
    print(measure.table(head, measured(folder)))


if __name__ == "__main__":
    main()
