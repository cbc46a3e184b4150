"""What the tests of files and jobs share: both providers, labelled texts, and a proxy that kills its client."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from ale.io.chat.account import Patience
from ale.text import text_hash
from ml_backend.settings import Settings
from ml_backend.store import mirror
from ml_backend.store.database import Database
from tests.integration.teaching import KEY, environment, truth

AT_ONCE = Patience(poll_s=0.0, listed_s=0.0, sleep=lambda _: None)
"""The stand-in goes one stage on with each look, and lists at once what it has."""

PROVIDERS = ("openai", "azure")


def at_provider(settings: Settings, provider: str, url: str, **changes: object) -> Settings:
    """The settings with a paid teacher at that address, at a rate that tests do not feel."""
    secret = type(settings.openai_api_key)("a-key-for-tests")
    where = (
        {"teacher": "azure:gpt-4.1-mini", "azure_endpoint": url, "azure_api_key": secret}
        if provider == "azure"
        else {"teacher": "openai:gpt-4.1-mini", "openai_base_url": f"{url}/v1", "openai_api_key": secret}
    )
    return settings.model_copy(update={**where, "llm_rpm": 60_000.0, "llm_tpm": 1e9, **changes})


def label(db: Database, names: Sequence[str], **more: object) -> None:
    """People label the tasks of these texts, as they were added, truthfully."""
    with_truth = truth(names)
    rows: list[dict[str, Any]] = [
        {
            "annotation_id": i + 1,
            "task_id": i,
            "values": {},
            "label": with_truth[text],
            "annotator": 7,
            "updated_by": 7,
            "was_cancelled": False,
            "ground_truth": False,
            "from_prediction": False,
            "created_at": "",
            "updated_at": "2026-01-01",
            "lead_time": 1.0,
            "parent_prediction": None,
            "origin": "manual",
            **more,
        }
        for i, text in enumerate(names)
    ]
    mirror.save_annotations(db, KEY, range(len(names)), rows)


def hashes(names: Sequence[str]) -> set[str]:
    """Their text hashes."""
    return {text_hash(name) for name in names}


class KillingProxy(AbstractContextManager["KillingProxy"]):
    """Passes requests on to an endpoint, and kills the process that makes them: at each kind of request once
    `before` it has arrived, and once `after` it was answered and before the answer is told. Then it lets it pass.
    """

    def __init__(self, endpoint: str, times: Sequence[str] = ("before", "after")) -> None:
        self._times = times
        self._victim = 0
        self._known = threading.Event()
        self.kills: Counter[str] = Counter()
        self._lock = threading.Lock()
        proxy, (host, port) = self, (urlsplit(endpoint).hostname or "", urlsplit(endpoint).port)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                when = proxy.choose(self.command, self.path)
                if when == "before":
                    proxy.kill()
                    self.close_connection = True
                    return
                there = http.client.HTTPConnection(host, port, timeout=30)
                there.request(self.command, self.path, body, dict(self.headers.items()))
                answer = there.getresponse()
                content = answer.read()
                there.close()
                if when == "after":
                    proxy.kill()
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers.get("content-type", ""))
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def choose(self, method: str, path: str) -> str:
        """When to kill at this request."""
        kind = re.sub(r"(file|batch|ftjob)[-_][^/?]+", "ID", urlsplit(path).path)
        if kind.endswith("/chat/completions"):
            return ""
        with self._lock:
            for when in self._times:
                if not self.kills[f"{when} {method} {kind}"]:
                    self.kills[f"{when} {method} {kind}"] += 1
                    return when
        return ""

    def let_next_start(self) -> None:
        """Another process is about to make requests."""
        self._known.clear()

    def found_victim(self, pid: int) -> None:
        """This is its number."""
        self._victim = pid
        self._known.set()

    def kill(self) -> None:
        """SIGKILL."""
        self._known.wait(10)
        os.kill(self._victim, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


NURSERY = """
import os, sys
import openai  # before the first child: each attempt then takes a moment only
{imports}

for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        main(sys.argv[1])
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def run_until_done(program: str, settings: Settings, proxy: KillingProxy) -> int:
    """Run `main` of the program, a process each time, until it is not killed any more; how often it was."""
    code = NURSERY.replace("{imports}", program)
    with subprocess.Popen(
        [sys.executable, "-c", code, KEY],
        env=environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for killed in range(60):
            proxy.let_next_start()
            print("go", file=nursery.stdin, flush=True)
            proxy.found_victim(int(nursery.stdout.readline()))
            status = int(nursery.stdout.readline())
            if status == 0:
                return killed
            assert status == -signal.SIGKILL
    raise AssertionError(f"not done after 60 starts: {proxy.kills}")
