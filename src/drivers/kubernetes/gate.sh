#!/bin/sh
# The isolation gate's tool (DESIGN 8): shows by packets that a pod reaches none of its canaries, or from a control pod
# that they are alive. Runs in any BusyBox with nc and nslookup, on a read-only root; writes nothing but its report.
#
# Environment:
#   MODE             gate: pass when nothing was reached; control: tell what is reached; listen: be a canary
#   CANARIES         one per line, at most 32: "tcp ADDRESS PORT", "dns ADDRESS PORT", in control also "name HOST PORT"
#   NODE             the node's address, optional: one more target "tcp NODE 10250", the kubelet
#   QUESTION         the name that DNS servers are asked for; needed as soon as there is one to ask
#   CLEAN_ROUNDS 3   rounds in a row that must reach nothing    DEADLINE_SECONDS 60   when the gate gives up
#   CONNECT_SECONDS 1   how long a target may take              PORT   where listen listens
#   REPORT /dev/termination-log   where the last words go: one line of JSON, at most 4096 bytes, also on stdout
#
# A round tries all targets at once and takes CONNECT_SECONDS, one more where something holds a connection open or no
# word comes from a DNS server. A TCP connection that opens counts as reached, and any answer of a DNS server. A reached
# target starts the count of clean rounds again: a policy may not bind yet at the first packet. Before anything, the
# tool proves itself on its own loopback: a port without a listener must be refused, the same port with one be reached.
#
# gate:    {"v":1,"mode":"gate","result":R,"why":W,"rounds":N,"clean":N,"begun":S,"ended":S,"targets":[[T,OUTCOME],…]}
#          R: clean (exit 0), reached (1), broken (2: nothing is proven; only then W says what is wrong). Targets: how
#          the last round ended: reached, timed out, refused, no route, or "failed: WORDS". A failure that may be the
#          tool's own is no proof: such a round is not clean, and the result is broken in the end. S: epoch seconds.
# control: {"v":1,"mode":"control","result":"done"|"broken","why":W,"begun":S,"ended":S,
#          "targets":[[T,OUTCOME],[T,"reached",ADDRESS],…],"nameservers":[ADDRESS,…]}. Each is tried TRIES_MAX times
#          at most. The address is where a "name" target was reached; "failed: name WORDS" is one without an address. The
#          nameservers of /etc/resolv.conf, at most 3, are asked as if they were "dns ADDRESS 53".
# listen:  answers and closes each connection until TERM (exit 0).
set -euf
LC_ALL=C
export LC_ALL
umask 077

CANARIES_MAX=32
LINE_MAX=200       # characters
REPORT_MAX=4096    # bytes; what kubelet keeps of a termination message
WORDS_MAX=40       # characters of a tool's words in an outcome: 33 outcomes fit into the report
WHY_MAX=300        # characters
TRIES_MAX=2        # of each target in control
NAMESERVERS_MAX=3  # resolv.conf(5): MAXNS
LINES_MAX=100      # of a tool's words that are read; the longest, a usage text, has 30
LISTENER_TRIES=22  # until the tool's own listener must answer: some milliseconds each, the last 2 a second
LISTENERS_MAX=2    # on ports that may have been taken meanwhile
SERVER_FAILURES=3  # in a row, one second apart, until listen gives up
KUBELET_PORT=10250
PROOF_TRIES='1 2 3 4 5' # ports of loopback that may be taken

mode=gate
begun=$(date +%s)
rounds=0
clean=0
count=0       # targets are kept in kind_N, host_N, port_N, address_N, outcome_N
nameservers='' # as JSON strings
options=''    # of nc, as the proof found them to be needed

# --- Words ---

# plain TEXT MAX: the text without what would have to be escaped in JSON.
plain() { printf '%s' "$1" | tr -c ' -!#-[]-~' '?' | cut -c "1-$2"; }

# text_of N: a target in words, an IPv6 address in brackets.
text_of() {
  eval "t_kind=\$kind_$1 t_host=\$host_$1 t_port=\$port_$1"
  case $t_host in
    *:*) printf '%s [%s]:%s' "$t_kind" "$t_host" "$t_port" ;;
    *) printf '%s %s:%s' "$t_kind" "$t_host" "$t_port" ;;
  esac
}

