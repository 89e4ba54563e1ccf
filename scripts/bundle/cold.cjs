// Stands in for what oclif brings for commands found by pattern, plug-ins, rc files and spinners: qusb has none of them,
// and each costs time at every start. Loading it is no harm; using it is a fault.
module.exports = new Proxy(function cold() {}, {
  get(_, name) {
    if (name === '__esModule' || typeof name === 'symbol') return undefined
    return () => {
      throw new Error(`"${name}" is not part of the bundle: see scripts/bundle/cold.cjs`)
    }
  },
  apply() {
    throw new Error('this is not part of the bundle: see scripts/bundle/cold.cjs')
  },
})
