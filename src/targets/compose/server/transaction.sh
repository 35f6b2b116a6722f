# What runs on the server: POSIX sh for dash and busybox, without root. The words rs_… are set above this line, and nothing of
# them is ever a command. Everything is a function that the last line calls, so a part of this text does nothing.
#
# BASE/lock                                      held by the living attempt, and so free once it is dead
# BASE/serving  current -> releases/N            the release that completed last
# BASE/releases/N/{files/,env,facts,completed}   never written again
# BASE/attempts/N/{script,owner,release,state,…} one for each change of traffic
set -u
umask 077
LC_ALL=C
export LC_ALL
unset COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_ENV_FILES COMPOSE_PROFILES COMPOSE_REMOVE_ORPHANS DOCKER_DEFAULT_PLATFORM
base=$rs_directory/.roadstead/$rs_service
# What only some requests say.
: "${rs_task:=}" "${rs_registry:=}" "${rs_credential:=}" "${rs_confirm:=no}" "${rs_show_env:=no}"

# A file is replaced whole or not at all: after a failed write, as on a full disk, the old one stays.
put() { printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1"; }
# No child may keep the lock beyond the end of the attempt.
pause_for() { sleep "$1" 9>&-; }
read_file() { cat "$1" 2>/dev/null || :; }
# Which Compose there is, asked once: on a busy server the question takes a second.
find_compose() { if docker compose version >/dev/null 2>&1 9>&-; then rs_dc="docker compose"; else rs_dc=docker-compose; fi; }
# shellcheck disable=SC2086
dc() { $rs_dc "$@" 9>&-; }
# compose FOLDER ARGUMENTS: Compose with the files of a release. Paths in them count from the folder of the service, as ever.
compose() {
  rs_folder=$1
  shift
  COMPOSE_FILE=
  for rs_file in "$rs_folder"/files/${rs_which:-*}; do COMPOSE_FILE=$COMPOSE_FILE${COMPOSE_FILE:+:}$rs_file; done
  export COMPOSE_FILE
  if [ -f "$rs_folder/env" ]; then
    dc -p "$rs_project" --project-directory "$rs_directory" --env-file "$rs_folder/env" "$@" </dev/null
  else
    dc -p "$rs_project" --project-directory "$rs_directory" "$@" </dev/null
  fi
}
# Containers are found by their labels. After a crash their names are no longer what Compose gave them.
ids() {
  docker ps -q --no-trunc --filter "label=com.docker.compose.project=$rs_project" \
    --filter "label=com.docker.compose.service=$rs_service" --filter label=com.docker.compose.oneoff=False "$@" 9>&-
}
look_at() {
  docker inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.RestartCount}} {{.State.ExitCode}} {{.State.OOMKilled}}' "$1" 2>/dev/null 9>&-
}
name_of() { docker inspect -f '{{slice .Name 1}}' "$1" 9>&-; }
hash_of() { sha256sum <"$1" | cut -c1-64; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR==2{print $4}'; }

# --- what is there ---------------------------------------------------------------------------------------------------

show_host() {
  for rs_tool in flock setsid timeout sha256sum mktemp awk df; do
    command -v "$rs_tool" >/dev/null 2>&1 || echo "missing $rs_tool"
  done
  if ! command -v docker >/dev/null 2>&1; then echo "missing docker"; return 0; fi
  if rs_text=$(docker info -f '{{.ServerVersion}} {{.DockerRootDir}}' 2>&1); then
    echo "docker ${rs_text%% *}"
    rs_free=$(free_kb "${rs_text#* }")
    [ -z "$rs_free" ] || echo "free-images $rs_free"
  else
    echo "docker-denied $(printf %s "$rs_text" | tail -n 1)"
  fi
  if rs_text=$(dc version --short 2>/dev/null); then echo "compose $rs_text"; else echo "missing compose"; fi
  if [ ! -d "$rs_directory" ]; then echo "no-directory"; elif [ ! -w "$rs_directory" ]; then echo "read-only"; fi
  rs_free=$(free_kb "$rs_directory")
  [ -z "$rs_free" ] || echo "free $rs_free"
  [ -z "$rs_proxy_container" ] || show_proxy
}
show_proxy() {
  rs_text=$(docker inspect -f '{{.State.Running}}' "$rs_proxy_container" 2>/dev/null) || rs_text=missing
  echo "proxy $rs_text"
  [ -w "$(dirname "$rs_proxy_file")" ] || echo "proxy-read-only"
}
show_containers() {
  for rs_id in $(ids -a); do
    rs_image=$(docker inspect -f '{{.Image}}' "$rs_id" 2>/dev/null) || continue
    rs_digests=$(docker image inspect -f '{{range .RepoDigests}}{{.}},{{end}}' "$rs_image" 2>/dev/null) || rs_digests=
    echo "container $rs_id $(look_at "$rs_id") ${rs_digests:-none} $(name_of "$rs_id")"
  done
}
show_releases() {
  for rs_folder in "$base"/releases/[0-9]*; do
    [ -f "$rs_folder/facts" ] || continue
    rs_times=$(tr '\n' ',' <"$rs_folder/completed" 2>/dev/null) || rs_times=
    echo "release ${rs_folder##*/} ${rs_times:-never} $(cat "$rs_folder/facts")"
  done
  rs_text=$(read_file "$base/serving")
  [ -z "$rs_text" ] || echo "serving $rs_text"
  [ ! -f "$rs_directory/.env" ] || [ ! -r "$rs_directory/.env" ] || echo "env $(hash_of "$rs_directory/.env")"
}
is_held() { [ -e "$base/lock" ] && ! flock -sn "$base/lock" true; }
show_attempt() {
  rs_folder=$base/attempts/$1
  [ -f "$rs_folder/state" ] || return 0
  rs_alive=dead
  if is_held && [ "$(read_file "$base/holder")" = "$1" ]; then rs_alive=alive; fi
  echo "attempt $1 $rs_alive $(read_file "$rs_folder/owner") $(read_file "$rs_folder/release") $(read_file "$rs_folder/old-release") $(read_file "$rs_folder/state")"
  [ ! -f "$rs_folder/failure" ] || cat "$rs_folder/failure"
}
newest_attempt() { ls "$base/attempts" 2>/dev/null | grep '^[0-9]*$' | sort -n | tail -n 1; }

observe() {
  find_compose
  show_host
  if docker info >/dev/null 2>&1; then show_containers; fi
  show_releases
  [ "$rs_show_env" != yes ] || show_env
  rs_text=$(newest_attempt)
  [ -z "$rs_text" ] || show_attempt "$rs_text"
}
# The variables of what serves, whatever bytes they have: for a change of one of them.
show_env() {
  for rs_file in "$base/releases/$(read_file "$base/serving")/env" "$rs_directory/.env"; do
    [ -f "$rs_file" ] || continue
    echo "env-hex $(od -An -v -tx1 <"$rs_file" | tr -d ' \n')"
    return 0
  done
}
status() {
  rs_newest=$(newest_attempt)
  [ -z "$rs_newest" ] || echo "newest $rs_newest"
  show_attempt "$rs_attempt"
  show_containers
  show_releases
}

# --- a release without traffic ---------------------------------------------------------------------------------------

stage() {
  # This text has the credential, so it goes before anything else happens. What reads it has it open.
  [ -z "$rs_credential" ] || rm -f "$0"
  find_compose
  mkdir -p "$base/releases" "$base/attempts" || { echo "refused directory"; return 0; }
  [ "$rs_adopt" = no ] || adopt || { echo "refused adopt"; return 0; }
  if [ -f "$base/releases/$rs_release/facts" ]; then
    if [ "$(cat "$base/releases/$rs_release/facts")" = "$rs_facts" ]; then echo "staged"; else echo "refused taken"; fi
    return 0
  fi
  rs_new=$base/releases/.new.$$
  rm -rf "$rs_new"
  mkdir -p "$rs_new/files" && write_release "$rs_new" || { rm -rf "$rs_new"; echo "refused space"; return 0; }
  if ! rs_text=$(compose "$rs_new" config -q 2>&1); then refuse config "$rs_text"; return 0; fi
  if ! has_service; then refuse service ""; return 0; fi
  if ! rs_text=$(pull 2>&1); then refuse pull "$rs_text"; return 0; fi
  if rs_text=$(foreign_platform); then refuse pull "$rs_text"; return 0; fi
  mv "$rs_new" "$base/releases/$rs_release" && echo "staged"
}
# Whether the user's own files have the service: the file that pins the image has it in any case.
has_service() {
  rs_text=$(rs_which='[!9]*' && compose "$rs_new" config --services 2>/dev/null) || return 0
  printf '%s\n' "$rs_text" | grep -qxF -- "$rs_service"
}
# The credential is only in the environment of these processes, from where Docker's helper takes it. No file has it, also
# when they are killed.
pull() {
  if [ -z "$rs_credential" ]; then compose "$rs_new" pull -q "$rs_service"; return; fi
  rs_login=$rs_new/login
  mkdir "$rs_login" &&
    printf '{"credHelpers":{"%s":"roadstead"},"cliPluginsExtraDirs":["%s/.docker/cli-plugins"]}\n' "$rs_registry" "${HOME:-}" >"$rs_login/config.json" &&
    printf '#!/bin/sh\n[ "$1" != get ] || printf "%%s\\n" "$RS_CREDENTIAL"\n' >"$rs_login/docker-credential-roadstead" &&
    chmod 700 "$rs_login/docker-credential-roadstead" || return 1
  # Another configuration has another current context: the engine of a user without root, for one.
  rs_engine=${DOCKER_HOST:-$(docker context inspect -f '{{.Endpoints.docker.Host}}' 2>/dev/null)}
  (
    export DOCKER_CONFIG="$rs_login" PATH="$rs_login:$PATH" RS_CREDENTIAL="$rs_credential"
    [ -z "$rs_engine" ] || export DOCKER_HOST="$rs_engine"
    compose "$rs_new" pull -q "$rs_service"
  )
  rs_code=$?
  rm -rf "$rs_login"
  return $rs_code
}
# An image of one platform is pulled by any server: only its own words say that it cannot run there. True if so, and says it.
foreign_platform() {
  rs_have=$(docker version -f '{{.Server.Os}}/{{.Server.Arch}}') &&
    rs_is=$(docker image inspect -f '{{.Os}}/{{.Architecture}}' "${rs_facts%% *}" 2>/dev/null) || return 1
  case $rs_have,$rs_is in "$rs_is,$rs_is" | linux/amd64,linux/386 | linux/arm64,linux/arm) return 1 ;; esac
  case ${rs_is#*/} in arm64) rs_emulator=aarch64 ;; amd64) rs_emulator=x86_64 ;; *) rs_emulator=${rs_is#*/} ;; esac
  [ ! -e "/proc/sys/fs/binfmt_misc/qemu-$rs_emulator" ] || return 1
  ! names_platform || return 1
  echo "no matching manifest for $rs_have: the image is for $rs_is"
}
# Whether the Compose files choose the platform of the service on purpose.
names_platform() {
  compose "$rs_new" config 2>/dev/null | awk -v name="$rs_service" '
    /^[^ ]/ { inside = /^services:/; here = 0 }
    inside && /^  [^ ]/ { key = $1; gsub(/["\047:]/, "", key); here = key == name }
    here && /^    platform: / { found = 1 }
    END { exit !found }'
}
refuse() {
  rm -rf "$rs_new"
  echo "refused $1"
  show_error "$2"
}
show_error() { printf '%s\n' "$1" | tail -n 5 | hide_variables | cut -c1-500 | sed 's/^/error /'; }
# Compose quotes the line of a file of variables that it cannot read: a secret.
hide_variables() { sed "s|\($base/[^ ]*/env: line [0-9]*\).*|\1|"; }
# The release that somebody brought without this program becomes release 0, with the very image that runs.
adopt() {
  [ ! -f "$base/serving" ] || return 0
  rs_id=$(ids --filter status=running | head -n 1)
  [ -n "$rs_id" ] || return 0
  rs_new=$base/releases/.adopted.$$
  rm -rf "$rs_new" "$base/releases/0"
  mkdir -p "$rs_new/files" || return 1
  rs_count=10
  rs_list=$(docker inspect -f '{{index .Config.Labels "com.docker.compose.project.config_files"}}' "$rs_id") || return 1
  rs_ifs=$IFS
  IFS=,
  for rs_file in $rs_list; do
    cp "$rs_file" "$rs_new/files/$rs_count.yaml" || { IFS=$rs_ifs; return 1; }
    rs_count=$((rs_count + 1))
  done
  IFS=$rs_ifs
  rs_image=$(docker inspect -f '{{.Image}}' "$rs_id") || return 1
  rs_digests=$(docker image inspect -f '{{range .RepoDigests}}{{.}},{{end}}' "$rs_image") || rs_digests=
  printf '{"services":{"%s":{"image":"%s"}}}\n' "$rs_service" "$rs_image" >"$rs_new/files/99-images.yaml" || return 1
  if [ -f "$rs_directory/.env" ]; then cp "$rs_directory/.env" "$rs_new/env" || return 1; fi
  rs_digests=${rs_digests%%,*}
  put "$rs_new/facts" "${rs_digests:-none} none none none" && date +%s >"$rs_new/completed" &&
    mv "$rs_new" "$base/releases/0" && put "$base/serving" 0
}

# --- one-off commands ------------------------------------------------------------------------------------------------

# A container of a release beside what serves, with the files and the variables of that release. The same is started once.
start_task() {
  if docker inspect "$rs_task_name" >/dev/null 2>&1; then echo "started $rs_task"; return 0; fi
  rs_new=$base/releases/$rs_release
  [ -f "$rs_new/facts" ] || { echo "refused release"; return 0; }
  # `env_file: .env` is read while the container is made: no attempt may do the same then.
  exec 9>>"$base/lock"
  flock -w 5 9 || { echo "refused busy"; return 0; }
  find_compose
  rs_a=$base
  trap 'restore_env "$rs_a"; rm -f "$rs_a/env-missing"' EXIT
  trap 'exit 129' HUP INT TERM
  keep_env && install_env "$rs_new" || { echo "refused space"; return 0; }
  eval "set -- $rs_command"
  if rs_text=$(compose "$rs_new" run -d --no-deps --name "$rs_task_name" --label "roadstead.owner=$rs_owner" "$rs_service" "$@" 2>&1); then
    echo "started $rs_task"
  else
    docker rm -f "$rs_task_name" >/dev/null 2>&1 9>&-
    echo "refused compose"
    show_error "$rs_text"
  fi
}
show_task() {
  rs_look=$(docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$rs_task_name" 2>/dev/null) || return 0
  echo "task $rs_task $rs_look"
  docker logs --tail 20 "$rs_task_name" 2>&1 | cut -c1-500 | sed 's/^/task-log /'
}
# The task of a run that still runs.
find_task() {
  for rs_id in $(docker ps -q --filter "label=com.docker.compose.project=$rs_project" --filter "label=roadstead.owner=$rs_owner"); do
    rs_text=$(name_of "$rs_id")
    rs_task=${rs_text#"$rs_project-$rs_service-task-"}
    [ "$rs_task" != "$rs_text" ] || continue
    echo "task $rs_task running 0"
    return 0
  done
}
task() {
  rs_task_name=$rs_project-$rs_service-task-$rs_task
  case $1 in
    task-start) start_task ;;
    task-status) show_task ;;
    task-find) find_task ;;
    task-stop) docker kill "$rs_task_name" >/dev/null 2>&1; echo "noted" ;;
    task-remove) docker rm -f "$rs_task_name" >/dev/null 2>&1; echo "noted" ;;
  esac
}

# --- a change of traffic ---------------------------------------------------------------------------------------------

start() {
  rs_a=$base/attempts/$rs_attempt
  if [ -f "$rs_a/state" ]; then
    if [ "$(read_file "$rs_a/owner")" = "$rs_owner" ]; then show_attempt "$rs_attempt"; else echo "refused taken"; fi
    return 0
  fi
  [ -f "$base/releases/$rs_release/facts" ] || { echo "refused release"; return 0; }
  exec 9>>"$base/lock"
  # A reader holds it for an instant.
  flock -n 9 || { sleep 1; flock -n 9; } || { echo "refused busy"; return 0; }
  rm -rf "$rs_a.new"
  mkdir -p "$rs_a.new" && cp "$0" "$rs_a.new/script" && put "$rs_a.new/owner" "$rs_owner" &&
    put "$rs_a.new/release" "$rs_release" && put "$rs_a.new/old-release" "$(read_file "$base/serving" | grep . || echo none)" &&
    put "$rs_a.new/state" checking && mv "$rs_a.new" "$rs_a" && put "$base/holder" "$rs_attempt" ||
    { rm -rf "$rs_a.new"; echo "refused space"; return 0; }
  setsid sh "$rs_a/script" transaction </dev/null >"$rs_a/log" 2>&1 &
  echo "started $rs_attempt"
}
# The attempt continues with more weight, or goes back. Both can be said twice.
proceed() { [ -d "$base/attempts/$rs_attempt" ] && put "$base/attempts/$rs_attempt/continue" "$rs_weight" && echo "noted"; }
abort() { [ -d "$base/attempts/$rs_attempt" ] && put "$base/attempts/$rs_attempt/abort" yes && echo "noted"; }

state() { put "$rs_a/state" "$*"; echo "$(date +%s) $*"; }
is_aborted() { [ -e "$rs_a/abort" ]; }

# Why a release does not serve: the reason, how its container ended, its health checks and its last lines. What Compose or the
# proxy refuses has its words in the log of the attempt.
show_log() { tail -n 20 "$rs_a/log" | hide_variables | cut -c1-500 | sed 's/^/failure-log /'; }
note_failure() { # REASON CONTAINER
  {
    echo "failure $1"
    case $1 in backup | compose | proxy) show_log ;; esac
    if [ -n "$2" ] && [ "$1" != proxy ]; then
      docker inspect -f 'failure-exit {{.State.ExitCode}} {{.State.OOMKilled}}' "$2" 9>&-
      docker inspect -f '{{if .State.Health}}{{range .State.Health.Log}}{{json .Output}}
{{end}}{{end}}' "$2" 9>&- | grep . | tail -n 3 | cut -c1-500 | sed 's/^/failure-health /'
      docker logs --tail 20 "$2" 2>&1 9>&- | cut -c1-500 | sed 's/^/failure-log /'
    fi
  } >"$rs_a/failure.new" 2>/dev/null
  mv -f "$rs_a/failure.new" "$rs_a/failure"
}

