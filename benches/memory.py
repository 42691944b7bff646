#!/usr/bin/env python3
"""Peak memory and CPU time of one large import, against the sink, as a table.

    make memory                    # builds what it needs; 1 GiB of catalog rows
    benches/memory.py --gib 4      # with binaries in target/release

Each import is a process of its own. Its figures are the kernel's (wait4: maximum resident set size, user and system
time), the same that `/usr/bin/time -v` prints. DynamoDB is benches/sink.rs; the object is in the local stack's S3.
"""

import argparse
import datetime
import gzip
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"
CATALOG_ROW_BYTES = 480
LIMIT_KIB = 128 * 1024


def started(program, *arguments, **options):
    return subprocess.Popen([RELEASE / program, *arguments], text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, **options)


def measured(what, environment, *arguments, stdin=None):
    """Runs one import to its end and gives a row of the table."""
    # The largest child so far is all that the kernel tells, so each import is run by a process of its own.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        ended = subprocess.run([RELEASE / "intake", "import", *arguments, "--table", "InventoryTable", "--quiet"],
                               env=environment, stdin=stdin, stdout=subprocess.PIPE, text=True)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = {"code": ended.returncode, "said": ended.stdout, "kib": usage.ru_maxrss,
                "cpu": usage.ru_utime + usage.ru_stime}
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = json.loads(pipe.read())
    os.waitpid(child, 0)
    if told["code"] != 0:
        raise SystemExit(f"{what}: exit code {told['code']}: {told['said']}")
    rows = int(told["said"].split(" rows read")[0].split()[-1])
    print(f"| {what} | {rows:,} | {told['kib'] / 1024:.0f} | {told['cpu'] / rows * 1e6:.1f} |", flush=True)
    return told["kib"]


def upload(path, key, environment):
    """Puts a file into the local bucket, by a presigned URL.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    host = environment["AWS_ENDPOINT_URL_S3"].removeprefix("http://")
    time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{environment['AWS_REGION']}/s3/aws4_request"
    query = urllib.parse.urlencode({
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{environment['AWS_ACCESS_KEY_ID']}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": "600",
        "X-Amz-SignedHeaders": "host",
    }, quote_via=urllib.parse.quote, safe="")
    resource_path = f"/inventory-upload-local/{key}"
    canonical = f"PUT\n{resource_path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    to_sign = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = f"AWS4{environment['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in [*scope.split("/"), to_sign]:
        signature = hmac.digest(signature, part.encode(), "sha256")
    with path.open("rb") as body:
        connection = http.client.HTTPConnection(host)
        connection.request("PUT", f"{resource_path}?{query}&X-Amz-Signature={signature.hex()}", body,
                           {"Content-Length": str(path.stat().st_size)})
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"upload: {answer.status} {answer.read().decode()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=1.0, help="size of the uncompressed file (default 1)")
    rows = int(parser.parse_args().gib * 2**30 / CATALOG_ROW_BYTES)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="intake-memory-"))
    os.environ["INTAKE_LOCAL_STATE"] = str(folder / "local.json")
    sink = started("sink")
    stack = started("intake", "local")
    try:
        environment = dict(os.environ)
        for line in stack.stdout:
            if line.startswith("export "):
                name, value = line.removeprefix("export ").strip().split("=", 1)
                environment[name] = value
            elif "--local" in line:
                break
        environment["AWS_ENDPOINT_URL_DYNAMODB"] = sink.stdout.readline().strip()
        print("| import of | rows | peak RSS, MiB | CPU, µs a row |\n|---|---|---|---|")
        peaks = []
        for form in ("json", "jsonl", "ddb-json", "csv"):
            path = folder / f"catalog.{form}"
            with path.open("wb") as out:
                subprocess.run([RELEASE / "intake", "generate", "--rows", str(rows), "--shape", "catalog",
                                "--format", form], stdout=out, check=True)
            peaks.append(measured(f"{form} file", environment, str(path)))
            if form == "json":
                with path.open("rb") as file:
                    peaks.append(measured("json on standard input", environment, "-", stdin=file))
                packed = folder / "catalog.json.gz"
                with path.open("rb") as file, gzip.open(packed, "wb", compresslevel=1) as out:
                    shutil.copyfileobj(file, out, 1 << 20)
                peaks.append(measured("json.gz file", environment, str(packed)))
                packed.unlink()
                upload(path, "catalogs/catalog.json", environment)
                url = "s3://inventory-upload-local/catalogs/catalog.json"
                peaks.append(measured("json object in S3", environment, url))
            path.unlink()
        print(f"\nlargest: {max(peaks) / 1024:.0f} MiB, allowed: {LIMIT_KIB // 1024} MiB")
        return 0 if max(peaks) <= LIMIT_KIB else 1
    finally:
        sink.stdin.close()
        sink.wait()
        stack.terminate()
        stack.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
