"""What the scripts beside this one share: the sink, files of rows, the kernel's figures of one process, and reports."""

import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import tempfile
import time
import typing
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
BUCKET = "race"
TABLE = "InventoryTable"
MIB = 2**20
# How often a running process is asked for its memory.
POLL_SECONDS = 0.02


class Usage(typing.NamedTuple):
    """What one process used, by the kernel's account."""

    cpu_seconds: float
    peak_bytes: int
    wall_seconds: float
    said: str


def run(command, environment, stdin=None):
    """Runs a command to its end; an exit code that is not 0 ends the program with what the command said."""
    with tempfile.TemporaryFile() as out:
        started = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], env=environment, stdin=stdin or subprocess.DEVNULL,
                                   stdout=out, stderr=subprocess.STDOUT)
        seen_bytes, pid = 0, 0
        try:
            while pid == 0:
                seen_bytes = high_water_bytes(process.pid) or seen_bytes
                time.sleep(POLL_SECONDS)
                # RUSAGE_CHILDREN would give the largest child so far; this is the one child's.
                pid, status, used = os.wait4(process.pid, os.WNOHANG)
        except BaseException:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode(errors="replace")
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(map(str, command))}\n{said}")
    # A process starts as a copy of this one, and the kernel counts that in. Where that hides its own peak, the last
    # look at it counts, which can be POLL_SECONDS old.
    ours_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak_bytes = used.ru_maxrss * 1024
    return Usage(used.ru_utime + used.ru_stime, peak_bytes if peak_bytes > ours_bytes else seen_bytes, wall, said)


def high_water_bytes(pid):
    """The largest resident set of a running process so far; nothing when it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


class Sink:
    """benches/sink, for as long as the `with` statement lasts."""

    def __init__(self, program, objects=None, record=None, tls=False, options=()):
        options = [*(["--tls"] if tls else []), *(["--objects", objects] if objects else []),
                   *(["--record", record] if record else []), *options]
        self.process = subprocess.Popen([program, *map(str, options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.endpoint = self.process.stdout.readline().strip()
        self.tls_endpoint, self.authority = (self.process.stdout.readline().strip() if tls else None for _ in range(2))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def taken(self):
        """What it took so far: {"PutItem": {"rows": 1, "requests": 1}, …}."""
        with urllib.request.urlopen(f"{self.endpoint}/-/taken") as answer:
            return parsed(answer.read().decode())

    def rows(self):
        """The rows it took so far, by whatever operation."""
        return sum(counts.get("rows", 0) for counts in self.taken().values())

    def environment(self, tls=False):
        """An environment for its clients: the caller's without anything that AWS SDKs would heed."""
        endpoint = self.tls_endpoint if tls else self.endpoint
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "INTAKE_"))},
            "AWS_ACCESS_KEY_ID": "race", "AWS_SECRET_ACCESS_KEY": "race",
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_DYNAMODB": endpoint, "AWS_ENDPOINT_URL_S3": endpoint,
            "PYTHONDONTWRITEBYTECODE": "1", "NODE_NO_WARNINGS": "1",
            **({"SSL_CERT_FILE": self.authority} if tls else {}),
        }


def parsed(lines):
    """The sink's account: on each line what was taken, then numbers, each with its unit."""
    account = {}
    for line in lines.splitlines():
        what, *figures = line.split()
        account[what] = {unit: int(number) for number, unit in zip(figures[::2], figures[1::2], strict=True)}
    return account


class Files:
    """Files of rows in a bucket's folder, made when they are first asked for."""

    def __init__(self, folder, intake):
        self.folder, self.intake = pathlib.Path(folder), intake
        (self.folder / BUCKET).mkdir(parents=True)

    def key(self, shape, form, rows):
        """The key of an object with this many rows."""
        path = self.path(f"{shape}-{rows}.{form}")
        if not path.exists():
            with path.open("wb") as out:
                subprocess.run([self.intake, "generate", "--rows", str(rows), "--shape", shape, "--format", form],
                               stdout=out, check=True)
        return path.name

    def path(self, key):
        """The file of an object."""
        return self.folder / BUCKET / key


def machine():
    """The machine, in a line."""
    def field(path, name):
        lines = pathlib.Path(path).read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "unknown")

    gib = int(field("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return (f"{os.cpu_count()} × {field('/proc/cpuinfo', 'model name')} ({platform.machine()}), {gib:.0f} GiB, "
            f"{platform.system()} {platform.release()}")


def first_line(*command):
    """What a command says, for a list of versions."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def commit():
    """The commit that is measured."""
    changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True,
                             cwd=ROOT).stdout
    return first_line("git", "rev-parse", "--short", "HEAD") + (" and changes" if changed.strip() else "")


def table(head, rows):
    """A Markdown table: the first column left, the others right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def with_section(text, name, content):
    """A page with what stands between its two marks, `<!-- name:begin -->` and `<!-- name:end -->`, replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"the page needs one {begin} and one {end} after it")
    return f"{text[:text.index(begin)]}{begin}\n{content.strip()}\n{text[text.index(end):]}"


def spread(values):
    """Median, least and largest."""
    return statistics.median(values), min(values), max(values)
