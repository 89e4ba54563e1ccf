import { NotInThisEngine } from '../engine.ts'
import type { DeviceDefinition } from '../file/schema.ts'
import { type Guest, runScript } from './guest.ts'

/** A device as a guest's kernel shows it. */
export interface SeenDevice {
  readonly port: string
  readonly bus: number
  readonly number: number
  readonly vendorId: string
  readonly productId: string
  readonly serial: string | null
  readonly driver: string | null
  readonly attachedTo: string | null
}

const LIMIT = 20_000

/** Forks are dear under emulation: the shell reads and follows links by itself. */
const LIST = `cd /sys/bus/usb/devices || exit
for device in [0-9]*-[0-9]*; do
  case "$device" in *:* | '[0-9]'*) continue ;; esac
  printf '%s\\t' "$device"
  for attribute in busnum devnum idVendor idProduct serial; do
    value=
    { read -r value < "$device/$attribute"; } 2>/dev/null
    printf '%s\\t' "$value"
  done
  driver= value=
  cd -P "$device/driver" 2>/dev/null && driver=\${PWD##*/} && cd /sys/bus/usb/devices
  { read -r value < "/run/qubesdb/qubes-usb-devices/\${device//./_}/connected-to"; } 2>/dev/null
  printf '%s\\t%s\\n' "$driver" "$value"
done`

/** The devices on a guest's buses, hubs included. */
export async function listDevices(guest: Guest): Promise<SeenDevice[]> {
  const { stdout } = await runScript(guest, LIST, LIMIT)
  return stdout.split('\n').flatMap((line) => {
    const [port, bus, number, vendorId, productId, serial, driver, attachedTo] = line.split('\t')
    if (!port || !vendorId || !productId) return []
    return [
      {
        port,
        bus: Number(bus),
        number: Number(number),
        vendorId,
        productId,
        serial: serial || null,
        driver: driver || null,
        attachedTo: attachedTo || null,
      },
    ]
  })
}

/** Waits until the guest's kernel has configured the device. Throws an Error when it does not. */
export async function waitForDevice(guest: Guest, port: string, limit: number): Promise<void> {
  const { code } = await runScript(
    guest,
    `cd /sys/bus/usb/devices
     until [ -e '${port}' ] && set -- '${port}':* && [ -e "$1" ] && [ $# -ge $(cat '${port}/bNumInterfaces') ]
     do sleep 0.05; done`,
    limit,
  )
  if (code !== 0) throw new Error(`the guest has not seen ${port} within ${limit / 1000} s`)
}

/** Does in the guest what the lab file says that the backend does with the device. */
export async function putToUse(guest: Guest, port: string, definition: DeviceDefinition): Promise<void> {
  const { use, authorized, partitions } = definition
  if (use.heldBy)
    throw new NotInThisEngine('the kernel engine has no device-mapper: the process engine shows holders')
  if (partitions > 0)
    throw new NotInThisEngine('the kernel engine makes no partitions: the process engine shows some')
  const disk = `device=$(echo /sys/bus/usb/devices/${port}/*/host*/target*/*/block/*)
    until [ -e "$device" ]; do sleep 0.1; device=$(echo /sys/bus/usb/devices/${port}/*/host*/target*/*/block/*); done
    disk=/dev/\${device##*/}; `
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const steps: string[] = []
  if (use.givenTo !== undefined)
    throw new NotInThisEngine(
      'the kernel engine has no Xen to give a block device: the process engine shows one',
    )
  if (use.mounted !== undefined) {
    const place = quoted(use.mounted)
    steps.push(`${disk} mkdosfs "$disk" >/dev/null && mkdir -p ${place} && mount -t vfat "$disk" ${place}`)
  }
  if (use.swap) steps.push(`${disk} mkswap "$disk" >/dev/null && swapon "$disk"`)
  if (use.typesInDom0) steps.push(startSenders(port))
  if (!authorized) steps.push(`echo 0 > /sys/bus/usb/devices/${port}/authorized`)
  for (const step of steps) {
    const { code, stderr } = await runScript(guest, step, LIMIT)
    if (code !== 0) throw new Error(`cannot put ${port} to use: ${stderr.trim() || `code ${code}`}`)
  }
}

/** Runs what carries input to dom0 for each event device of a port: a process in the cgroup of that service. */
function startSenders(port: string): string {
  return `slice='/sys/fs/cgroup/system.slice/system-qubes\\x2dinput\\x2dsender\\x2dkeyboard.slice'
    events=
    until [ -n "$events" ]; do
      for event in /sys/class/input/event*; do
        case "$(readlink -f "$event")" in */${port}:*) events="$events \${event##*/}" ;; esac
      done
      [ -n "$events" ] || sleep 0.1
    done
    for event in $events; do
      group="$slice/qubes-input-sender-keyboard@$event.service"
      mkdir -p "$group"
      sleep 1000000 < /dev/null > /dev/null 2>&1 &
      echo $! > "$group/cgroup.procs"
    done`
}
