/** True only in the bundle that the crash tests run: fault points exist there and nowhere else. */
declare const __FAULT_POINTS__: boolean

declare module '*.sh' {
  /** The script's text; the bundler puts it in. */
  const script: string
  export default script
}

declare module '*.rc' {
  const text: string
  export default text
}

declare module '*.rules' {
  const text: string
  export default text
}

declare module '*.path' {
  const text: string
  export default text
}

declare module '*.service' {
  const text: string
  export default text
}
