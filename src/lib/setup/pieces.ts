import loader from '../../../share/usb-qube/50-qusb.rc'
import udevRules from '../../../share/usb-qube/99-zz-qusb.rules'
import pathUnit from '../../../share/usb-qube/qusb-notify.path'
import serviceUnit from '../../../share/usb-qube/qusb-notify.service'
import type { QubeName } from '../model/names.ts'
import type { QubeFile } from '../qubes/installed-files.ts'

/** The switch of `qvm-service BACKEND qusb on`: a template serves other qubes, too. */
export const SWITCH = '/run/qubes-service/qusb'

/**
 * How a USB qube keeps what is installed for it.
 * private: it is an AppVM, and its own /rw does. disposable: its disposable template's /rw does. system: the root of a
 * template, or of a standalone.
 */
export type Kind = 'private' | 'disposable' | 'system'

/** The files that last, wherever they are kept. */
export function keptFiles(kind: Kind, backend: QubeName): QubeFile[] {
  if (kind === 'system') {
    const units = '/etc/systemd/system'
    return [
      { path: '/etc/udev/rules.d/99-zz-qusb.rules', content: udevRules, mode: '0644' },
      { path: `${units}/qusb-notify.path`, content: pathUnit, mode: '0644' },
      { path: `${units}/qusb-notify.service`, content: serviceUnit, mode: '0644' },
      { path: `${units}/multi-user.target.wants/qusb-notify.path`, target: '../qusb-notify.path' },
      { path: '/etc/tmpfiles.d/qusb.conf', content: TMPFILES, mode: '0644' },
    ]
  }
  const place = '/rw/config/qusb'
  return [
    { path: `${place}/99-zz-qusb.rules`, content: udevRules, mode: '0644' },
    { path: `${place}/qusb-notify.path`, content: alwaysOn, mode: '0644' },
    { path: `${place}/qusb-notify.service`, content: serviceUnit, mode: '0644' },
    {
      path: '/rw/config/rc.local.d/50-qusb.rc',
      content: loader.replaceAll('@QUBE@', backend),
      mode: '0755',
    },
  ]
}

/** What a USB qube has in /run once its loader has run, or until the next start brings what its template has. */
export function runningFiles(): QubeFile[] {
  return [
    { path: '/run/udev/rules.d/99-zz-qusb.rules', content: udevRules, mode: '0644' },
    { path: '/run/systemd/system/qusb-notify.path', content: alwaysOn, mode: '0644' },
    { path: '/run/systemd/system/qusb-notify.service', content: serviceUnit, mode: '0644' },
  ]
}

const TMPFILES = '# Made by "qusb setup backend".\nd /run/qusb 0755 root root -\n'

/** Where it serves one USB qube only, or is there for this run only, there is no switch. */
const alwaysOn = pathUnit
  .split('\n')
  .filter((line) => line !== `ConditionPathExists=${SWITCH}`)
  .join('\n')