# targets: the targets and their outcomes as members of a JSON array.
targets() {
  comma=''
  n=1
  while [ "$n" -le "$count" ]; do
    eval "t_outcome=\$outcome_$n t_address=\$address_$n t_kind=\$kind_$n"
    printf '%s["%s","%s"' "$comma" "$(text_of "$n")" "${t_outcome:-failed: not tried}"
    [ "$t_kind $t_outcome" != 'name reached' ] || printf ',"%s"' "$t_address"
    printf ']'
    comma=,
    n=$((n + 1))
  done
}

# finish RESULT CODE WHY: reports and ends.
finish() {
  json="{\"v\":1,\"mode\":\"$mode\",\"result\":\"$1\""
  [ -z "$3" ] || json="$json,\"why\":\"$(plain "$3" $WHY_MAX)\""
  [ "$mode" != gate ] || json="$json,\"rounds\":$rounds,\"clean\":$clean"
  json="$json,\"begun\":$begun,\"ended\":$(date +%s),\"targets\":[$(targets)]"
  [ "$mode" != control ] || json="$json,\"nameservers\":[$nameservers]"
  json="$json}"
  if [ "${#json}" -ge $REPORT_MAX ]; then
    count=0
    finish broken 2 "the report would be longer than $REPORT_MAX bytes: take fewer canaries or shorter names"
  fi
  printf '%s\n' "$json" >"${REPORT:-/dev/termination-log}" || exit 2
  printf '%s\n' "$json" || :
  exit "$2"
}

broken() { finish broken 2 "$1"; }

# --- Input ---

# number TEXT MAX: whether it is one of 1 to MAX; a leading zero would mean octal to the shell.
number() {
  case $1 in '' | *[!0-9]* | 0* | ??????*) return 1 ;; esac
  [ "$1" -le "$2" ]
}

setting() { number "$2" "$3" || broken "$1 must be a number from 1 to $3: $2"; }

# is_address TEXT: IPv4 without leading zeros, which nc would read as octal; or what looks like IPv6.
is_address() {
  case $1 in
    '' | *[!0-9a-fA-F:.]*) return 1 ;;
    *:*:*) [ "${#1}" -le 45 ] && return 0 || return 1 ;; # as long as INET6_ADDRSTRLEN allows
    *:*) return 1 ;;
  esac
  a_rest=$1.
  a_parts=0
  while [ -n "$a_rest" ]; do
    a_part=${a_rest%%.*}
    a_rest=${a_rest#*.}
    case $a_part in '' | *[!0-9]* | 0?* | ????*) return 1 ;; esac
    [ "$a_part" -le 255 ] || return 1
    a_parts=$((a_parts + 1))
  done
  [ "$a_parts" -eq 4 ]
}

is_name() {
  case $1 in '' | [.-]* | *[!A-Za-z0-9._-]*) return 1 ;; esac
}

# keep N KIND HOST PORT: remembers a target; an address given is the address tried.
keep() {
  eval "kind_$1=\$2 host_$1=\$3 port_$1=\$4 outcome_$1='failed: not tried' address_$1="
  is_address "$3" || return 0
  eval "address_$1=\$3"
}

add() {
  count=$((count + 1))
  keep "$count" "$1" "$2" "$3"
}

read_canaries() {
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    [ "${#line}" -le $LINE_MAX ] || broken "a canary has more than $LINE_MAX characters: $(plain "$line" 60)"
    [ "$count" -lt $CANARIES_MAX ] || broken "more than $CANARIES_MAX canaries"
    read -r kind host port rest <<EOL
$line
EOL
    case $mode,$kind in
      gate,tcp | gate,dns | control,tcp | control,dns)
        is_address "$host" || broken "not an address in the canary: $line"
        ;;
      control,name) is_address "$host" || is_name "$host" || broken "not a name in the canary: $line" ;;
      *) broken "not a canary of $mode: $line" ;;
    esac
    { [ -z "$rest" ] && number "$port" 65535; } || broken "not one port in the canary: $line"
    add "$kind" "$host" "$port"
  done <<EOL
${CANARIES:-}
EOL
  [ "$count" -gt 0 ] || broken "no canaries: nothing would be proven"
  [ -z "${NODE:-}" ] || {
    is_address "$NODE" || broken "NODE is not an address: $NODE"
    add tcp "$NODE" $KUBELET_PORT
  }
}

