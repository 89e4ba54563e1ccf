import { type ErrorCode, EXIT_CODES } from '../../src/lib/errors.ts'

/** What an exit code means, and what is to be done then; a code without words fails the compilation. */
const ERROR_WORDS: Readonly<Record<ErrorCode, { means: string; remedy: string }>> = {
  INTERNAL: {
    means: 'A fault of qusb.',
    remedy:
      'Run it again with --debug, and report what it prints. What was begun is settled by the next command.',
  },
  USAGE: {
    means: 'Bad arguments, a malformed selector or qube name, a configuration or rule that is not valid.',
    remedy:
      'The message names the word, or the file and the place in it, and the hint says how it is written.',
  },
  NOT_FOUND: {
    means: 'No such device, qube or backend.',
    remedy:
      'Look at what there is with qusb list. A device that is plugged in and not listed is hidden by its backend (qusb list --all), not let in by USBGuard, or in a USB qube that is halted or that qusb does not know: name it.',
  },
  AMBIGUOUS: {
    means: 'The selector names several devices; they are listed, each with a selector to paste.',
    remedy:
      'Paste one of those. Devices that are alike and have no serial can only be told apart by where they are plugged.',
  },
  CONFLICT: {
    means: 'Attached to another frontend, or another qusb is at work on it.',
    remedy:
      'Take it from the other qube with qusb move or --replace, or try again in a moment. Where the message says that the device became another one, do not: what changes while it is being attached may be hostile.',
  },
  REFUSED: {
    means: 'A guard, a deny rule, the Qubes policy or the user said no.',
    remedy:
      'The message says who. A guard gives way to --force: unmount the disk first, and have another keyboard at hand. A rule of policy gives way only to an edit of the file and line that are named.',
  },
  NOT_RUNNING: {
    means: 'No connection: the qube is halted, paused, or its agent does not answer.',
    remedy:
      'Start or unpause it. A running qube that does not answer is out of memory, still starting, or hung; who may not use qrexec, not being in the group qubes, is told the same.',
  },
  NO_PROXY: {
    means: 'The USB proxy is missing; the message says on which side.',
    remedy:
      'Install the package qubes-usb-proxy in the template of that qube, and restart the qube. A minimal template does not have it.',
  },
  TIMEOUT: {
    means: 'Connected, and not finished in time.',
    remedy:
      'It was undone, or the message says that it was not. Try again with a longer --timeout; a backend that goes on not to finish has a device or a kernel that hangs: unplug the device.',
  },
  ATTACH_FAILED: {
    means: 'The proxy or the kernel reported a failure.',
    remedy:
      'The cause is told where it can be known: no free port in the frontend, no kernel module, a device that did not come up. Their own words stand below it. The journal of both qubes (journalctl -k) has more.',
  },
  STORE: {
    means: 'A file of qusb cannot be read or written.',
    remedy:
      'The message names the file: a disk that is full, a directory that is missing (sudo qusb setup dom0) or that everybody may write. A state file that is damaged is set aside by itself; it is never what decides who has a device.',
  },
  INTERRUPTED: {
    means: 'Interrupted by a signal; undone unless the message says otherwise.',
    remedy: 'Nothing, or any qusb command: it settles what is left.',
  },
  TERMINATED: {
    means: 'Ended by a signal; undone unless the message says otherwise.',
    remedy: 'The same.',
  },
}

/** Every error code, in the order of the exit codes. */
export function describeErrors(): { code: string; exitCode: number; means: string; remedy: string }[] {
  return Object.entries(ERROR_WORDS).map(([code, words]) => ({
    code,
    exitCode: EXIT_CODES[code as ErrorCode],
    ...words,
  }))
}
