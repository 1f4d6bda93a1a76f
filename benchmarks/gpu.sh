#!/bin/sh
# All that is to be measured on a GPU, in under eight minutes from a machine with PyTorch and the extras `demo` and
# `certify` (pip install -c constraints.txt '.[demo,certify]'). Nothing is fetched.
#   sh benchmarks/gpu.sh [cuda] [FOLDER]      rows go to FOLDER, docs/results/speed where none is given
#   BATCHES=1,2 SECONDS_EACH=0 COMPARED=2 sh benchmarks/gpu.sh cpu /tmp/rows    tries the script where there is no GPU
set -eu
device=${1:-cuda}
folder=${2:-docs/results/speed}
python=${PYTHON:-python3}
export PYTHONPATH="src:.${PYTHONPATH:+:$PYTHONPATH}"
cd "$(dirname "$0")/.."
mkdir -p "$folder"
# The shortest first, so that a machine that is taken away leaves whole tables.
"$python" -m benchmarks gpu --device "$device" --batches "${BATCHES:-1,8,32,64,128,256,512}" \
	--seconds "${SECONDS_EACH:-12}" --compared "${COMPARED:-8}" --out "$folder/gpu.jsonl"
if [ "$device" != cpu ]; then
	"$python" -m benchmarks scale --device "$device" --rounds "${ROUNDS:-1}" --out "$folder/scale-$device.jsonl"
	"$python" -m pytest -q tests/test_fitting.py -k gpu
fi
