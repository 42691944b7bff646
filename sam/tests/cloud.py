"""moto's services on one port of this machine, with a real function behind the invocations of its state machines.

moto answers everything but `Invoke` of the function, which stands in front of it: the states of a machine that moto
executes invoke Lambda at the port that `MOTO_PORT` names, as every other service.
"""

import http.client
import json
import os
import re
import threading
import time
import uuid

import boto3
import urllib3.util.connection
from botocore.config import Config
from moto.core.config import default_user_config
from moto.moto_api._internal import moto_api_backend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from functions import POLL_SECONDS
from machine import FRONT

REGION = "eu-central-1"
# What an execution may take on a slow machine; nothing waits for this long unless something is wrong.
LIMIT_SECONDS = 600


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


class Cloud:
    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.function = None
        # The port is bound here and stays so.
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True, request_handler=QuietHandler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.before = {key: dict(value) for key, value in default_user_config.items()}
        self.environment = dict(os.environ)
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        default_user_config["lambda"] = {"use_docker": False}
        # moto asks `localhost`, which may be ::1 first, where somebody else may listen at this port.
        urllib3.util.connection.HAS_IPV6, self.has_ipv6 = False, urllib3.util.connection.HAS_IPV6
        os.environ["MOTO_PORT"] = str(self.server.server_port)
        os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        moto_api_backend.reset()
        threading.Thread(target=self.server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        return self

    def __exit__(self, *_):
        if self.function:
            self.function.stop()
        self.server.shutdown()
        urllib3.util.connection.HAS_IPV6 = self.has_ipv6
        default_user_config.clear()
        default_user_config.update(self.before)
        os.environ.clear()
        os.environ.update(self.environment)
        moto_api_backend.reset()

    def client(self, service):
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, config=Config(retries={"max_attempts": 0}))

    def answer(self, environ, start_response):
        invoked = re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", environ["PATH_INFO"])
        if invoked:
            size = int(environ.get("CONTENT_LENGTH") or 0)
            payload = json.loads(environ["wsgi.input"].read(size))
            name = invoked[1]
            own = name.startswith(FRONT)
            answer = self.own_call(name.removeprefix(FRONT), payload) if own else self.function.invoke(payload)
            return self.invoked(*answer, start_response)
        environment = self.sender(environ)
        if environment is None:
            return self.moto(environ, start_response)
        with self.function.lock:
            environment.requests += 1
            requests, payload = environment.requests, environment.payload
        request = environ.get("HTTP_X_AMZ_TARGET", "").split(".")[-1] or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        answer = list(self.moto(environ, start_response))
        if payload is not None and self.function.dies(payload, requests, request):
            # What it asked for has been done, and it does not learn so.
            environment.process.kill()
            environment.process.wait()
        return answer

    def sender(self, environ):
        """The function's environment that sent a request, if one did."""
        credential = re.search(r"Credential=(\w+)/", environ.get("HTTP_AUTHORIZATION", ""))
        return self.function and credential and self.function.by_access_key(credential[1])

    def invoked(self, status, is_error, answer, start_response):
        """Answers as Lambda does."""
        headers = [("content-type", "application/json"), ("x-amzn-requestid", str(uuid.uuid4()))]
        if status != 200:
            headers.append(("x-amzn-errortype", answer["code"]))
        elif is_error:
            headers.append(("x-amz-function-error", "Unhandled"))
        start_response(f"{status} {http.client.responses[status]}", headers)
        return [json.dumps(answer).encode()]

    def own_call(self, action, parameters):
        """A call of a state to Step Functions itself."""
        if action == "describeMapRun":
            counts = self.client("stepfunctions").describe_map_run(mapRunArn=parameters["MapRunArn"])["itemCounts"]
            return 200, False, {"ItemCounts": {name[0].upper() + name[1:]: count for name, count in counts.items()}}
        assert action == "startExecution.sync:2", action
        found = self.execute(parameters["StateMachineArn"], parameters["Input"])
        if found["status"] == "SUCCEEDED":
            return 200, False, {"Status": found["status"]}
        return 200, True, {"errorType": "States.TaskFailed", "errorMessage": found["executionArn"]}

    def execute(self, machine_arn, given):
        """Starts an execution and waits for its end, which it returns."""
        states = self.client("stepfunctions")
        execution = states.start_execution(
            stateMachineArn=machine_arn, name=str(uuid.uuid4()), input=json.dumps(given)
        )
        return self.ended(execution["executionArn"])

    def ended(self, execution):
        states = self.client("stepfunctions")
        give_up = time.monotonic() + LIMIT_SECONDS
        while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < give_up, self.told(execution)
            time.sleep(0.05)
        return found

    def events(self, execution):
        """The execution's history."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=execution) for event in page["events"]]

    def told(self, execution):
        """The end of the history for people, and what went wrong before."""
        lines = []
        for event in self.events(execution):
            details = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
            lines.append(f"{event['type']} {details.get('name', '')} {details.get('error', '')} {details.get('cause', '')}")
        return "\n".join(lines)
