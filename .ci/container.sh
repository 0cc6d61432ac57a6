#!/usr/bin/env bash
# The Dockerfile's lines, read out of it and run in a fresh virtual environment: bash .ci/container.sh PHOTO
# Checked: it installs, serves, is healthy, answers a photo, has no torch, stops within five seconds of a signal; its size is told.
set -eu
root=$(pwd) work=$(mktemp -d)
photo=$(realpath "$1")
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$work"' EXIT
here() { sed -e "s#/tmp/petpoo#$work/petpoo#g; s#/feedback#$work/feedback#g"; } # the image's paths, here
line() { grep -m1 "$1" "$root/Dockerfile" | sed "s/^.*CMD *//" | here; } # what stands behind CMD

python3 -m venv "$work/venv" && . "$work/venv/bin/activate"
before=$(du -sm "$work/venv" | cut -f1)
mkdir "$work/petpoo"
tar -C "$root" --exclude-from="$root/.dockerignore" -cf - . | tar -C "$work/petpoo" -xf -
grep '^RUN pip' "$root/Dockerfile" | sed 's/^RUN //' | here > "$work/install.sh"
cat "$work/install.sh"
bash -e "$work/install.sh" > "$work/install.log" 2>&1 || { tail -20 "$work/install.log"; exit 1; }
cd "$work"
export TMPDIR="$work/tmp" && mkdir "$TMPDIR"
line '^CMD' | python -c 'import json, os, sys; words = json.load(sys.stdin); os.execvp(words[0], words)' > server.log 2>&1 &
server=$!
health=$(line '^HEALTHCHECK')
for i in $(seq 60); do eval "$health" 2> /dev/null && break; kill -0 $server || { cat server.log; exit 1; }; sleep 1; done
eval "$health"
curl -sf --data-binary @"$photo" http://127.0.0.1:7860/api/predict | python -c 'import json, sys; o = json.load(sys.stdin); print(o["label"], o["shampoo"])'
python -c 'import importlib.util as u; found = [o for o in ("torch", "fastai", "torchvision", "timm") if u.find_spec(o)]; assert not found, found'
grep -q '^USER petpoo' "$root/Dockerfile"
memory=$(($(awk "/VmRSS/ {print \$2}" /proc/$server/status)/1024)) before_stop=$SECONDS
kill -TERM $server
wait $server || { echo "stopped with exit code $?"; exit 1; }
server=
[ $((SECONDS - before_stop)) -le 5 ] || { echo "stopped after $((SECONDS - before_stop)) s"; exit 1; }
ls -d "${TMPDIR:-/tmp}"/petpoo-uploads-* 2> /dev/null | grep -q . && { echo 'uploads were left behind'; exit 1; }
echo "installed: $(($(du -sm "$work/venv" | cut -f1) - before)) MB on top of Python; resident memory: $memory MB"