# wait_healthy CONTAINER: sets `reason` if it does not become healthy in time. What cannot be read is neither.
wait_healthy() {
  rs_until=$(($(date +%s) + rs_start_limit))
  reason=timeout
  while [ "$(date +%s)" -lt "$rs_until" ]; do
    is_aborted && { reason=aborted; return 1; }
    rs_look=$(look_at "$1") || rs_look="unreadable none 0 0 false"
    judge "$rs_look" 0
    case $verdict in healthy) return 0 ;; failed) return 1 ;; esac
    pause_for 1
  done
  return 1
}
# judge LOOK RESTARTS: sets `verdict` to healthy, pending or failed.
judge() {
  rs_restarts=$2
  # shellcheck disable=SC2086
  set -- $1
  verdict=pending
  case "$1 $2" in
    "running healthy" | "running none") if [ "$3" -gt $((rs_restarts + 2)) ]; then reason=restarting; verdict=failed; else verdict=healthy; fi ;;
    "running unhealthy") reason=unhealthy verdict=failed ;;
    exited\ * | dead\ * | removing\ *) if [ "$5" = true ]; then reason=out-of-memory; else reason=exited; fi; verdict=failed ;;
    restarting\ *) [ "$3" -lt $((rs_restarts + 3)) ] || { reason=restarting; verdict=failed; } ;;
  esac
}
# settle CONTAINER SECONDS: it stays healthy, and nothing starts it again.
settle() {
  rs_until=$(($(date +%s) + $2))
  rs_look=$(look_at "$1") || rs_look="running none 0 0 false"
  rs_before=$(echo "$rs_look" | cut -d' ' -f3)
  while :; do
    is_aborted && { reason=aborted; return 1; }
    rs_look=$(look_at "$1") && {
      judge "$rs_look" "$rs_before"
      [ "$verdict" != failed ] || return 1
      [ "$(echo "$rs_look" | cut -d' ' -f3)" = "$rs_before" ] || { reason=restarting; return 1; }
    }
    [ "$(date +%s)" -lt "$rs_until" ] || break
    pause_for 1
  done
  [ "$verdict" = healthy ] || { reason=unreadable; return 1; }
}

