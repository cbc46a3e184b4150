"""The same findings in the words of docker-compose.yml: which service, which line, which command."""

from __future__ import annotations

import re
from dataclasses import replace

from ml_backend.doctor.findings import Finding

ENV = "in .env: {line}, then: docker compose up -d"
LINES = {
    "settings": ENV.format(line="the variable that it names"),
    "encoder": ENV.format(line="no ALE_ENCODER, or ALE_TARGET=transformers and: docker compose build"),
    "student": ENV.format(line="no ALE_STUDENT, or ALE_TARGET=transformers and: docker compose build"),
    "database": "docker compose up -d postgres   (where it lacks the database or takes no password: docker compose exec postgres "
    "sh /docker-entrypoint-initdb.d/ale.sh)",
    "checkpoints": "service backend and worker, volumes: ale:/data must belong to user 10001",
    "redis": "docker compose up -d redis   (service backend and worker, line REDIS_URL)",
    "worker": "docker compose up -d worker   (why it ended: docker compose logs worker)",
    "timer": "docker compose restart worker",
    "web process": "docker compose up -d backend   (service backend and worker, line ALE_URL)",
    "mlflow": "in .env: COMPOSE_PROFILES=mlflow beside MLFLOW_TRACKING_URI, then: docker compose up -d mlflow   (why it "
    "ended: docker compose logs mlflow, MLFLOW_MEMORY; another server: MLFLOW_TRACKING_USERNAME and _PASSWORD)",
    "Label Studio": "docker compose up -d label-studio   (service backend and worker, line LABEL_STUDIO_URL)",
    "token": ENV.format(line="LABEL_STUDIO_API_KEY=<Account & Settings > Access Token>"),
}
"""By the hop's name; a hop that is not here keeps its own line, its commands run inside the container."""

GUARD = (
    'service label-studio, line USE_DEFAULT_BANNED_SUBNETS: must be "false", and USER_ADDITIONAL_BANNED_SUBNETS must not '
    "hold this network; then: docker compose up -d label-studio"
)
INSIDE = re.compile(r"\b(run: |or run |see )`?ale ([a-z-]+)")


def in_compose(finding: Finding) -> Finding:
    """The finding with the line of docker-compose.yml to change; one that works stays as it is."""
    if finding.ok:
        return finding
    if "BANNED_SUBNETS" in finding.fix:
        again = finding.fix.partition("; ")[2]
        return replace(finding, fix=_inside(f"{GUARD}; {again}" if again else GUARD))
    return replace(finding, fix=LINES.get(finding.hop) or _inside(finding.fix))


def _inside(fix: str) -> str:
    return INSIDE.sub(r"\1docker compose exec backend ale \2", fix).replace("`", "")
