#!/usr/bin/env bash
set -euo pipefail

usage() {
  cat <<'END'
Usage: benchmarks/gpu.sh [OPTION ...]

Measures everything on a GPU, in about half an hour: the tests on CUDA, synthesis beside
the peers, training steps against the best matrix product, ten minutes of the flagship. Writes
OUT/results.json and OUT/results.md, the tables of docs/performance.md.
A finished stage leaves OUT/NAME.done and is skipped later; one that fails or takes too long is
reported, and the others run. The same command again runs what is missing.

  --out DIR        folder of the results (runs/gpu_benchmark)
  --data DIR       recordings for the flagship, such as LJSpeech-1.1 (the clips in data/)
  --device DEVICE  cuda or cpu (cuda)
  --quick          the smallest sizes of everything: a rehearsal of some minutes, its figures worthless
  --help           this

Needs: pip install -e '.[dev]'. Defaults are in parentheses; their paths are under the repository.
END
}

fail() {
  echo "gpu.sh: error: $1" >&2
  exit "${2:-1}"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/.." && pwd)
out=$repository/runs/gpu_benchmark data='' device=cuda quick=''
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit ;;
    --quick) quick=1; shift; continue ;;
    --out | --data | --device) [ -n "${2:-}" ] || fail "$1: expected a value" 2 ;;
    *) fail "unknown option $1 (--help lists them)" 2 ;;
  esac
  case $1 in
    --out) out=$2 ;;
    --data) data=$2; [ -d "$data" ] || fail "--data: expected a folder; $data is none" 2 ;;
    --device) device=$2; [[ $device =~ ^(cuda|cpu)$ ]] ||
      fail "--device: expected cuda or cpu; got $device" 2 ;;
  esac
  shift 2
done

python=$repository/.venv/bin/python
[ -x "$python" ] || python=$(command -v python3) || fail "expected Python 3; make test makes .venv"
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -z "$data" ] || data=$(cd "$data" && pwd)
cd "$repository"
if [ "$device" = cpu ]; then
  export CUDA_VISIBLE_DEVICES=
else
  "$python" -c 'from waveflow.devices import choose_device; choose_device("cuda")' 2>"$out/device.log" ||
    fail "$(tail -n 1 "$out/device.log")"
fi

# The same for all of a folder's stages: figures of different runs are no table.
asked="device $device, ${quick:+quick, }data ${data:-of the repository}"
[ ! -f "$out/asked" ] || [ "$(cat "$out/asked")" = "$asked" ] ||
  fail "$out holds results of: $(cat "$out/asked"); expected another --out for: $asked"
echo "$asked" >"$out/asked"

# stage NAME SECONDS COMMAND ...: what it says is in OUT/NAME.log.
stage() {
  local name=$1 limit=$2 code=0
  shift 2
  if [ -f "$out/$name.done" ]; then
    echo "== $name: done before"
    return
  fi
  echo "== $name (at most $limit s)"
  timeout --kill-after 30 "$limit" "$@" >"$out/$name.log" 2>&1 || code=$?
  if [ "$code" = 0 ]; then
    rm -f "$out/$name.failed"
    touch "$out/$name.done"
  else
    [ "$code" != 124 ] || code="124, its time was over"
    echo "$name failed (exit code $code); $out/$name.log tells why" | tee "$out/$name.failed"
  fi
}

train=("$python" "$here/train.py" --device "$device" --precision fp32,bf16 --reversible off,on)
peers=("$python" "$here/gpu_peers.py" --device "$device" --json "$out/peers.json")
tests=("$python" -m pytest -p no:cacheprovider tests/test_gpu.py)
if [ -z "$quick" ]; then
  recipe=recipes/ljspeech/source_filter_gpu.yaml limit=00:10:00 clips=(data/clips) judge=(--baseline)
  steps=("${train[@]}" --recipe "$recipe" --compile off,default)
  waveglow=("${train[@]}" --recipe recipes/ljspeech/waveglow_256.yaml --repeats 10)
  corpus=${data:-data/smoke}
else
  recipe=recipes/ljspeech/smoke.yaml limit=00:00:01 clips=(data/clips/LJ001-0016.flac)
  judge=(--no-pitch) corpus=${data:-data/smoke}
  small=(--channels 16 --layers 1 --batch 1 --samples 4096 --repeats 2)
  steps=("${train[@]}" --recipe recipes/ljspeech/smoke.yaml "${small[@]}" --no-memory)
  waveglow=("${train[@]}" --model waveglow "${small[@]}" --no-memory)
  peers+=(--seconds 0.2 --batch 2 --rounds 1 --autocast off --models ljspeech-nano)
  tests+=(-k "singular or inverted or scores")
fi

stage environment 120 "$python" "$here/gpu_report.py" --environment "$device" "$out"
[ "$device" = cpu ] || export WAVEFLOW_TEST_CUDA=1
stage tests 420 "${tests[@]}"
stage peers 420 "${peers[@]}"
stage steps 420 "${steps[@]}" --json "$out/steps.json"
stage waveglow 300 "${waveglow[@]}" --json "$out/waveglow.json"
stage train 780 "$python" -m waveflow train "$recipe" --data "$corpus" --device "$device" \
  --out "$out/flagship" --max-time "$limit"
stage evaluate 300 "$python" -m waveflow evaluate "${clips[@]}" --model "$out/flagship/model" \
  --device "$device" "${judge[@]}" -o "$out/flagship.json"
"$python" "$here/gpu_report.py" "$out"