# The variables of a release, for whoever runs Compose by hand and for `env_file: .env`.
install_env() {
  [ ! -f "$1/env" ] || { cp "$1/env" "$rs_directory/.env.new" && mv -f "$rs_directory/.env.new" "$rs_directory/.env"; }
}
# The variables as they were before an attempt, also where the release before has none of its own.
keep_env() { if [ -f "$rs_directory/.env" ]; then cp "$rs_directory/.env" "$rs_a/env-before"; else : >"$rs_a/env-missing"; fi; }
restore_env() { # ATTEMPT
  if [ -f "$1/env-before" ]; then mv -f "$1/env-before" "$rs_directory/.env"
  elif [ -f "$1/env-missing" ]; then rm -f "$rs_directory/.env"; fi
}
# A Compose that was killed leaves new containers that were never started, under names of their own.
remove_unstarted() { for rs_id in $(ids -a --filter status=created); do docker rm "$rs_id" >/dev/null 9>&-; done; }
newest_container() { ids -a | head -n 1; }

in_place() { # RELEASE
  rs_r=$base/releases/$1
  remove_unstarted
  install_env "$rs_r" || { reason=space; return 1; }
  compose "$rs_r" up -d --no-build --no-recreate "$rs_service" && compose "$rs_r" up -d --no-build --no-deps "$rs_service" ||
    { reason=compose; return 1; }
  new=$(newest_container)
  [ -n "$new" ] || { reason=compose; return 1; }
  wait_healthy "$new"
}
go_back_in_place() {
  rs_why=$reason
  note_failure "$rs_why" "${new:-}"
  if [ "$old_release" = none ]; then state "stuck $rs_why"; return 0; fi
  rm -f "$rs_a/abort"
  state "rolling-back $rs_why"
  restore_env "$rs_a"
  if in_place "$old_release" && settle "$new" "$rs_settle"; then state "rolled-back $rs_why"; else state "back-failed $rs_why $reason"; fi
}
replace() {
  new=
  state starting
  if in_place "$rs_release" && state settling && settle "$new" "$rs_settle" && confirm; then complete; else go_back_in_place; fi
}

