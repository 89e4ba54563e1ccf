import * as z from 'zod/mini'
import { deviceSchema } from '../model/device-schema.ts'
import { historyEventSchema } from '../model/event.ts'
import { hex4Schema, portSchema, qubeNameSchema } from '../model/fields.ts'
import { SERIAL_LIMIT } from '../model/identity.ts'

/** What commands return and `--json` prints: fields may be added, none changes its meaning. */
const schema = z.literal(1)

export const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.nullable(z.string()),
  detail: z.nullable(z.string()),
  candidates: z.optional(z.array(z.object({ selector: z.string(), description: z.string() }))),
})

export const warningSchema = z.object({
  /** The qube it is about; null where it is about this machine. */
  qube: z.nullable(qubeNameSchema),
  code: z.string(),
  message: z.string(),
  hint: z.nullable(z.string()),
})
export type Warning = z.infer<typeof warningSchema>

/**
 * Where store and backend disagree, by name.
 * other-tool: attached, and not by qusb. attached-elsewhere: qusb gave it to another qube than the one that has it.
 * unresolved: an operation is open or could not be ended.
 */
export const driftSchema = z.enum(['other-tool', 'attached-elsewhere', 'unresolved'])

/** What qubesd does when the device is there and the qube runs. */
const assignedSchema = z.object({
  frontend: qubeNameSchema,
  mode: z.enum(['auto-attach', 'ask-to-attach', 'required']),
})

export const listedDeviceSchema = z.extend(deviceSchema, {
  /** In plain words: `storage`, `camera`; null where the device shows no interface. */
  class: z.nullable(z.string()),
  /** Maker and product: from usb.ids where the site has one, else the device's own claim; never empty. */
  description: z.string(),
  /** What users call it: any of these names it. */
  aliases: z.array(z.string()),
  /** When qusb attached it. */
  since: z.nullable(z.iso.datetime()),
  by: z.nullable(z.object({ user: z.string(), rule: z.nullable(z.string()) })),
  drift: z.nullable(driftSchema),
  /** The frontend that an unresolved operation is about. */
  intendedFor: z.nullable(qubeNameSchema),
  /** What qubesd will attach by itself, and to which qubes else; null where there is none, or no qubesd. */
  assignment: z.nullable(z.extend(assignedSchema, { also: z.array(assignedSchema) })),
})
export type ListedDevice = z.infer<typeof listedDeviceSchema>

export const listResultSchema = z.object({
  schema,
  devices: z.array(listedDeviceSchema),
  warnings: z.array(warningSchema),
  /** A backend that was named could not be asked. */
  error: z.optional(failureSchema),
})
export type ListResult = z.infer<typeof listResultSchema>

export const adviceSchema = z.object({
  kind: z.enum([
    'types',
    'stores',
    'camera',
    'microphone',
    'network',
    'security-key',
    'ctap-proxy',
    'in-use',
    'hidden',
    'no-serial',
  ]),
  text: z.string(),
})

export const infoResultSchema = z.object({
  schema,
  device: listedDeviceSchema,
  interfaces: z.array(z.object({ code: z.string(), words: z.string(), driver: z.nullable(z.string()) })),
  /** What a user should know before giving it away. */
  advice: z.array(adviceSchema),
  warnings: z.array(warningSchema),
})
export type InfoResult = z.infer<typeof infoResultSchema>

export const attachmentSchema = z.object({
  backend: qubeNameSchema,
  port: portSchema,
  frontend: qubeNameSchema,
  vendorId: hex4Schema,
  productId: hex4Schema,
  serial: z.nullable(z.string().check(z.maxLength(SERIAL_LIMIT))),
  description: z.string(),
  since: z.nullable(z.iso.datetime()),
})
export type Attachment = z.infer<typeof attachmentSchema>

export const planStepSchema = z.object({ step: z.string(), what: z.string() })
export type PlanStep = z.infer<typeof planStepSchema>

export const attachResultSchema = z.object({
  schema,
  changed: z.boolean(),
  attachment: attachmentSchema,
  /** The qube that it was taken from; null where nobody had it. */
  from: z.nullable(qubeNameSchema),
  /** With --dry-run: what would be done; nothing was. */
  plan: z.optional(z.array(planStepSchema)),
  warnings: z.array(warningSchema),
})
export type AttachResult = z.infer<typeof attachResultSchema>

