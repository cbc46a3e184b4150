"""A model folder behind HTTP: `ale serve-model`. Needs neither Label Studio nor Redis; SQL only where it captures."""