# --- two containers, and a proxy between them ------------------------------------------------------------------------

# point OLD NEW WEIGHT: the only thing that moves traffic: one file, replaced and tested, and the proxy's own reload.
point() {
  cp "$rs_proxy_file" "$rs_a/proxy-before" 2>/dev/null || :
  if [ "$3" = 100 ]; then rs_text=$rs_proxy_single; else rs_text=$rs_proxy_split; fi
  printf '%s\n' "$rs_text" | sed "s/@NEW_WEIGHT@/$3/g; s/@OLD_WEIGHT@/$((100 - $3))/g; s/@NEW@/$2/g; s/@OLD@/$1/g" >"$rs_proxy_file.new" &&
    chmod 644 "$rs_proxy_file.new" && mv -f "$rs_proxy_file.new" "$rs_proxy_file" || return 1
  if in_proxy "$rs_proxy_test"; then
    moved=yes
    in_proxy "$rs_proxy_reload" && return 0
  fi
  [ ! -f "$rs_a/proxy-before" ] || { cp "$rs_a/proxy-before" "$rs_proxy_file.new" && mv -f "$rs_proxy_file.new" "$rs_proxy_file"; }
  return 1
}
# A command in the proxy's container, a signal to it (`signal USR2`), or nothing for a proxy that watches its file.
in_proxy() {
  # shellcheck disable=SC2086
  case $1 in
    "") ;;
    signal\ *) docker kill -s "${1#signal }" "$rs_proxy_container" >/dev/null 9>&- ;;
    *) docker exec "$rs_proxy_container" $1 </dev/null 9>&- ;;
  esac
}

