#!/usr/bin/env bash
# Brings up a one-node SLURM with two pretend GPUs in folder DIR: no systemd, no database, not even root.
# usage: up.sh DIR    then: source DIR/env    and in the end: down.sh DIR
set -euo pipefail
mkdir -p "$1"
dir=$(cd "$1" && pwd)
host=$(hostname -s)
user=$(id -un)

if ! command -v slurmctld /usr/sbin/slurmctld >/dev/null; then
  [ "$(id -u)" = 0 ] || { echo "SLURM is missing: sudo apt-get install slurm-wlm munge" >&2; exit 1; }
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends slurm-wlm munge >/dev/null
fi
PATH=$PATH:/usr/sbin

read -r control_port node_port < <(python3 - <<'PY'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))
PY
)

mkdir -p "$dir"/{munge,state,spool,log,bin}
chmod 755 "$dir" "$dir/munge" # munged refuses folders that others may write to
(umask 077; head -c 1024 /dev/urandom >"$dir/munge/munge.key")
munged --force --key-file="$dir/munge/munge.key" --socket="$dir/munge/sock" --pid-file="$dir/munge/munged.pid" \
  --log-file="$dir/munge/munged.log" --seed-file="$dir/munge/seed"

# Memory and CPUs are pretended too (config_overrides), so that the profile for real clusters runs as it is.
cat >"$dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control_port
SlurmdPort=$node_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$dir/munge/sock
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=100000,bf_interval=5
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
MinJobAge=600
KillWait=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 RealMemory=1000000 Gres=gpu:toy:2 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
# A GPU's file must be a character device.
cat >"$dir/gres.conf" <<CONF
AutoDetect=off
NodeName=$host Name=gpu Type=toy File=/dev/null Flags=nvidia_gpu_env
NodeName=$host Name=gpu Type=toy File=/dev/zero Flags=nvidia_gpu_env
CONF
# The executor's job step drops SLURM_CONF before it calls srun: give it back.
printf '#!/bin/sh\nexport SLURM_CONF=%s\nexec %s "$@"\n' "$dir/slurm.conf" "$(command -v srun)" >"$dir/bin/srun"
chmod +x "$dir/bin/srun"
printf 'export SLURM_CONF=%s\nexport PATH=%s:$PATH\n' "$dir/slurm.conf" "$dir/bin" >"$dir/env"

export SLURM_CONF=$dir/slurm.conf
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF"
for _ in $(seq 200); do
  # sinfo hangs while the controller is down
  [ "$(timeout 5 sinfo -h -o %t 2>/dev/null)" = idle ] && exit 0
  sleep 0.1
done
tail -n 5 "$dir"/log/*.log >&2
echo "SLURM did not come up in 20 s: see $dir/log" >&2
exit 1
