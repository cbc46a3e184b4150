"""What the tests of the loop are written in: a running ALE, one project on it, and waiting without sleeping.

Nothing is replaced: `Ale` runs Redis, waitress and `ale worker` as processes of their own, as an operator
would, and `Loop` speaks to Label Studio's API as a browser would.
The environment may name another place for them than this machine's loopback and SQLite (`.ci/docker` does):
ALE_TEST_ADDRESS, where Label Studio reaches us, and ALE_TEST_POSTGRES, a server for databases of our own.
Longer than other files: every e2e and browser test is written in these words, and finds them in one place.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, cast
from xml.sax.saxutils import quoteattr

import httpx
import pytest
import redis
from sqlalchemy import create_engine

from ale.audit.reserve import RESERVE, place
from ml_backend.connect import Connected, connect_project, disconnect_project
from ml_backend.controls import Control, find_control
from ml_backend.identity import ProjectKey
from ml_backend.label_studio import LabelStudioClient
from ml_backend.marks import DUE, connect_redis
from ml_backend.ports import free_port
from ml_backend.processes import web_command, worker_command
from ml_backend.queues import TEACH
from ml_backend.redis_server import ensure_redis
from ml_backend.settings import Settings, load_settings
from ml_backend.store import mirror, projects, versions
from ml_backend.store.schema import Annotation, Project, Run, Task, Version
from ml_backend.supervisor import Child, Supervisor
from ml_backend.timer import Timer
from ml_backend.wiring import Services, build_services
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.messages import LABELS, Message, messages

Json = dict[str, Any]

PATIENCE_S = 90.0
"""Only a broken test waits this long; a machine that runs other people's tests as well needs some of it."""
NEVER_S = 86_400.0
DONE = {"published", "filled", "unchanged"}


def wait_until(condition: Callable[[], Any], timeout: float, what: str | Callable[[], str]) -> None:
    """Return as soon as the condition holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.03)


# -- the running ALE -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ale:
    """Redis, web process and worker of one ALE on one Label Studio; the settings are those of the processes."""

    label_studio: LabelStudioUnderTest
    settings: Settings
    services: Services
    redis: redis.Redis
    client: LabelStudioClient
    supervisor: Supervisor
    env: dict[str, str]
    folder: Path
    http: httpx.Client

    def has_failed(self, job: bytes) -> bool:
        """Whether an RQ job was given up; those that are finished vanish."""
        return self.redis.hget(job.decode(), "status") in {b"failed", None}

    def web(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request to the web process with the operator's credentials."""
        auth = (self.settings.basic_auth_user, self.settings.basic_auth_pass.get_secret_value())
        return self.http.request(
            method, f"{self.settings.url}{path}", auth=auth if self.settings.has_password else None, **request
        )

    def reconcile(self) -> None:
        """What the timer does now and then: look at every project."""
        Timer(self.settings, self.services.db, self.redis).reconcile()

    def worker_child(self, **env: str) -> Child:
        """The worker as a child process; ready when its RQ worker has registered."""
        known = {bytes(name) for name in self._workers()}
        return Child(
            "worker",
            worker_command(),
            self.folder / "worker.log",
            env=self.env | env,
            ready=lambda: bool({bytes(name) for name in self._workers()} - known),
            ready_within_s=PATIENCE_S,
        )

    def _workers(self) -> set[bytes]:
        return cast(set[bytes], self.redis.smembers("rq:workers"))

    def tail(self) -> str:
        """The last lines of the logs, for a failure's message."""
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            for log in sorted(self.folder.glob("*.log"))
        )


