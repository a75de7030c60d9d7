"""The package behind the graph: what its rules compute, chapter by chapter."""
