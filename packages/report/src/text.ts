/** Outside text without control characters (C0, DEL, C1), which become '?'; line ends and tabs become spaces. */
export function printable(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
}
