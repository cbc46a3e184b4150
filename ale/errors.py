"""Everything that `ale` and `ml_backend` raise on purpose.

AleError
├── ConfigurationError       a setting or a name is wrong; the message lists what is valid
│   ├── UnknownName          no strategy, teacher or student of that name
│   └── MissingExtra         a package behind an extra is not installed; the message names the command
├── LabelSpaceMismatch       a model and a label space do not belong together
├── NotEnoughLabels          too few labels or classes to learn from; `reason` is a stable word
├── OutOfTime                a step would take longer than the time that it may take; it was left out
├── TeacherError
│   ├── ContentFiltered      the provider's filter stopped this one question; the others go on
│   └── TeacherUnavailable   the teacher cannot answer now; `reason` is a stable word
│       ├── TeacherRefused   asking again is useless until a person changes something: key, quota, model
│       └── BudgetReached    the project's budget has no room for the next call
├── DatabaseUnreachable      the database server does not answer; trying again later may help
├── StoreUnreachable         an object store does not answer, or lets us not in; an OSError, too
├── CheckpointError          a checkpoint is missing, damaged or of another format
├── LabelStudioError         Label Studio refused or could not be reached
│   ├── LabelStudioUnreachable
│   ├── LabelStudioRefused   an HTTP error status; `status` holds it
│   └── ProjectGone          the project does not exist (any more)
├── PublishError             predictions could not be published whole; nothing was put in force
├── TrackingError            MLflow could not be told about a version; publishing goes on
│   ├── TrackingUnreachable  no answer, or none of use: try again later
│   └── TrackingRefused      MLflow answered no; `code` is its own word for why
└── Superseded               a newer learn run has taken over; not a failure
"""


class AleError(Exception):
    """Base of all errors raised on purpose."""


class ConfigurationError(AleError):
    """A setting or a name is wrong; the message lists what is valid."""


class UnknownName(ConfigurationError):
    """No entry of that name in one of the tables."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")


class MissingExtra(ConfigurationError):
    """A package behind an extra is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'ale-label-studio[{extra}]'")


class LabelSpaceMismatch(AleError):
    """A model and a label space do not belong together."""


class NotEnoughLabels(AleError):
    """Too few labels to learn from. `reason` is a stable word for counters, e.g. `need_two_classes`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class OutOfTime(AleError):
    """A step would take longer than the time that it may take; it was left out."""


class TeacherError(AleError):
    """Base of what can go wrong with a teacher."""


class ContentFiltered(TeacherError):
    """The provider's content filter stopped this one question: abstain, do not ask again, go on."""


class TeacherUnavailable(TeacherError):
    """The teacher cannot answer now; ask again later.

    `reason` is a stable word for counters (`rate_limited`, `timeout`, `server_error`, `gateway_error`,
    `unreachable`, `interrupted`, `not_an_api`, `breaker_open`); `retry_after_s` is how long to stay away, where somebody said so.
    """

    def __init__(
        self, message: str, *, reason: str = "unavailable", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class TeacherRefused(TeacherUnavailable):
    """Asking again is useless until a person changes something; never retried.

    `reason`: `insufficient_quota`, `unauthorized`, `forbidden`, `model_not_found`, `bad_request`,
    `other_model`.
    """


class BudgetReached(TeacherUnavailable):
    """The project's budget has no room for the next call; raised before the call is made."""


class DatabaseUnreachable(AleError):
    """The database server does not answer (yet), or lets us not in; trying again later may help."""


class StoreUnreachable(AleError, OSError):
    """An object store does not answer, or lets us not in. An OSError, so that whoever can do without goes on."""


class CheckpointError(AleError):
    """A checkpoint is missing, damaged or of another format."""


class LabelStudioError(AleError):
    """Label Studio refused or could not be reached."""


class LabelStudioUnreachable(LabelStudioError):
    """No usable answer: connection refused, time-out, or something that is not Label Studio."""


class LabelStudioRefused(LabelStudioError):
    """Label Studio answered with an HTTP error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ProjectGone(LabelStudioError):
    """The project does not exist (any more), or is another one with the same id."""


class PublishError(AleError):
    """Predictions could not be published whole; the version in force before stays in force."""


class TrackingError(AleError):
    """MLflow could not be told about a version; nothing else depends on it."""


class TrackingUnreachable(TrackingError):
    """MLflow gave no answer, or none of use: it is away, overloaded, or something else listens there."""


class TrackingRefused(TrackingError):
    """MLflow answered no. `code` is its own word for why, e.g. `RESOURCE_DOES_NOT_EXIST`."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Superseded(AleError):
    """A newer learn run has taken over; this one discards itself."""
