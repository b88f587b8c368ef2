import { documentationTests } from '../../../scripts/docs-tests.ts'

documentationTests(import.meta.url)
