// A document to draw into where there is no browser.
import { parseHTML } from 'linkedom'

export function createDocument(): Document {
  return parseHTML('<!doctype html><html><body></body></html>').document
}
