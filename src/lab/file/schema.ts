import * as z from 'zod'
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

const qubeName = z.string().regex(/^[a-zA-Z][a-zA-Z0-9_.-]{0,30}$/, 'not a name for a qube')
const port = z.string().regex(/^[1-9][0-9]?-[1-9][0-9]?(\.[1-9][0-9]?)*$/, 'not a port such as 2-1 or 1-4.1')
const hex4 = z.string().regex(/^[0-9a-f]{4}$/, 'four lower-case hex digits')

/** What a backend does with a device, so that a guard has something to look at. */
const use = z.strictObject({
  /** Mount point of the block device (its first partition if it has one) in the backend's /proc/mounts. */
  mounted: z.string().optional(),
  /** In /proc/swaps. */
  swap: z.boolean().optional(),
  /** Under a device-mapper or md device (`holders/`), by that device's name. */
  heldBy: z
    .string()
    .regex(/^(dm-|md)[0-9]+$/)
    .optional(),
  /** The qube that its block device was given to (qvm-block). */
  givenTo: qubeName.optional(),
  /** A keyboard or mouse that dom0 types on: an input sender runs for it. */
  typesInDom0: z.boolean().optional(),
})

export const deviceSchema = z.strictObject({
  backend: qubeName,
  kind: z.enum(KINDS),
  /** Where it is plugged; left out, the first free port of a bus of its speed. A `1-4.1` makes the hub `1-4`. */
  port: port.optional(),
  /** Left out: the kind's default; null: none. */
  serial: z.string().nullable().optional(),
  /** Mb/s; a stick takes 480 and 5000. */
  speed: z.union([z.literal(1.5), z.literal(12), z.literal(480), z.literal(5000)]).optional(),
  vendorId: hex4.optional(),
  productId: hex4.optional(),
  manufacturer: z.string().nullable().optional(),
  product: z.string().nullable().optional(),
  /** Degrees Celsius of a thermometer. */
  temperature: z.number().optional(),
  /** Not published in QubesDB: hidden on purpose. */
  hidden: z.boolean().default(false),
  /** False: USBGuard has not let it in, so it has no interface directories. */
  authorized: z.boolean().default(true),
  /** Size of a stick's image in MiB. */
  sizeMiB: z.number().int().min(1).max(1024).default(4),
  /** Partitions of a stick as sysfs shows them. */
  partitions: z.number().int().min(0).max(4).default(0),
  use: use.prefault({}),
})

export const qubeSchema = z.strictObject({
  name: qubeName,
  state: z.enum(['running', 'paused', 'halted']).default('running'),
  /** Has USB controllers: gets root hubs and publishes its devices. */
  backend: z.boolean().default(false),
  /** The USB proxy, by side: without the first USBAttach ends in 127, without the second there is no device info. */
  proxy: z
    .strictObject({ frontend: z.boolean().default(true), backend: z.boolean().default(true) })
    .prefault({}),
  /** An HVM whose USB goes to a stub domain: a second socket `NAME-dm`, and no frontend proxy in the qube itself. */
  stubdom: z.boolean().default(false),
  /** Free ports of the virtual host, for each of USB 2 and USB 3; 8 when left out. A real kernel has what it has. */
  vhciPorts: z.number().int().min(0).max(15).optional(),
  /** How long its proxy waits for a device to appear; left out as the real one, 5 s, which a crowd on a small machine misses. */
  importSeconds: z.number().int().min(1).max(600).optional(),
  /** False: a detach at the backend leaves the device on usbip-host, as versions up to 4.3.6 do. */
  rebindsOnDetach: z.boolean().default(true),
  /** `two-words`: what is published before linux-utils 4.3.0 (two words, no interfaces). */
  publishes: z.enum(['full', 'two-words']).default('full'),
  /** What a shell's profile prints before a service says anything. */
  profileNoise: z.string().default(''),
  /** As qubesd calls it; a paused DispVM is a preloaded one. */
  class: z.enum(['AppVM', 'DispVM', 'TemplateVM', 'StandaloneVM']).default('AppVM'),
  /** A management qube: qusb runs as in it by a site file of its own, `qubes/NAME/site.json`. Policy says what it may. Process engine only. */
  management: z.boolean().default(false),
  /** What it is based on; a DispVM on its disposable template, an AppVM. */
  template: qubeName.optional(),
  /** Its services that are on (`qvm-service`): names in /run/qubes-service. */
  services: z.array(z.string().regex(/^[a-z0-9-]{1,48}$/)).default([]),
  /** Interface codes that qubesd denies it, `u03****`. */
  denied: z.array(z.string().regex(/^[a-z?][0-9a-f*]{6}$/)).default([]),
})

/** What the lab's qubesd says that it will attach by itself. */
const assignmentSchema = z.strictObject({
  frontend: qubeName,
  backend: qubeName,
  /** `*`: whatever the port. */
  port: z.union([port, z.literal('*')]).default('*'),
  /** `VID:PID:SERIAL:INTERFACES`; `*`: whatever the device. */
  device: z.string().default('*'),
  mode: z.enum(['auto-attach', 'ask-to-attach', 'required']).default('auto-attach'),
})

export const labFileSchema = z.strictObject({
  qubes: z.array(qubeSchema).min(1),
  devices: z.array(deviceSchema).default([]),
  /** Policy files put into the lab's /etc/qubes/policy.d before it starts: name to text. */
  policy: z.record(z.string(), z.string()).default({}),
  /** Which generation of qubesd answers at the site's `qubesdSocket`. */
  qubesd: z.enum(['4.2', '4.3', 'none']).default('4.3'),
  assignments: z.array(assignmentSchema).default([]),
})

export type DeviceDefinition = z.infer<typeof deviceSchema>
export type AssignmentDefinition = z.infer<typeof assignmentSchema>
export type QubeDefinition = z.infer<typeof qubeSchema>
/** A lab as its file describes it, defaults filled in. */
export type LabFile = z.infer<typeof labFileSchema>
/** A lab as a person writes it. */
export type LabFileText = z.input<typeof labFileSchema>