export const runResultSchema = z.object({
  schema,
  /** Whether it was attached for this: what was there before stays. */
  changed: z.boolean(),
  attachment: attachmentSchema,
  from: z.nullable(qubeNameSchema),
  command: z.object({ exitCode: z.int(), signal: z.nullable(z.string()) }),
  /** Whether the frontend no longer has it. */
  detached: z.boolean(),
  warnings: z.array(warningSchema),
  /** It could not be detached. */
  error: z.optional(failureSchema),
})
export type RunResult = z.infer<typeof runResultSchema>

export const detachedSchema = z.extend(attachmentSchema, {
  /** null where nobody had it. */
  frontend: z.nullable(qubeNameSchema),
  changed: z.boolean(),
  /** None that this qube may ask about has it; whether another has is not known. */
  unsure: z.optional(z.literal(true)),
  error: z.optional(failureSchema),
})

export const detachResultSchema = z.object({
  schema,
  changed: z.boolean(),
  attachments: z.array(detachedSchema),
  attachment: z.nullable(detachedSchema),
  plan: z.optional(z.array(planStepSchema)),
  warnings: z.array(warningSchema),
})
export type DetachResult = z.infer<typeof detachResultSchema>

export const historyResultSchema = z.object({
  schema,
  events: z.array(historyEventSchema),
  warnings: z.array(warningSchema),
})
export type HistoryResult = z.infer<typeof historyResultSchema>

export const setupResultSchema = z.object({
  schema,
  changed: z.boolean(),
  done: z.array(
    z.object({
      /** With the qube in front, where it is in one. */
      path: z.string(),
      /** left: somebody changed it, so it was not removed. */
      action: z.enum(['made', 'changed', 'unchanged', 'removed', 'left']),
      what: z.string(),
    }),
  ),
  /** With --dry-run: what would be done; nothing was. */
  plan: z.optional(z.array(planStepSchema)),
  /** With --dry-run: every file that is to be in a qube, whether or not it is there. */
  files: z.optional(
    z.array(
      z.object({
        qube: qubeNameSchema,
        path: z.string(),
        mode: z.nullable(z.string()),
        content: z.nullable(z.string()),
        /** Of a symbolic link. */
        target: z.nullable(z.string()),
      }),
    ),
  ),
})
export type SetupResult = z.infer<typeof setupResultSchema>

export const completionResultSchema = z.object({
  schema,
  shell: z.enum(['bash', 'zsh', 'fish']),
  script: z.string(),
})
export type CompletionResult = z.infer<typeof completionResultSchema>

const watchEventSchema = z.object({
  schema,
  /** ISO 8601, UTC: when it was seen. */
  at: z.iso.datetime(),
  /** watching: the first, and whenever what says when to look is another. */
  event: z.enum([
    'watching',
    'device-added',
    'device-removed',
    'device-attached',
    'device-detached',
    'qube-started',
    'qube-stopped',
    'qube-paused',
    'qube-unpaused',
    // What a rule brought about, with --auto.
    'rule-attached',
    'rule-failed',
    'rule-refused',
    'rule-given-back',
  ]),
  /** What said when to look: the events of qubesd, or the clock. */
  source: z.enum(['qubesd', 'surveys']),
  qube: z.nullable(qubeNameSchema),
  backend: z.nullable(qubeNameSchema),
  port: z.nullable(portSchema),
  frontend: z.nullable(qubeNameSchema),
  vendorId: z.nullable(hex4Schema),
  productId: z.nullable(hex4Schema),
  serial: z.nullable(z.string().check(z.maxLength(SERIAL_LIMIT))),
  description: z.nullable(z.string()),
  /** Which rule it was: `50-qusb.rules:3`. */
  rule: z.nullable(z.string().check(z.maxLength(200))),
  /** Why, where there is something to say. */
  message: z.nullable(z.string()),
})
export type WatchEvent = z.infer<typeof watchEventSchema>

export const errorResultSchema = z.object({ schema, error: failureSchema })

/** Every document that `--json` can print, by the command that prints it. */
export const RESULT_SCHEMAS = {
  list: listResultSchema,
  info: infoResultSchema,
  attach: attachResultSchema,
  move: attachResultSchema,
  run: runResultSchema,
  detach: detachResultSchema,
  history: historyResultSchema,
  setup: setupResultSchema,
  watch: watchEventSchema,
  completion: completionResultSchema,
  error: errorResultSchema,
} as const
