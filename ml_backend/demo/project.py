"""Putting the sample project on a Label Studio."""

from __future__ import annotations

from ml_backend.demo import sample
from ml_backend.label_studio import LabelStudioClient


def create_sample_project(client: LabelStudioClient) -> int:
    """A new project with the sample's messages, without any label; its id."""
    project_id = int(client.create_project(**sample.project_values())["id"])
    client.import_tasks(project_id, [{sample.FIELD: message.text} for message in sample.pool()])
    return project_id


def create_and_connect() -> str:
    """`ale demo-project`: the sample on the Label Studio of the settings, connected; what to do next."""
    from ml_backend.connect import connect_project
    from ml_backend.settings import load_settings
    from ml_backend.wiring import build_services

    services = build_services(load_settings())
    client = LabelStudioClient(services.settings)
    project_id = create_sample_project(client)
    connect_project(services, project_id)
    return (
        f"project {project_id} is connected: {client.url}/projects/{project_id}/data\n"
        "The worker pre-annotates it now; then press Label All Tasks."
    )