pause_at() {
  state "paused $1"
  rs_pause_until=$(($(date +%s) + rs_pause_limit))
  while [ "$(date +%s)" -lt "$rs_pause_until" ]; do
    is_aborted && { reason=aborted; return 1; }
    rs_text=$(read_file "$rs_a/continue")
    [ "${rs_text:-0}" -le "$1" ] || return 0
    rs_look=$(look_at "$new") && { judge "$rs_look" 0; [ "$verdict" != failed ] || return 1; }
    pause_for 1
  done
  reason=not-continued
  return 1
}
# With several hosts, the run decides when the release is complete on this one.
confirm() { [ "$rs_confirm" != yes ] || pause_at 100; }
shift_traffic() {
  for rs_step in $rs_weights; do
    case $rs_step in
      0) pause_at 0 || return 1 ;;
      100) state "switching" && { point "$old_name" "$new_name" 100 || { reason=proxy; return 1; }; } ;;
      *) { point "$old_name" "$new_name" "$rs_step" || { reason=proxy; return 1; }; } && pause_at "$rs_step" || return 1 ;;
    esac
  done
  state settling
  settle "$new" "$rs_settle" && confirm
}
start_beside() {
  rs_count=$(ids -a | grep -c .)
  before=$(ids -a)
  install_env "$base/releases/$rs_release" || { reason=space; return 1; }
  compose "$base/releases/$rs_release" up -d --no-build --no-deps --no-recreate --scale "$rs_service=$((rs_count + 1))" "$rs_service" ||
    { find_new; reason=compose; return 1; }
  find_new
  [ -n "$new" ] || { reason=compose; return 1; }
  new_name=$(name_of "$new") && put "$rs_a/new" "$new" && wait_healthy "$new"
}
find_new() {
  new=
  for rs_id in $(ids -a); do case " $(echo $before) " in *" $rs_id "*) ;; *) new=$rs_id ;; esac; done
}
go_back_beside() {
  rs_why=$reason
  note_failure "$rs_why" "$new"
  state "rolling-back $rs_why"
  restore_env "$rs_a"
  install_env "$base/releases/$old_release"
  if [ -z "$old" ]; then state "stuck $rs_why"; return 0; fi
  # A proxy that never read another file still has the old container.
  if [ "$moved" = yes ]; then
    point none "$old_name" 100 || { state "back-failed $rs_why proxy"; return 0; }
    pause_for "$rs_drain"
  fi
  [ -z "$new" ] || docker rm -f "$new" >/dev/null 9>&-
  judge "$(look_at "$old")" 99
  if [ "$verdict" = failed ]; then state "back-failed $rs_why $reason"; else state "rolled-back $rs_why"; fi
}
switch() {
  new=
  moved=
  remove_unstarted
  old=$(ids --filter status=running | head -n 1)
  old_name=none
  [ -z "$old" ] || old_name=$(name_of "$old")
  put "$rs_a/old" "$old_name"
  state starting
  if start_beside && shift_traffic; then
    state completing
    pause_for "$rs_drain"
    remove_others "$new"
    complete
  else
    go_back_beside
  fi
}
remove_others() {
  for rs_id in $(ids -a); do
    [ "$rs_id" = "$1" ] || { docker stop -t "$rs_stop_limit" "$rs_id" && docker rm "$rs_id"; } >/dev/null 9>&-
  done
}

