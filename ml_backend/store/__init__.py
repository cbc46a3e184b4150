"""SQL: the project table, the mirror, teacher replies, versions, runs and review flags."""
