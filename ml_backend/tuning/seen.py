"""What there is to say about a project's student and its tuning. Light: the web process says it, too."""

from __future__ import annotations

from typing import Any

import redis

from ml_backend.tuning.notes import is_tuning, last_failure

Json = dict[str, Any]


def tuning_seen(connection: redis.Redis | None, project: str) -> Json | None:
    """Whether a tuning goes on, and why the last one failed; None where Redis does not say it."""
    if connection is None:
        return None
    try:
        failed, running = last_failure(connection, project), is_tuning(connection, project)
    except redis.RedisError:
        return None
    return {
        "running": running,
        "problem": "" if failed is None else failed.problem,
        "failed_at": None if failed is None else failed.at,
    }


def student_line(student: Json | None, tuning: Json | None) -> str:
    """E.g. `transformer: hybrid with an encoder tuned on 214 labels (share 61%, at ...); held-out labels: 79% right
    alone, 86% with it`.
    """
    said = [] if student is None else [_told(student, awaited=tuning is not None)]
    if student is not None and student.get("teacher_refuted"):
        said.append(
            "the teacher is ignored so far: people's first labels contradict it more than chance would"
        )
    if tuning is not None:
        said += ["an encoder is being tuned"] if tuning["running"] else []
        said += [f"the last tuning failed: {tuning['problem']}"] if tuning["problem"] else []
    return "; ".join(said)


def _told(student: Json, *, awaited: bool) -> str:
    kind = str(student["kind"])
    if "tuning" not in student:
        return f"{kind}: the hybrid student alone, not tuned yet" if awaited else kind
    when = f"tuned on {student['labels']} labels at {student['tuned_at']}"
    short = ", cut short by ALE_TUNE_S" if student["cut"] else ""
    right = ""
    if student["alone"] is not None:
        right = f"; {student['alone']:.0%} of held-out labels right alone, {student['mixed']:.0%} with it"
    if not student["share"]:
        return f"{kind}: the hybrid student alone, the encoder {when}{short} adds nothing{right}"
    return f"{kind}: hybrid with an encoder {when}{short} (share {student['share']:.0%}){right}"
