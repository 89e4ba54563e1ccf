import { QusbError } from '../lib/errors.ts'
import type { QubeName } from '../lib/model/names.ts'
import type { Context } from '../lib/passthrough/context.ts'
import type { DeviceWords } from '../lib/passthrough/find-device.ts'
import { list } from '../lib/passthrough/list.ts'
import { readWords } from '../lib/passthrough/read-words.ts'
import type { ListedDevice } from '../lib/passthrough/results.ts'
import { requireRunningQubes } from '../lib/passthrough/running-qubes.ts'
import type { Words } from '../lib/passthrough/words.ts'
import { chooseAttachments, chooseDevice, chooseFrontend } from '../lib/view/questions.ts'

/**
 * The device that the words name, or one that the user chooses.
 * @throws QusbError USAGE when it is missing and nobody can be asked
 */
export async function askForDevice(context: Context, words: Words, mayAsk: boolean): Promise<DeviceWords> {
  const { backend, selector } = words
  if (selector !== undefined) return { backend, selector }
  if (!mayAsk) throw missing('DEVICE', 'sys-usb 2-1')
  const { result, failure } = await list(context, {
    backends: backend === undefined ? [] : [backend],
    all: false,
    attached: false,
  })
  if (failure !== undefined) throw failure
  if (result.devices.length === 0) {
    throw new QusbError('NOT_FOUND', 'there is no device to choose', {
      hint: 'Plug it in. Hubs, and what is hidden on purpose, show with: qusb list --all',
    })
  }
  context.progress('')
  const device = await chooseDevice(result.devices, context.signal)
  return { backend: device.backend, selector: { kind: 'port', port: device.port, text: device.port } }
}

/**
 * The device and the frontend that the arguments name; what they leave out is asked for.
 * @throws QusbError USAGE when something is missing and nobody can be asked
 */
export async function askForAttach(
  context: Context,
  args: Record<'backend' | 'device' | 'frontend', string | undefined>,
  mayAsk: boolean,
): Promise<DeviceWords & { frontend: QubeName }> {
  const words = await readWords(context, [args.backend, args.device, args.frontend])
  const device = await askForDevice(context, words, mayAsk)
  const frontend = await askForFrontend(context, { ...words, backend: device.backend }, mayAsk)
  return { ...device, frontend }
}

/** The frontend that the words name, or one that the user chooses among the running qubes. */
export async function askForFrontend(context: Context, words: Words, mayAsk: boolean): Promise<QubeName> {
  if (words.frontend !== undefined) return words.frontend
  if (!mayAsk) throw missing('FRONTEND', 'sys-usb 2-1 work')
  const names = [...(await requireRunningQubes(context)).keys()]
    .filter((name) => name !== words.backend)
    .sort()
  if (names.length === 0) {
    throw new QusbError('NOT_RUNNING', 'no other qube is running', {
      hint: 'Start the one that shall have the device, or name it: qusb attach --start BACKEND DEVICE FRONTEND',
    })
  }
  return await chooseFrontend(names, context.signal)
}

/**
 * What the user chooses among all that is attached.
 * @throws QusbError USAGE when nobody can be asked
 */
export async function askForAttachments(context: Context, mayAsk: boolean): Promise<ListedDevice[]> {
  if (!mayAsk) {
    throw new QusbError('USAGE', 'say what to detach', {
      hint: 'qusb detach BACKEND DEVICE, qusb detach --from FRONTEND, or qusb detach --all.',
    })
  }
  const { result } = await list(context, { backends: [], all: false, attached: true })
  const attached = result.devices.flatMap((device) =>
    device.attachedTo === null ? [] : [{ ...device, frontend: device.attachedTo }],
  )
  context.progress('')
  return attached.length === 0 ? [] : await chooseAttachments(attached, context.signal)
}

function missing(word: string, example: string): QusbError {
  return new QusbError('USAGE', `${word} is missing`, {
    hint: `For example: ${example}. See the command with --help.`,
  })
}
