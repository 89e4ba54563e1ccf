import type { LabFileText } from './schema.ts'

/** The lab when no file is given: what a desk has, with what a guard should look at. */
export const DEFAULT_LAB: LabFileText = {
  qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'vault' }, { name: 'untrusted' }],
  devices: [
    { backend: 'sys-usb', port: '2-1', kind: 'stick' },
    { backend: 'sys-usb', port: '1-2', kind: 'security-key' },
    { backend: 'sys-usb', port: '1-3', kind: 'keyboard', use: { typesInDom0: true } },
    { backend: 'sys-usb', port: '1-5', kind: 'thermometer', temperature: 21.5 },
    { backend: 'sys-usb', port: '1-4.1', kind: 'webcam' },
    { backend: 'sys-usb', port: '1-4.2', kind: 'webcam' },
  ],
}
