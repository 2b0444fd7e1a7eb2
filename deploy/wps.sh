#!/bin/sh
# `wps` in the image: permissions and flags are those of the compiled executable, and nothing is ever fetched.
exec deno run --quiet --cached-only --frozen --v8-flags=--max-semi-space-size=4,--optimize-for-size \
  --no-prompt --allow-net --allow-read --allow-write --allow-env --allow-ffi \
  --allow-sys=cpus,networkInterfaces,hostname,uid,gid /opt/wps/main.ts "$@"
