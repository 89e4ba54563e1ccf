import type { Device } from '../model/device.ts'
import type { Assignment } from '../qubes/admin/device-lines.ts'
import type { Context } from './context.ts'
import type { ListedDevice } from './results.ts'

/** What qubesd will attach by itself, to any qube; none where nobody knows. Never throws. */
export async function findAssignments(context: Context): Promise<readonly Assignment[]> {
  return await context.directory.askMore<readonly Assignment[]>(
    'what it attaches by itself',
    context.signal,
    [],
    async (asking, qubes) => {
      const { askForAssignments } = await import('../qubes/admin/ask.ts')
      const names = [...qubes.values()].filter((qube) => qube.class !== 'TemplateVM').map((qube) => qube.name)
      return (await askForAssignments(asking, names)).entries
    },
  )
}

/** The assignment that is about this device, the one that names it most closely first. Pure. */
export function assignmentOf(device: Device, assignments: readonly Assignment[]): ListedDevice['assignment'] {
  const closeness = ({ port, identity }: Assignment): number =>
    (identity === null ? 0 : 2) + (port === null ? 0 : 1)
  const [first, ...others] = assignments
    .filter((assignment) => isAbout(assignment, device))
    .sort((one, other) => closeness(other) - closeness(one))
  if (first === undefined) return null
  const also = others.map(({ frontend, mode }) => ({ frontend, mode }))
  return { frontend: first.frontend, mode: first.mode, also }
}

function isAbout({ backend, port, identity }: Assignment, device: Device): boolean {
  if (backend !== device.backend || (port !== null && port !== device.port)) return false
  return (
    identity === null ||
    (identity.vendorId === device.vendorId &&
      identity.productId === device.productId &&
      identity.serial === device.serial &&
      !identity.serialUnsafe)
  )
}
