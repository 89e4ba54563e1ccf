import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DeviceDefinition } from '../file/schema.ts'
import type { BlockNode } from './block-nodes.ts'
import { link, remove, writeAttributes } from './tree.ts'

const MOUNTS = 'sysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0\n/dev/xvda3 / ext4 rw,relatime 0 0\n'
const SWAPS =
  'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/xvdc1                              partition\t1048572\t\t0\t\t-2\n'

/** A disk with what its backend does with it. */
export interface UsedDisk {
  readonly use: DeviceDefinition['use']
  readonly disk: BlockNode
}

/** Writes the files by which a guard sees that a disk is in use, for all disks of a backend. */
export function showUses(
  root: string,
  disks: readonly UsedDisk[],
  domidOf: (qube: string) => number | null,
): void {
  const sys = join(root, 'sys')
  const devices = disks.map(({ use, disk }) => ({ use, disk, node: disk.partitions[0] ?? disk.name }))
  mkdirSync(join(root, 'proc'), { recursive: true })
  writeFileSync(
    join(root, 'proc/mounts'),
    MOUNTS +
      devices
        .filter(({ use }) => use.mounted !== undefined)
        .map(
          ({ use, node }) =>
            `/dev/${node} ${escapePath(use.mounted ?? '')} vfat rw,nosuid,nodev,relatime 0 0\n`,
        )
        .join(''),
  )
  writeFileSync(
    join(root, 'proc/swaps'),
    SWAPS +
      devices
        .filter(({ use }) => use.swap)
        .map(({ node }) => `${`/dev/${node}`.padEnd(39)} partition\t4092\t\t0\t\t-3\n`)
        .join(''),
  )
  for (const { use, disk, node } of devices) {
    const dir = node === disk.name ? disk.dir : join(disk.dir, node)
    if (use.heldBy !== undefined) {
      const holder = join(sys, 'devices/virtual/block', use.heldBy)
      writeAttributes(holder, { dev: '253:0', size: '8192' })
      link(join(sys, 'class/block', use.heldBy), holder)
      link(join(holder, 'slaves', node), dir)
      link(join(dir, 'holders', use.heldBy), holder)
    }
    const domid = use.givenTo === undefined ? null : domidOf(use.givenTo)
    if (domid !== null) {
      const vbd = join(sys, `bus/xen-backend/devices/vbd-${domid}-51744`)
      const [major = '0', minor = '0'] = disk.dev.split(':')
      writeAttributes(vbd, {
        physical_device: `${Number(major).toString(16)}:${Number(minor).toString(16)}`,
        mode: 'w',
      })
    }
  }
}

/** Takes away the holder of a disk that has gone. */
export function hideUse(root: string, use: DeviceDefinition['use'], domid: number | null): void {
  const sys = join(root, 'sys')
  if (use.heldBy !== undefined)
    remove(join(sys, 'devices/virtual/block', use.heldBy), join(sys, 'class/block', use.heldBy))
  if (domid !== null) remove(join(sys, `bus/xen-backend/devices/vbd-${domid}-51744`))
}

/** Octal escapes of /proc/mounts (kernel: seq_path). */
const escapePath = (path: string): string =>
  path.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`)
