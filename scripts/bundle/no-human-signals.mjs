// Stands in for human-signals: execa's error messages describe signals by it, qusb describes them itself; its tables are
// made at every start.
export const signalsByName = new Proxy({}, { get: (_, name) => ({ description: String(name) }) })