@contextmanager
def running_ale(
    label_studio: LabelStudioUnderTest, folder: Path, *, worker: bool = True, **settings: Any
) -> Iterator[Ale]:
    """Start everything as processes of their own; stop it when the block ends."""
    port = free_port()
    address = os.environ.get("ALE_TEST_ADDRESS", "127.0.0.1")
    if (
        address != "127.0.0.1"
    ):  # for a Label Studio in a container: such a port is opened with a password only
        settings = {"BASIC_AUTH_USER": "label-studio", "BASIC_AUTH_PASS": "a-password-for-tests", **settings}
    chosen: Json = {
        "ALE_HOME": folder / "ale",
        "ALE_HOST": address,
        "ALE_PORT": port,
        "ALE_URL": f"http://{address}:{port}",
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
        "ALE_DEBOUNCE_S": 0.3,
        "ALE_MAX_WAIT_S": 1,
        "ALE_RECONCILE_S": NEVER_S,
        "ALE_BATCH": 12,
        **settings,
    }
    with ExitStack() as stack:
        server = os.environ.get("ALE_TEST_POSTGRES")
        if server:
            chosen["DATABASE_URL"] = stack.enter_context(database_on(server))
        url = stack.enter_context(ensure_redis(load_settings(home=folder / "ale", redis_url="")))
        env = _env(chosen | {"REDIS_URL": url})
        loaded = load_settings(**chosen, REDIS_URL=url)
        supervisor = stack.enter_context(Supervisor(grace_s=5))
        services = build_services(loaded)
        stack.callback(services.db.dispose)
        ale = Ale(
            label_studio=label_studio,
            settings=loaded,
            services=services,
            redis=connect_redis(url),
            client=LabelStudioClient(loaded),
            supervisor=supervisor,
            env=env,
            folder=folder,
            http=stack.enter_context(httpx.Client(timeout=60)),
        )
        stack.callback(ale.redis.close)
        supervisor.start(
            Child(
                "web",
                web_command(loaded),
                folder / "web.log",
                env=env,
                ready=lambda: _answers(f"{loaded.url}/health"),
                ready_within_s=PATIENCE_S,
            )
        )
        if worker:
            supervisor.start(ale.worker_child())
        yield ale


@contextmanager
def database_on(server: str) -> Iterator[str]:
    """The address of a new database on a Postgres; it goes when the block ends."""
    name = f"test_{os.getpid()}_{free_port()}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield admin.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


def _env(chosen: Mapping[str, Any]) -> dict[str, str]:
    """Our environment without anybody's settings of ALE, and with the chosen ones."""
    ours = {field.alias for field in Settings.model_fields.values() if field.alias}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {name: str(value) for name, value in chosen.items()}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def family(pid: int) -> list[int]:
    """A process and all that it started, the eldest first."""
    found = [pid]
    for parent in found:
        for listing in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in listing.read_text().split()]
    return found


def kill_family(pid: int) -> None:
    """SIGKILL to a process and all that it started, as the kernel does when memory runs out."""
    for member in family(pid):
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


# -- one project -----------------------------------------------------------------------------------------


def config(labels: Sequence[str] = LABELS, *, extra: str = "") -> str:
    """A labelling config with these labels."""
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    return (
        '<View><Text name="text" value="$text"/><Choices name="topic" toName="text" choice="single" '
        f'required="true">{choices}</Choices>{extra}</View>'
    )


def choose(label: str) -> list[Json]:
    """The result of an annotation that chooses this label."""
    value = {"choices": [label]}
    return [{"id": "r1", "from_name": "topic", "to_name": "text", "type": "choices", "value": value}]


def chosen(result: Sequence[Json]) -> str | None:
    """The label in a result; None when it is empty."""
    return str(result[0]["value"]["choices"][0]) if result else None


