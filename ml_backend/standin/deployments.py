"""Azure's control plane, as far as it is needed: a fine-tuned model answers only once it is deployed."""

from __future__ import annotations

from typing import Any

from ml_backend.standin.errors import ApiError, model_not_found
from ml_backend.standin.models import Models
from ml_backend.standin.wire import Request, Response


class Deployments:
    """Names of deployments and the models behind them."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def create(self, request: Request, name: str) -> Response:
        """Deploy the model that `properties.model.name` says; it answers at once under the deployment's name."""
        properties = request.json().get("properties") or {}
        model = str((properties.get("model") or {}).get("name", ""))
        if not self._models.exists(model):
            raise ApiError(400, f"The model '{model}' does not exist.", code="InvalidResourceProperties")
        self._models.deploy(name, model)
        return Response(_deployment(name, model), 201)

    def retrieve(self, _: Request, name: str) -> Response:
        """A deployment."""
        model = self._models.behind(name)
        if model is None:
            raise model_not_found(name)
        return Response(_deployment(name, model))


def _deployment(name: str, model: str) -> dict[str, Any]:
    return {
        "name": name,
        "sku": {"name": "standard", "capacity": 1},
        "properties": {
            "model": {"format": "OpenAI", "name": model, "version": "1"},
            "provisioningState": "Succeeded",
        },
    }
