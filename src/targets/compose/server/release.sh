# A release is put on the server, without traffic: its files, its image, and everything that can be found wrong before a change.

stage() {
  # This text has variables and credentials, so its file goes before anything else happens. What reads it has it open.
  ! grep -qs '^# --- program ---$' "$0" || rm -f "$0"
  find_compose
  mkdir -p "$base/releases" "$base/attempts" || { echo "refused directory"; return 0; }
  [ "$rs_adopt" = no ] || adopt || { echo "refused adopt"; return 0; }
  if is_staged; then return 0; fi
  rs_new=$base/releases/.new.$$
  rm -rf "$rs_new"
  mkdir -p "$rs_new/files" && write_release "$rs_new" || { rm -rf "$rs_new"; echo "refused space"; return 0; }
  if ! rs_text=$(compose "$rs_new" config -q 2>&1); then refuse config "$rs_text"; return 0; fi
  if ! has_service; then refuse service ""; return 0; fi
  if rs_text=$(taken_ports); then refuse port "$rs_text"; return 0; fi
  if ! rs_text=$(pull 2>&1); then refuse pull "$rs_text"; return 0; fi
  if rs_text=$(foreign_platform); then refuse pull "$rs_text"; return 0; fi
  # The same request, sent again because its answer was lost, may have been faster.
  if is_staged; then rm -rf "$rs_new"; return 0; fi
  mv "$rs_new" "$base/releases/$rs_release" && echo "staged"
}
# Whether a release has this number already, and whether it is the same one.
is_staged() {
  [ -f "$base/releases/$rs_release/facts" ] || return 1
  if [ "$(cat "$base/releases/$rs_release/facts")" = "$rs_facts" ]; then echo "staged"; else echo "refused taken"; fi
}
# Whether the user's own files have the service: the file that pins the image has it in any case.
has_service() {
  rs_text=$(rs_which='[!9]*' && compose "$rs_new" --profile '*' config --services 2>/dev/null) || return 0
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
names_platform() { service_config | grep -q '^    platform: '; }
# The service as Compose understands it, with everything of other files and of variables in it.
service_config() {
  compose "$rs_new" --profile '*' config 2>/dev/null | awk -v name="$rs_service" '
    /^[^ ]/ { inside = /^services:/; here = 0 }
    inside && /^  [^ ]/ { key = $1; gsub(/["\047:]/, "", key); here = key == name; next }
    here'
}
# Ports that something else has: Compose would find out after the old container has ended. True if there are some.
taken_ports() {
  service_config | awk '
    /^    [^ ]/ { ports = $1 == "ports:" }
    /^      - / { address = "*"; port = "" }
    { gsub(/["\047]/, ""); sub(/^ *- /, "") }
    ports && $1 == "host_ip:" { address = $2 }
    ports && $1 == "published:" { port = $2 }
    ports && $1 == "protocol:" && $2 == "tcp" && port ~ /^[0-9]+$/ { print port, address }' |
    while read -r rs_port rs_address; do
      [ -z "$(ids --filter "publish=$rs_port")" ] || continue
      ! is_taken "$rs_port" "$rs_address" || echo "port $rs_port is in use"
    done | grep .
}
is_taken() { # PORT ADDRESS
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$1" -v address="$2" '
    BEGIN {
      split(address, part, ".")
      if (address ~ /^[0-9.]+$/ && address != "0.0.0.0") wanted = sprintf("%02X%02X%02X%02X", part[4], part[3], part[2], part[1])
      port = sprintf("%04X", port)
    }
    $4 == "0A" {
      split($2, place, ":")
      if (place[2] == port && (wanted == "" || place[1] ~ /^0+$/ || place[1] == wanted)) found = 1
    }
    END { exit !found }'
}
refuse() {
  rm -rf "$rs_new"
  echo "refused $1"
  show_error "$2"
}
show_error() { printf '%s\n' "$1" | tail -n 5 | hide_variables | cut -c1-500 | sed 's/^/error /'; }
# Compose quotes the line of a file of variables that it cannot read: a secret. Lines of YAML stay.
hide_variables() { sed -e '/yaml: /!s/\(: line [0-9][0-9]*\).*/\1/' -e 's/\(in variable name\).*/\1/' -e 's/\(unterminated quoted value\).*/\1/'; }
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
