#!/usr/bin/env bash
set -euo pipefail

{ : >&1; } 2>/dev/null || exec >/dev/null # a closed stream is no reason to fail
{ : >&2; } 2>/dev/null || exec 2>/dev/null
tell() {
  echo "$@" 2>/dev/null || true
}

child='' stopped='' signalled=''
stop() { # with a status, when a signal came
  stopped=$1 signalled=1
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
}
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP

# Run a command that gets our signals: a shell that waits for a command in front would keep them.
attend() {
  local code
  [ -z "$stopped" ] || return "$stopped"
  "$@" &
  child=$!
  [ -z "$stopped" ] || kill -TERM "$child" 2>/dev/null || true
  while true; do # a signal ends the wait, not the command
    signalled='' code=0
    wait "$child" || code=$?
    [ -n "$signalled" ] || break
  done
  child=''
  [ "$code" = 0 ] || [ -z "$stopped" ] || code=$stopped
  return "$code"
}

usage() {
  cat <<'END'
Usage: recipes/ljspeech/train.sh [OPTION ...]

Trains and evaluates on LJSpeech: download, verify, split, train, evaluate, a table of results,
and a page to listen to.
A finished stage writes RUN/stages/NAME and is skipped while its inputs stay unchanged, so the
same command resumes where the last one stopped.

  --data DIR           an existing copy of LJSpeech, or part of one
  --root DIR           without --data, folder to download LJSpeech-1.1 to (2.6 GB, 3.8 GB unpacked)
                       (data)
  --config YAML        model and training (on a GPU recipes/ljspeech/source_filter_gpu.yaml, on a CPU
                       recipes/ljspeech/source_filter.yaml)
  --out RUN            folder of the run (runs/STEM of the YAML)
  --split NAME         clips to validate on: ours, or hifigan for the 150 of HiFi-GAN (ours)
  --init-from MODEL    start with the weights of a model (name, folder or id), not with random ones
  --device DEVICE      cpu, cuda or auto: CUDA if there is a CUDA device (auto)
  --devices N          GPUs of each machine, or processes on CPUs
  --nodes N            machines; start this script on each, or let srun or torchrun do it
  --max-time HH:MM:SS  stop training after this time and save; the same command resumes
  --max-steps N        length of training; overrides the YAML
  --seed S             seed of weights, order and noise; overrides the YAML
  --smoke              smoke.yaml on the 20 clips in data/: a minute, to test every stage
  --help               print this text

Defaults are in parentheses; their paths are under the repository. SIGTERM and Ctrl-C save the run.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
command=$(printf ' %q' "$@")
command="recipes/ljspeech/train.sh${*:+$command}"

fail() {
  [ -z "$stopped" ] || exit "$stopped"
  echo "train.sh: error: $1" >&2
  exit "${2:-1}"
}

# --- options ----------------------------------------------------------------------------------

data='' root=$repository/data config='' run='' split=ours smoke='' max_steps='' seed=''
init_from='' device=auto options=()
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit ;;
    --smoke) smoke=1; shift; continue ;;
    --data | --root | --config | --out | --split | --init-from | --device | --devices | --nodes | \
      --max-time | --max-steps | --seed)
      [ -n "${2:-}" ] || fail "$1: expected a value" 2 ;;
    *) fail "unknown option $1 (--help lists them)" 2 ;;
  esac
  case $1 in
    --split) [[ $2 =~ ^(ours|hifigan)$ ]] || fail "--split: expected ours or hifigan; got $2" 2 ;;
    --device) [[ $2 =~ ^(cpu|cuda|auto)$ ]] || fail "--device: expected cpu, cuda or auto; got $2" 2 ;;
    --max-time) [[ $2 =~ ^[0-9]+:[0-5][0-9]:[0-5][0-9]$ ]] ||
      fail "--max-time: expected HH:MM:SS; got $2" 2 ;;
    --devices | --nodes | --max-steps | --seed) [[ $2 =~ ^[0-9]+$ ]] ||
      fail "$1: expected a whole number; got $2" 2 ;;
  esac
  case $1 in
    --data) data=$2 ;;
    --root) root=$2 ;;
    --config) config=$2 ;;
    --out) run=$2 ;;
    --split) split=$2 ;;
    --max-steps) max_steps=$2; options+=("$1" "$2") ;;
    --seed) seed=$2; options+=("$1" "$2") ;;
    --init-from) init_from=$2; options+=("$1" "$2") ;;
    --device) device=$2; options+=("$1" "$2") ;;
    *) options+=("$1" "$2") ;;
  esac
  shift 2
done

[ -z "$smoke" ] || [ -z "$data" ] || fail "expected --data or --smoke; got both" 2
[ "$device" != cpu ] || export CUDA_VISIBLE_DEVICES= # for the stages after training as well
[ -z "$config" ] || [ -f "$config" ] || fail "--config: expected a file; $config is none" 2
[ -z "$data" ] || [ -d "$data" ] || fail "--data: expected a folder; $data is none" 2
rank=${RANK:-${SLURM_PROCID:-${NODE_RANK:-0}}} # of this process, where many are started

