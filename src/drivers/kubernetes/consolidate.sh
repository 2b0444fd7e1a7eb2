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
#
# Any number of pods may do this at once, each stopped anywhere and going on at any time (a pod whose node was lost, or
# that was deleted by force). What keeps a published batch from them:
#   - A pod copies into a folder of its own, whose name no other ever has. It becomes the batch by one rename, which
#     fails once there is a batch; nothing else is ever done to what has that name but reading and fsync.
#   - Whoever begins takes the folders of all before it, by a rename to a name of its own. Who is left without can
#     publish nothing: its own rename finds no such name, whatever an NFS client still remembers. The last begun wins.
#   - A large file that has the group's mode and owner is whole and closed, and nobody writes to it again; of what was
#     taken, such files alone go on into the new copy, each compared with its upload.
#   - The manifest is linked, never written over.
set -eu
LC_ALL=C
export LC_ALL
umask 077 # a copy has the group's mode once it is whole

LISTED_MAX=20 # names in a failure's text; the report holds 4096 bytes in all
LINE_MAX=150  # bytes of one of them in a list of refused entries
LARGE=1048576 # bytes; smaller files are sooner copied again, many at once, than compared one by one
REFUSED=3     # exit code: the Job is not tried again
OVERTAKEN=4   # exit code: another pod has this one's copy
batch="$TARGET/$FOLDER"
parent=${batch%/*}
stagings="$parent/.${batch##*/}.partial" # each pod's name begins so
drafts="$parent/.${batch##*/}.sha256"
staging=
inode= # of the staging, while it is not published
problems="$SCRATCH/problems"
names="$SCRATCH/names"
functions="$SCRATCH/functions.sh"
lf='
'
cr=$(printf '\r')
export SOURCE GROUP staging functions lf cr

# For the shells that find starts:
cat >"$functions" <<'END'
# escaped NAME: prints a name on one line, as sha256sum does, without a line feed.
escaped() {
  case "$1" in
  *\\* | *"$lf"* | *"$cr"*)
    # The x keeps line feeds at the end of a name.
    printf '%sx' "$1" | sed -e 's/\\/\\\\/g' -e "s/$cr/\\\\r/g" -e '$!s/$/\\n/' | tr -d '\n' | sed 's/x$//'
    ;;
  *) printf '%s' "$1" ;;
  esac
}
# put FILE...: copies uploads, each a path from "./" on, into their folders; the mode comes last.
put() {
  cp --parents "$@" "$staging" && cd "$staging" && chgrp "$GROUP" "$@" && chmod 0640 "$@" && cd "$SOURCE"
}
END

is_overtaken() { [ -n "$inode" ] && [ "$(stat -c %i "$staging" 2>/dev/null)" != "$inode" ]; }

fail() {
  code=$REFUSED
  message=$(printf '%s' "${1:-}" | head -c 3000)
  if is_overtaken; then
    code=$OVERTAKEN
    message="Cannot consolidate: another pod of this consolidation began later and took over the copy; the uploads are kept"
  fi
  printf '%s\n' "$message" >"$REPORT"
  printf '%s\n' "$message" >&2
  exit "$code"
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
    find . -type f \( -path '*\\*' -o -path "*$lf*" -o -path "*$cr*" \) -exec sh -c '. "$functions"
      for f do
        hash=$(sha256sum <"$f") && name=$(escaped "$f") || exit 1
        printf "\\\\%s  %s\n" "${hash%% *}" "$name"
      done' sh {} +) >"$2.unsorted" && sort "$2.unsorted" >"$2"
}

