"""The audit: what a random part of the pool, labelled without a suggestion, says about the truth."""
