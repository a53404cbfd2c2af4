/** Whether a character could disturb the text around it: control characters, and those that turn its direction. */
export function isControl(c: string): boolean {
  return /\p{C}/u.test(c)
}

/** Typed text inside a message: short, and without characters that could disturb it. */
export function shown(text: string): string {
  const clean = [...text.trim()].map((c) => (isControl(c) ? '�' : c))
  return clean.length > 40 ? `${clean.slice(0, 40).join('')}…` : clean.join('')
}