# folders_of FOLDER OUT: their escaped names, sorted.
folders_of() {
  (cd "$1" && find . -type d ! -path '*\\*' ! -path "*$lf*" ! -path "*$cr*" &&
    find . -type d \( -path '*\\*' -o -path "*$lf*" -o -path "*$cr*" \) -exec sh -c '. "$functions"
      for f do name=$(escaped "$f") && printf "%s\n" "$name" || exit 1; done' sh {} +) >"$2.unsorted" &&
    sort "$2.unsorted" >"$2"
}

# refused_in FOLDER OUT: one line for each entry that is neither file nor folder, sorted: kind, name, a link's target.
refused_in() {
  (cd "$1" && find . ! -type f ! -type d -exec sh -c '. "$functions"
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

# discard FOLDER...: closed ones, too, whose copies keep the holder's modes.
discard() {
  for old do
    [ -e "$old" ] || [ -L "$old" ] || continue
    rm -rf "$old" 2>"$problems" || { open_folders "$old" && rm -rf "$old"; } 2>"$problems" || :
  done
}

# Each folder is opened before find enters it, hence ";" and not "+".
open_folders() { find "$1" -type d -exec chmod u+rwx {} \; ; }

# Takes what other pods have copied of this batch, whether they are gone or not. One that fails was taken by another.
take_over() {
  count=0
  for old in "$stagings"*; do
    case "$old" in "$staging" | "$staging".*) continue ;; esac
    if is_overtaken; then fail; fi
    count=$((count + 1))
    mv -T "$old" "$staging.$count" 2>"$problems" || :
  done
}

# Of what was taken, large files that are whole go on into the copy, and the room of the rest is free again.
keep_whole() {
  for old in "$staging".*; do
    if [ -d "$old" ] && [ ! -L "$old" ]; then
      open_folders "$old" 2>"$problems" || :
      (cd "$old" && find . -type f -size +${LARGE}c -perm 0640 -group "$GROUP" -exec sh -c '
        for f do
          [ -f "$SOURCE/$f" ] && [ ! -L "$SOURCE/$f" ] && [ ! -e "$staging/$f" ] && cmp -s "$SOURCE/$f" "$f" &&
            mv "$f" "$staging/$f"
        done' sh {} +) 2>"$problems" || :
    fi
    discard "$old"
  done
}

make_folders() {
  (cd "$SOURCE" && find . -type d ! -path . -exec sh -c 'cd "$staging" && mkdir "$@"' sh {} +)
}

copy_files() {
  (cd "$SOURCE" &&
    find . -type f -size +${LARGE}c -exec sh -c '. "$functions"
      for f do [ -e "$staging/$f" ] || put "$f" || exit 1; done' sh {} + &&
    find . -type f ! -size +${LARGE}c -exec sh -c '. "$functions"; put "$@"' sh {} +)
}

# on_disk FOLDER: writes all at once, which tells of no error, and then asks for each file and folder, which does.
on_disk() { sync -f "$1" && find "$1" \( -type f -o -type d \) -exec sync {} +; }

names_in() { (cd "$1" && find . >"$2.unsorted" && sort "$2.unsorted" >"$2"); }

# Runs in a subshell, where set -e has no effect: each command is run.
make_batch() {
  take_over
  run "make the folders" make_folders
  keep_whole
  run "copy the uploads" copy_files
  run "hand over the copies" find "$staging" -type d -exec chgrp "$GROUP" {} +
  run "hand over the copies" find "$staging" -type d -exec chmod 0750 {} +
  run "write the copies to disk" on_disk "$staging"
  same "the copies" "$staging" || fail "Cannot consolidate: the copies differ from the uploads after writing: $(differences)"
  run "list the copies" names_in "$staging" "$names"
  run "publish the batch" mv -T "$staging" "$batch"
}

# check_manifest: one that is there must be that of the uploads.
check_manifest() {
  [ -e "$batch.sha256" ] || return 0
  run "read the manifest $FOLDER.sha256" cp "$batch.sha256" "$SCRATCH/copy"
  cmp -s "$SCRATCH/manifest" "$SCRATCH/copy" && return 0
  cp "$SCRATCH/source.folders" "$SCRATCH/copy.folders" && : >"$SCRATCH/copy.refused"
  fail "Cannot consolidate: the manifest $FOLDER.sha256 is not that of the uploads; they are kept, nothing is overwritten: $(differences)"
}

# Whoever is sooner also clears this pod's draft away; that is no failure.
put_manifest() {
  draft=$(mktemp "$drafts.XXXXXX") && cp "$SCRATCH/manifest" "$draft" && chgrp "$GROUP" "$draft" &&
    chmod 0640 "$draft" && sync "$draft" && show_manifest ||
    { rm -f "$draft" && [ -e "$batch.sha256" ]; }
}

# Without hard links, by a rename: whoever has written it since this batch was verified has written the same.
show_manifest() {
  ln "$draft" "$batch.sha256" 2>/dev/null || [ -e "$batch.sha256" ] || mv "$draft" "$batch.sha256"
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

if [ ! -e "$batch" ]; then
  check_manifest
  # The holder's own folder is the group's too; other holders' folders are beside it and stay as they are.
  [ -d "$parent" ] || run "make $parent" mkdir -p "$parent"
  run "hand over $parent" chgrp "$GROUP" "$parent"
  run "hand over $parent" chmod 0750 "$parent"
  staging=$(mktemp -d "$stagings.XXXXXX" 2>"$problems") || fail "Cannot copy the uploads: $(cat "$problems")"
  trap 'discard "$staging" "$staging".*' EXIT
  inode=$(stat -c %i "$staging") || inode=
  if (make_batch); then outcome=published; else outcome=$?; fi
  # Whatever kept this pod from it: a batch that another has published counts if it is verified.
  [ -e "$batch" ] || exit "$outcome"
  inode=
else
  outcome=found
fi
if [ "$outcome" = published ]; then
  run "list the batch $FOLDER" names_in "$batch" "$SCRATCH/copy"
  cmp -s "$names" "$SCRATCH/copy" || fail "Cannot consolidate: $FOLDER was changed as soon as it was published; the uploads are kept"
else
  same "the batch $FOLDER" "$batch" ||
    fail "Cannot consolidate: $FOLDER exists and differs from the uploads; nothing is overwritten: $(differences)"
  run "write the batch to disk" on_disk "$batch"
fi
[ -e "$batch.sha256" ] || run "write the manifest" put_manifest
check_manifest
run "write the names to disk" sync "$batch.sha256" "$parent" "$TARGET"
# No other copy can become the batch any more.
discard "$stagings"* "$drafts".*
report