read_nameservers() {
  found=0
  [ -r /etc/resolv.conf ] || return 0
  while read -r word host rest || [ -n "$word" ]; do
    { [ "$word" = nameserver ] && is_address "$host" && [ "$found" -lt $NAMESERVERS_MAX ]; } || continue
    found=$((found + 1))
    nameservers="${nameservers:+$nameservers,}\"$host\""
    is_target dns "$host" 53 || add dns "$host" 53
  done </etc/resolv.conf
}

# is_target KIND HOST PORT: whether there is such a one already.
is_target() {
  for n in $(indices); do
    eval "[ \"\$kind_$n \$host_$n \$port_$n\" != \"\$1 \$2 \$3\" ]" || return 0
  done
  return 1
}

# indices: of all targets.
indices() {
  n=1
  while [ "$n" -le "$count" ]; do
    printf '%s ' "$n"
    n=$((n + 1))
  done
}

asks_dns() {
  for n in $(indices); do
    eval "[ \"\$kind_$n\" != dns ]" || return 0
  done
  return 1
}

# --- Trying ---

# attempt HOW: tells its own process id, then becomes the tool that tries $address $port. The options of nslookup are
# those of BusyBox's own resolver: one on top of the C library refuses them, and might ask another server than the named.
attempt() {
  read -r self rest </proc/self/stat
  printf 'pid %s\n' "$self"
  case $1,$address,$port in
    find,*) exec nslookup "-timeout=$CONNECT_SECONDS" "$host" 2>&1 ;;
    dns,*,53) server=$address ;;
    dns,*:*) server="[$address]:$port" ;;
    dns,*) server="$address:$port" ;;
    # shellcheck disable=SC2086 # none or one
    *) exec nc $options -w "$CONNECT_SECONDS" "$address" "$port" 2>&1 >/dev/null ;;
  esac
  exec nslookup -type=a "-timeout=$CONNECT_SECONDS" "$QUESTION" "$server" 2>&1
}

# note LINE: what a tool's complaint means; becomes the outcome unless a clearer one is known.
note() {
  case $1 in
    *refused*) sense=refused ;;
    *'No route to host'* | *unreachable*) sense='no route' ;;
    *'timed out'*) sense='timed out' ;;
    *'peration not permitted'* | *'ermission denied'*) sense='failed: not permitted' ;;
    *'ddress family not supported'*) sense='failed: no such address family' ;;
    *) sense='' ;;
  esac
  case $address,$1 in # this machine has no IPv6; with IPv4 it would mean that all ports are taken
    *:*,*'annot assign requested address'* | *:*,*'ddress not available'*) sense='failed: no address to leave from' ;;
  esac
  [ -n "$sense" ] || outcome="failed: $(plain "${1#*: }" $WORDS_MAX)"
  case $outcome in '' | 'timed out') outcome=$sense ;; esac
}

# judge N HOW: reads what a tool says and tells "N pid PID", then "N is OUTCOME" or "N at ADDRESS".
judge() {
  outcome=''
  reached=''
  named=''
  found=''
  read -r word pid || return 0
  printf '%s pid %s\n' "$1" "$pid"
  lines=0
  while { IFS= read -r line || [ -n "$line" ]; } && [ "$lines" -lt $LINES_MAX ]; do
    lines=$((lines + 1))
    case $2,$line in
      *,) ;;
      find,Server:*) ;;
      find,Name:*) named=1 ;;
      find,Address*)
        line=${line#*: }
        if [ -n "$named" ] && [ -z "$found" ] && is_address "${line%% *}"; then found=${line%% *}; fi
        ;;
      find,'*'*) outcome="failed: $(plain "${line##*: }" $WORDS_MAX)" ;;
      find,*'canonical name'* | find,Non-auth*) ;;
      dns,Server:* | dns,'*'*) reached=1 ;; # said only when a packet came back
      tcp,*' open' | tcp,*': read: '* | tcp,*': write: '* | tcp,*'reset by peer'* | tcp,*'roken pipe'*) reached=1 ;;
      tcp,' sent '* | tcp,'sent '* | tcp,'net timeout'*) ;;
      *) [ -n "$reached" ] || note "$line" ;;
    esac
  done
  case $2,$reached$found,$outcome in
    find,,) printf '%s is failed: name without an address\n' "$1" ;;
    find,,*) printf '%s is failed: name %s\n' "$1" "${outcome#failed: }" ;;
    find,*) printf '%s at %s\n' "$1" "$found" ;;
    *,1,* | tcp,,) printf '%s is reached\n' "$1" ;; # nc that says nothing had a connection until the other side closed
    *,,) printf '%s is failed: nslookup said nothing\n' "$1" ;;
    *) printf '%s is %s\n' "$1" "$outcome" ;;
  esac
}

