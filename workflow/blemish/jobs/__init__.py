"""How a job runs: its process, GPUs and locks. Nothing here can change a result."""