@dataclass(slots=True)
class Loop:
    """One project on Label Studio, and what ALE knows about it. `truth` holds the right label of each task."""

    ale: Ale
    project_id: int
    key: str
    truth: dict[int, str] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        ale: Ale,
        title: str,
        pool: Sequence[Message] | None = None,
        label_config: str | None = None,
        **values: Any,
    ) -> Self:
        """A new project with these messages, not connected yet."""
        theirs = ale.client.create_project(title=title, label_config=label_config or config(), **values)
        key = ProjectKey.from_project(ale.settings.label_studio_url, theirs["id"], theirs["created_at"])
        loop = cls(ale, int(theirs["id"]), str(key))
        loop.add(messages(36) if pool is None else pool)
        return loop

    # -- what a user does ----------------------------------------------------------------------------

    def connect(self) -> Connected:
        """`ale connect`."""
        return connect_project(self.ale.services, self.project_id)

    def disconnect(self) -> list[str]:
        """`ale disconnect`."""
        return disconnect_project(self.ale.services, self.project_id)

    def ask(self, method: str, path: str, *, expect: int | None = None, **request: Any) -> Any:
        """One call of Label Studio's API by the annotator."""
        response = self.ale.http.request(
            method,
            f"{self.ale.label_studio.url}/api/{path}",
            headers={"Authorization": f"Token {self.ale.label_studio.token}"},
            **request,
        )
        if expect is None:
            assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:300]}"
        else:
            assert response.status_code == expect, response.text[:300]
        return response.json() if response.content else None

    def add(self, pool: Sequence[Message]) -> list[int]:
        """Import messages; ids of the tasks in their order."""
        ids = self.ale.client.import_tasks(self.project_id, [{"text": m.text} for m in pool]) if pool else []
        self.truth |= {task_id: m.label for task_id, m in zip(ids, pool, strict=True)}
        return ids

    def add_chosen(self, message: Callable[[], Message]) -> int:
        """Import messages until one may be chosen, suggested and doubted: one that is no audit; its task."""
        while True:
            (task_id,) = self.add([message()])
            if task_id not in self.reserve:
                return task_id

    def pass_audit(self) -> None:
        """Label the first audit task, so that those that are shown next come with a suggestion."""
        self.annotate(next(task_id for task_id in self.order() if task_id in self.reserve))
        self.learn()

    def add_labelled(self, pool: Sequence[Message]) -> list[int]:
        """Import messages together with the annotations that say their label."""
        tasks = [
            {"data": {"text": m.text}, "annotations": [{"result": choose(m.label), "lead_time": 2.0}]}
            for m in pool
        ]
        ids = self.ale.client.import_tasks(self.project_id, tasks)
        self.truth |= {task_id: m.label for task_id, m in zip(ids, pool, strict=True)}
        return ids

    def annotate(self, task_id: int, label: str | None = None, **values: Any) -> Json:
        """Submit a label for a task, by default the right one."""
        result = choose(label or self.truth[task_id])
        return self.ale.client.annotate(task_id, **{"result": result, "lead_time": 2.0, **values})

    def skip(self, task_id: int) -> Json:
        """Skip a task."""
        return self.ale.client.annotate(task_id, result=[], was_cancelled=True)

    def update(self, annotation_id: int, label: str) -> Json:
        """Save an annotation once more with this label, as a reviewer does."""
        body = {"result": choose(label), "lead_time": 1.0}
        return cast(Json, self.ask("PATCH", f"annotations/{annotation_id}/", json=body))

    def annotations(self, task_id: int) -> list[Json]:
        """The annotations of a task."""
        return cast(list[Json], self.ask("GET", f"tasks/{task_id}/annotations/"))

    def action(self, name: str, task_ids: Sequence[int]) -> Any:
        """A Data Manager action on some rows."""
        selected = {"all": False, "included": list(task_ids)}
        params: Json = {"id": name, "project": self.project_id}
        return self.ask("POST", "dm/actions", params=params, json={"selectedItems": selected})

    def next_task(self) -> Json | None:
        """The task that Label Studio hands out."""
        return self.ale.client.next_task(self.project_id)

    def tab(self, title: str) -> list[Json]:
        """The rows of a Data Manager tab in their order."""
        view = next(v for v in self.ale.client.views(self.project_id) if v["data"].get("title") == title)
        answer = self.ask("GET", "tasks", params={"view": view["id"], "fields": "all", "page_size": 100})
        return cast(list[Json], answer["tasks"])

    # -- what Label Studio holds ---------------------------------------------------------------------

    @property
    def theirs(self) -> Json:
        """Label Studio's description of the project."""
        return self.ale.client.project(self.project_id)

    def predictions(self, version: str | None = None) -> dict[int, Json]:
        """The rows of a version (by default of the one in force) by task; fails when a task has two."""
        name = version or self.theirs["model_version"]
        rows = [p for p in self.ale.client.predictions(self.project_id) if p["model_version"] == name]
        by_task = {int(row["task"]): row for row in rows}
        assert len(by_task) == len(rows), f"{len(rows)} rows of {name} on {len(by_task)} tasks"
        return by_task

    def order(self) -> list[int]:
        """Ids of the tasks that wait for a label, the one to ask first at the front, by Label Studio's rows."""
        rows = self.predictions()
        waiting = {t.task_id for t in self.tasks if not t.is_labeled}
        return sorted(waiting & rows.keys(), key=lambda task_id: (rows[task_id]["score"], task_id))

    def ranking(self) -> list[int]:
        """The same by what the learn run kept in its checkpoint, whatever was published of it."""
        beliefs = self.ale.services.beliefs.read(self.key, str(self.version))
        assert beliefs is not None
        found = {t.task_id: beliefs.find(t.text_hash or "") for t in self.tasks if not t.is_labeled}
        scores = {task_id: belief.score for task_id, belief in found.items() if belief is not None}
        return sorted(scores, key=lambda task_id: (scores[task_id], task_id))

    @property
    def reserve(self) -> list[int]:
        """Tasks of the audit reserve by their ids alone, in the order in which they are shown."""
        ids = sorted(self.truth)
        places = dict(zip(ids, place(self.key, ids), strict=True))
        return sorted((i for i in ids if places[i] < RESERVE), key=lambda i: places[i])

    @property
    def free(self) -> list[int]:
        """The other tasks, which may be chosen, suggested and learnt from, by their ids."""
        return sorted(self.truth.keys() - set(self.reserve))

    def suggested(self, version: str | None = None) -> dict[int, str | None]:
        """The label that a version suggests, by task; fails when a task of the reserve is suggested any."""
        found = {task_id: chosen(row["result"]) for task_id, row in self.predictions(version).items()}
        told = {task_id for task_id in self.reserve if found.pop(task_id, None) is not None}
        assert not told, f"tasks {told} are audits"
        return found

    # -- what ALE knows ------------------------------------------------------------------------------

    @property
    def row(self) -> Project:
        """The project's row in our database."""
        return projects.get(self.ale.services.db, self.key)

    @property
    def version(self) -> str | None:
        """The version in force."""
        return self.row.version

    @property
    def tasks(self) -> Sequence[Task]:
        """The mirror's tasks."""
        return mirror.all_tasks(self.ale.services.db, self.key)

    @property
    def mirrored(self) -> Sequence[Annotation]:
        """The mirror's annotations."""
        return mirror.all_annotations(self.ale.services.db, self.key)

    @property
    def runs(self) -> Sequence[Run]:
        """All learn runs, newest first."""
        return versions.runs(self.ale.services.db, self.key, 1000)

    @property
    def last_run(self) -> Run:
        """The newest learn run."""
        return self.runs[0]

    @property
    def published(self) -> Run:
        """The run that put the version in force."""
        return next(run for run in self.runs if run.version is not None and run.version == self.version)

    @property
    def versions(self) -> Sequence[Version]:
        """All versions, newest first."""
        return versions.every(self.ale.services.db, self.key)

    @property
    def control(self) -> Control:
        """The question of the labelling config."""
        return find_control(self.theirs["label_config"])

    # -- waiting -------------------------------------------------------------------------------------

    def settle(self, timeout: float = PATIENCE_S) -> None:
        """Wait until nothing is due, queued or running for this project."""
        wait_until(self._is_quiet, timeout, lambda: f"project {self.key} settles\n{self._story()}")

    def learn(self) -> Run:
        """Settle after a change that Label Studio accepted; the last run must have come to its end."""
        self.settle()
        run = self.last_run
        assert run.outcome in DONE, f"{run.outcome}: {run.reason}\n{self._story()}"
        return run

    def start(self) -> Run:
        """Connect and wait for the first version; the run that published it."""
        self.connect()
        self.learn()
        assert self.version, self._story()
        return self.published

    def mark(self) -> None:
        """What reconcile does for this project: look again."""
        self.ale.services.marks.mark(self.key)

    def _is_quiet(self) -> bool:
        """All at one moment: between two looks a mark may become a job, or a job leave a mark."""
        pipeline = self.ale.redis.pipeline(transaction=True)
        pipeline.zscore(DUE, self.key)
        pipeline.exists(f"{TEACH}:alive:{self.key}")
        pipeline.keys(f"rq:job:learn-{self.key}-*")
        due, teaching, jobs = pipeline.execute()
        return due is None and not teaching and all(self.ale.has_failed(job) for job in jobs)

    def _story(self) -> str:
        runs = [f"{r.run_id} {r.outcome} {r.reason} {r.seconds} {r.counts}" for r in self.runs[:5]]
        return "\n".join([f"problem: {self.row.problem}", *runs, self.ale.tail()])


class NewLoop(Protocol):
    """Makes projects; arguments as for `Loop.create`."""

    def __call__(
        self, pool: Sequence[Message] | None = None, label_config: str | None = None, **values: Any
    ) -> Loop:
        """A new project, not connected yet."""
        ...


@contextmanager
def loops_of(ale: Ale, title: str) -> Iterator[NewLoop]:
    """Projects of one test; afterwards ALE takes no more notice of them."""
    made: list[Loop] = []

    def new(pool: Sequence[Message] | None = None, label_config: str | None = None, **values: Any) -> Loop:
        loop = Loop.create(ale, title[:50], pool, label_config, **values)
        made.append(loop)
        return loop

    yield new
    for loop in made:
        projects.change(ale.services.db, loop.key, status="disconnected")
        ale.services.marks.forget(loop.key)