# try_all PACE HOW INDICES: tries targets at once and tells what judge does of each. Takes at least PACE seconds. One
# second after all tools should have given up, the watchdog ends the waiting for those that have not; round ends them,
# since only the one who reads what is told here learns their process ids.
try_all() {
  read -r self rest </proc/self/stat
  judges=''
  for n in $3; do
    eval "kind=\$kind_$n host=\$host_$n address=\$address_$n port=\$port_$n"
    how=${2:-$kind}
    [ "$how" != name ] || how=tcp
    attempt "$how" </dev/null | judge "$n" "$how" &
    judges="$judges $!"
  done
  # shellcheck disable=SC2086 # process ids
  { sleep $((CONNECT_SECONDS + 1)) && kill -KILL $judges "$self"; } </dev/null >/dev/null 2>&1 &
  watchdog=$!
  [ "$1" = 0 ] || sleep "$1"
  # shellcheck disable=SC2086
  wait $judges || :
  kill "$watchdog" || :
}

# round PACE HOW INDICES: tries targets at once; sets outcome_N, and address_N where HOW is find.
round() {
  for n in $3; do eval "outcome_$n= pid_$n="; done
  { told=$(try_all "$1" "$2" "$3") || :; } 2>/dev/null
  while read -r n what words; do
    case $what in
      pid) eval "pid_$n=\$words" ;;
      is) eval "outcome_$n=\$words" ;;
      at) eval "address_$n=\$words outcome_$n=found" ;;
    esac
  done <<EOL
$told
EOL
  for n in $3; do
    eval "outcome=\$outcome_$n pid=\$pid_$n how=\${2:-\$kind_$n}"
    [ -z "$outcome" ] || continue
    case $pid,$how in
      ,*) outcome='failed: no process to try it with' ;;
      *,find) outcome='failed: name timed out' ;;
      *,dns) outcome='failed: nslookup did not end in time' ;;
      *) outcome=reached ;; # nc gives up in time but for a connection that is open
    esac
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :
    eval "outcome_$n=\$outcome"
  done
}

# --- The proof of the tool itself ---

# proof_port N: below the ports that connections leave from, since one to such a port of loopback may meet itself.
proof_port() { port=$((($$ * 37 + $1 * 2411) % 12000 + 20000)); }

# prove: on a port of loopback, nobody is reached, then the tool's own listener is. The listener is there for one
# connection; nc cannot always be told to listen on loopback only.
prove() {
  last=''
  missed=0
  for proof in $PROOF_TRIES; do
    proof_port "$proof"
    keep own tcp 127.0.0.1 "$port"
    for options in '' -vv; do # some say only then why they failed
      round 0 '' own
      [ "$outcome_own" = reached ] || break
    done
    last=$outcome_own
    [ "$last" = refused ] || continue
    nc -l -p "$port" </dev/null >/dev/null 2>&1 &
    listener=$!
    left=$LISTENER_TRIES
    while [ "$left" -gt 0 ]; do
      round 0 '' own
      [ "$outcome_own" != reached ] || break
      left=$((left - 1))
      case $left in 1 | 2) sleep 1 ;; esac
    done
    kill -KILL "$listener" 2>/dev/null || :
    wait "$listener" 2>/dev/null || :
    [ "$left" -eq 0 ] || return 0
    last='listened to, but not reached'
    missed=$((missed + 1))
    [ "$missed" -lt $LISTENERS_MAX ] || break
  done
  broken "the tool cannot prove itself with nc: the last port of its own loopback was $last"
}

