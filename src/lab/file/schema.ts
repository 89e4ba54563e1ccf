import * as z from 'zod/mini'
import { DEVICE_KINDS } from '../devices/kinds.ts'

/** Kinds that only QEMU emulates; the process engine says so when it meets one. */
export const KERNEL_ONLY_KINDS = {
  'qemu-stick': "QEMU's own mass-storage stick, at SuperSpeed or 480 Mb/s (kernel engine only)",
  'qemu-keyboard': "QEMU's own keyboard (kernel engine only)",
  'qemu-serial': "QEMU's own serial adapter, which sends back what it gets (kernel engine only)",
  tablet: 'a USB tablet, hidden by Qubes (kernel engine only)',
  mtp: 'a media player that speaks MTP (kernel engine only)',
} as const

const KINDS = [...Object.keys(DEVICE_KINDS), ...Object.keys(KERNEL_ONLY_KINDS)] as [string, ...string[]]

const qubeName = z.string().check(z.regex(/^[a-zA-Z][a-zA-Z0-9_.-]{0,30}$/, 'not a name for a qube'))
const port = z
  .string()
  .check(z.regex(/^[1-9][0-9]?-[1-9][0-9]?(\.[1-9][0-9]?)*$/, 'not a port such as 2-1 or 1-4.1'))
const hex4 = z.string().check(z.regex(/^[0-9a-f]{4}$/, 'four lower-case hex digits'))

/** What a backend does with a device, so that a guard has something to look at. */
const use = z.strictObject({
  /** Mount point of the block device (its first partition if it has one) in the backend's /proc/mounts. */
  mounted: z.optional(z.string()),
  /** In /proc/swaps. */
  swap: z.optional(z.boolean()),
  /** Under a device-mapper or md device (`holders/`), by that device's name. */
  heldBy: z.optional(z.string().check(z.regex(/^(dm-|md)[0-9]+$/))),
  /** The qube that its block device was given to (qvm-block). */
  givenTo: z.optional(qubeName),
  /** A keyboard or mouse that dom0 types on: an input sender runs for it. */
  typesInDom0: z.optional(z.boolean()),
})

export const deviceSchema = z.strictObject({
  backend: qubeName,
  kind: z.enum(KINDS),
  /** Where it is plugged; left out, the first free port of a bus of its speed. A `1-4.1` makes the hub `1-4`. */
  port: z.optional(port),
  /** Left out: the kind's default; null: none. */
  serial: z.optional(z.nullable(z.string())),
  /** Mb/s; a stick takes 480 and 5000. */
  speed: z.optional(z.union([z.literal(1.5), z.literal(12), z.literal(480), z.literal(5000)])),
  vendorId: z.optional(hex4),
  productId: z.optional(hex4),
  manufacturer: z.optional(z.nullable(z.string())),
  product: z.optional(z.nullable(z.string())),
  /** Degrees Celsius of a thermometer. */
  temperature: z.optional(z.number()),
  /** Not published in QubesDB: hidden on purpose. */
  hidden: z._default(z.boolean(), false),
  /** False: USBGuard has not let it in, so it has no interface directories. */
  authorized: z._default(z.boolean(), true),
  /** Size of a stick's image in MiB. */
  sizeMiB: z._default(z.int().check(z.minimum(1), z.maximum(1024)), 4),
  /** Partitions of a stick as sysfs shows them. */
  partitions: z._default(z.int().check(z.minimum(0), z.maximum(4)), 0),
  use: z.prefault(use, {}),
})

export const qubeSchema = z.strictObject({
  name: qubeName,
  state: z._default(z.enum(['running', 'paused', 'halted']), 'running'),
  /** Has USB controllers: gets root hubs and publishes its devices. */
  backend: z._default(z.boolean(), false),
  /** The USB proxy, by side: without the first USBAttach ends in 127, without the second there is no device info. */
  proxy: z.prefault(
    z.strictObject({ frontend: z._default(z.boolean(), true), backend: z._default(z.boolean(), true) }),
    {},
  ),
  /** An HVM whose USB goes to a stub domain: a second socket `NAME-dm`, and no frontend proxy in the qube itself. */
  stubdom: z._default(z.boolean(), false),
  /** Free ports of the virtual host, for each of USB 2 and USB 3; 8 when left out. A real kernel has what it has. */
  vhciPorts: z.optional(z.int().check(z.minimum(0), z.maximum(15))),
  /** How long its proxy waits for a device to appear; left out as the real one, 5 s, which a crowd on a small machine misses. */
  importSeconds: z.optional(z.int().check(z.minimum(1), z.maximum(600))),
  /** How often its proxy looks whether an export is over; left out as the real one, 1 s, for which many detaches would wait. */
  exportLookSeconds: z.optional(z.number().check(z.minimum(0.05), z.maximum(60))),
  /** False: a detach at the backend leaves the device on usbip-host, as versions up to 4.3.6 do. */
  rebindsOnDetach: z._default(z.boolean(), true),
  /** `two-words`: what is published before linux-utils 4.3.0 (two words, no interfaces). */
  publishes: z._default(z.enum(['full', 'two-words']), 'full'),
  /** What a shell's profile prints before a service says anything. */
  profileNoise: z._default(z.string(), ''),
  /** As qubesd calls it; a paused DispVM is a preloaded one. */
  class: z._default(z.enum(['AppVM', 'DispVM', 'TemplateVM', 'StandaloneVM']), 'AppVM'),
  /** A management qube: qusb runs as in it by a site file of its own, `qubes/NAME/site.json`. Policy says what it may. Process engine only. */
  management: z._default(z.boolean(), false),
  /** What it is based on; a DispVM on its disposable template, an AppVM. */
  template: z.optional(qubeName),
  /** Its services that are on (`qvm-service`): names in /run/qubes-service. */
  services: z._default(z.array(z.string().check(z.regex(/^[a-z0-9-]{1,48}$/))), []),
  /** Interface codes that qubesd denies it, `u03****`. */
  denied: z._default(z.array(z.string().check(z.regex(/^[a-z?][0-9a-f*]{6}$/))), []),
})

/** What the lab's qubesd says that it will attach by itself. */
const assignmentSchema = z.strictObject({
  frontend: qubeName,
  backend: qubeName,
  /** `*`: whatever the port. */
  port: z._default(z.union([port, z.literal('*')]), '*'),
  /** `VID:PID:SERIAL:INTERFACES`; `*`: whatever the device. */
  device: z._default(z.string(), '*'),
  mode: z._default(z.enum(['auto-attach', 'ask-to-attach', 'required']), 'auto-attach'),
})

export const labFileSchema = z.strictObject({
  qubes: z.array(qubeSchema).check(z.minLength(1)),
  devices: z._default(z.array(deviceSchema), []),
  /** Policy files put into the lab's /etc/qubes/policy.d before it starts: name to text. */
  policy: z._default(z.record(z.string(), z.string()), {}),
  /** Which generation of qubesd answers at the site's `qubesdSocket`. */
  qubesd: z._default(z.enum(['4.2', '4.3', 'none']), '4.3'),
  assignments: z._default(z.array(assignmentSchema), []),
})

export type DeviceDefinition = z.infer<typeof deviceSchema>
export type AssignmentDefinition = z.infer<typeof assignmentSchema>
export type QubeDefinition = z.infer<typeof qubeSchema>
/** A lab as its file describes it, defaults filled in. */
export type LabFile = z.infer<typeof labFileSchema>
/** A lab as a person writes it. */
export type LabFileText = z.input<typeof labFileSchema>
