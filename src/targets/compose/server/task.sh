# One-off commands: a container of a release beside what serves.

# A container of a release beside what serves, with the files and the variables of that release. The same is started once.
start_task() {
  if docker inspect "$rs_task_name" >/dev/null 2>&1; then echo "started $rs_task"; return 0; fi
  rs_new=$base/releases/$rs_release
  [ -f "$rs_new/facts" ] || { echo "refused release"; return 0; }
  # `env_file: .env` is read while the container is made: no attempt may do the same then.
  take_lock || { echo "refused busy"; return 0; }
  find_compose
  rs_a=$base
  trap 'restore_env "$rs_a"; rm -f "$rs_a/env-missing"' EXIT
  trap 'exit 129' HUP INT TERM PIPE
  keep_env && install_env "$rs_new" || { echo "refused space"; return 0; }
  remove_ended_tasks
  eval "set -- $rs_command"
  if rs_text=$(compose "$rs_new" run -d --no-deps --name "$rs_task_name" --label "roadstead.owner=$rs_owner" "$rs_service" "$@" 2>&1); then
    echo "started $rs_task"
  else
    docker rm -f "$rs_task_name" >/dev/null 2>&1 9>&-
    echo "refused compose"
    show_error "$rs_text"
  fi
}
# What earlier commands left: their answers were read long ago.
remove_ended_tasks() {
  for rs_id in $(docker ps -aq --filter "label=com.docker.compose.project=$rs_project" --filter label=roadstead.owner --filter status=exited 9>&-); do
    case $(name_of "$rs_id") in "$rs_project-$rs_service-task-"*) docker rm "$rs_id" >/dev/null 9>&- ;; esac
  done
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
