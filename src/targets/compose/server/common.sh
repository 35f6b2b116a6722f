# What runs on the server: POSIX sh for dash and busybox, without root. The files of this folder are one text, in the order of
# `PROGRAM` in write.rs. The words rs_… are set above it, and nothing of them is ever a command. Everything is a function that
# the last line calls, so a part of this text does nothing. Here is what all of it needs.
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
dc() { ${rs_within:-} $rs_dc "$@" 9>&-; }
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
is_running() { [ "$(docker inspect -f '{{.State.Running}}' "$1" 2>/dev/null 9>&-)" = true ]; }
name_of() { docker inspect -f '{{slice .Name 1}}' "$1" 9>&-; }
# One writer, for as long as this process and what it hands the lock to live. A reader holds it for an instant.
take_lock() {
  exec 9>>"$base/lock"
  for rs_try in 1 2 3; do
    flock -n 9 && return 0
    pause_for 1
  done
  return 1
}
hash_of() { sha256sum <"$1" | cut -c1-64; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR==2{print $4}'; }
