"""The config as a whole: its sections, how files are merged and checked, and the documents made from them."""
