import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Site } from '../site/site.ts'

/** How long a notification may take to be handed over, ms. */
const NOTIFY_MS = 5000

/** What the dialogs need of an environment, and nothing else of it. */
const PASSED = [
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
  'HOME',
  'LANG',
]

/** Where a desktop is found by who is not started from it. */
export interface Seat {
  env: NodeJS.ProcessEnv
  uid: number
  user: string
  exists(path: string): boolean
}

/**
 * The environment for a dialog. A unit has no DISPLAY: then the first display of this machine, with the session's own bus
 * and cookie where they usually are (dom0 logs its one user in by lightdm).
 * @returns undefined where there is no desktop
 */
export function findDesktop({ env, uid, user, exists }: Seat): Record<string, string> | undefined {
  const found: Record<string, string> = { PATH: '/usr/bin:/bin' }
  for (const name of PASSED) {
    const value = env[name]
    if (value !== undefined && value !== '') found[name] = value
  }
  if (found.DISPLAY !== undefined || found.WAYLAND_DISPLAY !== undefined) return found
  if (!exists('/tmp/.X11-unix/X0')) return undefined
  found.DISPLAY = ':0'
  const bus = `/run/user/${uid}/bus`
  if (exists(bus)) found.DBUS_SESSION_BUS_ADDRESS ??= `unix:path=${bus}`
  const cookies = [`/run/lightdm/${user}/xauthority`, join(found.HOME ?? '/nonexistent', '.Xauthority')]
  const cookie = cookies.find(exists)
  if (cookie !== undefined) found.XAUTHORITY ??= cookie
  return found
}

function seat(user: string): Seat {
  return { env: process.env, uid: process.getuid?.() ?? 0, user, exists: existsSync }
}

/**
 * Asks with a dialog. Only its yes is yes: the dialog closed, the time over, a dialog that cannot be shown are all no.
 * @param question.text clean text; no markup in it counts
 * @returns undefined where there is no desktop, or no program that shows a dialog
 */
export async function askOnDesktop(
  site: Site,
  user: string,
  question: { title: string; text: string; timeoutMs: number },
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const env = findDesktop(seat(user))
  const dialog = dialogFor(site, question)
  if (env === undefined || dialog === undefined) return undefined
  const { exitCode } = await run(dialog, env, question.timeoutMs, signal)
  return exitCode === 0
}

interface Program {
  file: string
  args: string[]
}

function dialogFor(
  site: Site,
  { title, text, timeoutMs }: { title: string; text: string; timeoutMs: number },
): Program | undefined {
  if (existsSync(site.zenity)) {
    // zenity reads backslashes as C does.
    const words = text.replaceAll('\\', '\\\\')
    const seconds = String(Math.max(1, Math.ceil(timeoutMs / 1000)))
    const flags = ['--question', '--no-markup', '--default-cancel', `--timeout=${seconds}`]
    return { file: site.zenity, args: [...flags, `--title=${title}`, `--text=${words}`] }
  }
  if (existsSync(site.kdialog)) {
    return {
      file: site.kdialog,
      args: ['--title', withoutMarkup(title), '--warningyesno', withoutMarkup(text)],
    }
  }
  return undefined
}

/** Says something on the desktop; where there is none, nobody hears it. */
export async function notifyDesktop(site: Site, user: string, title: string, text: string): Promise<void> {
  const env = findDesktop(seat(user))
  if (env === undefined || !existsSync(site.notifySend)) return
  const args = ['--app-name=qusb', '--', withoutMarkup(title), withoutMarkup(text)]
  await run({ file: site.notifySend, args }, env, NOTIFY_MS)
}

/** Some take `<b>` for markup and have no flag against it. */
function withoutMarkup(text: string): string {
  return text.replace(/[<>&]/g, '_')
}

async function run(
  { file, args }: Program,
  env: Record<string, string>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ exitCode: number | undefined }> {
  const child = execa(file, args, {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
    reject: false,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    extendEnv: false,
    env,
  })
  const onAbort = (): void => void child.kill('SIGKILL')
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted === true) onAbort()
  try {
    return { exitCode: (await child).exitCode }
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}
