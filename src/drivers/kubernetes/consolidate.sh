#!/bin/sh
# Copies a holder's uploads into a batch folder of the permit's raw volume, with a SHA-256 of each file, hands the
# copies to the permit's group and verifies them (DESIGN 4). Safe to repeat: a finished batch is only verified again,
# an interrupted one goes on with what it has. Runs as the holder in any BusyBox image. Environment:
#   SOURCE   uploads, read-only    TARGET   the raw volume
#   FOLDER   the batch below TARGET, e.g. hospital-a/batch-1; its manifest is FOLDER.sha256 beside it
#   GROUP    gid that may read the copies    SCRATCH   a writable folder    REPORT   where the last words go
#   ACCEPTED SHA-256 of the list of entries that somebody agreed to leave out; empty or absent: of none
# Names may hold anything. Those with a backslash, a line feed or a carriage return are escaped in the manifest as
# sha256sum -c expects. Links and special files are never copied: while any is there that nobody agreed to leave out,
# nothing is; the manifest then tells what was left out, in comments.
set -eu
LC_ALL=C
export LC_ALL
umask 027

LISTED_MAX=20 # names in a failure's text; the report holds 4096 bytes in all
LINE_MAX=150  # bytes of one of them in a list of refused entries
batch="$TARGET/$FOLDER"
parent=${batch%/*}
staging="$parent/.${batch##*/}.partial"
problems="$SCRATCH/problems"
names="$SCRATCH/names.sh"
lf='
'
cr=$(printf '\r')
export SOURCE staging names lf cr

# For the shells that find starts: escaped NAME prints a name on one line, as sha256sum does, without a line feed.
cat >"$names" <<'END'
escaped() {
  case "$1" in
  *\\* | *"$lf"* | *"$cr"*)
    # The x keeps line feeds at the end of a name.
    printf '%sx' "$1" | sed -e 's/\\/\\\\/g' -e "s/$cr/\\\\r/g" -e '$!s/$/\\n/' | tr -d '\n' | sed 's/x$//'
    ;;
  *) printf '%s' "$1" ;;
  esac
}
END

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

