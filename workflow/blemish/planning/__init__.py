"""What a run will cost, and where it stands."""