# prove_dns: a port of loopback without a DNS server does not answer.
prove_dns() {
  is_name "${QUESTION:-}" || broken "QUESTION must be a name to ask DNS servers for: ${QUESTION:-}"
  for proof in $PROOF_TRIES; do
    proof_port "$proof"
    keep own dns 127.0.0.1 "$port"
    round 0 '' own
    case $outcome_own in refused | 'timed out') return 0 ;; esac
  done
  broken "the tool cannot prove itself with nslookup: the last port of its own loopback was $outcome_own"
}

# --- Modes ---

uptime_seconds() {
  read -r up rest </proc/uptime
  printf '%s' "${up%%.*}"
}

# weigh: sets reached and doubtful to the first target of the kind, in words.
weigh() {
  reached=''
  doubtful=''
  for n in $all; do
    eval "outcome=\$outcome_$n"
    case $outcome in
      'timed out' | refused | 'no route' | 'failed: not permitted' | 'failed: no such address family') ;;
      'failed: no address to leave from') ;;
      reached) reached=${reached:-$(text_of "$n")} ;;
      *) doubtful=${doubtful:-$(text_of "$n") $outcome} ;;
    esac
  done
}

gate() {
  since=$(uptime_seconds)
  while [ "$clean" -lt "$CLEAN_ROUNDS" ]; do
    round "$CONNECT_SECONDS" '' "$all"
    rounds=$((rounds + 1))
    weigh
    if [ -z "$reached$doubtful" ]; then
      clean=$((clean + 1))
      continue
    fi
    clean=0
    [ $(($(uptime_seconds) - since)) -ge "$DEADLINE_SECONDS" ] || continue
    [ -z "$reached" ] || finish reached 1 ''
    broken "a target could not be tried: $doubtful"
  done
  finish clean 0 ''
}

# of_those INDICES: sets nameless (without an address), addressed and silent (not reached).
of_those() {
  nameless=''
  addressed=''
  silent=''
  for n in $1; do
    eval "address=\$address_$n outcome=\$outcome_$n"
    [ -n "$address" ] && addressed="$addressed $n" || nameless="$nameless $n"
    [ "$outcome" = reached ] || silent="$silent $n"
  done
}

control() {
  silent=$all
  try=1
  while :; do
    of_those "$silent"
    [ -z "$nameless" ] || round 0 find "$nameless"
    of_those "$silent"
    [ -z "$addressed" ] || round 0 '' "$addressed"
    of_those "$silent"
    { [ -n "$silent" ] && [ "$try" -lt $TRIES_MAX ]; } || break
    try=$((try + 1))
  done
  finish done 0 ''
}

# serve: a server in the foreground: httpd of an empty folder, since it gives away what is there; or nc, for one
# connection.
serve() {
  for folder in /var/empty /dev/shm /dev/mqueue; do
    { [ -r "$folder" ] && [ -z "$(ls -A "$folder")" ]; } || continue
    command -v httpd >/dev/null || continue
    exec httpd -f -p "$PORT" -h "$folder"
  done
  exec nc -l -p "$PORT" </dev/null >/dev/null
}

listen() {
  setting PORT "${PORT:-}" 65535
  : & # so that $! is always set, and the trap ends whatever was started last
  trap 'kill -KILL $! 2>/dev/null || :; wait; exit 0' TERM INT
  failures=0
  while [ "$failures" -lt $SERVER_FAILURES ]; do
    serve &
    if wait $!; then
      failures=0
    else
      failures=$((failures + 1))
      sleep 1 &
      wait $! || :
    fi
  done
  broken "cannot listen on port $PORT"
}

case ${MODE:-} in
  gate | control | listen) mode=$MODE ;;
  *) broken "MODE must be gate, control or listen: ${MODE:-}" ;;
esac
[ "$mode" != listen ] || listen
CLEAN_ROUNDS=${CLEAN_ROUNDS:-3}
DEADLINE_SECONDS=${DEADLINE_SECONDS:-60}
CONNECT_SECONDS=${CONNECT_SECONDS:-1}
setting CLEAN_ROUNDS "$CLEAN_ROUNDS" 20
setting DEADLINE_SECONDS "$DEADLINE_SECONDS" 3600
setting CONNECT_SECONDS "$CONNECT_SECONDS" 30
trap 'broken "ended before it was done"' TERM INT
read_canaries
[ "$mode" = gate ] || read_nameservers
all=$(indices)
prove
if asks_dns; then prove_dns; fi
"$mode"
