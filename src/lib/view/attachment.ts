import type { Attachment, AttachResult, DetachResult, PlanStep } from '../passthrough/results.ts'
import { placeWords } from './device-words.ts'
import { paint, plain, type Terminal } from './terminal.ts'

/** What an attach did, in a sentence; with --dry-run what it would do. */
export function renderAttach(result: AttachResult, terminal: Terminal): string {
  const { attachment } = result
  const device = deviceWords(attachment)
  if (result.plan !== undefined && result.plan.length > 0) {
    return renderPlan(`Would attach ${device} to ${attachment.frontend}:`, result.plan, terminal)
  }
  const sentence = result.changed
    ? `Attached ${device} to ${attachment.frontend}.`
    : `${device} is already attached to ${attachment.frontend}: nothing to do.`
  return `${plain(sentence, terminal)}\n`
}

/** What a detach did, a sentence for each device. */
export function renderDetach(result: DetachResult, terminal: Terminal): string {
  if (result.plan !== undefined && result.plan.length > 0) {
    const what = result.attachments.map(
      (each) => `${deviceWords(each)}${each.frontend === null ? '' : ` from ${each.frontend}`}`,
    )
    return renderPlan(`Would detach ${what.join(', ')}:`, result.plan, terminal)
  }
  if (result.attachments.length === 0) return 'Nothing is attached: nothing to do.\n'
  return result.attachments
    .flatMap((each) => {
      const device = deviceWords(each)
      if (each.error !== undefined) {
        const { code, message, hint, detail } = each.error
        const lines = [
          paint(
            plain(`Could not detach ${device} from ${each.frontend}: ${message} [${code}]`, terminal),
            'red',
            terminal,
          ),
        ]
        if (hint !== null) lines.push(`  ${plain(hint, terminal)}`)
        if (detail !== null) lines.push(`  (${plain(detail, terminal)})`)
        return lines
      }
      return plain(
        each.changed
          ? `Detached ${device} from ${each.frontend}.`
          : `${device} is not attached: nothing to do.`,
        terminal,
      )
    })
    .map((line) => `${line}\n`)
    .join('')
}

/** `sys-usb:2-1 (SanDisk Cruzer Blade, 0781:5567)` */
function deviceWords(attachment: Omit<Attachment, 'frontend' | 'since'>): string {
  return `${placeWords(attachment)} (${attachment.description}, ${attachment.vendorId}:${attachment.productId})`
}

function renderPlan(head: string, plan: readonly PlanStep[], terminal: Terminal): string {
  const width = Math.max(...plan.map((each) => each.step.length))
  const lines = plan.map(
    (each, i) =>
      `  ${String(i + 1).padStart(2)}. ${plain(each.step, terminal).padEnd(width)}  ${plain(each.what, terminal)}`,
  )
  return `${[plain(head, terminal), ...lines, 'Nothing was done (--dry-run).'].join('\n')}\n`
}