# --- the end, and what an attempt that was killed left ---------------------------------------------------------------

complete() {
  date +%s >>"$base/releases/$rs_release/completed" && put "$base/serving" "$rs_release" || { state "back-failed space"; return 0; }
  # A link to a folder is followed, unless mv is told not to.
  ln -sfn "releases/$rs_release" "$base/current.new" &&
    { mv -fT "$base/current.new" "$base/current" 2>/dev/null || ln -sfn "releases/$rs_release" "$base/current"; }
  rm -f "$rs_a/env-before"
  state complete
  remove_releases
}
# Folders of releases beyond those that are kept, and their images unless something uses them. Never a volume.
remove_releases() {
  rs_kept=0
  for rs_n in $(ls "$base/releases" | grep '^[0-9]*$' | sort -rn); do
    [ "$rs_n" != "$rs_release" ] && [ "$rs_n" != "$old_release" ] || continue
    rs_kept=$((rs_kept + 1))
    [ "$rs_kept" -ge $((rs_keep - 1)) ] || continue
    rs_text=$(cut -d' ' -f1 "$base/releases/$rs_n/facts")
    rm -rf "$base/releases/$rs_n"
    grep -qF -- "$rs_text" "$base"/releases/[0-9]*/facts || docker rmi "$rs_text" >/dev/null 2>&1 9>&-
  done
}
is_ended() { case $1 in complete | rolled-back* | back-failed* | stuck* | refused* | lost*) return 0 ;; *) return 1 ;; esac; }
# An attempt that is not alive any more and has no end: whoever has all traffic keeps it.
recover() {
  for rs_folder in "$base"/attempts/[0-9]*; do
    [ "$rs_folder" != "$rs_a" ] && [ -f "$rs_folder/state" ] || continue
    rs_was=$(cat "$rs_folder/state")
    is_ended "$rs_was" && continue
    [ "$rs_was" = completing ] || restore_env "$rs_folder"
    rs_left=$(read_file "$rs_folder/new")
    if [ -n "$rs_proxy_container" ] && [ -n "$rs_left" ]; then
      if [ "$rs_was" = completing ]; then
        remove_others "$rs_left"
        put "$base/serving" "$(cat "$rs_folder/release")"
      else
        rs_stays=$(read_file "$rs_folder/old")
        [ "$rs_stays" = none ] || { point none "$rs_stays" 100 && pause_for "$rs_drain" && docker rm -f "$rs_left" >/dev/null 9>&-; } || return 1
      fi
    fi
    put "$rs_folder/state" "lost $rs_was"
  done
}
back_up() {
  [ -n "$rs_backup" ] || return 0
  state backup
  eval "set -- $rs_backup"
  (cd "$rs_directory" && exec timeout "$rs_backup_limit" "$@") </dev/null 9>&-
}
transaction() {
  trap '' HUP
  rs_a=$base/attempts/$rs_attempt
  reason=
  find_compose
  recover || { state "refused recovery"; return 0; }
  old_release=$(read_file "$base/serving" | grep . || echo none)
  if ! back_up; then note_failure backup ""; state "refused backup"; return 0; fi
  keep_env || { state "refused space"; return 0; }
  if [ -n "$rs_proxy_container" ]; then switch; else replace; fi
}

main() {
  case $1 in
    observe) observe ;;
    stage) stage ;;
    start) start ;;
    status) status ;;
    continue) proceed ;;
    abort) abort ;;
    transaction) transaction ;;
    task-*) task "$1" ;;
  esac
}
main "${1:-$rs_operation}"
