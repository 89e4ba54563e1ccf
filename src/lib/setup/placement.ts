import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Context } from '../passthrough/context.ts'
import { failureToError } from '../passthrough/look.ts'
import { whyNotThere } from '../passthrough/qube-directory.ts'
import type { KnownQube } from '../qubes/admin/qube-list.ts'
import type { Kind } from './pieces.ts'

/** Where what is installed for a USB qube is kept. */
export interface Placement {
  backend: QubeName
  kind: Kind
  /** The qube whose disk keeps it. */
  keeper: QubeName
}

/**
 * Finds out by qubesd what kind of qube the backend is. Without qubesd it is taken for an AppVM that keeps its own.
 * @param wished the qube that the user names: a template, or the disposable template
 * @throws QusbError
 */
export async function findPlacement(
  context: Context,
  backend: QubeName,
  wished: QubeName | undefined,
): Promise<Placement> {
  const qubes = await context.directory.qubes()
  if (qubes === undefined) {
    if (wished === undefined || wished === backend) return { backend, kind: 'private', keeper: backend }
    throw new QusbError('NOT_RUNNING', `without qubesd it cannot be told what kind of qube ${wished} is`, {
      hint: 'See: systemctl status qubesd',
    })
  }
  const self = find(qubes, backend)
  if (wished !== undefined && wished !== backend) {
    return { backend, kind: kindOf(find(qubes, wished), self), keeper: wished }
  }
  switch (self.class) {
    case 'DispVM': {
      const { askForTemplate } = await import('../qubes/admin/ask.ts')
      const keeper = await askForTemplate({ site: context.site, signal: context.signal }, backend)
      if (keeper !== undefined) return { backend, kind: 'disposable', keeper }
      throw new QusbError('NOT_FOUND', `qubesd does not say which disposable template ${backend} has`, {
        hint: `Name it: qusb setup backend ${backend} --in DISPOSABLE-TEMPLATE`,
      })
    }
    case 'StandaloneVM':
      return { backend, kind: 'system', keeper: backend }
    case 'TemplateVM':
      throw new QusbError('USAGE', `${backend} is a template, no USB qube`, {
        hint: `Name the USB qube, and the template with --in: qusb setup backend sys-usb --in ${backend}`,
      })
    default:
      return { backend, kind: 'private', keeper: backend }
  }
}

function kindOf(keeper: KnownQube, backend: KnownQube): Kind {
  if (keeper.class === 'TemplateVM') return 'system'
  if (backend.class === 'DispVM' && keeper.class === 'AppVM') return 'disposable'
  throw new QusbError('USAGE', `${keeper.name} is no template that ${backend.name} could be based on`, {
    hint: `See: qvm-prefs ${backend.name} template`,
  })
}

function find(qubes: ReadonlyMap<QubeName, KnownQube>, name: QubeName): KnownQube {
  const known = qubes.get(name)
  if (known !== undefined) return known
  const absent = whyNotThere(qubes, name)
  throw absent === undefined
    ? new QusbError('USAGE', `${name} is no USB qube`, {
        hint: 'Name the qube that has the USB controllers: qvm-pci tells which.',
      })
    : failureToError(absent)
}

/**
 * Does something in a qube that need not run: it is started for that, and shut down again.
 * @throws QusbError; what the work throws
 */
export async function whileRunning<T>(context: Context, qube: QubeName, work: () => Promise<T>): Promise<T> {
  if (!(await isHalted(context, qube))) return await work()
  const { startQube } = await import('../passthrough/start-frontend.ts')
  await startQube(context, qube)
  try {
    return await work()
  } finally {
    const { callAdmin } = await import('../qubes/admin/call.ts')
    context.progress(`shutting ${qube} down again`)
    await callAdmin(context.site, { method: 'admin.vm.Shutdown', dest: qube, timeoutMs: 60_000 })
    context.directory.forget()
  }
}

/** Whether qubesd says so; without one nobody knows, and the call itself tells. */
export async function isHalted(context: Context, qube: QubeName): Promise<boolean> {
  context.directory.forget()
  return (await context.directory.qubes())?.get(qube)?.state === 'halted'
}
