"""`ale demo`: everything on one machine with one command, and a simulated annotator that proves the loop."""
