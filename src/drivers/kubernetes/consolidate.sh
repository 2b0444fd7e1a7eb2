#!/bin/sh
# Copies a holder's uploads into a batch folder of the permit's raw volume, with a SHA-256 of each file, hands the
# copies to the permit's group and verifies them (DESIGN 4). Safe to repeat: a finished batch is only verified again.
# Runs as the holder in any BusyBox image. Environment:
#   SOURCE   uploads, read-only    TARGET   the raw volume
#   FOLDER   the batch below TARGET, e.g. hospital-a/batch-1; its manifest is FOLDER.sha256 beside it
#   GROUP    gid that may read the copies    SCRATCH   a writable folder    REPORT   where the last words go
# Names may hold anything but a line break. A name with a backslash is escaped in the manifest as sha256sum -c expects.
set -eu
LC_ALL=C
export LC_ALL
umask 027

LISTED_MAX=20 # names in a failure's text; the report holds 4096 bytes in all
batch="$TARGET/$FOLDER"
parent=${batch%/*}
staging="$parent/.${batch##*/}.partial"
problems="$SCRATCH/problems"
break_in_name='*
*'

fail() {
  message=$(printf '%s' "$1" | head -c 3000)
  printf '%s\n' "$message" >"$REPORT"
  printf '%s\n' "$message" >&2
  exit 3 # refused: the Job is not tried again
}

# run WHAT COMMAND...: a failing command's own words become the report.
run() {
  what=$1
  shift
  "$@" 2>"$problems" || fail "Cannot $what: $(head -n $LISTED_MAX "$problems")"
}

# list_of FOLDER: one line per file, "hash  ./name" sorted, names as sha256sum escapes them.
list_of() {
  (cd "$1" && find . -type f ! -path '*\\*' -exec sha256sum {} + &&
    find . -type f -path '*\\*' -exec sh -c 'for f do
      hash=$(sha256sum <"$f") || exit 1
      printf "\\\\%s  %s\n" "${hash%% *}" "$(printf "%s" "$f" | sed "s/\\\\/\\\\\\\\/g")"
    done' sh {} +) >"$2.unsorted" || return 1
  sort "$2.unsorted" >"$2"
}

folders_of() { (cd "$1" && find . -type d) | sort >"$2"; }

refuse_odd() {
  odd=$(cd "$SOURCE" && find . ! -type f ! -type d | head -n $LISTED_MAX)
  [ -z "$odd" ] || fail "Cannot consolidate: only files and folders are taken; these are links, devices or sockets: $odd"
  odd=$(cd "$SOURCE" && find . -name "$break_in_name" | head -n $LISTED_MAX)
  [ -z "$odd" ] || fail "Cannot consolidate: a name holds a line break: $odd"
}

# same WHAT FOLDER: whether a folder holds exactly what the uploads hold.
same() {
  list_of "$2" "$SCRATCH/copy" 2>"$problems" || fail "Cannot read $1: $(head -n $LISTED_MAX "$problems")"
  folders_of "$2" "$SCRATCH/copy.folders"
  cmp -s "$SCRATCH/source" "$SCRATCH/copy" && cmp -s "$SCRATCH/source.folders" "$SCRATCH/copy.folders"
}

# The copies have the holder's modes until they are handed over: a folder may be closed to its own owner. Each is opened
# before find enters it, hence ";" and not "+".
clear_staging() {
  [ -e "$staging" ] || return 0
  find "$staging" -type d -exec chmod u+rwx {} \; && rm -rf "$staging"
}

# Names that only one side has, or that differ.
differences() {
  {
    sort "$SCRATCH/source" "$SCRATCH/copy" | uniq -u | sed 's/^[^ ]*  //'
    sort "$SCRATCH/source.folders" "$SCRATCH/copy.folders" | uniq -u
  } | sort -u | head -n $LISTED_MAX
}

report() {
  files=$(wc -l <"$SCRATCH/source")
  bytes=$(cd "$SOURCE" && find . -type f -exec stat -c %s {} + | awk '{ sum += $1 } END { printf "%.0f", sum }')
  hash=$(sha256sum <"$SCRATCH/source")
  printf '{"files":%d,"bytes":%s,"manifest":"%s"}\n' "$files" "$bytes" "${hash%% *}" >"$REPORT"
}

[ -d "$SOURCE" ] || fail "Cannot consolidate: $SOURCE is not mounted"
refuse_odd
list_of "$SOURCE" "$SCRATCH/source" 2>"$problems" ||
  fail "Cannot read the uploads: $(head -n $LISTED_MAX "$problems")"
folders_of "$SOURCE" "$SCRATCH/source.folders"

# A batch shows only after its manifest is on disk: one that a crash cut off from its report has that of the uploads.
if [ -e "$batch" ]; then
  same "the batch $FOLDER" "$batch" ||
    fail "Cannot consolidate: $FOLDER exists and differs from the uploads; nothing is overwritten: $(differences)"
  [ -f "$batch.sha256" ] ||
    fail "Cannot consolidate: $FOLDER exists without its manifest $FOLDER.sha256; the uploads are kept, nothing is overwritten"
  cat "$batch.sha256" >"$SCRATCH/copy" 2>"$problems" ||
    fail "Cannot read the manifest $FOLDER.sha256: $(head -n $LISTED_MAX "$problems")"
  cp "$SCRATCH/source.folders" "$SCRATCH/copy.folders"
  cmp -s "$SCRATCH/source" "$SCRATCH/copy" ||
    fail "Cannot consolidate: $FOLDER exists and its manifest is not that of the uploads; they are kept, nothing is overwritten: $(differences)"
  report
  exit 0
fi

# The holder's own folder is the group's too; other holders' folders are beside it and stay as they are.
[ -d "$parent" ] || run "make $parent" mkdir -p "$parent"
run "hand over $parent" chgrp "$GROUP" "$parent"
run "hand over $parent" chmod 0750 "$parent"
run "clear an unfinished copy" clear_staging
trap 'clear_staging || :' EXIT # whose failure must not replace the exit code
run "copy the uploads" cp -R "$SOURCE/." "$staging"
run "hand over the copies" chgrp -R "$GROUP" "$staging"
run "hand over the copies" find "$staging" -type d -exec chmod 0750 {} +
run "hand over the copies" find "$staging" -type f -exec chmod 0640 {} +
run "write the copies to disk" sync
same "the copies" "$staging" || fail "Cannot consolidate: the copies differ from the uploads after writing: $(differences)"

# The manifest first, so that a batch that shows has one; each appears at once, by rename.
run "write the manifest" cp "$SCRATCH/source" "$batch.sha256.partial"
run "hand over the manifest" chgrp "$GROUP" "$batch.sha256.partial"
run "hand over the manifest" chmod 0640 "$batch.sha256.partial"
run "publish the manifest" mv -f "$batch.sha256.partial" "$batch.sha256"
run "write the manifest to disk" sync
run "publish the batch" mv "$staging" "$batch"
trap - EXIT
run "write the names to disk" sync
report
