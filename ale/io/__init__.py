"""The only folder of `ale` that touches disk or network."""
