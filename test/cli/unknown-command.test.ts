import { expect, it } from 'vitest'
import { unknownCommand } from '../../src/cli/unknown-command.ts'

const COMMANDS = ['attach', 'detach', 'list', 'rule add', 'rule list', 'setup dom0'].map((words) =>
  words.split(' '),
)

it.each([
  ['atach sys-usb 2-1 work', 'atach', 'Did you mean qusb attach?'],
  ['dettach', 'dettach', 'Did you mean qusb detach?'],
  ['LIST', 'LIST', 'Did you mean qusb list?'],
  ['rule lst', 'rule lst', 'Did you mean qusb rule list?'],
  ['rul add 1050:0407 vault', 'rul', 'Did you mean qusb rule add?'],
  ['rul 1050:0407', 'rul', 'Did you mean qusb rule?'],
  ['rule frobnicate', 'rule frobnicate', 'qusb rule --help lists the commands.'],
  ['sys-usb:2-1 work', 'sys-usb:2-1', 'qusb --help lists the commands.'],
  ['', '', 'qusb --help lists the commands.'],
  ['\u001b[2Jlist', '_[2Jlist', 'qusb --help lists the commands.'],
])('%s is no command', (typed, named, hint) => {
  const error = unknownCommand(typed.split(' '), COMMANDS)
  expect(error).toMatchObject({ code: 'USAGE', message: `there is no command "${named}"`, hint })
})
