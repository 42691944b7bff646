"""A Lambda function run as Lambda runs it: processes of the built executable that ask for events over the Runtime API.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import queue
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# How often a server looks whether it is to stop.
POLL_SECONDS = 0.02
# How much later than its deadline a function is stopped; on a machine that is busy with others, not at once.
GRACE_SECONDS = 60


class Environment:
    """One execution environment: a process and the Runtime API that it asks. It has one event at a time."""

    def __init__(self, function, number):
        self.function = function
        # Which environment a request to AWS comes from can be told from its signature.
        self.access_key = f"ENVIRONMENT{number:05}"
        self.events = queue.SimpleQueue()
        # How the event that is under way ended: ("response" or "error", body), or None for a process that is gone.
        self.ends = queue.SimpleQueue()
        self.payload = None
        self.requests = 0
        self.asked = 0
        environment = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                environment.asked = mine = environment.asked + 1
                event = environment.events.get()
                if event is not None and mine != environment.asked:
                    # The process has asked again since, over another connection.
                    environment.events.put(event)
                    self.close_connection = True
                    return
                if event is None:
                    self.close_connection = True
                    return
                payload, headers = event
                self.answer(200, payload, headers)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("transfer-encoding", "") == "chunked":
                    body = b"".join(self.chunks())
                self.answer(202, b"{}", {})
                environment.ends.put((self.path.rsplit("/", 1)[1], body))

            def chunks(self):
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            def answer(self, status, body, headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        variables = {
            "PATH": os.environ["PATH"],
            **function.variables,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_LAMBDA_RUNTIME_API": "{}:{}".format(*self.server.server_address),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "RUST_BACKTRACE": "0",
        }
        self.process = subprocess.Popen([function.program], env=variables, stdout=function.log, stderr=function.log)
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        self.process.wait()
        self.ends.put(None)

    def invoke(self, payload, timeout):
        """How an event ended: "response", "error", "killed" or "timeout", and the function's answer if it gave one."""
        self.requests, self.payload = 0, payload
        request = str(uuid.uuid4())
        headers = {
            "content-type": "application/json",
            "lambda-runtime-aws-request-id": request,
            "lambda-runtime-deadline-ms": str(int((time.time() + timeout) * 1000)),
            "lambda-runtime-invoked-function-arn": self.function.arn,
            "lambda-runtime-trace-id": "Root=1-00000000-000000000000000000000000;Sampled=0",
        }
        self.events.put((json.dumps(payload).encode(), headers))
        try:
            end = self.ends.get(timeout=timeout + GRACE_SECONDS)
        except queue.Empty:
            return "timeout", None
        finally:
            self.payload = None
        if end is None:
            return "killed", None
        kind, body = end
        return kind, json.loads(body)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.events.put(None)
        self.server.shutdown()
        self.server.server_close()


class Function:
    """A function, its environments, and what befalls them."""

    def __init__(self, program, name, variables, log):
        self.program, self.name, self.variables, self.log = program, name, variables, log
        self.arn = f"arn:aws:lambda:{variables['AWS_REGION']}:123456789012:function:{name}"
        self.lock = threading.Lock()
        self.environments, self.idle = [], []
        # Every event and how it ended: (payload, "response", "error", "killed", "timeout" or "instead", answer).
        self.calls = []
        # What is answered instead of by the function: payload -> (HTTP status, answer), or None to let it be. An answer of
        # status 200 with an `errorType` is a function's error.
        self.instead = lambda payload: None
        # Seconds until the deadline that an invocation is told.
        self.timeout = lambda payload: 120
        # Whether the environment dies of a request: (payload, how many requests it has sent for it, the request).
        self.dies = lambda payload, requests, request: False

    def invoke(self, payload):
        """As Lambda answers a synchronous invocation: (HTTP status, whether it is a function's error, answer)."""
        if instead := self.instead(payload):
            status, answer = instead
            self.ended(payload, "instead", answer)
            return status, "errorType" in answer, answer
        with self.lock:
            environment = self.idle.pop() if self.idle else None
            if environment is None:
                environment = Environment(self, len(self.environments))
                self.environments.append(environment)
        timeout = self.timeout(payload)
        how, answer = environment.invoke(payload, timeout)
        if how in ("killed", "timeout"):
            environment.stop()
            # As Lambda words it.
            error, message = {
                "killed": ("Runtime.ExitError", "Error: Runtime exited with error: signal: killed"),
                "timeout": ("Sandbox.Timedout", f"Error: Task timed out after {timeout:.2f} seconds"),
            }[how]
            return self.ended(payload, how, {"errorType": error, "errorMessage": f"RequestId: {uuid.uuid4()} {message}"})
        with self.lock:
            self.idle.append(environment)
        return self.ended(payload, how, answer)

    def ended(self, payload, how, answer):
        with self.lock:
            self.calls.append((payload, how, answer))
        return 200, how != "response", answer

    def by_access_key(self, access_key):
        with self.lock:
            return next((e for e in self.environments if e.access_key == access_key), None)

    def stop(self):
        for environment in self.environments:
            environment.stop()
