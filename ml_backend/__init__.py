"""The ML backend for Label Studio: speaks HTTP, Label Studio, Redis and SQL. Knows no algorithm."""
