// Stands in for inquirer's editor prompt, which brings iconv-lite and chardet: a third of the bundle, never asked for.
export default () => Promise.reject(new Error('the editor prompt is not part of qusb'))
