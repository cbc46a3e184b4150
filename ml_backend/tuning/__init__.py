"""The transformer student in the loop: tuned beside it, on what people have labelled; learnt from when it is there."""
