/** The ways to show devices, in one module that is loaded when there are some. */
export { renderDeviceLines, renderDeviceList } from './device-table.ts'
export { renderDeviceTree } from './device-tree.ts'
