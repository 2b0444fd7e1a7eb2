#!/bin/sh
# `wps` in the image: the permissions are those of the compiled executable, and nothing is ever fetched.
exec deno run --quiet --cached-only --frozen --no-prompt --allow-net --allow-read --allow-write --allow-env \
  --allow-ffi --allow-sys=cpus,networkInterfaces,hostname /opt/wps/main.ts "$@"
