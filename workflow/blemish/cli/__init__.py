"""`blemish`: corrupts, judges, scores and exports one's own images, by the functions that the graph's jobs use."""
