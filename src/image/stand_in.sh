#!/bin/sh
# Stands in for buildx in tests: reads what to do from beside the link it was started by. A program that a test
# writes and runs at once can be "busy" in a process with several threads; one that is only linked cannot.
. "${0%/*}/script"
