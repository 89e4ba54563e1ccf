import { string } from '@oclif/core/flags'

/** Whose call attaches or detaches: our own over qrexec, or qubesd's. */
export const viaFlag = string({
  description: 'who makes the call: qusb itself over qrexec, or qubesd',
  options: ['qrexec', 'admin'],
  default: 'qrexec',
})
