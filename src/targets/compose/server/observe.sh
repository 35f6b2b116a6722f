# What is there: the host, the containers, the releases, the attempts. Nothing here changes anything.

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