bin=$repository/.venv/bin
if [ ! -x "$bin/waveflow" ]; then
  bin=$(dirname "$(command -v waveflow)") || fail "expected waveflow; pip install -e '.[recipe]'"
fi
python=$bin/python
[ -x "$python" ] || python=python3
check='import sys, importlib.util as i; sys.exit(not all(map(i.find_spec, sys.argv[1:])))'
attend "$python" -c "$check" \
  waveflow lightning pesq pystoi matplotlib ||
  fail "expected the parts of waveflow that train and evaluate; pip install -e '.[recipe]'"

if [ -n "$smoke" ]; then
  config=${config:-$here/smoke.yaml}
elif [ -z "$config" ]; then
  config=$here/source_filter.yaml
  choose='import sys; from waveflow.devices import choose_device; print(choose_device(sys.argv[1]))'
  if [ "$device" = cuda ] || [ "$("$python" -c "$choose" "$device")" = cuda ]; then
    config=$here/source_filter_gpu.yaml
    echo "recipe: $config, made for a GPU (--config takes another)"
  fi
fi
stem=$(basename "$config")
run=${run:-$repository/runs/${stem%.*}}
stages=$run/stages

# --- stages -----------------------------------------------------------------------------------

# is_done NAME INPUTS OUTPUT: whether a stage was done with the same inputs and left its output.
is_done() {
  [ -e "$3" ] && [ -f "$stages/$1" ] && [ "$(cat "$stages/$1")" = "$2" ]
}

mark() {
  printf '%s\n' "$2" >"$stages/.$1"
  mv "$stages/.$1" "$stages/$1"
}

# stage NAME INPUTS OUTPUT COMMAND ...
stage() {
  local name=$1 inputs=$2 output=$3
  shift 3
  if is_done "$name" "$inputs" "$output"; then
    tell "== $name: done before"
    return
  fi
  tell "== $name"
  rm -f "$stages/$name"
  attend "$@"
  mark "$name" "$inputs"
}

# The files of a corpus and their sizes, as one number.
fingerprint() {
  find -L "$data" -type f ! -name '.*' -exec wc -c {} + 2>/dev/null | LC_ALL=C sort | cksum
}

digest() {
  cat "$@" 2>/dev/null | cksum
}

copy_clips() {
  mkdir -p "$data"
  cp "$repository"/data/clips/*.flac "$repository"/data/smoke/*.flac "$data"
}

split_inputs() {
  echo "$data $(fingerprint) $split $(digest "$repository"/data/splits/*.txt)"
}

mkdir -p "$stages"
if [ -n "$smoke" ]; then
  data=$run/data
  fetch=(copy_clips)
  source="the clips in data/ $(digest "$repository"/data/{clips,smoke}/*.flac)"
elif [ -n "$data" ]; then
  fetch=(tell "not needed: $data is given")
  source="given: $data"
else
  data=$root/LJSpeech-1.1
  fetch=("$python" "$here/prepare.py" download "$root")
  source="downloaded: $data"
fi

if [ "$rank" = 0 ]; then
  stage download "$source" "$data" "${fetch[@]}"
  stage verify "$data $(fingerprint)" "$data" "$python" "$here/prepare.py" verify "$data"
  stage split "$(split_inputs)" "$run/split/training.txt" \
    "$python" "$here/prepare.py" split "$data" --which "$split" --out "$run/split"
else
  until is_done split "$(split_inputs)" "$run/split/training.txt"; do
    attend sleep 5 # until rank 0 is as far
  done
fi

inputs="$data $(digest "$config" "$run"/split/*.txt) steps ${max_steps:-of the recipe}, seed ${seed:-of the recipe}${init_from:+, from $init_from}"
if is_done train "$inputs" "$run/done"; then
  tell "== train: done before"
else
  tell "== train"
  code=0
  attend "$bin/waveflow" train "$config" --data "$data" --out "$run" \
    --validation-list "$run/split/validation.txt" --exclude-list "$run/split/test.txt" \
    ${options[@]+"${options[@]}"} || code=$?
  [[ $code =~ ^(0|129|130|143)$ ]] || exit "$code" # ended by SIGHUP, Ctrl-C, SIGTERM
  [ "$stopped" != 130 ] || exit 130 # Ctrl-C needs no message
  [ "$rank" = 0 ] || exit 0
  if [ "$code" != 0 ] || [ ! -e "$run/done" ]; then
    tell "Training stopped before its last step; the same command resumes it:"
    tell "  $command"
    exit 0
  fi
  mark train "$inputs"
fi
[ "$rank" = 0 ] || exit 0

evaluate=(--baseline)
[ -z "$smoke" ] || evaluate=(--no-pitch) # skips the slowest part
stage evaluate "$(digest "$run"/model/* "$run/split/test.txt")" "$run/evaluation.json" \
  "$bin/waveflow" evaluate "$data" --split "$run/split/test.txt" "${evaluate[@]}" \
  --model "$run/model" -o "$run/evaluation.json"
stage table "$(digest "$run/run.yaml" "$run/evaluation.json")" "$run/results.md" \
  "$python" "$here/results.py" "$run" --command "$command"
stage page "$(digest "$run/evaluation.json")" "$run/listen/index.html" \
  "$python" "$here/listen.py" "$run"
exit "${stopped:-0}"
