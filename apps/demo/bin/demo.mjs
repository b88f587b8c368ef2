// The demo's entry: npm run demo builds it first.
import '../dist/main.js'
