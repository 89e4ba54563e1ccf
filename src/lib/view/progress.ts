import type { WriteStream } from 'node:tty'
import { cutToWidth } from './display-width.ts'
import { describeTerminal, plain } from './terminal.ts'

/** Shorter waits pass without a word. */
const QUIET_MS = 500
const FRAME_MS = 100

/**
 * Shows what is being done on a terminal's last line, once something takes longer than half a second.
 * Into a pipe, and on a terminal that cannot go back on a line, nothing is shown. Ends by itself with the program:
 * `exit` clears the line.
 * @returns tells what is being done now; the empty text ends the line
 */
export function startProgress(stream: WriteStream): (what: string) => void {
  if (stream.isTTY !== true || process.env.TERM === 'dumb') return () => {}
  let words = ''
  let frame = 0
  let shown = false
  let timer: NodeJS.Timeout | undefined
  const clear = (): void => {
    if (shown) stream.write('\r\u001b[K')
    shown = false
  }
  const tick = (): void => {
    // Looked up each time: the window may have been made narrower, and a line that wraps cannot be cleared.
    const terminal = describeTerminal(stream, process.env)
    const frames = terminal.unicode ? '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏' : '|/-\\'
    const line = cutToWidth(plain(words, terminal), terminal.width - 3, terminal.unicode)
    stream.write(`\r\u001b[K${frames[frame++ % frames.length]} ${line}`)
    shown = true
    schedule(FRAME_MS)
  }
  const schedule = (ms: number): void => {
    timer = setTimeout(tick, ms)
    timer.unref()
  }
  process.once('exit', clear)
  return (what) => {
    clearTimeout(timer)
    // A line that is already there changes at once; a first one waits.
    const wait = shown ? 0 : QUIET_MS
    if (what === '') clear()
    else schedule(wait)
    words = what
  }
}
