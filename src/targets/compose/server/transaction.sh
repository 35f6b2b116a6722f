# The order of an attempt, its end, what an attempt that was killed left, and the last line, which calls the requested function.

record_completed() { # RELEASE
  date +%s >>"$base/releases/$1/completed" && put "$base/serving" "$1" || return 1
  # A link to a folder is followed, unless mv is told not to.
  ln -sfn "releases/$1" "$base/current.new" &&
    { mv -fT "$base/current.new" "$base/current" 2>/dev/null || ln -sfn "releases/$1" "$base/current"; } || :
}
complete() {
  record_completed "$rs_release" || { state "back-failed space"; return 0; }
  rm -f "$rs_a/env-before"
  state complete
  remove_releases
  remove_attempts
}
# The records of the last attempts stay, ten for each release that does.
remove_attempts() {
  for rs_n in $(ls "$base/attempts" | grep '^[0-9]*$' | sort -rn | tail -n "+$((rs_keep * 10 + 1))"); do
    rm -rf "$base/attempts/$rs_n"
  done
}
# Folders of releases beyond those that are kept, and their images unless something uses them. Never a volume.
remove_releases() {
  rs_kept=1
  [ "$old_release" = none ] || [ "$old_release" = "$rs_release" ] || rs_kept=2
  for rs_n in $(ls "$base/releases" | grep '^[0-9]*$' | sort -rn); do
    [ "$rs_n" != "$rs_release" ] && [ "$rs_n" != "$old_release" ] || continue
    rs_kept=$((rs_kept + 1))
    [ "$rs_kept" -gt "$rs_keep" ] || continue
    rs_text=$(cut -d' ' -f1 "$base/releases/$rs_n/facts")
    rm -rf "$base/releases/$rs_n"
    grep -qF -- "$rs_text" "$base"/releases/[0-9]*/facts || docker rmi "$rs_text" >/dev/null 2>&1 9>&-
  done
  # What a request left that was killed while it brought a release.
  find "$base/releases" -name '.new.*' -mtime +0 -prune -exec rm -rf {} + 2>/dev/null
}
is_ended() { case $1 in complete | rolled-back* | back-failed* | stuck* | refused* | lost*) return 0 ;; *) return 1 ;; esac; }
# The new container of an attempt, also where it was killed before it could note it.
find_left() { # ATTEMPT
  new=$(read_file "$1/new")
  if [ -z "$new" ] && [ -f "$1/before" ]; then before=$(cat "$1/before") && find_new; fi
  echo "$new"
}
# Where the old container is gone, the new one is all that there is.
take_back() { # OLD NEW
  docker version >/dev/null 2>&1 9>&- || return 1
  is_running "$1" || return 0
  point none "$1" 100 && pause_for "$rs_drain" && docker rm -f "$2" >/dev/null 9>&-
}
# An attempt that is not alive any more and has no end: the container that has all traffic keeps it.
recover() {
  # A command that was killed while its container was made has left its variables.
  restore_env "$base"
  rm -f "$base/env-missing"
  for rs_folder in "$base"/attempts/[0-9]*; do
    [ "$rs_folder" != "$rs_a" ] && [ -f "$rs_folder/state" ] || continue
    rs_was=$(cat "$rs_folder/state")
    is_ended "$rs_was" && continue
    [ "$rs_was" = completing ] || restore_env "$rs_folder"
    rs_left=$(find_left "$rs_folder")
    if [ -n "$rs_proxy_container" ] && [ -n "$rs_left" ]; then
      if [ "$rs_was" = completing ]; then
        remove_others "$rs_left"
        record_completed "$(cat "$rs_folder/release")"
      else
        take_back "$(read_file "$rs_folder/old")" "$rs_left" || return 1
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
  going_back=
  find_compose
  recover || { state "refused recovery"; return 0; }
  old_release=$(read_file "$base/serving" | grep . || echo none)
  if ! back_up; then note_failure backup ""; state "refused backup"; return 0; fi
  # During a backup nobody looks: nothing has changed yet.
  if is_aborted; then state "rolled-back aborted"; return 0; fi
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
