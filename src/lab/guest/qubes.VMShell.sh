#!/bin/sh
# qubes.VMShell: runs the commands that come on stdin.
exec sh
