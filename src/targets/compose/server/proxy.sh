# Two containers, and a proxy between them whose one file moves traffic.

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
# Whether the proxy can reach a container by its name. Not every test of a configuration asks for names. A proxy that has no
# network of its own is not judged.
is_reachable() { # CONTAINER
  rs_text=$(networks_of "$rs_proxy_container") && [ -n "$rs_text" ] || return 0
  for rs_network in $(networks_of "$1"); do
    case " $rs_text " in *" $rs_network "*) return 0 ;; esac
  done
  return 1
}
networks_of() { docker inspect -f '{{range $name, $one := .NetworkSettings.Networks}}{{$name}} {{end}}' "$1" 2>/dev/null 9>&-; }
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
  put "$rs_a/before" "$before" || { reason=space; return 1; }
  install_env "$base/releases/$rs_release" || { reason=space; return 1; }
  bring_up "$base/releases/$rs_release" --no-recreate --scale "$rs_service=$((rs_count + 1))" "$rs_service" ||
    { find_new; return 1; }
  find_new
  [ -n "$new" ] || { reason=compose; return 1; }
  is_reachable "$new" || { reason=network; return 1; }
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
  judge "$(look_until_seen "$old")" 99
  if [ "$verdict" = failed ]; then state "back-failed $rs_why $reason"; else state "rolled-back $rs_why"; fi
}
# An engine that is started again answers after a moment.
look_until_seen() {
  for rs_try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    look_at "$1" && return 0
    pause_for 1
  done
  echo "dead none 0 0 false"
}
# The container that has the traffic: the one in the file of the proxy, should others have been left.
serving_container() {
  for rs_id in $(ids --filter status=running); do
    if grep -qwF -- "$(name_of "$rs_id")" "$rs_proxy_file" 2>/dev/null; then echo "$rs_id"; return 0; fi
  done
  ids --filter status=running | head -n 1
}
switch() {
  new=
  moved=
  remove_unstarted
  old=$(serving_container)
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
