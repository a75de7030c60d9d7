#!/usr/bin/env bash
# Installs requirements.lock, then PyTorch unless it is there: its builds differ, and which one is the user's choice.
set -euo pipefail
python -m pip install --quiet --require-hashes --no-deps --requirement requirements.lock
python -m pip install --quiet "$(grep ^torch== requirements.txt)"
python -m pip check --quiet
