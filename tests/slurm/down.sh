#!/usr/bin/env bash
# Cancels what still runs in the SLURM of folder DIR, and stops it.
# usage: down.sh DIR
set -u
dir=$(cd "$1" && pwd)
SLURM_CONF=$dir/slurm.conf timeout 10 scancel --user "$(id -un)"
for _ in $(seq 50); do
  [ -z "$(SLURM_CONF=$dir/slurm.conf timeout 5 squeue -h)" ] && break
  sleep 0.1
done
for file in "$dir"/slurmd.pid "$dir"/slurmctld.pid "$dir"/munge/munged.pid; do
  [ -s "$file" ] && kill "$(cat "$file")"
done
exit 0