# list_of FOLDER OUT: one line per file, "hash  ./name" sorted, names as sha256sum escapes them.
list_of() {
  (cd "$1" && find . -type f ! -path '*\\*' ! -path "*$lf*" ! -path "*$cr*" -exec sha256sum {} + &&
    find . -type f \( -path '*\\*' -o -path "*$lf*" -o -path "*$cr*" \) -exec sh -c '. "$names"
      for f do
        hash=$(sha256sum <"$f") && name=$(escaped "$f") || exit 1
        printf "\\\\%s  %s\n" "${hash%% *}" "$name"
      done' sh {} +) >"$2.unsorted" && sort "$2.unsorted" >"$2"
}

# folders_of FOLDER OUT: their escaped names, sorted.
folders_of() {
  (cd "$1" && find . -type d ! -path '*\\*' ! -path "*$lf*" ! -path "*$cr*" &&
    find . -type d \( -path '*\\*' -o -path "*$lf*" -o -path "*$cr*" \) -exec sh -c '. "$names"
      for f do name=$(escaped "$f") && printf "%s\n" "$name" || exit 1; done' sh {} +) >"$2.unsorted" &&
    sort "$2.unsorted" >"$2"
}

# refused_in FOLDER OUT: one line for each entry that is neither file nor folder, sorted: kind, name, a link's target.
refused_in() {
  (cd "$1" && find . ! -type f ! -type d -exec sh -c '. "$names"
    for f do
      name=$(escaped "$f") || exit 1
      if [ -L "$f" ]; then
        target=$(readlink "$f" && printf x) || exit 1
        target=$(escaped "${target%"${lf}x"}") || exit 1
        printf "link %s -> %s\n" "$name" "$target"
      elif [ -p "$f" ]; then printf "pipe %s\n" "$name"
      elif [ -S "$f" ]; then printf "socket %s\n" "$name"
      else printf "device %s\n" "$name"
      fi
    done' sh {} +) >"$2.unsorted" && sort "$2.unsorted" >"$2"
}

hash_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

# refuse: the report names the list by its hash, its length, and its first lines without control characters.
refuse() {
  {
    printf '{"refused":%d,"list":"%s"}\n' "$(wc -l <"$SCRATCH/refused")" "$(hash_of "$SCRATCH/refused")"
    head -n $LISTED_MAX "$SCRATCH/refused" | tr '\001-\011\013-\037\177' '?' | awk -v max=$LINE_MAX '
      length($0) > max { gsub(/[^ -~]/, "?"); $0 = substr($0, 1, max - 3) "..." }
      { print }'
  } >"$REPORT"
  cat "$REPORT" >&2
  exit 3
}

# same WHAT FOLDER: whether a folder holds exactly the uploads' files and folders.
same() {
  list_of "$2" "$SCRATCH/copy" 2>"$problems" && folders_of "$2" "$SCRATCH/copy.folders" 2>"$problems" &&
    refused_in "$2" "$SCRATCH/copy.refused" 2>"$problems" ||
    fail "Cannot read $1: $(head -n $LISTED_MAX "$problems")"
  cmp -s "$SCRATCH/source" "$SCRATCH/copy" && cmp -s "$SCRATCH/source.folders" "$SCRATCH/copy.folders" &&
    [ ! -s "$SCRATCH/copy.refused" ]
}

# The copies have the holder's modes until they are handed over: a folder may be closed to its own owner. Each is opened
# before find enters it, hence ";" and not "+".
open_staging() { find "$staging" -type d -exec chmod u+rwx {} \; ; }

clear_staging() {
  [ -e "$staging" ] || return 0
  open_staging && rm -rf "$staging"
}

# Of what an interrupted run left only whole files stay; names begin with "./".
keep_whole() {
  open_staging && (cd "$staging" && find . -depth ! -path . -exec sh -c '
    for f do
      if [ -d "$f" ] && [ ! -L "$f" ]; then
        { [ -d "$SOURCE/$f" ] && [ ! -L "$SOURCE/$f" ]; } || rmdir "$f" || exit 1
      else
        { [ -f "$SOURCE/$f" ] && [ ! -L "$SOURCE/$f" ] && [ -f "$f" ] && [ ! -L "$f" ] &&
          cmp -s "$SOURCE/$f" "$f"; } || rm -f "$f" || exit 1
      fi
    done' sh {} +)
}

# File by file, where some are there already or some entries are to be left out.
copy_rest() {
  (cd "$SOURCE" &&
    find . -type d -exec sh -c 'for f do mkdir -p "$staging/$f" || exit 1; done' sh {} + &&
    find . -type f -exec sh -c 'for f do
      [ -e "$staging/$f" ] || cp "$f" "$staging/$f" || exit 1
    done' sh {} +)
}

# Names that only one side has, or that differ.
differences() {
  {
    sort "$SCRATCH/source" "$SCRATCH/copy" | uniq -u | sed 's/^[^ ]*  //'
    sort "$SCRATCH/source.folders" "$SCRATCH/copy.folders" | uniq -u
    [ ! -s "$SCRATCH/copy.refused" ] || cat "$SCRATCH/copy.refused"
  } | sort -u | head -n $LISTED_MAX
}

report() {
  files=$(wc -l <"$SCRATCH/source")
  bytes=$(cd "$SOURCE" && find . -type f -exec stat -c %s {} + | awk '{ sum += $1 } END { printf "%.0f", sum }')
  printf '{"files":%d,"bytes":%s,"manifest":"%s","leftOut":%d}\n' \
    "$files" "$bytes" "$(hash_of "$SCRATCH/manifest")" "$(wc -l <"$SCRATCH/refused")" >"$REPORT"
}

[ -d "$SOURCE" ] || fail "Cannot consolidate: $SOURCE is not mounted"
run "list the uploads" refused_in "$SOURCE" "$SCRATCH/refused"
if [ -s "$SCRATCH/refused" ] && [ "$(hash_of "$SCRATCH/refused")" != "${ACCEPTED:-}" ]; then refuse; fi
run "read the uploads" list_of "$SOURCE" "$SCRATCH/source"
run "read the uploads" folders_of "$SOURCE" "$SCRATCH/source.folders"
{
  cat "$SCRATCH/source"
  sed 's/^/# left out: /' "$SCRATCH/refused"
} >"$SCRATCH/manifest"

# A batch shows only after its manifest is on disk: one that a crash cut off from its report has that of the uploads.
if [ -e "$batch" ]; then
  same "the batch $FOLDER" "$batch" ||
    fail "Cannot consolidate: $FOLDER exists and differs from the uploads; nothing is overwritten: $(differences)"
  [ -f "$batch.sha256" ] ||
    fail "Cannot consolidate: $FOLDER exists without its manifest $FOLDER.sha256; the uploads are kept, nothing is overwritten"
  run "read the manifest $FOLDER.sha256" cp "$batch.sha256" "$SCRATCH/copy"
  cmp -s "$SCRATCH/manifest" "$SCRATCH/copy" ||
    fail "Cannot consolidate: $FOLDER exists and its manifest is not that of the uploads; they are kept, nothing is overwritten: $(differences)"
  report
  exit 0
fi

# The holder's own folder is the group's too; other holders' folders are beside it and stay as they are.
[ -d "$parent" ] || run "make $parent" mkdir -p "$parent"
run "hand over $parent" chgrp "$GROUP" "$parent"
run "hand over $parent" chmod 0750 "$parent"
trap 'clear_staging || :' EXIT # whose failure must not replace the exit code
if [ -e "$staging" ] || [ -s "$SCRATCH/refused" ]; then
  [ ! -e "$staging" ] || run "go on with an unfinished copy" keep_whole
  run "copy the uploads" copy_rest
else
  run "copy the uploads" cp -R "$SOURCE/." "$staging"
fi
run "hand over the copies" chgrp -R "$GROUP" "$staging"
run "hand over the copies" find "$staging" -type d -exec chmod 0750 {} +
run "hand over the copies" find "$staging" -type f -exec chmod 0640 {} +
run "write the copies to disk" sync
same "the copies" "$staging" || fail "Cannot consolidate: the copies differ from the uploads after writing: $(differences)"

# The manifest first, so that a batch that shows has one; each appears at once, by rename.
run "write the manifest" cp "$SCRATCH/manifest" "$batch.sha256.partial"
run "hand over the manifest" chgrp "$GROUP" "$batch.sha256.partial"
run "hand over the manifest" chmod 0640 "$batch.sha256.partial"
run "publish the manifest" mv -f "$batch.sha256.partial" "$batch.sha256"
run "write the manifest to disk" sync
run "publish the batch" mv "$staging" "$batch"
trap - EXIT
run "write the names to disk" sync
report
