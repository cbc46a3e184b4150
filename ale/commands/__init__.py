"""The commands of the engine. They import what they need when they run, so that `ale --help` is quick."""
