"""The tests. A package by name: other distributions install a `tests` of their own, which would win over a folder."""
