// The main job before the reader's eyes: `npm start`. Everything is done by the built program, as a user would do it.
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const program = join(root, 'bin/qusb.cjs')
const LAB = 'demo'
const lively = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
const strong = (text) => (lively ? `\u001b[1m${text}\u001b[22m` : text)

const env = { ...process.env }
delete env.QUSB_SITE

function fail(what, status) {
  process.stderr.write(`\nnpm start: ${what} ended with ${status}, so the demonstration ends here.\n`)
  process.exit(1)
}

/** Runs a step that is not part of the show; its words are shown only if it fails. */
function prepare(what, command, args) {
  process.stdout.write(`${what}…\n`)
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], env })
  if (status !== 0) fail(what, status)
}

/** Shows what this is about. */
function say(text) {
  process.stdout.write(`\n${text}\n`)
}

/** Shows a command line, then what it prints: the real thing, on the reader's own terminal. */
function run(line) {
  process.stdout.write(`${strong(`$ ${line}`)}\n`)
  const { status } = spawnSync('sh', ['-c', `qusb() { "$QUSB_NODE" "$QUSB_PROGRAM" "$@"; }\n${line}`], {
    cwd: root,
    stdio: 'inherit',
    env: { ...env, QUSB_NODE: process.execPath, QUSB_PROGRAM: program },
  })
  if (status !== 0) fail(line, status)
}

/** Runs qusb behind the scenes. @returns what it printed on stdout; undefined when it failed */
function ask(...args) {
  const { status, stdout } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    env,
    encoding: 'utf8',
  })
  return status === 0 ? stdout : undefined
}

prepare('Installing what the lockfile names, where it is not there yet', process.execPath, [
  join(root, 'scripts/install.mjs'),
])
prepare('Building', process.execPath, [join(root, 'scripts/build.mjs')])

// The demonstration of an earlier run is in the way; nobody else names a lab so.
ask('lab', 'down', '--name', LAB)

say('A lab: qubes, USB devices and qrexec on this machine, so that nothing of Qubes OS is needed.')
run(`qusb lab up --name ${LAB}`)
const { site, devices } = JSON.parse(ask('lab', 'status', '--name', LAB, '--json') ?? '{}')
const image = devices?.find((device) => device.kind === 'stick')?.image
if (typeof site !== 'string' || typeof image !== 'string') fail('qusb lab status', 'no site or no stick')
env.QUSB_SITE = site
env.STICK = image

say('Something to find again: a line in the first block of the stick, written on this side of the lab.')
run(`echo 'Hello from the stick.' | dd of="$STICK" conv=notrunc status=none`)

say('The USB devices of sys-usb, and who has them: nobody yet.')
run('qusb list')

say('The stick at port 2-1 goes to the qube work. It is there: work reads its first block, through USB/IP.')
run('qusb attach sys-usb 2-1 work')
run(`qusb lab exec work --name ${LAB} -- lab-read sda 0 1 | od -A d -c | head -n 3`)

say('A thermometer, by what it is instead of where it is plugged: work asks it for the temperature.')
run('qusb attach sys-usb 08f7:0002 work')
run(`qusb lab exec work --name ${LAB} -- lab-temperature`)
run('qusb list')

say('Back to sys-usb, both sides clean.')
run('qusb detach sys-usb 2-1')
run('qusb detach --from work')
run('qusb list')
run('qusb history')

say(`The lab is still up. To go on by hand:

  export QUSB_SITE=${site}
  alias qusb='node ${program}'
  qusb info sys-usb 1-2
  qusb attach            # asks for what is missing
  qusb --help

and, when done:

  qusb lab down --name ${LAB}`)
