// Stands in for debug, oclif's trace (DEBUG=*): it loads node:tty and reads the environment at every start.
const silent = () => Object.assign(() => {}, { enabled: false, extend: silent, namespace: '' })
module.exports = Object.assign(silent, { default: silent, enable() {}, enabled: () => false })
