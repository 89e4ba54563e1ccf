// The floor: a bare script that starts a process and prints a line.
require('node:child_process').spawnSync('/bin/true')
process.stdout.write('done\n')
