"""A model folder as an MLflow model: `mlflow.pyfunc.load_model` reads it, `mlflow models serve` serves it.

The code that MLflow keeps is a file that imports `ale`; nothing is pickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ale.errors import ConfigurationError, MissingExtra
from ale.io.model_folder import read_model

CODE = '''"""Written by ALE: what MLflow runs to load this model."""

from ale.io.pyfunc import as_python_model
from mlflow.models import set_model

set_model(as_python_model())
'''


def as_python_model() -> Any:
    """The `PythonModel` that answers with a table of label, confidence and reason."""
    try:
        from mlflow.pyfunc.model import PythonModel
    except ImportError as error:
        raise MissingExtra("an MLflow model", "mlflow") from error

    class AleModel(PythonModel):
        """Reads the folder once, when MLflow loads the model."""

        def load_context(self, context: Any) -> None:
            """See MLflow."""
            from ale import load

            self.model = load(context.artifacts["model"])

        # MLflow takes type hints here for a schema of its own, and warns of ours.
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            """A table with the model's text column, or a list of texts where MLflow lets one through."""
            import pandas as pd

            said = self.model.predict(
                _texts(model_input, self.model.text_column), defer=(params or {}).get("defer", 0.0)
            )
            return pd.DataFrame(
                [
                    (
                        one.label,
                        one.confidence,
                        None if one.reason is None else str(one.reason),
                        self.model.version,
                    )
                    for one in said
                ],
                columns=["label", "confidence", "reason", "model_version"],
            )

    return AleModel()


def save_pyfunc(folder: str | Path, path: str | Path) -> None:
    """Write the MLflow model of a model folder to `path`, which must not exist."""
    path = Path(path)
    if path.exists():
        raise ConfigurationError(f"{path} exists; a model is never overwritten: remove it or name another")
    _, manifest = read_model(str(folder))  # a damaged one is refused here, not when it is loaded
    try:
        from mlflow import pyfunc
    except ImportError as error:
        raise MissingExtra("an MLflow model", "mlflow") from error
    import tempfile

    with tempfile.TemporaryDirectory() as drafts:
        code = Path(drafts) / "ale_model.py"
        code.write_text(CODE)
        pyfunc.save_model(
            path,
            python_model=str(code),
            artifacts={"model": Path(folder).absolute().as_uri()},
            pip_requirements=["ale-label-studio[index,encoder,mlflow]"],
            signature=_signature(str(manifest["text_column"])),
        )


def _signature(text_column: str) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("string", text_column)]),
        outputs=Schema(
            [
                ColSpec("string", "label", required=False),
                ColSpec("double", "confidence"),
                ColSpec("string", "reason", required=False),
                ColSpec("string", "model_version"),
            ]
        ),
        params=ParamSchema([ParamSpec("defer", "double", 0.0)]),
    )


def _texts(given: Any, column: str) -> list[str | None]:
    import pandas as pd

    texts = given[column] if isinstance(given, pd.DataFrame) else given
    return [one if isinstance(one, str) else None for one in texts]
