"""Figures for the README: each module measures one promise on real processes and prints a table."""
