"""What MLflow is told about a version, and the only code that speaks to MLflow.

Imported inside the mirror job and the doctor only: MLflow takes seconds to import, and nothing else needs it.
"""
