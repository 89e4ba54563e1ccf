import { formatVidPid } from '../model/identity.ts'
import type { Attachment, AttachResult, DetachResult, PlanStep } from '../passthrough/results.ts'
import { placeWords } from './device-words.ts'
import { paint, plain, sentence, type Terminal } from './terminal.ts'

/** What an attach did, in a sentence; with --dry-run what it would do. */
export function renderAttach(result: AttachResult, terminal: Terminal): string {
  const { attachment } = result
  const device = deviceWords(attachment)
  if (result.plan !== undefined && result.plan.length > 0) {
    return renderPlan(`Would attach ${device} to ${attachment.frontend}:`, result.plan, terminal)
  }
  const words = result.changed
    ? result.from === null
      ? `Attached ${device} to ${attachment.frontend}.`
      : `Moved ${device} from ${result.from} to ${attachment.frontend}.`
    : `${device} is already attached to ${attachment.frontend}: nothing to do.`
  return sentence(words, terminal)
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
    .map((each) => {
      const device = deviceWords(each)
      const from = each.frontend === null ? '' : ` from ${each.frontend}`
      if (each.error === undefined) {
        const untouched = each.unsure
          ? `${device} is with no qube that this one may ask about: nothing was done.`
          : `${device} is not attached: nothing to do.`
        return sentence(each.changed ? `Detached ${device}${from}.` : untouched, terminal)
      }
      const { code, message, hint, detail } = each.error
      const words = sentence(`Could not detach ${device}${from}: ${message} [${code}]`, terminal)
      return [
        `${paint(words.trimEnd(), 'red', terminal)}\n`,
        hint === null ? '' : `  ${plain(hint, terminal)}\n`,
        detail === null ? '' : `  (${plain(detail, terminal)})\n`,
      ].join('')
    })
    .join('')
}

/** `sys-usb:2-1 (SanDisk Cruzer Blade, 0781:5567)` */
function deviceWords(attachment: Omit<Attachment, 'frontend' | 'since'>): string {
  return `${placeWords(attachment)} (${attachment.description}, ${formatVidPid(attachment)})`
}

function renderPlan(head: string, plan: readonly PlanStep[], terminal: Terminal): string {
  const width = Math.max(...plan.map((each) => each.step.length))
  const lines = plan.map((each, i) => {
    const label = `${String(i + 1).padStart(2)}. ${plain(each.step, terminal).padEnd(width)}  `
    return sentence(each.what, { ...terminal, width: terminal.width - label.length - 4 })
      .trimEnd()
      .split('\n')
      .map((line, n) => `  ${n === 0 ? label : ' '.repeat(label.length)}${line}\n`)
      .join('')
  })
  return `${sentence(head, terminal)}${lines.join('')}Nothing was done (--dry-run).\n`
}
