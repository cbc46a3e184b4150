"""Environment variables, read once. A wrong value stops the start and lists the valid ones.

Longer than other files: it is one table, and whoever looks for a variable finds all of them in one place.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ale.errors import ConfigurationError, UnknownName
from ale.io.chat import DEFAULT_MODEL

_USERINFO = re.compile(r"^(https?://)[^/?#]*@")
"""User and password in an address."""

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Settings(BaseSettings):
    """All settings; the README's table is checked against these descriptions by a test."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("ale-label-studio"),
        alias="ALE_HOME",
        description="Folder for everything that ALE keeps: database, models, Redis file, generated secret.",
    )
    label_studio_url: str = Field(
        "http://127.0.0.1:8080", alias="LABEL_STUDIO_URL", description="Label Studio, as ALE reaches it."
    )
    label_studio_host: str = Field(
        "",
        alias="LABEL_STUDIO_HOST",
        description="Label Studio, as a browser reaches it; empty: `LABEL_STUDIO_URL`.",
    )
    label_studio_api_key: SecretStr = Field(
        SecretStr(""),
        alias="LABEL_STUDIO_API_KEY",
        description="Access token of a Label Studio user: legacy token or personal access token.",
    )
    url: str = Field(
        "http://127.0.0.1:9090", alias="ALE_URL", description="ALE's web process, as Label Studio reaches it."
    )
    host: str = Field(
        "", alias="ALE_HOST", description="Address to listen on; loopback when no password is set."
    )
    port: int = Field(9090, alias="ALE_PORT", ge=1, le=65535, description="Port to listen on.")
    redis_url: str = Field("", alias="REDIS_URL", description="Redis; empty: ALE starts one of its own.")
    database_url: str = Field(
        "",
        alias="DATABASE_URL",
        description="Postgres (`postgresql://USER:PASSWORD@HOST/NAME`, with the extra `[postgres]`) or another SQLAlchemy URL; empty: a SQLite file in `ALE_HOME`.",
    )
    model_dir: str = Field(
        "", alias="MODEL_DIR", description="Folder for checkpoints; empty: `ALE_HOME/models`."
    )
    store_url: str = Field(
        "",
        alias="ALE_STORE_URL",
        description="Object store for checkpoints instead of `MODEL_DIR` (`s3://…`, `abfs://…`, `gs://…`, with the extra `[cloud]`).",
    )
    basic_auth_user: str = Field(
        "", alias="BASIC_AUTH_USER", description="User for `/setup`, `/predict`, `/status` and reports."
    )
    basic_auth_pass: SecretStr = Field(SecretStr(""), alias="BASIC_AUTH_PASS", description="Its password.")
    webhook_secret_given: SecretStr = Field(
        SecretStr(""),
        alias="ALE_WEBHOOK_SECRET",
        description="Signs the webhook header; empty: generated once.",
    )
    teacher: str = Field(
        "zero-shot",
        alias="ALE_TEACHER",
        description="Who labels first: `none`, `zero-shot`, `openai`, `openai:MODEL`, `azure:DEPLOYMENT`, "
        "`azure:DEPLOYMENT=MODEL` where it is not called like its model; `@v1` behind it names the prompt. "
        "Several with commas between, the cheap ones first.",
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        alias="OPENAI_API_KEY",
        description="Key for `openai`; without one that teacher is off.",
    )
    openai_base_url: str = Field(
        "",
        alias="OPENAI_BASE_URL",
        description="Another server that speaks OpenAI's HTTP (vLLM, Ollama, LiteLLM…); empty: OpenAI itself.",
    )
    openai_model: str = Field(
        DEFAULT_MODEL, alias="OPENAI_MODEL", description="The model that `openai` means.", min_length=1
    )
    azure_endpoint: str = Field(
        "",
        alias="AZURE_OPENAI_ENDPOINT",
        description="Azure OpenAI resource, `https://NAME.openai.azure.com`.",
    )
    azure_api_key: SecretStr = Field(
        SecretStr(""),
        alias="AZURE_OPENAI_API_KEY",
        description="Its key; empty: Entra ID, with the extra `[azure]`.",
    )
    azure_api_version: str = Field(
        "2024-10-21", alias="OPENAI_API_VERSION", description="Azure's API version."
    )
    budget_usd: float = Field(
        5.0,
        alias="ALE_BUDGET_USD",
        ge=0,
        le=1e9,
        description="The most that paid teachers may cost in each project, in US dollars; 0: nobody is asked.",
    )
    budget_tokens: int | None = Field(
        None, alias="ALE_BUDGET_TOKENS", ge=0, description="The same in tokens; empty: only money is limited."
    )
    prices: Path | None = Field(
        None, alias="ALE_PRICES", description="JSON file with prices of models, before those that ALE knows."
    )
    stop_paying: bool = Field(
        default=True,
        alias="ALE_STOP_PAYING",
        description="Whether a paid teacher is asked no more once the student is better.",
    )
    llm_rpm: float = Field(
        500.0,
        alias="ALE_LLM_RPM",
        ge=1,
        description="Requests per minute to one model, of all workers together.",
    )
    llm_tpm: float = Field(200_000.0, alias="ALE_LLM_TPM", ge=100, description="Tokens per minute, likewise.")
    llm_concurrency: int = Field(
        16,
        alias="ALE_LLM_CONCURRENCY",
        ge=1,
        le=1000,
        description="Requests that wait for an answer at once.",
    )
    llm_timeout_s: float = Field(
        60.0, alias="ALE_LLM_TIMEOUT_S", ge=1, le=600, description="Longest wait for one answer, in seconds."
    )
    llm_votes: int = Field(
        1,
        alias="ALE_LLM_VOTES",
        ge=1,
        le=50,
        description="Samples per text where a model shows no log-probabilities; 1: it states its confidence.",
    )
    llm_items_per_call: int = Field(
        1,
        alias="ALE_LLM_ITEMS_PER_CALL",
        ge=1,
        le=100,
        description="Texts in one request; above 1 it is cheaper, but texts can influence each other's labels.",
    )
    llm_examples: int = Field(
        8, alias="ALE_LLM_EXAMPLES", ge=0, le=200, description="Few-shot examples chosen for each request."
    )
    student: str = Field(
        "hybrid",
        alias="ALE_STUDENT",
        description="What learns from the labels: `hybrid`, `linear`, `transformer` (hybrid, and an encoder tuned "
        "beside it where held-out labels ask for it; with the extra `[transformers]`).",
    )
    tune_s: Seconds = Field(
        170.0,
        alias="ALE_TUNE_S",
        description="The most seconds that one tuning for `transformer` may take; 0: none is tuned or used.",
    )
    strategy: str = Field(
        "margin",
        alias="ALE_STRATEGY",
        description="How the next tasks are chosen: `margin`, `margin-clusters`, `least-confidence`, `entropy`, "
        "`density-weighted`, `badge`, `disagreement`, `committee`, `vote-entropy`, `typiclust`, `coreset`, `random`.",
    )
    audit_share: float = Field(
        0.1,
        alias="ALE_AUDIT_SHARE",
        ge=0,
        le=0.5,
        description="Share of the served tasks that are drawn at random and shown without a suggestion, to measure "
        "how often student and teacher are right; their labels train nothing. 0: none.",
    )
    second_opinion: float = Field(
        0.0,
        alias="ALE_SECOND_OPINION",
        ge=0,
        le=0.5,
        description="At most this share of the head of the queue may be tasks with a doubted answer, which another "
        "annotator is asked blind, where that is worth more than a new task; from two annotators on. 0: none.",
    )
    review_precision: float = Field(
        0.5,
        alias="ALE_REVIEW_PRECISION",
        gt=0,
        lt=1,
        description="Labels are suspected of being wrong while this share of the suspicions is expected to be right; "
        "higher: fewer of them. What reviewers decide corrects that expectation.",
    )
    encoder: str = Field(
        "embedded",
        alias="ALE_ENCODER",
        description="`embedded` (MiniLM) or a Hugging Face model name, with the extra `[transformers]`.",
    )
    auto_connect: Literal["free", "all", "off"] = Field(
        "free",
        alias="ALE_AUTO_CONNECT",
        description="Projects connected from Label Studio's settings page: adopt without paid teachers, with, or not.",
    )
    debounce_s: Seconds = Field(
        1.5, alias="ALE_DEBOUNCE_S", description="Quiet seconds after a change before a learn run starts."
    )
    max_wait_s: Seconds = Field(
        6.0, alias="ALE_MAX_WAIT_S", description="Longest wait of a change while others keep coming."
    )
    reconcile_s: Annotated[float, Field(ge=1, le=86_400)] = Field(
        60.0, alias="ALE_RECONCILE_S", description="Seconds between looks for changes that no webhook told."
    )
    batch: int = Field(100, alias="ALE_BATCH", ge=1, le=5000, description="Tasks at the head of the queue.")
    full_publish_s: Seconds = Field(
        300.0, alias="ALE_FULL_PUBLISH_S", description="Least seconds between publications of the whole pool."
    )
    grace_s: float = Field(
        86_400.0,
        alias="ALE_GRACE_S",
        ge=0,
        description="How long superseded predictions stay (open pages hold them).",
    )
    keep_versions: int = Field(5, alias="ALE_KEEP_VERSIONS", ge=2, le=1000, description="Checkpoints kept.")
    alive_file: Path | None = Field(
        None,
        alias="ALE_ALIVE_FILE",
        description="File that a worker touches while it lives, for health checks.",
    )
    deployment: Literal["", "compose"] = Field(
        "",
        alias="ALE_DEPLOYMENT",
        description="`compose`: `ale doctor` names lines of docker-compose.yml instead of variables.",
    )
    secrets_dir: Path | None = Field(
        None,
        alias="ALE_SECRETS_DIR",
        description="Folder with one file per variable of this table, for those that are not set.",
    )
    mlflow_tracking_uri: SecretStr = Field(
        SecretStr(""),
        alias="MLFLOW_TRACKING_URI",
        description="MLflow server that mirrors every version in force, or `sqlite:////…/mlflow.db`; empty: off.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="ALE_LOG_LEVEL", description="Log level."
    )

    @field_validator("label_studio_url", "label_studio_host", "url", "openai_base_url", "azure_endpoint")
    @classmethod
    def _is_http(cls, value: str, info: ValidationInfo) -> str:
        parts = urlsplit(value)
        if not value and info.field_name in {"label_studio_host", "openai_base_url", "azure_endpoint"}:
            return value
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http:// or https:// address")
        return value.rstrip("/")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def _is_mlflow(cls, value: SecretStr) -> SecretStr:
        given = value.get_secret_value()
        if not given:
            return value
        try:
            parts = urlsplit(given)
            served = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            served = False
        # MLflow itself no longer writes to plain folders.
        if not served and not re.fullmatch(r"sqlite:////[^?#]+", given):
            raise ValueError("must be an http:// or https:// address, or sqlite:////absolute/path/mlflow.db")
        return SecretStr(given.rstrip("/"))

    @property
    def mlflow_address(self) -> str:
        """MLFLOW_TRACKING_URI without user and password, fit to be shown; empty: nothing is mirrored."""
        return _USERINFO.sub(r"\1", self.mlflow_tracking_uri.get_secret_value())

    @property
    def browser_url(self) -> str:
        """Label Studio's address for people."""
        return self.label_studio_host or self.label_studio_url

    def report_address(self, project: int) -> str:
        """A project's report, as a browser on this machine reaches it; without user and password."""
        # In compose ALE_URL is a name that only the containers know; the port is published under the same number.
        inside = self.deployment == "compose"
        base = f"http://localhost:{self.port}" if inside else _USERINFO.sub(r"\1", self.url)
        return f"{base}/projects/{project}/report"

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the database to use."""
        return self.database_url or f"sqlite:///{self.home / 'ale.db'}"

    @property
    def checkpoints(self) -> str:
        """fsspec URL or path under which checkpoints lie."""
        return self.store_url or self.model_dir or str(self.home / "models")

    @property
    def has_password(self) -> bool:
        """Whether the web process asks for Basic credentials."""
        return bool(self.basic_auth_user and self.basic_auth_pass.get_secret_value())

    @property
    def bind_host(self) -> str:
        """The address to listen on; refuses to open an unprotected port to others."""
        if self.has_password:
            return self.host or "0.0.0.0"  # noqa: S104 - asked for by setting a password
        if self.host not in {"", "127.0.0.1", "::1", "localhost"}:
            raise ConfigurationError(
                f"ALE_HOST={self.host} would open an unprotected port: set BASIC_AUTH_USER and BASIC_AUTH_PASS"
            )
        return self.host or "127.0.0.1"

    @cached_property
    def webhook_secret(self) -> str:
        """ALE_WEBHOOK_SECRET, else a random one generated once and kept in `ALE_HOME` with mode 600."""
        return self.webhook_secret_given.get_secret_value() or _generated_secret(self.home / "webhook-secret")


def _generated_secret(path: Path) -> str:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            # A link never replaces: of several processes that start at once, one wins and all read the same.
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"no ALE_WEBHOOK_SECRET is set and none can be kept in {path.parent} (uid {os.getuid()}): {error}"
        ) from error


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment; raises ConfigurationError that names variable, value and what is valid."""
    # By alias only: a field's own name would let HOME, HOST, PORT or URL of the shell decide.
    aliases = {name: str(field.alias) for name, field in Settings.model_fields.items()}
    unknown = set(overrides) - set(aliases) - set(aliases.values())
    if unknown:
        raise UnknownName("setting", min(unknown), list(aliases.values()))
    named = {aliases.get(name, name): value for name, value in overrides.items()}
    folder = named.get("ALE_SECRETS_DIR") or os.environ.get("ALE_SECRETS_DIR") or None
    if folder is not None and not Path(folder).is_dir():
        raise ConfigurationError(
            f"ALE_SECRETS_DIR={str(folder)!r} is no folder: make it, or unset the variable"
        )
    try:
        return Settings(**named, _secrets_dir=folder)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}={_shown(item)}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False)
        ]
        raise ConfigurationError("wrong settings:\n  " + "\n  ".join(lines)) from error


def _shown(item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    if any(word in name for word in ("PASS", "KEY", "SECRET")):
        return "***"
    value = repr(item.get("input"))
    # An address may hold a password, and one that is wrong may hold it anywhere before the host.
    return re.sub(r"^'.*@", "'***@", value) if name.endswith(("_URL", "_URI")) else value
