"""Are wrong labels found? Errors are injected into gold labels, and detectors are compared on the same rows."""
