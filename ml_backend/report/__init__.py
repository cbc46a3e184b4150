"""The report of one project: a page with plots, from what SQL and Redis already know. No texts, no secrets."""
