import { examplesTests } from '../../../scripts/examples-tests.ts'

examplesTests(import.meta.url)
