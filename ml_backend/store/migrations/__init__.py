"""The steps by which the database got its tables. Each is a file in `versions/` that never imports today's models.

A step is never changed once it was released, and there is no way back: an older ALE refuses a newer database.
After a change of the models, `python -m ml_backend.store.migrations "what changes"` drafts the next one.
"""
