"""How a job runs: its process, GPUs and locks. Nothing here can change a result, so fingerprints leave it out.

The number of threads is the one thing that moves a result's last bits (docs/faults.md): it is the rule's and
`--cores`' to say, and no reason to run a job again.
"""
