"""Where files come from: local paths (`file:`), URLs and hub repositories, all through the same code."""
