"""HTML pages that stand alone: one stylesheet, plots as inline SVG, no script, nothing fetched."""
