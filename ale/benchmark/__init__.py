"""The mode without humans: the live loop's own engine, with gold labels instead of annotators."""
