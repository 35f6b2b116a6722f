# A change of traffic: one attempt, which runs by itself, and ends in one of the words of `is_ended`.

start() {
  rs_a=$base/attempts/$rs_attempt
  if [ -f "$rs_a/state" ]; then
    if [ "$(read_file "$rs_a/owner")" = "$rs_owner" ]; then show_attempt "$rs_attempt"; else echo "refused taken"; fi
    return 0
  fi
  [ -f "$base/releases/$rs_release/facts" ] || { echo "refused release"; return 0; }
  take_lock || { echo "refused busy"; return 0; }
  rs_text=$(read_file "$base/project")
  if [ "${rs_text:-$rs_project}" != "$rs_project" ]; then
    # Containers of another project would run beside those that serve.
    echo "refused project"
    show_error "the containers of the service on the server are of the project \`$rs_text\`, not of \`$rs_project\`"
    return 0
  fi
  put "$base/project" "$rs_project" || { echo "refused space"; return 0; }
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
# Nobody stops the way back.
is_aborted() { [ -z "$going_back" ] && [ -e "$rs_a/abort" ]; }

# Why a release does not serve: the reason, how its container ended, its health checks and its last lines. What Compose or the
# proxy refuses has its words in the log of the attempt.
show_log() { tail -n 20 "$rs_a/log" | hide_variables | cut -c1-500 | sed 's/^/failure-log /'; }
note_failure() { # REASON CONTAINER
  {
    echo "failure $1"
    case $1 in backup | compose | dependencies | proxy) show_log ;; esac
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
# settle CONTAINER SECONDS: it stays healthy, and nothing starts it again. It was healthy a moment ago, so one that waits to be
# started again has ended since.
settle() {
  rs_until=$(($(date +%s) + $2))
  rs_before=
  verdict=pending
  while :; do
    is_aborted && { reason=aborted; return 1; }
    if rs_look=$(look_at "$1"); then
      rs_count=$(echo "$rs_look" | cut -d' ' -f3)
      judge "$rs_look" "$rs_count"
      [ "$verdict" != failed ] || return 1
      case $rs_look in restarting\ *) reason=restarting; return 1 ;; esac
      [ "$rs_count" = "${rs_before:-$rs_count}" ] || { reason=restarting; return 1; }
      rs_before=$rs_count
    fi
    [ "$(date +%s)" -lt "$rs_until" ] || break
    pause_for 1
  done
  [ "$verdict" = healthy ] || { reason=unreadable; return 1; }
}

# The variables of a release, for whoever runs Compose by hand and for `env_file: .env`.
install_env() {
  [ ! -f "$1/env" ] || { cp "$1/env" "$rs_directory/.env.new" && mv -f "$rs_directory/.env.new" "$rs_directory/.env"; }
}
# The variables as they were before an attempt, also where the release before has none of its own. A release without variables
# leaves them alone, and so does its end.
keep_env() {
  [ -f "$base/releases/$rs_release/env" ] || return 0
  if [ ! -f "$rs_directory/.env" ]; then : >"$rs_a/env-missing"; return; fi
  cp "$rs_directory/.env" "$rs_a/env-before.new" && mv -f "$rs_a/env-before.new" "$rs_a/env-before"
}
restore_env() { # ATTEMPT
  if [ -f "$1/env-before" ]; then mv -f "$1/env-before" "$rs_directory/.env"
  elif [ -f "$1/env-missing" ]; then rm -f "$rs_directory/.env"; fi
}
# A Compose that was killed leaves new containers that were never started, under names of their own.
remove_unstarted() { for rs_id in $(ids -a --filter status=created); do docker rm "$rs_id" >/dev/null 9>&-; done; }
newest_container() { ids -a | head -n 1; }

# Compose has no limit of its own for services that this one depends on, and for their images.
bring_up() { # FOLDER ARGUMENTS
  rs_release_folder=$1
  shift
  rs_within="timeout $((rs_start_limit + 600))"
  compose "$rs_release_folder" up -d --no-build "$@"
  rs_code=$?
  rs_within=
  case $rs_code in
    0) return 0 ;;
    124 | 143) reason=dependencies ;;
    *) reason=compose ;;
  esac
  return 1
}
in_place() { # RELEASE
  rs_r=$base/releases/$1
  remove_unstarted
  install_env "$rs_r" || { reason=space; return 1; }
  bring_up "$rs_r" --no-recreate "$rs_service" && bring_up "$rs_r" --no-deps "$rs_service" || return 1
  new=$(newest_container)
  [ -n "$new" ] || { reason=compose; return 1; }
  wait_healthy "$new"
}
go_back_in_place() {
  rs_why=$reason
  note_failure "$rs_why" "${new:-}"
  if [ "$old_release" = none ]; then state "stuck $rs_why"; return 0; fi
  going_back=yes
  state "rolling-back $rs_why"
  restore_env "$rs_a"
  if in_place "$old_release" && settle "$new" "$rs_settle"; then state "rolled-back $rs_why"; else state "back-failed $rs_why $reason"; fi
}
replace() {
  new=
  state starting
  if in_place "$rs_release" && state settling && settle "$new" "$rs_settle" && confirm; then complete; else go_back_in_place; fi
}
